//! Standard output, whoever reads it.

use std::io::{self, Write};

use anyhow::Context;

/// Writes `text`. A reader who has left, such as `head`, has read what he wanted: no error, and
/// the exit code still says what came out.
pub(super) fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Says `line` on standard error. Whoever does not listen there either is not told.
pub(super) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

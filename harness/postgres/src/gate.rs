//! A gate before a program: it runs once somebody says so, and never if nobody is left to say it.
//!
//! A janitor ends what it watches, and can watch only what has been started. So that nothing runs
//! unwatched in between, a shell is started in the program's place: it reads a line from a pipe that
//! only the harness holds open, and becomes the program, with the same process id. If the harness
//! ends first, it reads the pipe's end instead, and ends too.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{Access, access};

const SCRIPT: &str = r#"read -r go && exec "$@" </dev/null"#;

/// What the shell reads.
pub(crate) const GO: &[u8] = b"go\n";

/// A command that waits for [`GO`] on its standard input and then does what `command` does, whose
/// input and output it does not take over.
///
/// # Errors
/// A program that is not there, or may not be run.
pub(crate) fn before(command: &Command) -> io::Result<Command> {
    let program = command.get_program();
    find(command)?;
    // Not looked up: PATH may be the program's own.
    let mut gate = Command::new("/bin/sh");
    gate.args(["-c", SCRIPT, "rowlock-gate"]);
    let lost: Vec<_> = lost_variables(command).collect();
    if !lost.is_empty() {
        gate.arg("env").args(lost);
    }
    gate.arg(program).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => gate.env(name, value),
            None => gate.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        gate.current_dir(directory);
    }
    Ok(gate)
}

/// The variables, as `NAME=VALUE`, that a shell does not pass on, since they could not be its own.
fn lost_variables(command: &Command) -> impl Iterator<Item = OsString> {
    let is_lost = |name: &OsStr| {
        let bytes = name.as_bytes();
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        !bytes.iter().all(is_word) || bytes.first().is_none_or(u8::is_ascii_digit)
    };
    let own: Vec<_> = command.get_envs().collect();
    let inherited = std::env::vars_os();
    let inherited = inherited.filter(|(name, _)| own.iter().all(|(known, _)| known != name));
    let inherited: Vec<_> = inherited.collect();
    let own = own
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let all = own.chain(inherited).collect::<Vec<_>>().into_iter();
    all.filter(move |(name, _)| is_lost(name))
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
}

/// Whether there is such a program, where execvp(3) would look for it: of a shell nobody would
/// hear why it is not there.
fn find(command: &Command) -> io::Result<()> {
    let program = Path::new(command.get_program());
    if program.as_os_str().as_bytes().contains(&b'/') {
        let directory = command.get_current_dir().unwrap_or(Path::new(""));
        return may_run(&directory.join(program));
    }
    let mut own = command.get_envs().filter(|(name, _)| *name == "PATH");
    let path = match own.next() {
        Some((_, own)) => own.map(OsStr::to_owned),
        None => std::env::var_os("PATH"),
    };
    // Where there is none, the system has a list of its own.
    let Some(path) = path else { return Ok(()) };
    let mut why = io::ErrorKind::NotFound.into();
    for directory in std::env::split_paths(&path) {
        let found = match command.get_current_dir() {
            Some(here) => here.join(&directory).join(program),
            None => directory.join(program),
        };
        match may_run(&found) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => why = error,
            Err(_) => {}
        }
    }
    Err(why)
}

fn may_run(program: &Path) -> io::Result<()> {
    if program.metadata()?.is_dir() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(access(program, Access::EXEC_OK)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Child, Stdio};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script, "a name", "two  words"]);
        command
    }

    fn started(command: &Command) -> Child {
        let mut gate = before(command).unwrap();
        gate.stdin(Stdio::piped()).stdout(Stdio::piped());
        gate.spawn().unwrap()
    }

    fn output(mut child: Child) -> String {
        let mut text = String::new();
        let output = child.stdout.as_mut().unwrap();
        output.read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        text
    }

    #[test]
    fn a_program_whose_starter_ends_before_it_says_so_never_runs() {
        let mut child = started(&shell("echo it ran"));
        // As the kernel does when the starter ends.
        drop(child.stdin.take());
        assert_eq!(output(child), "");
    }

    #[test]
    fn once_told_it_runs_as_it_would_have_without_a_gate() {
        let mut command = shell("cat; pwd; echo \"$0|$1|$ROWLOCK_GATE\"; env; echo pid $$");
        command
            .current_dir("/usr")
            .env("ROWLOCK_GATE", "a value")
            .env("spring.url", "jdbc:\u{e4} b");
        let mut child = started(&command);
        let pid = child.id();
        child.stdin.take().unwrap().write_all(GO).unwrap();
        let said = output(child);
        assert!(
            said.starts_with("/usr\na name|two  words|a value\n"),
            "{said}"
        );
        assert!(said.ends_with(&format!("\npid {pid}\n")), "{said}");
        // A shell passes on only what could be a variable of its own.
        let mut command = Command::new("env");
        command.env("spring.url", "jdbc:\u{e4} b");
        let mut child = started(&command);
        child.stdin.take().unwrap().write_all(GO).unwrap();
        let said = output(child);
        assert!(
            said.lines().any(|line| line == "spring.url=jdbc:\u{e4} b"),
            "{said}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_or_may_not_run_is_an_error_at_once() {
        let kind = |command: &Command| before(command).unwrap_err().kind();
        let missing = ["/no/such/program", "no-such-program", "./no-such-program"];
        for program in missing {
            assert_eq!(kind(&Command::new(program)), io::ErrorKind::NotFound);
        }
        let mut elsewhere = Command::new("./sh");
        before(elsewhere.current_dir("/bin")).unwrap();
        assert_eq!(kind(elsewhere.current_dir("/tmp")), io::ErrorKind::NotFound);
        let mut no_path = Command::new("sh");
        assert_eq!(
            kind(no_path.env("PATH", "/no/such")),
            io::ErrorKind::NotFound
        );
        let denied = io::ErrorKind::PermissionDenied;
        assert_eq!(kind(&Command::new("/usr")), denied);
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(kind(&Command::new(file.path())), denied);
    }
}

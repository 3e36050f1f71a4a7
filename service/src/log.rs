//! Where the log goes: one line an event, written by a thread of its own.
//!
//! So that whoever reads the log slowly, or not at all, holds nobody's purchase up. What is more
//! than he has taken is lost, and the number of lost lines is said at the end.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that wait for their reader; each is some 200 bytes.
const MAX_LINES: usize = 16_384;

/// How long the log's thread gathers lines before it writes them all at once. To wake it for each
/// line would cost a busy machine more than the line.
const GATHERED_FOR: Duration = Duration::from_millis(5);

/// What is logged if `RUST_LOG` does not say.
const FILTER: &str = "info,sqlx::postgres::notice=warn";

/// The log's writing end. Dropped, it writes what is left, for a second at most.
pub struct Log {
    lost: ErrorCounter,
    _thread: WorkerGuard,
}

impl Log {
    /// Sends this process's events and panics to `writer`, those that `RUST_LOG` wants; in colours if `ansi`.
    pub fn start(writer: impl Write + Send + 'static, ansi: bool) -> Self {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
        let (writer, thread) = NonBlockingBuilder::default()
            .buffered_lines_limit(MAX_LINES)
            .thread_name("log")
            .finish(Gathering(BufWriter::new(writer)));
        let lost = writer.error_counter();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(writer)
            .with_ansi(ansi)
            .init();
        // A panic's own words would wait for whoever reads stderr.
        std::panic::set_hook(Box::new(|panic| {
            let said = panic.to_string().replace('\n', " ");
            tracing::error!("{said}");
        }));
        Self {
            lost,
            _thread: thread,
        }
    }

    /// How many lines nobody took in time.
    pub fn lost(&self) -> usize {
        self.lost.dropped_lines()
    }
}

/// Whose thread comes back for more lines only after a while: they wait for it in their queue, and
/// nobody has to wake it.
struct Gathering<W: Write>(BufWriter<W>);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    /// Comes when the queue is empty.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::park_timeout(GATHERED_FOR);
        Ok(())
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("lost", &self.lost()).finish()
    }
}

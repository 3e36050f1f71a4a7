//! What a run is doing, on a terminal; nothing in a pipe.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line on stderr that says what is being done.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A line where stderr is a terminal, and nothing elsewhere.
    pub fn on_terminal() -> Self {
        if !std::io::stderr().is_terminal() {
            return Progress::hidden();
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(
            ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}")
                .expect("the template is well formed"),
        );
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// No line.
    pub fn hidden() -> Self {
        Progress(ProgressBar::hidden())
    }

    /// Says what is being done now.
    pub fn say(&self, what: impl Into<Cow<'static, str>>) {
        self.0.set_message(what);
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

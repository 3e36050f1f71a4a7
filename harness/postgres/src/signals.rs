//! What a signal takes away: the containers of a program that handles no signals itself.
//!
//! A signal kills such a program without any destructor, and its containers are not its children.
//! So a thread waits for the signals that end a program, removes what is guarded, and lets the
//! signal do what it does. A program that ends by itself after a signal says so in its
//! [`Settings`](super::Settings), and nothing is guarded: two that remove the same container at
//! once would get into each other's way.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::engine::Engine;

static LABELS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A container, by its label, that a signal removes for as long as this lives.
#[derive(Debug)]
pub(super) struct Guard(String);

impl Guard {
    /// Guards the container that has `label` or will have it.
    pub(super) fn of(label: &str) -> io::Result<Guard> {
        watch()?;
        labels().insert(label.to_owned());
        Ok(Guard(label.to_owned()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        labels().remove(&self.0);
    }
}

fn labels() -> MutexGuard<'static, BTreeSet<String>> {
    LABELS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread, once for the whole process.
fn watch() -> io::Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if STARTED.get().is_some() {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGQUIT, SIGTERM])?;
    let name = "rowlock-signals".to_owned();
    thread::Builder::new().name(name).spawn(move || {
        for signal in &mut signals {
            remove_all();
            // It ends the process; what keeps it from that leaves the process as it was.
            let _ = emulate_default_handler(signal);
        }
    })?;
    let _ = STARTED.set(());
    Ok(())
}

/// Removes what is guarded, as well as it can be done: the process ends either way, and what is
/// left then is removed by the next one.
fn remove_all() {
    let guarded = labels().clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let Ok(engine) = Engine::connect().await else {
            return;
        };
        for label in guarded {
            let _ = engine.remove(&label).await;
        }
    });
}

//! Containers that are being made, and what becomes of one that nobody waits for any more.

use std::time::Duration;

use super::engine::Engine;

/// How long a container may take to appear that nobody waits for any more.
const MADE_WITHIN: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A container, by its label, that the engine is asked to make. Dropped before it has, as where a
/// signal ends the wait for it, this takes away what there is of it.
#[derive(Debug)]
pub(super) struct Making(Option<String>);

impl Making {
    /// The engine is asked for the container that will have `label`.
    pub(super) fn begin(label: &str) -> Making {
        Making(Some(label.to_owned()))
    }

    /// The engine has answered.
    pub(super) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let Some(label) = self.0.take() else { return };
        // Removing needs a runtime, and may not block every kind of one.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(remove_once_made(&label));
            }
        });
        // A panic there has been printed, and a destructor cannot do more about it.
        let _ = removal.join();
    }
}

/// Removes the container of `label`, which the engine may be about to make; what comes later still
/// is removed by the next harness to start.
async fn remove_once_made(label: &str) {
    let removed = async {
        let engine = Engine::connect().await.ok()?;
        while let Ok(false) = engine.remove(label).await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Some(())
    };
    let _ = tokio::time::timeout(MADE_WITHIN, removed).await;
}

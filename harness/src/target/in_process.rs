//! A service in this process, on the current runtime.

use std::error::Error;
use std::fmt::Debug;
use std::net::SocketAddr;

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Keys, OnConflict};

/// A service that can run in this process.
pub trait Local: Debug + Send + Sync {
    /// What a report calls it.
    fn name(&self) -> &str;

    /// What it does where it meets others.
    fn on_conflict(&self) -> OnConflict;

    /// What it promises of idempotency keys.
    fn keys(&self) -> Keys {
        Keys::AsSeen
    }

    /// Starts it against the database at `url`, as a process with `env` in its environment would, on
    /// any port.
    ///
    /// # Errors
    /// Whatever keeps it from serving.
    fn start<'a>(
        &'a self,
        url: &'a str,
        env: &'a [(String, String)],
    ) -> BoxFuture<'a, Result<Serving, Box<dyn Error + Send + Sync>>>;
}

/// A service that runs on the current runtime.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Drop for Serving {
    /// Whoever does not wait for its end does not want the requests under way to be finished.
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Serving {
    /// Runs what `serve` makes, which listens at `address` until what it is given is ready, and ends
    /// once it has answered what is under way.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(
        address: SocketAddr,
        serve: impl FnOnce(BoxFuture<'static, ()>) -> F,
    ) -> Serving {
        let (stop, stopped) = oneshot::channel();
        // A sender that is gone stops the service too.
        let stopped = stopped.map(drop).boxed();
        Serving {
            address,
            stop: Some(stop),
            serving: tokio::spawn(serve(stopped)),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn stop(mut self) {
        // Both fail only where the service has ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = (&mut self.serving).await;
    }
}

//! A client that buys: purchases as calls, and what came of them as operations.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rowlock_core::answer::Unknown;
use rowlock_shop::history::{Completion, Operation, Refusal, Request};
use rowlock_shop::wire;
use tokio::time::timeout;

use crate::client::{Client, Clock, Exchange};

impl Client {
    /// Sends `request` on a connection of its own, and waits for `patience` at most, the
    /// connection's opening included. Without a connection it was [not sent](Refusal::NotSent).
    pub async fn purchase_once(
        address: SocketAddr,
        clock: Clock,
        patience: Duration,
        request: Request,
    ) -> Operation {
        let deadline = Instant::now() + patience;
        let invoked_ns = clock.now_ns();
        match timeout(patience, Client::connect(address, clock, patience)).await {
            Ok(Ok(client)) => {
                let left = deadline.saturating_duration_since(Instant::now());
                client.with_patience(left).purchase(request).await
            }
            Ok(Err(_)) | Err(_) => Operation {
                request,
                intended_ns: invoked_ns,
                invoked_ns,
                completed_ns: clock.now_ns(),
                status: None,
                completion: Completion::Fail(Refusal::NotSent),
            },
        }
    }

    /// Sends `request` now and waits for its answer.
    pub async fn purchase(&mut self, request: Request) -> Operation {
        let now_ns = self.clock().now_ns();
        self.purchase_as_of(request, now_ns).await
    }

    /// Sends `request` now, although it was meant to go at `intended_ns`.
    pub async fn purchase_as_of(&mut self, request: Request, intended_ns: u64) -> Operation {
        let Exchange {
            invoked_ns,
            completed_ns,
            reply,
        } = self.ask(&wire::call(&request)).await;
        Operation {
            request,
            intended_ns,
            invoked_ns,
            completed_ns,
            status: reply.as_ref().ok().map(|reply| reply.status),
            completion: wire::completion(&reply),
        }
    }

    /// Sends `request` and hangs up as soon as `hang_up` is ready, whatever has come by then.
    pub async fn purchase_and_hang_up(
        mut self,
        request: Request,
        hang_up: impl Future<Output = ()>,
    ) -> Operation {
        let clock = self.clock();
        let invoked_ns = clock.now_ns();
        let unknown = Operation {
            request: request.clone(),
            intended_ns: invoked_ns,
            invoked_ns,
            completed_ns: invoked_ns,
            status: None,
            completion: Completion::Info(Unknown::HungUp),
        };
        let answered = tokio::select! {
            biased;
            () = hang_up => None,
            operation = self.purchase(request) => Some(operation),
        };
        drop(self);
        answered.unwrap_or_else(|| Operation {
            completed_ns: clock.now_ns(),
            ..unknown
        })
    }
}

#[cfg(test)]
mod tests;

//! Where a case is played: a rig with a proxy, and the stories that are asked of it.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rowlock_postgres::Server;
use rowlock_proxy::Control;
use tokio::time::timeout;

use super::stories::{Asked, Known, Operation, Stories};
use crate::client::Client;
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::recovery;
use crate::rig::{Parts, Rig};
use crate::setting::Setting;
use crate::subject::Subject;
use crate::target::OnConflict;
use crate::trace::Phase;

/// A rig with a proxy, on which one case after another is played.
#[derive(Debug)]
pub(super) struct Place<'a, S: Stories> {
    server: &'a Server,
    stories: &'a S,
    rig: Rig<S::Subject>,
    control: Control,
    /// Connections that earlier cases have cut, and of which the target may not know it yet: a
    /// pool that is not looked through whole may give one to a later request.
    pub(super) stale: usize,
    /// Whether a rival was seen to wait inside the target, where no lock of the server shows it.
    pub(super) rivals_wait_inside: AtomicBool,
}

impl<'a, S: Stories> Place<'a, S> {
    /// Opens a rig, whose target has been asked once.
    pub(super) async fn open(
        setting: &Setting<'a>,
        stories: &'a S,
    ) -> Result<Self, EnvironmentError> {
        let parts = Parts {
            subject: stories.subject(),
            server: setting.server,
            target: setting.target,
            target_env: &setting.target_env,
            is_proxied: true,
            patience: setting.patience,
            trace: setting.trace.as_ref(),
        };
        let mut rig = Rig::open(parts).await?;
        stories.settle_in(&mut rig).await?;
        let control = rig.proxy().expect("it is proxied").clone();
        Ok(Place {
            server: setting.server,
            stories,
            rig,
            control,
            stale: 0,
            rivals_wait_inside: AtomicBool::new(false),
        })
    }

    /// Puts the rows of a story there.
    pub(super) async fn reset(&self, name: S::Name) -> Result<(), EnvironmentError> {
        let sql = self
            .stories
            .reset_sql(self.known(), name, self.inspector().baseline());
        self.inspector().execute(sql.clone()).await?;
        let subject = self.rig.subject();
        if subject.remembers() {
            subject.restart(&self.rig).await?;
            self.inspector().execute(sql).await?;
        }
        Ok(())
    }

    pub(super) fn stories(&self) -> &'a S {
        self.stories
    }

    pub(super) fn rig(&self) -> &Rig<S::Subject> {
        &self.rig
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    pub(super) fn inspector(&self) -> &Inspector {
        self.rig.inspector()
    }

    pub(super) fn server(&self) -> &'a Server {
        self.server
    }

    pub(super) fn known(&self) -> &Known<S> {
        self.rig.known()
    }

    pub(super) fn on_conflict(&self) -> OnConflict {
        self.rig.target().on_conflict()
    }

    pub(super) fn address(&self, index: usize) -> SocketAddr {
        self.rig.target().address(index)
    }

    /// How a process of the target ended, if one did.
    pub(super) fn exited(&self) -> Option<String> {
        self.rig.target().exited()
    }

    /// Says what the harness does from here on, where what the target sends is written.
    pub(super) fn enter(&self, phase: impl FnOnce() -> Phase) {
        self.rig.enter(phase);
    }

    /// Asks on `client`; the answer comes although nobody waits for it.
    pub(super) fn send(
        &self,
        request: S::Request,
        client: Client,
    ) -> impl Future<Output = Operation<S>> + Send + 'static {
        let sent = tokio::spawn(self.stories.send(self.known(), request, client));
        async { sent.await.expect("a client's task does not panic") }
    }

    /// Asks alone, on a connection of its own.
    pub(super) async fn send_alone(
        &self,
        request: S::Request,
    ) -> Result<Operation<S>, EnvironmentError> {
        let client = self.rig.connect(0, 1).await?;
        Ok(self.send(request, client).await)
    }

    /// Asks again and again up to `deadline`, until an answer `is_final`: every attempt that reached
    /// the target. A target that has ended is not asked again.
    pub(super) async fn until(
        &self,
        request: S::Request,
        deadline: Instant,
        is_final: impl Fn(&Operation<S>) -> bool,
    ) -> Vec<Asked<S>> {
        let ask = |patience| self.attempt(request.clone(), patience);
        let is_over = || self.exited().is_some();
        let operations = recovery::until(ask, deadline, is_final, is_over).await;
        let asked = operations.into_iter().map(|operation| Asked {
            request: request.clone(),
            operation,
        });
        asked.collect()
    }

    /// One attempt on a connection of its own, the connection's opening included in `patience`;
    /// nothing where it did not reach the target.
    async fn attempt(&self, request: S::Request, patience: Duration) -> Option<Operation<S>> {
        let deadline = Instant::now() + patience;
        let connecting = Client::connect(self.address(0), self.rig.clock(), patience);
        let client = timeout(patience, connecting).await.ok()?.ok()?;
        let left = deadline.saturating_duration_since(Instant::now());
        let client = client.with_patience(left);
        let operation = self.send(request, client).await;
        S::was_sent(&operation).then_some(operation)
    }

    /// Stops the target and drops the database.
    pub(super) async fn abandon(self) -> Result<(), EnvironmentError> {
        self.rig.abandon(self.server).await
    }
}

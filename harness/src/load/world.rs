//! Where a load runs: a rig with the rows of a program, from the first of them to the findings.

use std::fmt;
use std::net::SocketAddr;

use rowlock_core::finding::Finding;
use rowlock_postgres::Server;

use super::{Answered, Loaded};
use crate::client::{Client, Clock};
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::rig::{Parts, Rig};
use crate::setting::Setting;
use crate::subject::Operation;
use crate::target::OnConflict;
use crate::trace::Phase;

/// A rig with the rows of a program.
pub struct World<'a, S: Loaded> {
    server: &'a Server,
    rig: Rig<S>,
    program: S::Program,
    before: S::Before,
}

impl<'a, S: Loaded> World<'a, S> {
    /// Opens a rig and puts the rows of `program` there.
    ///
    /// # Errors
    /// As [`Rig::open`] and [`Loaded::begin`].
    pub async fn open(
        setting: &Setting<'a>,
        subject: &S,
        program: S::Program,
    ) -> Result<Self, EnvironmentError> {
        let parts = Parts {
            subject,
            server: setting.server,
            target: setting.target,
            target_env: &setting.target_env,
            is_proxied: false,
            patience: setting.patience,
            trace: setting.trace.as_ref(),
        };
        let rig = Rig::open(parts).await?;
        let before = rig.subject().begin(&rig, &program).await?;
        rig.enter(|| Phase::Load);
        Ok(World {
            server: setting.server,
            rig,
            program,
            before,
        })
    }

    /// The rig.
    pub fn rig(&self) -> &Rig<S> {
        &self.rig
    }

    /// The harness's own way into the database.
    pub fn inspector(&self) -> &Inspector {
        self.rig.inspector()
    }

    /// What the target can do.
    pub fn known(&self) -> &S::Known {
        self.rig.known()
    }

    /// What the target does where it meets others.
    pub fn on_conflict(&self) -> OnConflict {
        self.rig.target().on_conflict()
    }

    /// Where replica `index` of the target listens, counted round and round.
    pub fn address(&self, index: usize) -> SocketAddr {
        self.rig.target().address(index)
    }

    /// The clock of all clients.
    pub fn clock(&self) -> Clock {
        self.rig.clock()
    }

    /// Connects client `index` to its replica.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`].
    pub async fn connect(&self, index: usize) -> Result<Client, EnvironmentError> {
        self.rig.connect(index, index + 1).await
    }

    /// Opens `count` connections, all of which stay open.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`] for the first that failed.
    pub async fn connect_all(&self, count: usize) -> Result<Vec<Client>, EnvironmentError> {
        self.rig.connect_all(count).await
    }

    /// Lets the target come to rest, reads what it left, stops it, and makes every check of
    /// `history`; nothing of it is left then.
    ///
    /// # Errors
    /// The harness's own statements.
    pub async fn end(
        self,
        history: &[Operation<S>],
        broken: bool,
    ) -> Result<Vec<Finding>, EnvironmentError> {
        let mut aftermath = self.inspector().wait_for_rest().await?;
        let subject = self.rig.subject().clone();
        let after = subject.look(&self.rig).await?;
        let rest = self.rig.stop_target().await;
        aftermath.deadlocks = rest.deadlocks().await?;
        let findings = subject.judge_load(Answered {
            known: rest.known(),
            program: &self.program,
            before: &self.before,
            history,
            after: &after,
            aftermath,
            broken,
        });
        rest.drop(self.server).await?;
        Ok(findings)
    }

    /// Stops the target and drops the database without a verdict.
    ///
    /// # Errors
    /// The database could not be dropped.
    pub async fn abandon(self) -> Result<(), EnvironmentError> {
        self.rig.abandon(self.server).await
    }
}

impl<S: Loaded> fmt::Debug for World<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut world = f.debug_struct("World");
        world.field("rig", &self.rig).finish_non_exhaustive()
    }
}

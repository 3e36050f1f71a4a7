//! The rig: a database of its own, a proxy before it where one is wanted, a target on them, what is
//! known of the target, and what is put back between runs.
//!
//! ```text
//!   clients ──▶ target ──▶ (proxy) ──▶ database ◀── inspector, the harness's own way in
//! ```
//!
//! Load, faults and explorer all run on one, so that a target finds the same environment, has the
//! same locks taken for its own, and sees the same rows put back, whoever judges it. Clients connect
//! through it, and tell the time by its clock. It judges nothing, and sends nothing but what the subject
//! asks to know its target.

mod clients;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rowlock_postgres::{Database, Server};
use rowlock_proxy::{Address, Control, Proxy};

use crate::client::Clock;
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::subject::Subject;
use crate::target::{Target, TargetSpec};
use crate::trace::{Phase, RigTrace, TraceFile};
use rowlock_proxy::isolation::Isolation;

/// What a rig is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a, S> {
    /// Who is judged.
    pub subject: &'a S,
    /// The real PostgreSQL.
    pub server: &'a Server,
    /// The service under test.
    pub target: &'a TargetSpec,
    /// What the target's environment holds beside `DATABASE_URL`, `HOST` and `PORT`.
    pub target_env: &'a [(String, String)],
    /// Whether a proxy stands between the target and the database.
    pub is_proxied: bool,
    /// How long clients, and the subject's questions, wait for an answer.
    pub patience: Duration,
    /// What the target sends is written here, which takes a proxy.
    pub trace: Option<&'a TraceFile>,
}

/// A database, a target on it, and what is known of the two.
#[derive(Debug)]
pub struct Rig<S: Subject> {
    subject: S,
    database: Database,
    inspector: Inspector,
    proxy: Option<Proxy>,
    isolation: Option<Arc<Isolation>>,
    trace: Option<Arc<RigTrace>>,
    target: Target,
    known: S::Known,
    clock: Clock,
    patience: Duration,
}

impl<S: Subject> Rig<S> {
    /// Makes a database, starts the target on it, and finds out what the target can do.
    ///
    /// # Errors
    /// Failures of the environment, and what [`Subject::learn`] finds wrong.
    pub async fn open(parts: Parts<'_, S>) -> Result<Rig<S>, EnvironmentError> {
        let clock = Clock::start();
        let subject = parts.subject.clone();
        let name = unique_name();
        let database = match subject.template() {
            Some(template) => parts.server.copy_database(&name, template).await?,
            None => parts.server.create_database(&name).await?,
        };
        let mut inspector = Inspector::open(database.options()).await?;
        subject.lay_out(&inspector).await?;
        let proxy = match parts.is_proxied || parts.trace.is_some() {
            true => {
                let started = Proxy::start(Address::of(&database.options())).await;
                Some(started.map_err(EnvironmentError::Proxy)?)
            }
            false => None,
        };
        let control = proxy.as_ref().map(Proxy::control);
        let trace = control.zip(parts.trace);
        let trace = trace.map(|(control, file)| file.listen(control, database.name()));
        // From its first connection on, until another gate is set.
        let isolation = control.map(Isolation::watch);
        let url = url_of(&database, control);
        let target = Target::start(parts.target, &url, parts.target_env).await?;
        inspector.note_standing_locks().await?;
        let learning = subject.learn(&mut inspector, &target, parts.patience);
        let known = learning.await?;
        Ok(Rig {
            subject,
            database,
            inspector,
            proxy,
            isolation,
            trace,
            target,
            known,
            clock,
            patience: parts.patience,
        })
    }

    /// Who is judged.
    pub fn subject(&self) -> &S {
        &self.subject
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The harness's own way into the database.
    pub fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    /// The same, to remember anew what is put back.
    pub(crate) fn inspector_mut(&mut self) -> &mut Inspector {
        &mut self.inspector
    }

    /// The handle of the proxy, where there is one.
    pub fn proxy(&self) -> Option<&Control> {
        self.proxy.as_ref().map(Proxy::control)
    }

    /// What the target has said of isolation levels since its start and before the first gate was
    /// set; nothing without a proxy.
    pub fn isolation(&self) -> Option<&Arc<Isolation>> {
        self.isolation.as_ref()
    }

    /// Where what the target sends is written, if it is.
    pub fn trace(&self) -> Option<&RigTrace> {
        self.trace.as_deref()
    }

    /// Says what the harness does from here on, where what the target sends is written.
    pub(crate) fn enter(&self, phase: impl FnOnce() -> Phase) {
        if let Some(trace) = &self.trace {
            trace.enter(phase());
        }
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What asking the target has shown.
    pub fn known(&self) -> &S::Known {
        &self.known
    }

    /// Where the target finds the database.
    pub(crate) fn target_url(&self) -> String {
        url_of(&self.database, self.proxy())
    }

    /// Tells, at any time, whether the target has something to do, or opens a connection to the
    /// database; of a target in this process that is not known.
    pub fn activity(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let is_busy = self.target.activity();
        let proxy = self.proxy().cloned();
        let is_opening = move || {
            let sessions = proxy.as_ref().map(Control::sessions).unwrap_or_default();
            sessions.iter().any(|session| session.pid.is_none())
        };
        move || is_opening() || is_busy()
    }

    /// Stops the target and the proxy; the database is still there to be looked at.
    pub async fn stop_target(self) -> Remains<S> {
        self.target.stop().await;
        if let Some(proxy) = self.proxy {
            proxy.stop().await;
        }
        Remains {
            database: self.database,
            inspector: self.inspector,
            known: self.known,
        }
    }

    /// Stops the target and drops the database of `server`.
    ///
    /// # Errors
    /// As [`Remains::drop`].
    pub async fn abandon(self, server: &Server) -> Result<(), EnvironmentError> {
        self.stop_target().await.drop(server).await
    }
}

/// The database of a rig whose target has stopped.
#[derive(Debug)]
pub struct Remains<S: Subject> {
    database: Database,
    inspector: Inspector,
    known: S::Known,
}

impl<S: Subject> Remains<S> {
    /// What asking the target had shown.
    pub fn known(&self) -> &S::Known {
        &self.known
    }

    /// The deadlocks that PostgreSQL broke in the database.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn deadlocks(&self) -> Result<i64, EnvironmentError> {
        Ok(self.inspector.deadlocks().await?)
    }

    /// Drops the database of `server`.
    ///
    /// # Errors
    /// The database could not be dropped.
    pub async fn drop(self, server: &Server) -> Result<(), EnvironmentError> {
        self.inspector.close().await;
        Ok(server.drop_database(&self.database).await?)
    }
}

fn url_of(database: &Database, proxy: Option<&Control>) -> String {
    match proxy {
        None => database.url(),
        Some(control) => database.url_through(control.address()),
    }
}

/// A name that no other rig of this process has.
fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("trial_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

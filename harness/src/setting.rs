//! What load and faults run with, whoever is judged.

use std::time::Duration;

use rowlock_core::seed::Seed;
use rowlock_postgres::Server;

use crate::progress::Progress;
use crate::target::TargetSpec;
use crate::trace::TraceFile;

/// Everything that a scenario or a campaign is run with.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// The real PostgreSQL.
    pub server: &'a Server,
    /// The service under test.
    pub target: &'a TargetSpec,
    /// What the target's environment holds beside `DATABASE_URL`, `HOST` and `PORT`.
    pub target_env: Vec<(String, String)>,
    /// What all random choices come from.
    pub seed: Seed,
    /// How long a client waits for an answer.
    pub patience: Duration,
    /// Where the run says what it is doing.
    pub progress: &'a Progress,
    /// Where what the target sends is written, if it is; it then has a proxy before its database.
    pub trace: Option<TraceFile>,
}

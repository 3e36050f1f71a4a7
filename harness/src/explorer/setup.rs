//! What a place needs to run a program.

use std::sync::Arc;

use rowlock_postgres::Server;

use crate::shop::Shop;
use crate::target::TargetSpec;
use crate::trace::TraceFile;
use rowlock_explorer::Bounds;

/// What every worker needs.
#[derive(Debug, Clone)]
pub struct Setup<S = Shop> {
    /// Who is judged.
    pub subject: S,
    /// The real PostgreSQL.
    pub server: Arc<Server>,
    /// The service under test.
    pub target: TargetSpec,
    /// What the target's environment holds beside `DATABASE_URL`, `HOST` and `PORT`.
    pub target_env: Vec<(String, String)>,
    /// How long the conductor waits.
    pub bounds: Bounds,
    /// Where what the target sends is written, if it is.
    pub trace: Option<TraceFile>,
}

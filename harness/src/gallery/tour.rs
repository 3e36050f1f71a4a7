//! Every exhibit before every detector.
//!
//! Two tours go side by side, since most of both is waiting: one with loads and faults, on a
//! server that breaks deadlocks as every server does, and one with the explorer, on a server
//! that leaves them to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rowlock_core::seed::Seed;
use rowlock_postgres::Server;
use tokio::time::timeout;

use super::breaking::break_steps;
use super::detector::{COLUMNS, Column};
use super::exhibit::{Exhibit, Kind};
use super::exploring::Explorer;
use super::loading::load;
use super::report::{Report, Row, Standing};
use super::sighting::{Seen, Sighting};
use crate::environment::EnvironmentError;
use crate::explorer::Witness;
use crate::progress::Progress;
use crate::world::Setting;

/// How many buyers `concurrent-buyers` lets go at once.
const BUYERS: usize = 200;

/// The stocks that they fight for.
const STOCKS: [i64; 2] = [1, 100];

/// How long a client waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a scenario, or the faults, may take with a mutant that they must catch. Some mutants
/// hang, and so would the tour.
const BOUND: Duration = Duration::from_secs(40);

/// The same for a mutant that others must catch. One that hangs then is not waited for again.
const GLANCE: Duration = Duration::from_secs(10);

/// What every exhibit's target is given. A lock or a connection that is never given back is
/// waited for no longer than the small load of the tour could take; no exhibit has other
/// timeouts than the others.
const TARGET_ENV: [(&str, &str); 2] = [("LOCK_TIMEOUT_MS", "1000"), ("ACQUIRE_TIMEOUT_MS", "5000")];

/// What a tour needs.
#[derive(Debug)]
pub struct Tour<'a> {
    /// What must pass before anything is shown.
    pub baseline: Exhibit,
    /// The `rowlock` command, for exhibits that are processes.
    pub rowlock: &'a Path,
    /// For loads and faults.
    pub server: &'a Server,
    /// For the explorer: it must break no deadlock before that is seen.
    pub exploring: &'a Arc<Server>,
    /// What all random choices come from.
    pub seed: Seed,
    /// Whether the explorer's violations are shrunk to witnesses.
    pub wants_witnesses: bool,
    /// Where it says what it is doing.
    pub progress: &'a Progress,
}

/// A tour's report, and a witness for each exhibit that the explorer caught, if they are wanted.
pub type Toured = (Report, BTreeMap<&'static str, Witness>);

impl Tour<'_> {
    /// Brings the baseline before every detector, and if none accuses it, every exhibit.
    ///
    /// # Errors
    /// What kept a witness from being made. What keeps a detector from concluding is a sighting.
    pub async fn run(&self, exhibits: &[Exhibit]) -> Result<Toured, EnvironmentError> {
        let start = Instant::now();
        let (mut rows, mut witnesses) = self.show(&[self.baseline]).await?;
        let is_right = rows.iter().all(|row| row.standing() == Standing::Acquitted);
        if is_right {
            let (shown, caught) = self.show(exhibits).await?;
            rows.extend(shown);
            witnesses = caught;
        }
        let report = Report::new(self.seed, self.server.description(), start.elapsed(), rows);
        Ok((report, witnesses))
    }

    async fn show(
        &self,
        exhibits: &[Exhibit],
    ) -> Result<(Vec<Row>, BTreeMap<&'static str, Witness>), EnvironmentError> {
        let loads = async { Ok(self.load_all(exhibits).await) };
        let (loaded, explored) = futures::try_join!(loads, self.explore_all(exhibits))?;
        let mut witnesses = BTreeMap::new();
        let mut rows = Vec::new();
        for ((exhibit, mut cells), (sighting, witness)) in exhibits.iter().zip(loaded).zip(explored)
        {
            cells.push((Column::Explorer, sighting));
            witnesses.extend(witness.map(|witness| (exhibit.name(), witness)));
            rows.push(Row::new(exhibit, cells));
        }
        Ok((rows, witnesses))
    }

    async fn explore_all(
        &self,
        exhibits: &[Exhibit],
    ) -> Result<Vec<(Sighting, Option<Witness>)>, EnvironmentError> {
        let mut all = Vec::new();
        for (index, exhibit) in exhibits.iter().enumerate() {
            self.say(exhibits, index, Column::Explorer);
            let explorer = Explorer {
                server: self.exploring,
                target: exhibit.target(self.rowlock),
                seed: self.seed,
                wants_witness: self.wants_witnesses,
            };
            let (sighting, witness) = explorer.explore(exhibit).await?;
            tracing::debug!(exhibit = exhibit.name(), ?sighting, "before the explorer");
            all.push((sighting, witness));
        }
        Ok(all)
    }

    fn say(&self, exhibits: &[Exhibit], index: usize, column: Column) {
        let (name, count) = (exhibits[index].name(), exhibits.len());
        let what = format!("{} of {count}: {name} before {}", index + 1, column.name());
        self.progress.say(what);
    }

    async fn load_all(&self, exhibits: &[Exhibit]) -> Vec<Vec<(Column, Sighting)>> {
        let mut all = Vec::new();
        for (index, exhibit) in exhibits.iter().enumerate() {
            let mut cells = Vec::new();
            let columns = COLUMNS
                .into_iter()
                .filter(|column| *column != Column::Explorer);
            let (first, then): (Vec<_>, Vec<_>) = columns.partition(|it| exhibit.expects(*it));
            for column in first.into_iter().chain(then) {
                self.say(exhibits, index, column);
                let (sighting, hung) = self.bring(exhibit, column).await;
                tracing::debug!(exhibit = exhibit.name(), ?column, ?sighting, "brought");
                cells.push((column, sighting));
                if hung && !exhibit.expects(column) {
                    break;
                }
            }
            cells.sort_by_key(|(column, _)| COLUMNS.iter().position(|known| known == column));
            all.push(cells);
        }
        all
    }

    /// Brings an exhibit before a scenario or the faults; says too whether it hung.
    async fn bring(&self, exhibit: &Exhibit, column: Column) -> (Sighting, bool) {
        let target = exhibit.target(self.rowlock);
        let hidden = Progress::hidden();
        let setting = Setting {
            server: self.server,
            target: &target,
            target_env: TARGET_ENV
                .map(|(name, value)| (name.into(), value.into()))
                .to_vec(),
            seed: self.seed,
            buyers: BUYERS,
            stocks: STOCKS.to_vec(),
            max_conflicts: None,
            patience: PATIENCE,
            progress: &hidden,
            trace: None,
        };
        let seen = async {
            match column {
                Column::Scenario(name) => load(&setting, name).await,
                Column::Faults | Column::Explorer => break_steps(&setting, exhibit).await,
            }
        };
        if exhibit.kind != Kind::Mutant {
            return (seen.await, false);
        }
        let bound = match exhibit.expects(column) {
            true => BOUND,
            false => GLANCE,
        };
        match timeout(bound, seen).await {
            Ok(sighting) => (sighting, false),
            Err(_) => {
                let why = format!("it did not end within {} s", bound.as_secs());
                (Sighting::new(Seen::Inconclusive { why }, 0, bound), true)
            }
        }
    }
}

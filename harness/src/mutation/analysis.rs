//! Every variant under every detector.
//!
//! Two halves go side by side, since most of both is waiting: one with loads and faults, on a
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
use super::by_contract::{BROKEN, ByContract};
use super::detection::{Detected, Detection};
use super::detector::{COLUMNS, Column};
use super::exploring::Explorer;
use super::loading::load;
use super::plan;
use super::report::{Report, Row, Status};
use super::variant::{Kind, Variant};
use crate::environment::EnvironmentError;
use crate::explorer::Witness;
use crate::progress::Progress;
use crate::setting::Setting;
use crate::shop::Shop;
use crate::shop::scenario::Load;
use crate::subject::Subject;

/// How many buyers `concurrent-buyers` lets go at once.
const BUYERS: usize = 200;

/// The stocks that they fight for.
const STOCKS: [i64; 2] = [1, 100];

/// How long a client waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a scenario, or the faults, may take with a mutant that they must catch. Some mutants
/// hang, and so would the analysis.
const BOUND: Duration = Duration::from_secs(40);

/// The same for a mutant that others must catch. One that hangs then is not waited for again.
const GLANCE: Duration = Duration::from_secs(10);

/// What every variant's target is given. A lock or a connection that is never given back is
/// waited for no longer than the small load of the analysis could take; no variant has other
/// timeouts than the others.
const TARGET_ENV: [(&str, &str); 2] = [("LOCK_TIMEOUT_MS", "1000"), ("ACQUIRE_TIMEOUT_MS", "5000")];

/// What an analysis needs.
#[derive(Debug)]
pub struct Analysis<'a> {
    /// What must pass before anything else is tried.
    pub baseline: Variant,
    /// The `rowlock` command, for variants that are processes.
    pub rowlock: &'a Path,
    /// For loads and faults.
    pub server: &'a Server,
    /// For the explorer: it must break no deadlock before that is seen.
    pub exploring: &'a Arc<Server>,
    /// The detectors that are tried.
    pub columns: &'a [Column],
    /// What all random choices come from.
    pub seed: Seed,
    /// Whether the explorer's violations are shrunk to witnesses.
    pub wants_witnesses: bool,
    /// Where it says what it is doing.
    pub progress: &'a Progress,
}

/// An analysis's report, and a witness for each variant that the explorer caught, if they are
/// wanted.
pub type Analysed = (Report, BTreeMap<&'static str, Witness>);

/// What the detectors made of one variant.
type Cells = Vec<(Column, Detection)>;

impl Analysis<'_> {
    /// Tries every detector on the baseline, and if that passes, on every variant.
    ///
    /// # Errors
    /// What kept a witness from being made. What keeps a detector from concluding is in its
    /// detection.
    pub async fn run(&self, variants: &[Variant]) -> Result<Analysed, EnvironmentError> {
        let start = Instant::now();
        let (mut rows, mut witnesses) = self.detect_all(&[self.baseline]).await?;
        let is_right = rows.iter().all(|row| row.status() == Status::Passed);
        if is_right {
            let (detected, caught) = self.detect_all(variants).await?;
            rows.extend(detected);
            witnesses = caught;
        }
        let elapsed = start.elapsed();
        let mut report = Report::new(self.seed, self.server.description(), elapsed, rows);
        report.columns = self.columns().collect();
        Ok((report, witnesses))
    }

    /// The chosen detectors, in the order of the report.
    fn columns(&self) -> impl Iterator<Item = Column> {
        let all = COLUMNS.into_iter();
        all.filter(|column| self.columns.contains(column))
    }

    async fn detect_all(
        &self,
        variants: &[Variant],
    ) -> Result<(Vec<Row>, BTreeMap<&'static str, Witness>), EnvironmentError> {
        let loads = self.load_all(variants);
        let (loaded, explored) = futures::try_join!(loads, self.explore_all(variants))?;
        let mut witnesses = BTreeMap::new();
        let mut rows = Vec::new();
        for ((variant, mut cells), (more, witness)) in variants.iter().zip(loaded).zip(explored) {
            cells.extend(more);
            cells.sort_by_key(|(column, _)| COLUMNS.iter().position(|known| known == column));
            witnesses.extend(witness.map(|witness| (variant.name(), witness)));
            rows.push(Row::new(variant, cells));
        }
        Ok((rows, witnesses))
    }

    async fn explore_all(
        &self,
        variants: &[Variant],
    ) -> Result<Vec<(Cells, Option<Witness>)>, EnvironmentError> {
        let columns: Vec<_> = self.columns().filter(|column| column.explores()).collect();
        let by_contract = match columns.contains(&Column::SerialExplorer) {
            true => Some(ByContract::new(self.exploring).await?),
            false => None,
        };
        let mut all = Vec::new();
        for (index, variant) in variants.iter().enumerate() {
            let (mut cells, mut kept) = (Cells::new(), None);
            for column in &columns {
                self.say(variants, index, *column);
                let (detection, witness) = match &by_contract {
                    Some(shop) if *column == Column::SerialExplorer => {
                        let explorer = self.explorer(variant, shop.subject(variant, self.rowlock));
                        let plan = plan::of_contract(shop.contract(), variant);
                        (explorer.explore(variant, plan).await?.0, None)
                    }
                    _ => {
                        let explorer = self.explorer(variant, Shop);
                        explorer.explore(variant, plan::of_shop(variant)).await?
                    }
                };
                tracing::debug!(variant = variant.name(), ?column, ?detection, "explored");
                cells.push((*column, detection));
                kept = kept.or(witness);
            }
            all.push((cells, kept));
        }
        if let Some(by_contract) = by_contract {
            by_contract.discard(self.exploring).await?;
        }
        Ok(all)
    }

    fn explorer<S: Subject>(&self, variant: &Variant, subject: S) -> Explorer<'_, S> {
        Explorer {
            subject,
            server: self.exploring,
            target: variant.target(self.rowlock),
            seed: self.seed,
            wants_witness: self.wants_witnesses,
        }
    }

    fn say(&self, variants: &[Variant], index: usize, column: Column) {
        let (name, count) = (variants[index].name(), variants.len());
        let what = format!("{} of {count}: {name} before {}", index + 1, column.name());
        self.progress.say(what);
    }

    async fn load_all(&self, variants: &[Variant]) -> Result<Vec<Cells>, EnvironmentError> {
        let columns: Vec<_> = self.columns().filter(|column| !column.explores()).collect();
        let by_contract = match columns.contains(&Column::SerialFaults) {
            true => Some(ByContract::new(self.server).await?),
            false => None,
        };
        let mut all = Vec::new();
        for (index, variant) in variants.iter().enumerate() {
            let mut cells = Cells::new();
            let columns = columns.iter().copied();
            let (first, then): (Vec<_>, Vec<_>) = columns.partition(|it| variant.expects(*it));
            for column in first.into_iter().chain(then) {
                self.say(variants, index, column);
                let (detection, hung) = self.detect(variant, column, by_contract.as_ref()).await;
                tracing::debug!(variant = variant.name(), ?column, ?detection, "tried");
                cells.push((column, detection));
                if hung && !variant.expects(column) {
                    break;
                }
            }
            all.push(cells);
        }
        if let Some(by_contract) = by_contract {
            by_contract.discard(self.server).await?;
        }
        Ok(all)
    }

    /// Tries a scenario or the faults on a variant; says too whether it hung.
    async fn detect(
        &self,
        variant: &Variant,
        column: Column,
        by_contract: Option<&ByContract>,
    ) -> (Detection, bool) {
        let target = variant.target(self.rowlock);
        let hidden = Progress::hidden();
        let setting = Setting {
            server: self.server,
            target: &target,
            target_env: TARGET_ENV
                .map(|(name, value)| (name.into(), value.into()))
                .to_vec(),
            seed: self.seed,
            patience: PATIENCE,
            progress: &hidden,
            trace: None,
        };
        let stories = by_contract.and_then(|shop| shop.stories(variant, self.rowlock));
        let seen = async {
            match (column, &stories) {
                (Column::Scenario(name), _) => {
                    let little = Load {
                        buyers: BUYERS,
                        stocks: STOCKS.to_vec(),
                        max_conflicts: None,
                    };
                    load(&setting, &little, name).await
                }
                (Column::SerialFaults, Some(stories)) => {
                    break_steps(&setting, (stories, &[BROKEN]), variant).await
                }
                _ => break_steps(&setting, (&Shop, &[]), variant).await,
            }
        };
        if variant.kind != Kind::Mutant {
            return (seen.await, false);
        }
        let bound = match variant.expects(column) {
            true => BOUND,
            false => GLANCE,
        };
        match timeout(bound, seen).await {
            Ok(detection) => (detection, false),
            Err(_) => {
                let why = format!("it did not end within {} s", bound.as_secs());
                // It may have been about to start the server again, which the next detector needs.
                let why = match self.server.start_again().await {
                    Err(error) if self.server.can_restart() => {
                        format!("{why}, and left a server that does not start: {error}")
                    }
                    _ => why,
                };
                let seen = Detected::Inconclusive { why };
                (Detection::new(seen, 0, bound), true)
            }
        }
    }
}

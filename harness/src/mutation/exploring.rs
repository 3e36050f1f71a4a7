//! A plan of searches by the explorer, until one finds a violation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;

use super::detection::{Detected, Detection};
use super::plan::Look;
use super::variant::{Kind, Variant};
use crate::environment::EnvironmentError;
use crate::explorer::{Bounds, Run, Search, SerialRunner, Setup, Witness, replay, shrink};
use crate::subject::Subject;
use crate::target::TargetSpec;

/// After this time no further search is begun on a mutant.
const BOUND: Duration = Duration::from_secs(20);

/// The most runs to make a violation smaller.
const SHRINKING: usize = 120;

/// How many schedules of one search run at a time. Other variants take the other core.
const WORKERS: usize = 2;

/// Where and how a variant is explored.
#[derive(Debug)]
pub(super) struct Explorer<'a, S> {
    /// Who is judged.
    pub(super) subject: S,
    /// Breaks no deadlock by itself.
    pub(super) server: &'a Arc<Server>,
    pub(super) target: TargetSpec,
    pub(super) seed: Seed,
    /// Whether a violation is shrunk to a witness.
    pub(super) wants_witness: bool,
}

/// What came of it, and a witness if there is one and it is wanted.
pub(super) type Explored<S> = (Detection, Option<Witness<<S as Subject>::Program>>);

impl<S: Subject> Explorer<'_, S> {
    /// Explores `variant` by `plan`, until it is caught.
    ///
    /// # Errors
    /// A witness that could not be made.
    pub(super) async fn explore(
        &self,
        variant: &Variant,
        plan: Vec<Look<S::Program>>,
    ) -> Result<Explored<S>, EnvironmentError> {
        let start = Instant::now();
        let mut runs = 0;
        let mut why = None;
        for look in plan {
            if variant.kind == Kind::Mutant && start.elapsed() > BOUND {
                break;
            }
            let search = self.search(&look);
            let mut strategy = look.strategy(self.seed);
            let explored = match search.run(strategy.as_mut(), |_| {}).await {
                Ok(explored) => explored,
                Err(EnvironmentError::NotAsked(_)) => continue,
                Err(error) => {
                    let failed = error.in_full();
                    why.get_or_insert(format!("{}: {failed}", look.describe()));
                    continue;
                }
            };
            runs += explored.found_at.unwrap_or(explored.schedules);
            if let Some(run) = &explored.violation {
                let seen = Detected::Caught {
                    by: format!("{}, schedule {}", look.describe(), run.execution.schedule),
                    violated: run.violated().map(|finding| finding.name.clone()).collect(),
                };
                let detection = Detection::new(seen, runs, start.elapsed());
                let witness = self.witness(&search, variant, run).await?;
                return Ok((detection, witness));
            }
            if let Some(open) = look.left_open(&explored, variant) {
                why.get_or_insert(format!("{}: {open}", look.describe()));
            }
        }
        let seen = why.map_or(Detected::Nothing, |why| Detected::Inconclusive { why });
        Ok((Detection::new(seen, runs, start.elapsed()), None))
    }

    fn search(&self, look: &Look<S::Program>) -> Search<S> {
        Search {
            setup: Setup {
                subject: self.subject.clone(),
                target_env: Vec::new(),
                server: Arc::clone(self.server),
                target: self.target.clone(),
                bounds: Bounds::default(),
                trace: None,
            },
            program: look.program.clone(),
            workers: WORKERS,
            budget: look.budget,
            keep_going: false,
        }
    }

    /// The smallest evidence that was found and replays, if it is wanted. It names the mutant, so that it
    /// replays on it.
    async fn witness(
        &self,
        search: &Search<S>,
        variant: &Variant,
        run: &Run<S::Program>,
    ) -> Result<Option<Witness<S::Program>>, EnvironmentError> {
        let first = run.violated().next();
        let Some(first) = first.filter(|_| self.wants_witness) else {
            return Ok(None);
        };
        let mut runner = SerialRunner::<S>::new(search.setup.clone());
        let program = &search.program;
        let shrunk = shrink(&mut runner, program, run, &first.name, SHRINKING).await?;
        runner.close().await?;
        let target = format!("mutant {}", variant.name());
        // What was shrunk may have hung on the state of a connection, which a schedule does not
        // know; the violation as it was found is then the better evidence.
        for (program, run) in [(&shrunk.program, &shrunk.run), (program, run)] {
            let Some(witness) = Witness::new(&target, program, run) else {
                continue;
            };
            let mut runner = SerialRunner::<S>::new(search.setup.clone());
            let (replayed, _) = replay(&mut runner, &witness).await?;
            runner.close().await?;
            if replayed.verdict() == Verdict::Violation {
                return Ok(Some(witness));
            }
        }
        Ok(None)
    }
}

//! Programs under the explorer's strategies.
//!
//! Every interleaving of two requests, program by program; then what those cannot show: three
//! requests at once, and two statements at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;
use rowlock_shop::program::{self, PROGRAMS, Program, Template};

use super::detection::{Detected, Detection};
use super::variant::{Kind, Variant};
use crate::environment::EnvironmentError;
use crate::explorer::search::Budget;
use crate::explorer::strategies::{Dfs, Overlap, Pct};
use crate::explorer::{
    Bounds, Exploration, Run, Search, SerialRunner, Setup, Strategy, Witness, replay, shrink,
};
use crate::mutants::Detector;
use crate::shop::Shop;
use crate::target::TargetSpec;

/// The most schedules of a program under each strategy that is not exhaustive.
const SAMPLE: u64 = 60;

/// The time for a program by which a mutant is not expected to be caught.
const GLANCE: Duration = Duration::from_secs(1);

/// After this time no further program is tried on a mutant.
const BOUND: Duration = Duration::from_secs(20);

/// For every interleaving of two requests there is this much time.
const EXHAUSTION: Duration = Duration::from_secs(60);

/// The most runs to make a violation smaller.
const SHRINKING: usize = 120;

/// Ordering constraints of the bugs that are looked for among three requests.
const DEPTH: usize = 3;

/// How many schedules of one search run at a time. Other variants take the other core.
const WORKERS: usize = 2;

/// Where and how a variant is explored.
#[derive(Debug)]
pub(super) struct Explorer<'a> {
    /// Breaks no deadlock by itself.
    pub(super) server: &'a Arc<Server>,
    pub(super) target: TargetSpec,
    pub(super) seed: Seed,
    /// Whether a violation is shrunk to a witness.
    pub(super) wants_witness: bool,
}

/// One search of the plan.
struct Look {
    program: Program,
    how: How,
    budget: Budget,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Exhaustive,
    Overlapping,
    Probabilistic,
}

impl Explorer<'_> {
    /// Explores `variant`: every program in full, or for a mutant, first those that must catch it
    /// and then a glance at the others, until it is caught.
    ///
    /// # Errors
    /// A witness that could not be made.
    pub(super) async fn explore(
        &self,
        variant: &Variant,
    ) -> Result<(Detection, Option<Witness>), EnvironmentError> {
        let start = Instant::now();
        let mut runs = 0;
        let mut why = None;
        for look in plan(variant) {
            if variant.kind == Kind::Mutant && start.elapsed() > BOUND {
                break;
            }
            let search = self.search(&look);
            let mut strategy = look.strategy(self.seed);
            let explored = match search.run(strategy.as_mut(), |_| {}).await {
                Ok(explored) => explored,
                Err(EnvironmentError::NotAsked(_)) => continue,
                Err(error) => {
                    let Detected::Inconclusive { why: failed } = Detected::failed(&error) else {
                        continue;
                    };
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

    fn search(&self, look: &Look) -> Search {
        Search {
            setup: Setup {
                subject: Shop,
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
        search: &Search,
        variant: &Variant,
        run: &Run,
    ) -> Result<Option<Witness>, EnvironmentError> {
        let first = run.violated().next();
        let Some(first) = first.filter(|_| self.wants_witness) else {
            return Ok(None);
        };
        let mut runner = SerialRunner::new(search.setup.clone());
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
            let mut runner = SerialRunner::new(search.setup.clone());
            let (replayed, _) = replay(&mut runner, &witness).await?;
            runner.close().await?;
            if replayed.verdict() == Verdict::Violation {
                return Ok(Some(witness));
            }
        }
        Ok(None)
    }
}

/// The searches of `variant`, in order.
fn plan(variant: &Variant) -> Vec<Look> {
    if variant.kind != Kind::Mutant {
        return PROGRAMS
            .iter()
            .flat_map(|template| in_full(template, Budget::Time(EXHAUSTION)))
            .collect();
    }
    let expected = variant
        .expected
        .iter()
        .filter_map(|detector| match detector {
            Detector::Explorer(name) => program::find(name),
            _ => None,
        });
    let expected: Vec<_> = expected.collect();
    let is_other = |template: &&Template| expected.iter().all(|known| known.name != template.name);
    let others = PROGRAMS.iter().filter(is_other);
    let full = expected
        .iter()
        .flat_map(|template| in_full(template, Budget::Time(EXHAUSTION)));
    let glances = others.map(|template| Look {
        program: template.program(2),
        how: How::Exhaustive,
        budget: Budget::Time(GLANCE),
    });
    full.chain(glances).collect()
}

fn in_full(template: &Template, exhaustion: Budget) -> [Look; 3] {
    let look = |buyers, how, budget| Look {
        program: template.program(buyers),
        how,
        budget,
    };
    [
        look(2, How::Exhaustive, exhaustion),
        look(2, How::Overlapping, Budget::Schedules(SAMPLE)),
        look(3, How::Probabilistic, Budget::Schedules(SAMPLE)),
    ]
}

impl Look {
    fn strategy(&self, seed: Seed) -> Box<dyn Strategy> {
        match self.how {
            How::Exhaustive => Box::new(Dfs::default()),
            How::Overlapping => Box::new(Overlap::default()),
            How::Probabilistic => Box::new(Pct::new(seed, self.program.requests.len(), DEPTH)),
        }
    }

    fn describe(&self) -> String {
        let how = match self.how {
            How::Exhaustive => "dfs",
            How::Overlapping => "overlap",
            How::Probabilistic => "pct",
        };
        format!("{} {how}", self.program.name)
    }

    /// What a search that found nothing did not decide. A sample claims no more than its runs;
    /// what was to be exhaustive has to be.
    fn left_open(&self, explored: &Exploration, variant: &Variant) -> Option<String> {
        if let Some((why, times)) = explored.lost.iter().next() {
            return Some(format!("control was lost {times} times: {why}"));
        }
        let is_exhaustive = self.how == How::Exhaustive && variant.kind != Kind::Mutant;
        if explored.schedules == 0 || is_exhaustive && explored.verdict() != Verdict::Valid {
            let incomplete = explored.incomplete.first();
            return Some(incomplete.map_or(
                "the budget ended before the search did".into(),
                Clone::clone,
            ));
        }
        None
    }
}

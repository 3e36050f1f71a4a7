//! Traces stories, plans what is explored, and explores it.

use rowlock_contract::Contract;
use rowlock_core::verdict::Verdict;
use rowlock_explorer::Runner;
use rowlock_explorer::search::Budget;
use rowlock_explorer::strategies::{Bounded, Dfs, Guided};

use super::candidates;
use super::lock_order::LockOrder;
use super::relation::Relation;
use super::story::StoryTrace;
use super::suspicion::Suspicions;
use crate::contract::{ContractSubject, Participant, Program};
use crate::environment::EnvironmentError;
use crate::explorer::{Exploration, Follow, Run, Search, SerialRunner, Setup};

/// How often a story is told alone until the harness decides about every step.
const ATTEMPTS: usize = 3;

/// How often a story that cannot meet another is left in its midst for it.
const PREEMPTIONS: usize = 2;

/// Hunts on one contract.
#[derive(Debug)]
pub struct Hunter {
    setup: Setup<ContractSubject>,
    runner: SerialRunner<ContractSubject>,
    traced: Vec<Traced>,
}

/// A story that was told alone.
#[derive(Debug)]
struct Traced {
    program: Program,
    story: StoryTrace,
}

/// What is to be explored.
#[derive(Debug, Default)]
pub struct Plan {
    /// Stories that are wrong alone, each with the run that shows it.
    pub wrong_alone: Vec<(Program, Box<Run<Program>>)>,
    /// Stories together, the most suspicious first.
    pub planned: Vec<Planned>,
}

/// Stories together.
#[derive(Debug)]
pub struct Planned {
    /// They, and their rows.
    pub program: Program,
    /// Whether they can meet.
    pub relation: Relation,
}

impl Hunter {
    /// Starts nothing yet.
    pub fn new(setup: Setup<ContractSubject>) -> Hunter {
        Hunter {
            runner: SerialRunner::new(setup.clone()),
            setup,
            traced: Vec::new(),
        }
    }

    /// What it is set up with.
    pub fn setup(&self) -> &Setup<ContractSubject> {
        &self.setup
    }

    /// Tells each story of `contract` alone, and works out which pairs can meet; for more `calls`
    /// than two, also triples and so on. `on_story` hears of each that is told.
    ///
    /// # Errors
    /// Failures of the environment, and a story that is not ok alone.
    pub async fn plan(
        &mut self,
        contract: &Contract,
        calls: usize,
        mut on_story: impl FnMut(&str),
    ) -> Result<Plan, EnvironmentError> {
        let mut plan = Plan::default();
        let programs = (2..=calls.max(2)).flat_map(|size| candidates::of(contract, size));
        for mut program in programs {
            let mut stories = Vec::new();
            for participant in &program.actors {
                let known = self.known(&program, participant);
                let at = match known {
                    Some(at) => at,
                    None => {
                        on_story(&participant.label());
                        let (traced, run) = self.trace(&program, participant).await?;
                        if run.verdict() == Verdict::Violation {
                            let wrong = (traced.program.clone(), Box::new(run));
                            plan.wrong_alone.push(wrong);
                        }
                        self.traced.push(traced);
                        self.traced.len() - 1
                    }
                };
                stories.push(at);
            }
            let refused = stories
                .iter()
                .flat_map(|at| &self.traced[*at].program.refused);
            program.refused = refused.cloned().collect();
            program.refused.dedup();
            let stories: Vec<_> = stories.iter().map(|at| &self.traced[*at].story).collect();
            let relation = Relation::of(&stories);
            plan.planned.push(Planned { program, relation });
        }
        // Those of which nothing is suspected come last.
        plan.planned.sort_by_key(Planned::rank);
        Ok(plan)
    }

    fn known(&self, program: &Program, participant: &Participant) -> Option<usize> {
        let mut traced = self.traced.iter();
        traced.position(|traced| {
            traced.program.rows == program.rows
                && traced.program.actors[..] == [participant.clone()]
        })
    }

    /// Tells a story alone. Where it is not ok it must be one that is refused.
    async fn trace(
        &mut self,
        of: &Program,
        participant: &Participant,
    ) -> Result<(Traced, Run<Program>), EnvironmentError> {
        let mut program = Program {
            name: format!("{} alone", participant.label()),
            rows: of.rows.clone(),
            with: of.with.clone(),
            actors: vec![participant.clone()],
            refused: Vec::new(),
            whole_stories: of.whole_stories,
        };
        let run = match self.tell(&program).await {
            Err(EnvironmentError::Contract(why)) => {
                program.refused = vec![participant.actor.clone()];
                match self.tell(&program).await {
                    Err(EnvironmentError::Contract(_)) => {
                        return Err(EnvironmentError::Contract(why));
                    }
                    told => told?,
                }
            }
            told => told?,
        };
        let story = StoryTrace::of(&run.execution);
        Ok((Traced { program, story }, run))
    }

    async fn tell(&mut self, program: &Program) -> Result<Run<Program>, EnvironmentError> {
        let mut attempts = 1;
        loop {
            let run = self.runner.run(program, &mut Follow::default()).await?;
            let is_kept = run.execution.control.is_kept();
            if is_kept || attempts == ATTEMPTS || run.verdict() == Verdict::Violation {
                return Ok(run);
            }
            attempts += 1;
        }
    }

    /// Explores `program`, what is suspicious about it first.
    ///
    /// # Errors
    /// Failures of the environment.
    pub async fn explore(
        &self,
        program: &Program,
        suspicions: &Suspicions,
        budget: Budget,
        workers: usize,
        on_run: impl FnMut(&Run<Program>),
    ) -> Result<Exploration<Program>, EnvironmentError> {
        let mut strategy = Guided::new(suspicions.guides.iter().cloned(), Dfs::default());
        let search = self.search(program, budget, workers);
        search.run(&mut strategy, on_run).await
    }

    /// Explores `program`, whose stories are said to be unable to meet, without what says so: no
    /// schedule is left out as equivalent to another.
    ///
    /// # Errors
    /// Failures of the environment.
    pub async fn explore_unreduced(
        &self,
        program: &Program,
        budget: Budget,
        workers: usize,
        on_run: impl FnMut(&Run<Program>),
    ) -> Result<Exploration<Program>, EnvironmentError> {
        let search = self.search(program, budget, workers);
        search.run(&mut Bounded::new(PREEMPTIONS), on_run).await
    }

    fn search(&self, program: &Program, budget: Budget, workers: usize) -> Search<ContractSubject> {
        Search {
            workers: match self.setup.target.may_run_twice() {
                true => workers,
                false => 1,
            },
            setup: self.setup.clone(),
            program: program.clone(),
            budget,
            keep_going: false,
        }
    }

    /// The run that deadlocks on a lock order, if it does where the order suggests it.
    ///
    /// # Errors
    /// Failures of the environment.
    pub async fn confirm(
        &mut self,
        program: &Program,
        order: &LockOrder,
    ) -> Result<Option<Run<Program>>, EnvironmentError> {
        let mut guide = order.guide.clone();
        let run = self.runner.run(program, &mut guide).await?;
        Ok(run.execution.deadlock().is_some().then_some(run))
    }

    /// Takes away what stories were told on.
    ///
    /// # Errors
    /// What could not be taken away.
    pub async fn close(self) -> Result<(), EnvironmentError> {
        self.runner.close().await
    }
}

impl Planned {
    /// Its place in the order of the hunt.
    fn rank(&self) -> (bool, Option<super::Kind>, usize) {
        match &self.relation {
            Relation::CannotConflict(_) => (true, None, 0),
            Relation::MayConflict(suspicions) => {
                let first = suspicions.told.first().map(|it| it.kind);
                (false, first, self.program.actors.len())
            }
        }
    }
}

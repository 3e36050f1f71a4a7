//! What a search comes to, from what its runs came to.

use rowlock_core::finding::Finding;
use rowlock_shop::program::Program;

use super::*;
use crate::coverage;
use crate::execution::Execution;
use crate::run::Assessment;
use crate::runner::Runner;
use crate::strategies::Dfs;
use crate::strategy::Chooser;

fn run_with(found: &[(&str, Checked)]) -> Run<Program> {
    let finding = |(name, outcome): &(&str, Checked)| Finding {
        outcome: outcome.clone(),
        ..Finding::new(name, "what must hold", Vec::new())
    };
    Run {
        execution: Execution::default(),
        assessment: Assessment {
            findings: found.iter().map(finding).collect(),
            ..Assessment::default()
        },
    }
}

/// A search that made these runs and had nothing more to make.
fn searched(runs: Vec<Run<Program>>) -> Exploration<Program> {
    let mut progress = Progress::new(Budget::Unlimited);
    progress.exhausted = true;
    for run in runs {
        progress.take(Box::new(run));
    }
    progress.end()
}

#[test]
fn a_check_that_could_not_be_made_leaves_the_whole_inconclusive_and_says_why() {
    let holds = || run_with(&[("linearizable", Checked::Holds)]);
    assert_eq!(searched(vec![holds()]).verdict(), Verdict::Valid);
    let unchecked = Checked::Unchecked("too many orders".to_owned());
    let found = searched(vec![holds(), run_with(&[("linearizable", unchecked)])]);
    assert_eq!(found.verdict(), Verdict::Inconclusive);
    let text = coverage::render(&found);
    assert!(
        text.contains("not checked, 1 times: linearizable: too many orders"),
        "{text}"
    );
}

#[test]
fn a_check_that_applied_in_no_run_is_told_by_name() {
    let not = || Checked::NotApplicable("no rows".to_owned());
    let found = searched(vec![
        run_with(&[("accounts", not()), ("answers", not())]),
        run_with(&[("accounts", not()), ("answers", Checked::Holds)]),
    ]);
    assert_eq!(found.verdict(), Verdict::Valid);
    let text = coverage::render(&found);
    assert!(
        text.contains("not applicable: accounts (no rows)"),
        "{text}"
    );
    assert!(!text.contains("answers"), "{text}");
}

/// Whoever opens the first panics; the others wait for work that never comes.
#[derive(Debug)]
struct Panicking;

impl Testbed for Panicking {
    type Setup = std::sync::Arc<std::sync::atomic::AtomicBool>;

    async fn open(has_panicked: &Self::Setup) -> Result<Self, NoWorker> {
        let was_first = !has_panicked.swap(true, std::sync::atomic::Ordering::SeqCst);
        assert!(!was_first, "on purpose");
        std::future::pending().await
    }

    async fn ready_for(self, _: &Program, _: &Self::Setup) -> Result<Self, NoWorker> {
        Ok(self)
    }

    fn spent(&self) -> Spendings {
        Spendings::default()
    }

    async fn close(self) -> Result<(), NoWorker> {
        Ok(())
    }
}

impl Runner for Panicking {
    type Program = Program;
    type Error = NoWorker;

    async fn run(&mut self, _: &Program, _: &mut dyn Chooser) -> Result<Run<Program>, NoWorker> {
        Ok(run_with(&[]))
    }
}

#[tokio::test]
async fn a_worker_that_panics_ends_the_search_with_an_error() {
    let search = Search::<Panicking> {
        setup: Default::default(),
        program: rowlock_shop::program::find("one-item").unwrap().program(2),
        workers: 1,
        budget: Budget::Unlimited,
        keep_going: false,
    };
    let ended = search.run(&mut Dfs::default(), |_| {}).await;
    assert!(matches!(ended, Err(NoWorker::Panicked)), "{ended:?}");
}

use rowlock_shop::program::{self, Program};

use super::super::toy::{Toy, ToyRunner};
use super::super::transcript::Event;
use super::*;

async fn witness(letters: &str) -> (Program, Witness<Program>) {
    let program = program::find("one-item").unwrap().program(2);
    let run = ToyRunner::new(Toy::Unlocked)
        .run_letters(&program, letters)
        .await;
    let witness = Witness::new("a toy", &program, &run).unwrap();
    (program, witness)
}

async fn replay_on(toy: Toy, witness: &Witness<Program>) -> Replayed {
    let mut runner = ToyRunner::new(toy);
    replay(&mut runner, witness).await.unwrap().0
}

#[tokio::test]
async fn the_same_target_is_violated_again() {
    let (_, witness) = witness("ABBBBBAAAA").await;
    let replayed = replay_on(Toy::Unlocked, &witness).await;
    assert_eq!(replayed.verdict(), Verdict::Violation);
    assert_eq!(
        replayed.to_string(),
        "violated again: stock-gone-is-purchases, stock-gone-is-answers"
    );
}

#[tokio::test]
async fn a_target_with_other_statements_names_the_first_that_differs() {
    let (_, witness) = witness("ABBBBBAAAA").await;
    let replayed = replay_on(Toy::Right, &witness).await;
    assert_eq!(replayed.verdict(), Verdict::Inconclusive);
    assert_eq!(
        format!("{replayed:#}"),
        "the target's statements no longer match from step 1
  expected  buyer A: select price, stock from item where id = 1
  got       buyer A: select price, stock from item where id = 1 for update"
    );
}

#[tokio::test]
async fn a_violation_by_other_statements_is_one_all_the_same() {
    let (_, mut witness) = witness("AABBAAABBB").await;
    // What follows is calm, and possible on either.
    witness.schedule.0.truncate(7);
    let replayed = replay_on(Toy::Stale, &witness).await;
    assert_eq!(replayed.verdict(), Verdict::Violation, "{replayed}");
    let text = replayed.to_string();
    assert!(
        text.contains("though by other statements from step 2: expected buyer A"),
        "{text}"
    );
}

#[tokio::test]
async fn the_same_statements_without_the_violation_are_valid() {
    let (program, mut witness) = witness("ABBBBBAAAA").await;
    let mut runner = ToyRunner::new(Toy::Right);
    let run = runner.run_letters(&program, "AAAAABB").await;
    witness.schedule = run.execution.schedule;
    witness.transcript = run.execution.transcript;
    assert_eq!(replay_on(Toy::Right, &witness).await, Replayed::Gone);
}

#[tokio::test]
async fn lost_control_is_inconclusive_and_says_why() {
    let (program, mut witness) = witness("ABBBBBAAAA").await;
    let mut runner = ToyRunner::new(Toy::Right);
    let run = runner.run_letters(&program, "AAAAABB").await;
    (witness.schedule, witness.transcript) = (run.execution.schedule, run.execution.transcript);
    runner.loses_control_from = 0;
    let (replayed, _) = replay(&mut runner, &witness).await.unwrap();
    assert_eq!(replayed.verdict(), Verdict::Inconclusive);
    assert_eq!(
        replayed.to_string(),
        "inconclusive: control was lost: the gate is gone"
    );
}

#[tokio::test]
async fn a_violation_out_of_control_is_not_reproduced_and_says_why() {
    let (_, witness) = witness("ABBBBBAAAA").await;
    let mut runner = ToyRunner::new(Toy::Unlocked);
    runner.loses_control_from = 0;
    let (replayed, _) = replay(&mut runner, &witness).await.unwrap();
    assert_eq!(replayed.verdict(), Verdict::Inconclusive);
    assert_eq!(
        replayed.to_string(),
        "inconclusive: control was lost: the gate is gone; violated, but not by the schedule: \
         stock-gone-is-purchases, stock-gone-is-answers"
    );
}

#[tokio::test]
async fn a_pair_that_never_violates_claims_nothing() {
    let (program, mut witness) = witness("ABBBBBAAAA").await;
    let mut runner = ToyRunner::new(Toy::Right);
    let run = runner.run_letters(&program, "(AB)AAAABB").await;
    (witness.schedule, witness.transcript) = (run.execution.schedule, run.execution.transcript);
    runner.runs = 0;
    let (replayed, _) = replay(&mut runner, &witness).await.unwrap();
    assert_eq!(
        (replayed.verdict(), runner.runs),
        (Verdict::Inconclusive, CHANCES)
    );
    for event in &mut witness.transcript.events {
        if let Event::Delivered { statements, .. } = event {
            statements[0].sql = "select 1".into();
        }
    }
    let (replayed, _) = replay(&mut runner, &witness).await.unwrap();
    assert!(matches!(replayed, Replayed::Different(_)), "{replayed}");
    assert_eq!(
        runner.runs,
        CHANCES + 1,
        "another target is not tried again"
    );
}

#[tokio::test]
async fn another_invariant_than_the_witnesss_is_a_violation_too() {
    let (_, mut witness) = witness("ABBBBBAAAA").await;
    witness.violated.truncate(1);
    witness.violated[0].name = "no-deadlock".into();
    let replayed = replay_on(Toy::Unlocked, &witness).await;
    assert_eq!(replayed.verdict(), Verdict::Violation);
    assert!(matches!(replayed, Replayed::Otherwise(_)), "{replayed}");
}

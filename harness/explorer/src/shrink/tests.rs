use rowlock_shop::program::{self, Program};

use super::super::control::{Control, LostControl};
use super::super::toy::{Toy, ToyRunner, schedule};
use super::*;

const LOST: &str = "stock-gone-is-purchases";

fn one_item(buyers: usize) -> Program {
    program::find("one-item").unwrap().program(buyers)
}

async fn shrunk(toy: Toy, buyers: usize, letters: &str) -> Shrunk<Program> {
    let mut runner = ToyRunner::new(toy);
    let program = one_item(buyers);
    let run = runner.run_letters(&program, letters).await;
    assert!(run.violated().any(|finding| finding.name == LOST));
    shrink(&mut runner, &program, &run, LOST, RUNS)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_third_and_a_fourth_buyer_and_all_needless_switches_go() {
    let shrunk = shrunk(Toy::Unlocked, 4, "DABCDABDCABDADBCADBCABC").await;
    assert_eq!(shrunk.program.requests.len(), 2);
    assert_eq!(shrunk.program.initial.wallets.len(), 2);
    assert_eq!(
        switches(&shrunk.run.execution.schedule),
        (2, 0),
        "{}",
        shrunk.run.execution.schedule
    );
    let mut again = ToyRunner::new(Toy::Unlocked);
    let letters = shrunk.run.execution.schedule.to_string();
    let run = again.run_letters(&shrunk.program, &letters).await;
    assert_eq!(run.execution.transcript, shrunk.run.execution.transcript);
    assert!(run.violated().any(|finding| finding.name == LOST));
}

#[tokio::test]
async fn what_is_smallest_already_stays() {
    let shrunk = shrunk(Toy::Unlocked, 2, "ABBBBBAAAA").await;
    assert_eq!(shrunk.run.execution.schedule, schedule("ABBBBBAAAA"));
}

#[tokio::test]
async fn shrinking_twice_makes_the_same_runs() {
    let letters = "CABCABCABCABCABCABCABC";
    let (one, other) = (
        shrunk(Toy::Stale, 3, letters).await,
        shrunk(Toy::Stale, 3, letters).await,
    );
    assert_eq!(one.runs, other.runs);
    assert_eq!(one.run.execution.transcript, other.run.execution.transcript);
    assert_eq!(one.program.requests.len(), 2);
}

#[tokio::test]
async fn a_budget_bounds_the_runs_and_keeps_the_best_so_far() {
    let mut runner = ToyRunner::new(Toy::Unlocked);
    let program = one_item(3);
    let run = runner.run_letters(&program, "ABCABCABCABCABC").await;
    let shrunk = shrink(&mut runner, &program, &run, LOST, 1).await.unwrap();
    assert_eq!((shrunk.runs, runner.runs), (1, 2));
    assert!(shrunk.run.violated().any(|finding| finding.name == LOST));
}

#[tokio::test]
async fn a_run_out_of_control_never_counts() {
    let mut runner = ToyRunner::new(Toy::Unlocked);
    let program = one_item(3);
    let run = runner.run_letters(&program, "ABCABCABCABCABC").await;
    runner.loses_control_from = 1;
    let shrunk = shrink(&mut runner, &program, &run, LOST, RUNS)
        .await
        .unwrap();
    assert_eq!(shrunk.program, program);
    assert_eq!(shrunk.run.execution.schedule, run.execution.schedule);
}

#[tokio::test]
async fn a_violation_without_control_is_looked_for_again_under_control() {
    let mut runner = ToyRunner::new(Toy::Unlocked);
    let program = one_item(2);
    let mut run = runner.run_letters(&program, "ABABABABAB").await;
    run.execution.control = Control::Lost(LostControl::GateGone);
    run.execution.schedule.0.truncate(2);
    let shrunk = shrink(&mut runner, &program, &run, LOST, RUNS)
        .await
        .unwrap();
    assert_eq!(shrunk.run.execution.control, Control::Kept);
    assert_eq!(switches(&shrunk.run.execution.schedule), (2, 0));
}

#[tokio::test]
async fn a_pair_under_way_at_once_stays_only_where_it_is_needed() {
    let mut runner = ToyRunner::new(Toy::Once);
    let program = program::find("repeated-key").unwrap().program(3);
    let run = runner.run_letters(&program, "(BC)BCBCA").await;
    let name = "one-receipt-per-key";
    let needed = shrink(&mut runner, &program, &run, name, RUNS)
        .await
        .unwrap();
    assert_eq!(needed.program.requests.len(), 2);
    assert_eq!(needed.run.execution.schedule.to_string(), "(AB)BBAA");
    let needless = shrunk(Toy::Unlocked, 2, "(AB)ABABABAB").await;
    assert_eq!(switches(&needless.run.execution.schedule), (2, 0));
}

#[test]
fn switches_count_between_requests_and_inside_pairs() {
    assert_eq!(switches(&schedule("AABBA")), (2, 0));
    assert_eq!(switches(&schedule("A(AB)B")), (1, 1));
}

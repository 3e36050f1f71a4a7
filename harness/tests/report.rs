//! The report as people and CI systems read it, from plain values.

use rowlock::load::Trial;
use rowlock::load::measure::{Course, Rate, Tally};
use rowlock::report::{Report, ScenarioReport, human, json, junit};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_shop::history::Operation;

fn finding(name: &str, statement: &str, outcome: Outcome) -> Finding {
    let mut finding = Finding::new(name, statement, Vec::new());
    finding.outcome = outcome;
    finding
}

fn stock(outcome: Outcome) -> Finding {
    let statement = "the stock gone from an item is the number of its purchases";
    finding("stock-gone-is-purchases", statement, outcome)
}

fn deadlock(outcome: Outcome) -> Finding {
    let statement = "PostgreSQL broke no deadlock (pg_stat_database.deadlocks)";
    finding("no-deadlock", statement, outcome)
}

fn server_error(outcome: Outcome) -> Finding {
    let statement = "where nothing was broken, no answer is a 5xx other than 503";
    finding("no-server-error", statement, outcome)
}

/// A trial of 10,000 operations with these findings.
fn trial(name: &str, ok: u64, findings: Vec<Finding>) -> Trial {
    let answers = Tally {
        ok,
        bad_request: 10_000 - ok,
        ..Tally::default()
    };
    Trial {
        name: name.into(),
        operations: 10_000,
        answers,
        p50_us: 1_234_567,
        p99_us: 2_345_678,
        rate: Rate {
            counted: "purchases",
            per_second: 432.1,
        },
        gave_way: answers.conflict,
        course: Course::default(),
        verdict: Some(Verdict::compose(
            findings.iter().filter_map(Finding::verdict),
        )),
        findings,
    }
}

fn report(scenarios: Vec<(&str, Vec<Trial>)>) -> Report {
    let seed = Seed(0x7f3a);
    let scenarios = scenarios.into_iter().map(|(name, trials)| ScenarioReport {
        name: name.into(),
        trials,
        reproduce: format!("rowlock run {name} --seed {seed} --buyers 10000 --stock 1,1000"),
    });
    Report::new(
        seed,
        "local PostgreSQL 15.18 (/usr/lib/postgresql/15/bin), ready in 0.65 s".into(),
        "purchase-service".into(),
        scenarios.collect(),
    )
}

fn valid() -> Report {
    let broken = "the trial broke something on purpose";
    let holds = || vec![stock(Outcome::Holds), deadlock(Outcome::Holds)];
    let mut faulted = holds();
    faulted.push(server_error(Outcome::NotApplicable(broken.into())));
    let mut unbroken = holds();
    unbroken.push(server_error(Outcome::Holds));
    report(vec![
        (
            "concurrent-buyers",
            vec![
                trial("10000 buyers, stock 1", 1, unbroken.clone()),
                trial("10000 buyers, stock 1000", 1_000, unbroken),
            ],
        ),
        (
            "mid-transaction-failure",
            vec![trial("triggers that raise", 27, faulted)],
        ),
    ])
}

fn violated() -> Report {
    let lost = "item 1 oversold: stock 1 -> 0, 1 gone, 2 purchases";
    let many = (1..=7).map(|user_id| format!("user {user_id}: twice & \"whole\" <b>"));
    let wallets = finding(
        "balance-gone-is-prices",
        "the balance gone from a wallet is the sum of its purchases' prices",
        Outcome::Violated(many.collect()),
    );
    let findings = vec![
        stock(Outcome::Violated(vec![lost.into()])),
        wallets,
        deadlock(Outcome::Holds),
    ];
    report(vec![
        (
            "concurrent-buyers",
            vec![trial("10000 buyers, stock 1", 2, findings)],
        ),
        (
            "balance-edge",
            vec![trial("at once", 63, vec![stock(Outcome::Holds)])],
        ),
    ])
}

fn inconclusive() -> Report {
    let unchecked = finding(
        "serves-again",
        "within 5 s after the last fault the target sells again",
        Outcome::Unchecked("no fault took place".into()),
    );
    let no_rows = Outcome::NotApplicable("the target keeps no purchase rows".into());
    let restarted = Trial::not_applicable::<Operation>(
        "server restarted under load",
        "this server is not the harness's own to restart",
    );
    report(vec![(
        "mid-transaction-failure",
        vec![
            trial(
                "sessions terminated under load",
                1_214,
                vec![stock(no_rows), deadlock(Outcome::Holds), unchecked],
            ),
            restarted,
        ],
    )])
}

#[test]
fn a_valid_report_says_what_held_and_what_was_not_verified() {
    insta::assert_snapshot!(human::render(&valid(), false));
}

#[test]
fn a_violated_report_begins_with_the_violations_and_ends_with_what_reproduces_them() {
    insta::assert_snapshot!(human::render(&violated(), false));
}

#[test]
fn an_inconclusive_report_claims_nothing_and_says_why() {
    insta::assert_snapshot!(human::render(&inconclusive(), false));
}

#[test]
fn junit_says_the_same() {
    insta::assert_snapshot!(junit::render(&violated()).unwrap());
    insta::assert_snapshot!(
        "junit_inconclusive",
        junit::render(&inconclusive()).unwrap()
    );
}

#[test]
fn json_says_the_same() {
    insta::assert_snapshot!(json::render(&inconclusive()));
}

#[test]
fn colours_paint_the_verdicts_and_nothing_else() {
    let plain = human::render(&violated(), false);
    let coloured = human::render(&violated(), true);
    let codes = ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"];
    let stripped = codes
        .iter()
        .fold(coloured.clone(), |text, code| text.replace(code, ""));
    assert_eq!(stripped, plain);
    assert!(
        coloured.contains("\x1b[31mVIOLATION\x1b[0m"),
        "{coloured:?}"
    );
    assert!(coloured.contains("\x1b[32mvalid\x1b[0m"), "{coloured:?}");
}

#[test]
fn a_report_of_nothing_is_inconclusive() {
    assert_eq!(report(Vec::new()).verdict, Verdict::Inconclusive);
    let nothing = Trial::new::<Operation>("nobody came", &[], vec![stock(Outcome::Holds)]);
    assert_eq!(nothing.verdict, Some(Verdict::Inconclusive));
    let unchecked = Outcome::Unchecked("the trial made no operation".into());
    assert_eq!(nothing.findings[0].outcome, unchecked);
    assert_eq!(
        report(vec![("balance-edge", vec![nothing])]).verdict,
        Verdict::Inconclusive
    );
}

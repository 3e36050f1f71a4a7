//! Mutation analysis: what must be caught is, by the detector that is named for it; what is right is
//! not accused; and who would slip through is a violation.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Sandbox, assert_exit, stdout};
use rowlock::mutation::report::{Cell, Tries};

use rowlock::mutants::{BySerialOrders, MUTANTS};
use rowlock::mutation::{
    Analysis, Column, Detected, Detection, Kind, Report, Row, Status, Variant, junit, matrix,
};
use rowlock::progress::Progress;
use rowlock::shop::scenario::ScenarioName;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::{Provider, Server, Settings};

/// Where the witnesses of our own mutants are.
const WITNESSES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/witnesses");

/// The detectors that know the shop.
const SHOP: [Column; 6] = [
    Column::Scenario(ScenarioName::ConcurrentBuyers),
    Column::Scenario(ScenarioName::DoubleClick),
    Column::Scenario(ScenarioName::BalanceEdge),
    Column::Scenario(ScenarioName::FailureUnderLoad),
    Column::Faults,
    Column::Explorer,
];

/// An analysis on servers of its own, since the faults kill one of them.
async fn analysis(baseline: Variant, variants: &[Variant], columns: &[Column]) -> Report {
    let settings = Settings {
        provider: Provider::Local,
        ..Settings::from_env()
    };
    let mut patient = settings.clone();
    patient
        .parameters
        .push(("deadlock_timeout".into(), "1h".into()));
    let server = Server::start(&settings).await.unwrap();
    let exploring = Arc::new(Server::start(&patient).await.unwrap());
    let analysis = Analysis {
        baseline,
        rowlock: Path::new(env!("CARGO_BIN_EXE_rowlock")),
        columns,
        server: &server,
        exploring: &exploring,
        seed: Seed(5),
        wants_witnesses: false,
        progress: &Progress::hidden(),
    };
    let (report, _) = analysis.run(variants).await.unwrap();
    server.stop().await.unwrap();
    Arc::into_inner(exploring).unwrap().stop().await.unwrap();
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_detector_catches_its_mutant_and_a_blind_spot_is_a_violation() {
    let caught = [
        (
            "greater-for-at-least",
            Column::Scenario(ScenarioName::BalanceEdge),
        ),
        ("swallowed-statement-error", Column::Faults),
        ("wallet-before-item", Column::Explorer),
    ];
    let mut variants: Vec<_> = caught
        .iter()
        .map(|(name, _)| Variant::find(name).unwrap())
        .collect();
    // What is right, and has few steps to break.
    let right = || Variant::find("function-call").unwrap();
    variants.push(right());
    let [baseline, blind_spot] =
        [Kind::Baseline, Kind::Mutant].map(|kind| Variant { kind, ..right() });
    variants.push(blind_spot);
    let columns = caught.map(|(_, column)| column);
    let report = analysis(baseline, &variants, &columns).await;
    let text = matrix::render(&report);
    assert!(report.has_baseline(), "{text}");
    for (row, (name, detector)) in report.rows[1..].iter().zip(caught) {
        assert_eq!(row.name, name);
        assert_eq!(row.status(), Status::Caught, "{text}");
        let cell = row.cells.iter().find(|cell| cell.detector == detector);
        assert!(cell.unwrap().detection.is_caught(), "{text}");
    }
    let statuses: Vec<_> = report.rows[4..].iter().map(Row::status).collect();
    assert_eq!(statuses, [Status::Passed, Status::Survived], "{text}");
    assert_eq!(report.verdict, Verdict::Violation);
}

/// The detectors that know nothing of the shop but its contract.
const BY_CONTRACT: [Column; 2] = [Column::SerialFaults, Column::SerialExplorer];

#[tokio::test(flavor = "multi_thread")]
async fn mutants_fall_to_the_shop_s_contract_alone_and_a_right_service_does_not() {
    let caught = [
        ("unlocked-wallet", Column::SerialExplorer),
        ("charge-before-key", Column::SerialExplorer),
        ("answer-before-commit", Column::SerialFaults),
    ];
    let caught = caught.map(|(name, column)| (Variant::find(name).unwrap(), column));
    let right = || Variant::find("function-call").unwrap();
    let baseline = Variant {
        kind: Kind::Baseline,
        ..right()
    };
    let variants = caught.map(|(variant, _)| variant);
    let report = analysis(baseline, &variants, &BY_CONTRACT).await;
    let text = matrix::render(&report);
    assert_eq!(report.rows[0].status(), Status::Passed, "{text}");
    for (row, (variant, column)) in report.rows[1..].iter().zip(caught) {
        assert_eq!(row.name, variant.name());
        assert!(row.is_caught_by(column), "{text}");
    }
    assert!(
        text.contains("3 of 3 by the shop's contract alone"),
        "{text}"
    );
}

#[test]
fn each_mutant_that_the_shop_s_contract_does_not_catch_has_its_reason_in_the_docs() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = words(include_str!("../../docs/src/mutants.md"));
    let mut escapes = 0;
    for mutant in MUTANTS {
        if let BySerialOrders::Neither(why) = mutant.by_serial_orders {
            escapes += 1;
            let line = format!("`{}`: {why}", mutant.name);
            assert!(page.contains(&words(&line)), "{line}");
        }
    }
    assert!(MUTANTS.len() - escapes >= 26, "{escapes} escape");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_where_the_baseline_does_not_pass() {
    let broken = Variant {
        kind: Kind::Baseline,
        ..Variant::find("unlocked-absolute-write").unwrap()
    };
    let report = analysis(broken, &Variant::all(), &[Column::Explorer]).await;
    assert_eq!(report.rows.len(), 1);
    assert_eq!(report.rows[0].status(), Status::FalsePositive);
    assert_eq!(report.verdict, Verdict::Violation);
}

#[test]
fn the_command_reports_a_caught_mutant_and_its_witness_replays_on_it() {
    let sandbox = Sandbox::new();
    let name = "unlocked-absolute-write";
    let arguments = "mutants --postgres local --seed 5 --format json --column explorer --only";
    let mut rowlock = sandbox.rowlock(arguments);
    rowlock.arg(name);
    let (witnesses, xml) = (sandbox.path().join("w"), sandbox.path().join("junit.xml"));
    rowlock.arg("--witness-dir").arg(&witnesses);
    rowlock.arg("--junit").arg(&xml);
    let output = rowlock.output().unwrap();
    assert_exit(&output, 0);
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["verdict"], "valid");
    assert_eq!(report["rows"][1]["name"], name);
    assert!(fs::read_to_string(&xml).unwrap().contains(name));

    let mut replay = sandbox.rowlock("replay --postgres local");
    let output = replay.arg(&witnesses).output().unwrap();
    assert_exit(&output, 1);
    let text = stdout(&output);
    let line = text.lines().find(|line| line.contains(name)).unwrap();
    assert!(text.contains("violated again"), "{line}");
    fs::remove_dir_all(witnesses).unwrap();
    fs::remove_file(xml).unwrap();
    sandbox.wait_until_clean();
}

#[test]
fn every_witness_of_the_examples_is_violated_again_on_the_mutant_that_it_names() {
    let sandbox = Sandbox::new();
    let mut replay = sandbox.rowlock("replay --postgres local");
    let output = replay.arg(WITNESSES).output().unwrap();
    assert_exit(&output, 1);
    let text = stdout(&output);
    let files = fs::read_dir(WITNESSES).unwrap().count();
    let again = text.matches(": violated again: ").count();
    assert_eq!(again, files, "{text}");
    sandbox.wait_until_clean();
}

#[test]
fn each_mutant_that_the_explorer_is_to_catch_first_has_a_witness() {
    for mutant in MUTANTS {
        if mutant
            .detectors
            .first()
            .is_some_and(|first| Column::of(*first) == Column::Explorer)
        {
            let path = Path::new(WITNESSES).join(format!("{}.json", mutant.name));
            assert!(path.is_file(), "{}", path.display());
        }
    }
}

fn caught(by: &str, violated: &[&str]) -> Detected {
    Detected::Caught {
        by: by.into(),
        violated: violated.iter().map(|name| (*name).into()).collect(),
    }
}

fn inconclusive(why: &str) -> Detected {
    Detected::Inconclusive { why: why.into() }
}

/// A row whose detectors are concurrent-buyers, the faults and the explorer.
fn row(name: &str, kind: Kind, expected: Column, seen: [Detected; 3]) -> Row {
    let columns = [
        Column::Scenario(ScenarioName::ConcurrentBuyers),
        Column::Faults,
        Column::Explorer,
    ];
    let elapsed = [1_234, 12_345, 67];
    let cells = columns
        .into_iter()
        .zip(seen)
        .zip(elapsed)
        .map(|((detector, seen), elapsed_ms)| Cell {
            detector,
            detection: Detection::new(seen, 2, Duration::from_millis(elapsed_ms)),
        });
    Row {
        name: name.into(),
        kind,
        expected: vec![expected],
        cells: cells.collect(),
        stress: Vec::new(),
    }
}

fn report() -> Report {
    use Detected::Nothing;
    let lost = caught("one-item dfs, schedule ABBA", &["stock-gone-is-purchases"]);
    let mut stressed = row(
        "lost-update",
        Kind::Mutant,
        Column::Explorer,
        [Nothing, inconclusive("the target did not start"), lost],
    );
    stressed.stress = vec![Tries {
        buyers: 200,
        tries: 20,
        caught: 3,
    }];
    let rows = vec![
        row(
            "purchase-service",
            Kind::Baseline,
            Column::Faults,
            [Nothing, Nothing, Nothing],
        ),
        stressed,
        row(
            "found-elsewhere",
            Kind::Mutant,
            Column::Explorer,
            [caught("200 buyers", &["no-deadlock"]), Nothing, Nothing],
        ),
        row(
            "blind-spot",
            Kind::Mutant,
            Column::Faults,
            [Nothing, Nothing, Nothing],
        ),
        row(
            "slandered",
            Kind::Lawful,
            Column::Faults,
            [
                Nothing,
                caught("purchase.1.stall", &["pool-is-whole"]),
                Nothing,
            ],
        ),
        row(
            "out-of-control",
            Kind::Lawful,
            Column::Faults,
            [Nothing, Nothing, inconclusive("control was lost")],
        ),
    ];
    let postgres = "local PostgreSQL 15".to_owned();
    Report {
        columns: SHOP.to_vec(),
        ..Report::new(Seed(7), postgres, Duration::from_secs(345), rows)
    }
}

#[test]
fn the_matrix_says_who_caught_whom_how_soon_and_what_was_missed() {
    insta::assert_snapshot!(matrix::render(&report()));
}

#[test]
fn junit_fails_survivors_and_false_positives_and_errs_on_the_undecided() {
    insta::assert_snapshot!(junit::render(&report()).unwrap());
}

#[test]
fn a_mutant_whose_detector_was_left_out_is_undecided() {
    let mut row = row(
        "somebody",
        Kind::Mutant,
        Column::Faults,
        [Detected::Nothing, Detected::Nothing, Detected::Nothing],
    );
    assert_eq!(row.status(), Status::Survived);
    row.cells.retain(|cell| cell.detector != Column::Faults);
    assert_eq!(row.status(), Status::Undecided);
}

#[test]
fn an_inconclusive_detector_neither_catches_nor_passes() {
    let seen = || [Detected::Nothing, inconclusive("why"), Detected::Nothing];
    for kind in [Kind::Baseline, Kind::Mutant, Kind::Lawful] {
        let row = row("somebody", kind, Column::Faults, seen());
        assert_eq!(row.status(), Status::Undecided);
    }
}

//! The report for people: a matrix, variant by detector, and what it means.

use std::fmt::Write;
use std::time::Duration;

use super::detection::{Detected, Detection};
use super::detector::Column;
use super::report::{Cell, Report, Row, Status};
use super::stress::BOUND;
use super::variant::Kind;

/// The width of a cell.
const CELL: usize = 13;

/// The kinds of variants, in the order of the reports, each with what is expected of it.
pub(crate) const KINDS: [(Kind, &str); 3] = [
    (Kind::Baseline, "the service itself"),
    (Kind::Mutant, "mutants: each must be caught"),
    (Kind::Lawful, "lawful services: none may be accused"),
];

/// The report as text.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let name_width = report
        .rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0);
    for (kind, title) in KINDS {
        let of_kind = report.rows.iter().filter(|row| row.kind == kind);
        let rows: Vec<_> = of_kind.collect();
        if !rows.is_empty() {
            write_rows(&mut text, title, (&rows, &report.columns), name_width);
        }
    }
    write_legend(&mut text, report);
    write_stress(&mut text, report, name_width);
    for row in &report.rows {
        write_notes(&mut text, row);
    }
    write_end(&mut text, report);
    text
}

/// A string takes all that is written, so the results of writing say nothing.
fn write_rows(
    text: &mut String,
    title: &str,
    (rows, columns): (&[&Row], &[Column]),
    name_width: usize,
) {
    let _ = writeln!(text, "{title}");
    for half in 0..2 {
        let mut line = format!("  {:name_width$}", "");
        for column in columns {
            let (upper, lower) = halves(column.name());
            let _ = write!(line, "  {:<CELL$}", if half == 0 { upper } else { lower });
        }
        if half == 1 && rows[0].kind == Kind::Mutant {
            line += "  soonest detection";
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for row in rows {
        let mut line = format!("  {:name_width$}", row.name);
        for column in columns {
            let cell = row.cells.iter().find(|cell| cell.detector == *column);
            let shown = cell.map_or("-".into(), |cell| mark(&cell.detection));
            let _ = write!(line, "  {shown:<CELL$}");
        }
        if let Some(cell) = row.first_detection() {
            let _ = write!(line, "  {}", soonest(cell));
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text);
}

/// A long name on two lines.
fn halves(name: &'static str) -> (&'static str, &'static str) {
    match name.split_once('-') {
        Some((upper, _)) => name.split_at(upper.len() + 1),
        None => ("", name),
    }
}

pub(crate) fn mark(detection: &Detection) -> String {
    let time = seconds(detection.elapsed_ms);
    match detection.seen {
        Detected::Caught { .. } => format!("X {} {time}", detection.runs),
        Detected::Nothing => format!("· {} {time}", detection.runs),
        Detected::Inconclusive { .. } => format!("? {} {time}", detection.runs),
    }
}

fn soonest(cell: &Cell) -> String {
    match &cell.detection.seen {
        Detected::Caught { by, violated } => {
            let first = violated.first().map_or("", String::as_str);
            format!("{first} ({}: {by})", cell.detector.name())
        }
        _ => String::new(),
    }
}

fn seconds(ms: u64) -> String {
    let seconds = Duration::from_millis(ms).as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.1}s"),
        _ => format!("{seconds:.0}s"),
    }
}

fn write_legend(text: &mut String, report: &Report) {
    let runs = ["trial", "case", "schedule"]
        .into_iter()
        .filter_map(|unit| {
            let columns = report.columns.iter();
            let columns = columns.filter(|column| column.unit() == unit);
            let names: Vec<_> = columns.map(|column| column.name()).collect();
            (!names.is_empty()).then(|| format!("{unit}s ({})", names.join(", ")))
        });
    let runs: Vec<_> = runs.collect();
    let _ = writeln!(
        text,
        "X  caught; the number of runs up to the first detection, and the time to it\n\
         ·  everything that was run holds; how many runs, and how long they took\n\
         ?  inconclusive: neither caught nor valid\n\
         runs are {};\n\
         a scenario's trials all run before one is judged, all else ends with the first detection;\n\
         a right service meets every fault and program in full, a mutant those that must catch \
         it, and a sample of the others",
        runs.join("; "),
    );
    if report
        .rows
        .iter()
        .any(|row| row.cells.len() < report.columns.len())
    {
        let _ = writeln!(
            text,
            "-  not run: the mutant hung before another detector, and is not waited for again"
        );
    }
}

fn write_stress(text: &mut String, report: &Report, name_width: usize) {
    let tried = || report.rows.iter().filter(|row| !row.stress.is_empty());
    let Some(first) = tried().next() else { return };
    let _ = writeln!(
        text,
        "\nhow often plain stress (concurrent-buyers, with all its invariants) would have found \
         each;\na try that does not end within {} s counts as one that found it:",
        BOUND.as_secs()
    );
    let mut line = format!("  {:name_width$}", "");
    for tries in &first.stress {
        let _ = write!(line, "  {:>12}", format!("{} buyers", tries.buyers));
    }
    let _ = writeln!(text, "{line}");
    for row in tried() {
        let mut line = format!("  {:name_width$}", row.name);
        for tries in &row.stress {
            let _ = write!(
                line,
                "  {:>12}",
                format!("{} of {}", tries.caught, tries.tries)
            );
        }
        let _ = writeln!(text, "{line}");
    }
}

/// What somebody has to look into.
fn write_notes(text: &mut String, row: &Row) {
    let headline = match row.status() {
        Status::Survived => Some("survived: no detector caught it"),
        Status::FalsePositive => Some("accused, and it is right"),
        Status::Undecided => Some("undecided: nothing is claimed"),
        Status::Caught | Status::Passed => None,
    };
    if let Some(headline) = headline {
        let _ = writeln!(text, "\n{}: {headline}", row.name);
        for cell in &row.cells {
            let why = match &cell.detection.seen {
                Detected::Caught { by, violated } => format!("{by}: {}", violated.join(", ")),
                Detected::Inconclusive { why } => why.clone(),
                Detected::Nothing => continue,
            };
            let _ = writeln!(text, "  {}: {why}", cell.detector.name());
        }
    }
    if row.status() == Status::Caught {
        for cell in row.missed() {
            let why = cell
                .detection
                .why_inconclusive()
                .unwrap_or("everything that it ran holds");
            let _ = writeln!(
                text,
                "\n{}: caught, though not by {}: {why}",
                row.name,
                cell.detector.name()
            );
        }
    }
}

/// How many fall to the shop's contract alone, where both of its columns were tried.
fn write_serial(text: &mut String, report: &Report) {
    let serial = [Column::SerialFaults, Column::SerialExplorer];
    if !serial.iter().all(|column| report.columns.contains(column)) {
        return;
    }
    let mutants = || report.rows.iter().filter(|row| row.kind == Kind::Mutant);
    let is_caught = |row: &&Row| serial.iter().any(|column| row.is_caught_by(*column));
    let (caught, all) = (mutants().filter(is_caught).count(), mutants().count());
    let _ = writeln!(
        text,
        "          {caught} of {all} by the shop's contract alone (serial-faults, serial-explorer)"
    );
}

fn write_end(text: &mut String, report: &Report) {
    let count = |status| {
        let rows = report.rows.iter().filter(|row| row.status() == status);
        rows.filter(|row| row.kind != Kind::Baseline).count()
    };
    let of_kind = |kind| report.rows.iter().filter(|row| row.kind == kind).count();
    let _ = writeln!(text);
    match report.has_baseline() {
        true => {
            let _ = writeln!(
                text,
                "caught:   {} of {} mutants",
                count(Status::Caught),
                of_kind(Kind::Mutant)
            );
            write_serial(text, report);
            let _ = writeln!(
                text,
                "accused:  {} of {} lawful services",
                count(Status::FalsePositive),
                of_kind(Kind::Lawful)
            );
        }
        false => {
            let _ = writeln!(
                text,
                "the service itself did not pass, so nothing else was shown"
            );
        }
    }
    let _ = writeln!(text, "postgres: {}", report.postgres);
    let _ = writeln!(text, "seed:     {}", report.seed);
    let _ = writeln!(text, "time:     {}", seconds(report.elapsed_ms));
    let _ = writeln!(text, "verdict:  {}", report.verdict);
}

//! The report for a person: violations first, then the table, the seed, and what was left open.

use std::fmt::Write;

use rowlock_core::finding::Outcome;
use rowlock_core::verdict::Verdict;

use super::{Report, ScenarioReport};
use crate::load::Trial;

/// How many places of one violation are shown; the rest is counted.
const SHOWN: usize = 5;

/// The report as text; with colours where `colour`.
pub fn render(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    for scenario in &report.scenarios {
        render_violations(&mut text, scenario);
    }
    render_table(&mut text, report, colour);
    let _ = writeln!(text, "\nchecked:");
    for (name, statement, trials) in held(report) {
        let _ = writeln!(text, "  {name:<32} {statement} (held in {trials})");
    }
    let _ = writeln!(text, "\nnot verified:");
    for line in &report.not_verified {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\npostgres: {}", report.postgres);
    let _ = writeln!(text, "target:   {}", report.target);
    let _ = writeln!(text, "seed:     {}", report.seed);
    let _ = writeln!(text, "verdict:  {}", paint(report.verdict, colour));
    for scenario in report
        .scenarios
        .iter()
        .filter(|scenario| !scenario.is_valid())
    {
        let _ = writeln!(text, "reproduce: {}", scenario.reproduce);
    }
    text
}

impl ScenarioReport {
    pub(super) fn is_valid(&self) -> bool {
        self.trials
            .iter()
            .all(|trial| matches!(trial.verdict, None | Some(Verdict::Valid)))
    }
}

fn render_violations(text: &mut String, scenario: &ScenarioReport) {
    for trial in &scenario.trials {
        for (finding, places) in trial.violations() {
            let (first, others) = match places.split_first() {
                Some((first, others)) => (first.as_str(), others),
                None => (finding.statement.as_str(), places),
            };
            let _ = writeln!(text, "violated: {first} ({})", finding.name);
            for place in others.iter().take(SHOWN - 1) {
                let _ = writeln!(text, "  {place}");
            }
            if places.len() > SHOWN {
                let _ = writeln!(text, "  and {} more", places.len() - SHOWN);
            }
            let _ = writeln!(text, "  what should hold: {}", finding.statement);
            let _ = writeln!(text, "  in {} ({})", scenario.name, trial.name);
            let _ = writeln!(text);
        }
    }
}

/// Every check that holds somewhere, with how many of the trials it holds in.
pub(super) fn held(report: &Report) -> Vec<(&str, &str, String)> {
    let trials: Vec<_> = report
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.trials)
        .collect();
    let mut names: Vec<(&str, &str, usize)> = Vec::new();
    for finding in trials.iter().flat_map(|trial| &trial.findings) {
        if finding.outcome != Outcome::Holds {
            continue;
        }
        match names.iter_mut().find(|(name, ..)| *name == finding.name) {
            Some((_, _, count)) => *count += 1,
            None => names.push((&finding.name, &finding.statement, 1)),
        }
    }
    let all = trials.len();
    let count = |(name, statement, count)| (name, statement, format!("{count} of {all} trials"));
    names.into_iter().map(count).collect()
}

/// How many columns there are before the verdict's.
const COLUMNS: usize = 10;

/// The columns' headings; the verdict's is the last.
pub(super) fn header(counted: &str) -> Vec<String> {
    let rate = format!("{counted}/s");
    let headings = [
        "scenario",
        "operations",
        "200",
        "400",
        "409",
        "5xx",
        "p50",
        "p99",
        &rate,
        "gave way",
        "verdict",
    ];
    headings.map(str::to_owned).into()
}

fn render_table(text: &mut String, report: &Report, colour: bool) {
    let mut rows = Vec::new();
    for scenario in &report.scenarios {
        for trial in &scenario.trials {
            rows.push((row(&scenario.name, trial), trial.verdict));
        }
    }
    let header = header(report.counted());
    let width = |column: usize| {
        let cells = rows.iter().map(|(row, _)| row[column].len());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..COLUMNS).map(width).collect();
    let line = |cells: &[String], last: &str| {
        let mut line = format!("{:<width$}", cells[0], width = widths[0]);
        for (cell, width) in cells.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        format!("{line}  {last}")
    };
    let (last, cells) = header.split_last().expect("there are headings");
    let _ = writeln!(text, "{}", line(cells, last));
    for (row, verdict) in &rows {
        let verdict = verdict.map_or("n/a".into(), |verdict| paint(verdict, colour));
        let _ = writeln!(text, "{}", line(row, &verdict));
    }
}

pub(super) fn row(scenario: &str, trial: &Trial) -> Vec<String> {
    let answers = trial.answers;
    let name = format!("{scenario} ({})", trial.name);
    if trial.operations == 0 {
        let mut row = vec!["-".to_owned(); COLUMNS];
        row[0] = name;
        return row;
    }
    vec![
        name,
        trial.operations.to_string(),
        answers.ok.to_string(),
        answers.bad_request.to_string(),
        answers.conflict.to_string(),
        answers.server_error.to_string(),
        milliseconds(trial.p50_us),
        milliseconds(trial.p99_us),
        format!("{:.0}", trial.rate.per_second),
        share(trial),
    ]
}

/// What gave way, in percent; a share that is too small to show is not none.
fn share(trial: &Trial) -> String {
    match trial.gave_way {
        0 => "0 %".into(),
        _ => format!("{:.1} %", trial.gave_way_percent().max(0.1)),
    }
}

fn milliseconds(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}

fn paint(verdict: Verdict, colour: bool) -> String {
    let code = match verdict {
        _ if !colour => return verdict.to_string(),
        Verdict::Valid => 32,
        Verdict::Inconclusive => 33,
        Verdict::Violation => 31,
    };
    format!("\x1b[{code}m{verdict}\x1b[0m")
}

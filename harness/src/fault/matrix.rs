//! The campaign for a person: a matrix, step by fault, and the line that reproduces each cell
//! that is not valid.

use std::collections::BTreeMap;
use std::fmt::Write;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use rowlock_core::finding::{BROKEN_ON_PURPOSE, Outcome};
use rowlock_core::verdict::Verdict;

use super::campaign::Campaign;
use super::play::Played;
use super::stories::Stories;
use rowlock_proxy::isolation::Level;

/// How much of a step's SQL a row shows, in characters.
const SQL_WIDTH: usize = 44;

/// How many cases are told in full; the matrix shows them all.
const SHOWN: usize = 12;

/// The matrix, a legend, and what is not valid. `again` is the rest of the command line that
/// the run was given.
pub fn render<S: Stories>(campaign: &Campaign<S>, again: &str) -> String {
    let mut text = String::new();
    for story in stories(campaign) {
        story.render(&mut text);
    }
    let idle = campaign
        .played
        .iter()
        .filter(|played| played.case.step == 0);
    render_idle(&mut text, &idle.collect::<Vec<_>>());
    let _ = writeln!(
        text,
        "ok  all invariants hold, the answer agrees with the effect, a retry ends it, the target\n    \
         serves again within 5 s, and its pool is whole; a number counts the cases of a cell\n\
         X   violated    ?   inconclusive"
    );
    for line in left_open(campaign) {
        let _ = writeln!(text, "{line}");
    }
    render_faulty(&mut text, campaign, again);
    text
}

/// A story's cases: step by fault.
#[derive(Debug)]
pub struct StoryMatrix<'a, S: Stories> {
    /// What the story is, alone or with a rival.
    pub title: String,
    /// Its faults, in the order of the reports.
    pub columns: Vec<&'static str>,
    /// Its steps.
    pub rows: Vec<StepRow<'a, S>>,
}

/// A step of a story under every fault.
#[derive(Debug)]
pub struct StepRow<'a, S: Stories> {
    /// Which step, from 1.
    pub step: usize,
    /// What it runs.
    pub sql: &'a str,
    /// The cases of each column; none where there are none.
    pub cells: Vec<Vec<&'a Played<S>>>,
}

/// A matrix for each story, alone and with a rival.
pub fn stories<S: Stories>(campaign: &Campaign<S>) -> Vec<StoryMatrix<'_, S>> {
    let at_steps = campaign.played.iter().filter(|played| played.case.step > 0);
    let mut names: Vec<_> = at_steps
        .clone()
        .map(|played| (played.case.story, played.case.rival))
        .collect();
    names.dedup();
    let matrix = |name: (S::Name, bool)| {
        let of_story = |played: &&Played<S>| (played.case.story, played.case.rival) == name;
        let played: Vec<_> = at_steps.clone().filter(of_story).collect();
        let title = campaign.titles.get(&name);
        StoryMatrix::new(
            title.cloned().unwrap_or_else(|| name.0.to_string()),
            &played,
        )
    };
    names.into_iter().map(matrix).collect()
}

/// What was broken while nothing was under way.
fn render_idle<S: Stories>(text: &mut String, idle: &[&Played<S>]) {
    for played in idle {
        let (fault, cell) = (played.case.fault, cell(&[played.verdict]));
        let _ = writeln!(text, "nothing under way\n  {fault}  {cell}\n");
    }
}

/// What `ok` does not say here: the checks that did not apply, and what was left out altogether.
pub fn left_open<S: Stories>(campaign: &Campaign<S>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut cases: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in campaign.played.iter().flat_map(|played| &played.findings) {
        if let Outcome::NotApplicable(why) = &finding.outcome
            && why != BROKEN_ON_PURPOSE
        {
            *cases.entry((&finding.name, why)).or_default() += 1;
        }
    }
    for ((name, why), count) in cases {
        let of = campaign.played.len();
        lines.push(format!(
            "not checked in {count} of {of} cases: {name}: {why}"
        ));
    }
    let left_out = campaign.left_out.iter();
    lines.extend(left_out.map(|what| format!("left out: {what}")));
    add_impossible(&mut lines, campaign);
    lines
}

/// Which errors were not injected, since no server raises them there.
fn add_impossible<S: Stories>(lines: &mut Vec<String>, campaign: &Campaign<S>) {
    let level = match campaign.level {
        Level::ReadCommitted => "READ COMMITTED",
        Level::RepeatableRead => "REPEATABLE READ",
        Level::Serializable => "SERIALIZABLE",
        Level::Unknown => {
            lines.push(
                "the isolation level is not known: it is set from a value that is not in the \
                 target's SQL; error-40001 is taken to be possible as under SERIALIZABLE"
                    .into(),
            );
            "any isolation level"
        }
    };
    // Each step would have been broken alone, and with a rival where there is one.
    let times = |story: &String| {
        let titles = campaign.titles.keys();
        titles
            .filter(|(name, _)| name.to_string() == *story)
            .count()
    };
    let steps = campaign.impossible.values().flatten();
    let count: usize = steps.map(|(story, steps)| steps.len() * times(story)).sum();
    if count == 0 {
        return;
    }
    lines.push(format!(
        "left out: {count} errors that PostgreSQL cannot raise there under {level} (--impossible \
         injects them too)"
    ));
    for (fault, stories) in &campaign.impossible {
        let steps: Vec<_> = stories
            .iter()
            .map(|(story, steps)| format!("{story}.{}", ranges(steps)))
            .collect();
        lines.push(format!("  {fault} at {}", steps.join(", ")));
    }
}

/// Ascending numbers, those that follow each other as a range: `1-4,6`.
fn ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let text = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    text.collect::<Vec<_>>().join(",")
}

impl<'a, S: Stories> StoryMatrix<'a, S> {
    fn new(title: String, played: &[&'a Played<S>]) -> Self {
        let mut columns: Vec<&str> = Vec::new();
        let mut cells: BTreeMap<(usize, &str), Vec<&Played<S>>> = BTreeMap::new();
        let mut sql: BTreeMap<usize, &str> = BTreeMap::new();
        for played in played {
            let column = played.case.fault.column();
            if !columns.contains(&column) {
                columns.push(column);
            }
            let cell = cells.entry((played.case.step, column)).or_default();
            cell.push(played);
            sql.insert(played.case.step, &played.sql);
        }
        let row = |(step, sql)| StepRow {
            step,
            sql,
            cells: columns
                .iter()
                .map(|column| cells.get(&(step, column)).cloned().unwrap_or_default())
                .collect(),
        };
        StoryMatrix {
            rows: sql.into_iter().map(row).collect(),
            title,
            columns,
        }
    }

    fn render(&self, text: &mut String) {
        let _ = writeln!(text, "{}", self.title);
        let (heading, width) = (self.columns.join("  "), SQL_WIDTH + 4);
        let _ = writeln!(text, "  {:<width$}  {heading}", "step");
        for StepRow { step, sql, cells } in &self.rows {
            let _ = write!(text, "  {step:>2}  {:<SQL_WIDTH$}", shorten(sql));
            for (column, cases) in self.columns.iter().zip(cells) {
                let verdicts: Vec<_> = cases.iter().map(|played| played.verdict).collect();
                let cell = match verdicts.is_empty() {
                    true => "-".into(),
                    false => cell(&verdicts),
                };
                let _ = write!(text, "  {cell:^width$}", width = column.len());
            }
            text.truncate(text.trim_end().len());
            let _ = writeln!(text);
        }
        let _ = writeln!(text);
    }
}

pub(crate) fn cell(verdicts: &[Verdict]) -> String {
    let worst = Verdict::compose(verdicts.iter().copied());
    let worst_count = verdicts.iter().filter(|verdict| **verdict == worst).count();
    let mark = match worst {
        Verdict::Valid => "ok",
        Verdict::Inconclusive => "?",
        Verdict::Violation => "X",
    };
    match verdicts.len() {
        1 => mark.into(),
        _ if worst == Verdict::Valid => format!("{worst_count} ok"),
        count => format!("{worst_count} of {count} {mark}"),
    }
}

pub(crate) fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One line of SQL, cut where it is too long.
fn shorten(sql: &str) -> String {
    let line = one_line(sql);
    match line.char_indices().nth(SQL_WIDTH - 1) {
        Some((cut, _)) if line.chars().count() > SQL_WIDTH => format!("{}…", &line[..cut]),
        _ => line,
    }
}

fn render_faulty<S: Stories>(text: &mut String, campaign: &Campaign<S>, again: &str) {
    let faulty = || {
        campaign
            .played
            .iter()
            .filter(|played| played.verdict != Verdict::Valid)
    };
    for played in faulty().take(SHOWN) {
        let _ = writeln!(text, "\n{}: {}", played.verdict, played.case);
        for (name, place) in complaints(played) {
            let _ = writeln!(text, "  {place} ({name})");
        }
        let _ = writeln!(text, "  at: {}", one_line(&played.sql));
        if played.impossible {
            let _ = writeln!(text, "  no PostgreSQL raises that error there");
        }
        let _ = writeln!(
            text,
            "  reproduce: rowlock faults --case {} {again}",
            played.case
        );
    }
    let count = faulty().count();
    if count > SHOWN {
        let _ = writeln!(
            text,
            "\nand {} more; each marked cell has its own:",
            count - SHOWN
        );
        for played in faulty().skip(SHOWN) {
            let _ = writeln!(text, "  rowlock faults --case {} {again}", played.case);
        }
    }
}

/// The campaign as JUnit XML: a suite per story, a case per fault.
///
/// # Errors
/// A text that XML cannot hold.
pub fn junit<S: Stories>(campaign: &Campaign<S>) -> Result<String, quick_junit::SerializeError> {
    let mut report = quick_junit::Report::new("rowlock faults");
    report.add_test_suites(suites(campaign));
    report.to_string()
}

/// A suite for each story, with a case for each of its cases.
pub fn suites<S: Stories>(campaign: &Campaign<S>) -> Vec<TestSuite> {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    for played in &campaign.played {
        let story = played.case.story.to_string();
        let suite = suites
            .entry(story.clone())
            .or_insert_with(|| TestSuite::new(&story));
        let complaints: Vec<_> = complaints(played)
            .iter()
            .map(|(name, place)| format!("{name}: {place}"))
            .collect();
        let status = match played.verdict {
            Verdict::Valid => TestCaseStatus::success(),
            Verdict::Violation => failed(NonSuccessKind::Failure, &complaints),
            Verdict::Inconclusive => failed(NonSuccessKind::Error, &complaints),
        };
        let mut case = TestCase::new(played.case.to_string(), status);
        case.set_classname(&played.sql);
        suite.add_test_case(case);
    }
    suites.into_values().collect()
}

fn failed(kind: NonSuccessKind, complaints: &[String]) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_description(complaints.join("\n"));
    status
}

/// What a case is reproached with: the check and the place.
pub fn complaints<S: Stories>(played: &Played<S>) -> Vec<(&str, &str)> {
    let mut complaints = Vec::new();
    for finding in &played.findings {
        match &finding.outcome {
            Outcome::Violated(places) => complaints.extend(
                places
                    .iter()
                    .map(|place| (finding.name.as_str(), place.as_str())),
            ),
            Outcome::Unchecked(why) => complaints.push((&finding.name, why)),
            Outcome::Holds | Outcome::NotApplicable(_) => {}
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_follow_each_other_are_a_range() {
        assert_eq!(ranges(&[1, 2, 3, 5, 7, 8]), "1-3,5,7-8");
        assert_eq!(ranges(&[4]), "4");
    }
}

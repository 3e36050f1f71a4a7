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
    let (at_steps, idle): (Vec<_>, Vec<_>) =
        (campaign.played.iter()).partition(|played| played.case.step > 0);
    let stories = at_steps.iter();
    let mut stories: Vec<_> = stories
        .map(|played| (played.case.story, played.case.rival))
        .collect();
    stories.dedup();
    for (story, rival) in stories {
        let of_story =
            |played: &&&Played<S>| (played.case.story, played.case.rival) == (story, rival);
        let played: Vec<_> = at_steps.iter().filter(of_story).copied().collect();
        match campaign.titles.get(&(story, rival)) {
            Some(title) => writeln!(text, "{title}"),
            None => writeln!(text, "{story}"),
        }
        .expect("a string takes everything");
        render_story(&mut text, &played);
    }
    render_idle(&mut text, &idle);
    let _ = writeln!(
        text,
        "ok  all invariants hold, the answer agrees with the effect, a retry ends it, the target\n    \
         serves again within 5 s, and its pool is whole; a number counts the cases of a cell\n\
         X   violated    ?   inconclusive"
    );
    render_unchecked(&mut text, campaign);
    render_faulty(&mut text, campaign, again);
    text
}

/// What was broken while nothing was under way.
fn render_idle<S: Stories>(text: &mut String, idle: &[&Played<S>]) {
    for played in idle {
        let (fault, cell) = (played.case.fault, cell(&[played.verdict]));
        let _ = writeln!(text, "nothing under way\n  {fault}  {cell}\n");
    }
}

/// What `ok` does not say here: the checks that did not apply, and what was left out altogether.
fn render_unchecked<S: Stories>(text: &mut String, campaign: &Campaign<S>) {
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
        let _ = writeln!(text, "not checked in {count} of {of} cases: {name}: {why}");
    }
    for what in &campaign.left_out {
        let _ = writeln!(text, "left out: {what}");
    }
    render_impossible(text, campaign);
}

/// Which errors were not injected, since no server raises them there.
fn render_impossible<S: Stories>(text: &mut String, campaign: &Campaign<S>) {
    let level = match campaign.level {
        Level::ReadCommitted => "READ COMMITTED",
        Level::RepeatableRead => "REPEATABLE READ",
        Level::Serializable => "SERIALIZABLE",
        Level::Unknown => {
            let _ = writeln!(
                text,
                "the isolation level is not known: it is set from a value that is not in the \
                 target's SQL; error-40001 is taken to be possible as under SERIALIZABLE"
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
    let _ = writeln!(
        text,
        "left out: {count} errors that PostgreSQL cannot raise there under {level} \
         (--impossible injects them too)"
    );
    for (fault, stories) in &campaign.impossible {
        let steps: Vec<_> = stories
            .iter()
            .map(|(story, steps)| format!("{story}.{}", ranges(steps)))
            .collect();
        let _ = writeln!(text, "  {fault} at {}", steps.join(", "));
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

fn render_story<S: Stories>(text: &mut String, played: &[&Played<S>]) {
    let mut columns: Vec<&str> = Vec::new();
    let mut cells: BTreeMap<(usize, &str), Vec<Verdict>> = BTreeMap::new();
    let mut sql: BTreeMap<usize, &str> = BTreeMap::new();
    for played in played {
        let column = played.case.fault.column();
        if !columns.contains(&column) {
            columns.push(column);
        }
        cells
            .entry((played.case.step, column))
            .or_default()
            .push(played.verdict);
        sql.insert(played.case.step, &played.sql);
    }
    let _ = writeln!(
        text,
        "  {:<width$}  {}",
        "step",
        columns.join("  "),
        width = SQL_WIDTH + 4
    );
    for (step, sql) in sql {
        let _ = write!(text, "  {step:>2}  {:<SQL_WIDTH$}", shorten(sql));
        for column in &columns {
            let cell = cells
                .get(&(step, column))
                .map_or("-".into(), |verdicts| cell(verdicts));
            let _ = write!(text, "  {cell:^width$}", width = column.len());
        }
        text.truncate(text.trim_end().len());
        let _ = writeln!(text);
    }
    let _ = writeln!(text);
}

fn cell(verdicts: &[Verdict]) -> String {
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

/// One line of SQL, cut where it is too long.
fn shorten(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
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
        let _ = writeln!(
            text,
            "\n{}: {} at {:?}",
            played.verdict, played.case, played.sql
        );
        if played.impossible {
            let _ = writeln!(text, "  no PostgreSQL raises that error there");
        }
        for (name, place) in complaints(played) {
            let _ = writeln!(text, "  {name}: {place}");
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

//! What a search covered, in words.

use std::fmt::Write;

use rowlock_core::program::Program;

use super::search::Exploration;
use super::witness::Violated;

/// The report of a search, for people.
pub fn render(explored: &Exploration<impl Program>) -> String {
    let mut text = String::new();
    // A string takes everything.
    let _ = write(&mut text, explored);
    text
}

fn write(text: &mut String, explored: &Exploration<impl Program>) -> std::fmt::Result {
    writeln!(text, "{}", explored.verdict())?;
    if let Some(run) = &explored.violation {
        let at = explored.found_at.unwrap_or_default();
        for finding in run.violated() {
            if let Some(violated) = Violated::of(finding) {
                writeln!(text, "  violated: {}", violated.sentence())?;
            }
        }
        writeln!(
            text,
            "  violated by schedule {} (number {at}), which breaks:",
            run.execution.schedule
        )?;
        for finding in run.violated() {
            writeln!(text, "    {}: {}", finding.name, finding.statement)?;
        }
    }
    for line in covered(explored).into_iter().chain(left_open(explored)) {
        writeln!(text, "  {line}")?;
    }
    Ok(())
}

/// What a search went through, in a line or two.
pub fn covered(explored: &Exploration<impl Program>) -> Vec<String> {
    let seconds = explored.elapsed.as_secs_f64();
    let mut lines = vec![format!(
        "{} schedules in {seconds:.2} s ({:.0} per second), {} distinct interleavings, {} branches \
         left out as equivalent",
        explored.schedules,
        explored.schedules as f64 / seconds.max(1e-9),
        explored.distinct,
        explored.pruned,
    )];
    let repeats = explored.spent.0.repeats;
    if repeats > 0 {
        lines.push(format!(
            "{repeats} runs made again: PostgreSQL had served a later waiter first"
        ));
    }
    lines
}

/// What a search says nothing about, and what it could not control.
pub fn left_open(explored: &Exploration<impl Program>) -> Vec<String> {
    let mut lines = Vec::new();
    if explored.violation.is_none() && !explored.exhausted {
        lines.push("the budget ended before the search did".to_owned());
    }
    let incomplete = explored.incomplete.iter();
    lines.extend(incomplete.map(|why| format!("not covered: {why}")));
    let unchecked = explored.unchecked.iter();
    lines.extend(unchecked.map(|(why, count)| format!("not checked, {count} times: {why}")));
    let other = explored.not_applicable.iter();
    lines.extend(other.map(|(name, why)| format!("not applicable: {name} ({why})")));
    let lost = explored.lost.iter();
    lines.extend(lost.map(|(why, count)| format!("control lost {count} times: {why}")));
    let repeated = explored.repeated.iter();
    lines.extend(
        repeated
            .map(|(why, count)| format!("repeated {count} times because control was lost: {why}")),
    );
    if explored.stalled > 0 {
        lines.push(format!(
            "in {} schedules a request waited inside the application; in which order it lets them in \
             was not varied",
            explored.stalled
        ));
    }
    let uncontrolled = explored.uncontrolled.iter();
    lines.extend(
        uncontrolled
            .map(|(sql, count)| format!("not controlled, {count} times, of no request: {sql}")),
    );
    lines
}

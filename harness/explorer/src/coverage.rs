//! What a search covered, in words.

use std::fmt::Write;

use rowlock_core::finding::Outcome;
use rowlock_core::program::Program;

use super::search::Exploration;

/// The report of a search, for people.
pub fn render(explored: &Exploration<impl Program>) -> String {
    let mut text = String::new();
    // A string takes everything.
    let _ = write(&mut text, explored);
    text
}

fn write(text: &mut String, explored: &Exploration<impl Program>) -> std::fmt::Result {
    let seconds = explored.elapsed.as_secs_f64();
    writeln!(text, "{}", explored.verdict())?;
    writeln!(
        text,
        "  {} schedules in {seconds:.2} s ({:.0} per second), {} distinct interleavings, \
         {} branches left out as equivalent",
        explored.schedules,
        explored.schedules as f64 / seconds.max(1e-9),
        explored.distinct,
        explored.pruned,
    )?;
    if let Some(run) = &explored.violation {
        let at = explored.found_at.unwrap_or_default();
        writeln!(
            text,
            "  violated by schedule {} (number {at}):",
            run.execution.schedule
        )?;
        for finding in run.violated() {
            writeln!(text, "    {}: {}", finding.name, finding.statement)?;
            if let Outcome::Violated(places) = &finding.outcome {
                for place in places {
                    writeln!(text, "      {place}")?;
                }
            }
        }
    }
    if explored.violation.is_none() && !explored.exhausted {
        writeln!(text, "  the budget ended before the search did")?;
    }
    for why in &explored.incomplete {
        writeln!(text, "  not covered: {why}")?;
    }
    for (why, count) in &explored.unchecked {
        writeln!(text, "  not checked, {count} times: {why}")?;
    }
    for (name, why) in &explored.not_applicable {
        writeln!(text, "  not applicable: {name} ({why})")?;
    }
    for (why, count) in &explored.lost {
        writeln!(text, "  control lost {count} times: {why}")?;
    }
    for (why, count) in &explored.repeated {
        writeln!(
            text,
            "  repeated {count} times because control was lost: {why}"
        )?;
    }
    let repeats = explored.spent.0.repeats;
    if repeats > 0 {
        writeln!(
            text,
            "  {repeats} runs made again: PostgreSQL had served a later waiter first"
        )?;
    }
    if explored.stalled > 0 {
        writeln!(
            text,
            "  in {} schedules a request waited inside the application; in which order it lets \
             them in was not varied",
            explored.stalled
        )?;
    }
    for (sql, count) in &explored.uncontrolled {
        writeln!(
            text,
            "  not controlled, {count} times, of no request: {sql}"
        )?;
    }
    Ok(())
}

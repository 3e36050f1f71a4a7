//! How long a search may take, as a command line says it.

use std::time::Duration;

use crate::explorer::search::Budget;

/// The longest budget, in seconds: a year.
const MOST_SECONDS: u64 = 366 * 24 * 60 * 60;

/// Reads a number of schedules, or a time.
pub(in crate::cli) fn read_budget(text: &str) -> Result<Budget, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no number of schedules and no time such as 30s"))?;
    let seconds = match &text[digits.len()..] {
        "" => return Ok(Budget::Schedules(number)),
        "s" => number,
        "m" => number.saturating_mul(60),
        unit => return Err(format!("{unit:?} is no unit of time; use s or m")),
    };
    match seconds {
        0..=MOST_SECONDS => Ok(Budget::Time(Duration::from_secs(seconds))),
        _ => Err(format!("{text} is longer than a year, {MOST_SECONDS}s")),
    }
}

/// The flag that gives the same budget again, if there is one.
pub(in crate::cli) fn repeat_budget(budget: Budget) -> Option<String> {
    match budget {
        Budget::Schedules(most) => Some(format!("--budget {most}")),
        Budget::Time(most) => Some(format!("--budget {}s", most.as_secs())),
        Budget::Unlimited => None,
    }
}

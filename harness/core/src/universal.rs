//! What must hold of every service, whatever it sells and whatever its tables are.

use serde::Serialize;

use crate::answer::{Answer, Ending, Unknown};
use crate::finding::{BROKEN_ON_PURPOSE, Finding, Outcome};

/// What the database held once the target had answered everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Aftermath {
    /// Sessions of the target that were still in a transaction, in words.
    pub open_transactions: Vec<String>,
    /// Locks on rows or tables that the target still held or awaited, in words.
    pub locks: Vec<String>,
    /// `pg_stat_database.deadlocks` of the run's database.
    pub deadlocks: i64,
}

/// A check that every service is held to.
#[derive(Debug)]
pub struct Check {
    /// The stable name, in kebab case.
    pub name: &'static str,
    /// What must hold, in one sentence.
    pub statement: &'static str,
    looks_at: LooksAt,
}

#[derive(Debug)]
enum LooksAt {
    /// At each answer, where nothing was broken: whether it must not have ended so.
    Answers(fn(Ending) -> bool),
    /// At what was left, in words.
    Aftermath(fn(&Aftermath) -> Vec<String>),
}

/// The check that no answer is a server error.
pub const NO_SERVER_ERROR: &str = "no-server-error";

/// Every such check, in the order of the reports.
pub const CHECKS: &[Check] = &[
    Check {
        name: "every-request-answered",
        statement: "where nothing was broken, every request gets its answer",
        looks_at: LooksAt::Answers(|ending| {
            matches!(
                ending,
                Ending::Unknown(Unknown::ConnectionLost | Unknown::TimedOut)
            )
        }),
    },
    Check {
        name: NO_SERVER_ERROR,
        statement: "where nothing was broken, no answer is a 5xx other than 503",
        // A 503 is none: it refuses before anything began, and all else still checks that it did.
        looks_at: LooksAt::Answers(|ending| ending == Ending::Unknown(Unknown::ServerError)),
    },
    Check {
        name: "no-open-transaction",
        statement: "at rest, no session of the target is in a transaction",
        looks_at: LooksAt::Aftermath(|aftermath| aftermath.open_transactions.clone()),
    },
    Check {
        name: "no-lock-left",
        statement: "at rest, no session of the target holds or awaits a lock",
        looks_at: LooksAt::Aftermath(|aftermath| aftermath.locks.clone()),
    },
    Check {
        name: "no-deadlock",
        statement: "PostgreSQL broke no deadlock (pg_stat_database.deadlocks)",
        looks_at: LooksAt::Aftermath(|aftermath| match aftermath.deadlocks {
            0 => Vec::new(),
            count => vec![format!("{count} deadlocks were broken by PostgreSQL")],
        }),
    },
];

/// Makes every check. Answers are held to nothing where something was `broken` on purpose.
pub fn check(answers: &[impl Answer], aftermath: &Aftermath, broken: bool) -> Vec<Finding> {
    let check = |check: &Check| {
        let violations = match check.looks_at {
            LooksAt::Answers(_) if broken => {
                let mut finding = Finding::new(check.name, check.statement, Vec::new());
                finding.outcome = Outcome::NotApplicable(BROKEN_ON_PURPOSE.into());
                return finding;
            }
            LooksAt::Answers(is_wrong) => {
                let wrong = answers.iter().filter(|answer| is_wrong(answer.ending()));
                wrong.map(Answer::describe).collect()
            }
            LooksAt::Aftermath(left) => left(aftermath),
        };
        Finding::new(check.name, check.statement, violations)
    };
    CHECKS.iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told(Ending);

    impl Answer for Told {
        fn ending(&self) -> Ending {
            self.0
        }

        fn describe(&self) -> String {
            format!("{:?}", self.0)
        }

        fn reply(&self) -> String {
            self.describe()
        }
    }

    fn violated(answers: &[Told], aftermath: &Aftermath, broken: bool) -> Vec<String> {
        let findings = check(answers, aftermath, broken).into_iter();
        let violated = findings.filter(|it| matches!(it.outcome, Outcome::Violated(_)));
        violated.map(|finding| finding.name).collect()
    }

    #[test]
    fn what_is_answered_and_leaves_nothing_is_right() {
        let answers = [Ending::Ok, Ending::Refused, Ending::GaveWay].map(Told);
        assert!(violated(&answers, &Aftermath::default(), false).is_empty());
        let hung_up = [Told(Ending::Unknown(Unknown::HungUp))];
        assert!(violated(&hung_up, &Aftermath::default(), false).is_empty());
    }

    #[test]
    fn an_error_and_a_silence_are_wrong_where_nothing_was_broken() {
        let answers =
            [Unknown::ServerError, Unknown::TimedOut].map(|why| Told(Ending::Unknown(why)));
        let nothing = Aftermath::default();
        assert_eq!(
            violated(&answers, &nothing, false),
            ["every-request-answered", "no-server-error"]
        );
        assert!(violated(&answers, &nothing, true).is_empty());
    }

    #[test]
    fn whatever_is_left_is_wrong_also_where_something_was_broken() {
        let left = Aftermath {
            open_transactions: vec!["a session".into()],
            locks: vec!["a lock".into()],
            deadlocks: 1,
        };
        assert_eq!(
            violated(&[], &left, true),
            ["no-open-transaction", "no-lock-left", "no-deadlock"]
        );
    }
}

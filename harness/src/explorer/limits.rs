//! Limits of a target's own that our holding of steps has met: such a run proves nothing.

use std::time::Duration;

use rowlock_core::answer::{Answer, Ending};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_explorer::execution::Limit;
use rowlock_explorer::{Execution, LostControl};

/// The name of the check.
const OWN_LIMITS: &str = "own-limits";

/// Beyond what a call takes alone this much is no chance.
const BEYOND: Duration = Duration::from_millis(100);

/// Takes what was found of a run in which a limit was met for not checked. A call takes no longer
/// than `alone` by itself, where that is known; `is_unheard_of` says which requests are refused as
/// nothing refuses them alone.
pub(super) fn excuse(
    findings: &mut Vec<Finding>,
    execution: &Execution,
    history: &[impl Answer],
    alone: Option<Duration>,
    is_unheard_of: impl Fn(usize) -> bool,
) {
    let mut met = execution.limits.iter().filter_map(|limit| {
        let answer = history.get(limit.request().0)?;
        let is_explained = matches!(limit, Limit::Held { .. }) && !is_unheard_of(limit.request().0);
        if is_explained {
            return None;
        }
        (answer.ending() != Ending::Ok)
            .then(|| name(limit, alone))
            .flatten()
    });
    let given_up = match execution.control.lost() {
        Some(LostControl::GaveUp(request)) => Some(format!(
            "{request} gave up a statement while it waited for a lock"
        )),
        _ => None,
    };
    let Some(why) = met.next().or(given_up) else {
        return;
    };
    let why = format!("the harness held steps longer than the service waits: {why}");
    take_back(findings, &why);
    let statement = "no limit of the service's own ends a wait that the harness makes";
    let mut finding = Finding::new(OWN_LIMITS, statement, Vec::new());
    finding.outcome = Outcome::Unchecked(why);
    findings.push(finding);
}

/// Takes what is violated for not checked.
pub(super) fn take_back(findings: &mut [Finding], why: &str) {
    for finding in findings.iter_mut() {
        if let Outcome::Violated(_) = finding.outcome {
            finding.outcome = Outcome::Unchecked(why.to_owned());
        }
    }
}

/// Which limit was met, if one was.
fn name(limit: &Limit, alone: Option<Duration>) -> Option<String> {
    match limit {
        Limit::GivenUp {
            request,
            sqlstate,
            message,
        } => Some(format!("{request} was told \"{message}\" ({sqlstate})")),
        Limit::Closed(request) => Some(format!("the connection of {request} was closed")),
        Limit::Held {
            request,
            altogether,
        } => Some(format!(
            "{request} was refused as nothing refuses it alone, after its steps were held for {} s",
            altogether.as_secs()
        )),
        Limit::Silent { request, after } => {
            let alone = alone?;
            let long = alone * 2 + BEYOND;
            // To the nearest tenth of a second, which two runs share.
            let told = (after.as_millis() + 50) / 100;
            (*after >= long).then(|| {
                format!(
                    "{request} gave up after {}.{} s without a step",
                    told / 10,
                    told % 10
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use rowlock_explorer::RequestIndex;

    use super::*;

    struct Refused;

    impl Answer for Refused {
        fn ending(&self) -> Ending {
            Ending::Refused
        }

        fn describe(&self) -> String {
            self.reply()
        }

        fn reply(&self) -> String {
            "401 refused".into()
        }
    }

    fn violated_after_holding(is_unheard_of: bool) -> Vec<Finding> {
        let held = Limit::Held {
            request: RequestIndex(0),
            altogether: Duration::from_millis(2_500),
        };
        let execution = Execution {
            limits: vec![held],
            ..Execution::default()
        };
        let mut findings = vec![Finding::new(
            "stock",
            "it is kept",
            vec!["it is not".into()],
        )];
        let is_unheard_of = |_| is_unheard_of;
        excuse(&mut findings, &execution, &[Refused], None, is_unheard_of);
        findings
    }

    #[test]
    fn a_refusal_that_nothing_gives_alone_is_excused_where_its_steps_were_held_for_long() {
        let excused = violated_after_holding(true);
        let why = "A was refused as nothing refuses it alone, after its steps were held for 2 s";
        for finding in &excused {
            let is_named = |outcome: &Outcome| match outcome {
                Outcome::Unchecked(said) => said.ends_with(why),
                _ => false,
            };
            assert!(is_named(&finding.outcome), "{finding:?}");
        }
        assert_eq!(excused.last().unwrap().name, OWN_LIMITS);
        let [stands] = &violated_after_holding(false)[..] else {
            panic!("nothing is added");
        };
        assert!(matches!(stands.outcome, Outcome::Violated(_)));
    }
}

//! The whole judgement of a trial: every invariant, and the sequential model.

use crate::history::Operation;
use crate::invariant::{self, Evidence, Finding, Outcome};
use crate::linearizability::{self, Budget, Conclusion, Contradiction, Fact, Recording};

/// How long the model may think about one trial: a second or so.
const BUDGET: Budget = Budget::steps(20_000_000);

/// How many of the operations that contradict each other are shown.
const SHOWN: usize = 4;

/// Checks everything that can be said of `evidence`.
pub fn judge(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = invariant::check(evidence);
    findings.push(fit_model(evidence));
    findings
}

/// Whether the history is linearizable against the sequential shop, where the target means to be
/// that shop.
fn fit_model(evidence: &Evidence) -> Finding {
    let mut finding = Finding::new(
        "linearizable",
        "answers and final rows fit one order of a sequential shop, in real time",
        Vec::new(),
    );
    if let Some(why) = differs_by_rule(evidence) {
        finding.outcome = Outcome::NotApplicable(why.into());
        return finding;
    }
    let recording = Recording {
        initial: evidence.initial.clone(),
        operations: evidence.history.clone(),
        last: (&evidence.rows.shop).into(),
    };
    finding.outcome = match linearizability::check(&recording, BUDGET) {
        Conclusion::Linearizable(_) => Outcome::Holds,
        Conclusion::Contradicted(contradiction) => {
            Outcome::Violated(vec![describe(&contradiction, &evidence.history)])
        }
        Conclusion::Inconclusive => {
            Outcome::Unchecked("the history has too many orders to try them all".into())
        }
    };
    finding
}

/// Why the target is right in another way than the model, if it is: a shop may have rules of its
/// own, and may judge the balance before the stock.
fn differs_by_rule(evidence: &Evidence) -> Option<&'static str> {
    let capabilities = evidence.capabilities;
    let is_keyed = |operation: &Operation| operation.request.key.is_some();
    if capabilities.once_per_customer {
        Some("the target sells once per customer")
    } else if !capabilities.stock_before_balance {
        Some("the target judges the balance before the stock")
    } else if !capabilities.idempotency_keys && evidence.history.iter().any(is_keyed) {
        Some("the target knows no idempotency keys")
    } else {
        None
    }
}

/// Why there is no such order, and the operations that contradict each other.
fn describe(contradiction: &Contradiction, history: &[Operation]) -> String {
    let operations = contradiction.facts.iter().filter_map(|fact| match fact {
        Fact::Operation(index) => {
            let operation = history.get(*index)?;
            Some(format!("{}: {}", index + 1, operation.describe()))
        }
        Fact::Stock(_) | Fact::Balance(_) => None,
    });
    let mut operations: Vec<_> = operations.collect();
    if operations.is_empty() {
        return contradiction.reason.clone();
    }
    if operations.len() > SHOWN {
        let more = operations.len() - SHOWN;
        operations.truncate(SHOWN);
        operations.push(format!("and {more} more"));
    }
    format!("{} ({})", contradiction.reason, operations.join("; "))
}

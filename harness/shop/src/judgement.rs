//! The whole judgement of a trial: every invariant, and the sequential model.

use rowlock_core::finding::{Finding, Outcome};

use crate::history::{Completion, Operation, Refusal};
use crate::invariant::{self, Evidence, JudgesFirst};
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
    let mut operations = evidence.history.clone();
    if evidence.faults {
        operations.iter_mut().for_each(forgive);
    }
    let recording = Recording {
        initial: evidence.initial.clone(),
        operations,
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

/// Takes a refusal that tells no reason for one that says nothing of the shop: where something is
/// broken on purpose, that may be its reason.
fn forgive(operation: &mut Operation) {
    if let Completion::Fail(Refusal::Unstated(answer)) = &mut operation.completion {
        let answer = std::mem::take(answer);
        operation.completion = Completion::Fail(Refusal::Other(answer));
    }
}

/// Why the target is right in another way than the model, if it is: a shop may have rules of its
/// own, and may judge the balance before the stock.
fn differs_by_rule(evidence: &Evidence) -> Option<&'static str> {
    let capabilities = evidence.capabilities;
    let is_keyed = |operation: &Operation| operation.request.key.is_some();
    if capabilities.once_per_customer {
        Some("the target sells once per customer")
    } else if capabilities.judges_first == JudgesFirst::Balance {
        Some("the target judges the balance before the stock")
    } else if capabilities.judges_first == JudgesFirst::Untold && needs_stock(&evidence.history) {
        Some("the target's answers do not tell whether it judges the balance or the stock first")
    } else if !capabilities.idempotency_keys && evidence.history.iter().any(is_keyed) {
        Some("the target knows no idempotency keys")
    } else {
        None
    }
}

/// Whether some refusal is true only of an item in stock where the stock is judged first.
fn needs_stock(history: &[Operation]) -> bool {
    let needs_stock = |operation: &Operation| {
        operation.is_refused(&Refusal::InsufficientBalance)
            || operation.is_refused(&Refusal::UnknownUser)
    };
    history.iter().any(needs_stock)
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

#[cfg(test)]
mod tests {
    use rowlock_core::universal::Aftermath;

    use super::*;
    use crate::history::{Receipt, Request};
    use rowlock_core::universal;

    use crate::invariant::{Capabilities, INVARIANTS};
    use crate::rows::{FinalRows, Shop};

    /// `acknowledged` buyers, one after another, of an item with `stock` units, all of them sold.
    fn sale(stock: i64, acknowledged: u64) -> Evidence {
        let buyers = || 1..=acknowledged.cast_signed();
        let wallets =
            |shop, balance| buyers().fold(shop, |shop: Shop, id| shop.wallet(id, balance));
        let operation = |index: u64| Operation {
            request: Request::new(index.cast_signed() + 1, 1),
            intended_ns: 10 * index,
            invoked_ns: 10 * index,
            completed_ns: 10 * index + 5,
            status: Some(200),
            completion: Completion::Ok(Receipt::default()),
        };
        Evidence {
            initial: wallets(Shop::default().item(1, 10, stock), 10),
            history: (0..acknowledged).map(operation).collect(),
            rows: FinalRows {
                shop: wallets(Shop::default().item(1, 10, 0), 0),
                purchases: None,
            },
            aftermath: Aftermath::default(),
            faults: false,
            capabilities: Capabilities {
                purchase_rows: false,
                idempotency_keys: true,
                judges_first: JudgesFirst::Stock,
                once_per_customer: false,
            },
        }
    }

    fn linearizable(evidence: &Evidence) -> Outcome {
        fit_model(evidence).outcome
    }

    fn complaint(evidence: &Evidence) -> String {
        match linearizable(evidence) {
            Outcome::Violated(places) => places.join("\n"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_model_is_asked_after_every_invariant() {
        let findings = judge(&sale(3, 3));
        let checks = INVARIANTS.len() + universal::CHECKS.len();
        assert_eq!(findings.len(), checks + 1);
        let last = findings.last().unwrap();
        assert_eq!(
            (last.name.as_str(), &last.outcome),
            ("linearizable", &Outcome::Holds)
        );
    }

    #[test]
    fn a_contradiction_shows_its_operations_and_counts_those_beyond_four() {
        let four = complaint(&sale(3, 4));
        assert!(four.ends_with(&format!(
            "(1: {}; 2: {}; 3: {}; 4: {})",
            sale(3, 4).history[0].describe(),
            sale(3, 4).history[1].describe(),
            sale(3, 4).history[2].describe(),
            sale(3, 4).history[3].describe(),
        )));
        let six = complaint(&sale(5, 6));
        assert!(six.ends_with("; and 2 more)"), "{six}");
        assert!(six.contains("; 4: ") && !six.contains("; 5: "), "{six}");
    }

    #[test]
    fn a_contradiction_of_rows_alone_is_only_its_reason() {
        assert_eq!(
            complaint(&sale(1, 0)),
            "no purchases that may have happened explain that in the end item 1 has a stock of 0 \
             (at first 1)"
        );
    }

    #[test]
    fn a_shop_with_other_rules_is_not_held_to_the_model_and_says_why() {
        let why = |change: fn(&mut Evidence)| {
            let mut evidence = sale(1, 2);
            change(&mut evidence);
            match linearizable(&evidence) {
                Outcome::NotApplicable(why) => Some(why),
                _ => None,
            }
        };
        assert_eq!(why(|_| ()), None);
        assert_eq!(
            why(|evidence| evidence.capabilities.once_per_customer = true).as_deref(),
            Some("the target sells once per customer")
        );
        assert_eq!(
            why(|evidence| evidence.capabilities.judges_first = JudgesFirst::Balance).as_deref(),
            Some("the target judges the balance before the stock")
        );
        let untold = |evidence: &mut Evidence| {
            evidence.capabilities.judges_first = JudgesFirst::Untold;
        };
        assert_eq!(why(untold), None, "nobody was refused for the balance");
        assert_eq!(
            why(|evidence| {
                evidence.capabilities.judges_first = JudgesFirst::Untold;
                evidence.history[1].completion = Completion::Fail(Refusal::InsufficientBalance);
            })
            .as_deref(),
            Some(
                "the target's answers do not tell whether it judges the balance or the stock first"
            )
        );
        let without_keys = |evidence: &mut Evidence| evidence.capabilities.idempotency_keys = false;
        assert_eq!(why(without_keys), None, "nobody uses one");
        assert_eq!(
            why(|evidence| {
                evidence.capabilities.idempotency_keys = false;
                evidence.history[1].request.key = Some("k".into());
            })
            .as_deref(),
            Some("the target knows no idempotency keys")
        );
    }
}

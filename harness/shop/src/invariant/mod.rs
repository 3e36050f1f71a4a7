//! What must hold after every trial, whatever the target and whatever was broken.
//!
//! An invariant is a predicate over a trial's [`Evidence`]: the rows before and after, the
//! history, and what the database held when the target was at rest. Each is one row of
//! [`INVARIANTS`]; none sees the trace, and none does I/O.

mod accounts;
mod answers;
mod refusals;

use rowlock_core::finding::{BROKEN_ON_PURPOSE, Finding, Outcome};
use rowlock_core::universal::{self, Aftermath};
use serde::Serialize;

use crate::history::{Operation, Refusal};
use crate::rows::{FinalRows, Shop};

/// What a target can do, found out before the trial by asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// It keeps a `purchase` row per purchase.
    pub purchase_rows: bool,
    /// A repeated `Idempotency-Key` makes no second purchase, as it was seen to do or promises.
    pub idempotency_keys: bool,
    /// What it judges first; the sequential model judges the stock.
    pub judges_first: JudgesFirst,
    /// It refuses to sell an item to the same customer twice.
    pub once_per_customer: bool,
}

/// What a target judges first of a poor buyer of an item that is sold out, by its own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgesFirst {
    /// The stock.
    Stock,
    /// The balance.
    Balance,
    /// The answer does not tell.
    Untold,
}

/// All that a verdict on a trial rests on.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The rows before the first operation.
    pub initial: Shop,
    /// What was asked and answered.
    pub history: Vec<Operation>,
    /// The rows after the last operation.
    pub rows: FinalRows,
    /// What was left open in the database.
    pub aftermath: Aftermath,
    /// Whether the trial broke something on purpose, so that server errors are expected.
    pub faults: bool,
    /// What the target can do.
    pub capabilities: Capabilities,
}

/// What an invariant needs of a target before it can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    PurchaseRows,
    IdempotencyKeys,
    NoFaults,
    /// A refusal that tells its reason, if there are refusals at all.
    Told(&'static [Refusal]),
}

/// A predicate over [`Evidence`], and its name in every report.
#[derive(Debug)]
pub struct Invariant {
    /// The stable name, in kebab case.
    pub name: &'static str,
    /// What must hold, in one sentence.
    pub statement: &'static str,
    needs: Needs,
    violations: fn(&Evidence) -> Vec<String>,
}

/// Every invariant of the shop, in the order of the reports; those of every service come after.
pub const INVARIANTS: &[Invariant] = &[
    Invariant {
        name: "stock-not-negative",
        statement: "no item's stock is below 0",
        needs: Needs::Nothing,
        violations: accounts::negative_stock,
    },
    Invariant {
        name: "balance-not-negative",
        statement: "no wallet's balance is below 0",
        needs: Needs::Nothing,
        violations: accounts::negative_balance,
    },
    Invariant {
        name: "stock-gone-is-purchases",
        statement: "the stock gone from an item is the number of its purchases",
        needs: Needs::PurchaseRows,
        violations: accounts::stock_differs_from_purchases,
    },
    Invariant {
        name: "balance-gone-is-prices",
        statement: "the balance gone from a wallet is the sum of its purchases' prices",
        needs: Needs::PurchaseRows,
        violations: accounts::balance_differs_from_prices,
    },
    Invariant {
        name: "stock-gone-is-answers",
        statement: "the stock gone from an item agrees with the answers",
        needs: Needs::Nothing,
        violations: accounts::stock_differs_from_answers,
    },
    Invariant {
        name: "balance-gone-is-answers",
        statement: "the balance gone from a wallet agrees with the answers",
        needs: Needs::Nothing,
        violations: accounts::balance_differs_from_answers,
    },
    Invariant {
        name: "acknowledged-is-purchased",
        statement: "each 200 has its purchase row, whole, and no two share one",
        needs: Needs::PurchaseRows,
        violations: answers::acknowledged_without_purchase,
    },
    Invariant {
        name: "purchased-is-answered",
        statement: "no purchase exists that no 200 and no unknown answer stands for",
        needs: Needs::PurchaseRows,
        violations: answers::purchase_without_answer,
    },
    Invariant {
        name: "one-receipt-per-key",
        statement: "all 200s under one idempotency key carry the same receipt",
        needs: Needs::IdempotencyKeys,
        violations: answers::receipts_differ_under_a_key,
    },
    Invariant {
        name: "receipt-is-true",
        statement: "a receipt names the item's price and a balance that can have been left",
        needs: Needs::Nothing,
        violations: answers::untrue_receipt,
    },
    Invariant {
        name: "out-of-stock-was-true",
        statement: "out_of_stock is answered only when the stock was 0",
        needs: Needs::Told(&[Refusal::OutOfStock]),
        violations: refusals::untrue_out_of_stock,
    },
    Invariant {
        name: "insufficient-balance-was-true",
        statement: "insufficient_balance is answered only when the balance was below the price",
        needs: Needs::Told(&[Refusal::InsufficientBalance]),
        violations: refusals::untrue_insufficient_balance,
    },
    Invariant {
        name: "unknown-was-true",
        statement: "unknown_item and unknown_user are answered only for rows that do not exist",
        needs: Needs::Told(&[Refusal::UnknownItem, Refusal::UnknownUser]),
        violations: refusals::untrue_unknown,
    },
    Invariant {
        name: "refusal-was-true",
        statement: "a refusal without a reason that we know was true for one of the shop's reasons",
        needs: Needs::NoFaults,
        violations: refusals::untrue_without_reason,
    },
];

/// A rule that only some shops have; of the others it is not asked.
pub const ONCE_PER_CUSTOMER: Invariant = Invariant {
    name: "once-per-customer",
    statement: "nobody has bought an item twice in a shop that sells it once to each customer",
    needs: Needs::Nothing,
    violations: answers::sold_twice_to_a_customer,
};

/// Why a refusal is not held to a reason.
const REASONS_UNTOLD: &str =
    "the target's refusals do not tell their reason by a code that we know";

impl Invariant {
    /// Checks this invariant against `evidence`.
    pub fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::new(self.name, self.statement, Vec::new());
        let missing = match self.needs {
            Needs::PurchaseRows if !evidence.capabilities.purchase_rows => {
                Some("the target keeps no purchase rows")
            }
            Needs::IdempotencyKeys if !evidence.capabilities.idempotency_keys => {
                Some("the target knows no idempotency keys")
            }
            Needs::NoFaults if evidence.faults => Some(BROKEN_ON_PURPOSE),
            Needs::Told(reasons) if are_untold(reasons, &evidence.history) => Some(REASONS_UNTOLD),
            _ => None,
        };
        finding.outcome = match missing {
            Some(reason) => Outcome::NotApplicable(reason.into()),
            None => Finding::new(self.name, self.statement, (self.violations)(evidence)).outcome,
        };
        finding
    }
}

/// Whether nobody was refused for one of `reasons`, and somebody was without one: then it is not
/// known whether any of `reasons` was meant.
fn are_untold(reasons: &[Refusal], history: &[Operation]) -> bool {
    let is_told = |operation: &Operation| reasons.iter().any(|it| operation.is_refused(it));
    history.iter().any(Operation::is_refused_without_reason) && !history.iter().any(is_told)
}

/// Checks every invariant against `evidence`: the shop's in the order of [`INVARIANTS`], those of
/// every service ([`universal::CHECKS`]), and then [`ONCE_PER_CUSTOMER`] where the shop has that
/// rule.
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let invariants = INVARIANTS.iter();
    let mut findings: Vec<_> = invariants.map(|it| it.check(evidence)).collect();
    let Evidence {
        history,
        aftermath,
        faults,
        ..
    } = evidence;
    findings.extend(universal::check(history, aftermath, *faults));
    if evidence.capabilities.once_per_customer {
        findings.push(ONCE_PER_CUSTOMER.check(evidence));
    }
    findings
}

#[cfg(test)]
mod tests;

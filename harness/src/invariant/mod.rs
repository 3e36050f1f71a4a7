//! What must hold after every trial, whatever the target and whatever was broken.
//!
//! An invariant is a predicate over a trial's [`Evidence`]: the rows before and after, the
//! history, and what the database held when the target was at rest. Each is one row of
//! [`INVARIANTS`]; none sees the trace, and none does I/O.

mod accounts;
mod aftermath;
mod answers;
mod refusals;

use serde::Serialize;

use crate::history::{Operation, Refusal};
use crate::shop::{FinalRows, Shop};
use crate::verdict::Verdict;

/// What a target can do, found out before the trial by asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// It keeps a `purchase` row per purchase.
    pub purchase_rows: bool,
    /// A repeated `Idempotency-Key` makes no second purchase.
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

/// What the database held once the target had answered everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Aftermath {
    /// Sessions of the target that were still in a transaction, in words.
    pub open_transactions: Vec<String>,
    /// Locks on rows or tables that the target still held or awaited, in words.
    pub locks: Vec<String>,
    /// `pg_stat_database.deadlocks` of the trial's database.
    pub deadlocks: i64,
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

/// Every invariant, in the order of the reports.
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
    Invariant {
        name: "every-request-answered",
        statement: "where nothing was broken, every request gets its answer",
        needs: Needs::NoFaults,
        violations: answers::unanswered,
    },
    Invariant {
        name: "no-server-error",
        statement: "where nothing was broken, no answer is a 5xx other than 503",
        needs: Needs::NoFaults,
        violations: answers::server_errors,
    },
    Invariant {
        name: "no-open-transaction",
        statement: "at rest, no session of the target is in a transaction",
        needs: Needs::Nothing,
        violations: aftermath::open_transactions,
    },
    Invariant {
        name: "no-lock-left",
        statement: "at rest, no session of the target holds or awaits a lock",
        needs: Needs::Nothing,
        violations: aftermath::locks,
    },
    Invariant {
        name: "no-deadlock",
        statement: "PostgreSQL broke no deadlock (pg_stat_database.deadlocks)",
        needs: Needs::Nothing,
        violations: aftermath::deadlocks,
    },
];

/// A rule that only some shops have; of the others it is not asked.
pub const ONCE_PER_CUSTOMER: Invariant = Invariant {
    name: "once-per-customer",
    statement: "nobody has bought an item twice in a shop that sells it once to each customer",
    needs: Needs::Nothing,
    violations: answers::sold_twice_to_a_customer,
};

/// Why a check of an unbroken run is not made of a broken one.
pub const BROKEN_ON_PURPOSE: &str = "the trial broke something on purpose";

/// Why a refusal is not held to a reason.
const REASONS_UNTOLD: &str =
    "the target's refusals do not tell their reason by a code that we know";

/// How one check of a trial came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was checked, and it holds.
    Holds,
    /// It was checked, and it is broken: one sentence per place.
    Violated(Vec<String>),
    /// It cannot be asked of this target or this trial, and why.
    NotApplicable(String),
    /// It should have been checked and could not be, and why.
    Unchecked(String),
}

/// One named check of a trial and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The invariant's or the expectation's name.
    pub name: String,
    /// What must hold.
    pub statement: String,
    /// How it came out.
    pub outcome: Outcome,
}

impl Finding {
    /// A check that holds where `violations` is empty.
    pub fn new(name: &str, statement: &str, violations: Vec<String>) -> Self {
        let outcome = match violations.is_empty() {
            true => Outcome::Holds,
            false => Outcome::Violated(violations),
        };
        Finding {
            name: name.into(),
            statement: statement.into(),
            outcome,
        }
    }

    /// What this finding adds to the verdict; what does not apply adds nothing.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.outcome {
            Outcome::Holds => Some(Verdict::Valid),
            Outcome::Violated(_) => Some(Verdict::Violation),
            Outcome::NotApplicable(_) => None,
            Outcome::Unchecked(_) => Some(Verdict::Inconclusive),
        }
    }
}

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

/// Checks every invariant against `evidence`, in the order of [`INVARIANTS`], and then
/// [`ONCE_PER_CUSTOMER`] where the shop has that rule.
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let rule = evidence
        .capabilities
        .once_per_customer
        .then_some(&ONCE_PER_CUSTOMER);
    INVARIANTS
        .iter()
        .chain(rule)
        .map(|invariant| invariant.check(evidence))
        .collect()
}

#[cfg(test)]
mod tests;

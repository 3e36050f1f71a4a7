//! The operations of a run: who asked for what, when, and what came back.
//!
//! An operation's completion follows Jepsen's convention (`:ok`, `:fail`, `:info`): an
//! `Info` may have happened or not, and nothing else is known of it.
//!
//! An operation is one line of JSON that a person can write, too:
//! `{"user_id":1,"item_id":1,"invoked_ns":0,"completed_ns":5,"ok":{"balance_left":0}}`.

mod line;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use purchase_service::order::{ItemId, Money, Order, PurchaseId, UserId};
use rowlock_core::answer::{Answer, Ending, Unknown};
use serde::{Deserialize, Serialize};

/// One request: an order, and the key that makes its retry safe.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Who buys what.
    #[serde(flatten)]
    pub order: Order,
    /// The `Idempotency-Key` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Request {
    /// A request without a key.
    pub fn new(user_id: i64, item_id: i64) -> Self {
        let order = Order {
            user_id: UserId(user_id),
            item_id: ItemId(item_id),
        };
        Request { order, key: None }
    }

    /// The same request under `key`.
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// What a 200 says of the purchase; a target may leave any of it out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// The purchase row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase_id: Option<PurchaseId>,
    /// What was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// What was left in the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_left: Option<Money>,
}

/// Why a request was refused; nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// 400 `out_of_stock`.
    OutOfStock,
    /// 400 `insufficient_balance`.
    InsufficientBalance,
    /// 400 `unknown_item`.
    UnknownItem,
    /// 400 `unknown_user`.
    UnknownUser,
    /// 409, 423 or 429: it gave way to others.
    Conflict,
    /// 422: the key belongs to another payload.
    KeyReused,
    /// 503: refused before it began.
    Busy,
    /// The request never left this side.
    NotSent,
    /// Refused by the shop for a reason that the answer does not name in the words above, by its
    /// status and code.
    Unstated(String),
    /// Any other answer that is no success and no server error, by its status and code. It says
    /// nothing of the shop.
    Other(String),
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Completion {
    /// The purchase was acknowledged.
    Ok(Receipt),
    /// The purchase was refused.
    Fail(Refusal),
    /// The client cannot know.
    Info(Unknown),
}

/// One request by one client: an invocation and its completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "line::Line", into = "line::Line")]
pub struct Operation {
    /// Who asked for what.
    pub request: Request,
    /// When the client meant to send it, in ns since the trial's start; latencies count from here.
    pub intended_ns: u64,
    /// When it was sent, in ns since the trial's start.
    pub invoked_ns: u64,
    /// When its answer was complete or given up, in ns since the trial's start.
    pub completed_ns: u64,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// How it ended.
    pub completion: Completion,
}

impl Answer for Operation {
    fn ending(&self) -> Ending {
        match &self.completion {
            Completion::Ok(_) => Ending::Ok,
            Completion::Fail(Refusal::Conflict | Refusal::Busy) => Ending::GaveWay,
            Completion::Fail(_) => Ending::Refused,
            Completion::Info(unknown) => Ending::Unknown(*unknown),
        }
    }

    /// Who, what, and how it ended.
    fn describe(&self) -> String {
        self.describe()
    }

    /// The status, and the receipt or why there is none.
    fn reply(&self) -> String {
        let status = self.status.map(|status| status.to_string());
        let status = status.unwrap_or_else(|| "no answer".into());
        match &self.completion {
            Completion::Ok(Receipt { balance_left, .. }) => match balance_left {
                Some(left) => format!("{status}: purchased, balance left {left}"),
                None => format!("{status}: purchased"),
            },
            other => format!("{status}: {other}"),
        }
    }
}

impl Operation {
    /// Whether the purchase was acknowledged.
    pub fn is_ok(&self) -> bool {
        matches!(self.completion, Completion::Ok(_))
    }

    /// Whether the purchase may have happened.
    pub fn may_have_happened(&self) -> bool {
        !matches!(self.completion, Completion::Fail(_))
    }

    /// Whether the operation was refused for `refusal`.
    pub fn is_refused(&self, refusal: &Refusal) -> bool {
        matches!(&self.completion, Completion::Fail(reason) if reason == refusal)
    }

    /// Whether the operation was refused without a reason that is known.
    pub fn is_refused_without_reason(&self) -> bool {
        matches!(self.completion, Completion::Fail(Refusal::Unstated(_)))
    }

    /// One line for a report: who, what, and how it ended.
    pub fn describe(&self) -> String {
        let Order { user_id, item_id } = self.request.order;
        let key = self
            .request
            .key
            .as_ref()
            .map_or(String::new(), |key| format!(" key {key:?}"));
        let status = self
            .status
            .map_or("no answer".into(), |status| status.to_string());
        let completion = &self.completion;
        format!("user {user_id} item {item_id}{key}: {status}, {completion}")
    }
}

/// How many purchases the answers vouch for, and how many more there may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effects {
    /// Acknowledged purchases; all acknowledgements under one key are one purchase.
    pub certain: i64,
    /// Purchases whose outcome no client knows; at most one under a key, and none beside
    /// an acknowledged one.
    pub possible: i64,
}

impl Effects {
    /// Whether `count` purchases agree with the answers.
    pub fn allow(self, count: i64) -> bool {
        (self.certain..=self.certain + self.possible).contains(&count)
    }
}

/// The purchases that `operations` stand for, by who bought what.
pub fn effects<'a>(
    operations: impl IntoIterator<Item = &'a Operation>,
) -> BTreeMap<(UserId, ItemId), Effects> {
    let mut effects: BTreeMap<_, Effects> = BTreeMap::new();
    let mut acknowledged = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for operation in operations {
        let Request { order, key } = &operation.request;
        let buyer = (order.user_id, order.item_id);
        let effect = effects.entry(buyer).or_default();
        match (&operation.completion, key) {
            (Completion::Ok(_), None) => effect.certain += 1,
            (Completion::Info(_), None) => effect.possible += 1,
            (Completion::Ok(_), Some(key)) => drop(acknowledged.insert((buyer, key))),
            (Completion::Info(_), Some(key)) => drop(unknown.insert((buyer, key))),
            (Completion::Fail(_), _) => {}
        }
    }
    for (buyer, _) in &acknowledged {
        effects.entry(*buyer).or_default().certain += 1;
    }
    for (buyer, _) in unknown.difference(&acknowledged) {
        effects.entry(*buyer).or_default().possible += 1;
    }
    effects
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(request: Request, completion: Completion) -> Operation {
        Operation {
            request,
            intended_ns: 0,
            invoked_ns: 0,
            completed_ns: 1,
            status: None,
            completion,
        }
    }

    #[test]
    fn acknowledgements_under_one_key_are_one_purchase() {
        let clicks = [
            operation(
                Request::new(1, 1).with_key("k"),
                Completion::Ok(Receipt::default()),
            ),
            operation(
                Request::new(1, 1).with_key("k"),
                Completion::Ok(Receipt::default()),
            ),
            operation(
                Request::new(1, 1).with_key("k"),
                Completion::Info(Unknown::HungUp),
            ),
            operation(
                Request::new(1, 1).with_key("l"),
                Completion::Info(Unknown::HungUp),
            ),
            operation(
                Request::new(1, 1).with_key("l"),
                Completion::Info(Unknown::HungUp),
            ),
        ];
        let effects = effects(&clicks)[&(UserId(1), ItemId(1))];
        assert_eq!(
            effects,
            Effects {
                certain: 1,
                possible: 1
            }
        );
    }

    #[test]
    fn an_unknown_outcome_allows_both_and_nothing_else() {
        let clicks = [
            operation(Request::new(1, 1), Completion::Ok(Receipt::default())),
            operation(Request::new(1, 1), Completion::Info(Unknown::ServerError)),
            operation(Request::new(1, 1), Completion::Fail(Refusal::OutOfStock)),
        ];
        let effects = effects(&clicks)[&(UserId(1), ItemId(1))];
        assert!(!effects.allow(0) && effects.allow(1) && effects.allow(2) && !effects.allow(3));
    }
}

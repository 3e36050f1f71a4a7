//! The sequential shop: what one request after another must be answered.
//!
//! A pure state machine of the shape `init`, `step`, `==`. It judges in the order of the
//! service: the key before everything else, then item, stock, wallet and balance. It knows no
//! time and no other request; [`linearizability`](crate::linearizability) does.

use std::collections::BTreeMap;

use purchase_service::order::{Money, Order, Refusal};

use crate::history::{self, Completion, Request};
use crate::rows::Shop;

/// Everything that an answer can depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The rows of `item` and `wallet`.
    pub shop: Shop,
    /// The purchase that each used key stands for.
    pub keys: BTreeMap<String, Bought>,
}

/// A purchase, as its receipt tells it. The row's id is the target's own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bought {
    /// Who bought what.
    pub order: Order,
    /// What was charged.
    pub price: Money,
    /// What was left in the wallet.
    pub balance_left: Money,
}

/// What the shop says to one request.
pub type Answer = Result<Bought, Refusal>;

/// The state before the first request.
pub fn init(shop: &Shop) -> State {
    State {
        shop: shop.clone(),
        keys: BTreeMap::new(),
    }
}

/// The state after `request`, and its answer.
pub fn step(state: &State, request: &Request) -> (State, Answer) {
    let mut next = state.clone();
    let answer = next.advance(request);
    (next, answer)
}

impl State {
    /// What `request` would be answered now.
    pub fn answer(&self, request: &Request) -> Answer {
        let order = request.order;
        if let Some(first) = request.key.as_ref().and_then(|key| self.keys.get(key)) {
            return match first.order == order {
                true => Ok(*first),
                false => Err(Refusal::KeyReused),
            };
        }
        let item = self.shop.items.get(&order.item_id);
        let item = item.ok_or(Refusal::UnknownItem)?;
        if item.stock == 0 {
            return Err(Refusal::OutOfStock);
        }
        let balance = self.shop.wallets.get(&order.user_id);
        let balance = balance.ok_or(Refusal::UnknownUser)?;
        if *balance < item.price {
            return Err(Refusal::InsufficientBalance);
        }
        Ok(Bought {
            order,
            price: item.price,
            balance_left: Money(balance.0 - item.price.0),
        })
    }

    /// [`step`] in place.
    pub fn advance(&mut self, request: &Request) -> Answer {
        let bought = self.answer(request)?;
        let is_repeat = (request.key.as_ref()).is_some_and(|key| self.keys.contains_key(key));
        if !is_repeat {
            if let Some(item) = self.shop.items.get_mut(&bought.order.item_id) {
                item.stock -= 1;
            }
            (self.shop.wallets).insert(bought.order.user_id, bought.balance_left);
            if let Some(key) = &request.key {
                self.keys.insert(key.clone(), bought);
            }
        }
        Ok(bought)
    }
}

/// Whether a client that was told `completion` may have been answered `answer`. A receipt need
/// not state everything; who knows nothing may have been answered anything.
pub fn agrees(answer: &Answer, completion: &Completion) -> bool {
    match (answer, completion) {
        (_, Completion::Info(_)) => true,
        (Ok(bought), Completion::Ok(receipt)) => {
            receipt.price.is_none_or(|price| price == bought.price)
                && (receipt.balance_left).is_none_or(|left| left == bought.balance_left)
        }
        (Err(refusal), Completion::Fail(told)) => match observed(told) {
            Some(Observed::For(reason)) => reason == *refusal,
            Some(Observed::ForSomeReason) => true,
            None => false,
        },
        _ => false,
    }
}

/// A refusal of the shop, as a client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Observed {
    /// For this reason.
    For(Refusal),
    /// For one of the shop's reasons, and the answer does not tell which.
    ForSomeReason,
}

/// The shop's refusal that a client was told; `None` where the answer says nothing of the shop,
/// as a conflict or an overload does.
pub fn observed(told: &history::Refusal) -> Option<Observed> {
    let reason = match told {
        history::Refusal::OutOfStock => Refusal::OutOfStock,
        history::Refusal::InsufficientBalance => Refusal::InsufficientBalance,
        history::Refusal::UnknownItem => Refusal::UnknownItem,
        history::Refusal::UnknownUser => Refusal::UnknownUser,
        history::Refusal::KeyReused => Refusal::KeyReused,
        history::Refusal::Unstated(_) => return Some(Observed::ForSomeReason),
        history::Refusal::Conflict
        | history::Refusal::Busy
        | history::Refusal::NotSent
        | history::Refusal::Other(_) => return None,
    };
    Some(Observed::For(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> State {
        init(
            &Shop::default()
                .item(1, 100, 1)
                .item(2, 300, 5)
                .wallet(1, 250),
        )
    }

    fn answers(requests: &[Request]) -> Vec<Result<i64, Refusal>> {
        let mut state = shop();
        let advance = |request| state.advance(request).map(|bought| bought.balance_left.0);
        requests.iter().map(advance).collect()
    }

    #[test]
    fn the_last_unit_is_sold_once() {
        let twice = [Request::new(1, 1), Request::new(1, 1)];
        assert_eq!(answers(&twice), [Ok(150), Err(Refusal::OutOfStock)]);
    }

    #[test]
    fn a_repeat_returns_the_first_receipt_also_when_all_is_sold() {
        let twice = [1, 1].map(|item_id| Request::new(1, item_id).with_key("k"));
        assert_eq!(answers(&twice), [Ok(150), Ok(150)]);
    }

    #[test]
    fn a_used_key_is_judged_before_the_item() {
        let requests = [1, 9].map(|item_id| Request::new(1, item_id).with_key("k"));
        assert_eq!(answers(&requests), [Ok(150), Err(Refusal::KeyReused)]);
    }

    #[test]
    fn a_refusal_is_not_remembered() {
        let requests = [2, 1].map(|item_id| Request::new(1, item_id).with_key("k"));
        let expected = [Err(Refusal::InsufficientBalance), Ok(150)];
        assert_eq!(answers(&requests), expected);
    }

    #[test]
    fn item_stock_wallet_and_balance_are_judged_in_this_order() {
        let requests = [
            Request::new(9, 9),
            Request::new(9, 1),
            Request::new(1, 1),
            Request::new(9, 1),
        ];
        let expected = [
            Err(Refusal::UnknownItem),
            Err(Refusal::UnknownUser),
            Ok(150),
            Err(Refusal::OutOfStock),
        ];
        assert_eq!(answers(&requests), expected);
    }

    #[test]
    fn a_step_leaves_the_state_before_it_as_it_was() {
        let before = shop();
        let (after, _) = step(&before, &Request::new(1, 1));
        assert_eq!(before, shop());
        assert_ne!(before, after);
    }
}

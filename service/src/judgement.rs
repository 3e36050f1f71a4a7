//! Who gets what: the orders of one item, one after another, as stock and balances fall.
//!
//! Pure. The rows are those that the transaction has locked; each order is told what it would be
//! told if all came alone, in this order.

use std::collections::HashMap;

use crate::order::{IdempotencyKey, ItemId, Money, Order, Receipt, Refusal, UserId};
use crate::purchaser::Outcome;

/// The item, as it is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: ItemId,
    pub(crate) price: Money,
    pub(crate) stock: i64,
}

/// An order, with the key that names its purchase.
pub(crate) type KeyedOrder = (Order, Option<IdempotencyKey>);

/// The purchases that keys stand for.
pub(crate) type Keyed = HashMap<IdempotencyKey, Receipt>;

/// What becomes of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is bought, and this is left in the wallet, before its owner's next purchase.
    Buys(Money),
    /// It repeats the purchase of the order in this place.
    Repeats(usize),
    /// Nothing is done for it: it is refused, or repeats a purchase that was there.
    Answered(Outcome),
}

/// Decides the orders of `item` one after another. `balances` are those of the wallets that there
/// are, and `keyed` the purchases under the orders' keys.
pub(crate) fn judge(
    orders: &[KeyedOrder],
    item: Option<Item>,
    balances: HashMap<UserId, Money>,
    keyed: &Keyed,
) -> Vec<Decision> {
    let mut rows = Rows {
        item,
        balances,
        buyers: HashMap::new(),
    };
    let decide = |(place, (order, key)): (usize, &_)| {
        // Before anything else is judged: the repeat of a purchase that took the last unit
        // returns its receipt.
        repeat(*order, Option::as_ref(key), keyed)
            .map(Decision::Answered)
            .or_else(|| rows.repeat(*order, Option::as_ref(key)))
            .unwrap_or_else(|| rows.sell(*order, Option::as_ref(key), place))
    };
    orders.iter().enumerate().map(decide).collect()
}

/// The outcome that an order's key already stands for, if it does.
pub(crate) fn repeat(order: Order, key: Option<&IdempotencyKey>, keyed: &Keyed) -> Option<Outcome> {
    let receipt = keyed.get(key?)?;
    let is_same = receipt.user_id == order.user_id && receipt.item_id == order.item_id;
    Some(is_same.then_some(*receipt).ok_or(Refusal::KeyReused))
}

/// The locked rows as they fall, and which order bought under which key.
struct Rows {
    item: Option<Item>,
    balances: HashMap<UserId, Money>,
    buyers: HashMap<IdempotencyKey, (UserId, usize)>,
}

impl Rows {
    /// What the key stands for since an order before this one.
    fn repeat(&self, order: Order, key: Option<&IdempotencyKey>) -> Option<Decision> {
        let (buyer, place) = *self.buyers.get(key?)?;
        Some(if buyer == order.user_id {
            Decision::Repeats(place)
        } else {
            Decision::Answered(Err(Refusal::KeyReused))
        })
    }

    fn sell(&mut self, order: Order, key: Option<&IdempotencyKey>, place: usize) -> Decision {
        let refused = |refusal| Decision::Answered(Err(refusal));
        let Some(item) = &mut self.item else {
            return refused(Refusal::UnknownItem);
        };
        if item.stock <= 0 {
            return refused(Refusal::OutOfStock);
        }
        let Some(balance) = self.balances.get_mut(&order.user_id) else {
            return refused(Refusal::UnknownUser);
        };
        if *balance < item.price {
            return refused(Refusal::InsufficientBalance);
        }
        balance.0 -= item.price.0;
        item.stock -= 1;
        if let Some(key) = key {
            self.buyers.insert(key.clone(), (order.user_id, place));
        }
        Decision::Buys(*balance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(user_id: i64, key: Option<&str>) -> KeyedOrder {
        let order = Order {
            user_id: UserId(user_id),
            item_id: ItemId(1),
        };
        (
            order,
            key.map(|key| IdempotencyKey::parse(key.as_bytes()).unwrap()),
        )
    }

    /// An item at 10 with this stock, and wallets with these balances.
    fn decide(stock: i64, balances: &[(i64, i64)], orders: &[KeyedOrder]) -> Vec<Decision> {
        let item = Item {
            id: ItemId(1),
            price: Money(10),
            stock,
        };
        let balances = balances
            .iter()
            .map(|&(user, balance)| (UserId(user), Money(balance)));
        judge(orders, Some(item), balances.collect(), &Keyed::new())
    }

    fn refused(refusal: Refusal) -> Decision {
        Decision::Answered(Err(refusal))
    }

    #[test]
    fn the_stock_falls_from_order_to_order() {
        let orders = [order(1, None), order(2, None), order(3, None)];
        assert_eq!(
            decide(2, &[(1, 10), (2, 10), (3, 10)], &orders),
            [
                Decision::Buys(Money(0)),
                Decision::Buys(Money(0)),
                refused(Refusal::OutOfStock)
            ]
        );
    }

    #[test]
    fn a_refused_order_takes_nothing_from_those_behind_it() {
        let orders = [order(1, None), order(9, None), order(2, None)];
        assert_eq!(
            decide(1, &[(1, 9), (2, 10)], &orders),
            [
                refused(Refusal::InsufficientBalance),
                refused(Refusal::UnknownUser),
                Decision::Buys(Money(0))
            ]
        );
    }

    #[test]
    fn the_balance_falls_where_one_user_buys_twice() {
        let orders = [order(1, None), order(1, None), order(1, None)];
        assert_eq!(
            decide(3, &[(1, 25)], &orders),
            [
                Decision::Buys(Money(15)),
                Decision::Buys(Money(5)),
                refused(Refusal::InsufficientBalance)
            ]
        );
    }

    #[test]
    fn a_key_that_two_orders_share_is_one_purchase() {
        let orders = [
            order(1, Some("k")),
            order(1, Some("k")),
            order(2, Some("k")),
        ];
        assert_eq!(
            decide(3, &[(1, 30), (2, 30)], &orders),
            [
                Decision::Buys(Money(20)),
                Decision::Repeats(0),
                refused(Refusal::KeyReused)
            ]
        );
    }

    #[test]
    fn a_key_whose_order_was_refused_is_free_for_the_next() {
        let orders = [order(1, Some("k")), order(2, Some("k"))];
        assert_eq!(
            decide(3, &[(1, 9), (2, 10)], &orders),
            [
                refused(Refusal::InsufficientBalance),
                Decision::Buys(Money(0))
            ]
        );
    }

    #[test]
    fn a_repeat_returns_its_receipt_when_the_stock_is_gone() {
        let receipt = Receipt {
            purchase_id: crate::order::PurchaseId(7),
            user_id: UserId(1),
            item_id: ItemId(1),
            price: Money(10),
            balance_left: Money(0),
        };
        let orders = [order(1, Some("k")), order(2, Some("k")), order(1, None)];
        let (_, key) = &orders[0];
        let keyed = Keyed::from([(key.clone().unwrap(), receipt)]);
        let balances = HashMap::from([(UserId(1), Money(0))]);
        assert_eq!(
            judge(&orders, None, balances, &keyed),
            [
                Decision::Answered(Ok(receipt)),
                refused(Refusal::KeyReused),
                refused(Refusal::UnknownItem)
            ]
        );
    }
}

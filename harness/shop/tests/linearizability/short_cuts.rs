//! Histories that a search without one of its rules would not get through.
//!
//! Each needs a handful of steps with the rules, and millions without: the number of ways in
//! which twenty purchases of unknown outcome may have happened. So a small budget shows that the
//! rule is there; that it is right is what the definition is for.

use purchase_service::order::{Money, UserId};
use rowlock_core::answer::Unknown;
use rowlock_shop::history::{Completion, Operation, Receipt, Refusal, Request};
use rowlock_shop::linearizability::{Budget, Conclusion, LastRows, Recording, check};
use rowlock_shop::rows::Shop;

const MANY: i64 = 20;

/// Asks for what nobody else does, and looks at every item.
const ONLOOKER: i64 = 1_000;

/// Bought the one unit of [`SOLD`], if anybody did.
const LOST: i64 = 2_000;
const SOLD: i64 = 3_000;

fn operation(user: i64, item: i64, (from, to): (u64, u64), completion: Completion) -> Operation {
    Operation {
        request: Request::new(user, item),
        intended_ns: from,
        invoked_ns: from,
        completed_ns: to,
        status: None,
        completion,
    }
}

fn lost(user: i64, item: i64) -> Operation {
    operation(user, item, (0, 0), Completion::Info(Unknown::HungUp))
}

fn refused(user: i64, item: i64, at: (u64, u64), refusal: Refusal) -> Operation {
    operation(user, item, at, Completion::Fail(refusal))
}

fn bought(user: i64, item: i64, at: (u64, u64), left: Option<i64>) -> Operation {
    let receipt = Receipt {
        balance_left: left.map(Money),
        ..Receipt::default()
    };
    operation(user, item, at, Completion::Ok(receipt))
}

fn conclude(initial: Shop, operations: Vec<Operation>, last: LastRows) -> Conclusion {
    let recording = Recording {
        initial,
        operations,
        last,
    };
    check(&recording, Budget::steps(100_000))
}

/// Adds what holds everything after it back until [`LOST`] is known to have bought the last unit
/// of [`SOLD`], and asserts that the search soon finds an order.
fn assert_seen_through(shop: Shop, mut operations: Vec<Operation>) {
    let shop = shop.item(SOLD, 1, 1).wallet(LOST, 5);
    operations.push(lost(LOST, SOLD));
    operations.push(refused(ONLOOKER, SOLD, (1, 50), Refusal::OutOfStock));
    let conclusion = conclude(shop, operations, LastRows::default());
    assert!(
        matches!(conclusion, Conclusion::Linearizable(_)),
        "{conclusion:?}"
    );
}

#[test]
fn an_unknown_purchase_leaves_the_units_that_are_promised() {
    let mut shop = Shop::default().wallet(ONLOOKER, 5);
    let mut operations = Vec::new();
    for id in 1..=MANY {
        shop = shop.item(id, 1, 1).wallet(id, 5).wallet(100 + id, 5);
        operations.push(lost(id, id));
        operations.push(refused(ONLOOKER, id, (2, 1_000), Refusal::OutOfStock));
        operations.push(bought(100 + id, id, (100, 101), None));
    }
    assert_seen_through(shop, operations);
}

#[test]
fn an_unknown_purchase_leaves_the_money_that_is_promised() {
    let mut shop = Shop::default().item(1, 1, 1_000).wallet(ONLOOKER, 0);
    let mut operations = vec![refused(
        ONLOOKER,
        1,
        (2, 1_000),
        Refusal::InsufficientBalance,
    )];
    for id in 1..=MANY {
        shop = shop.wallet(id, 1);
        operations.push(lost(id, 1));
        operations.push(refused(id, 1, (2, 1_000), Refusal::InsufficientBalance));
        operations.push(bought(id, 1, (100, 101), None));
    }
    assert_seen_through(shop, operations);
}

#[test]
fn an_unknown_purchase_leaves_the_balance_that_a_receipt_states() {
    let shop = Shop::default().item(1, 1, 1_000).item(2, 2, 1_000);
    let mut shop = shop.wallet(ONLOOKER, 0);
    let mut operations = vec![refused(
        ONLOOKER,
        1,
        (2, 1_000),
        Refusal::InsufficientBalance,
    )];
    for id in 1..=MANY {
        shop = shop.wallet(id, 2);
        operations.push(lost(id, 1));
        operations.push(refused(id, 2, (2, 1_000), Refusal::InsufficientBalance));
        operations.push(bought(id, 1, (100, 101), Some(1)));
    }
    assert_seen_through(shop, operations);
}

#[test]
fn an_unknown_purchase_waits_until_an_open_answer_wants_it() {
    let mut shop = Shop::default().wallet(ONLOOKER, 0);
    let mut operations = Vec::new();
    for id in 1..=MANY {
        shop = shop.item(id, 1, 1).wallet(id, 5);
        operations.push(lost(id, id));
        operations.push(refused(
            ONLOOKER,
            id,
            (100, 101),
            Refusal::InsufficientBalance,
        ));
    }
    assert_seen_through(shop, operations);
}

/// Purchases of unknown outcome that took an item's whole stock.
#[derive(Clone, Copy)]
struct Crowd {
    price: i64,
    balance: i64,
    /// Each has a key of its own.
    is_keyed: bool,
    /// All of them happened, as the final balances tell; else half of them.
    is_told: bool,
    /// Each buyer came twice.
    is_double: bool,
}

const CROWD: Crowd = Crowd {
    price: 1,
    balance: 5,
    is_keyed: false,
    is_told: false,
    is_double: false,
};

/// After the item was sold out, somebody finds it in stock. That nothing explains, in whatever
/// order the purchases are tried.
fn assert_seen_to_be_wrong(crowd: Crowd) {
    let stock = if crowd.is_told { MANY } else { MANY / 2 };
    let shop = Shop::default().item(1, crowd.price, stock);
    let mut shop = shop.wallet(ONLOOKER, 0);
    let mut operations = Vec::new();
    let mut last = LastRows::default();
    for id in 1..=MANY {
        shop = shop.wallet(id, crowd.balance);
        for _ in 0..=usize::from(crowd.is_double) {
            let mut purchase = lost(id, 1);
            purchase.request.key = crowd.is_keyed.then(|| format!("k{id}"));
            operations.push(purchase);
        }
        if crowd.price == 0 {
            // Free purchases are all alike, even where the wallet is looked at again.
            operations.push(refused(id, 77, (100, 101), Refusal::UnknownItem));
        }
        if crowd.is_told {
            let left = Money(crowd.balance - crowd.price);
            last.balances.insert(UserId(id), left);
        }
    }
    operations.push(refused(ONLOOKER, 1, (10, 11), Refusal::OutOfStock));
    // A buyer without a wallet is told so only where there is something to buy.
    operations.push(refused(9_999, 1, (20, 21), Refusal::UnknownUser));
    let conclusion = conclude(shop, operations, last);
    assert!(
        matches!(conclusion, Conclusion::Contradicted(_)),
        "{conclusion:?}"
    );
}

#[test]
fn unknown_purchases_that_could_trade_places_are_tried_once() {
    assert_seen_to_be_wrong(CROWD);
    let poor = Crowd {
        balance: 1,
        ..CROWD
    };
    assert_seen_to_be_wrong(poor);
    let is_double = true;
    assert_seen_to_be_wrong(Crowd { is_double, ..CROWD });
}

#[test]
fn unknown_purchases_with_a_key_of_their_own_are_tried_once() {
    let is_keyed = true;
    assert_seen_to_be_wrong(Crowd { is_keyed, ..CROWD });
}

#[test]
fn unknown_purchases_that_the_final_balances_tell_of_are_tried_once() {
    let is_told = true;
    assert_seen_to_be_wrong(Crowd { is_told, ..CROWD });
}

#[test]
fn unknown_purchases_of_what_is_free_are_tried_once() {
    assert_seen_to_be_wrong(Crowd { price: 0, ..CROWD });
}

#[test]
fn what_has_nothing_to_do_with_each_other_is_judged_apart() {
    let mut shop = Shop::default().item(SOLD, 1, 1).wallet(LOST, 5);
    let mut operations = Vec::new();
    for id in 1..=MANY {
        shop = shop.item(id, 1, 1).wallet(100 + id, 5);
        for buyer in [id, 50 + id] {
            shop = shop.wallet(buyer, 5);
            operations.push(lost(buyer, id));
            // He comes again, so that it matters who of the two it was.
            operations.push(refused(buyer, id, (100, 101), Refusal::OutOfStock));
        }
        operations.push(refused(100 + id, id, (1, 50), Refusal::OutOfStock));
    }
    // Nobody can have bought it.
    operations.push(refused(LOST, SOLD, (200, 201), Refusal::OutOfStock));
    let conclusion = conclude(shop, operations, LastRows::default());
    assert!(
        matches!(conclusion, Conclusion::Contradicted(_)),
        "{conclusion:?}"
    );
}

//! A purchase and its rival share a transaction, of which every step is broken in every way.
//!
//! The item's row is held by the test while three orders arrive: the first has a transaction of its
//! own, and the other two share the next. Each of the two is told what it would be told without the
//! fault, or that nobody knows; what it asks for again under its key it has once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::breaker::{Breaker, Fault};
use common::client::{Answer, buy, purchase_request};
use common::database::{Proxied, fresh_database};
use common::model::{Buyer, Model, told};
use common::{BOUND, Shop};
use futures::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rowlock_proxy::{ReplyAction, RequestAction};
use rowlock_testing::seed::seeds;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

const PRICE: i64 = 10;

/// Who has the first transaction.
const OPENER: i64 = 9;

/// Each but the stall, which needs a service of less patience.
const FAULTS: [Fault; 10] = [
    Fault::Error("XX000"),
    Fault::Error("40001"),
    Fault::Error("40P01"),
    Fault::Error("55P03"),
    Fault::Error("57014"),
    Fault::Error("23514"),
    Fault::DropBefore,
    Fault::DropAfter,
    Fault::Terminate,
    Fault::HangUp,
];

/// Rows, and two orders under keys.
#[derive(Debug, Clone)]
struct Plan {
    stock: i64,
    wallets: [i64; 2],
    buyers: [Buyer; 2],
}

impl Plan {
    /// There is enough for the first of the two, and perhaps not for the second.
    fn choose(rng: &mut ChaCha8Rng) -> Self {
        let buyer = rng.random_range(1..=2);
        let rival = rng.random_range(1..=2);
        let key = match buyer == rival && rng.random_bool(0.5) {
            true => "chosen",
            false => "rival",
        };
        Self {
            stock: rng.random_range(2..=3),
            wallets: [0, 1].map(|_| PRICE * rng.random_range(1..=2)),
            buyers: [(buyer, Some("chosen")), (rival, Some(key))],
        }
    }

    /// What the shop is once the first order is served.
    fn model(&self) -> Model {
        let wallets = (1..).zip(self.wallets).chain([(OPENER, PRICE)]);
        let mut model = Model::new(PRICE, self.stock, wallets);
        model.buy((OPENER, None));
        model
    }

    /// Of all wallets, before anybody buys.
    fn money(&self) -> i64 {
        self.wallets.iter().sum::<i64>() + PRICE
    }
}

/// A shop behind a proxy, whose transactions take no longer than this.
async fn open(transaction_timeout_ms: u64) -> (Shop, Proxied) {
    let database = fresh_database().await;
    let proxy = database.proxy().await;
    let shop = Shop::open_on(database, |config| {
        config.database_url = proxy.url.clone();
        config.transaction_timeout_ms = transaction_timeout_ms;
    })
    .await;
    shop.item(1, PRICE, 0).await;
    for user_id in [1, 2, OPENER] {
        shop.wallet(user_id, 0).await;
    }
    (shop, proxy)
}

/// Sends an order on a connection that can be cut.
async fn send(shop: &Shop, (user_id, key): Buyer) -> TcpStream {
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    let request = purchase_request(user_id, 1, key);
    stream.write_all(&request).await.unwrap();
    stream
}

/// The answers to the two orders that share a transaction, where there are any, and how many steps
/// came from its first on.
async fn play(
    (shop, proxy): &(Shop, Proxied),
    plan: &Plan,
    broken: Option<(usize, Fault)>,
) -> (Vec<Answer>, usize) {
    let [one, other] = plan.wallets;
    shop.sql(format!(
        "truncate purchase;
         update item set stock = {};
         update wallet set balance = case user_id when 1 then {one} when 2 then {other} else {PRICE} end",
        plan.stock
    ))
    .await;
    let (breaker, mut holds) = Breaker::new(broken);
    proxy.control().set_gate(Some(breaker.clone()));
    let lock = shop.lock_item(1).await;
    let address = shop.address;
    let opener = tokio::spawn(buy(address, OPENER, 1, None));
    shop.until_waiting(1).await;
    let fault = broken.map(|(_, fault)| fault);
    let [chosen, rival] = plan.buyers;
    let mut leaving = None;
    let mut staying = Vec::new();
    match fault {
        Some(Fault::HangUp) => leaving = Some(send(shop, chosen).await),
        _ => staying.push(tokio::spawn(buy(address, chosen.0, 1, chosen.1))),
    }
    shop.until_waiting(2).await;
    staying.push(tokio::spawn(buy(address, rival.0, 1, rival.1)));
    shop.until_waiting(3).await;
    lock.rollback().await.unwrap();
    assert_eq!(opener.await.unwrap().status, 200);
    if let Some(leaving) = leaving {
        let id = timeout(BOUND, holds.recv()).await.unwrap().unwrap();
        leaving.set_zero_linger().unwrap();
        drop(leaving);
        proxy.control().release_reply(id, ReplyAction::Deliver);
    }
    let mut answers = Vec::new();
    for order in staying {
        answers.push(timeout(BOUND, order).await.unwrap().unwrap());
    }
    if fault == Some(Fault::Stall) {
        // Its session is closed by now, which releases it as well.
        let id = timeout(BOUND, holds.recv()).await.unwrap().unwrap();
        proxy.control().release_request(id, RequestAction::Deliver);
    }
    shop.until_waiting(0).await;
    proxy.control().set_gate(None);
    assert_eq!(breaker.has_struck(), broken.is_some(), "{broken:?}");
    (answers, breaker.steps())
}

/// Breaks step `at` of `steps`, and looks whether the two orders are told the truth.
async fn check(shop: &(Shop, Proxied), plan: &Plan, fault: Fault, (at, steps): (usize, usize)) {
    let what = format!("{fault:?} at step {at} of {steps}, {plan:?}");
    let (answers, _) = play(shop, plan, Some((at, fault))).await;
    let mut model = plan.model();
    let mut expected: Vec<_> = plan.buyers.map(|buyer| model.buy(buyer)).into();
    if fault == Fault::HangUp {
        expected.remove(0);
    }
    let is_decided = |answer: &Answer| answer.status < 500;
    let are_decided = answers.iter().all(is_decided);
    let are_unknown = !answers.iter().any(is_decided);
    assert!(are_decided || are_unknown, "{what}: {answers:#?}");
    let all_told: Vec<_> = answers.iter().map(told).collect();
    if are_decided {
        assert_eq!(all_told, expected, "{what}");
    }
    // What fails behind the first lock and before the COMMIT is tried again one by one.
    let is_between = 1 < at && at < steps && fault != Fault::Stall;
    assert!(
        are_decided || !is_between && fault != Fault::HangUp,
        "{what}: {all_told:?}"
    );
    let shop = &shop.0;
    shop.assert_sound(plan.stock, plan.money()).await;
    let mut model = plan.model();
    for (user_id, key) in plan.buyers {
        let again = buy(shop.address, user_id, 1, key).await;
        assert_eq!(told(&again), model.buy((user_id, key)), "{what}: again");
    }
    assert_eq!(
        shop.number("select stock from item").await,
        model.stock,
        "{what}"
    );
    shop.assert_sound(plan.stock, plan.money()).await;
}

/// Breaks every step of the transaction that the orders of this seed share, by each of `faults`.
async fn break_all(seed: u64, transaction_timeout_ms: u64, faults: &[Fault]) {
    let shop = open(transaction_timeout_ms).await;
    let plan = Plan::choose(&mut ChaCha8Rng::seed_from_u64(seed));
    let (answers, steps) = play(&shop, &plan, None).await;
    let mut model = plan.model();
    let expected = plan.buyers.map(|buyer| model.buy(buyer));
    let all_told: Vec<_> = answers.iter().map(told).collect();
    assert_eq!(all_told, expected, "{plan:?}");
    assert!(steps > 3, "{steps} steps");
    for fault in faults {
        for at in 1..=steps {
            check(&shop, &plan, *fault, (at, steps)).await;
        }
    }
}

#[tokio::test]
async fn two_orders_of_one_transaction_are_told_the_truth_whatever_breaks_at_any_step() {
    let breaking = [1, 2].into_iter().chain(seeds(3)).map(async |seed| {
        tokio::join!(
            break_all(seed, 20_000, &FAULTS),
            // Long enough for all else that takes its time.
            break_all(seed, 1_000, &[Fault::Stall])
        );
    });
    join_all(breaking).await;
}

//! The model is the service run sequentially: the same answers, and the same rows at the end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use purchase_service::order::PurchaseId;
use purchase_service::{Config, Service};
use rowlock::client::{Client, Clock};
use rowlock::database::Inspector;
use rowlock_postgres::fresh_database;
use rowlock_shop::history::{Completion, Operation, Request};
use rowlock_shop::model::{self, Answer};
use rowlock_shop::rows::Shop;
use rowlock_testing::seed::for_all;
use tokio::runtime::Runtime;

const CASES: u32 = 200;

/// A service on an empty database of its own, and a client of it.
struct Fixture {
    runtime: Runtime,
    inspector: Inspector,
    address: SocketAddr,
    operations: Cell<usize>,
    answers: std::cell::RefCell<BTreeMap<String, usize>>,
}

impl Fixture {
    fn start() -> Fixture {
        let runtime = Runtime::new().unwrap();
        let (inspector, address) = runtime.block_on(async {
            let database = fresh_database("model").await;
            let inspector = Inspector::open_shop(database.options()).await.unwrap();
            let config = Config::from_lookup(|name| match name {
                "DATABASE_URL" => Some(database.url()),
                "PORT" => Some("0".into()),
                _ => None,
            });
            let service = Service::start(&config.unwrap()).await.unwrap();
            let address = service.address();
            // Ends with the runtime.
            tokio::spawn(service.serve(std::future::pending()));
            (inspector, address)
        });
        Fixture {
            runtime,
            inspector,
            address,
            operations: Cell::new(0),
            answers: std::cell::RefCell::default(),
        }
    }

    fn compare(&self, shop: &Shop, requests: &[Request]) -> Result<(), TestCaseError> {
        self.runtime.block_on(async {
            self.inspector.reset(shop).await.unwrap();
            let patience = Duration::from_secs(30);
            let client = Client::connect(self.address, Clock::start(), patience).await;
            let mut client = client.unwrap();
            let mut state = model::init(shop);
            let mut ids = Ids::default();
            for request in requests {
                let (next, answer) = model::step(&state, request);
                let operation = client.purchase(request.clone()).await;
                prop_assert!(
                    is_answer(&answer, &operation),
                    "{}, and the model says {answer:?}",
                    operation.describe()
                );
                ids.note(&operation)?;
                self.count(&answer);
                state = next;
            }
            let rows = self.inspector.read(true).await.unwrap();
            prop_assert_eq!(&rows.shop, &state.shop);
            let purchases = rows.purchases.unwrap();
            prop_assert_eq!(purchases.len(), ids.purchases);
            for (key, bought) in &state.keys {
                let of_key = |row: &&_| is_of_key(row, key);
                let rows: Vec<_> = purchases.iter().filter(of_key).collect();
                prop_assert_eq!(rows.len(), 1, "key {}", key);
                let row = (rows[0].user_id, rows[0].item_id, rows[0].price);
                let expected = (bought.order.user_id, bought.order.item_id, bought.price);
                prop_assert_eq!(row, expected);
            }
            Ok(())
        })
    }

    fn count(&self, answer: &Answer) {
        self.operations.set(self.operations.get() + 1);
        let name = match answer {
            Ok(_) => "ok".into(),
            Err(refusal) => format!("{refusal:?}"),
        };
        *self.answers.borrow_mut().entry(name).or_default() += 1;
    }
}

fn is_of_key(row: &rowlock_shop::rows::Purchase, key: &str) -> bool {
    row.idempotency_key.as_deref() == Some(key)
}

/// Whether the service said what the model says: the status, the code, the whole receipt.
fn is_answer(answer: &Answer, operation: &Operation) -> bool {
    use purchase_service::order::Refusal::KeyReused;
    let status = match answer {
        Ok(_) => 200,
        Err(KeyReused) => 422,
        Err(_) => 400,
    };
    let is_whole = match &operation.completion {
        Completion::Ok(receipt) => receipt.price.is_some() && receipt.balance_left.is_some(),
        _ => true,
    };
    operation.status == Some(status) && is_whole && model::agrees(answer, &operation.completion)
}

/// Repeats carry the id of their purchase, and others one of their own.
#[derive(Default)]
struct Ids {
    purchases: usize,
    owners: BTreeMap<PurchaseId, Option<String>>,
}

impl Ids {
    fn note(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        let Completion::Ok(receipt) = &operation.completion else {
            return Ok(());
        };
        let key = operation.request.key.clone();
        let id = receipt.purchase_id.unwrap();
        match self.owners.get(&id) {
            Some(owner) => prop_assert!(
                owner.is_some() && *owner == key,
                "purchase {id} is acknowledged twice"
            ),
            None => {
                let is_new = key.is_none() || !self.owners.values().any(|owner| *owner == key);
                prop_assert!(is_new, "key {key:?} has two purchases");
                self.owners.insert(id, key);
                self.purchases += 1;
            }
        }
        Ok(())
    }
}

/// Prices, stocks and balances around the edges where answers change, and now and then huge.
fn shops() -> impl Strategy<Value = Shop> {
    let amount = || prop_oneof![12 => 0..=6_i64, 1 => (i64::MAX - 2)..=i64::MAX];
    let item = (amount(), prop_oneof![8 => 0..=4_i64, 1 => Just(i64::MAX)]);
    let balance = prop_oneof![12 => 0..=20_i64, 1 => (i64::MAX - 2)..=i64::MAX];
    (vec(item, 2..=3), vec(balance, 2..=3)).prop_map(|(items, balances)| {
        let shop = (1..)
            .zip(items)
            .fold(Shop::default(), |shop, (id, (price, stock))| {
                shop.item(id, price, stock)
            });
        (1..)
            .zip(balances)
            .fold(shop, |shop, (id, balance)| shop.wallet(id, balance))
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let id = || prop_oneof![24 => 1..=2_i64, 3 => Just(3_i64), 1 => Just(0_i64), 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let key = proptest::option::weighted(0.3, prop::sample::select(vec!["a", "b", "c"]));
    (id(), id(), key).prop_map(|(user_id, item_id, key)| {
        let request = Request::new(user_id, item_id);
        match key {
            Some(key) => request.with_key(key),
            None => request,
        }
    })
}

#[test]
fn the_service_in_sequence_is_the_model() {
    let fixture = Fixture::start();
    let compare = |(shop, requests): (Shop, Vec<Request>)| fixture.compare(&shop, &requests);
    let histories = (shops(), vec(requests(), 1..=40));
    for_all(CASES, &histories, compare);

    let (operations, answers) = (fixture.operations.get(), fixture.answers.borrow());
    println!("{operations} operations: {answers:?}");
    assert!(operations >= 2_000, "{operations} operations");
    assert_eq!(answers.len(), 6, "every kind of answer: {answers:?}");
    assert!(answers.values().all(|count| *count >= 20), "{answers:?}");
}

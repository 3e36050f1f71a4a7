//! Invariants accuse nobody who is right: whatever a sequential shop does, and however its
//! answers are delayed or lost, nothing is reported.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rowlock_testing::seed::for_all;

use super::*;

const CASES: u32 = 256;

/// What becomes of a request and its answer.
#[derive(Debug, Clone)]
enum Fate {
    Answered,
    /// It takes effect, and the client does not learn of it.
    Lost(Unknown),
    /// It never takes effect, and the client does not learn of that either.
    Vanished(Unknown),
    /// Refused before it began.
    TurnedAway(Refusal),
}

#[derive(Debug, Clone)]
struct Step {
    user_id: i64,
    item_id: i64,
    key: Option<u8>,
    fate: Fate,
    /// From the invocation to the effect, and from the effect to the completion, in ns.
    before_ns: u64,
    after_ns: u64,
}

/// Users 0 to 3 and items 0 to 2, of which the last ones do not exist.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let unknown = || {
        prop_oneof![
            Just(Unknown::ServerError),
            Just(Unknown::ConnectionLost),
            Just(Unknown::TimedOut),
            Just(Unknown::HungUp),
        ]
    };
    let refusal = prop_oneof![
        Just(Refusal::Conflict),
        Just(Refusal::Busy),
        Just(Refusal::NotSent),
    ];
    let fate = prop_oneof![
        6 => Just(Fate::Answered),
        1 => unknown().prop_map(Fate::Lost),
        1 => unknown().prop_map(Fate::Vanished),
        1 => refusal.prop_map(Fate::TurnedAway),
    ];
    let key = prop_oneof![3 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    let step = (0..4_i64, 0..3_i64, key, fate, 0..60_u64, 0..60_u64).prop_map(
        |(user_id, item_id, key, fate, before_ns, after_ns)| Step {
            user_id,
            item_id,
            key,
            fate,
            before_ns,
            after_ns,
        },
    );
    prop::collection::vec(step, 0..40)
}

fn initial() -> impl Strategy<Value = Shop> {
    let item = || (0..30_i64, 0..6_i64);
    let wallet = || prop_oneof![3 => 0..100_i64, 1 => Just(i64::MAX)];
    ([item(), item()], [wallet(), wallet(), wallet()]).prop_map(|(items, wallets)| {
        let shop = (0..)
            .zip(items)
            .fold(Shop::default(), |shop, (id, (price, stock))| {
                shop.item(id, price, stock)
            });
        (0..)
            .zip(wallets)
            .fold(shop, |shop, (id, balance)| shop.wallet(id, balance))
    })
}

/// A shop that serves one request after another, and cannot be wrong.
struct SequentialShop {
    rows: Shop,
    purchases: Vec<Purchase>,
    first_by_key: BTreeMap<String, (Request, Completion)>,
}

impl SequentialShop {
    fn serve(&mut self, request: &Request) -> Completion {
        let key = request.key.clone();
        match key.as_ref().and_then(|key| self.first_by_key.get(key)) {
            Some((first, receipt)) if first == request => return receipt.clone(),
            Some(_) => return refused(Refusal::KeyReused),
            None => {}
        }
        let order = request.order;
        let Some(item) = self.rows.items.get_mut(&order.item_id) else {
            return refused(Refusal::UnknownItem);
        };
        if item.stock == 0 {
            return refused(Refusal::OutOfStock);
        }
        let Some(balance) = self.rows.wallets.get_mut(&order.user_id) else {
            return refused(Refusal::UnknownUser);
        };
        if *balance < item.price {
            return refused(Refusal::InsufficientBalance);
        }
        item.stock -= 1;
        balance.0 -= item.price.0;
        let purchase_id = PurchaseId(self.purchases.len() as i64);
        self.purchases.push(Purchase {
            purchase_id,
            user_id: order.user_id,
            item_id: order.item_id,
            price: item.price,
            idempotency_key: key.clone(),
        });
        let receipt = bought(purchase_id.0, item.price.0, balance.0);
        if let Some(key) = key {
            self.first_by_key
                .insert(key, (request.clone(), receipt.clone()));
        }
        receipt
    }
}

/// What `steps` leave behind in a right shop; each takes effect at its own moment, in order.
fn serve(initial: Shop, steps: &[Step]) -> Evidence {
    let mut shop = SequentialShop {
        rows: initial.clone(),
        purchases: Vec::new(),
        first_by_key: BTreeMap::new(),
    };
    let mut history = Vec::new();
    for (index, step) in (1..).zip(steps) {
        let mut request = Request::new(step.user_id, step.item_id);
        request.key = step.key.map(|key| format!("key-{key}"));
        let completion = match &step.fate {
            Fate::Answered => shop.serve(&request),
            Fate::Lost(unknown) => {
                shop.serve(&request);
                Completion::Info(*unknown)
            }
            Fate::Vanished(unknown) => Completion::Info(*unknown),
            Fate::TurnedAway(refusal) => refused(refusal.clone()),
        };
        let effect_ns = 60 + 10 * index;
        let mut operation = operation(index, request, completion);
        operation.invoked_ns = effect_ns - step.before_ns;
        operation.completed_ns = match step.fate {
            // Who gives up may do so before his request takes effect.
            Fate::Lost(_) => operation.invoked_ns + step.after_ns,
            _ => effect_ns + step.after_ns,
        };
        history.push(operation);
    }
    let mut evidence = evidence();
    evidence.initial = initial;
    evidence.history = history;
    evidence.rows = FinalRows {
        shop: shop.rows,
        purchases: Some(shop.purchases),
    };
    // Answers are lost here without a fault of the shop's.
    evidence.faults = true;
    evidence
}

#[test]
fn a_sequential_shop_violates_nothing() {
    let sales = (initial(), steps(), any::<bool>());
    for_all(CASES, &sales, |(initial, steps, keeps_purchases)| {
        let mut evidence = serve(initial, &steps);
        if !keeps_purchases {
            evidence.forget_purchases();
        }
        prop_assert_eq!(violated(&evidence), BTreeSet::new(), "{:#?}", evidence);
        Ok(())
    });
}

/// Nor does one that keeps its reasons to itself.
#[test]
fn a_refusal_without_a_reason_violates_nothing() {
    for_all(CASES, &(initial(), steps()), |(initial, mut steps)| {
        for step in &mut steps {
            if let Fate::Lost(unknown) | Fate::Vanished(unknown) = &mut step.fate {
                *unknown = Unknown::HungUp;
            }
        }
        let mut evidence = serve(initial, &steps);
        evidence.faults = false;
        for operation in &mut evidence.history {
            if let Completion::Fail(refusal) = &mut operation.completion
                && crate::model::observed(refusal).is_some()
            {
                *refusal = Refusal::Unstated("400 without a code".into());
            }
        }
        prop_assert_eq!(violated(&evidence), BTreeSet::new(), "{:#?}", evidence);
        Ok(())
    });
}

/// Who sells what nobody asked for is found out, whatever else happened.
#[test]
fn a_unit_sold_to_nobody_is_reported() {
    for_all(CASES, &(initial(), steps()), |(initial, mut steps)| {
        // Every unknown answer could have been that unit's.
        steps.retain(|step| matches!(step.fate, Fate::Answered | Fate::TurnedAway(_)));
        let mut evidence = serve(initial, &steps);
        *evidence.stock_left(0) -= 1;
        evidence.forget_purchases();
        prop_assert!(violated(&evidence).contains("stock-gone-is-answers"));
        Ok(())
    });
}

//! Small random histories: a shop run on the model with every answer told truly, and then, for
//! most, a lie or two.

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::Index;
use purchase_service::order::{ItemId, Money, PurchaseId, UserId};
use rowlock_core::answer::Unknown;
use rowlock_shop::history::{Completion, Operation, Receipt, Refusal, Request};
use rowlock_shop::linearizability::{LastRows, Recording};
use rowlock_shop::model;
use rowlock_shop::rows::Shop;

/// Something else than what happened.
#[derive(Debug, Clone)]
enum Lie {
    Completion(usize, Completion),
    Interval(usize, u64, u64),
    Key(usize, Option<String>),
    Balance(usize, i64),
    Stock(i64, i64),
    LastBalance(i64, i64),
}

/// One operation, before it is known how it was answered.
#[derive(Debug, Clone)]
struct Plan {
    request: Request,
    gap_ns: u64,
    before_ns: u64,
    after_ns: u64,
    told: Told,
}

/// What the client learns of what happened.
#[derive(Debug, Clone, Copy)]
enum Told {
    All,
    WithoutId,
    NoReceipt,
    Nothing,
    NothingHappened,
    Busy,
}

pub(crate) fn recordings(most: usize) -> impl Strategy<Value = Recording> {
    let plans = prop_oneof![
        2 => vec(plan(), 1..=most),
        1 => vec(lost_plan(), 1..=most),
    ];
    let lies = vec(lie(most), 0..=3);
    (shop(), plans, of(any::<u8>()), lies, any::<Index>()).prop_map(
        |(shop, plans, last, lies, turn)| {
            let mut recording = tell(shop, &plans, last.unwrap_or(0));
            for lie in lies {
                lie.spoil(&mut recording);
            }
            // The order of the lines must not matter.
            let turn = turn.index(recording.operations.len());
            recording.operations.rotate_left(turn);
            recording
        },
    )
}

/// The same where most buyers come once, and close together, so that many could trade places: what
/// goes first is then a choice, which refusals of the poor and shared keys make matter.
pub(crate) fn rivals(most: usize) -> impl Strategy<Value = Recording> {
    let item = || (0..=2_i64, 1..=3_i64);
    let shop = (vec(item(), 1..=2), vec(0..=3_i64, 5));
    let lies = vec(lie(most), 0..=2);
    (shop, vec(rival_plan(), 2..=most), of(any::<u8>()), lies).prop_map(
        |((items, balances), plans, last, lies)| {
            let mut recording = tell(rows(items, balances), &plans, last.unwrap_or(0));
            for lie in lies {
                lie.spoil(&mut recording);
            }
            recording
        },
    )
}

fn rival_plan() -> impl Strategy<Value = Plan> {
    let item = prop_oneof![5 => Just(1_i64), 1 => Just(2_i64)];
    let key = weighted(0.15, Just("a".to_owned()));
    let told = prop_oneof![
        3 => Just(Told::WithoutId),
        4 => Just(Told::NoReceipt),
        3 => Just(Told::Nothing),
        1 => Just(Told::NothingHappened),
    ];
    let request = (1..=5_i64, item, key).prop_map(request);
    (request, 0..=2_u64, 0..=4_u64, 0..=4_u64, told).prop_map(planned)
}

/// One operation of its parts.
fn planned((request, gap_ns, before_ns, after_ns, told): (Request, u64, u64, u64, Told)) -> Plan {
    Plan {
        request,
        gap_ns,
        before_ns,
        after_ns,
        told,
    }
}

fn request((user_id, item_id, key): (i64, i64, Option<String>)) -> Request {
    Request {
        key,
        ..Request::new(user_id, item_id)
    }
}

/// As many operations as asked for, told truly, of a shop that is large enough for them.
pub(crate) fn crowds(count: usize) -> impl Strategy<Value = Recording> {
    let stock = prop_oneof![Just(5_i64), Just(50_i64), Just(10_000_i64)];
    let shop = (vec((0..=3_i64, stock), 1..=4), vec(0..=90_i64, 2..=12));
    (shop, vec(crowd_plan(), count), any::<u8>())
        .prop_map(|((items, balances), plans, last)| tell(rows(items, balances), &plans, last))
}

/// The same with a lie.
pub(crate) fn spoilt_crowds(count: usize) -> impl Strategy<Value = Recording> {
    (crowds(count), lie(count)).prop_map(|(mut recording, lie)| {
        lie.spoil(&mut recording);
        recording
    })
}

/// One item, three buyers, few keys, and most answers lost.
fn lost_plan() -> impl Strategy<Value = Plan> {
    let told = prop_oneof![
        5 => Just(Told::WithoutId),
        1 => Just(Told::NoReceipt),
        6 => Just(Told::Nothing),
        2 => Just(Told::NothingHappened),
    ];
    let item = prop_oneof![4 => Just(1_i64), 1 => Just(2_i64)];
    (plan(), 1..=3_i64, item, told).prop_map(|(plan, user_id, item_id, told)| Plan {
        request: Request {
            key: plan.request.key,
            ..Request::new(user_id, item_id)
        },
        told,
        ..plan
    })
}

/// Mostly answered, mostly without a key, by any of a dozen buyers.
fn crowd_plan() -> impl Strategy<Value = Plan> {
    let key = weighted(0.1, (0..40).prop_map(|number| format!("k{number}")));
    let request = (1..=12_i64, 1..=4_i64, key).prop_map(request);
    let told = prop_oneof![
        20 => Just(Told::WithoutId),
        1 => Just(Told::Nothing),
        1 => Just(Told::NothingHappened),
        1 => Just(Told::Busy),
    ];
    (request, 0..=5_u64, 0..=40_u64, 0..=40_u64, told).prop_map(planned)
}

fn rows(items: Vec<(i64, i64)>, balances: Vec<i64>) -> Shop {
    let items = (1..).zip(items);
    let shop = items.fold(Shop::default(), |shop, (id, (price, stock))| {
        shop.item(id, price, stock)
    });
    let wallets = (1..).zip(balances);
    wallets.fold(shop, |shop, (id, balance)| shop.wallet(id, balance))
}

fn shop() -> impl Strategy<Value = Shop> {
    let item = (0..=2_i64, 0..=3_i64);
    (vec(item, 1..=2), vec(0..=5_i64, 1..=3)).prop_map(|(items, balances)| rows(items, balances))
}

fn key() -> impl Strategy<Value = Option<String>> {
    weighted(
        0.35,
        prop_oneof![3 => Just("a".to_owned()), 1 => Just("b".to_owned())],
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let id = || prop_oneof![10 => 1..=1_i64, 6 => 2..=2_i64, 1 => 3..=3_i64];
    let request = (id(), id(), key()).prop_map(request);
    let told = prop_oneof![
        4 => Just(Told::All),
        4 => Just(Told::WithoutId),
        3 => Just(Told::NoReceipt),
        2 => Just(Told::Nothing),
        2 => Just(Told::NothingHappened),
        1 => Just(Told::Busy),
    ];
    (request, 0..=3_u64, 0..=6_u64, 0..=6_u64, told).prop_map(planned)
}

fn completion() -> impl Strategy<Value = Completion> {
    let receipt =
        (of(1..=3_i64), of(0..=3_i64), of(0..=4_i64)).prop_map(|(id, price, left)| Receipt {
            purchase_id: id.map(PurchaseId),
            price: price.map(Money),
            balance_left: left.map(Money),
        });
    let refusal = prop::sample::select(vec![
        Refusal::OutOfStock,
        Refusal::OutOfStock,
        Refusal::InsufficientBalance,
        Refusal::InsufficientBalance,
        Refusal::UnknownItem,
        Refusal::UnknownUser,
        Refusal::KeyReused,
        Refusal::Unstated("400 without a code".into()),
        Refusal::Unstated("400 without a code".into()),
        Refusal::Conflict,
    ]);
    prop_oneof![
        2 => Just(Completion::Ok(Receipt::default())),
        2 => receipt.prop_map(Completion::Ok),
        3 => refusal.prop_map(Completion::Fail),
        1 => Just(Completion::Info(Unknown::TimedOut)),
    ]
}

fn lie(most: usize) -> impl Strategy<Value = Lie> {
    let place = 0..most;
    prop_oneof![
        3 => (place.clone(), completion()).prop_map(|(place, completion)| Lie::Completion(place, completion)),
        3 => (place.clone(), 0..=12_u64, 0..=4_u64).prop_map(|(place, at, long)| Lie::Interval(place, at, at + long)),
        1 => (place.clone(), key()).prop_map(|(place, key)| Lie::Key(place, key)),
        1 => (place, -1..=1_i64).prop_map(|(place, by)| Lie::Balance(place, by)),
        1 => (1..=2_i64, -1..=1_i64).prop_map(|(id, by)| Lie::Stock(id, by)),
        1 => (1..=2_i64, -2..=2_i64).prop_map(|(id, by)| Lie::LastBalance(id, by)),
    ]
}

impl Lie {
    fn spoil(self, recording: &mut Recording) {
        let operations = &mut recording.operations;
        let count = operations.len();
        match self {
            Lie::Completion(place, completion) => operations[place % count].completion = completion,
            Lie::Interval(place, invoked_ns, completed_ns) => {
                let operation = &mut operations[place % count];
                (operation.invoked_ns, operation.completed_ns) = (invoked_ns, completed_ns);
            }
            Lie::Key(place, key) => operations[place % count].request.key = key,
            Lie::Balance(place, by) => {
                if let Completion::Ok(receipt) = &mut operations[place % count].completion {
                    receipt.balance_left = receipt.balance_left.map(|left| Money(left.0 + by));
                }
            }
            Lie::Stock(id, by) => {
                recording
                    .last
                    .stocks
                    .entry(ItemId(id))
                    .and_modify(|stock| *stock += by);
            }
            Lie::LastBalance(id, by) => {
                recording
                    .last
                    .balances
                    .entry(UserId(id))
                    .and_modify(|balance| balance.0 += by);
            }
        }
    }
}

/// Runs `plans`; of the final rows, those are told that `last` has a bit for.
fn tell(shop: Shop, plans: &[Plan], last: u8) -> Recording {
    let mut state = model::init(&shop);
    let mut now_ns = 0;
    let mut ids = Vec::new();
    let mut operations = Vec::new();
    for plan in plans {
        now_ns += plan.gap_ns;
        let did_nothing = matches!(plan.told, Told::NothingHappened | Told::Busy);
        let answer = match did_nothing {
            true => None,
            false => Some(state.advance(&plan.request)),
        };
        operations.push(Operation {
            request: plan.request.clone(),
            intended_ns: now_ns.saturating_sub(plan.before_ns),
            invoked_ns: now_ns.saturating_sub(plan.before_ns),
            completed_ns: now_ns + plan.after_ns,
            status: None,
            completion: learn(plan, answer, &mut ids),
        });
    }
    let mut rows = LastRows::from(&state.shop);
    rows.stocks.retain(|id, _| last >> (id.0 % 4) & 1 == 1);
    rows.balances
        .retain(|id, _| last >> (4 + id.0 % 4) & 1 == 1);
    Recording {
        initial: shop,
        operations,
        last: rows,
    }
}

fn learn(plan: &Plan, answer: Option<model::Answer>, ids: &mut Vec<Option<String>>) -> Completion {
    match (answer, plan.told) {
        (None, Told::Busy) => Completion::Fail(Refusal::Busy),
        (None, _) | (_, Told::Nothing) => Completion::Info(Unknown::ConnectionLost),
        (Some(Err(_)), Told::NoReceipt) => {
            Completion::Fail(Refusal::Unstated("400 without a code".into()))
        }
        (Some(Err(refusal)), _) => Completion::Fail(told(refusal)),
        (Some(Ok(bought)), told) => {
            let key = &plan.request.key;
            let first = ids.iter().position(|other| key.is_some() && other == key);
            let number = first.unwrap_or_else(|| {
                ids.push(key.clone());
                ids.len() - 1
            });
            let purchase_id = PurchaseId(i64::try_from(number).unwrap() + 1);
            match told {
                Told::NoReceipt => Completion::Ok(Receipt::default()),
                _ => Completion::Ok(Receipt {
                    purchase_id: matches!(told, Told::All).then_some(purchase_id),
                    price: Some(bought.price),
                    balance_left: Some(bought.balance_left),
                }),
            }
        }
    }
}

fn told(refusal: purchase_service::order::Refusal) -> Refusal {
    use purchase_service::order::Refusal as Said;
    match refusal {
        Said::UnknownItem => Refusal::UnknownItem,
        Said::UnknownUser => Refusal::UnknownUser,
        Said::OutOfStock => Refusal::OutOfStock,
        Said::InsufficientBalance => Refusal::InsufficientBalance,
        Said::KeyReused => Refusal::KeyReused,
    }
}

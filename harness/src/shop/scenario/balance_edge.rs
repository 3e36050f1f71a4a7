//! Balances at the edge: one minor unit decides, and the wallet is what buyers fight for.

use rowlock_shop::history::Request;
use rowlock_shop::rows::Shop;

use super::case::{Case, Play, play_all, rows};
use super::expected::{Answer, Expected};
use super::{Trials, once_per_customer};
use crate::environment::EnvironmentError;
use crate::load::Trial;
use crate::setting::Setting;
use crate::shop::open;

const PRICE: i64 = 1_000;

/// The largest number that every reader of JSON holds exactly (RFC 7493, section 2.2): 2^53 - 1.
/// Beyond it a target in JavaScript may read another id than was sent, and be right.
const LARGEST: i64 = (1 << 53) - 1;

pub(super) async fn run(setting: &Setting<'_>) -> Trials {
    Ok(vec![
        trial(setting, "one after another", sequential_cases()).await?,
        trial(setting, "at once", concurrent_cases()).await?,
    ])
}

async fn trial(
    setting: &Setting<'_>,
    name: &str,
    cases: Vec<Case>,
) -> Result<Trial, EnvironmentError> {
    setting.progress.say(format!("balance-edge ({name})"));
    let world = open(setting, rows(&cases)).await?;
    if world.known().once_per_customer {
        world.abandon().await?;
        return Ok(once_per_customer(name));
    }
    let (history, findings) = play_all(&world, &cases).await?;
    world.close(name, history, false, findings).await
}

/// Price, stock, balance, and the answers to as many purchases in turn.
type Edge = (&'static str, i64, i64, i64, &'static [Answer]);

const EDGES: &[Edge] = &[
    (
        "one unit short",
        PRICE,
        9,
        PRICE - 1,
        &[Answer::InsufficientBalance],
    ),
    (
        "exactly the price",
        PRICE,
        9,
        PRICE,
        &[Answer::Ok, Answer::InsufficientBalance],
    ),
    (
        "one unit over",
        PRICE,
        9,
        PRICE + 1,
        &[Answer::Ok, Answer::InsufficientBalance],
    ),
    (
        "an exact multiple",
        PRICE,
        9,
        3 * PRICE,
        &[
            Answer::Ok,
            Answer::Ok,
            Answer::Ok,
            Answer::InsufficientBalance,
        ],
    ),
    (
        "one short of a multiple",
        PRICE,
        9,
        2 * PRICE - 1,
        &[Answer::Ok, Answer::InsufficientBalance],
    ),
    ("nothing", PRICE, 9, 0, &[Answer::InsufficientBalance]),
    (
        "nothing, for a free item",
        0,
        2,
        0,
        &[Answer::Ok, Answer::Ok, Answer::OutOfStock],
    ),
    (
        "a free item leaves the balance",
        0,
        1,
        PRICE,
        &[Answer::Ok, Answer::OutOfStock],
    ),
    (
        "no stock at all",
        PRICE,
        0,
        9 * PRICE,
        &[Answer::OutOfStock],
    ),
    (
        "the largest price",
        LARGEST,
        9,
        LARGEST,
        &[Answer::Ok, Answer::InsufficientBalance],
    ),
    (
        "one short of the largest price",
        LARGEST,
        9,
        LARGEST - 1,
        &[Answer::InsufficientBalance],
    ),
    (
        "the largest balance",
        1,
        2,
        LARGEST,
        &[Answer::Ok, Answer::Ok, Answer::OutOfStock],
    ),
    (
        "the largest stock",
        PRICE,
        LARGEST,
        PRICE,
        &[Answer::Ok, Answer::InsufficientBalance],
    ),
];

fn sequential_cases() -> Vec<Case> {
    let mut cases: Vec<_> = (1..)
        .zip(EDGES)
        .map(|(id, (name, price, stock, balance, answers))| Case {
            name: (*name).into(),
            shop: Shop::default()
                .item(id, *price, *stock)
                .wallet(id, *balance),
            requests: vec![Request::new(id, id); answers.len()],
            play: Play::InTurn(answers.to_vec()),
        })
        .collect();
    let known = 1_000;
    cases.push(Case {
        name: "nobody and nothing".into(),
        shop: Shop::default()
            .item(known, PRICE, 9)
            .wallet(known, 9 * PRICE),
        requests: vec![
            Request::new(known, LARGEST),
            Request::new(known, -LARGEST),
            Request::new(LARGEST, known),
            Request::new(0, known),
            Request::new(known, known),
        ],
        play: Play::InTurn(vec![
            Answer::UnknownItem,
            Answer::UnknownItem,
            Answer::UnknownUser,
            Answer::UnknownUser,
            Answer::Ok,
        ]),
    });
    cases
}

/// How many simultaneous requests fight for a wallet.
const RUSH: usize = 50;

fn concurrent_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (id, affordable) in (1..).zip([0, 1, 2, 5, 49]) {
        let balance = affordable * PRICE + PRICE - 1;
        let bought = usize::try_from(affordable).expect("a small count");
        cases.push(Case {
            name: format!("{RUSH} clicks on one item, a balance for {affordable}"),
            shop: Shop::default().item(id, PRICE, 1_000).wallet(id, balance),
            requests: vec![Request::new(id, id); RUSH],
            play: Play::Together(Expected::from([
                (Answer::Ok, bought),
                (Answer::InsufficientBalance, RUSH - bought),
            ])),
        });
    }
    for (user_id, affordable) in [(101, 1), (102, 5)] {
        let first_item = user_id * 1_000;
        let item_ids = first_item..first_item + i64::try_from(RUSH).expect("a small count");
        let bought = usize::try_from(affordable).expect("a small count");
        let shop = Shop::default().wallet(user_id, affordable * PRICE);
        cases.push(Case {
            name: format!("one wallet, {RUSH} items, a balance for {affordable}"),
            shop: item_ids
                .clone()
                .fold(shop, |shop, item_id| shop.item(item_id, PRICE, 10)),
            requests: item_ids
                .map(|item_id| Request::new(user_id, item_id))
                .collect(),
            play: Play::Together(Expected::from([
                (Answer::Ok, bought),
                (Answer::InsufficientBalance, RUSH - bought),
            ])),
        });
    }
    cases.extend(CROWDS.map(crosswise));
    cases
}

/// The first user of each case in which some want the same two items again and again.
const CROWDS: [i64; 4] = [200, 300, 400, 500];

/// How many they are, and how often each buys each of the items.
const USERS: i64 = 8;
const CLICKS: i64 = 6;

/// One item sees the users in one order, the other in the opposite: whoever holds several wallets at
/// once holds them against somebody else.
fn crosswise(first: i64) -> Case {
    let (one, other) = (1_000 * first, 1_000 * first + 1);
    let last = first + USERS - 1;
    let shop = Shop::default()
        .item(one, PRICE, 1_000)
        .item(other, PRICE, 1_000);
    let pair = |turn| {
        let at = turn % USERS;
        [
            Request::new(first + at, one),
            Request::new(last - at, other),
        ]
    };
    let requests: Vec<_> = (0..USERS * CLICKS).flat_map(pair).collect();
    let balance = 2 * CLICKS * PRICE;
    Case {
        name: format!(
            "{USERS} users from {first} on, {CLICKS} clicks of each on the same two items"
        ),
        shop: (first..=last).fold(shop, |shop, user_id| shop.wallet(user_id, balance)),
        play: Play::Together(Expected::from([(Answer::Ok, requests.len())])),
        requests,
    }
}

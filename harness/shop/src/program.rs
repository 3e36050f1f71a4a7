//! Programs: the few simultaneous requests that are worth every interleaving.

use std::collections::HashSet;

use purchase_service::order::Money;
use rowlock_core::rows::Rows;
use serde::{Deserialize, Serialize};

use crate::generated;
use crate::history::{Operation, Request};
use crate::rows::{FinalRows, Shop};
use crate::tables;

/// What a unit costs.
pub(crate) const PRICE: i64 = 250;

/// Initial rows, and requests that are all sent at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name on the command line.
    pub name: String,
    /// The rows before the first request.
    pub initial: Shop,
    /// The requests; a schedule counts them from 0.
    pub requests: Vec<Request>,
}

impl Program {
    /// Whether two requests carry the same `Idempotency-Key`.
    pub fn repeats_keys(&self) -> bool {
        let keys: Vec<_> = self
            .requests
            .iter()
            .filter_map(|r| r.key.as_ref())
            .collect();
        keys.iter().collect::<HashSet<_>>().len() < keys.len()
    }
}

impl rowlock_core::program::Program for Program {
    const CLIENT: &'static str = "buyer";

    type Operation = Operation;
    type Rows = FinalRows;

    fn name(&self) -> &str {
        &self.name
    }

    fn call_count(&self) -> usize {
        self.requests.len()
    }

    fn without(&self, call: usize) -> Program {
        let mut program = self.clone();
        program.requests.remove(call);
        let orders = || program.requests.iter().map(|request| request.order);
        let Shop {
            mut items,
            mut wallets,
        } = program.initial.clone();
        items.retain(|id, _| orders().any(|order| order.item_id == *id));
        wallets.retain(|user_id, _| orders().any(|order| order.user_id == *user_id));
        program.initial = Shop { items, wallets };
        program
    }

    /// Fewer units, less money by a purchase, and no key; of one that somebody wrote nothing, since
    /// its rows are what it is about.
    fn simpler(&self) -> Vec<Program> {
        let mut simpler = Vec::new();
        if self.name != generated::NAME {
            return simpler;
        }
        for (id, item) in &self.initial.items {
            if item.stock > 0 {
                let mut program = self.clone();
                program
                    .initial
                    .items
                    .entry(*id)
                    .and_modify(|item| item.stock -= 1);
                simpler.push(program);
            }
        }
        for (user, balance) in &self.initial.wallets {
            let mut program = self.clone();
            let purchases = (balance.0 - 1).max(0) / PRICE;
            let least = Money(purchases * PRICE);
            program.initial.wallets.insert(*user, least);
            if least < *balance {
                simpler.push(program);
            }
        }
        for at in (0..self.requests.len()).filter(|at| self.requests[*at].key.is_some()) {
            let mut program = self.clone();
            program.requests[at].key = None;
            simpler.push(program);
        }
        simpler
    }

    fn contradiction(&self) -> Option<String> {
        self.unsendable().or_else(|| self.negative())
    }

    fn describe_call(&self, call: usize) -> String {
        let Request { order, key } = &self.requests[call];
        let key = key.as_ref();
        let key = key.map_or(String::new(), |key| format!(" (key {key})"));
        format!("user {} buys item {}{key}", order.user_id, order.item_id)
    }

    fn describe_initial(&self) -> String {
        self.initial.to_string()
    }

    fn describe_rows(rows: &FinalRows) -> String {
        rows.to_string()
    }

    fn initial_tables(&self) -> Option<Rows> {
        Some(tables::of(&self.initial, None))
    }

    fn tables(rows: &FinalRows) -> Rows {
        tables::of(&rows.shop, rows.purchases.as_deref())
    }
}

impl Program {
    /// A key must arrive as it is written, so not even blanks at its ends can be told.
    fn unsendable(&self) -> Option<String> {
        let requests = self.requests.iter().enumerate();
        let mut keys = requests.filter_map(|(at, request)| Some((at, request.key.as_ref()?)));
        let is_plain =
            |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        let (at, key) = keys.find(|(_, key)| !is_plain(key))?;
        Some(format!(
            "program.requests[{at}].key {key:?} cannot be sent as an Idempotency-Key: it must be \
             visible ASCII characters"
        ))
    }

    /// Rows that the schema forbids.
    fn negative(&self) -> Option<String> {
        let items = self.initial.items.iter().flat_map(|(id, item)| {
            let field = |name: &str| format!("program.initial.items.{id}.{name}");
            [(field("price"), item.price.0), (field("stock"), item.stock)]
        });
        let wallets = self.initial.wallets.iter();
        let wallets =
            wallets.map(|(id, balance)| (format!("program.initial.wallets.{id}"), balance.0));
        let (field, value) = items.chain(wallets).find(|(_, value)| *value < 0)?;
        Some(format!("{field} is {value}, and must not be below 0"))
    }
}

/// A program's name, what it is about, and how to make it for a number of buyers.
#[derive(Debug)]
pub struct Template {
    /// The name on the command line.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    make: fn(i64) -> (Shop, Vec<Request>),
}

/// Every program, in the order of the reports.
pub const PROGRAMS: &[Template] = &[
    Template {
        name: "one-item",
        about: "each buyer has a wallet, and there is a unit fewer than buyers",
        make: one_item,
    },
    Template {
        name: "one-wallet-two-items",
        about: "one user buys two items at once and has the money for all but one purchase",
        make: one_wallet,
    },
    Template {
        name: "crosswise",
        about: "two users each buy the same two items, in opposite orders",
        make: crosswise,
    },
    Template {
        name: "repeated-key",
        about: "one purchase sent again and again under one Idempotency-Key",
        make: repeated_key,
    },
    Template {
        name: "double-click",
        about: "one user clicks again and again, without a key, and can pay for it all",
        make: double_click,
    },
    Template {
        name: "double-click-half-keyed",
        about: "the same, with a key of its own for every other click",
        make: double_click_half_keyed,
    },
    Template {
        name: "double-click-refused",
        about: "one user clicks again and again and can pay once; a third request is another user's",
        make: double_click_refused,
    },
    Template {
        name: "last-unit",
        about: "one user wants the last unit and something else, and can pay for one; a third \
                request is another user's for the last unit",
        make: last_unit,
    },
];

impl Template {
    /// The program for this many buyers, at least one.
    pub fn program(&self, buyers: usize) -> Program {
        let buyers = i64::try_from(buyers.max(1)).expect("a few buyers");
        let (initial, requests) = (self.make)(buyers);
        Program {
            name: self.name.to_owned(),
            initial,
            requests,
        }
    }
}

/// The template called `name`.
pub fn find(name: &str) -> Option<&'static Template> {
    PROGRAMS.iter().find(|template| template.name == name)
}

fn one_item(buyers: i64) -> (Shop, Vec<Request>) {
    let stock = (buyers - 1).max(1);
    let shop = (1..=buyers).fold(Shop::default().item(1, PRICE, stock), |shop, user| {
        shop.wallet(user, 2 * PRICE)
    });
    (
        shop,
        (1..=buyers).map(|user| Request::new(user, 1)).collect(),
    )
}

fn one_wallet(buyers: i64) -> (Shop, Vec<Request>) {
    let affordable = (buyers - 1).max(1);
    let shop = Shop::default()
        .item(1, PRICE, buyers)
        .item(2, PRICE, buyers)
        .wallet(1, affordable * PRICE);
    let request = |click| Request::new(1, 1 + click % 2);
    (shop, (0..buyers).map(request).collect())
}

fn crosswise(buyers: i64) -> (Shop, Vec<Request>) {
    let shop = Shop::default()
        .item(1, PRICE, buyers)
        .item(2, PRICE, buyers)
        .wallet(1, buyers * PRICE)
        .wallet(2, buyers * PRICE);
    // User 1 buys item 1 and then 2, user 2 item 2 and then 1.
    let request = |turn| Request::new(1 + turn / 2 % 2, 1 + (turn + turn / 2) % 2);
    (shop, (0..buyers).map(request).collect())
}

fn repeated_key(buyers: i64) -> (Shop, Vec<Request>) {
    let shop = Shop::default()
        .item(1, PRICE, buyers)
        .wallet(1, buyers * PRICE);
    let request = Request::new(1, 1).with_key("again");
    (shop, (0..buyers).map(|_| request.clone()).collect())
}

fn double_click(buyers: i64) -> (Shop, Vec<Request>) {
    let shop = Shop::default()
        .item(1, PRICE, buyers)
        .wallet(1, buyers * PRICE);
    (shop, (0..buyers).map(|_| Request::new(1, 1)).collect())
}

fn double_click_half_keyed(buyers: i64) -> (Shop, Vec<Request>) {
    let (shop, requests) = double_click(buyers);
    let keyed = |(click, request): (usize, Request)| match click % 2 {
        0 => request.with_key(format!("click-{click}")),
        _ => request,
    };
    (shop, requests.into_iter().enumerate().map(keyed).collect())
}

fn double_click_refused(buyers: i64) -> (Shop, Vec<Request>) {
    let shop = Shop::default()
        .item(1, PRICE, buyers)
        .wallet(1, 2 * PRICE - 1)
        .wallet(2, PRICE);
    let request = |click| Request::new(if click == 2 { 2 } else { 1 }, 1);
    (shop, (0..buyers).map(request).collect())
}

fn last_unit(buyers: i64) -> (Shop, Vec<Request>) {
    let shop = Shop::default()
        .item(1, PRICE, 1)
        .item(2, PRICE, buyers)
        .wallet(1, PRICE)
        .wallet(2, PRICE);
    let request = |turn| match turn % 3 {
        0 => Request::new(1, 1),
        1 => Request::new(1, 2),
        _ => Request::new(2, 1),
    };
    (shop, (0..buyers).map(request).collect())
}

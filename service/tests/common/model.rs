//! The orders of one item, one after another.

use std::collections::HashMap;

use super::client::Answer;

/// Who buys the item, and under which key.
pub type Buyer = (i64, Option<&'static str>);

/// What is left in the wallet, or the problem's code.
pub fn told(answer: &Answer) -> String {
    match answer.status {
        200 => format!("{} left", answer.body["balance_left"]),
        _ => answer.code().to_owned(),
    }
}

/// What orders that come one after another are told, and what is left of the stock.
#[derive(Clone)]
pub struct Model {
    pub stock: i64,
    price: i64,
    balances: HashMap<i64, i64>,
    /// Whose purchase a key stands for, and what he was told.
    keys: HashMap<&'static str, (i64, String)>,
}

impl Model {
    /// An item at `price`, and wallets with these balances.
    pub fn new(price: i64, stock: i64, wallets: impl Iterator<Item = (i64, i64)>) -> Self {
        Self {
            stock,
            price,
            balances: wallets.collect(),
            keys: HashMap::new(),
        }
    }

    pub fn buy(&mut self, (user_id, key): Buyer) -> String {
        if let Some((owner, told)) = key.and_then(|key| self.keys.get(key)) {
            return match *owner == user_id {
                true => told.clone(),
                false => "idempotency_key_reused".to_owned(),
            };
        }
        if self.stock == 0 {
            return "out_of_stock".to_owned();
        }
        let Some(balance) = self.balances.get_mut(&user_id) else {
            return "unknown_user".to_owned();
        };
        if *balance < self.price {
            return "insufficient_balance".to_owned();
        }
        *balance -= self.price;
        self.stock -= 1;
        let told = format!("{balance} left");
        self.keys
            .extend(key.map(|key| (key, (user_id, told.clone()))));
        told
    }
}

//! The shop's rows as tables of any shop, to be shown.

use rowlock_core::rows::{Column, Rows, Table};

use crate::rows::{Purchase, Shop};

/// The tables of `shop`, and of `purchases` where they are known.
pub(crate) fn of(shop: &Shop, purchases: Option<&[Purchase]>) -> Rows {
    let text = |value: &dyn ToString| Some(value.to_string());
    let items = shop.items.iter();
    let items = items.map(|(id, item)| vec![text(id), text(&item.price), text(&item.stock)]);
    let wallets = shop.wallets.iter();
    let wallets = wallets.map(|(user_id, balance)| vec![text(user_id), text(balance)]);
    let mut tables = vec![
        ("item", table(&["id", "price", "stock"], items.collect())),
        ("wallet", table(&["user_id", "balance"], wallets.collect())),
    ];
    if let Some(purchases) = purchases {
        let rows = purchases.iter().map(|purchase| {
            let key = purchase.idempotency_key.clone();
            vec![
                text(&purchase.purchase_id),
                text(&purchase.user_id),
                text(&purchase.item_id),
                text(&purchase.price),
                key,
            ]
        });
        let columns = ["id", "user_id", "item_id", "price", "idempotency_key"];
        tables.push(("purchase", table(&columns, rows.collect())));
    }
    let named = tables.into_iter();
    Rows(
        named
            .map(|(name, table)| (name.to_owned(), table))
            .collect(),
    )
}

/// A table whose first column is its key.
fn table(columns: &[&str], rows: Vec<Vec<Option<String>>>) -> Table {
    let columns = columns.iter().enumerate().map(|(at, name)| Column {
        name: (*name).to_owned(),
        is_key: at == 0,
        ..Column::default()
    });
    Table {
        columns: columns.collect(),
        rows,
    }
}

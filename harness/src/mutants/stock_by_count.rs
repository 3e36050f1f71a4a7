//! The units sold are counted, under READ COMMITTED.

use futures::future::FutureExt;
use sqlx::{PgConnection, query_as};

use super::decider::{Decision, Sale, judging_after};
use super::sql::{Item, charge, lock_wallet, set_stock, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "stock-by-count",
    bug: "what is left is the item's allotment less count(*) of its purchases, which under READ \
          COMMITTED does not see those that are not committed yet",
    harm: "buyers who count at the same moment all get the last unit",
    seen_in: "limits of coupons, seats and bookings; A5B, write skew, of Berenson et al., A \
          Critique of ANSI SQL Isolation Levels (1995)",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("one-item"),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| {
        judging_after(pool, SCHEMA, |connection, sale| {
            judge(connection, sale).boxed()
        })
    },
};

/// The allotment is what an item is put on sale with.
const SCHEMA: &str = "
    alter table item add column if not exists allotment bigint;
    update item set allotment = stock + (select count(*) from purchase where item_id = item.id)
        where allotment is null;
    create or replace function item_allot() returns trigger language plpgsql as
        $$ begin new.allotment := new.stock; return new; end $$;
    create or replace trigger item_allot before insert on item
        for each row execute function item_allot();";

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let counted: Option<Item> = query_as(
        "select price, allotment - (select count(*) from purchase where item_id = $1) as stock
           from item where id = $1",
    )
    .bind(sale.item_id)
    .fetch_optional(&mut *connection)
    .await?;
    let item = Item::in_stock(counted)?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    let balance_left = charge(connection, sale.user_id, item.price).await?;
    set_stock(connection, sale.item_id, item.stock - 1).await?;
    Ok(write_purchase(connection, sale, None, item.price, balance_left).await?)
}

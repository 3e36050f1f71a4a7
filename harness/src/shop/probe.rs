//! What a target can do, found out by asking it.

use std::time::Duration;

use purchase_service::order::{ItemId, UserId};
use rowlock_shop::history::{Completion, Refusal, Request};
use rowlock_shop::invariant::{Capabilities, JudgesFirst};
use rowlock_shop::rows::Shop;

use crate::client::{Client, Clock};
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::target::{Keys, Target};

/// Finds out by a few requests, one after another, what the target can do; leaves no row, and of
/// the target's own tables what they held before the first purchase.
pub(super) async fn probe(
    inspector: &mut Inspector,
    target: &Target,
    clock: Clock,
    patience: Duration,
) -> Result<Capabilities, EnvironmentError> {
    const ID: i64 = 1;
    const SOLD_OUT: i64 = 2;
    const PENNILESS: i64 = 2;
    const ABSENT: i64 = 3;
    let shop = Shop::default().item(ID, 1, 10).wallet(ID, 10);
    let shop = shop.item(SOLD_OUT, 1, 0).wallet(PENNILESS, 0);
    let connect = async || {
        let connected = Client::connect(target.address(0), clock, patience).await;
        connected.map_err(|source| EnvironmentError::Connect {
            index: 0,
            count: 1,
            source,
        })
    };
    // What a target makes at its first request is there once it has refused what does not exist.
    let mut client = connect().await?;
    client.purchase(Request::new(ABSENT, ABSENT)).await;
    inspector.remember(super::tables::OWN_ROWS).await?;
    inspector.reset(&shop).await?;
    if !client.is_open() {
        client = connect().await?;
    }
    let plain = client.purchase(Request::new(ID, ID)).await;
    if !plain.is_ok() {
        return Err(EnvironmentError::DoesNotServe(format!(
            "the target does not sell: one plain purchase, alone, was answered {}. It must listen \
             on $PORT, use the tables item and wallet of $DATABASE_URL, and answer \
             POST /api/purchase/ as the README says",
            plain.describe()
        )));
    }
    // A target may answer before it commits: what it can do shows once it is at rest.
    inspector.wait_for_rest().await?;
    let purchase_rows = !inspector.purchases().await?.is_empty();
    let keyed = Request::new(ID, ID).with_key("rowlock-probe");
    let second = client.purchase(keyed.clone()).await;
    client.purchase(keyed).await;
    let neither = client.purchase(Request::new(PENNILESS, SOLD_OUT)).await;
    inspector.wait_for_rest().await?;
    let left = inspector.read(false).await?.shop;
    let is_seen_to_know_keys = left
        .items
        .get(&ItemId(ID))
        .is_some_and(|item| item.stock == 8)
        && left
            .wallets
            .get(&UserId(ID))
            .is_some_and(|balance| balance.0 == 8);
    // A table that came with the first sale is remembered as that has left it.
    inspector.clear_and_renew().await?;
    Ok(Capabilities {
        purchase_rows,
        idempotency_keys: is_seen_to_know_keys || target.keys() == Keys::Promised,
        judges_first: match &neither.completion {
            Completion::Fail(Refusal::OutOfStock) => JudgesFirst::Stock,
            Completion::Fail(Refusal::InsufficientBalance) => JudgesFirst::Balance,
            _ => JudgesFirst::Untold,
        },
        // Stock and balance sufficed, and nobody else was there.
        once_per_customer: match &second.completion {
            Completion::Fail(Refusal::Conflict) => second.status == Some(409),
            completion => matches!(completion, Completion::Fail(Refusal::Unstated(_))),
        },
    })
}

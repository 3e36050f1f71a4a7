//! Everybody wants the one item: as many buyers as asked for, each with a wallet and an open
//! connection of its own, released together.

use purchase_service::order::{ItemId, Money, UserId};
use rowlock_shop::history::Request;
use rowlock_shop::rows::Shop;

use super::expected::{Answer, Expected, judge_counts};
use super::{Load, Trials};
use crate::environment::EnvironmentError;
use crate::load::Trial;
use crate::setting::Setting;
use crate::shop::{open, rush};

const ITEM: i64 = 1;
const PRICE: i64 = 1_000;

pub(super) async fn run(setting: &Setting<'_>, load: &Load) -> Trials {
    let mut trials = Vec::new();
    for stock in &load.stocks {
        trials.push(sell_out(setting, load.buyers, *stock).await?);
    }
    Ok(trials)
}

async fn sell_out(
    setting: &Setting<'_>,
    buyers: usize,
    stock: i64,
) -> Result<Trial, EnvironmentError> {
    let name = format!("{buyers} buyers, stock {stock}");
    let say = |what: &str| {
        setting
            .progress
            .say(format!("concurrent-buyers ({name}): {what}"))
    };
    let user_ids = 1..=i64::try_from(buyers).expect("buyers are counted in thousands");

    say("starting the target");
    let mut shop = Shop::default().item(ITEM, PRICE, stock);
    shop.wallets.extend(
        user_ids
            .clone()
            .map(|user_id| (UserId(user_id), Money(2 * PRICE))),
    );
    let world = open(setting, shop).await?;

    say("opening connections");
    let clients = world.connect_all(buyers).await?;
    say("all connections are open; buying");
    let requests = user_ids
        .map(|user_id| Request::new(user_id, ItemId(ITEM).0))
        .collect();
    let history = rush(clients, requests, world.clock()).await;

    say("checking");
    let sold = usize::try_from(stock).unwrap_or(usize::MAX).min(buyers);
    let expected = Expected::from([(Answer::Ok, sold), (Answer::OutOfStock, buyers - sold)]);
    let finding = judge_counts(&[(name.clone(), &expected, &history)], world.on_conflict());
    world.close(&name, history, false, vec![finding]).await
}

//! A trigger raises for one of a crowd, at one place of the transaction after another.

use rowlock_core::finding::Finding;
use rowlock_shop::history::{Operation, Refusal, Request};
use rowlock_shop::rows::Shop;

use super::PRICE;
use crate::environment::EnvironmentError;
use crate::load::Trial;
use crate::setting::Setting;
use crate::shop::open;
use crate::shop::scenario::{World, once_per_customer};
use crate::target::OnConflict;

/// Where in the transaction a trigger raises, as `create … trigger` says it.
const TRIGGERS: [(&str, &str); 3] = [
    (
        "the deduction itself",
        "trigger rowlock_fault after update on wallet for each row",
    ),
    (
        "the purchase row",
        "trigger rowlock_fault after insert on purchase for each row",
    ),
    (
        "the commit",
        "constraint trigger rowlock_fault after update on wallet
         deferrable initially deferred for each row",
    ),
];

/// Whose purchases fail, each at one of these places; he has the money for one.
const VICTIMS: [i64; TRIGGERS.len()] = [1, 2, 3];
/// How often he clicks. Where his orders share a transaction, one takes what the others lack, until
/// it fails.
const CLICKS: usize = 3;
const BYSTANDERS: std::ops::RangeInclusive<i64> = 4..=11;

pub(super) async fn raise(setting: &Setting<'_>) -> Result<Trial, EnvironmentError> {
    setting
        .progress
        .say("failure-under-load (triggers that raise)");
    let mut shop = Shop::default().item(1, PRICE, 1_000);
    for user_id in VICTIMS {
        shop = shop.wallet(user_id, PRICE);
    }
    for user_id in BYSTANDERS {
        shop = shop.wallet(user_id, 10 * PRICE);
    }
    let world = open(setting, shop).await?;
    if world.known().once_per_customer {
        world.abandon().await?;
        return Ok(once_per_customer("triggers that raise"));
    }
    let mut history = Vec::new();
    let mut violations = Vec::new();
    for ((place, trigger), victim) in TRIGGERS.into_iter().zip(VICTIMS) {
        if trigger.contains("on purchase") && !world.known().purchase_rows {
            continue;
        }
        let failed = fail_for(&world, trigger, victim).await?;
        violations.extend(failed.violations(place, world.on_conflict()));
        history.extend(failed.operations());
    }
    let finding = Finding::new(
        "only-the-failed-one-fails",
        "whose transaction fails is not acknowledged; all others are, or gave way; the retry is",
        violations,
    );
    world
        .close("triggers that raise", history, true, vec![finding])
        .await
}

/// A crowd in which one user's purchases fail.
struct Failed {
    victim: Vec<Operation>,
    bystanders: Vec<Operation>,
    /// The victim's, when nothing fails any more and nobody else is there.
    retried: Operation,
}

impl Failed {
    fn violations(&self, place: &str, on_conflict: OnConflict) -> Vec<String> {
        let may_give_way = on_conflict == OnConflict::GivesWay;
        let is_served = |operation: &&Operation| {
            operation.is_ok() || may_give_way && operation.is_refused(&Refusal::Conflict)
        };
        let wrong = self.victim.iter().filter(|victim| victim.is_ok());
        let wrong = wrong.map(|op| format!("{place} failed, yet {}", op.describe()));
        let unserved = self.bystanders.iter().filter(|it| !is_served(it));
        // The retry meets nobody.
        let others = unserved.chain(Some(&self.retried).filter(|retry| !retry.is_ok()));
        let others = others.map(|op| format!("{place} failed for another: {}", op.describe()));
        wrong.chain(others).collect()
    }

    fn operations(self) -> impl Iterator<Item = Operation> {
        let crowd = self.victim.into_iter().chain(self.bystanders);
        crowd.chain([self.retried])
    }
}

/// Has everybody buy at once, while `trigger` raises for `victim`. His orders come in the midst of the
/// others, so that they share a transaction where any do.
async fn fail_for(
    world: &World<'_>,
    trigger: &str,
    victim: i64,
) -> Result<Failed, EnvironmentError> {
    let table = match trigger.contains("on purchase") {
        true => "purchase",
        false => "wallet",
    };
    create_fault(world, trigger, victim).await?;
    let mut requests: Vec<_> = BYSTANDERS.map(|user_id| Request::new(user_id, 1)).collect();
    let first = requests.len() / 2;
    requests.splice(first..first, vec![Request::new(victim, 1); CLICKS]);
    let mut bystanders = world.rush(requests).await?;
    let mut victims: Vec<_> = bystanders.drain(first..first + CLICKS).collect();
    if victims.iter().all(|op| op.is_refused(&Refusal::Conflict)) {
        // They may have given way before one met the trigger; alone it meets nothing else.
        victims.push(world.purchase_alone(Request::new(victim, 1)).await?);
    }
    drop_fault(world, table).await?;
    Ok(Failed {
        victim: victims,
        bystanders,
        retried: world.purchase_alone(Request::new(victim, 1)).await?,
    })
}

async fn create_fault(
    world: &World<'_>,
    trigger: &str,
    victim: i64,
) -> Result<(), EnvironmentError> {
    let statements = format!(
        "create or replace function rowlock_fault() returns trigger language plpgsql as $$
         begin raise exception 'a fault of the harness'; end $$;
         create {trigger} when (new.user_id = {victim}) execute function rowlock_fault()"
    );
    world.inspector().execute(statements).await
}

async fn drop_fault(world: &World<'_>, table: &str) -> Result<(), EnvironmentError> {
    let statement = format!("drop trigger rowlock_fault on {table}");
    world.inspector().execute(statement).await
}

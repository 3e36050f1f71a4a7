//! A right service on a real PostgreSQL, and a hand that breaks something before the judgement:
//! exactly the invariants that say so must report it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use purchase_service::locked::LockedPurchase;
use purchase_service::order::{Money, PurchaseId};
use rowlock::load::World;
use rowlock::progress::Progress;
use rowlock::setting::Setting;
use rowlock::shop::{BuildPurchaser, Shop, open};
use rowlock::target::{Keys, OnConflict, TargetSpec};
use rowlock_core::answer::Unknown;
use rowlock_core::finding::Outcome;
use rowlock_core::seed::Seed;
use rowlock_shop::history::{Completion, Operation, Receipt, Refusal, Request};
use rowlock_shop::rows;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

const OURS: BuildPurchaser = BuildPurchaser {
    name: "purchase-service",
    on_conflict: OnConflict::TriesAgain,
    keys: Keys::AsSeen,
    build: |pool| {
        let timeout = Duration::from_secs(20);
        Arc::new(LockedPurchase::new(pool, timeout, NonZeroUsize::MIN))
    },
};

const PRICE: i64 = 10;

/// Three buyers of item 1, of which two are in stock; one of item 2, which is beyond his means;
/// and two of the free item 3.
fn shop() -> rows::Shop {
    let shop = rows::Shop::default().item(1, PRICE, 2).item(2, 1_000, 5);
    (1..=6).fold(shop.item(3, 0, 5), |shop, user_id| {
        shop.wallet(user_id, 100)
    })
}

fn requests() -> Vec<Request> {
    let wishes = [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3), (6, 3)];
    wishes
        .map(|(user_id, item_id)| Request::new(user_id, item_id))
        .into()
}

/// Runs the trial, lets `spoil` do its work on the world and the history, and says what is
/// reported.
async fn violated_after(
    spoil: impl AsyncFnOnce(&World<'_, Shop>, &mut Vec<Operation>),
) -> Vec<String> {
    let progress = Progress::hidden();
    let setting = Setting {
        server: rowlock_postgres::shared_local().await,
        target: &TargetSpec::in_process(OURS),
        target_env: Vec::new(),
        trace: None,
        seed: Seed(1),
        patience: Duration::from_secs(30),
        progress: &progress,
    };
    let world = open(&setting, shop()).await.unwrap();
    let mut history = world.rush(requests()).await.unwrap();
    spoil(&world, &mut history).await;
    let trial = world.close("spoilt", history, false, vec![]).await.unwrap();
    let checked = |outcome: &Outcome| matches!(outcome, Outcome::Holds | Outcome::Violated(_));
    assert!(
        trial
            .findings
            .iter()
            .all(|finding| checked(&finding.outcome)),
        "{trial:#?}"
    );
    for (finding, places) in trial.violations() {
        println!("{}: {}", finding.name, places.join("; "));
    }
    trial
        .violations()
        // The model has its own tests; here each invariant stands alone.
        .filter(|(finding, _)| finding.name != "linearizable")
        .map(|(finding, _)| finding.name.clone())
        .collect()
}

async fn violated_after_sql(statements: &'static str) -> Vec<String> {
    violated_after(async |world, _| execute(world, statements).await).await
}

async fn execute(world: &World<'_, Shop>, statements: &'static str) {
    world
        .inspector()
        .pool()
        .execute(sqlx::raw_sql(statements))
        .await
        .unwrap();
}

/// A session of somebody else's.
async fn stranger(world: &World<'_, Shop>) -> PgConnection {
    let options = (*world.inspector().pool().connect_options()).clone();
    options
        .application_name("stranger")
        .connect()
        .await
        .unwrap()
}

/// The first operation that was acknowledged, or was not.
fn first(history: &mut [Operation], acknowledged: bool) -> &mut Operation {
    history
        .iter_mut()
        .find(|operation| operation.is_ok() == acknowledged)
        .unwrap()
}

fn receipt(operation: &mut Operation) -> &mut Receipt {
    match &mut operation.completion {
        Completion::Ok(receipt) => receipt,
        other => panic!("no receipt in {other:?}"),
    }
}

#[tokio::test]
async fn an_unspoilt_trial_reports_nothing() {
    assert_eq!(violated_after(async |_, _| {}).await, [""; 0]);
}

#[tokio::test]
async fn a_unit_put_back_is_reported() {
    let violated = violated_after_sql("update item set stock = stock + 1 where id = 3").await;
    assert_eq!(
        violated,
        ["stock-gone-is-purchases", "stock-gone-is-answers"]
    );
}

#[tokio::test]
async fn a_unit_put_back_where_somebody_was_refused_makes_the_refusal_untrue_too() {
    let violated = violated_after_sql("update item set stock = stock + 1 where id = 1").await;
    assert_eq!(
        violated,
        [
            "stock-gone-is-purchases",
            "stock-gone-is-answers",
            "out-of-stock-was-true"
        ]
    );
}

#[tokio::test]
async fn a_purchase_deleted_is_reported() {
    let violated =
        violated_after_sql("delete from purchase where item_id = 3 and user_id = 5").await;
    assert_eq!(
        violated,
        ["stock-gone-is-purchases", "acknowledged-is-purchased"]
    );
}

#[tokio::test]
async fn a_phantom_purchase_is_reported() {
    let phantom = "insert into purchase (user_id, item_id, price) values (1, 3, 0)";
    let violated = violated_after_sql(phantom).await;
    assert_eq!(
        violated,
        ["stock-gone-is-purchases", "purchased-is-answered"]
    );
}

#[tokio::test]
async fn a_whole_phantom_sale_is_reported_by_the_answers() {
    let violated = violated_after_sql(
        "update item set stock = stock - 1 where id = 2;
         update wallet set balance = balance - 50 where user_id = 1;
         insert into purchase (user_id, item_id, price) values (1, 2, 50)",
    )
    .await;
    assert_eq!(
        violated,
        [
            "stock-gone-is-answers",
            "balance-gone-is-answers",
            "purchased-is-answered"
        ]
    );
}

#[tokio::test]
async fn a_negative_stock_is_reported() {
    let violated = violated_after_sql(
        "alter table item drop constraint item_stock_not_negative;
         update item set stock = -1 where id = 1",
    )
    .await;
    assert_eq!(
        violated,
        [
            "stock-not-negative",
            "stock-gone-is-purchases",
            "stock-gone-is-answers"
        ]
    );
}

#[tokio::test]
async fn a_negative_balance_is_reported() {
    let violated = violated_after_sql(
        "alter table wallet drop constraint wallet_balance_not_negative;
         update wallet set balance = -1 where user_id = 6",
    )
    .await;
    assert_eq!(
        violated,
        [
            "balance-not-negative",
            "balance-gone-is-prices",
            "balance-gone-is-answers"
        ]
    );
}

#[tokio::test]
async fn a_balance_changed_by_one_unit_is_reported() {
    let violated = violated_after_sql("update wallet set balance = 99 where user_id = 6").await;
    assert_eq!(
        violated,
        ["balance-gone-is-prices", "balance-gone-is-answers"]
    );
}

#[tokio::test]
async fn a_purchase_given_to_another_is_reported() {
    let violated =
        violated_after_sql("update purchase set user_id = 1 where user_id = 5 and item_id = 3")
            .await;
    assert_eq!(
        violated,
        ["acknowledged-is-purchased", "purchased-is-answered"]
    );
}

#[tokio::test]
async fn an_open_transaction_with_its_lock_is_reported() {
    let mut session = None;
    let violated = violated_after(async |world, _| {
        let session = session.insert(stranger(world).await);
        session
            .execute("begin; select * from item for update")
            .await
            .unwrap();
    })
    .await;
    assert_eq!(violated, ["no-open-transaction", "no-lock-left"]);
}

/// An aborted transaction has given its locks back, and waits for its ROLLBACK for ever.
#[tokio::test]
async fn an_aborted_transaction_that_nobody_ended_is_reported() {
    let mut session = None;
    let violated = violated_after(async |world, _| {
        let session = session.insert(stranger(world).await);
        session.execute("begin; select * from item").await.unwrap();
        session.execute("select 1 / 0").await.unwrap_err();
    })
    .await;
    assert_eq!(violated, ["no-open-transaction"]);
}

#[tokio::test]
async fn a_lock_outside_of_any_transaction_is_reported() {
    let mut session = None;
    let violated = violated_after(async |world, _| {
        let session = session.insert(stranger(world).await);
        session.execute("select pg_advisory_lock(7)").await.unwrap();
    })
    .await;
    assert_eq!(violated, ["no-lock-left"]);
}

#[tokio::test]
async fn a_deadlock_that_postgres_broke_is_reported() {
    let violated = violated_after(async |world, _| {
        let (mut one, mut two) = (stranger(world).await, stranger(world).await);
        for (session, user_id) in [(&mut one, 1), (&mut two, 2)] {
            session
                .execute("set deadlock_timeout = '10ms'; begin")
                .await
                .unwrap();
            lock_wallet(session, user_id).await.unwrap();
        }
        let (first, second) = tokio::join!(lock_wallet(&mut one, 2), lock_wallet(&mut two, 1));
        assert!(
            first.is_ok() != second.is_ok(),
            "one of the two is the victim"
        );
        one.close().await.unwrap();
        two.close().await.unwrap();
    })
    .await;
    assert_eq!(violated, ["no-deadlock"]);
}

/// Locks the wallet; the victim of a deadlock lets go of what it holds, as the server made it.
async fn lock_wallet(session: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    let lock = format!("select * from wallet where user_id = {user_id} for update");
    let locked = session.execute(AssertSqlSafe(lock)).await;
    if locked.is_err() {
        session.execute("rollback").await?;
    }
    locked.map(drop)
}

#[tokio::test]
async fn a_forged_acknowledgement_is_reported() {
    let violated = violated_after(async |_, history| {
        first(history, false).completion = Completion::Ok(Receipt::default());
    })
    .await;
    assert_eq!(
        violated,
        [
            "stock-gone-is-answers",
            "balance-gone-is-answers",
            "acknowledged-is-purchased"
        ]
    );
}

#[tokio::test]
async fn an_acknowledgement_turned_into_a_refusal_is_reported() {
    let violated = violated_after(async |_, history| {
        history[4].completion = Completion::Fail(Refusal::Conflict);
    })
    .await;
    assert_eq!(violated, ["stock-gone-is-answers", "purchased-is-answered"]);
}

#[tokio::test]
async fn an_untrue_refusal_is_reported() {
    let violated = violated_after(async |world, history| {
        let mut client = world.connect(0).await.unwrap();
        let mut forged = client.purchase(Request::new(1, 9)).await;
        forged.request = Request::new(1, 3);
        for refusal in [Refusal::OutOfStock, Refusal::InsufficientBalance] {
            forged.completion = Completion::Fail(refusal);
            history.push(forged.clone());
        }
        for refusal in [Refusal::UnknownItem, Refusal::UnknownUser] {
            forged.completion = Completion::Fail(refusal);
            history.push(forged.clone());
        }
        let silent = Refusal::Unstated("400 without a code".into());
        forged.completion = Completion::Fail(silent);
        history.push(forged);
    })
    .await;
    assert_eq!(
        violated,
        [
            "out-of-stock-was-true",
            "insufficient-balance-was-true",
            "unknown-was-true",
            "refusal-was-true"
        ]
    );
}

#[tokio::test]
async fn a_forged_receipt_is_reported() {
    let violated = violated_after(async |_, history| {
        receipt(first(history, true)).balance_left = Some(Money(101));
    })
    .await;
    assert_eq!(violated, ["receipt-is-true"]);
    let violated = violated_after(async |_, history| {
        receipt(first(history, true)).purchase_id = Some(PurchaseId(i64::MAX));
    })
    .await;
    assert_eq!(violated, ["acknowledged-is-purchased"]);
}

#[tokio::test]
async fn two_receipts_under_one_key_are_reported() {
    let violated = violated_after(async |world, history| {
        let mut client = world.connect(0).await.unwrap();
        for _ in 0..2 {
            let request = Request::new(1, 3).with_key("twice");
            history.push(client.purchase(request).await);
        }
        receipt(history.last_mut().unwrap()).balance_left = Some(Money(1));
    })
    .await;
    assert_eq!(violated, ["one-receipt-per-key"]);
}

#[tokio::test]
async fn a_lost_answer_and_a_server_error_are_reported() {
    let violated = violated_after(async |_, history| {
        history[4].completion = Completion::Info(Unknown::TimedOut);
        history[5].completion = Completion::Info(Unknown::ServerError);
        history[5].status = Some(500);
    })
    .await;
    assert_eq!(violated, ["every-request-answered", "no-server-error"]);
}

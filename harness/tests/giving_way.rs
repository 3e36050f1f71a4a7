//! A service may give way (409) where it meets others; one that does so wrongly is caught.
//!
//! The right ones are among the lawful services. Here are their wrong twins: the same purchase by
//! compare-and-set, each with one bug in how it gives way.

use std::sync::Arc;

use crate::common::{Sandbox, assert_exit, stdout};
use crate::mutants_support::{setting, small, violated};
use futures::future::{BoxFuture, FutureExt};
use purchase_service::order::{IdempotencyKey, Money, Order, PurchaseId, Receipt, Refusal};
use purchase_service::purchaser::{Outcome, PurchaseError, Purchaser};
use rowlock::load::Trial;
use rowlock::mutants::lawful;
use rowlock::shop::BuildPurchaser;
use rowlock::shop::scenario::{self, Load};
use rowlock::target::{Keys, OnConflict, TargetSpec};
use rowlock_core::verdict::Verdict;
use sqlx::{PgPool, query_scalar};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// It sells, and says that it gave way.
    SellsAndSaysSo,
    /// It writes the stock whatever it has become.
    Oversells,
    /// It takes the money before it knows whether it will give way.
    KeepsTheMoney,
    /// It says that the item is sold out where it gave way.
    SaysSoldOut,
}

/// Sells by compare-and-set, and answers 409 where a row has changed.
struct Twin {
    pool: PgPool,
    bug: Bug,
}

impl Purchaser for Twin {
    fn purchase(
        self: Arc<Self>,
        order: Order,
        _key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        async move {
            match self.decide(order).await {
                Ok(Some(outcome)) => Ok(outcome),
                Ok(None) => Err(PurchaseError::Conflict("others came first".into())),
                Err(error) => Err(PurchaseError::Unexpected(error.into())),
            }
        }
        .boxed()
    }
}

impl Twin {
    /// The outcome, or none where it gave way.
    async fn decide(&self, order: Order) -> sqlx::Result<Option<Outcome>> {
        let Order { user_id, item_id } = order;
        let read: Option<(i64, i64, Option<i64>)> = sqlx::query_as(
            "select price, stock, (select balance from wallet where user_id = $2)
               from item where id = $1",
        )
        .bind(item_id)
        .bind(user_id)
        .fetch_optional(&self.pool)
        .await?;
        let refused = |refusal| Ok(Some(Err(refusal)));
        let Some((price, stock, balance)) = read else {
            return refused(Refusal::UnknownItem);
        };
        if stock == 0 {
            return refused(Refusal::OutOfStock);
        }
        let Some(balance) = balance else {
            return refused(Refusal::UnknownUser);
        };
        if balance < price {
            return refused(Refusal::InsufficientBalance);
        }
        let charge = || {
            sqlx::query("update wallet set balance = $3 where user_id = $1 and balance = $2")
                .bind(user_id)
                .bind(balance)
                .bind(balance - price)
        };
        let paid_before = self.bug == Bug::KeepsTheMoney;
        if paid_before && charge().execute(&self.pool).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let mut transaction = self.pool.begin().await?;
        let is_paid =
            paid_before || charge().execute(&mut *transaction).await?.rows_affected() == 1;
        let statement = match self.bug {
            Bug::Oversells => "update item set stock = $3 where id = $1 and $2 > 0",
            _ => "update item set stock = $3 where id = $1 and stock = $2",
        };
        let taken = sqlx::query(statement)
            .bind(item_id)
            .bind(stock)
            .bind(stock - 1)
            .execute(&mut *transaction)
            .await?;
        if !is_paid || taken.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok((self.bug == Bug::SaysSoldOut).then_some(Err(Refusal::OutOfStock)));
        }
        let purchase_id: PurchaseId = query_scalar(
            "insert into purchase (user_id, item_id, price, balance_left)
             values ($1, $2, $3, $4) returning id",
        )
        .bind(user_id)
        .bind(item_id)
        .bind(price)
        .bind(balance - price)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        // Some of them, or the first sale would show that it does not sell.
        if self.bug == Bug::SellsAndSaysSo && purchase_id.0 % 5 == 0 {
            return Ok(None);
        }
        Ok(Some(Ok(Receipt {
            purchase_id,
            user_id,
            item_id,
            price: Money(price),
            balance_left: Money(balance - price),
        })))
    }
}

fn twin(build: fn(PgPool) -> Arc<dyn Purchaser>) -> TargetSpec {
    TargetSpec::in_process(BuildPurchaser {
        name: "twin",
        on_conflict: OnConflict::GivesWay,
        keys: Keys::AsSeen,
        build,
    })
}

/// So much stock that some sale meets another, whatever the machine is doing.
fn contended() -> Load {
    Load {
        stocks: vec![100],
        ..small()
    }
}

async fn run(target: TargetSpec, scenario: &str) -> Vec<Trial> {
    run_with(target, scenario, &small()).await
}

async fn run_with(target: TargetSpec, scenario: &str, load: &Load) -> Vec<Trial> {
    let setting = setting(target).await;
    let scenario = scenario::find(scenario).unwrap();
    scenario.run(&setting, load).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_bug_the_twin_is_right() {
    for scenario in ["concurrent-buyers", "double-click", "balance-edge"] {
        let target = twin(|pool| {
            Arc::new(Twin {
                pool,
                bug: Bug::None,
            })
        });
        let trials = run(target, scenario).await;
        assert_eq!(violated(&trials), [""; 0], "{scenario}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_409_for_what_was_sold_is_caught() {
    let target = twin(|pool| {
        Arc::new(Twin {
            pool,
            bug: Bug::SellsAndSaysSo,
        })
    });
    // Where sales follow one another the fifth is sure to come.
    let violated = violated(&run(target, "balance-edge").await);
    for name in [
        "stock-gone-is-answers",
        "balance-gone-is-answers",
        "purchased-is-answered",
    ] {
        assert!(violated.iter().any(|it| it == name), "{violated:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_give_way_and_oversell_is_caught() {
    let target = twin(|pool| {
        Arc::new(Twin {
            pool,
            bug: Bug::Oversells,
        })
    });
    let violated = violated(&run(target, "concurrent-buyers").await);
    assert!(
        violated.iter().any(|it| it == "stock-gone-is-purchases"),
        "{violated:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn to_give_way_and_keep_the_money_is_caught() {
    let target = twin(|pool| {
        Arc::new(Twin {
            pool,
            bug: Bug::KeepsTheMoney,
        })
    });
    let violated = violated(&run(target, "concurrent-buyers").await);
    for name in ["balance-gone-is-prices", "balance-gone-is-answers"] {
        assert!(violated.iter().any(|it| it == name), "{violated:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_call_it_sold_out_where_it_gave_way_is_caught() {
    let target = twin(|pool| {
        Arc::new(Twin {
            pool,
            bug: Bug::SaysSoldOut,
        })
    });
    let violated = violated(&run(target, "concurrent-buyers").await);
    for name in ["out-of-stock-was-true", "expected-answers"] {
        assert!(violated.iter().any(|it| it == name), "{violated:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_promises_to_try_again_may_not_give_way() {
    let target = TargetSpec::in_process(BuildPurchaser {
        on_conflict: OnConflict::TriesAgain,
        ..lawful::find("compare-and-set").unwrap().purchaser()
    });
    let trials = run_with(target, "concurrent-buyers", &contended()).await;
    assert!(trials.iter().all(|trial| trial.gave_way > 0), "{trials:#?}");
    assert!(
        violated(&trials)
            .iter()
            .all(|name| name == "expected-answers")
    );
    assert_eq!(violated(&trials).len(), trials.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_gave_way_is_counted_and_can_be_limited() {
    for (limit, verdict) in [(100.0, Verdict::Valid), (0.0, Verdict::Violation)] {
        let lawful = lawful::find("compare-and-set").unwrap();
        let target = TargetSpec::in_process(lawful.purchaser());
        let load = Load {
            max_conflicts: Some(limit),
            ..contended()
        };
        for trial in run_with(target, "concurrent-buyers", &load).await {
            assert_eq!(trial.verdict, Some(verdict), "{trial:#?}");
            assert!(trial.gave_way > 0 && trial.gave_way == trial.answers.conflict);
            let last = trial.findings.last().unwrap();
            assert_eq!(last.name, "conflicts-within-limit");
        }
    }
}

#[test]
fn the_command_shows_how_many_gave_way_and_fails_beyond_the_limit() {
    let sandbox = Sandbox::new();
    let run = "run concurrent-buyers --postgres local --buyers 100 --stock 50 \
               --mutant serializable-unretried";
    let output = sandbox.rowlock(run).output().unwrap();
    assert_exit(&output, 0);
    let text = stdout(&output);
    assert!(text.lines().next().unwrap().contains("gave way"), "{text}");
    let limited = format!("{run} --max-conflicts 0");
    let output = sandbox.rowlock(&limited).output().unwrap();
    assert_exit(&output, 1);
    let text = stdout(&output);
    let first = text.lines().next().unwrap();
    assert!(first.ends_with(" % (conflicts-within-limit)"), "{text}");
    assert!(text.contains("what should hold: at most 0 %"), "{text}");
    assert!(text.contains("--max-conflicts 0"), "{text}");
    let wrong = sandbox
        .rowlock("verify --max-conflicts 101")
        .output()
        .unwrap();
    assert_exit(&wrong, 2);
    sandbox.wait_until_clean();
}

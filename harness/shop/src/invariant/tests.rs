//! Every invariant is broken here on purpose, on plain values, and reported by its name alone.

mod sound;
mod twins;

use std::collections::BTreeSet;

use purchase_service::order::{ItemId, Money, PurchaseId, UserId};
use rowlock_core::answer::Unknown;
use rowlock_core::verdict::Verdict;

use super::*;
use crate::history::{Completion, Receipt, Refusal, Request};
use crate::rows::Purchase;

/// A right shop's trial, of which each twin changes one thing.
///
/// Operations follow one another; the one at `index` takes the time from `10 * index` to
/// `10 * index + 5`. The last is unknown to its client, and was a purchase.
fn evidence() -> Evidence {
    let key = || Request::new(1, 1).with_key("k");
    let history = [
        (Request::new(1, 1), bought(1, 10, 90)),
        (Request::new(2, 1), bought(2, 10, 90)),
        (key(), bought(3, 10, 80)),
        (key(), bought(3, 10, 80)),
        (Request::new(2, 1), refused(Refusal::OutOfStock)),
        (Request::new(3, 2), refused(Refusal::InsufficientBalance)),
        (Request::new(1, 9), refused(Refusal::UnknownItem)),
        (Request::new(9, 2), refused(Refusal::UnknownUser)),
        (Request::new(4, 2), Completion::Info(Unknown::HungUp)),
    ];
    let history = (0..)
        .zip(history)
        .map(|(index, (request, completion))| operation(index, request, completion))
        .collect();
    let purchases = vec![
        purchase(1, 1, 1, 10, None),
        purchase(2, 2, 1, 10, None),
        purchase(3, 1, 1, 10, Some("k")),
        purchase(4, 4, 2, 25, None),
    ];
    let wallets = |shop: Shop, one, two, four| {
        let shop = shop.wallet(1, one).wallet(2, two);
        shop.wallet(3, 24).wallet(4, four)
    };
    let initial = Shop::default().item(1, 10, 3).item(2, 25, 5).item(3, 0, 5);
    let left = Shop::default().item(1, 10, 0).item(2, 25, 4).item(3, 0, 5);
    Evidence {
        initial: wallets(initial, 100, 100, 25),
        history,
        rows: FinalRows {
            shop: wallets(left, 80, 90, 0),
            purchases: Some(purchases),
        },
        aftermath: Aftermath::default(),
        faults: false,
        capabilities: Capabilities {
            purchase_rows: true,
            idempotency_keys: true,
            once_per_customer: false,
            judges_first: JudgesFirst::Stock,
        },
    }
}

fn operation(index: u64, request: Request, completion: Completion) -> Operation {
    let status = match &completion {
        Completion::Ok(_) => Some(200),
        Completion::Fail(Refusal::Busy) => Some(503),
        Completion::Fail(_) => Some(400),
        Completion::Info(Unknown::ServerError) => Some(500),
        Completion::Info(_) => None,
    };
    Operation {
        request,
        intended_ns: 10 * index,
        invoked_ns: 10 * index,
        completed_ns: 10 * index + 5,
        status,
        completion,
    }
}

fn bought(purchase_id: i64, price: i64, balance_left: i64) -> Completion {
    Completion::Ok(Receipt {
        purchase_id: Some(PurchaseId(purchase_id)),
        price: Some(Money(price)),
        balance_left: Some(Money(balance_left)),
    })
}

fn refused(refusal: Refusal) -> Completion {
    Completion::Fail(refusal)
}

fn purchase(id: i64, user_id: i64, item_id: i64, price: i64, key: Option<&str>) -> Purchase {
    Purchase {
        purchase_id: PurchaseId(id),
        user_id: UserId(user_id),
        item_id: ItemId(item_id),
        price: Money(price),
        idempotency_key: key.map(Into::into),
    }
}

impl Evidence {
    /// A target that keeps no purchases, whose receipts therefore name none.
    fn forget_purchases(&mut self) {
        self.rows.purchases = None;
        self.capabilities.purchase_rows = false;
        for operation in &mut self.history {
            if let Completion::Ok(receipt) = &mut operation.completion {
                receipt.purchase_id = None;
            }
        }
    }

    fn purchases(&mut self) -> &mut Vec<Purchase> {
        self.rows.purchases.as_mut().expect("they are kept")
    }

    fn initial_stock(&mut self, item_id: i64) -> &mut i64 {
        stock(&mut self.initial, item_id)
    }

    fn stock_left(&mut self, item_id: i64) -> &mut i64 {
        stock(&mut self.rows.shop, item_id)
    }

    fn balance_left(&mut self, user_id: i64) -> &mut i64 {
        balance(&mut self.rows.shop, user_id)
    }

    fn receipt(&mut self, index: usize) -> &mut Receipt {
        match &mut self.history[index].completion {
            Completion::Ok(receipt) => receipt,
            other => panic!("operation {index} has no receipt but {other:?}"),
        }
    }

    /// Adds an operation after all others.
    fn ask(&mut self, user_id: i64, item_id: i64, completion: Completion) {
        let request = Request::new(user_id, item_id);
        let index = self.history.len() as u64;
        self.history.push(operation(index, request, completion));
    }
}

fn stock(shop: &mut Shop, item_id: i64) -> &mut i64 {
    let item = shop.items.get_mut(&ItemId(item_id));
    &mut item.expect("the item is there").stock
}

fn balance(shop: &mut Shop, user_id: i64) -> &mut i64 {
    let balance = shop.wallets.get_mut(&UserId(user_id));
    &mut balance.expect("the wallet is there").0
}

/// The names of the invariants that `evidence` violates.
fn violated(evidence: &Evidence) -> BTreeSet<String> {
    let findings = check(evidence).into_iter();
    findings
        .filter(|finding| matches!(finding.outcome, Outcome::Violated(_)))
        .map(|finding| finding.name)
        .collect()
}

fn not_applicable(evidence: &Evidence) -> Vec<String> {
    let findings = check(evidence).into_iter();
    findings
        .filter(|finding| matches!(finding.outcome, Outcome::NotApplicable(_)))
        .map(|finding| finding.name)
        .collect()
}

/// The names of the shop's invariants and of those of every service.
fn names() -> impl Iterator<Item = &'static str> {
    let universal = universal::CHECKS.iter().map(|check| check.name);
    INVARIANTS.iter().map(|it| it.name).chain(universal)
}

#[test]
fn a_right_trial_violates_nothing_and_asks_everything() {
    let evidence = evidence();
    let findings = check(&evidence);
    let holds = |finding: &Finding| finding.outcome == Outcome::Holds;
    assert!(findings.iter().all(holds), "{findings:#?}");
}

/// What the invariant called `name` says of each place where `evidence` violates it.
fn complaints(evidence: &Evidence, name: &str) -> Vec<String> {
    let findings = check(evidence).into_iter();
    let mut named = findings.filter(|finding| finding.name == name);
    match named.next().map(|finding| finding.outcome) {
        Some(Outcome::Violated(places)) => places,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn too_many_purchases_are_oversold_and_too_few_are_lost_stock() {
    let mut evidence = evidence();
    *evidence.stock_left(1) = 1;
    assert_eq!(
        complaints(&evidence, "stock-gone-is-purchases"),
        ["item 1 oversold: stock 3 -> 1, 2 gone, 3 purchases"]
    );
    assert_eq!(
        complaints(&evidence, "stock-gone-is-answers"),
        ["item 1 oversold: stock 3 -> 1, 2 gone, 3 200s"]
    );
    *evidence.stock_left(1) = 0;
    *evidence.stock_left(2) = 3;
    assert_eq!(
        complaints(&evidence, "stock-gone-is-purchases"),
        ["item 2 lost stock: stock 5 -> 3, 2 gone, 1 purchases"]
    );
    assert_eq!(
        complaints(&evidence, "stock-gone-is-answers"),
        ["item 2 lost stock: stock 5 -> 3, 2 gone, 0 to 1 200s, unknown answers counted"]
    );
}

#[test]
fn money_that_no_unknown_purchase_costs_is_missed() {
    let mut evidence = evidence();
    // 10 are certain, and 25 possible: together they explain 35, and nothing explains 15.
    evidence.rows.shop = evidence.initial.clone();
    evidence.history = Vec::new();
    evidence.ask(1, 1, bought(1, 10, 90));
    evidence.ask(1, 2, Completion::Info(Unknown::HungUp));
    *evidence.balance_left(1) = 65;
    assert!(!violated(&evidence).contains("balance-gone-is-answers"));
    *evidence.balance_left(1) = 85;
    assert_eq!(
        complaints(&evidence, "balance-gone-is-answers"),
        ["user 1: balance 100 -> 85, 15 gone, 10 to 35 worth of 200s, unknown answers counted"]
    );
}

#[test]
fn nothing_is_sold_out_while_units_are_left_however_many_may_have_bought() {
    let mut evidence = evidence();
    for _ in 0..5 {
        evidence.ask(4, 2, Completion::Info(Unknown::HungUp));
    }
    evidence.ask(3, 2, refused(Refusal::OutOfStock));
    let refusal = evidence.history.last().unwrap().describe();
    assert_eq!(
        complaints(&evidence, "out-of-stock-was-true"),
        [format!("{refusal}, and 4 are left of 5")]
    );
}

#[test]
fn of_several_refusals_the_first_to_be_answered_is_judged() {
    let mut evidence = evidence();
    evidence.ask(3, 1, refused(Refusal::OutOfStock));
    // After the first purchase, and answered before all others.
    let refusal = evidence.history.last_mut().unwrap();
    (refusal.invoked_ns, refusal.completed_ns) = (6, 9);
    let refusal = refusal.describe();
    assert_eq!(
        complaints(&evidence, "out-of-stock-was-true"),
        [format!("{refusal}, when at most 1 of 3 were sold")]
    );
}

#[test]
fn what_does_not_apply_adds_nothing_to_a_verdict() {
    let verdict = |outcome| {
        let mut finding = Finding::new("it", "it holds", Vec::new());
        finding.outcome = outcome;
        finding.verdict()
    };
    let why = String::from("why");
    assert_eq!(verdict(Outcome::Holds), Some(Verdict::Valid));
    let violated = Outcome::Violated(vec![why.clone()]);
    assert_eq!(verdict(violated), Some(Verdict::Violation));
    assert_eq!(verdict(Outcome::NotApplicable(why.clone())), None);
    assert_eq!(
        verdict(Outcome::Unchecked(why)),
        Some(Verdict::Inconclusive)
    );
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<_> = names().collect();
    assert_eq!(names.len(), INVARIANTS.len() + universal::CHECKS.len());
}

#[test]
fn what_needs_purchase_rows_does_not_apply_without_them_and_is_named() {
    let mut evidence = evidence();
    evidence.forget_purchases();
    assert_eq!(violated(&evidence), BTreeSet::new());
    assert_eq!(
        not_applicable(&evidence),
        [
            "stock-gone-is-purchases",
            "balance-gone-is-prices",
            "acknowledged-is-purchased",
            "purchased-is-answered",
        ]
    );
}

#[test]
fn what_needs_keys_does_not_apply_without_them_and_is_named() {
    let mut evidence = evidence();
    evidence.capabilities.idempotency_keys = false;
    assert_eq!(not_applicable(&evidence), ["one-receipt-per-key"]);
}

#[test]
fn what_needs_an_unbroken_trial_does_not_apply_to_a_broken_one_and_is_named() {
    let mut evidence = evidence();
    evidence.faults = true;
    assert_eq!(
        not_applicable(&evidence),
        [
            "refusal-was-true",
            "every-request-answered",
            "no-server-error"
        ]
    );
}

#[test]
fn a_second_purchase_breaks_the_rule_of_a_shop_that_has_it_and_of_no_other() {
    let mut evidence = evidence();
    let is_asked = |evidence: &Evidence| {
        let mut findings = check(evidence).into_iter();
        findings.any(|finding| finding.name == ONCE_PER_CUSTOMER.name)
    };
    assert!(!is_asked(&evidence));
    evidence.capabilities.once_per_customer = true;
    assert!(is_asked(&evidence));
    evidence.purchases().clear();
    evidence.history.clear();
    evidence.purchases().push(purchase(1, 1, 1, 10, None));
    assert!(!violated(&evidence).contains(ONCE_PER_CUSTOMER.name));
    evidence.purchases().push(purchase(2, 1, 1, 10, None));
    assert!(violated(&evidence).contains(ONCE_PER_CUSTOMER.name));
}

#[test]
fn a_second_receipt_breaks_it_too_where_no_purchases_are_kept() {
    let mut evidence = evidence();
    evidence.forget_purchases();
    evidence.capabilities.once_per_customer = true;
    evidence.history.clear();
    evidence.ask(1, 1, bought(1, 10, 90));
    assert!(!violated(&evidence).contains(ONCE_PER_CUSTOMER.name));
    evidence.ask(1, 1, bought(2, 10, 80));
    assert!(violated(&evidence).contains(ONCE_PER_CUSTOMER.name));
}

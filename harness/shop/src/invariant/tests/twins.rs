//! For every invariant a change that it allows and, as like as can be, one that it reports.

use super::*;

/// One invariant's two changes to [`evidence`].
struct Twins {
    /// The invariant.
    name: &'static str,
    /// Violates nothing at all.
    ok: fn(&mut Evidence),
    /// Violates the invariant, and beside it only what `with` names.
    bad: fn(&mut Evidence),
    with: &'static [&'static str],
}

const TWINS: &[Twins] = &[
    Twins {
        name: "stock-not-negative",
        ok: |evidence| {
            *evidence.initial_stock(2) = 1;
            *evidence.stock_left(2) = 0;
        },
        bad: |evidence| {
            *evidence.initial_stock(2) = 0;
            *evidence.stock_left(2) = -1;
        },
        with: &[],
    },
    Twins {
        name: "balance-not-negative",
        ok: |_| {},
        bad: |evidence| {
            *balance(&mut evidence.initial, 4) = 24;
            *evidence.balance_left(4) = -1;
        },
        with: &[],
    },
    Twins {
        name: "stock-gone-is-purchases",
        ok: did_not_happen,
        bad: |evidence| {
            did_not_happen(evidence);
            *evidence.stock_left(2) = 4;
        },
        with: &[],
    },
    Twins {
        name: "balance-gone-is-prices",
        ok: did_not_happen,
        bad: |evidence| {
            did_not_happen(evidence);
            *evidence.balance_left(4) = 0;
        },
        with: &[],
    },
    // The next two on a target that keeps no purchases: rows and answers are all there is.
    Twins {
        name: "stock-gone-is-answers",
        ok: Evidence::forget_purchases,
        bad: |evidence| {
            evidence.forget_purchases();
            *evidence.stock_left(2) = 3;
        },
        with: &[],
    },
    Twins {
        name: "balance-gone-is-answers",
        ok: Evidence::forget_purchases,
        bad: |evidence| {
            evidence.forget_purchases();
            *evidence.balance_left(1) = 90;
        },
        with: &[],
    },
    // Behind the unknown answer is a price or nothing, and no part of a price.
    Twins {
        name: "balance-gone-is-answers",
        ok: |evidence| {
            evidence.forget_purchases();
            *evidence.balance_left(4) = 25;
        },
        bad: |evidence| {
            evidence.forget_purchases();
            *evidence.balance_left(4) = 1;
        },
        with: &[],
    },
    Twins {
        name: "acknowledged-is-purchased",
        ok: |evidence| evidence.receipt(0).purchase_id = None,
        bad: |evidence| evidence.receipt(0).purchase_id = Some(PurchaseId(77)),
        with: &[],
    },
    // Bought twice by one user, acknowledged as one and the same purchase.
    Twins {
        name: "acknowledged-is-purchased",
        ok: |evidence| sell_free_items(evidence, 6),
        bad: |evidence| sell_free_items(evidence, 5),
        with: &[],
    },
    Twins {
        name: "acknowledged-is-purchased",
        ok: |_| {},
        bad: |evidence| {
            evidence.purchases()[0].price = Money(9);
            evidence.purchases()[2].price = Money(11);
        },
        with: &[],
    },
    // Receipts name no purchase, so that only their number can show the missing one.
    Twins {
        name: "acknowledged-is-purchased",
        ok: |evidence| evidence.ask(4, 3, Completion::Info(Unknown::HungUp)),
        bad: |evidence| {
            evidence.ask(4, 3, Completion::Ok(Receipt::default()));
            *evidence.stock_left(3) = 4;
        },
        with: &["stock-gone-is-purchases"],
    },
    // A free unit went, for which somebody else's unknown answer stands.
    Twins {
        name: "purchased-is-answered",
        ok: |evidence| sell_to_who_hung_up(evidence, 4),
        bad: |evidence| sell_to_who_hung_up(evidence, 1),
        with: &[],
    },
    Twins {
        name: "one-receipt-per-key",
        ok: |evidence| *evidence.receipt(3) = *evidence.receipt(2),
        bad: |evidence| evidence.receipt(3).balance_left = Some(Money(70)),
        with: &[],
    },
    Twins {
        name: "receipt-is-true",
        ok: |evidence| evidence.receipt(0).price = None,
        bad: |evidence| evidence.receipt(0).price = Some(Money(9)),
        with: &["acknowledged-is-purchased"],
    },
    Twins {
        name: "receipt-is-true",
        ok: |evidence| evidence.receipt(1).balance_left = Some(Money(0)),
        bad: |evidence| evidence.receipt(1).balance_left = Some(Money(91)),
        with: &[],
    },
    Twins {
        name: "receipt-is-true",
        ok: |evidence| evidence.receipt(1).balance_left = None,
        bad: |evidence| evidence.receipt(1).balance_left = Some(Money(-1)),
        with: &[],
    },
    // The same user's two purchases, neither under a key, left different balances.
    Twins {
        name: "receipt-is-true",
        ok: |evidence| unkey(evidence, 80),
        bad: |evidence| unkey(evidence, 90),
        with: &[],
    },
    Twins {
        name: "out-of-stock-was-true",
        ok: |evidence| evidence.ask(1, 1, refused(Refusal::OutOfStock)),
        bad: |evidence| evidence.ask(1, 2, refused(Refusal::OutOfStock)),
        with: &[],
    },
    // Answered when the last unit's buyer had pressed the button, and when not.
    Twins {
        name: "out-of-stock-was-true",
        ok: |evidence| complete(evidence, 4, 20),
        bad: |evidence| complete(evidence, 4, 19),
        with: &[],
    },
    Twins {
        name: "insufficient-balance-was-true",
        ok: |evidence| evidence.ask(3, 2, refused(Refusal::InsufficientBalance)),
        bad: |evidence| evidence.ask(1, 2, refused(Refusal::InsufficientBalance)),
        with: &[],
    },
    // The wallet was emptied by an operation that began at 80.
    Twins {
        name: "insufficient-balance-was-true",
        ok: |evidence| refuse_at(evidence, 80),
        bad: |evidence| refuse_at(evidence, 79),
        with: &[],
    },
    Twins {
        name: "unknown-was-true",
        ok: |evidence| evidence.ask(1, -1, refused(Refusal::UnknownItem)),
        bad: |evidence| evidence.ask(1, 3, refused(Refusal::UnknownItem)),
        with: &[],
    },
    Twins {
        name: "unknown-was-true",
        ok: |evidence| evidence.ask(-1, 3, refused(Refusal::UnknownUser)),
        bad: |evidence| evidence.ask(1, 3, refused(Refusal::UnknownUser)),
        with: &[],
    },
    Twins {
        name: "refusal-was-true",
        ok: |evidence| evidence.ask(2, 1, refused(silent())),
        bad: |evidence| evidence.ask(1, 3, refused(silent())),
        with: &[],
    },
    Twins {
        name: "refusal-was-true",
        ok: |evidence| evidence.ask(3, 2, refused(silent())),
        bad: |evidence| evidence.ask(3, 3, refused(silent())),
        with: &[],
    },
    Twins {
        name: "refusal-was-true",
        ok: |evidence| evidence.ask(9, 3, refused(silent())),
        bad: |evidence| refuse_last_unit_at(evidence, 19),
        with: &[],
    },
    Twins {
        name: "refusal-was-true",
        ok: |evidence| refuse_last_unit_at(evidence, 20),
        bad: |evidence| refuse_silently_at(evidence, 79),
        with: &[],
    },
    Twins {
        name: "refusal-was-true",
        ok: |evidence| refuse_silently_at(evidence, 80),
        bad: |evidence| refuse_under_key(evidence, "nobody's"),
        with: &[],
    },
    Twins {
        name: "refusal-was-true",
        ok: |evidence| refuse_under_key(evidence, "k"),
        bad: |evidence| evidence.ask(3, 3, refused(Refusal::Unstated("422 sold_out".into()))),
        with: &[],
    },
    Twins {
        name: "refusal-was-true",
        ok: |evidence| {
            evidence.faults = true;
            evidence.ask(3, 3, refused(silent()));
        },
        bad: |evidence| evidence.ask(3, 3, refused(silent())),
        with: &[],
    },
    Twins {
        name: "every-request-answered",
        ok: |evidence| {
            evidence.faults = true;
            evidence.ask(1, 3, Completion::Info(Unknown::TimedOut));
        },
        bad: |evidence| evidence.ask(1, 3, Completion::Info(Unknown::TimedOut)),
        with: &[],
    },
    Twins {
        name: "every-request-answered",
        ok: |evidence| evidence.ask(1, 3, Completion::Info(Unknown::HungUp)),
        bad: |evidence| evidence.ask(1, 3, Completion::Info(Unknown::ConnectionLost)),
        with: &[],
    },
    Twins {
        name: "no-server-error",
        ok: |evidence| {
            evidence.faults = true;
            evidence.ask(1, 3, Completion::Info(Unknown::ServerError));
        },
        bad: |evidence| evidence.ask(1, 3, Completion::Info(Unknown::ServerError)),
        with: &[],
    },
    Twins {
        name: "no-server-error",
        ok: |evidence| evidence.ask(1, 3, refused(Refusal::Busy)),
        bad: |evidence| evidence.ask(1, 3, Completion::Info(Unknown::ServerError)),
        with: &[],
    },
    Twins {
        name: "no-open-transaction",
        ok: |_| {},
        bad: |evidence| evidence.aftermath.open_transactions = vec!["session 7".into()],
        with: &[],
    },
    Twins {
        name: "no-lock-left",
        ok: |_| {},
        bad: |evidence| evidence.aftermath.locks = vec!["session 7 holds".into()],
        with: &[],
    },
    Twins {
        name: "no-deadlock",
        ok: |_| {},
        bad: |evidence| evidence.aftermath.deadlocks = 1,
        with: &[],
    },
];

/// The purchase that its client does not know of did not happen.
fn did_not_happen(evidence: &mut Evidence) {
    evidence.purchases().pop();
    *evidence.stock_left(2) = 5;
    *evidence.balance_left(4) = 25;
}

/// User 3 buys two free units, acknowledged as purchase 5 and as purchase `second`.
fn sell_free_items(evidence: &mut Evidence, second: i64) {
    for purchase_id in [5, 6] {
        evidence
            .purchases()
            .push(purchase(purchase_id, 3, 3, 0, None));
    }
    *evidence.stock_left(3) = 3;
    evidence.ask(3, 3, bought(5, 0, 24));
    evidence.ask(3, 3, bought(second, 0, 24));
}

/// User 4 asks for a free unit and hangs up; `user_id` has it.
fn sell_to_who_hung_up(evidence: &mut Evidence, user_id: i64) {
    evidence.ask(4, 3, Completion::Info(Unknown::HungUp));
    evidence.purchases().push(purchase(5, user_id, 3, 0, None));
    *evidence.stock_left(3) = 4;
}

/// Makes the second purchase of user 1 one without a key, which left `balance_left`.
fn unkey(evidence: &mut Evidence, balance_left: i64) {
    evidence.history.remove(3);
    evidence.history[2].request.key = None;
    evidence.receipt(2).balance_left = Some(Money(balance_left));
}

fn complete(evidence: &mut Evidence, index: usize, completed_ns: u64) {
    evidence.history[index].invoked_ns = 0;
    evidence.history[index].completed_ns = completed_ns;
}

/// User 4 is refused for want of balance; the answer is complete at `completed_ns`.
fn refuse_at(evidence: &mut Evidence, completed_ns: u64) {
    evidence.ask(4, 2, refused(Refusal::InsufficientBalance));
    complete(evidence, evidence.history.len() - 1, completed_ns);
}

fn silent() -> Refusal {
    Refusal::Unstated("400 without a code".into())
}

/// User 4 is refused the item that costs all that the wallet has; the answer is complete at
/// `completed_ns`.
fn refuse_silently_at(evidence: &mut Evidence, completed_ns: u64) {
    evidence.ask(4, 2, refused(silent()));
    complete(evidence, evidence.history.len() - 1, completed_ns);
}

/// User 2 is refused the item of which the third and last unit is asked for at 20 ns.
fn refuse_last_unit_at(evidence: &mut Evidence, completed_ns: u64) {
    evidence.ask(2, 1, refused(silent()));
    complete(evidence, evidence.history.len() - 1, completed_ns);
}

/// User 3 is refused a free unit under `key`; `k` belongs to another order.
fn refuse_under_key(evidence: &mut Evidence, key: &str) {
    evidence.ask(3, 3, refused(silent()));
    let last = evidence.history.last_mut().expect("it was just asked");
    last.request.key = Some(key.into());
}

#[test]
fn where_no_refusal_tells_its_reason_nothing_is_claimed_of_reasons() {
    let mut evidence = evidence();
    for operation in &mut evidence.history {
        if let Completion::Fail(refusal) = &mut operation.completion {
            *refusal = silent();
        }
    }
    let findings = check(&evidence);
    let outcome = |name: &str| {
        let finding = findings.iter().find(|finding| finding.name == name);
        finding.map(|finding| finding.outcome.clone())
    };
    for name in [
        "out-of-stock-was-true",
        "insufficient-balance-was-true",
        "unknown-was-true",
    ] {
        let not_applicable = Outcome::NotApplicable(REASONS_UNTOLD.into());
        assert_eq!(outcome(name), Some(not_applicable), "{name}");
    }
    assert_eq!(outcome("refusal-was-true"), Some(Outcome::Holds));
    assert_eq!(violated(&evidence), BTreeSet::new());
}

#[test]
fn every_invariant_has_its_twins() {
    let twins: BTreeSet<_> = TWINS.iter().map(|twins| twins.name).collect();
    let invariants: BTreeSet<_> = super::names().collect();
    assert_eq!(twins, invariants);
}

#[test]
fn what_is_allowed_is_not_reported() {
    for (index, twins) in TWINS.iter().enumerate() {
        let mut evidence = evidence();
        (twins.ok)(&mut evidence);
        let name = twins.name;
        assert_eq!(violated(&evidence), BTreeSet::new(), "{index}: {name}");
    }
}

#[test]
fn what_is_broken_is_reported_by_its_name_and_nothing_else_is() {
    for (index, twins) in TWINS.iter().enumerate() {
        let mut evidence = evidence();
        (twins.bad)(&mut evidence);
        let expected = twins.with.iter().chain([&twins.name]);
        let expected: BTreeSet<_> = expected.map(|name| (*name).to_owned()).collect();
        assert_eq!(violated(&evidence), expected, "{index}: {}", twins.name);
    }
}

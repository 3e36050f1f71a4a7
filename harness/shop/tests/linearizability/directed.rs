//! Histories in which a short cut of the search would go wrong if it were any shorter.

use rowlock_shop::linearizability::{Budget, Conclusion, Recording, check};

use crate::brute_force::is_linearizable;

fn assert_agrees(lines: &[&str], expected: bool) {
    let (recording, _) = Recording::parse(&lines.join("\n")).unwrap();
    assert_eq!(is_linearizable(&recording), expected, "the definition");
    let conclusion = check(&recording, Budget::default());
    let accepted = matches!(conclusion, Conclusion::Linearizable(_));
    assert_eq!(accepted, expected, "{conclusion:?}");
}

const ROWS: &str = r#"{"initial": {"items": {"1": {"price": 1, "stock": 1}, "2": {"price": 1, "stock": 1}},
    "wallets": {"1": 5, "2": 5, "3": 5}}}"#;

fn rows() -> String {
    ROWS.replace('\n', " ")
}

#[test]
fn a_lost_purchase_is_not_laid_to_a_wallet_whose_receipt_denies_it() {
    assert_agrees(
        &[
            &rows(),
            r#"{"user_id":1,"item_id":1,"invoked_ns":0,"info":"hung_up"}"#,
            r#"{"user_id":2,"item_id":1,"invoked_ns":1,"info":"hung_up"}"#,
            r#"{"user_id":3,"item_id":1,"invoked_ns":2,"completed_ns":3,"fail":"out_of_stock"}"#,
            r#"{"user_id":1,"item_id":2,"invoked_ns":4,"completed_ns":5,"ok":{"balance_left":4}}"#,
        ],
        true,
    );
}

#[test]
fn a_wallet_that_cannot_pay_for_all_its_lost_purchases_keeps_the_money_for_the_right_one() {
    assert_agrees(
        &[
            &rows().replace(r#""1": 5"#, r#""1": 1"#),
            r#"{"user_id":1,"item_id":1,"invoked_ns":0,"info":"hung_up"}"#,
            r#"{"user_id":1,"item_id":2,"invoked_ns":0,"info":"hung_up"}"#,
            r#"{"user_id":2,"item_id":1,"invoked_ns":1,"info":"hung_up"}"#,
            r#"{"user_id":3,"item_id":1,"invoked_ns":2,"completed_ns":3,"fail":"out_of_stock"}"#,
            r#"{"user_id":3,"item_id":2,"invoked_ns":4,"completed_ns":5,"fail":"out_of_stock"}"#,
        ],
        true,
    );
}

#[test]
fn the_purchase_that_is_due_first_goes_first_where_two_could_trade_places() {
    let initial = r#"{"initial": {"items": {"1": {"price": 1, "stock": 2}, "2": {"price": 1, "stock": 5}},
        "wallets": {"1": 5, "2": 5, "3": 1}}}"#;
    // The third is poor only after a purchase that comes after the second, and meets a last unit.
    assert_agrees(
        &[
            &initial.replace('\n', " "),
            r#"{"user_id":1,"item_id":1,"invoked_ns":0,"completed_ns":100,"ok":{}}"#,
            r#"{"user_id":2,"item_id":1,"invoked_ns":1,"completed_ns":5,"ok":{}}"#,
            r#"{"user_id":3,"item_id":2,"invoked_ns":6,"completed_ns":7,"ok":{}}"#,
            r#"{"user_id":3,"item_id":1,"invoked_ns":0,"completed_ns":50,"fail":"insufficient_balance"}"#,
        ],
        true,
    );
}

#[test]
fn poor_wallets_with_lost_purchases_of_two_items_do_not_trade_places() {
    let initial = r#"{"initial": {"items": {"1": {"price": 1, "stock": 1}, "2": {"price": 1, "stock": 1},
        "3": {"price": 1, "stock": 5}}, "wallets": {"1": 1, "2": 1, "4": 5}}}"#;
    let mut lines = vec![
        initial.replace('\n', " "),
        r#"{"user_id":1,"item_id":1,"invoked_ns":0,"info":"hung_up"}"#.to_owned(),
        r#"{"user_id":2,"item_id":1,"invoked_ns":0,"info":"hung_up"}"#.to_owned(),
        r#"{"user_id":1,"item_id":2,"invoked_ns":0,"info":"hung_up"}"#.to_owned(),
        r#"{"user_id":2,"item_id":3,"invoked_ns":0,"info":"hung_up"}"#.to_owned(),
        r#"{"user_id":4,"item_id":1,"invoked_ns":1,"completed_ns":2,"fail":"out_of_stock"}"#
            .to_owned(),
        r#"{"user_id":4,"item_id":2,"invoked_ns":3,"completed_ns":4,"fail":"out_of_stock"}"#
            .to_owned(),
    ];
    let agrees = |lines: &[String]| {
        assert_agrees(&lines.iter().map(String::as_str).collect::<Vec<_>>(), true);
    };
    agrees(&lines);
    lines.push(r#"{"final": {"balances": {"1": 0, "2": 0}}}"#.to_owned());
    agrees(&lines);
}

#[test]
fn an_unknown_purchase_that_explains_an_answer_explains_no_final_row_again() {
    let initial = r#"{"initial": {"items": {"1": {"price": 1, "stock": 5}}, "wallets": {"1": 5}}}"#;
    let lost = r#"{"user_id":1,"item_id":1,"invoked_ns":0,"info":"hung_up"}"#;
    let told =
        r#"{"user_id":1,"item_id":1,"invoked_ns":1,"completed_ns":2,"ok":{"balance_left":3}}"#;
    let last = |stock: i64| format!(r#"{{"final": {{"stocks": {{"1": {stock}}}}}}}"#);
    assert_agrees(&[initial, lost, told, &last(3)], true);
    assert_agrees(&[initial, lost, told, &last(2)], false);
}

#[test]
fn a_free_first_click_waits_for_what_its_repeat_tells() {
    let initial = r#"{"initial": {"items": {"1": {"price": 0, "stock": 9}, "2": {"price": 1, "stock": 9}},
        "wallets": {"1": 4}}}"#;
    assert_agrees(
        &[
            &initial.replace('\n', " "),
            r#"{"user_id":1,"item_id":2,"invoked_ns":0,"info":"hung_up"}"#,
            r#"{"user_id":1,"item_id":1,"key":"k","invoked_ns":1,"completed_ns":2,"ok":{}}"#,
            r#"{"user_id":1,"item_id":1,"key":"k","invoked_ns":3,"completed_ns":4,"ok":{"balance_left":3}}"#,
        ],
        true,
    );
}

#[test]
fn a_reason_names_what_came_too_late_to_explain_the_answer() {
    let initial = r#"{"initial": {"items": {"1": {"price": 1, "stock": 1}, "2": {"price": 1, "stock": 9}},
        "wallets": {"1": 9, "2": 9, "3": 9}}}"#;
    let lines = [
        initial.replace('\n', " "),
        r#"{"user_id":3,"item_id":1,"key":"k","invoked_ns":0,"completed_ns":1,"fail":"out_of_stock"}"#.into(),
        // Of the item; by the buyer, and at the last moment; under the key; and of none of these.
        r#"{"user_id":1,"item_id":1,"invoked_ns":2,"info":"hung_up"}"#.to_owned(),
        r#"{"user_id":3,"item_id":2,"invoked_ns":2,"info":"hung_up"}"#.to_owned(),
        r#"{"user_id":3,"item_id":2,"invoked_ns":1,"info":"hung_up"}"#.to_owned(),
        r#"{"user_id":2,"item_id":2,"key":"k","invoked_ns":2,"info":"hung_up"}"#.to_owned(),
        r#"{"user_id":1,"item_id":2,"key":"l","invoked_ns":2,"info":"hung_up"}"#.to_owned(),
    ];
    assert_eq!(
        reason(&lines),
        "operation 1 would be answered ok, not out_of_stock; operations 2, 3 and 5 began only \
         when it was over"
    );
}

fn reason(lines: &[String]) -> String {
    let (recording, _) = Recording::parse(&lines.join("\n")).unwrap();
    match check(&recording, Budget::default()) {
        Conclusion::Contradicted(contradiction) => contradiction.reason,
        conclusion => panic!("{conclusion:?}"),
    }
}

#[test]
fn more_money_than_the_wallet_had_is_named_as_such() {
    let bought = |item: i64, at: u64| {
        let end = at + 1;
        format!(
            r#"{{"user_id":1,"item_id":{item},"invoked_ns":{at},"completed_ns":{end},"ok":{{}}}}"#
        )
    };
    let initial = r#"{"initial": {"items": {"1": {"price": 2, "stock": 9}, "2": {"price": 3, "stock": 9}},
        "wallets": {"1": 6}}}"#;
    let lines = [
        initial.replace('\n', " "),
        bought(1, 0),
        bought(2, 2),
        bought(1, 4),
    ];
    assert_eq!(
        reason(&lines),
        "wallet 1 had 6, and purchases for 7 are acknowledged"
    );
}

#[test]
fn a_repeat_tells_what_was_bought_before_the_purchase_that_it_repeats() {
    let lost = r#"{"user_id":1,"item_id":1,"key":"k","invoked_ns":0,"info":"hung_up"}"#;
    let gone = r#"{"user_id":2,"item_id":1,"invoked_ns":1,"completed_ns":2,"fail":"out_of_stock"}"#;
    let repeat = r#"{"user_id":1,"item_id":1,"key":"k","invoked_ns":3,"completed_ns":4,"ok":{"balance_left":3}}"#;
    let other = r#"{"user_id":1,"item_id":2,"invoked_ns":0,"info":"hung_up"}"#;
    assert_agrees(&[&rows(), other, lost, gone, repeat], true);
    let late = r#"{"user_id":1,"item_id":2,"invoked_ns":3,"info":"hung_up"}"#;
    assert_agrees(&[&rows(), late, lost, gone, repeat], false);
}

#[test]
fn a_first_click_without_a_receipt_waits_for_what_its_repeat_tells() {
    let other = r#"{"user_id":1,"item_id":2,"invoked_ns":0,"info":"hung_up"}"#;
    let first = r#"{"user_id":1,"item_id":1,"key":"k","invoked_ns":1,"completed_ns":2,"ok":{}}"#;
    let repeat = r#"{"user_id":1,"item_id":1,"key":"k","invoked_ns":3,"completed_ns":4,"ok":{"balance_left":3}}"#;
    assert_agrees(&[&rows(), other, first, repeat], true);
    assert_agrees(&[&rows(), first, repeat], false);
}

#[test]
fn a_repeat_states_the_price_that_was_paid() {
    let first = r#"{"user_id":1,"item_id":1,"key":"k","invoked_ns":0,"completed_ns":1,"ok":{}}"#;
    let repeat = |price: i64| {
        let receipt = format!(r#"{{"price":{price}}}"#);
        format!(
            r#"{{"user_id":1,"item_id":1,"key":"k","invoked_ns":2,"completed_ns":3,"ok":{receipt}}}"#
        )
    };
    assert_agrees(&[&rows(), first, &repeat(1)], true);
    assert_agrees(&[&rows(), first, &repeat(2)], false);
}

#[test]
fn the_same_purchases_in_another_order_leave_other_receipts() {
    let rows = rows().replacen(r#""stock": 1"#, r#""stock": 2"#, 1);
    let repeat = |left: i64| {
        let receipt = format!(r#"{{"balance_left":{left}}}"#);
        format!(
            r#"{{"user_id":1,"item_id":1,"key":"k","invoked_ns":5,"completed_ns":6,"ok":{receipt}}}"#
        )
    };
    for (left, expected) in [(4, true), (3, true), (2, false)] {
        let lines = [
            &rows,
            r#"{"user_id":1,"item_id":1,"invoked_ns":0,"info":"hung_up"}"#,
            r#"{"user_id":1,"item_id":1,"key":"k","invoked_ns":0,"info":"hung_up"}"#,
            r#"{"user_id":3,"item_id":2,"invoked_ns":0,"info":"hung_up"}"#,
            r#"{"user_id":2,"item_id":1,"invoked_ns":1,"completed_ns":2,"fail":"out_of_stock"}"#,
            r#"{"user_id":2,"item_id":2,"invoked_ns":3,"completed_ns":4,"fail":"out_of_stock"}"#,
            &repeat(left),
        ];
        assert_agrees(&lines, expected);
    }
}

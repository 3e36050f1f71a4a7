//! What two runs of one order hide, and what they leave in sight.

use super::super::{Atomic, Compared, Explanation, Mask, Oracle, Unrepeatable, Why};
use super::{concurrent, gave_way, ok, rows, serial_run, sold_out, table};
use crate::rows::{Rows, Table};

fn hidden(mask: &Mask) -> Vec<String> {
    let hidden = mask.hidden();
    hidden
        .map(|(table, column, _)| format!("{table}.{column}"))
        .collect()
}

fn learned(first: Table, second: Table) -> Vec<String> {
    let mask = Mask::of(&rows([("t", first)]), &rows([("t", second)]));
    hidden(&mask.expect("the counts are the same"))
}

/// Whether a run of one call that left `run` is explained by the call alone, which left `serial`
/// and when it was repeated `again`.
fn is_explained(serial: &Rows, again: &Rows, run: &Rows) -> bool {
    let mut oracle = Oracle::new(&[1], Atomic::Call, Compared::Endings, Mask::default()).unwrap();
    oracle.add(serial_run(&[], &[], Rows::default()));
    oracle.add(serial_run(&[0], &[ok()], serial.clone()));
    oracle
        .repeat(serial_run(&[0], &[ok()], again.clone()))
        .unwrap();
    match oracle.explain(&concurrent(&[ok()], run.clone())) {
        Explanation::Explained(_) => true,
        Explanation::Unexplained(_) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_differs_is_hidden_and_what_is_the_same_is_not() {
    let first = table("id* stock token", &["1 3 x", "2 0 y"]);
    let second = table("id* stock token", &["2 0 v", "1 3 u"]);
    assert_eq!(learned(first.clone(), second), ["t.token"]);
    assert!(learned(first.clone(), first).is_empty());
}

#[test]
fn a_time_is_hidden_whatever_it_holds() {
    let same = table("id* at@", &["1 noon"]);
    assert_eq!(learned(same.clone(), same), ["t.at"]);
}

#[test]
fn another_count_of_rows_is_no_noise() {
    let mask = Mask::of(
        &rows([("t", table("a", &["1"]))]),
        &rows([("t", table("a", &["1", "1"]))]),
    );
    assert_eq!(
        mask.unwrap_err().to_string(),
        "run twice from the same rows, t held 1 rows and then 2"
    );
    let empty = Mask::of(&rows([("t", table("a", &[]))]), &Rows::default());
    assert_eq!(empty, Ok(Mask::default()));
}

#[test]
fn an_ignored_table_may_have_any_count_of_rows() {
    let mut mask = Mask::default();
    mask.ignore_table("t");
    let learned = mask.learn(&rows([("t", table("a", &["1"]))]), &Rows::default());
    assert_eq!(learned, Ok(()));
}

#[test]
fn another_kind_of_answer_is_no_noise() {
    let mut oracle = Oracle::new(&[1], Atomic::Call, Compared::Endings, Mask::default()).unwrap();
    oracle.add(serial_run(&[0], &[ok()], Rows::default()));
    let error = oracle
        .repeat(serial_run(&[0], &[sold_out()], Rows::default()))
        .unwrap_err();
    assert!(matches!(error, Unrepeatable::Answer { .. }));
    assert_eq!(
        error.to_string(),
        "run twice from the same rows, call 1 of actor 1 was told \"200\" and then \"422: sold out\""
    );
    let again = oracle.repeat(serial_run(&[0], &[ok()], Rows::default()));
    assert_eq!(again, Ok(()));
    assert!(
        oracle
            .repeat(serial_run(&[0], &[gave_way()], Rows::default()))
            .is_err()
    );
}

#[test]
fn values_that_change_places_hide_their_column_where_a_key_tells_the_rows_apart() {
    let first = table("id* prize city", &["1 x u", "2 y v"]);
    let second = table("id* prize city", &["1 y u", "2 x v"]);
    assert_eq!(learned(first, second), ["t.prize"]);
}

#[test]
fn values_that_change_places_without_a_key_hide_each_column_that_could_have() {
    let first = table("who prize city", &["1 x u", "2 y u", "3 z v"]);
    let second = table("who prize city", &["1 y u", "2 x u", "3 z v"]);
    assert_eq!(learned(first, second), ["t.prize", "t.who"]);
}

#[test]
fn the_report_learns_why_a_column_is_hidden() {
    let mask = Mask::of(
        &rows([("t", table("id* stock", &["1 2"]))]),
        &rows([("t", table("id* stock", &["1 1"]))]),
    );
    let why = Why::Differed {
        first: "2".into(),
        second: "1".into(),
    };
    assert_eq!(mask.unwrap().why("t", "stock"), Some(&why));
}

/// Two orders with a line each, of generated ids that begin behind `base`; `lines` says which order
/// each line belongs to.
fn ordered(base: usize, lines: [usize; 2]) -> Rows {
    let id = |nth: usize| base + nth;
    let order = [format!("{} A", id(1)), format!("{} B", id(2))];
    let line = [
        format!("{} {} apple", id(7), id(lines[0])),
        format!("{} {} pear", id(8), id(lines[1])),
    ];
    let strs = |rows: &[String; 2], columns: &str| table(columns, &[&rows[0], &rows[1]]);
    rows([
        ("order", strs(&order, "id* buyer")),
        ("line", strs(&line, "id* order_id>order.id item")),
    ])
}

#[test]
fn a_reference_to_a_generated_key_is_compared_by_what_it_refers_to() {
    let (serial, again) = (ordered(10, [1, 2]), ordered(20, [1, 2]));
    assert!(is_explained(&serial, &again, &ordered(30, [1, 2])));
    assert!(!is_explained(&serial, &again, &ordered(30, [2, 1])));
    let mask = Mask::of(&serial, &again).unwrap();
    assert!(matches!(
        mask.why("line", "order_id"),
        Some(Why::Linked { .. })
    ));
}

#[test]
fn a_row_that_belongs_to_another_is_said_to() {
    let mut oracle = Oracle::new(&[1], Atomic::Call, Compared::Endings, Mask::default()).unwrap();
    oracle.add(serial_run(&[0], &[ok()], ordered(10, [1, 2])));
    oracle
        .repeat(serial_run(&[0], &[ok()], ordered(20, [1, 2])))
        .unwrap();
    let run = concurrent(&[ok()], ordered(30, [1, 1]));
    let Explanation::Unexplained(nearest) = oracle.explain(&run) else {
        panic!("the pear is B's");
    };
    assert_eq!(
        nearest.sentence(&run, super::name),
        "A alone leaves line (item = pear) order_id = order (buyer = B); this run left order \
         (buyer = A), and A was told 200"
    );
}

#[test]
fn a_reference_that_is_another_when_repeated_is_hidden() {
    let (serial, again) = (ordered(10, [1, 2]), ordered(20, [2, 1]));
    assert!(is_explained(&serial, &again, &ordered(30, [1, 1])));
    let mask = Mask::of(&serial, &again).unwrap();
    assert_eq!(mask.why("line", "order_id"), Some(&Why::LinkDiffered));
}

#[test]
fn a_reference_to_what_the_contract_ignores_is_not_compared() {
    let same = |line| {
        rows([
            ("session", table("id*", &["1", "2"])),
            ("visit", table("session_id>session.id page", &[line])),
        ])
    };
    let mut mask = Mask::default();
    mask.ignore_column("session", "id");
    mask.learn(&same("1 home"), &same("1 home")).unwrap();
    assert_eq!(hidden(&mask), ["session.id", "visit.session_id"]);
    assert!(is_explained(
        &same("1 home"),
        &same("1 home"),
        &same("1 home")
    ));
    assert!(!is_explained(
        &same("1 home"),
        &same("1 home"),
        &same("2 home")
    ));
}

#[test]
fn a_reference_is_followed_over_rows_that_show_nothing_themselves() {
    let of = |base: usize, payer: &str| {
        let [user, order, payment] = [1, 2, 3].map(|nth| (base + nth).to_string());
        let line = |words: &[&str]| words.join(" ");
        rows([
            ("user", table("id* name", &[&line(&[&user, payer])])),
            (
                "order",
                table("id* user_id>user.id", &[&line(&[&order, &user])]),
            ),
            (
                "payment",
                table("id* order_id>order.id", &[&line(&[&payment, &order])]),
            ),
            ("guest", table("name", &["A", "B"])),
        ])
    };
    let two = |base, first: &str, second: &str| {
        let (mut one, other) = (of(base, first), of(base + 10, second));
        for (name, table) in other.0 {
            one.0.get_mut(&name).unwrap().rows.extend(table.rows);
        }
        let payments = one.0.get_mut("payment").unwrap();
        payments.rows.truncate(1);
        one
    };
    let (serial, again) = (two(100, "A", "B"), two(200, "A", "B"));
    assert!(is_explained(&serial, &again, &two(300, "A", "B")));
    assert!(!is_explained(&serial, &again, &two(300, "B", "A")));
}

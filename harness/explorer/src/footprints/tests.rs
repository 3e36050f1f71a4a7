//! Which statements are independent, and which are taken to touch everything.

use rowlock_proxy::{SessionId, StepId, TransactionState};

use std::collections::BTreeMap;

use super::*;
use crate::catalog::{Column, Foreign, Kind, Table};

fn shop() -> Catalog {
    let column = |kind| Column {
        kind,
        ..Column::default()
    };
    let number = column(Kind::Integer);
    let table = |columns: &[(&str, Column)], key: &str| Table {
        columns: (columns.iter())
            .map(|(name, column)| (name.to_string(), *column))
            .collect(),
        unique: vec![vec![key.to_owned()]],
        ..Table::default()
    };
    let mut item = table(&[("id", number), ("stock", number)], "id");
    item.referenced.insert("id".to_owned());
    item.referencing.insert("purchase".to_owned());
    let id = Column {
        is_generated: true,
        has_default: true,
        ..number
    };
    let key = column(Kind::Text);
    let mut purchase = table(&[("id", id), ("item_id", number), ("key", key)], "id");
    purchase.unique.push(vec!["key".to_owned()]);
    purchase.foreign.push(Foreign {
        table: "item".to_owned(),
        columns: vec![("item_id".to_owned(), "id".to_owned())],
    });
    Catalog {
        tables: BTreeMap::from([("item".to_owned(), item), ("purchase".to_owned(), purchase)]),
        functions: [
            "array_positions",
            "cardinality",
            "count",
            "generate_series",
            "lower",
            "max",
        ]
        .map(str::to_owned)
        .into(),
        is_read_committed: true,
    }
}

fn of(sql: &str, parameters: &[&str]) -> Footprint {
    let parameters: Vec<_> = parameters
        .iter()
        .map(|text| Some(text.to_string()))
        .collect();
    read(&shop(), sql, &parameters)
}

fn depend(one: &str, other: &str) -> bool {
    of(one, &[]).depends_on(&of(other, &[]))
}

#[test]
fn the_values_of_an_array_tell_rows() {
    let lock = |ids| {
        let sql = "select id from item where id = any($1) order by id for update";
        of(sql, &[ids])
    };
    assert!(lock("{1}").depends_on(&lock("{1}")));
    assert!(!lock("{1}").depends_on(&lock("{2}")));
    assert!(!lock("{1,3}").depends_on(&lock("{2}")));
    assert!(lock("{1,3}").depends_on(&lock("{3}")));
    let find = |keys| {
        of(
            "select id from purchase where key = any($1) for update",
            &[keys],
        )
    };
    let write = |key: &str| {
        let sql = format!("insert into purchase (item_id, key) values (1, {key}) returning id");
        of(&sql, &[])
    };
    assert!(find(r#"{"k"}"#).depends_on(&write("E'k'")));
    assert!(!find(r#"{"k"}"#).depends_on(&write("'other'")));
    assert!(!find(r#"{"a","b"}"#).depends_on(&write("'other'")));
    assert!(find(r#"{"a","b"}"#).depends_on(&write("'b'")));
    assert!(find("{ a , b }").depends_on(&write("'b'")));
    assert!(find(r#"{"a,b"}"#).depends_on(&write("'a,b'")));
    assert!(find(r#"{"a\\\\b"}"#).depends_on(&write(r"E'a\\b'")));
}

#[test]
fn what_is_counted_in_an_array_is_the_rows_own() {
    let pay = |ids| {
        let sql = "update item set stock = stock - $2 * cardinality(array_positions($1, id))
                    where id = any($1) returning id";
        of(sql, &[ids, "1"])
    };
    assert!(pay("{1}").depends_on(&pay("{1}")));
    assert!(!pay("{1}").depends_on(&pay("{2}")));
}

#[test]
fn rows_are_known_by_what_they_are_compared_with() {
    let lock = |id| of("SELECT stock FROM item WHERE id = $1 FOR UPDATE", &[id]);
    assert!(lock("1").depends_on(&lock("01")));
    assert!(!lock("1").depends_on(&lock("2")));
    assert!(depend(
        "update item set stock = 0 where id = 1",
        "update item set stock = 0 where stock > 1"
    ));
}

#[test]
fn inserts_depend_through_a_unique_key_and_nothing_else() {
    let insert = |item, key| format!("insert into purchase (item_id, key) values ({item}, {key})");
    assert!(!depend(&insert(1, "'a'"), &insert(2, "'b'")));
    assert!(depend(&insert(1, "'a'"), &insert(2, "'a'")));
    assert!(!depend(&insert(1, "null"), &insert(2, "null")));
}

#[test]
fn a_text_that_may_be_random_tells_no_rows_apart() {
    let one = ["7c9e6679-7425-40de-944b-e07fc1f90ae7"];
    let other = ["0f14d0ab-9605-4a62-a9e4-5ed26688389b"];
    for sql in [
        "insert into purchase (item_id, key) values (1, $1)",
        "select 1 from purchase where key = $1 for update",
    ] {
        assert_eq!(of(sql, &one), of(sql, &other));
        assert!(of(sql, &one).depends_on(&of(sql, &["a"])));
    }
}

#[test]
fn an_insert_shares_the_row_it_refers_to() {
    let insert = "insert into purchase (item_id) values (1)";
    assert!(depend(insert, "select 1 from item where id = 1 for update"));
    assert!(!depend(
        insert,
        "select 1 from item where id = 2 for update"
    ));
    assert!(!depend(insert, "select 1 from item where id = 1 for share"));
}

#[test]
fn a_column_that_is_given_anew_tells_no_rows_apart() {
    assert!(depend(
        "update item set stock = 5 where stock = 1",
        "update item set stock = 6 where stock = 2"
    ));
}

#[test]
fn what_is_not_understood_touches_everything() {
    for sql in [
        "select setval('x', 1)",
        "select pg_advisory_xact_lock(1)",
        "with x as (delete from purchase returning 1) select * from x",
        "select * from unknown_table",
        "lock table item",
        "this is no sql",
        "select * from (select * from item for update) as x",
        "select * from generate_serials(1, 2)",
        "with x as (select * from item for update) select * from x",
        "with x as (select 1) update item set stock = 0",
        "update item set stock = (select 1 from purchase for update) where id = 1",
        "select 1 from item where id in (select item_id from purchase for update)",
    ] {
        assert_eq!(of(sql, &[]), Footprint::Everything, "{sql}");
    }
}

#[test]
fn a_function_that_is_called_by_the_protocol_touches_everything() {
    let call = |kind| Step {
        id: StepId {
            session: SessionId(1),
            number: 1,
        },
        pid: None,
        transaction: 1,
        kind,
        state_before: Some(TransactionState::Idle),
        statements: Vec::new(),
    };
    let mut footprints = Footprints::new(shop());
    assert_eq!(footprints.of(&call(StepKind::Call)), Footprint::Everything);
    assert_eq!(footprints.of(&call(StepKind::Sync)), Footprint::NOTHING);
}

#[test]
fn a_subquery_reads_all_of_its_table() {
    let check = "insert into purchase (item_id) select 1 where not exists \
                 (select 1 from purchase where item_id = 1)";
    assert_ne!(of(check, &[]), Footprint::Everything);
    assert!(depend(check, check));
    let read = "select stock, (select count(*) from purchase) from item where id = 1";
    let insert = of("insert into purchase (item_id) values (2)", &[]);
    assert!(of(read, &[]).depends_on(&insert.released()));
}

#[test]
fn the_forms_that_orms_write_touch_the_tables_that_they_name() {
    let all_reads = [
        "select * from generate_series(1, 2)",
        "with recursive x as (select 1 as n union all select n + 1 from x) select * from x",
        "select * from unnest(array[1, 2]) as x",
    ];
    for sql in all_reads {
        assert_eq!(of(sql, &[]), Footprint::NOTHING, "{sql}");
    }
    let commit = of("update item set stock = 0 where id = 1", &[]).released();
    for sql in [
        "with x as (select id from item) select * from x join purchase p on p.item_id = x.id",
        "select * from purchase p left join item i on i.id = p.item_id where lower(p.key) = 'a'",
        "select 1 union all (select id from item)",
        "select * from purchase where item_id in (select max(id) from item)",
    ] {
        assert_ne!(of(sql, &[]), Footprint::Everything, "{sql}");
        assert!(of(sql, &[]).depends_on(&commit), "{sql}");
        assert!(
            !depend(sql, "update item set stock = 0 where id = 1"),
            "{sql}"
        );
    }
}

#[test]
fn a_join_locks_all_that_it_names_and_weaker_locks_are_read_as_stronger_ones() {
    let join = "select 1 from purchase p join item i on i.id = p.item_id for update";
    assert_ne!(of(join, &[]), Footprint::Everything);
    assert!(depend(
        join,
        "select 1 from item where id = 1 for no key update"
    ));
    assert!(depend(
        join,
        "select 1 from purchase where id = 1 for key share"
    ));
    let of_item = format!("{join} of i");
    assert!(depend(
        &of_item,
        "select 1 from item where id = 1 for key share"
    ));
    assert!(!depend(
        &of_item,
        "select 1 from purchase where id = 1 for key share"
    ));
    let lock = |id| format!("select 1 from item where id = {id} for no key update skip locked");
    assert!(depend(&lock(1), &lock(1)));
    assert!(!depend(&lock(1), &lock(2)));
}

#[test]
fn a_list_of_values_is_each_of_them() {
    let item = |id| format!("select 1 from item where id = {id} for update");
    let listed = "select 1 from item where id in (1, 3) for update";
    assert!(depend(listed, &item(1)));
    assert!(depend(listed, &item(3)));
    assert!(!depend(listed, &item(2)));
    for (array, met) in [
        ("{1,3}", false),
        ("{1,2}", true),
        ("{{1},{3}}", true),
        ("\\x01", true),
    ] {
        let bound = of(
            "select 1 from item where id = any ($1) for update",
            &[array],
        );
        assert_eq!(bound.depends_on(&of(&item(2), &[])), met, "{array}");
    }
}

#[test]
fn a_row_that_goes_or_changes_its_key_touches_the_rows_that_refer_to_it() {
    for sql in [
        "delete from item where id = 1",
        "update item set id = 2 where id = 1",
    ] {
        assert_ne!(of(sql, &[]), Footprint::Everything, "{sql}");
        assert!(
            depend(sql, "insert into purchase (item_id) values (1)"),
            "{sql}"
        );
        assert!(
            depend(sql, "update purchase set key = null where item_id = 1"),
            "{sql}"
        );
    }
    let delete = "delete from item where id = 1";
    assert!(!depend(
        delete,
        "delete from purchase where item_id = 2 and id = 7"
    ));
}

#[test]
fn an_insert_that_may_conflict_touches_the_row_with_its_key() {
    let insert = |key, action| {
        format!(
            "insert into purchase (item_id, key) values (1, '{key}') on conflict (key) do {action}"
        )
    };
    for action in ["nothing", "update set item_id = 1 where purchase.id > 0"] {
        assert!(depend(
            &insert("a", action),
            "update purchase set key = 'b' where key = 'a'"
        ));
    }
    let nothing = |key| insert(key, "nothing");
    assert!(!depend(
        &nothing("a"),
        "select 1 from purchase where key = 'b' for update"
    ));
    assert!(depend(
        &nothing("a"),
        "select 1 from purchase where id = 1 for update"
    ));
}

#[test]
fn who_takes_a_number_of_a_sequence_meets_only_who_takes_one_too() {
    let number = "select nextval('purchase_id_seq')";
    assert!(depend(number, number));
    assert!(!depend(number, "update item set stock = 0 where id = 1"));
}

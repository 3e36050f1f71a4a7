//! What the trace tells of real sessions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

use std::sync::{Arc, Mutex};

use rowlock_postgres::fresh_database;
use rowlock_proxy::{
    Proxy, Record, Recording, ReplyEnd, StepKind, TraceForm, TraceWriter, TransactionState,
};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use support::*;

async fn traced(name: &str) -> (Proxy, Arc<Recording>, String) {
    let database = fresh_database(name).await;
    let proxy = proxy_of(&database).await;
    let recording = Recording::new();
    proxy.control().set_trace(Some(recording.clone()));
    let url = database.url_through(proxy.control().address());
    (proxy, recording, url)
}

/// What ran, without what sqlx does by itself when it connects.
fn ran(recording: &Recording) -> Vec<Record> {
    let mut records = recording.take();
    records.retain(|record| record.step.kind.runs());
    records
}

fn texts(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[tokio::test]
async fn a_transaction_is_told_step_by_step() {
    let (_proxy, recording, url) = traced("transaction").await;
    let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
    connection
        .execute("create table item (id bigint primary key, stock bigint, name text)")
        .await
        .unwrap();
    let set_up = ran(&recording);
    let mut transaction = connection.begin().await.unwrap();
    let insert = "insert into item values ($1, $2, $3)";
    for id in [1i64, 2] {
        let insert = sqlx::query(insert)
            .bind(id)
            .bind(10i64)
            .bind(None::<String>);
        insert.execute(&mut *transaction).await.unwrap();
    }
    let select = sqlx::query("select id, stock, name from item where id > $1 for update");
    select
        .bind(0i64)
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();

    let records = ran(&recording);
    let sql: Vec<_> = records
        .iter()
        .map(|record| record.step.statements[0].sql.as_str())
        .collect();
    let select = "select id, stock, name from item where id > $1 for update";
    assert_eq!(sql, ["BEGIN", insert, insert, select, "COMMIT"]);
    let number = set_up.last().unwrap().step.transaction + 1;
    assert!(
        records
            .iter()
            .all(|record| record.step.transaction == number)
    );
    assert!(records.iter().all(|record| record.step.pid.is_some()));
    let parameters = &records[1].step.statements[0].parameters;
    assert_eq!(
        parameters[..],
        [Some("1".to_owned()), Some("10".to_owned()), None]
    );
    assert_eq!(
        records[2].reply.results[0].tag.as_deref(),
        Some("INSERT 0 1")
    );
    let selected = &records[3].reply.results[0];
    assert_eq!(selected.columns, ["id", "stock", "name"]);
    assert_eq!(selected.rows, 2);
    assert_eq!(selected.first_rows[1][..2], texts(&["2", "10"]));
    assert_eq!(selected.first_rows[1][2], None);
    let states: Vec<_> = records
        .iter()
        .map(|record| record.reply.state().unwrap())
        .collect();
    use TransactionState::{Idle, Open};
    assert_eq!(states, [Open, Open, Open, Open, Idle]);
    for record in &records {
        assert!(record.invoked_ns <= record.sent_ns && record.sent_ns <= record.completed_ns);
    }
}

#[tokio::test]
async fn names_of_prepared_statements_are_resolved_however_they_change() {
    let (_proxy, recording, url) = traced("names").await;
    let mut client = RawClient::connect(&url).await;
    let run =
        |statement: &str, values: &[&str]| [bind(statement, values), execute(), sync()].concat();
    let conversation: Vec<Vec<u8>> = vec![
        [parse("s", "select 1"), sync()].concat(),
        run("s", &[]),
        // Refused: it exists.
        [parse("s", "select 2"), sync()].concat(),
        run("s", &[]),
        // Closed and defined anew.
        [
            message(b'C', b"Ss\0"),
            parse("s", "select $1::int8"),
            sync(),
        ]
        .concat(),
        run("s", &["3"]),
        query("deallocate s"),
        run("s", &["4"]),
        [parse("", "select 5"), run("", &[])].concat(),
        [parse("", "select 6"), run("", &[])].concat(),
    ];
    for step in conversation {
        client.send(&step).await;
        client.until_ready().await;
    }
    let seen: Vec<_> = recording
        .take()
        .iter()
        .skip(1)
        .map(|record| {
            let sqlstate = record
                .reply
                .error
                .as_ref()
                .map(|error| error.sqlstate.clone());
            let sql = record
                .step
                .statements
                .iter()
                .map(|statement| statement.sql.clone());
            (
                record.step.kind,
                sql.collect::<Vec<_>>().join("; "),
                sqlstate.unwrap_or_default(),
            )
        })
        .collect();
    use StepKind::{Execute, Prepare, Query};
    let expected = [
        (Prepare, "select 1", ""),
        (Execute, "select 1", ""),
        (Prepare, "select 2", "42P05"),
        (Execute, "select 1", ""),
        (Prepare, "select $1::int8", ""),
        (Execute, "select $1::int8", ""),
        (Query, "deallocate s", ""),
        (Execute, "(unknown statement \"s\")", "26000"),
        (Execute, "select 5", ""),
        (Execute, "select 6", ""),
    ];
    let expected = expected.map(|(kind, sql, code)| (kind, sql.to_owned(), code.to_owned()));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn statements_prepared_before_anybody_listened_are_known() {
    let (proxy, recording, url) = traced("before").await;
    proxy.control().set_trace(None);
    let mut client = RawClient::connect(&url).await;
    let prepare = [
        parse("s", "select $1::int8 as n"),
        describe_statement("s"),
        sync(),
    ]
    .concat();
    client.send(&prepare).await;
    client.until_ready().await;
    proxy.control().set_trace(Some(recording.clone()));
    client
        .send(&[bind("s", &["7"]), execute(), sync()].concat())
        .await;
    client.until_ready().await;
    let records = recording.take();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].step.statements[0].sql, "select $1::int8 as n");
    assert_eq!(records[0].reply.results[0].columns, ["n"]);
    assert_eq!(records[0].reply.results[0].first_rows, [texts(&["7"])]);
}

#[tokio::test]
async fn who_listens_for_good_hears_what_comes_while_another_listens_and_after() {
    let (proxy, recording, url) = traced("kept").await;
    let kept = Recording::new();
    proxy.control().keep_trace(kept.clone());
    let mut client = RawClient::connect(&url).await;
    client.query("select 1").await;
    assert_eq!(kept.take(), recording.take());
    proxy.control().set_trace(None);
    client.query("select 2").await;
    assert_eq!(kept.take()[0].step.statements[0].sql, "select 2");
    assert_eq!(recording.take(), []);
}

#[tokio::test]
async fn a_pipeline_is_one_record_for_each_step() {
    let (_proxy, recording, url) = traced("pipeline").await;
    let mut client = RawClient::connect(&url).await;
    client.query("create table t (id int)").await;
    recording.take();
    let insert = extended("insert into t values ($1)", &["1"]);
    let batch = [insert.clone(), insert.clone(), sync()].concat();
    let failing = [
        insert.clone(),
        extended("select 1/$1::int", &["0"]),
        insert,
        sync(),
    ]
    .concat();
    client
        .send(&[query("begin"), batch, failing, query("commit; select 1")].concat())
        .await;
    for _ in 0..4 {
        client.until_ready().await;
    }
    let records = recording.take();
    let results: Vec<_> = records
        .iter()
        .map(|record| record.reply.results.len())
        .collect();
    assert_eq!(results, [1, 2, 1, 2]);
    assert_eq!(records[2].reply.error.as_ref().unwrap().sqlstate, "22012");
    assert_eq!(records[3].reply.results[0].tag.as_deref(), Some("ROLLBACK"));
    let transactions: Vec<_> = records
        .iter()
        .map(|record| record.step.transaction)
        .collect();
    assert!(
        transactions.iter().all(|number| *number == transactions[0]),
        "{transactions:?}"
    );
    let numbers: Vec<_> = records.iter().map(|record| record.step.id.number).collect();
    assert_eq!(numbers, [2, 3, 4, 5]);
}

#[tokio::test]
async fn large_values_are_clipped_and_say_so() {
    let (_proxy, recording, url) = traced("large").await;
    let mut client = RawClient::connect(&url).await;
    let long = "x".repeat(1_000_000);
    client
        .send(&[extended("select length($1)", &[&long]), sync()].concat())
        .await;
    client.until_ready().await;
    client.query(&format!("select '{long}'")).await;
    let records = ran(&recording);
    let shown: usize = records
        .iter()
        .map(|record| format!("{record:?}").len())
        .sum();
    assert!(shown < 200_000, "{shown} bytes of trace");
    let parameter = records[0].step.statements[0].parameters[0]
        .as_deref()
        .unwrap();
    assert!(parameter.contains("10000"), "{parameter}");
    assert_eq!(
        records[0].reply.results[0].first_rows,
        [texts(&["1000000"])]
    );
    assert!(
        records[1].step.statements[0]
            .sql
            .ends_with("… (1000010 bytes)")
    );
    assert_eq!(records[1].reply.results[0].rows, 1);
}

#[tokio::test]
async fn many_rows_are_counted_and_the_first_shown() {
    let (_proxy, recording, url) = traced("rows").await;
    let mut client = RawClient::connect(&url).await;
    client
        .query("select n from generate_series(1, 5000) n")
        .await;
    let records = ran(&recording);
    let result = &records[0].reply.results[0];
    assert_eq!((result.rows, result.first_rows.len()), (5000, 8));
    assert_eq!(result.tag.as_deref(), Some("SELECT 5000"));
}

#[tokio::test]
async fn a_cancel_is_traced_to_the_session_it_is_for() {
    let (_proxy, recording, url) = traced("cancel").await;
    let client = RawClient::connect(&url).await;
    cancel(&url, &client.cancel_key).await;
    cancel(&url, &[0; 8]).await;
    let records = recording.take();
    let cancels: Vec<_> = records
        .iter()
        .filter(|record| record.step.kind == StepKind::Cancel)
        .collect();
    assert_eq!(cancels[0].cancels, Some(records[0].step.id.session));
    assert_eq!(cancels[0].step.pid, Some(client.pid));
    assert_eq!(cancels[1].cancels, None);
}

#[tokio::test]
async fn a_step_without_a_reply_is_traced_as_cut() {
    let (proxy, recording, url) = traced("cut").await;
    let mut client = RawClient::connect(&url).await;
    client
        .send(&query("select pg_terminate_backend(pg_backend_pid())"))
        .await;
    client.until(b'!').await;
    let deadline = tokio::time::Instant::now() + BOUND;
    while !proxy.control().sessions().is_empty() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "sessions end within the bound"
        );
        tokio::task::yield_now().await;
    }
    let records = ran(&recording);
    assert_eq!(records[0].reply.end, ReplyEnd::Cut);
    assert_eq!(records[0].reply.error.as_ref().unwrap().sqlstate, "57P01");
}

/// A writer whose content can be looked at.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn json_lines_carry_the_whole_record() {
    let (proxy, _, url) = traced("json").await;
    let page = Page::default();
    proxy.control().set_trace(Some(Arc::new(TraceWriter::new(
        TraceForm::Json,
        page.clone(),
    ))));
    let mut client = RawClient::connect(&url).await;
    client
        .send(&[extended("select $1::int8 as n", &["7"]), sync()].concat())
        .await;
    client.until_ready().await;
    client.query("select 1/0").await;
    let written = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let records: Vec<Record> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 3);
    let line: serde_json::Value = serde_json::from_str(written.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["session"], 1);
    assert_eq!(line["step"], 1);
    assert_eq!(line["kind"], "execute");
    assert_eq!(line["statements"][0]["parameters"][0], "7");
    assert_eq!(line["results"][0]["first_rows"][0][0], "7");
    assert_eq!(line["end"]["ready"], "I");
    assert_eq!(records[2].reply.error.as_ref().unwrap().sqlstate, "22012");
}

/// PostgreSQL reports an error at once, though the batch that failed has no Sync yet.
#[tokio::test]
async fn an_error_before_the_batch_is_whole_is_in_the_trace() {
    let (_proxy, recording, url) = traced("early").await;
    let mut client = RawClient::connect(&url).await;
    recording.take();
    client.send(&parse("", "selec")).await;
    assert_eq!(tags(&client.until(b'E').await), "E");
    client.send(&sync()).await;
    client.until_ready().await;
    let [record] = recording.take().try_into().unwrap();
    assert_eq!(record.reply.error.unwrap().sqlstate, "42601");
}

/// Rows of more than the server's output buffer come before the Sync that asks for the rest.
#[tokio::test]
async fn rows_before_the_batch_is_whole_are_in_the_trace() {
    let (_proxy, recording, url) = traced("early_rows").await;
    let mut client = RawClient::connect(&url).await;
    recording.take();
    let rows = "select repeat('x', 1000) from generate_series(1, 100)";
    client
        .send(&[parse("s", rows), bind("s", &[]), execute()].concat())
        .await;
    client.until(b'D').await;
    client.send(&sync()).await;
    client.until_ready().await;
    let [record] = recording.take().try_into().unwrap();
    assert_eq!(record.reply.results[0].rows, 100);
    assert_eq!(record.reply.results[0].first_rows.len(), 8);
    client
        .send(&[bind("s", &[]), execute(), sync()].concat())
        .await;
    client.until_ready().await;
    let [again] = recording.take().try_into().unwrap();
    assert_eq!(again.step.statements[0].sql, rows);
}

//! The same programs run direct and through the proxy, and must see the same.
//!
//! "Through" is four ways: to the server's port and to its socket, with a trace that listens, and
//! with a gate that decides about each step (and lets it go).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

use std::fmt::Debug;
use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;

use rowlock_postgres::{Database, fresh_database};
use rowlock_proxy::gate::Gate;
use rowlock_proxy::{Address, Decision, Proxy, Recording, Reply, ReplyAction, RequestAction, Step};
use sqlx::postgres::{PgConnection, PgListener};
use sqlx::{AssertSqlSafe, Connection, Executor, Row, ValueRef};
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Decides about every step, and lets it go.
struct OpenGate;

impl Gate for OpenGate {
    fn on_request(&self, _: &Step) -> Decision<RequestAction> {
        Decision::Now(RequestAction::Deliver)
    }

    fn on_reply(&self, _: &Step, _: &Reply) -> Decision<ReplyAction> {
        Decision::Now(ReplyAction::Deliver)
    }
}

/// The proxies that must not be noticed, each with its name.
async fn proxies(database: &Database) -> Vec<(&'static str, Proxy)> {
    let port = || Address::of_url(&database.url()).unwrap();
    let socket = Address::of(&database.options());
    let traced = Proxy::start(port()).await.unwrap();
    traced.control().set_trace(Some(Recording::new()));
    let gated = Proxy::start(port()).await.unwrap();
    gated.control().set_gate(Some(Arc::new(OpenGate)));
    vec![
        ("port", Proxy::start(port()).await.unwrap()),
        ("socket", Proxy::start(socket).await.unwrap()),
        ("traced", traced),
        ("gated", gated),
    ]
}

/// Runs a program direct and through each proxy, and compares what it reports.
async fn same_everywhere<T: Debug + PartialEq, F: Future<Output = T>>(
    database: &Database,
    program: impl Fn(String) -> F,
) -> T {
    let direct = program(database.url()).await;
    for (name, proxy) in proxies(database).await {
        let through = program(database.url_through(proxy.control().address())).await;
        assert_eq!(through, direct, "through the proxy ({name}) and direct");
    }
    direct
}

#[tokio::test]
async fn every_type_the_service_uses_comes_through() {
    let database = fresh_database("types").await;
    same_everywhere(&database, |url| async move {
        let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
        let mut seen = Vec::new();
        for number in [0, -1, i64::MIN, i64::MAX] {
            let sql = "select $1::bigint, $2::text, $3::text, $4::bool, \
                       '2026-11-22 16:04:05.678901+02'::timestamptz";
            let text = format!("größe 🦀 {number}\n\t'\"\\");
            let row = sqlx::query(sql)
                .bind(number)
                .bind(&text)
                .bind(None::<String>)
                .bind(number > 0)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(row.get::<i64, _>(0), number);
            assert_eq!(row.get::<String, _>(1), text);
            assert_eq!(row.get::<Option<String>, _>(2), None);
            for column in 0..5 {
                let raw = row.try_get_raw(column).unwrap();
                seen.push((!raw.is_null()).then(|| raw.as_bytes().unwrap().to_vec()));
            }
        }
        seen
    })
    .await;
}

#[tokio::test]
async fn transactions_and_their_errors_are_the_same() {
    let database = fresh_database("transactions").await;
    same_everywhere(&database, |url| async move {
        let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
        let setup = "drop table if exists t; create table t (id bigint primary key)";
        connection.execute(setup).await.unwrap();
        let mut seen = Vec::new();
        let mut transaction = connection.begin().await.unwrap();
        for id in [1i64, 2, 1] {
            let inserted = sqlx::query("insert into t values ($1)").bind(id);
            seen.push(match inserted.execute(&mut *transaction).await {
                Ok(done) => done.rows_affected().to_string(),
                Err(error) => error
                    .as_database_error()
                    .unwrap()
                    .code()
                    .unwrap()
                    .into_owned(),
            });
        }
        transaction.rollback().await.unwrap();
        let count = sqlx::query_scalar::<_, i64>("select count(*) from t");
        seen.push(count.fetch_one(&mut connection).await.unwrap().to_string());
        assert_eq!(seen, ["1", "1", "23505", "0"]);
        seen
    })
    .await;
}

#[tokio::test]
async fn values_of_many_megabytes_come_through_whole() {
    let database = fresh_database("large").await;
    same_everywhere(&database, |url| async move {
        let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
        let text: String = (0..8_000_000u32)
            .map(|n| char::from(b'a' + (n % 23) as u8))
            .collect();
        let sql = "select md5($1), $1 || $1";
        let row = sqlx::query(sql)
            .bind(&text)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let twice: String = row.get(1);
        assert_eq!(twice.len(), 16_000_000);
        assert!(twice.starts_with(&text) && twice.ends_with(&text));
        let statement = format!("select length('{text}')");
        let length = sqlx::raw_sql(AssertSqlSafe(statement))
            .fetch_one(&mut connection)
            .await;
        (row.get::<String, _>(0), length.unwrap().get::<i32, _>(0))
    })
    .await;
}

#[tokio::test]
async fn copy_in_and_out_carry_the_same_bytes() {
    let database = fresh_database("copy").await;
    same_everywhere(&database, |url| async move {
        let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
        let setup = "drop table if exists t; create table t (id bigint, name text)";
        connection.execute(setup).await.unwrap();
        let data: String = (0..50_000).map(|id| format!("{id}\tname {id}\n")).collect();
        let mut copy = connection.copy_in_raw("copy t from stdin").await.unwrap();
        copy.send(data.as_bytes()).await.unwrap();
        assert_eq!(copy.finish().await.unwrap(), 50_000);

        let mut refused = connection.copy_in_raw("copy t from stdin").await.unwrap();
        refused.send(b"not a number\tx\n".as_slice()).await.unwrap();
        let error = refused.finish().await.unwrap_err();
        let code = error
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned();

        let abandoned = connection.copy_in_raw("copy t from stdin").await.unwrap();
        let message = abandoned.abort("enough").await;

        let mut out = Vec::new();
        {
            use futures::TryStreamExt;
            let sql = "copy (select * from t order by id) to stdout";
            let mut stream = connection.copy_out_raw(sql).await.unwrap();
            while let Some(chunk) = stream.try_next().await.unwrap() {
                out.extend_from_slice(&chunk);
            }
        }
        assert_eq!(out, data.as_bytes());
        connection.ping().await.unwrap();
        (code, message.is_ok(), out.len())
    })
    .await;
}

#[tokio::test]
async fn notifications_arrive_while_the_session_is_idle() {
    let database = fresh_database("notify").await;
    same_everywhere(&database, |url| async move {
        let mut listener = PgListener::connect(&url).await.unwrap();
        listener.listen("channel").await.unwrap();
        let mut sender = PgConnection::connect_with(&options(&url)).await.unwrap();
        let mut seen = Vec::new();
        for payload in ["one", "two", ""] {
            sqlx::query("select pg_notify('channel', $1)")
                .bind(payload)
                .execute(&mut sender)
                .await
                .unwrap();
            let notification = tokio::time::timeout(BOUND, listener.recv())
                .await
                .unwrap()
                .unwrap();
            seen.push(notification.payload().to_owned());
        }
        assert_eq!(seen, ["one", "two", ""]);
        seen
    })
    .await;
}

#[tokio::test]
async fn a_cancel_request_stops_the_statement_it_is_for() {
    let database = fresh_database("cancel").await;
    same_everywhere(&database, |url| async move {
        let mut client = RawClient::connect(&url).await;
        let mut watcher = RawClient::connect(&url).await;
        client.send(&query("select pg_sleep(600)")).await;
        let is_active = format!(
            "select 1 from pg_stat_activity where pid = {} and wait_event = 'PgSleep'",
            client.pid
        );
        let deadline = tokio::time::Instant::now() + BOUND;
        while !tags(&watcher.query(&is_active).await).contains('D') {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the statement runs within the bound"
            );
        }
        cancel(&url, &client.cancel_key).await;
        let cancelled = client.until_ready().await;
        assert_eq!(sqlstate(&cancelled).as_deref(), Some("57014"));
        // A wrong secret reaches nobody.
        let mut forged = client.cancel_key.clone();
        forged[7] ^= 1;
        cancel(&url, &forged).await;
        tags(&client.query("select 1").await)
    })
    .await;
}

/// What a client sends in one go, and the type of the message up to which it then reads.
type Turn = (Vec<u8>, u8);

/// Conversations in raw messages, each with its name.
fn conversations() -> Vec<(&'static str, Vec<Turn>)> {
    let good = || extended("select $1::int + 1", &["41"]);
    let bad = || extended("select 1 / $1::int", &["0"]);
    let copy = "copy pg_temp.c from stdin";
    let table = || (query("create temp table c (id int)"), b'Z');
    let two_rows = || message(b'E', b"\0\0\0\0\x02");
    let close = |name: &str| message(b'C', format!("S{name}\0").as_bytes());
    let data = || message(b'd', b"1\n2\n");
    let done = || message(b'c', b"");
    vec![
        (
            "pipelined queries",
            vec![
                ([query("select 1"), query("select 1/0")].concat(), b'Z'),
                (query(""), b'Z'),
                (vec![], b'Z'),
            ],
        ),
        ("batch", vec![([good(), good(), sync()].concat(), b'Z')]),
        (
            "error inside a batch",
            vec![([good(), bad(), good(), sync()].concat(), b'Z')],
        ),
        (
            "error inside a pipeline",
            vec![
                (
                    [good(), sync(), bad(), sync(), good(), sync()].concat(),
                    b'Z',
                ),
                (vec![], b'Z'),
                (vec![], b'Z'),
            ],
        ),
        (
            "syntax error",
            vec![([parse("", "selec"), good(), sync()].concat(), b'Z')],
        ),
        (
            "flush",
            vec![
                ([good(), flush()].concat(), b'C'),
                ([good(), sync()].concat(), b'Z'),
            ],
        ),
        (
            "flush after an error",
            vec![
                ([bad(), flush()].concat(), b'E'),
                ([good(), flush(), good(), sync()].concat(), b'Z'),
                ([good(), sync()].concat(), b'Z'),
            ],
        ),
        (
            "bare syncs",
            vec![([sync(), sync()].concat(), b'Z'), (vec![], b'Z')],
        ),
        (
            "a query inside a batch that was not synced",
            vec![([good(), query("select 2")].concat(), b'Z'), (sync(), b'Z')],
        ),
        (
            "prepare, describe, run",
            vec![
                (
                    [
                        parse("s", "select $1::int8"),
                        describe_statement("s"),
                        sync(),
                    ]
                    .concat(),
                    b'Z',
                ),
                ([bind("s", &["7"]), execute(), sync()].concat(), b'Z'),
                ([parse("s", "select 2"), sync()].concat(), b'Z'),
                ([bind("s", &["8"]), execute(), sync()].concat(), b'Z'),
                (query("deallocate s"), b'Z'),
                ([bind("s", &["8"]), execute(), sync()].concat(), b'Z'),
            ],
        ),
        (
            "a portal that is run in pieces",
            vec![
                (
                    [
                        query("begin"),
                        parse("", "select generate_series(1, 5)"),
                        bind("", &[]),
                        two_rows(),
                        two_rows(),
                        sync(),
                    ]
                    .concat(),
                    b'Z',
                ),
                ([two_rows(), sync()].concat(), b'Z'),
                (query("rollback"), b'Z'),
            ],
        ),
        (
            "a statement that is closed",
            vec![
                ([parse("s", "select 1"), close("s"), sync()].concat(), b'Z'),
                ([bind("s", &[]), execute(), sync()].concat(), b'Z'),
                ([parse("s", "select 2"), sync()].concat(), b'Z'),
                (query("discard all"), b'Z'),
                ([bind("s", &[]), execute(), sync()].concat(), b'Z'),
            ],
        ),
        (
            "copy",
            vec![
                table(),
                (query(copy), b'G'),
                ([data(), done()].concat(), b'Z'),
            ],
        ),
        (
            "copy by the extended protocol, synced twice as libpq does",
            vec![
                table(),
                ([extended(copy, &[]), sync()].concat(), b'G'),
                ([data(), done(), sync()].concat(), b'Z'),
                (query("select count(*) from c"), b'Z'),
            ],
        ),
        (
            "copy by the extended protocol with bad data",
            vec![
                table(),
                ([extended(copy, &[]), sync()].concat(), b'G'),
                ([message(b'd', b"x\n"), done(), sync()].concat(), b'Z'),
                (query("select count(*) from c"), b'Z'),
            ],
        ),
        (
            "copy that fails, and data that nobody asked for",
            vec![
                table(),
                (query(copy), b'G'),
                ([data(), message(b'f', b"no\0")].concat(), b'Z'),
                ([data(), query("select count(*) from c")].concat(), b'Z'),
            ],
        ),
        (
            "notice",
            vec![(query("do $$ begin raise notice 'hm'; end $$"), b'Z')],
        ),
        (
            "parameter status",
            vec![(query("set application_name = 'x'"), b'Z')],
        ),
        (
            "function call",
            vec![(
                message(b'F', b"\0\0\x05\x23\0\x01\0\0\0\x01\0\0\0\x01x\0\0"),
                b'Z',
            )],
        ),
        ("unknown message", vec![(message(b'y', b"what"), b'!')]),
        (
            "broken bind",
            vec![
                ([message(b'B', b"\0\0\0\x01"), sync()].concat(), b'Z'),
                (query("select 1"), b'Z'),
            ],
        ),
        (
            "impossible length",
            vec![(b"Q\0\0\0\x01select 1".to_vec(), b'!')],
        ),
        ("terminate", vec![(message(b'X', b""), b'!')]),
        (
            "terminated by the server",
            vec![(query("select pg_terminate_backend(pg_backend_pid())"), b'!')],
        ),
    ]
}

#[tokio::test]
async fn raw_conversations_give_the_same_messages() {
    let database = fresh_database("raw").await;
    for (name, turns) in conversations() {
        let turns = Arc::new(turns);
        let seen = same_everywhere(&database, |url| {
            let turns = Arc::clone(&turns);
            async move {
                let mut client = RawClient::connect(&url).await;
                let mut seen = Vec::new();
                for (bytes, last) in turns.iter() {
                    client.send(bytes).await;
                    seen.extend(client.until(*last).await);
                }
                seen
            }
        })
        .await;
        let closes_at_once = ["terminate", "impossible length"].contains(&name);
        assert!(!seen.is_empty() || closes_at_once, "{name} is answered");
    }
}

/// A client that has said its last word still hears all that it asked for.
#[tokio::test]
async fn a_client_that_closes_its_sending_side_gets_its_answers() {
    let database = fresh_database("half_closed").await;
    same_everywhere(&database, |url| async move {
        let mut client = RawClient::connect(&url).await;
        client
            .send(&[query("select 1"), query("select 2")].concat())
            .await;
        client.stream.shutdown().await.unwrap();
        // To the end of the connection.
        tags(&client.until(b'!').await)
    })
    .await;
}

#[tokio::test]
async fn messages_cut_into_single_bytes_are_understood() {
    let database = fresh_database("bytes").await;
    same_everywhere(&database, |url| async move {
        let mut client = RawClient::connect(&url).await;
        let conversation = [extended("select $1", &["x"]), sync(), query("select 1/0")].concat();
        for byte in conversation {
            client.send(&[byte]).await;
        }
        [client.until_ready().await, client.until_ready().await]
    })
    .await;
}

#[tokio::test]
async fn encryption_is_declined_and_plain_text_goes_on() {
    let database = fresh_database("encryption").await;
    let proxy = proxy_of(&database).await;
    let mut stream = tokio::net::TcpStream::connect(proxy.control().address())
        .await
        .unwrap();
    for request in [80_877_103u32, 80_877_104] {
        stream
            .write_all(&[8u32.to_be_bytes(), request.to_be_bytes()].concat())
            .await
            .unwrap();
        let mut answer = [0];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer)
            .await
            .unwrap();
        assert_eq!(answer, *b"N");
    }
    let url = database.url_through(proxy.control().address()) + "?sslmode=prefer";
    let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
    connection.ping().await.unwrap();
}

#[tokio::test]
async fn passwords_pass_in_every_form() {
    let database = fresh_database("passwords").await;
    let mut admin = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    admin
        .execute(
            "set password_encryption = 'md5';
             create role by_md5 login password 'secret';
             create role by_password login password 'secret';
             set password_encryption = 'scram-sha-256';
             create role by_scram login password 'secret';",
        )
        .await
        .unwrap();
    let hba: String = sqlx::query_scalar("show hba_file")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    let methods = [
        ("by_md5", "md5"),
        ("by_password", "password"),
        ("by_scram", "scram-sha-256"),
    ];
    let rules: String = methods
        .iter()
        .map(|(role, by)| format!("local all {role} {by}\nhost all {role} all {by}\n"))
        .collect();
    std::fs::write(&hba, rules + &std::fs::read_to_string(&hba).unwrap()).unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();

    for role in ["by_md5", "by_password", "by_scram"] {
        let refused = |url: String| async move {
            let wrong = options(&url).username(role).password("wrong");
            let error = PgConnection::connect_with(&wrong).await.unwrap_err();
            error
                .as_database_error()
                .and_then(|error| error.code())
                .unwrap()
                .into_owned()
        };
        // The server takes up its new rules in its own time.
        let deadline = tokio::time::Instant::now() + BOUND;
        while PgConnection::connect_with(&options(&database.url()).username(role).password("wrong"))
            .await
            .is_ok()
        {
            assert!(
                tokio::time::Instant::now() < deadline,
                "rules are reloaded within the bound"
            );
        }
        assert_eq!(same_everywhere(&database, refused).await, "28P01");
        same_everywhere(&database, |url| async move {
            let right = options(&url).username(role).password("secret");
            let mut connection = PgConnection::connect_with(&right).await.unwrap();
            let user = sqlx::query_scalar::<_, String>("select current_user::text");
            user.fetch_one(&mut connection).await.unwrap()
        })
        .await;
    }
}

#[tokio::test]
async fn pgbench_does_the_same_work_in_each_query_mode() {
    const SUMS: &str = "select (select sum(abalance) from pgbench_accounts)::text \
         || ' ' || (select sum(bbalance) from pgbench_branches)::text \
         || ' ' || (select sum(tbalance) from pgbench_tellers)::text \
         || ' ' || (select count(*) from pgbench_history)::text";
    let database = fresh_database("pgbench").await;
    for mode in ["simple", "extended", "prepared"] {
        same_everywhere(&database, |url| async move {
            pgbench(&url, &["-i", "-q"]).await;
            // One client and one seed: the same transactions in the same order.
            pgbench(
                &url,
                &["-n", "-M", mode, "-c", "1", "-t", "100", "--random-seed=7"],
            )
            .await;
            pgbench(&url, &["-n", "-M", mode, "-c", "8", "-t", "50", "-S"]).await;
            let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
            sqlx::query_scalar::<_, String>(SUMS)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        })
        .await;
    }
}

async fn pgbench(url: &str, arguments: &[&str]) {
    let program = std::env::var("PG_BIN").map_or("pgbench".into(), |bin| bin + "/pgbench");
    let output = Command::new(program)
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pgbench {arguments:?}: {said}");
    let is_initialising = arguments.contains(&"-i");
    assert!(
        is_initialising || said.contains("failed transactions: 0 "),
        "pgbench {arguments:?}: {said}"
    );
}

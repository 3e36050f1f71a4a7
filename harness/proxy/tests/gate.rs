//! What a scheduler can do to steps, on a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

use std::sync::Arc;

use rowlock_postgres::{Database, Provider, Server, Settings, StopMode, fresh_database};
use rowlock_proxy::gate::{Event, channel};
use rowlock_proxy::{
    Address, Proxy, Recording, Reply, ReplyAction, ReplyEnd, RequestAction, SessionEvent, Step,
    StepKind, TransactionState,
};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::UnboundedReceiver;

/// A proxy whose gate holds each step that runs something.
struct Gated {
    database: Database,
    proxy: Proxy,
    events: UnboundedReceiver<Event>,
    direct: PgConnection,
}

impl Gated {
    async fn new(name: &str) -> Self {
        let database = fresh_database(name).await;
        let mut direct = PgConnection::connect_with(&database.options())
            .await
            .unwrap();
        direct.execute("create table t (id bigint)").await.unwrap();
        let proxy = proxy_of(&database).await;
        let (gate, events) = channel(|step| step.kind.runs());
        proxy.control().set_gate(Some(Arc::new(gate)));
        Self {
            database,
            proxy,
            events,
            direct,
        }
    }

    fn url(&self) -> String {
        self.database.url_through(self.proxy.control().address())
    }

    async fn event(&mut self) -> Event {
        tokio::time::timeout(BOUND, self.events.recv())
            .await
            .expect("an event")
            .unwrap()
    }

    /// The next step that is held; other events are passed over.
    async fn held(&mut self) -> Step {
        loop {
            match self.event().await {
                Event::Request(step) => return step,
                Event::Reply(step, _) => panic!("a reply to {} instead of a request", step.id),
                Event::Passed(_) | Event::Session(_) => {}
            }
        }
    }

    async fn held_reply(&mut self) -> (Step, Reply) {
        loop {
            match self.event().await {
                Event::Reply(step, reply) => return (step, reply),
                Event::Request(step) => panic!("request {} instead of a reply", step.id),
                Event::Passed(_) | Event::Session(_) => {}
            }
        }
    }

    async fn session_event(&mut self, wanted: impl Fn(&SessionEvent) -> bool) -> SessionEvent {
        loop {
            if let Event::Session(event) = self.event().await
                && wanted(&event)
            {
                return event;
            }
        }
    }

    fn request(&self, step: &Step, action: RequestAction) {
        assert!(
            self.proxy.control().release_request(step.id, action),
            "{} is open",
            step.id
        );
    }

    fn reply(&self, step: &Step, action: ReplyAction) {
        assert!(
            self.proxy.control().release_reply(step.id, action),
            "{} is open",
            step.id
        );
    }

    /// Lets the next held step go and its reply come back.
    async fn let_go(&mut self) -> (Step, Reply) {
        let step = self.held().await;
        self.request(&step, RequestAction::Deliver);
        let (step, reply) = self.held_reply().await;
        self.reply(&step, ReplyAction::Deliver);
        (step, reply)
    }

    async fn rows(&mut self) -> i64 {
        sqlx::query_scalar("select count(*) from t")
            .fetch_one(&mut self.direct)
            .await
            .unwrap()
    }

    /// Waits until the server has no session but ours in this database.
    async fn server_is_alone(&mut self) {
        let sql = "select count(*) from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()";
        let deadline = tokio::time::Instant::now() + BOUND;
        loop {
            let others: i64 = sqlx::query_scalar(sql)
                .fetch_one(&mut self.direct)
                .await
                .unwrap();
            if others == 0 {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "sessions end within the bound"
            );
        }
    }
}

#[tokio::test]
async fn a_held_step_reaches_the_server_only_when_released() {
    let mut gated = Gated::new("held").await;
    let mut client = RawClient::connect(&gated.url()).await;
    client
        .send(&query("insert into t values (1) returning id"))
        .await;
    let step = gated.held().await;
    assert_eq!(step.kind, StepKind::Query);
    assert_eq!(
        step.statements[0].sql,
        "insert into t values (1) returning id"
    );
    assert_eq!((step.pid, step.transaction), (Some(client.pid), 1));
    assert_eq!(step.state_before, Some(TransactionState::Idle));
    assert_eq!(gated.rows().await, 0);

    gated.request(&step, RequestAction::Deliver);
    let (replied, reply) = gated.held_reply().await;
    assert_eq!(replied, step);
    assert_eq!(reply.results[0].tag.as_deref(), Some("INSERT 0 1"));
    assert_eq!(reply.results[0].first_rows, [[Some("1".to_owned())]]);
    assert_eq!(reply.state(), Some(TransactionState::Idle));
    assert_eq!(gated.rows().await, 1);
    // The reply has been here all the time that it took to count; the client has none of it.
    let nothing_yet = client.stream.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(nothing_yet.kind(), std::io::ErrorKind::WouldBlock);

    gated.reply(&step, ReplyAction::Deliver);
    assert_eq!(tags(&client.until_ready().await), "TDCZ");
}

#[tokio::test]
async fn a_step_dropped_before_it_is_sent_has_no_effect() {
    let mut gated = Gated::new("before").await;
    let recording = Recording::new();
    gated.proxy.control().set_trace(Some(recording.clone()));
    let mut client = RawClient::connect(&gated.url()).await;
    client.send(&query("insert into t values (1)")).await;
    let step = gated.held().await;
    gated.request(&step, RequestAction::Drop);
    assert_eq!(client.next().await, None);
    gated.server_is_alone().await;
    assert_eq!(gated.rows().await, 0);
    assert_eq!(
        recording.take().last().unwrap().reply.end,
        ReplyEnd::NotSent
    );
    assert!(
        !gated
            .proxy
            .control()
            .release_request(step.id, RequestAction::Deliver)
    );
}

#[tokio::test]
async fn a_step_whose_reply_is_dropped_has_its_effect() {
    let mut gated = Gated::new("after").await;
    let url = gated.url();
    let purchase = tokio::spawn(async move {
        let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        transaction
            .execute("insert into t values (1)")
            .await
            .unwrap();
        transaction.commit().await
    });
    loop {
        let step = gated.held().await;
        gated.request(&step, RequestAction::Deliver);
        let (step, _) = gated.held_reply().await;
        if step.statements[0].sql == "COMMIT" {
            gated.reply(&step, ReplyAction::Drop);
            break;
        }
        gated.reply(&step, ReplyAction::Deliver);
    }
    assert!(matches!(purchase.await.unwrap(), Err(sqlx::Error::Io(_))));
    gated.server_is_alone().await;
    assert_eq!(gated.rows().await, 1);
}

#[tokio::test]
async fn an_injected_error_really_aborts_the_transaction() {
    for sqlstate in [
        "40001", "40P01", "55P03", "57014", "23514", "53300", "XX000",
    ] {
        let mut gated = Gated::new("error").await;
        let recording = Recording::new();
        gated.proxy.control().set_trace(Some(recording.clone()));
        let url = gated.url();
        let client = tokio::spawn(async move {
            let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
            let mut transaction = connection.begin().await.unwrap();
            // The same text twice: the first time it is also prepared, the second not.
            let mut codes = Vec::new();
            for id in [1i64, 2, 3] {
                let inserted = sqlx::query("insert into t values ($1)").bind(id);
                let error = inserted.execute(&mut *transaction).await.err();
                codes.push(error.map(|error| {
                    error
                        .as_database_error()
                        .unwrap()
                        .code()
                        .unwrap()
                        .into_owned()
                }));
            }
            transaction.commit().await.unwrap();
            connection.ping().await.unwrap();
            codes
        });
        let (begin, _) = gated.let_go().await;
        assert_eq!(begin.statements[0].sql, "BEGIN");
        gated.let_go().await;
        let step = gated.held().await;
        assert_eq!(step.statements[0].parameters, [Some("2".to_owned())]);
        gated.request(&step, RequestAction::fail(sqlstate));
        let (replied, reply) = gated.held_reply().await;
        assert_eq!(replied.statements, step.statements);
        assert_eq!(reply.error.unwrap().sqlstate, sqlstate);
        assert_eq!(reply.end, ReplyEnd::Ready(TransactionState::Failed));
        gated.reply(&step, ReplyAction::Deliver);
        let (_, after) = gated.let_go().await;
        assert_eq!(after.error.unwrap().sqlstate, "25P02");
        let (commit, reply) = gated.let_go().await;
        assert_eq!(commit.transaction, begin.transaction);
        assert_eq!(reply.results[0].tag.as_deref(), Some("ROLLBACK"));
        gated.proxy.control().set_gate(None);
        let codes = client.await.unwrap();
        assert_eq!(
            codes,
            [None, Some(sqlstate.to_owned()), Some("25P02".to_owned())]
        );
        assert_eq!(gated.rows().await, 0);
        let replaced = recording
            .take()
            .into_iter()
            .find_map(|record| record.replaced_by);
        assert!(replaced.unwrap().contains(sqlstate));
    }
}

/// As a COMMIT does whose deferred constraint is violated.
#[tokio::test]
async fn a_commit_that_is_made_to_fail_ends_its_transaction() {
    let mut gated = Gated::new("failed_commit").await;
    let mut client = RawClient::connect(&gated.url()).await;
    client.send(&query("begin; insert into t values (1)")).await;
    gated.let_go().await;
    assert_eq!(tags(&client.until_ready().await), "CCZ");
    client
        .send(&[extended("commit", &[]), sync()].concat())
        .await;
    let step = gated.held().await;
    gated.request(&step, RequestAction::fail_end("40001"));
    let (_, reply) = gated.held_reply().await;
    assert_eq!(reply.error.unwrap().sqlstate, "40001");
    assert_eq!(reply.end, ReplyEnd::Ready(TransactionState::Idle));
    gated.reply(&step, ReplyAction::Deliver);
    assert_eq!(tags(&client.until_ready().await), "EZ");
    assert_eq!(gated.rows().await, 0);
}

#[tokio::test]
async fn a_statement_can_be_put_before_a_step() {
    let mut gated = Gated::new("precede").await;
    let recording = Recording::new();
    gated.proxy.control().set_trace(Some(recording.clone()));
    let mut client = RawClient::connect(&gated.url()).await;
    client
        .send(&[extended("select current_setting('my.word')", &[]), sync()].concat())
        .await;
    let step = gated.held().await;
    gated.request(
        &step,
        RequestAction::Precede("select set_config('my.word', 'x', false)".into()),
    );
    let (_, reply) = gated.held_reply().await;
    assert_eq!(reply.results[0].first_rows, [[Some("x".to_owned())]]);
    gated.reply(&step, ReplyAction::Deliver);
    assert_eq!(tags(&client.until_ready().await), "12DCZ");
    let kinds: Vec<_> = recording
        .take()
        .iter()
        .map(|record| record.step.kind)
        .collect();
    assert!(
        kinds.ends_with(&[StepKind::Injected, StepKind::Execute]),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_while_its_step_is_held_is_noticed() {
    let mut gated = Gated::new("leaves").await;
    let mut client = RawClient::connect(&gated.url()).await;
    client.send(&query("insert into t values (1)")).await;
    let step = gated.held().await;
    drop(client);
    let gone = gated
        .session_event(|event| matches!(event, SessionEvent::ClientGone { .. }))
        .await;
    assert_eq!(
        gone,
        SessionEvent::ClientGone {
            session: step.id.session,
            step: Some(step.id)
        }
    );
    let closed = gated
        .session_event(|event| matches!(event, SessionEvent::Closed { .. }))
        .await;
    let abandoned = Some(step.id);
    assert_eq!(
        closed,
        SessionEvent::Closed {
            session: step.id.session,
            abandoned
        }
    );
    gated.server_is_alone().await;
    assert_eq!(gated.rows().await, 0);
}

#[tokio::test]
async fn a_client_that_leaves_while_its_step_runs_is_noticed_at_once() {
    let mut gated = Gated::new("leaves_running").await;
    let mut lock = gated.direct.begin().await.unwrap();
    lock.execute("lock table t").await.unwrap();
    let url = gated.database.url_through(gated.proxy.control().address());
    let mut client = RawClient::connect(&url).await;
    client.send(&query("insert into t values (1)")).await;
    let next = async |events: &mut UnboundedReceiver<Event>| {
        tokio::time::timeout(BOUND, events.recv())
            .await
            .expect("an event")
            .unwrap()
    };
    let step = loop {
        if let Event::Request(step) = next(&mut gated.events).await {
            break step;
        }
    };
    gated
        .proxy
        .control()
        .release_request(step.id, RequestAction::Deliver);
    // Blocked on the lock: only Postgres can say so.
    let sql = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1";
    let is_blocked = sqlx::query_scalar::<_, Option<bool>>(sql).bind(client.pid);
    let deadline = tokio::time::Instant::now() + BOUND;
    let mut watcher = PgConnection::connect_with(&gated.database.options())
        .await
        .unwrap();
    let mut is_blocked = is_blocked.fetch_one(&mut watcher).await.unwrap();
    while is_blocked != Some(true) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "it blocks within the bound"
        );
        let again = sqlx::query_scalar::<_, Option<bool>>(sql).bind(client.pid);
        is_blocked = again.fetch_one(&mut watcher).await.unwrap();
    }
    drop(client);
    loop {
        if let Event::Session(SessionEvent::ClientGone {
            step: under_way, ..
        }) = next(&mut gated.events).await
        {
            assert_eq!(under_way, Some(step.id));
            break;
        }
    }
    watcher.close().await.unwrap();
    // As without a proxy, the backend goes on waiting, and the statement runs in the end.
    lock.rollback().await.unwrap();
    let (step, _) = gated.held_reply().await;
    gated.reply(&step, ReplyAction::Deliver);
    gated.server_is_alone().await;
    assert_eq!(gated.rows().await, 1);
}

#[tokio::test]
async fn a_pipeline_comes_to_the_gate_one_step_at_a_time() {
    let mut gated = Gated::new("pipeline").await;
    let mut client = RawClient::connect(&gated.url()).await;
    let insert = |id: &str| [extended("insert into t values ($1)", &[id]), sync()].concat();
    client
        .send(&[insert("1"), insert("2"), sync(), query("select 3")].concat())
        .await;
    for (number, count) in [(1, 1), (2, 2)] {
        let step = gated.held().await;
        assert_eq!(step.statements[0].parameters, [Some(number.to_string())]);
        gated.request(&step, RequestAction::Deliver);
        let (step, _) = gated.held_reply().await;
        assert_eq!(gated.rows().await, count);
        gated.reply(&step, ReplyAction::Deliver);
        assert_eq!(tags(&client.until_ready().await), "12CZ");
    }
    assert_eq!(tags(&client.until_ready().await), "Z");
    let (last, _) = gated.let_go().await;
    assert_eq!(last.statements[0].sql, "select 3");
    assert_eq!(tags(&client.until_ready().await), "TDCZ");
}

#[tokio::test]
async fn pieces_cut_with_flush_are_held_and_answered_one_by_one() {
    let mut gated = Gated::new("flush").await;
    let mut client = RawClient::connect(&gated.url()).await;
    client
        .send(&[extended("insert into t values (1)", &[]), flush()].concat())
        .await;
    let (_, reply) = gated.let_go().await;
    assert_eq!(reply.end, ReplyEnd::Flushed);
    assert_eq!(tags(&client.until(b'C').await), "12C");
    client
        .send(&[extended("select 1/0", &[]), flush()].concat())
        .await;
    let (_, reply) = gated.let_go().await;
    assert_eq!(reply.error.unwrap().sqlstate, "22012");
    // A constant is divided while the statement is planned, at Bind.
    assert_eq!(tags(&client.until(b'E').await), "1E");
    client
        .send(&[extended("insert into t values (2)", &[]), flush(), sync()].concat())
        .await;
    let (_, reply) = gated.let_go().await;
    assert_eq!(reply.end, ReplyEnd::Skipped);
    assert_eq!(tags(&client.until_ready().await), "Z");
    assert_eq!(gated.rows().await, 0);
}

#[tokio::test]
async fn copy_works_at_a_gate_that_holds_all() {
    let mut gated = Gated::new("copy").await;
    let url = gated.url();
    let copying = tokio::spawn(async move {
        let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
        let mut copy = connection.copy_in_raw("copy t from stdin").await.unwrap();
        copy.send(b"1\n2\n3\n".as_slice()).await.unwrap();
        copy.finish().await.unwrap()
    });
    let step = gated.held().await;
    gated.request(&step, RequestAction::Deliver);
    let (step, reply) = gated.held_reply().await;
    assert_eq!(reply.results[0].tag.as_deref(), Some("COPY 3"));
    assert!(!copying.is_finished());
    gated.reply(&step, ReplyAction::Deliver);
    assert_eq!(copying.await.unwrap(), 3);
}

#[tokio::test]
async fn taking_the_gate_away_delivers_what_it_held() {
    let mut gated = Gated::new("away").await;
    let mut waiting = RawClient::connect(&gated.url()).await;
    let mut answered = RawClient::connect(&gated.url()).await;
    answered.send(&query("insert into t values (1)")).await;
    let step = gated.held().await;
    gated.request(&step, RequestAction::Deliver);
    gated.held_reply().await;
    waiting.send(&query("insert into t values (2)")).await;
    gated.held().await;
    gated.proxy.control().set_gate(None);
    assert_eq!(tags(&answered.until_ready().await), "CZ");
    assert_eq!(tags(&waiting.until_ready().await), "CZ");
    assert_eq!(tags(&waiting.query("select 1").await), "TDCZ");
    assert_eq!(gated.rows().await, 2);
}

/// Lets the next held step go, and keeps it waiting on the server for as long as this is held.
async fn held_up_on_the_server(gated: &mut Gated) -> PgConnection {
    let mut holder = PgConnection::connect_with(&gated.database.options())
        .await
        .unwrap();
    holder.execute("begin; lock table t").await.unwrap();
    let step = gated.held().await;
    gated.request(&step, RequestAction::Deliver);
    let waits =
        "select exists (select from pg_locks where relation = 't'::regclass and not granted)";
    let waiting = async {
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&mut holder)
            .await
            .unwrap()
        {}
    };
    tokio::time::timeout(BOUND, waiting)
        .await
        .expect("the step waits for the lock");
    holder
}

/// What comes after a step that still waits its turn waits behind it, gate or none.
#[tokio::test]
async fn a_pipeline_outlives_the_gate_that_held_it() {
    let mut gated = Gated::new("outlives").await;
    let mut client = RawClient::connect(&gated.url()).await;
    let insert = |id: i32| query(&format!("insert into t values ({id})"));
    client.send(&[insert(1), insert(2)].concat()).await;
    let holder = held_up_on_the_server(&mut gated).await;
    gated.proxy.control().set_gate(None);
    client.send(&insert(3)).await;
    // One thread runs the proxy: that it has served another means that it has read the third.
    let mut other = RawClient::connect(&gated.url()).await;
    other.query("select 4").await;
    holder.close().await.unwrap();
    for _ in 1..=3 {
        assert_eq!(tags(&client.until_ready().await), "CZ");
    }
    assert_eq!(gated.rows().await, 3);
}

/// A client that has closed its sending side still has executed what it sent before.
#[tokio::test]
async fn a_step_held_after_its_clients_last_word_still_reaches_the_server() {
    let mut gated = Gated::new("last_word").await;
    let mut client = RawClient::connect(&gated.url()).await;
    let insert = |id: i32| query(&format!("insert into t values ({id})"));
    client.send(&[insert(1), insert(2)].concat()).await;
    let holder = held_up_on_the_server(&mut gated).await;
    client.stream.shutdown().await.unwrap();
    gated
        .session_event(|event| matches!(event, SessionEvent::ClientGone { .. }))
        .await;
    holder.close().await.unwrap();
    let (first, _) = gated.held_reply().await;
    gated.reply(&first, ReplyAction::Deliver);
    gated.let_go().await;
    assert_eq!(gated.rows().await, 2);
}

#[tokio::test]
async fn the_gate_is_asked_about_startup_and_preparation_too() {
    let mut gated = Gated::new("kinds").await;
    let mut connection = PgConnection::connect_with(&options(&gated.url()))
        .await
        .unwrap();
    gated.proxy.control().set_gate(None);
    connection.ping().await.unwrap();
    let mut passed = Vec::new();
    while let Ok(event) = gated.events.try_recv() {
        match event {
            Event::Passed(step) => passed.push(step.kind),
            Event::Session(SessionEvent::Opened { pid, .. }) => assert!(pid.is_some()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(passed[0], StepKind::Startup);
}

#[tokio::test]
async fn a_startup_can_be_dropped() {
    let database = fresh_database("startup").await;
    let proxy = proxy_of(&database).await;
    let (gate, mut events) = channel(|step| step.kind == StepKind::Startup);
    proxy.control().set_gate(Some(Arc::new(gate)));
    let url = database.url_through(proxy.control().address());
    let connecting =
        tokio::spawn(async move { PgConnection::connect_with(&options(&url)).await.map(drop) });
    let Some(Event::Request(step)) = events.recv().await else {
        panic!("a start-up")
    };
    assert!(
        step.statements[0].sql.contains("user=postgres"),
        "{:?}",
        step.statements
    );
    proxy
        .control()
        .release_request(step.id, RequestAction::Drop);
    assert!(connecting.await.unwrap().is_err());
}

#[tokio::test]
async fn sessions_say_where_they_stand_and_can_be_closed() {
    let database = fresh_database("sessions").await;
    let proxy = proxy_of(&database).await;
    let url = database.url_through(proxy.control().address());
    let mut idle = RawClient::connect(&url).await;
    let mut open = RawClient::connect(&url).await;
    open.query("begin").await;
    let mut failed = RawClient::connect(&url).await;
    failed.query("begin").await;
    failed.query("select 1/0").await;

    let sessions = proxy.control().sessions();
    let pids: Vec<_> = sessions.iter().map(|session| session.pid).collect();
    assert_eq!(pids, [Some(idle.pid), Some(open.pid), Some(failed.pid)]);
    let states: Vec<_> = sessions
        .iter()
        .map(|session| session.state.unwrap())
        .collect();
    use TransactionState::{Failed, Idle, Open};
    assert_eq!(states, [Idle, Open, Failed]);
    let in_transaction: Vec<_> = sessions
        .iter()
        .map(|session| session.is_idle_in_transaction())
        .collect();
    assert_eq!(in_transaction, [false, true, true]);
    assert_eq!(sessions[0].parameters["user"], "postgres");

    assert!(proxy.control().close(sessions[1].id));
    assert_eq!(open.next().await, None);
    assert_eq!(tags(&idle.query("select 1").await), "TDCZ");
    drop(failed);
    let deadline = tokio::time::Instant::now() + BOUND;
    while proxy.control().sessions().len() > 1 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "sessions end within the bound"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_terminated_backend_ends_a_held_session() {
    let mut gated = Gated::new("terminated").await;
    let mut client = RawClient::connect(&gated.url()).await;
    client.send(&query("insert into t values (1)")).await;
    let step = gated.held().await;
    let terminate = sqlx::query("select pg_terminate_backend($1)").bind(client.pid);
    terminate.execute(&mut gated.direct).await.unwrap();
    let messages = client.until(b'!').await;
    assert_eq!(sqlstate(&messages).as_deref(), Some("57P01"));
    let closed = gated
        .session_event(|event| matches!(event, SessionEvent::Closed { .. }))
        .await;
    let abandoned = Some(step.id);
    assert_eq!(
        closed,
        SessionEvent::Closed {
            session: step.id.session,
            abandoned
        }
    );
    assert_eq!(gated.rows().await, 0);
}

#[tokio::test]
async fn a_reply_that_the_server_breaks_off_comes_to_the_gate_as_cut() {
    let mut gated = Gated::new("cut").await;
    let mut client = RawClient::connect(&gated.url()).await;
    client
        .send(&query("select pg_terminate_backend(pg_backend_pid())"))
        .await;
    let step = gated.held().await;
    gated.request(&step, RequestAction::Deliver);
    let (_, reply) = gated.held_reply().await;
    assert_eq!(reply.end, ReplyEnd::Cut);
    assert_eq!(reply.error.unwrap().sqlstate, "57P01");
    gated.reply(&step, ReplyAction::Deliver);
    assert_eq!(
        sqlstate(&client.until(b'!').await).as_deref(),
        Some("57P01")
    );
}

#[tokio::test]
async fn the_proxy_outlives_the_server_and_follows_it() {
    let settings = Settings {
        provider: Provider::Local,
        ..Settings::from_env()
    };
    let server = Server::start(&settings).await.unwrap();
    let database = server.create_database("outlives").await.unwrap();
    let nowhere = Proxy::start(Address::Unix("/nonexistent/.s.PGSQL.1".into()))
        .await
        .unwrap();
    let url = database.url_through(nowhere.control().address());
    assert!(PgConnection::connect_with(&options(&url)).await.is_err());
    nowhere
        .control()
        .set_upstream(Address::of(&database.options()));
    let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();

    server.stop_with(StopMode::Immediate).await.unwrap();
    assert!(connection.ping().await.is_err());
    assert!(PgConnection::connect_with(&options(&url)).await.is_err());
    server.start_again().await.unwrap();
    let mut connection = PgConnection::connect_with(&options(&url)).await.unwrap();
    connection.ping().await.unwrap();

    let address = nowhere.control().address();
    nowhere.stop().await;
    assert!(connection.ping().await.is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

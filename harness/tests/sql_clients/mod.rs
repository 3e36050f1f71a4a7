//! Clients that send plain SQL through the gate, for what the explorer must do on any program.
//!
//! Each client is a connection of its own and runs a list of statements; its answer is what they
//! brought. The same conductor and strategies as for services, without HTTP and without a shop.

pub(crate) mod compare;
#[path = "../../proxy/tests/support/mod.rs"]
mod proxy_support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proxy_support::{RawClient, extended, flush, query, sqlstate, sync};
use rowlock::explorer::catalog::Catalog;
use rowlock::explorer::footprints::Footprints;
use rowlock::explorer::monitor::Monitor;
use rowlock::explorer::search::WINDOW;
use rowlock::explorer::{
    Bounds, Chooser, Conductor, Control, Execution, Next, RequestIndex, Signal, Strategy,
};
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_proxy::isolation::Isolation;
use rowlock_proxy::{Address, Proxy};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
use tokio::sync::mpsc::UnboundedSender;

/// How often a run is made again that loses control, because PostgreSQL served a later waiter
/// first: as in a search.
const REPEATS: u32 = 20;

/// What each client sends, statement by statement. A raw client sends `flush: …` with a Flush
/// behind it, `sync` as a Sync alone, and the statements of `batch: … | …` before one Sync.
pub(crate) type Scripts = Vec<Vec<String>>;

/// What a client saw: rows, row counts and SQLSTATEs.
pub(crate) type Answer = Vec<String>;

type Answered = (Answer, Connection);

/// A client's own connection.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlx(PgConnection),
    Raw(RawClient),
}

/// What came of one run, as far as two equivalent interleavings must agree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Everybody finished: their answers, and the rows that were left.
    Finished(Vec<Answer>, Vec<String>),
    /// These waited for each other.
    Deadlocked(BTreeSet<RequestIndex>),
}

/// One finished run.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) execution: Execution,
}

/// A database with a table of two rows, and connections to it through a proxy.
pub(crate) struct Clients {
    pub(crate) conductor: Conductor<Answered>,
    /// What footprints are read with.
    pub(crate) catalog: Catalog,
    direct: PgConnection,
    url: String,
    through_proxy: PgConnectOptions,
    /// Whether clients speak the protocol byte by byte.
    pub(crate) is_raw: bool,
    connections: Vec<Option<Connection>>,
    _proxy: Proxy,
    _server: Server,
}

/// A server that leaves deadlocks to the explorer.
pub(crate) async fn server() -> Server {
    Server::start(&Settings {
        provider: Provider::Local,
        parameters: vec![("deadlock_timeout".to_owned(), "1h".to_owned())],
        ..Settings::from_env()
    })
    .await
    .unwrap()
}

impl Clients {
    pub(crate) async fn open(schema: &str) -> Clients {
        Self::open_early(schema, 0, |options| options, "").await
    }

    /// The same, with `early` connections that are made before the explorer is there, as `change`
    /// says, and begin with `session`; those that come later are like them.
    pub(crate) async fn open_early(
        schema: &str,
        early: usize,
        change: impl FnOnce(PgConnectOptions) -> PgConnectOptions,
        session: &str,
    ) -> Clients {
        let server = server().await;
        let database = server.create_database("clients").await.unwrap();
        let mut direct = database.options().connect().await.unwrap();
        let schema = sqlx::raw_sql(AssertSqlSafe(schema.to_owned()));
        direct.execute(schema).await.unwrap();
        let proxy = Proxy::start(Address::of(&database.options()))
            .await
            .unwrap();
        let isolation = Isolation::watch(proxy.control());
        let url = database.url_through(proxy.control().address());
        let through_proxy = change(url.parse().unwrap());
        let mut connections = Vec::new();
        for _ in 0..early {
            let mut connection = through_proxy.connect().await.unwrap();
            let session = sqlx::raw_sql(AssertSqlSafe(session.to_owned()));
            connection.execute(session).await.unwrap();
            connections.push(Some(Connection::Sqlx(connection)));
        }
        let mut monitor = Monitor::open(database.options(), Vec::new()).await.unwrap();
        let catalog = monitor.catalog().await.unwrap();
        let footprints = Footprints::new(catalog.clone());
        let control = proxy.control().clone();
        let bounds = Bounds::default();
        Clients {
            conductor: Conductor::new(control, monitor, footprints, isolation, bounds, || false),
            catalog,
            direct,
            url,
            through_proxy,
            is_raw: false,
            connections,
            _proxy: proxy,
            _server: server,
        }
    }

    /// Runs `scripts` once, after the statements of `reset`; `rows` is the query for what is left.
    pub(crate) async fn run(
        &mut self,
        reset: &str,
        scripts: &Scripts,
        rows: &str,
        chooser: &mut dyn Chooser,
    ) -> Finished {
        // One by one: VACUUM runs in no transaction of several statements.
        for sql in reset.split(';') {
            let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
            self.direct.execute(sql).await.unwrap();
        }
        self.connect(scripts.len()).await;
        let connections = &mut self.connections;
        let begin = |request: RequestIndex, done: UnboundedSender<Signal<Answered>>| {
            let connection = connections[request.0].take().unwrap();
            let script = scripts[request.0].clone();
            tokio::spawn(async move {
                let answered = play(connection, script).await;
                let _ = done.send(Signal::Answered(request, answered));
            });
        };
        let conducted = self.conductor.run(scripts.len(), begin, chooser).await;
        let conducted = conducted.unwrap();
        let mut answers = Vec::new();
        for (index, answered) in conducted.answers.into_iter().enumerate() {
            if let Some(((answer, connection), _)) = answered {
                self.connections[index] = Some(connection);
                answers.push(answer);
            }
        }
        let left = sqlx::query(AssertSqlSafe(rows.to_owned()));
        let left = left.fetch_all(&mut self.direct).await.unwrap();
        let execution = conducted.execution;
        let end = match execution.deadlock() {
            Some(circle) => End::Deadlocked(circle.iter().copied().collect()),
            None => End::Finished(answers, left.iter().map(text).collect()),
        };
        Finished { end, execution }
    }

    /// Runs all that `strategy` wants, at most `most` runs; gives the different ends and the
    /// number of runs.
    pub(crate) async fn explore(
        &mut self,
        reset: &str,
        scripts: &Scripts,
        rows: &str,
        strategy: &mut dyn Strategy,
        most: u64,
    ) -> (BTreeMap<End, String>, u64) {
        let mut ends = BTreeMap::new();
        let mut runs = 0;
        // As many are under way at a time as in a search.
        let mut under_way = VecDeque::new();
        loop {
            while runs + (under_way.len() as u64) < most
                && under_way.len() < WINDOW
                && let Next::Run(chooser) = strategy.next()
            {
                under_way.push_back(chooser);
            }
            let Some(mut chooser) = under_way.pop_front() else {
                break;
            };
            let mut finished = self.run(reset, scripts, rows, chooser.as_mut()).await;
            for _ in 0..REPEATS {
                if finished.execution.control == Control::Kept {
                    break;
                }
                finished = self.run(reset, scripts, rows, chooser.as_mut()).await;
            }
            let schedule = finished.execution.schedule.to_string();
            assert_eq!(finished.execution.control, Control::Kept, "{schedule}");
            strategy.observe(&finished.execution);
            ends.entry(finished.end).or_insert(schedule);
            runs += 1;
        }
        (ends, runs)
    }

    async fn connect(&mut self, count: usize) {
        self.connections
            .resize_with(self.connections.len().max(count), || None);
        for connection in &mut self.connections {
            if connection.is_none() {
                *connection = Some(match self.is_raw {
                    true => Connection::Raw(RawClient::connect(&self.url).await),
                    false => Connection::Sqlx(self.through_proxy.connect().await.unwrap()),
                });
            }
        }
    }
}

async fn play(connection: Connection, script: Vec<String>) -> Answered {
    match connection {
        Connection::Sqlx(mut connection) => {
            let answer = play_plain(&mut connection, script).await;
            (answer, Connection::Sqlx(connection))
        }
        Connection::Raw(mut client) => {
            let answer = play_raw(&mut client, script).await;
            (answer, Connection::Raw(client))
        }
    }
}

async fn play_plain(connection: &mut PgConnection, script: Vec<String>) -> Answer {
    let mut answer = Vec::new();
    for sql in script {
        let rows = connection
            .fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)))
            .await;
        match rows {
            Ok(rows) => answer.extend(rows.iter().map(text)),
            Err(sqlx::Error::Database(error)) => {
                answer.push(error.code().unwrap_or_default().into_owned());
                connection.execute("rollback").await.unwrap();
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    answer
}

async fn play_raw(client: &mut RawClient, script: Vec<String>) -> Answer {
    let mut answer = Vec::new();
    for sql in script {
        let (bytes, last) = if let Some(sql) = sql.strip_prefix("flush: ") {
            ([extended(sql, &[]), flush()].concat(), b'C')
        } else if let Some(batch) = sql.strip_prefix("batch: ") {
            let batch = batch.split(" | ").flat_map(|sql| extended(sql, &[]));
            (batch.chain(sync()).collect(), b'Z')
        } else if sql == "sync" {
            (sync(), b'Z')
        } else {
            (query(&sql), b'Z')
        };
        client.send(&bytes).await;
        let messages = client.until(last).await;
        assert_eq!(sqlstate(&messages), None, "{sql}");
        let rows = messages.iter().filter(|(tag, _)| *tag == b'D');
        // Two bytes for the number of columns and four for the length of the one that there is.
        answer.extend(rows.map(|(_, body)| String::from_utf8(body[6..].to_vec()).unwrap()));
    }
    answer
}

fn text(row: &PgRow) -> String {
    let values = (0..row.len()).map(|column| {
        let value: Option<i64> = row.try_get(column).unwrap();
        value.map_or("null".to_owned(), |value| value.to_string())
    });
    values.collect::<Vec<_>>().join(" ")
}

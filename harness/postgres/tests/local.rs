//! The local provider: ready fast, restarts with its data, and leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rowlock_postgres::{Database, Provider, Server, Settings, StopMode};
use sqlx::{ConnectOptions, Connection, PgConnection};

use support::{connect, eventually, notes, write_note};

mod support;

async fn start() -> Server {
    support::start(Provider::Local).await
}

/// The directory and the postmaster's process id, as the server itself tells them.
async fn traces(server: &Server, name: &str) -> (PathBuf, u32) {
    let database = server.create_database(name).await.unwrap();
    let mut connection = database.options().connect().await.unwrap();
    let data: String = sqlx::query_scalar("show data_directory")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let directory = Path::new(&data).parent().unwrap().to_owned();
    let lock_file = std::fs::read_to_string(Path::new(&data).join("postmaster.pid")).unwrap();
    (
        directory,
        lock_file.lines().next().unwrap().parse().unwrap(),
    )
}

/// Whether `pid` is alive; a zombie that nobody waits for is not.
fn is_alive(pid: u32) -> bool {
    let state = if Path::new("/proc/self/stat").exists() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .map_or_else(String::new, |(_, state)| state.to_owned())
    } else {
        let answer = Command::new("ps")
            .args(["-o", "stat=", "-p", &pid.to_string()])
            .output();
        String::from_utf8_lossy(&answer.unwrap().stdout)
            .trim()
            .to_owned()
    };
    !state.is_empty() && !state.starts_with('Z')
}

#[tokio::test]
async fn server_answers_by_tcp_and_by_its_socket() {
    let server = start().await;
    println!("{}", server.description());
    assert_eq!(server.provider(), Provider::Local);
    let database = server.create_database("both_ways").await.unwrap();
    let mut by_tcp = connect(&database.url()).await;
    let address: Option<String> = sqlx::query_scalar("select host(inet_server_addr())")
        .fetch_one(&mut by_tcp)
        .await
        .unwrap();
    assert_eq!(address.as_deref(), Some("127.0.0.1"));
    let mut by_socket = database.options().connect().await.unwrap();
    let (name, address): (String, Option<String>) =
        sqlx::query_as("select current_database()::text, host(inet_server_addr())")
            .fetch_one(&mut by_socket)
            .await
            .unwrap();
    assert_eq!((name.as_str(), address), (database.name(), None));
}

#[tokio::test]
async fn two_servers_run_side_by_side() {
    let (one, two) = tokio::join!(start(), start());
    let (one_db, two_db) = (
        one.create_database("same").await.unwrap(),
        two.create_database("same").await.unwrap(),
    );
    assert_ne!(one_db.url(), two_db.url());
    write_note(&one_db, "one").await;
    write_note(&two_db, "two").await;
    assert_eq!(notes(&one_db).await, ["one"]);
    assert_eq!(notes(&two_db).await, ["two"]);
}

#[tokio::test]
async fn restart_keeps_address_and_committed_data_in_every_mode() {
    support::restart_keeps_everything(&start().await).await;
}

#[tokio::test]
async fn a_server_whose_restart_was_cancelled_is_started_by_the_next() {
    let server = start().await;
    let database = server.create_database("kept").await.unwrap();
    for mode in [StopMode::Fast, StopMode::Immediate, StopMode::Kill] {
        for milliseconds in (0..=64).step_by(4) {
            let bound = Duration::from_millis(milliseconds);
            let _ = tokio::time::timeout(bound, server.restart(mode)).await;
            server.start_again().await.unwrap();
            let connection = database.options().connect().await;
            connection.unwrap().close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn stopping_twice_and_starting_a_running_server_change_nothing() {
    support::stopping_twice_and_starting_twice_change_nothing(&start().await).await;
}

#[tokio::test]
async fn a_copy_holds_what_its_template_does_and_is_its_own() {
    let server = start().await;
    let template = server.create_database("original").await.unwrap();
    let mut connection = template.options().connect().await.unwrap();
    let made = "create table t (id int); insert into t values (1)";
    sqlx::raw_sql(made).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let copy = server.copy_database("copy", &template).await.unwrap();
    let count = async |database: &Database| {
        let mut connection = database.options().connect().await.unwrap();
        let count: i64 = sqlx::query_scalar("select count(*) from t")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        count
    };
    assert_eq!(count(&copy).await, 1);
    let mut connection = copy.options().connect().await.unwrap();
    let more = sqlx::raw_sql("insert into t values (2)");
    more.execute(&mut connection).await.unwrap();
    assert_eq!((count(&copy).await, count(&template).await), (2, 1));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn dropped_database_is_gone_although_somebody_uses_it() {
    let server = start().await;
    let database = server.create_database("used").await.unwrap();
    let _user = connect(&database.url()).await;
    server.drop_database(&database).await.unwrap();
    assert!(PgConnection::connect(&database.url()).await.is_err());
}

#[tokio::test]
async fn drop_leaves_neither_directory_nor_process() {
    let server = start().await;
    let (directory, postmaster) = traces(&server, "traces").await;
    assert!(directory.exists() && is_alive(postmaster));
    drop(server);
    assert!(!directory.exists() && !is_alive(postmaster));
}

#[tokio::test]
async fn stop_leaves_neither_directory_nor_process() {
    let server = start().await;
    let (directory, postmaster) = traces(&server, "traces").await;
    server.stop().await.unwrap();
    assert!(!directory.exists() && !is_alive(postmaster));
}

#[tokio::test]
async fn panic_leaves_neither_directory_nor_process() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let server = start().await;
        sender.send(traces(&server, "traces").await).unwrap();
        panic!("as a failing test would");
    });
    assert!(task.await.unwrap_err().is_panic());
    let (directory, postmaster) = receiver.await.unwrap();
    assert!(!directory.exists() && !is_alive(postmaster));
}

/// Not a test of its own: the process that the next tests start and kill. It does nothing unless asked to.
#[tokio::test]
async fn victim() {
    let Ok(role) = std::env::var("ROWLOCK_TEST_VICTIM") else {
        return;
    };
    if role == "gives up" {
        let given_up = tokio::time::timeout(Duration::from_millis(50), start()).await;
        assert!(given_up.is_err(), "it was ready within 50 ms");
        return;
    }
    let server = start().await;
    let (directory, postmaster) = traces(&server, "traces").await;
    println!("\ntraces {postmaster} {}", directory.display());
    std::future::pending::<()>().await;
}

fn victim_command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "victim", "--nocapture"])
        .env("ROWLOCK_TEST_VICTIM", role);
    command
}

#[tokio::test]
async fn start_that_is_given_up_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    std::fs::set_permissions(temporary.path(), Permissions::from_mode(0o755)).unwrap();
    let mut victim = victim_command("gives up");
    assert!(
        victim
            .env("TMPDIR", temporary.path())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(temporary.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn killed_harness_leaves_neither_directory_nor_process() {
    let mut victim = victim_command("is killed")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    let line = output
        .lines()
        .map(Result::unwrap)
        .find(|line| line.starts_with("traces "))
        .unwrap();
    let mut words = line.split(' ').skip(1);
    let postmaster: u32 = words.next().unwrap().parse().unwrap();
    let directory = PathBuf::from(words.next().unwrap());
    assert!(directory.exists() && is_alive(postmaster));
    victim.kill().unwrap();
    victim.wait().unwrap();
    let killed = Instant::now();
    let gone = async || !directory.exists() && !is_alive(postmaster);
    eventually("directory and server are gone", gone).await;
    println!("gone {:?} after SIGKILL", killed.elapsed());
}

#[tokio::test]
async fn unusable_pg_bin_is_named_in_the_error() {
    let settings = Settings {
        provider: Provider::Local,
        pg_bin: Some("/nowhere/bin".into()),
        ..Settings::default()
    };
    let error = Server::start(&settings).await.unwrap_err().to_string();
    assert!(
        error.starts_with("PG_BIN=/nowhere/bin is unusable: it holds no initdb"),
        "{error}"
    );
}

#[tokio::test]
async fn failing_server_shows_the_end_of_its_log() {
    let settings = Settings {
        provider: Provider::Local,
        parameters: vec![("no_such_parameter".into(), "1".into())],
        ..Settings::from_env()
    };
    let error = Server::start(&settings).await.unwrap_err().to_string();
    assert!(
        error.contains("unrecognized configuration parameter"),
        "{error}"
    );
}

#[tokio::test]
async fn name_that_needs_quoting_is_refused() {
    let error = start()
        .await
        .create_database("Shop; drop")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("database name \"Shop; drop\""), "{error}");
}

#[test]
fn shared_server_serves_tests_with_runtimes_of_their_own() {
    let run = |note: &str| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let database = rowlock_postgres::fresh_database("shared").await;
            write_note(&database, note).await;
            (database.name().to_owned(), notes(&database).await)
        })
    };
    let (one, two) = (run("one"), run("two"));
    assert_ne!(one.0, two.0);
    assert_eq!(
        (one.1, two.1),
        (vec!["one".to_owned()], vec!["two".to_owned()])
    );
}

#[tokio::test]
async fn a_cluster_is_copied_from_what_an_earlier_server_left_as_a_template() {
    let templates = tempfile::tempdir().unwrap();
    let settings = Settings {
        provider: Provider::Local,
        templates: Some(templates.path().to_owned()),
        ..Settings::from_env()
    };
    let first = Server::start(&settings).await.unwrap();
    first.create_database("only_in_the_first").await.unwrap();
    let kept: Vec<PathBuf> = std::fs::read_dir(templates.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [template] = &kept[..] else {
        panic!("not one template: {kept:?}");
    };
    std::fs::write(template.join("mark"), "copied").unwrap();

    let second = Server::start(&settings).await.unwrap();
    // A name that the first server has already: the two share nothing.
    let (directory, _) = traces(&second, "only_in_the_first").await;
    let mark = std::fs::read_to_string(directory.join("data/mark")).unwrap();
    assert_eq!(mark, "copied");
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

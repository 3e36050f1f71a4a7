//! The container provider and `auto`. What needs an engine and the image says so where they are
//! missing, and does not run.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rowlock_postgres::{Provider, Server, Settings, StartError};
use rowlock_testing::tool::Tool;
use sqlx::{Connection, PgConnection};
use support::{connect, notes, write_note};
use testcontainers::bollard::Docker;
use testcontainers::core::client::docker_client_instance;

mod support;

async fn start() -> Option<Server> {
    let settings = Settings {
        provider: Provider::Container,
        ..Settings::from_env()
    };
    match Server::start(&settings).await {
        Ok(server) => Some(server),
        // No engine or no image: the environment lacks it. Anything else is a failure of ours.
        Err(error) if is_lacking(&error) => {
            Tool::Docker.is_missing(error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn is_lacking(error: &StartError) -> bool {
    let StartError::Container { what, .. } = error else {
        return false;
    };
    what == "no container engine answers" || what.starts_with("no image ")
}

/// The container's id, from the host name that the server sees.
async fn container_of(server: &Server, name: &str) -> String {
    let database = server.create_database(name).await.unwrap();
    let mut connection = connect(&database.url()).await;
    let read = "select trim(both E'\\n' from pg_read_file('/etc/hostname'))";
    sqlx::query_scalar(read)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

async fn docker() -> Docker {
    docker_client_instance().await.unwrap()
}

async fn exists(container: &str) -> bool {
    docker()
        .await
        .inspect_container(container, None)
        .await
        .is_ok()
}

#[tokio::test]
async fn server_in_a_container_answers_and_is_gone_after_drop() {
    let Some(server) = start().await else { return };
    println!("{}", server.description());
    assert_eq!(server.provider(), Provider::Container);
    let database = server.create_database("shop").await.unwrap();
    write_note(&database, "here").await;
    assert_eq!(notes(&database).await, ["here"]);
    let container = container_of(&server, "traces").await;
    assert!(exists(&container).await);
    drop(server);
    assert!(!exists(&container).await);
    assert!(PgConnection::connect(&database.url()).await.is_err());
}

#[tokio::test]
async fn panic_and_stop_remove_the_container() {
    let Some(server) = start().await else { return };
    let container = container_of(&server, "traces").await;
    let task = tokio::spawn(async move {
        let _server = server;
        panic!("as a failing test would");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(!exists(&container).await);

    let Some(server) = start().await else { return };
    let container = container_of(&server, "traces").await;
    server.stop().await.unwrap();
    assert!(!exists(&container).await);
}

#[test]
fn server_that_outlives_its_runtime_is_removed_all_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(server) = runtime.block_on(start()) else {
        return;
    };
    let container = runtime.block_on(container_of(&server, "traces"));
    drop(runtime);
    drop(server);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(!runtime.block_on(exists(&container)));
}

#[tokio::test]
async fn restart_keeps_address_and_committed_data_in_every_mode() {
    let Some(server) = start().await else { return };
    support::restart_keeps_everything(&server).await;
}

#[tokio::test]
async fn restart_of_a_durable_server_keeps_committed_data_too() {
    if start().await.is_none() {
        return;
    }
    let settings = Settings {
        provider: Provider::Container,
        durable: true,
        ..Settings::from_env()
    };
    support::restart_keeps_everything(&Server::start(&settings).await.unwrap()).await;
}

#[tokio::test]
async fn stopping_twice_and_starting_a_running_server_change_nothing() {
    let Some(server) = start().await else { return };
    support::stopping_twice_and_starting_twice_change_nothing(&server).await;
}

#[tokio::test]
async fn failing_server_shows_the_end_of_its_log() {
    if start().await.is_none() {
        return;
    }
    let settings = Settings {
        provider: Provider::Container,
        parameters: vec![("no_such_parameter".into(), "1".into())],
        ..Settings::from_env()
    };
    let error = Server::start(&settings).await.unwrap_err().to_string();
    assert!(
        error.contains("unrecognized configuration parameter"),
        "{error}"
    );
}

/// Not a test of its own: the process that the next one kills. It does nothing unless asked to.
#[tokio::test]
async fn victim() {
    if std::env::var_os("ROWLOCK_TEST_VICTIM").is_none() {
        return;
    }
    let Some(server) = start().await else { return };
    println!("\ncontainer {}", container_of(&server, "traces").await);
    std::future::pending::<()>().await;
}

fn start_victim() -> Option<(std::process::Child, String)> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--nocapture"])
        .env("ROWLOCK_TEST_VICTIM", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    let container = output
        .lines()
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("container ").map(str::to_owned));
    match container {
        Some(container) => Some((victim, container)),
        None => {
            assert!(victim.wait().unwrap().success(), "it has said why");
            None
        }
    }
}

#[tokio::test]
async fn container_of_a_killed_harness_is_removed_by_the_next_one() {
    let Some((mut victim, container)) = start_victim() else {
        return;
    };
    let _living = start().await.unwrap();
    assert!(exists(&container).await, "its owner lives");
    victim.kill().unwrap();
    victim.wait().unwrap();
    let _next = start().await.unwrap();
    assert!(!exists(&container).await);
}

#[tokio::test]
async fn interrupted_harness_removes_its_container() {
    let Some((mut victim, container)) = start_victim() else {
        return;
    };
    let pid = rustix::process::Pid::from_child(&victim);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    victim.wait().unwrap();
    assert!(!exists(&container).await);
}

#[tokio::test]
async fn auto_says_which_provider_it_took_and_why_not_the_other() {
    let absent = Settings {
        image: "localhost:1/no-such-image:0".into(),
        ..Settings::from_env()
    };
    let server = Server::start(&absent).await.unwrap();
    println!("{}", server.description());
    assert_eq!(server.provider(), Provider::Local);
    let description = server.description();
    assert!(
        description.contains("; not the container provider: no "),
        "{description}"
    );

    if start().await.is_some() {
        let server = Server::start(&Settings::from_env()).await.unwrap();
        assert_eq!(server.provider(), Provider::Container);
    }
}

#[tokio::test]
async fn auto_without_any_provider_lists_what_was_tried_and_what_to_install() {
    let nothing = Settings {
        image: "localhost:1/no-such-image:0".into(),
        pg_bin: Some("/nowhere/bin".into()),
        ..Settings::default()
    };
    let error = Server::start(&nothing).await.unwrap_err().to_string();
    println!("{error}");
    assert!(
        error.starts_with("no PostgreSQL can be had; tried\n  container: no "),
        "{error}"
    );
    assert!(
        error.contains("\n  local: PG_BIN=/nowhere/bin is unusable"),
        "{error}"
    );
    assert!(error.contains("apt install postgresql"), "{error}");
}

//! Signals while PostgreSQL runs in a container: neither it nor a process is left.
//!
//! What needs an engine and the image says so where they are missing, and does not run.

use std::collections::HashMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Sandbox, assert_exit, stderr};
use rowlock_postgres::Settings;
use rowlock_testing::tool::Tool;
use rustix::process::{Pid, Signal, kill_process};
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::{ListContainersOptionsBuilder, TopOptionsBuilder};
use testcontainers::core::client::docker_client_instance;

/// The label by which a container names the process that it belongs to, its second word.
const OWNER: &str = "rowlock.owner";

/// The engine, if it answers and has the image.
async fn engine() -> Option<Docker> {
    let image = Settings::from_env().image;
    let found = async {
        let docker = docker_client_instance().await;
        let docker = docker.map_err(|error| error.to_string())?;
        let inspected = docker.inspect_image(&image).await;
        inspected.map_err(|error| format!("no image {image}: {error}"))?;
        Ok::<_, String>(docker)
    };
    found.await.map_err(|why| Tool::Docker.is_missing(why)).ok()
}

/// The containers of `rowlock`, running or not.
async fn containers_of(docker: &Docker, rowlock: &Child) -> Vec<String> {
    let filters = HashMap::from([("label", vec![OWNER])]);
    let options = ListContainersOptionsBuilder::new();
    let options = options.all(true).filters(&filters).build();
    let all = docker.list_containers(Some(options)).await.unwrap();
    let pid = rowlock.id().to_string();
    let is_own = |labels: &HashMap<String, String>| {
        let owner = labels.get(OWNER).and_then(|owner| owner.split(' ').nth(1));
        owner == Some(&pid)
    };
    let own = all
        .into_iter()
        .filter(|container| container.labels.as_ref().is_some_and(is_own));
    own.filter_map(|container| container.id).collect()
}

/// Whether a session is in a database of the run's own, so that all that the command starts has
/// been started.
async fn runs(docker: &Docker, rowlock: &Child) -> bool {
    for container in containers_of(docker, rowlock).await {
        let options = TopOptionsBuilder::new().ps_args("-eo pid,args").build();
        // It may not run yet, or no more.
        let Ok(top) = docker.top_processes(&container, Some(options)).await else {
            continue;
        };
        let mut processes = top.processes.into_iter().flatten().flatten();
        if processes.any(|words| words.contains("trial_")) {
            return true;
        }
    }
    false
}

async fn wait_until_it_runs(docker: &Docker, rowlock: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !runs(docker, rowlock).await {
        let ended = rowlock.try_wait().unwrap();
        assert!(ended.is_none(), "it ended by itself: {ended:?}");
        assert!(Instant::now() < deadline, "not within 60 s: it runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Starts `arguments` on a container and signals it in the middle of its run.
async fn interrupt(docker: &Docker, arguments: &str, command: &str, signal: Signal) {
    let sandbox = Sandbox::new();
    let mut rowlock = sandbox.rowlock(&format!("{arguments} --postgres container"));
    let rowlock = rowlock.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut rowlock = rowlock.spawn().unwrap();
    wait_until_it_runs(docker, &mut rowlock).await;
    kill_process(Pid::from_child(&rowlock), signal).unwrap();
    rowlock.wait().unwrap();
    let left = containers_of(docker, &rowlock).await;
    let output = rowlock.wait_with_output().unwrap();
    assert_exit(&output, 130);
    assert_eq!(left, Vec::<String>::new(), "{arguments}: {signal:?}");
    let said = stderr(&output);
    assert!(said.starts_with("interrupted\n"), "{arguments}: {said}");
    let again = said.lines().last().unwrap();
    assert!(again.starts_with(&format!("  rowlock {command}")), "{said}");
    sandbox.wait_until_clean();
}

#[tokio::test]
async fn a_signal_during_a_search_leaves_no_container() {
    let Some(docker) = engine().await else { return };
    let arguments = "explore one-item --buyers 4 --strategy random --budget 60m";
    for signal in [Signal::INT, Signal::TERM] {
        interrupt(&docker, arguments, "explore", signal).await;
    }
}

#[tokio::test]
async fn a_signal_during_a_replay_leaves_no_container() {
    let Some(docker) = engine().await else { return };
    let witness = format!(
        "{}/../examples/witnesses/unlocked-absolute-write.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let arguments = format!("replay {witness} --times 1000000");
    for signal in [Signal::INT, Signal::TERM] {
        interrupt(&docker, &arguments, "replay", signal).await;
    }
}

#[tokio::test]
async fn a_signal_during_faults_leaves_no_container() {
    let Some(docker) = engine().await else { return };
    for signal in [Signal::INT, Signal::TERM] {
        interrupt(&docker, "faults", "faults", signal).await;
    }
}

//! A janitor stops whole process groups and removes paths.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::io::Read;
use std::process::{Child, Command, Stdio};

use rowlock_postgres::Janitor;
use rustix::process::Signal;

/// A shell and its child, who hold the returned process's output open as long as one of them lives.
fn tree(janitor: &Janitor) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 600 & echo started; wait"]);
    let prepare = |command: &mut Command| {
        command.stdout(Stdio::piped());
        Ok(())
    };
    janitor.spawn(&command, Signal::TERM, prepare).unwrap()
}

fn wait_for_start(tree: &mut Child) {
    let mut line = [0; 8];
    tree.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(&line, b"started\n");
}

#[test]
fn watched_group_ends_with_all_its_children() {
    let janitor = Janitor::start(&[]).unwrap();
    let mut tree = tree(&janitor);
    wait_for_start(&mut tree);
    let mut output = tree.stdout.take().unwrap();
    // Somebody must wait for the shell, or it stays a zombie, which a group's end waits for.
    let waiter = std::thread::spawn(move || tree.wait().unwrap());
    drop(janitor);
    assert!(!waiter.join().unwrap().success());
    // The end of the output: no process of the tree is left that could write to it.
    assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn forgotten_group_lives_on() {
    let janitor = Janitor::start(&[]).unwrap();
    let mut tree = tree(&janitor);
    wait_for_start(&mut tree);
    janitor.forget(tree.id()).unwrap();
    drop(janitor);
    assert!(tree.try_wait().unwrap().is_none());
    rustix::process::kill_process_group(rustix::process::Pid::from_child(&tree), Signal::KILL)
        .unwrap();
    tree.wait().unwrap();
}

#[test]
fn paths_are_gone_once_it_is_dropped() {
    let parent = tempfile::tempdir().unwrap();
    let (directory, file) = (parent.path().join("a directory"), parent.path().join("-rf"));
    std::fs::create_dir_all(directory.join("deep/er")).unwrap();
    std::fs::write(&file, "text").unwrap();
    drop(Janitor::start(&[&directory, &file]).unwrap());
    assert_eq!(parent.path().read_dir().unwrap().count(), 0);
}

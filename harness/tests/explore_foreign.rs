//! The explorer on services in another language, in several processes, unchanged.

use std::path::Path;

use crate::common::{Sandbox, assert_exit, stderr, stdout};
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_testing::tool::python;
use sqlx::{ConnectOptions, Connection, Executor};

const TWO_PROCESSES: [&str; 2] = ["WORKERS=2", "POOL_SIZE=4"];

/// Explores a shop in Python, in as many processes with as many connections each as `size` says.
fn explore(shop: &str, buyers: usize, size: [&str; 2], code: i32) -> Option<String> {
    explore_program("one-item", shop, buyers, size, code)
}

fn explore_program(
    program: &str,
    shop: &str,
    buyers: usize,
    size: [&str; 2],
    code: i32,
) -> Option<String> {
    let python = python()?;
    let sandbox = Sandbox::new();
    let shop = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/targets")
        .join(shop);
    let shop = shop.to_str().unwrap();
    let [workers, pool] = size;
    let service = shlex::try_join(["env", workers, pool, &python, shop]).unwrap();
    let arguments = format!("explore {program} --postgres local --buyers {buyers}");
    // Of its own: what a violation writes down is no remains of the command.
    let witnesses = tempfile::tempdir().unwrap();
    let mut rowlock = sandbox.rowlock(&arguments);
    rowlock.args(["--service-cmd", &service]);
    rowlock.arg("--witness-dir").arg(witnesses.path());
    let output = rowlock.output().unwrap();
    assert_exit(&output, code);
    sandbox.wait_until_clean();
    Some(stdout(&output))
}

#[test]
fn a_violation_of_a_target_that_never_starts_again_is_shown_and_written_all_the_same() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets/shop_unlocked.py");
    // Shrinking starts the target once more.
    let once = format!(
        "mkdir {}/started && exec {python} {}",
        directory.path().display(),
        shop.display()
    );
    let service = shlex::try_join(["sh", "-c", &once]).unwrap();
    let mut rowlock = sandbox.rowlock("explore one-item --postgres local --workers 1");
    rowlock.args(["--service-cmd", &service]);
    rowlock.arg("--witness-dir").arg(directory.path());
    let output = rowlock.output().unwrap();
    assert_exit(&output, 1);
    let report = stdout(&output);
    assert!(
        report.contains("item 1 oversold: stock 1 -> 0, 1 gone, 2 purchases"),
        "{report}"
    );
    for word in [
        "shrunk:   not: ",
        "replayed: not: ",
        "replay:   rowlock replay ",
    ] {
        assert!(report.contains(word), "{word}: {report}");
    }
    sandbox.wait_until_clean();
}

#[test]
fn a_right_shop_in_python_is_valid_in_every_interleaving() {
    if let Some(report) = explore("shop_right.py", 2, TWO_PROCESSES, 0) {
        assert!(report.contains("valid\n  8 schedules"), "{report}");
    }
}

#[test]
fn a_right_shop_that_waits_for_nobody_gives_way_in_some_orders_and_is_valid_in_all() {
    for status in ["423", "429"] {
        let size = [&*format!("STATUS={status}"), "POOL_SIZE=4"];
        let Some(report) = explore("shop_nowait.py", 2, size, 0) else {
            return;
        };
        assert!(report.contains("\nvalid\n"), "{report}");
        let schedule = "one-item --schedule AABB";
        let report = explore_program(schedule, "shop_nowait.py", 2, size, 0).unwrap();
        assert!(report.contains(&format!("{status}: conflict")), "{report}");
    }
}

#[test]
fn a_read_without_a_lock_in_python_is_found() {
    if let Some(report) = explore("shop_unlocked.py", 2, TWO_PROCESSES, 1) {
        assert!(report.contains("stock-gone-is-purchases"), "{report}");
    }
}

#[test]
fn tables_of_a_right_shops_own_are_put_back_between_runs() {
    for (program, books) in [
        ("one-item", "BOOKS=audit"),
        ("one-item", "BOOKS=references"),
        ("one-item", "BOOKS=late"),
        ("one-item", "BOOKS=mirror"),
        ("repeated-key", "BOOKS=keys"),
    ] {
        let size = [books, "POOL_SIZE=4"];
        if let Some(report) = explore_program(program, "shop_books.py", 2, size, 0) {
            assert!(report.contains("\nvalid\n"), "{books}: {report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_silence_foreign_keys_puts_back_what_it_can_and_says_what_not() {
    let Some(python) = python() else { return };
    let settings = Settings {
        provider: Provider::Local,
        ..Settings::default()
    };
    let server = Server::start(&settings).await.unwrap();
    let database = server.create_database("lent").await.unwrap();
    let mut connection = database.options().connect().await.unwrap();
    let role = "create role plain login createdb password 'plain'";
    connection.execute(role).await.unwrap();
    let (_, address) = database
        .url()
        .split_once('@')
        .map(|(user, address)| (user.to_owned(), address.to_owned()))
        .unwrap();
    let url = format!("postgres://plain:plain@{address}");
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets/shop_books.py");
    for (books, code, said) in [
        ("BOOKS=audit", 0, ""),
        ("BOOKS=references", 0, ""),
        ("BOOKS=mirror", 0, ""),
        (
            "BOOKS=late",
            3,
            "the rows cannot be put back: tables of the target's own refer to them",
        ),
    ] {
        let service = shlex::try_join(["env", books, &python, shop.to_str().unwrap()]).unwrap();
        let sandbox = Sandbox::new();
        let mut rowlock = sandbox.rowlock("explore one-item --postgres url");
        rowlock
            .args(["--service-cmd", &service])
            .env("DATABASE_URL", &url);
        let output = rowlock.output().unwrap();
        assert_exit(&output, code);
        assert!(
            stderr(&output).contains(said),
            "{books}: {}",
            stderr(&output)
        );
    }
    connection.close().await.unwrap();
    server.stop().await.unwrap();
}

#[test]
fn a_transaction_that_only_the_explored_requests_leave_open_is_a_violation() {
    let program = "one-wallet-two-items";
    let shop = "shop_no_rollback_when_poor.py";
    if let Some(report) = explore_program(program, shop, 2, ["WORKERS=1", "POOL_SIZE=4"], 1) {
        assert!(
            report.contains("no-open-transaction: at rest, no session of the target"),
            "{report}"
        );
    }
}

/// Both at once, since each comes to the bound on the harness's own waiting.
#[test]
fn a_refusal_that_keeps_the_item_locked_is_named_by_the_explorer_and_by_a_scenario() {
    std::thread::scope(|scope| {
        scope.spawn(|| assert_lock_is_named("explore one-item --postgres local"));
        scope.spawn(|| assert_lock_is_named("run balance-edge --postgres local"));
    });
}

/// A target that never lets go keeps nobody waiting for ever.
fn assert_lock_is_named(arguments: &str) {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets/shop_no_rollback.py");
    let service = shlex::try_join([&python, shop.to_str().unwrap()]).unwrap();
    let mut rowlock = sandbox.rowlock(arguments);
    let output = rowlock.args(["--service-cmd", &service]).output().unwrap();
    assert_exit(&output, 3);
    let said = stderr(&output);
    assert!(
        said.contains("the target has answered and still holds a lock"),
        "{said}"
    );
    assert!(
        said.contains("is idle in transaction; its last statement: select price, stock from item"),
        "{said}"
    );
    sandbox.wait_until_clean();
}

#[test]
fn a_value_read_before_its_lock_in_python_is_found_among_three_buyers() {
    if let Some(report) = explore("shop_stale.py", 3, TWO_PROCESSES, 1) {
        assert!(report.contains("stock-gone-is-purchases"), "{report}");
    }
}

#[test]
fn a_pool_of_one_connection_is_waited_for_inside_the_application() {
    if let Some(report) = explore("shop_right.py", 3, ["WORKERS=1", "POOL_SIZE=1"], 0) {
        assert!(report.contains("waited inside the application"), "{report}");
    }
}

#[test]
fn keys_that_a_service_does_not_keep_are_a_violation_only_where_they_are_promised() {
    let service = format!(
        "{} target --mutant charge-before-key",
        env!("CARGO_BIN_EXE_rowlock")
    );
    for (command, code) in [
        ("explore repeated-key", 3),
        ("explore repeated-key --keys", 1),
        ("run double-click", 0),
        ("run double-click --keys", 1),
        ("faults --case repeat.1.drop-after --keys", 1),
    ] {
        let sandbox = Sandbox::new();
        let witnesses = tempfile::tempdir().unwrap();
        let mut rowlock = sandbox.rowlock(&format!("{command} --postgres local"));
        rowlock.args(["--service-cmd", &service]);
        if command.starts_with("explore") {
            rowlock.arg("--witness-dir").arg(witnesses.path());
        }
        let output = rowlock.output().unwrap();
        println!("{command}: {}", stdout(&output));
        assert_exit(&output, code);
        sandbox.wait_until_clean();
    }
}

//! Contracts as they are written, and what is read from them.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rowlock_contract::actor::{Atomic, PlannedCall};
use rowlock_contract::database::{Memory, Seed};
use rowlock_contract::invariant::Predicate;
use rowlock_contract::service::{Command, Signal};
use rowlock_contract::{Contract, ContractError, Template, Variables};

fn read(text: &str) -> Contract {
    Contract::parse(text, "/srv/shop/rowlock.toml").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_least_that_works_is_a_command_and_a_call() {
    let contract = read(
        r#"
        [service]
        command = "node server.js --name 'a b'"
        [calls.buy]
        path = "/buy"
        json = { item = 1 }
        [calls.stock]
        path = "/stock"
        "#,
    );
    assert_eq!(contract.name, "shop");
    let Command::Words(words) = &contract.service.process.command else {
        panic!("no shell was asked for");
    };
    let words: Vec<_> = words.iter().map(Template::to_string).collect();
    assert_eq!(words, ["node", "server.js", "--name", "a b"]);
    assert_eq!(contract.service.process.directory, Path::new("/srv/shop"));
    assert_eq!(contract.service.ready.path.to_string(), "/");
    assert!(contract.service.ready.status.has(404) && contract.service.ready.status.has(501));
    assert!(!contract.service.ready.status.has(500) && !contract.service.ready.status.has(503));
    let methods: Vec<_> = contract
        .calls
        .iter()
        .map(|call| call.method.as_str())
        .collect();
    assert_eq!(methods, ["POST", "GET"]);
    let [anybody] = &contract.actors[..] else {
        panic!("there is one actor where none is named");
    };
    let alone = ["buy", "stock"].map(|call| vec![PlannedCall::of(call)]);
    assert_eq!(anybody.stories, alone);
    assert!(!anybody.has_own_stories);
}

/// A contract with something of everything.
const WHOLE: &str = include_str!("whole.toml");

#[test]
fn the_service_of_a_whole_contract_is_what_it_says() {
    let service = read(WHOLE).service;
    let shell = "cd app && exec node server.js";
    assert_eq!(
        service.process.command,
        Command::Shell(Template::literal(shell))
    );
    assert_eq!(service.process.directory, Path::new("/srv/shop/backend"));
    assert_eq!(
        service.files[0].path,
        Path::new("/srv/shop/backend/.env.test")
    );
    assert_eq!(service.replicas, 2);
    assert_eq!(service.ready.within, Duration::from_millis(500));
    assert!(service.ready.status.has(404) && !service.ready.status.has(400));
    assert_eq!(
        (service.stop.signal, service.stop.within.as_secs()),
        (Signal::Int, 2)
    );
    let variables = Variables::new().with([
        ("port", "80"),
        ("replica", "1"),
        ("database.user", "u"),
        ("database.password", "p"),
        ("database.host", "h"),
        ("database.port", "5432"),
        ("database.name", "d"),
    ]);
    let dsn = "postgresql+asyncpg://u:p@h:5432/d?ssl=disable";
    let expected = [("PORT", "80"), ("DSN", dsn), ("DEBUG", "false")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    assert_eq!(
        service.process.fill_env(&variables).unwrap(),
        expected.map(owned)
    );
    let beside = &service.auxiliary[0];
    assert_eq!(
        beside.command.fill(&variables).unwrap(),
        ["node", "worker 1.js"]
    );
    let expected = [("DSN", dsn), ("DEBUG", "false"), ("PORT", "0")];
    assert_eq!(beside.fill_env(&variables).unwrap(), expected.map(owned));
}

#[test]
fn the_database_of_a_whole_contract_is_what_it_says() {
    let database = read(WHOLE).database;
    let migrate = &database.migrate[1];
    assert_eq!(
        migrate.command,
        Command::Shell(Template::literal("cd x && y"))
    );
    assert_eq!(migrate.env.last().unwrap().0, "NODE_ENV");
    assert_eq!(migrate.directory, Path::new("/srv/shop/backend"));
    assert_eq!(
        database.sql,
        Some(Seed::File(PathBuf::from("/srv/shop/seed.sql")))
    );
    assert_eq!(database.memory, Memory::Restart);
    assert_eq!(database.calls[0].actor.as_deref(), Some("alice"));
    assert_eq!(database.calls[0].planned.call, "create");
    assert_eq!((database.ignore.len(), database.background.len()), (2, 2));
}

#[test]
fn the_programs_and_invariants_of_a_whole_contract_are_what_it_says() {
    let contract = read(WHOLE);
    assert_eq!(
        (contract.name.as_str(), contract.atomic),
        ("tickets", Atomic::Story)
    );
    let program = &contract.programs[0];
    assert_eq!(program.atomic, Atomic::Call);
    let actors: Vec<_> = program
        .participants
        .iter()
        .map(|it| it.actor.as_str())
        .collect();
    assert_eq!(actors, ["alice", "bob"]);
    assert_eq!(program.participants[0].story, [PlannedCall::of("buy")]);
    assert_eq!(program.participants[1].key.as_deref(), Some("k"));
    assert_eq!(program.refused, ["bob"]);
    assert_eq!(contract.actors[1].stories.len(), 2);
    let predicates = contract.invariants.iter().map(|it| &it.predicate);
    let are_numbers: Vec<_> = predicates
        .map(|it| matches!(it, Predicate::Number { .. }))
        .collect();
    assert_eq!(are_numbers, [false, true]);
    assert_eq!(contract.call("buy").unwrap().rules.len(), 1);
}

#[test]
fn an_actor_has_its_variables_above_those_for_all() {
    let contract = read(WHOLE);
    let shared = contract.shared_variables(&Variables::new()).unwrap();
    let participant = &contract.programs[0].participants[1];
    let bob = contract.actor("bob").unwrap();
    let second = &bob.stories[1][0];
    let bob = bob.fill_variables(&shared).unwrap();
    assert_eq!(bob.get("item"), Some(&1.into()));
    assert_eq!(bob.get("user"), Some(&"bob-0".into()));
    let bob = participant.fill_variables(&bob).unwrap();
    let bob = bob.with([("token", "t"), ("created", "c"), ("cookie.csrftoken", "x")]);
    assert_eq!(
        contract.fill(second, &bob, None).unwrap().path,
        "/items/2/buy"
    );
}

#[test]
fn what_a_contract_leaves_open_is_said() {
    let least = read("[service]\ncommand = \"x\"\n[calls.buy]\npath = \"/buy\"\njson = {}\n");
    insta::assert_snapshot!("left_open_by_the_least", least.left_open().join("\n"));
    insta::assert_snapshot!("left_open_by_a_whole", read(WHOLE).left_open().join("\n"));
}

#[test]
fn what_others_have_is_known_by_their_name() {
    let contract = read(
        r#"
        [service]
        command = "x"
        [calls.sign_up]
        path = "/users"
        json = { name = "${actor}" }
        capture = { id = { json = "$.id" } }
        [calls.give]
        path = "/give"
        json = { to = "${bob.id}" }
        [actors.alice]
        prepare = ["sign_up"]
        story = ["give"]
        [actors.bob]
        prepare = ["sign_up"]
        [[programs]]
        name = "twice"
        rows = "update wallet set balance = 1 where owner = ${alice.id}"
        actors = ["alice", "alice"]
        "#,
    );
    let bob = Variables::new().with([("id", 2)]);
    let mut bob = bob.with([("database.name", "d")]);
    bob.set("actor", "bob");
    let of_bob = bob.of_actor("bob");
    let expected = [("bob.actor", "bob".into()), ("bob.id", 2.into())];
    assert_eq!(
        of_bob,
        expected.map(|(name, value)| (name.to_owned(), value))
    );
    let give = contract.call("give").unwrap();
    let filled = give.fill(&Variables::new().with(of_bob), None).unwrap();
    assert_eq!(filled.body, br#"{"to":2}"#);
}

#[test]
fn stories_that_nobody_wrote_are_only_those_that_can_be_told() {
    let text = r#"
        [service]
        command = "x"
        [calls.checkout]
        path = "/checkout"
        capture = { order = { header = "location" } }
        [calls.confirm]
        path = "${order}/confirm"
        [[programs]]
        name = "both"
        actors = [{ actor = "anybody", story = ["checkout", "confirm"] }]
    "#;
    let contract = read(text);
    assert_eq!(contract.actors[0].stories, [[PlannedCall::of("checkout")]]);
    let (without_program, _) = text.split_once("[[programs]]").unwrap();
    let error = Contract::parse(without_program, "rowlock.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "rowlock.toml:8: calls.confirm.path: `order` is captured by `checkout`, which anybody has \
         not called before"
    );
}

#[test]
fn it_is_found_in_the_directory_or_above_it() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let file = directory.path().join("rowlock.toml");
    std::fs::write(&file, "[service]\ncommand = 1").unwrap();
    assert_eq!(Contract::find(&below).unwrap(), file);
    let error = Contract::read(&file).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("rowlock.toml:2: service.command"),
        "{error}"
    );
    let here = "[service]\ncommand = \"x ${env.ROWLOCK_NONE} ${env.ROWLOCK_NONE:-a}\"\ndirectory = \"a\"\n";
    let rest = "[database]\nsql_file = \"none.sql\"\n[calls.buy]\npath = \"/\"\n";
    std::fs::write(&file, format!("{here}{rest}")).unwrap();
    let error = Contract::read(&file).unwrap_err().to_string();
    let path = directory.path().join("none.sql");
    assert!(error.ends_with(&format!(
        ":5: database.sql_file: there is no {}",
        path.display()
    )));
    std::fs::write(&path, "").unwrap();
    let error = Contract::read(&file).unwrap_err().to_string();
    assert!(error.ends_with(
        ":2: service.command: the environment has no `ROWLOCK_NONE`; `${env.ROWLOCK_NONE:-TEXT}` is \
         TEXT where it has none"
    ));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(
        Contract::find(&below),
        Err(ContractError::NotFound { .. })
    ));
    assert!(matches!(
        Contract::read(&file),
        Err(ContractError::Unreadable { .. })
    ));
}

//! The page of the book on contracts says what is so.

use std::collections::BTreeSet;

use rowlock_contract::{Contract, ContractError};

const PAGE: &str = include_str!("../../../docs/src/contract.md");

/// The blocks of code of that kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    let blocks = PAGE.split(fence.as_str()).skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect()
}

fn read(text: &str) -> Result<Contract, ContractError> {
    Contract::parse(text, "rowlock.toml")
}

#[test]
fn every_example_is_a_right_contract() {
    let examples = blocks("toml");
    assert!(examples.len() > 5);
    for example in examples {
        if let Err(error) = read(example) {
            panic!("{error}\n{example}");
        }
    }
}

#[test]
fn a_contract_for_a_small_service_is_short() {
    let small = blocks("toml")[1];
    assert!(small.lines().count() <= 25);
    assert_eq!(read(small).map(|it| it.actors.len()).ok(), Some(2));
}

#[test]
fn the_mistake_that_it_shows_is_told_so() {
    let mistaken = blocks("toml")[0].replacen("path", "pth", 1);
    let Err(error) = read(&mistaken) else {
        panic!("a call without a path is a mistake");
    };
    let shown = blocks("console")[0].trim_end();
    assert!(
        error.to_string().lines().any(|line| line == shown),
        "{error}"
    );
}

/// The keys that a mistyped one is told of, in each place that has keys of its own.
#[test]
fn every_key_is_on_the_page() {
    let wrong = "zzz = 1\n[service]\nzzz = 1\nready = { zzz = 1 }\nstop = { zzz = 1 }\nfiles = [{ zzz = 1 }]\n\
        auxiliary = [{ zzz = 1 }]\n[database]\nzzz = 1\nbackground = [{ zzz = 1 }]\ncalls = [{ zzz = 1 }]\n\
        [calls.a]\nzzz = 1\npath = \"/\"\ngraphql = { zzz = 1 }\nanswers = [{ zzz = 1, all = [{ zzz = 1 }] }]\n\
        capture = { a = { zzz = 1 } }\n[actors.b]\nprepare = [{ zzz = 1 }]\n\
        [[programs]]\nzzz = 1\nactors = [{ zzz = 1 }]\n[[invariants]]\nzzz = 1\n";
    let Err(ContractError::Invalid { problems, .. }) = read(wrong) else {
        panic!("all of these keys are mistakes");
    };
    let lists = problems
        .iter()
        .filter_map(|it| it.message.split_once("allowed: "));
    let lists: Vec<_> = lists.map(|(_, list)| list).collect();
    assert_eq!(lists.len(), wrong.matches("zzz").count(), "{problems:#?}");
    let keys: BTreeSet<_> = lists.iter().flat_map(|list| list.split(", ")).collect();
    let not_said: Vec<_> = keys.into_iter().filter(|key| !is_said(key)).collect();
    assert!(not_said.is_empty(), "not on the page: {not_said:?}");
}

/// Whether the page has a key as code or at the beginning of an example's line.
fn is_said(key: &str) -> bool {
    let written = [
        format!("`{key}`"),
        format!("\n{key} = "),
        format!("\n[{key}]"),
        format!("\n[[{key}]]"),
        format!("\n[{key}."),
        format!("{{ {key} = "),
        format!(", {key} = "),
        format!(", {key},"),
    ];
    written.iter().any(|written| PAGE.contains(written))
}

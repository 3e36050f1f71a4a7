//! What holds of any text, any answer and any contract that somebody has broken.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use rowlock_contract::expression::{Expression, Number};
use rowlock_contract::json_path::JsonPath;
use rowlock_contract::{Contract, CookieJar, Template, Variables, classify};
use rowlock_core::call::Reply;
use rowlock_testing::seed::for_all;

/// A contract with something of everything.
const WHOLE: &str = include_str!("whole.toml");

/// What contracts, templates and expressions are made of.
const PIECES: &[&str] = &[
    "${", "}", "$${", "$", ":-", "a", "item", "[", "]", "[[", "]]", "{", "}", "\"", "'", "\n", "=",
    " = ", ".", ",", "#", "\\", "calls", "service", "command", "1", "-", "(", ")", "ok", "before",
    "==", "$.a", "[*]", "[-1]", "é", "\u{0}", "1e9", "true", "\"\"\"", "/",
];

fn piece() -> impl Strategy<Value = String> {
    proptest::sample::select(PIECES).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        vec(piece(), 0..20).prop_map(|pieces| pieces.concat()),
    ]
}

/// Replaces a few places of a text.
fn broken(whole: &str, changes: &[(prop::sample::Index, usize, String)]) -> String {
    let mut letters: Vec<char> = whole.chars().collect();
    for (at, length, piece) in changes {
        let at = at.index(letters.len() + 1);
        let end = letters.len().min(at + length);
        letters.splice(at..end, piece.chars());
    }
    letters.into_iter().collect()
}

fn reply() -> impl Strategy<Value = Reply> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..40),
        text().prop_map(String::into_bytes),
        Just(br#"{"errors": [{"message": "x"}], "order": {"id": 1}}"#.to_vec()),
        Just(br#"{"errors": null, "detail": []}"#.to_vec()),
    ];
    let name = prop_oneof![Just("location"), Just("set-cookie"), Just("x")];
    let headers = vec((name.prop_map(str::to_owned), text()), 0..4);
    (any::<u16>(), headers, body).prop_map(|(status, headers, body)| Reply {
        status,
        headers,
        body,
    })
}

#[test]
fn a_template_of_a_literal_is_that_literal() {
    for_all(1000, &text(), |text| {
        let template = Template::literal(text.as_str());
        prop_assert_eq!(template.fill(&Variables::new()), Ok(text.clone()));
        prop_assert_eq!(Template::parse(&template.to_string()), Ok(template));
        Ok(())
    });
}

#[test]
fn a_template_is_read_again_as_it_is_written() {
    for_all(1000, &text(), |text| {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(&template.to_string(), &text);
        }
        Ok(())
    });
}

#[test]
fn any_answer_means_something_and_none_breaks_anything() {
    let contract = Contract::parse(WHOLE, "rowlock.toml").unwrap_or_else(|it| panic!("{it}"));
    for_all(1000, &reply(), |reply| {
        let mut jar = CookieJar::new();
        jar.take("/a/b", &reply, std::time::SystemTime::UNIX_EPOCH);
        let _ = jar.header("/a/b/c");
        for call in &contract.calls {
            let completion = classify(call, Ok(&reply));
            let again = serde_json::to_string(&completion).unwrap();
            prop_assert_eq!(serde_json::from_str(&again).ok(), Some(completion));
            let _ = call.capture(&reply);
        }
        Ok(())
    });
}

#[test]
fn any_text_is_read_or_is_a_mistake() {
    for_all(1000, &text(), |text| {
        let _ = Contract::parse(&text, "rowlock.toml");
        let _ = Expression::parse(&text);
        let _ = JsonPath::new(&text);
        let _ = text.parse::<Number>();
        Ok(())
    });
}

#[test]
fn a_broken_contract_is_read_or_its_mistakes_are_lines_of_it() {
    let change = (any::<prop::sample::Index>(), 0..10_usize, piece());
    for_all(1000, &vec(change, 1..4), |changes| {
        let text = broken(WHOLE, &changes);
        if let Err(error) = Contract::parse(&text, "rowlock.toml") {
            let rowlock_contract::ContractError::Invalid { problems, .. } = error else {
                return Err(TestCaseError::fail(
                    "only reading a file can fail otherwise",
                ));
            };
            let lines = text.lines().count() + 1;
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|it| (1..=lines).contains(&it.line)));
        }
        Ok(())
    });
}

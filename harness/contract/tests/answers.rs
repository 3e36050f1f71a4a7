//! What answers of real services mean: each rule with an answer that it is for, and one that it is not.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use rowlock_contract::{CallSpec, Contract, Meaning, classify};
use rowlock_core::answer::{Ending, Unknown};
use rowlock_core::call::{NoReply, Reply};

/// A call whose answers have these rules.
fn call(rules: &str) -> CallSpec {
    let text = format!(
        "[service]\ncommand = \"x\"\n[calls.buy]\npath = \"/buy\"\nanswers = [\n{rules}\n]\n"
    );
    let contract = Contract::parse(&text, "rowlock.toml");
    let contract = contract.unwrap_or_else(|error| panic!("{error}"));
    contract.call("buy").unwrap().clone()
}

fn reply(status: u16, location: &str, body: &str) -> Reply {
    let headers = match location {
        "" => Vec::new(),
        location => vec![("location".to_owned(), location.to_owned())],
    };
    Reply {
        status,
        headers,
        body: body.as_bytes().to_vec(),
    }
}

/// What such an answer means, and why: `refused: sold_out`.
fn means(call: &CallSpec, status: u16, location: &str, body: &str) -> String {
    classify(call, Ok(&reply(status, location, body))).to_string()
}

#[test]
fn without_a_rule_the_status_has_its_say() {
    let call = call("");
    let statuses = [
        (200, Meaning::Ok),
        (204, Meaning::Ok),
        (302, Meaning::Ok),
        (400, Meaning::Refused),
        (404, Meaning::Refused),
        (409, Meaning::Conflict),
        (423, Meaning::Conflict),
        (429, Meaning::Conflict),
        (500, Meaning::Unknown),
        (503, Meaning::Busy),
        (504, Meaning::Unknown),
        (520, Meaning::Unknown),
    ];
    for (status, expected) in statuses {
        let completion = classify(&call, Ok(&reply(status, "", "")));
        assert_eq!(completion.means, expected, "{status}");
        let ending = match expected {
            Meaning::Ok => Ending::Ok,
            Meaning::Refused | Meaning::Invalid => Ending::Refused,
            Meaning::Conflict | Meaning::Busy => Ending::GaveWay,
            Meaning::Unknown => Ending::Unknown(Unknown::ServerError),
        };
        assert_eq!(completion.ending, ending, "{status}");
    }
}

#[test]
fn no_answer_is_unknown_unless_the_call_was_never_sent() {
    let call = call("{ means = \"ok\" }");
    let lost = classify(&call, Err(NoReply::Unknown(Unknown::TimedOut)));
    assert_eq!(lost.ending, Ending::Unknown(Unknown::TimedOut));
    assert_eq!(lost.to_string(), "unknown (timed out)");
    assert_eq!(
        classify(&call, Err(NoReply::NotSent)).ending,
        Ending::GaveWay
    );
}

#[test]
fn graphql_says_everything_with_200() {
    let call = call(
        r#"{ json = "$.errors[*].extensions.code", equals = "SOLD_OUT", means = "refused", reason = "sold_out" },
           { json = "$.errors[*].message", matches = "(?i)could not serialize", means = "conflict" },
           { json = "$.errors", means = "refused", reason = { json = "$.errors[0].message" } },
           { json = "$.data.buy", type = "object", means = "ok" },
           { means = "unknown" },"#,
    );
    let ok = r#"{"data": {"buy": {"id": 1}}, "errors": null}"#;
    assert_eq!(means(&call, 200, "", ok), "ok");
    let sold_out = r#"{"errors": [{}, {"extensions": {"code": "SOLD_OUT"}}], "data": null}"#;
    assert_eq!(means(&call, 200, "", sold_out), "refused: sold_out");
    let conflict = r#"{"errors": [{"message": "Could not serialize access"}]}"#;
    assert_eq!(means(&call, 200, "", conflict), "conflict");
    let other = r#"{"errors": [{"message": "no money"}]}"#;
    assert_eq!(means(&call, 200, "", other), "refused: no money");
    assert_eq!(
        means(&call, 200, "", r#"{"data": {"buy": null}}"#),
        "unknown (server error)"
    );
}

#[test]
fn a_redirect_means_what_it_leads_to() {
    let call = call(
        r#"{ status = 302, header = "Location", matches = "^/thank-you/", means = "ok" },
           { status = 302, header = "location", equals = "/basket/", means = "refused", reason = "sold_out" },
           { status = "3xx", header = "location", exists = false, means = "unknown" }"#,
    );
    assert_eq!(means(&call, 302, "/thank-you/7", ""), "ok");
    assert_eq!(means(&call, 302, "/basket/", ""), "refused: sold_out");
    assert_eq!(means(&call, 303, "", ""), "unknown (server error)");
    assert_eq!(means(&call, 303, "/basket/", ""), "ok");
}

#[test]
fn a_status_of_its_own_is_a_refusal_where_the_contract_says_so() {
    let call = call(r#"{ status = 520, means = "refused", reason = "insufficient_balance" }"#);
    assert_eq!(means(&call, 520, "", ""), "refused: insufficient_balance");
    assert_eq!(means(&call, 521, "", ""), "unknown (server error)");
}

#[test]
fn one_status_for_two_things_is_told_apart_by_its_body() {
    let call = call(
        r#"{ status = 422, json = "$.detail", type = "array", means = "invalid" },
           { status = 422, json = "$.detail", contains = "limit", means = "refused", reason = "limit" },
           { status = [422, 400], contains = "<b>sold out</b>", means = "refused", reason = "sold_out" },
           { status = 422, means = "refused" }"#,
    );
    let invalid = r#"{"detail": [{"loc": ["body", "valor"], "msg": "field required"}]}"#;
    assert_eq!(means(&call, 422, "", invalid), "invalid");
    assert_eq!(
        means(&call, 422, "", r#"{"detail": "limit exceeded"}"#),
        "refused: limit"
    );
    assert_eq!(
        means(&call, 400, "", "<p><b>sold out</b>"),
        "refused: sold_out"
    );
    assert_eq!(means(&call, 422, "", "<p>?"), "refused");
    assert_eq!(means(&call, 400, "", "<p>?"), "refused");
}

/// Conditions, each with a body that it is for, and one that it is not.
const OPERATORS: &[(&str, &str, &str)] = &[
    (
        r#"json = "$.a", equals = "x""#,
        r#"{"a": "x"}"#,
        r#"{"a": "xy"}"#,
    ),
    (
        r#"json = "$.a", equals = 20"#,
        r#"{"a": 20.0}"#,
        r#"{"a": "20"}"#,
    ),
    (
        r#"json = "$.a", equals = true"#,
        r#"{"a": true}"#,
        r#"{"a": 1}"#,
    ),
    (
        r#"json = "$.a", equals = [1, { b = 2 }]"#,
        r#"{"a": [1, {"b": 2}]}"#,
        r#"{"a": [1]}"#,
    ),
    (
        r#"json = "$.a", contains = "x""#,
        r#"{"a": "axb"}"#,
        r#"{"a": "ab"}"#,
    ),
    (
        r#"json = "$.a", contains = 1"#,
        r#"{"a": [0, 1]}"#,
        r#"{"a": [0]}"#,
    ),
    (
        r#"json = "$.a", matches = "^x+$""#,
        r#"{"a": "xx"}"#,
        r#"{"a": "xy"}"#,
    ),
    (
        r#"json = "$.a", exists = true"#,
        r#"{"a": false}"#,
        r#"{"a": null}"#,
    ),
    (
        r#"json = "$.a", exists = false"#,
        r#"{"b": 1}"#,
        r#"{"a": 0}"#,
    ),
    (
        r#"json = "$.a", type = "integer""#,
        r#"{"a": 1}"#,
        r#"{"a": 1.5}"#,
    ),
    (
        r#"json = "$.a", type = "null""#,
        r#"{"a": null}"#,
        r#"{"b": 1}"#,
    ),
    (r#"json = "$.a""#, r#"{"a": 1}"#, "no JSON"),
    (r#"equals = 20"#, "20", "20 "),
    (r#"contains = "sold""#, "is sold out", "is out"),
    (r#"matches = "(?i)SOLD""#, "sold", "so"),
    (r#"exists = false"#, "", "x"),
    (
        r#"all = [{ contains = "a" }, { contains = "b" }]"#,
        "ab",
        "a",
    ),
    (r#"contains = "a", all = [{ contains = "b" }]"#, "ba", "b"),
];

#[test]
fn each_operator_has_an_answer_that_it_is_for_and_one_that_it_is_not() {
    for (operator, is_for, is_not) in OPERATORS {
        let call = call(&format!(
            "{{ {operator}, means = \"refused\", reason = \"it\" }}"
        ));
        assert_eq!(
            means(&call, 200, "", is_for),
            "refused: it",
            "{operator}: {is_for}"
        );
        assert_eq!(means(&call, 200, "", is_not), "ok", "{operator}: {is_not}");
    }
}

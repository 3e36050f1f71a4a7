//! Calls with their variables filled in, and what their answers set.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use rowlock_contract::{CallSpec, Contract, Variables};
use rowlock_core::call::{Call, Reply};

/// The call that these entries describe; its variables are those of nobody.
fn call(entries: &str) -> CallSpec {
    let text = format!(
        "[service]\ncommand = \"x\"\n[variables]\nuser = \"a b\"\nitem = 7\ntoken = \"t\"\n\
         [calls.buy]\n{entries}\n"
    );
    let contract = Contract::parse(&text, "rowlock.toml");
    let contract = contract.unwrap_or_else(|error| panic!("{error}"));
    contract.call("buy").unwrap().clone()
}

fn variables() -> Variables {
    let variables = Variables::new().with([("user", "a b"), ("token", "t")]);
    variables.with([("item", 7)])
}

fn filled(entries: &str) -> Call {
    call(entries).fill(&variables(), None).unwrap()
}

fn body(entries: &str) -> String {
    String::from_utf8(filled(&format!("path = \"/\"\n{entries}")).body).unwrap()
}

fn header<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
    let named = call.headers.iter().find(|(header, _)| header == name);
    named.map(|(_, value)| value.as_str())
}

#[test]
fn each_body_is_written_as_services_read_it() {
    let json =
        r#"json = { id = "${item}", text = "no ${item}", at = 2026-01-02, list = [1.5, true] }"#;
    let expected = r#"{"at":"2026-01-02","id":7,"list":[1.5,true],"text":"no 7"}"#;
    assert_eq!(body(json), expected);
    assert_eq!(body("json = [\"${item}\"]"), "[7]");
    let form = r#"form = { user = "${user}", tag = ["x", "y"], n = 1 }"#;
    assert_eq!(body(form), "user=a+b&tag=x&tag=y&n=1");
    assert_eq!(
        body(r#"text = "<buy item=\"${item}\"/>""#),
        "<buy item=\"7\"/>"
    );
    let graphql = r#"graphql = { query = "mutation($id: ID!) { buy(id: $id) }", operation = "Buy", variables = { id = "${item}" } }"#;
    let expected = r#"{"operationName":"Buy","query":"mutation($id: ID!) { buy(id: $id) }","variables":{"id":7}}"#;
    assert_eq!(body(graphql), expected);
}

#[test]
fn the_content_type_is_the_bodys_unless_a_header_says_otherwise() {
    let of = |entries: &str| {
        let call = filled(&format!("path = \"/\"\n{entries}"));
        header(&call, "content-type").map(str::to_owned)
    };
    assert_eq!(of(""), None);
    assert_eq!(of("json = {}").as_deref(), Some("application/json"));
    let form = "application/x-www-form-urlencoded";
    assert_eq!(of("form = {}").as_deref(), Some(form));
    let xml = "text = \"<a/>\"\nheaders = { Content-Type = \"text/xml\" }";
    assert_eq!(of(xml).as_deref(), Some("text/xml"));
}

#[test]
fn a_path_has_its_query_and_what_variables_bring_stays_in_its_place() {
    let path = |entries: &str| filled(entries).path;
    assert_eq!(path(r#"path = "/users/${user}/buy""#), "/users/a%20b/buy");
    let query = r#"query = { user = "${user}", n = 1 }"#;
    assert_eq!(path(&format!("path = \"/a\"\n{query}")), "/a?user=a+b&n=1");
    assert_eq!(
        path(&format!("path = \"/a?b=c\"\n{query}")),
        "/a?b=c&user=a+b&n=1"
    );
}

#[test]
fn a_key_is_sent_in_its_header_or_as_a_variable() {
    let in_header = call("path = \"/\"\njson = {}\nidempotency_key = \"Idempotency-Key\"");
    let with_key = in_header.fill(&variables(), Some("k1")).unwrap();
    assert_eq!(header(&with_key, "idempotency-key"), Some("k1"));
    let without = in_header.fill(&variables(), None).unwrap();
    assert_eq!(header(&without, "idempotency-key"), None);
    let in_body = call("path = \"/\"\njson = { request = \"${key}\" }");
    let with_key = in_body.fill(&variables(), Some("k1")).unwrap();
    assert_eq!(with_key.body, br#"{"request":"k1"}"#);
    assert!(in_header.takes_key() && in_body.takes_key());
    assert!(!call("path = \"/\"").takes_key());
}

#[test]
fn what_is_missing_or_unfit_says_where_it_is() {
    let error = |entries: &str, variables: &Variables| {
        call(entries).fill(variables, None).unwrap_err().to_string()
    };
    let headers = "path = \"/\"\nheaders = { Authorization = \"Bearer ${token}\" }";
    assert_eq!(
        error(headers, &Variables::new()),
        "call `buy`, header `authorization`: no variable `token`, which `Bearer ${token}` needs"
    );
    let broken = Variables::new().with([("token", "a\r\nhost: b")]);
    assert_eq!(
        error(headers, &broken),
        "call `buy`, header `authorization`: \"Bearer a\\r\\nhost: b\" has a control character in it"
    );
    assert_eq!(
        error("path = \"${token}\"", &variables()),
        "call `buy`, path: \"t\" does not begin with `/`"
    );
}

#[test]
fn what_must_fit_a_serial_order_is_only_what_the_contract_names() {
    let named = call("path = \"/\"\ncompare = [\"$.balance\", \"$.lines[*].id\", \"$.none\"]");
    let reply = |body: &str| Reply {
        status: 200,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    };
    let answer = reply(r#"{"balance": "1.50", "lines": [{"id": 1}, {"id": 2}], "at": 7}"#);
    assert_eq!(named.compared(&answer), ["\"1.50\"", "1, 2", ""]);
    assert_eq!(named.compared(&reply("<html>")), ["", "", ""]);
    assert_eq!(call("path = \"/\"").compared(&answer), [""; 0]);
}

#[test]
fn an_answer_sets_what_is_captured_and_one_without_it_says_what_it_was() {
    let call = call(
        "path = \"/\"\ncapture = { order = { json = \"$.order.id\" }, \
         no = { json = \"$.order.id\", type = \"text\" }, at = { header = \"Location\" } }",
    );
    let reply = Reply {
        status: 201,
        headers: vec![("location".to_owned(), "/orders/9".to_owned())],
        body: br#"{"order": {"id": 9}}"#.to_vec(),
    };
    let captured = call.capture(&reply).unwrap();
    let order = [
        ("order", 9.into()),
        ("no", "9".into()),
        ("at", "/orders/9".into()),
    ];
    assert_eq!(
        captured,
        order.map(|(name, value)| (name.to_owned(), value))
    );
    let page = Reply {
        body: b"<html>".to_vec(),
        ..reply
    };
    assert_eq!(
        call.capture(&page).unwrap_err().to_string(),
        "`order` is not in the answer: no JSON at `$.order.id`; it was 201 to /orders/9: <html>"
    );
}

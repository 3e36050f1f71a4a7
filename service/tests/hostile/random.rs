//! Random requests against the strict reader, made by proptest from a fixed seed.
//!
//! Each is nearly a purchase, or nearly something else that the service answers. What comes back
//! is documented, or the closing of a connection whose bytes were no HTTP; it is never a server
//! error, and only what is exactly an order buys.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use super::RANDOM_ORDER;
use super::common::client::{DOCUMENT, parse_answer};
use super::common::{BOUND, order};

const THREADS: u32 = 4;

#[derive(Debug, Clone)]
struct RandomRequest {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// What the head says of the body's length, where that is a lie.
    length: Option<usize>,
}

impl RandomRequest {
    fn bytes(&self) -> Vec<u8> {
        let Self { method, target, .. } = self;
        let length = self.length.unwrap_or(self.body.len());
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
             content-length: {length}\r\n"
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// Whether it is an order and nothing else, by rules of this test's own.
    fn is_order(&self) -> bool {
        let is_json = |(name, value): &&(String, String)| {
            name == "content-type" && value.starts_with("application/json")
        };
        let order: Option<Value> = serde_json::from_slice(&self.body).ok();
        let members = order.as_ref().and_then(Value::as_object);
        self.method == "POST"
            && self.target.trim_end_matches('/') == "/api/purchase"
            && self.headers.iter().filter(is_json).count() == 1
            && members.is_some_and(|members| {
                members.len() == 2 && members["user_id"].is_i64() && members["item_id"].is_i64()
            })
    }
}

/// Sends `count` random requests, and says how many purchases they made.
pub(super) fn send(address: SocketAddr, count: u32) -> usize {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || send_some(address, count / THREADS, thread as u8)))
            .collect();
        let bought = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        // A key may have come twice, and its receipt with it.
        bought.collect::<BTreeSet<_>>().len()
    })
}

fn send_some(address: SocketAddr, count: u32, thread: u8) -> Vec<i64> {
    let config = Config {
        cases: count,
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [42; 32];
    seed[0] = thread;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let bought = RefCell::new(Vec::new());
    let run = TestRunner::new_with_rng(config, rng).run(&request(), |request| {
        bought.borrow_mut().extend(send_one(address, &request)?);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    bought.into_inner()
}

/// The purchase of which it got a receipt.
fn send_one(address: SocketAddr, request: &RandomRequest) -> Result<Option<i64>, TestCaseError> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    // The service may close before it has read it all.
    stream.write_all(&request.bytes()).ok();
    if request
        .length
        .is_some_and(|length| length > request.body.len())
    {
        // Or it would wait for the rest.
        stream.shutdown(Shutdown::Write).ok();
    }
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        let is_reset = error.kind() == std::io::ErrorKind::ConnectionReset;
        prop_assert!(is_reset, "no answer: {error}");
    }
    let Some(answer) = parse_answer(&bytes) else {
        prop_assert!(
            request.length.is_some(),
            "a whole request without an answer"
        );
        return Ok(None);
    };
    // A read may be told to come again: reads have few connections.
    prop_assert!(answer.status < 500 || answer.code() == "busy", "{answer:?}");
    let is_refused_by_hyper = matches!(answer.status, 400 | 431) && answer.body.is_null();
    if !is_refused_by_hyper {
        let found = DOCUMENT.find(&request.method, &request.target, &answer);
        prop_assert!(found.is_ok(), "{found:?}: {answer:?}");
    }
    let bought = answer.body["purchase_id"].as_i64();
    prop_assert!(
        bought.is_none() || request.is_order(),
        "it bought: {answer:?}"
    );
    Ok(bought)
}

fn request() -> impl Strategy<Value = RandomRequest> {
    let length = prop_oneof![9 => Just(None), 1 => (0..6_000_usize).prop_map(Some)];
    (method(), target(), headers(), body(), length).prop_map(
        |(method, target, headers, body, length)| RandomRequest {
            method,
            target,
            headers,
            length: length.filter(|length| *length != body.len()),
            body,
        },
    )
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just("POST".to_owned()),
        2 => Just("GET".to_owned()),
        1 => prop_oneof!["HEAD", "PUT", "OPTIONS", "TRACE", "[A-Z]{1,9}"],
    ]
}

fn target() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "/api/purchase",
        "/api/items",
        "/api/items?after=1",
        "/api/items/2",
        "/api/wallets/2",
        "/healthz",
        "/metrics",
    ]);
    prop_oneof![
        8 => Just("/api/purchase/".to_owned()),
        3 => known.prop_map(str::to_owned),
        1 => "/api/(items|wallets)/[!-~&&[^?#/]]{1,30}",
        1 => "/api/items\\?[!-~&&[^#]]{0,30}",
        1 => "/[!-~&&[^?#]]{0,40}",
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let own = |name: &str| name.to_owned();
    let json = Just((own("content-type"), own("application/json")));
    let other_type = "[ -~]{0,40}".prop_map(move |value| (own("content-type"), value));
    let key = "[ -~]{0,20}|k{250,260}".prop_map(move |value| (own("idempotency-key"), value));
    let id = "[ -~]{0,140}".prop_map(move |value| (own("x-request-id"), value));
    let any = ("x-[a-z-]{1,20}", "[ -~]{0,60}");
    let more = prop::collection::vec(prop_oneof![other_type, key, id, any], 0..2);
    (prop::option::weighted(0.9, json), more)
        .prop_map(|(json, more)| json.into_iter().chain(more).collect())
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let (user_id, item_id) = RANDOM_ORDER;
    let right = order(user_id, item_id).into_bytes();
    let number = prop_oneof![
        "-?[0-9]{1,22}",
        "[0-9]\\.[0-9]",
        "[0-9]e[0-9]",
        "\"[0-9]\"",
        "null"
    ];
    let wrong_numbers = (number.clone(), number).prop_map(|(user, item)| {
        format!(r#"{{"user_id": {user}, "item_id": {item}}}"#).into_bytes()
    });
    let changed = (
        Just(right.clone()),
        any::<prop::sample::Index>(),
        any::<u8>(),
    )
        .prop_map(|(mut body, index, byte)| {
            let index = index.index(body.len());
            body[index] = byte;
            body
        });
    let padded = (Just(right.clone()), 0..5_000_usize)
        .prop_map(|(body, spaces)| [body, vec![b' '; spaces]].concat());
    prop_oneof![
        2 => Just(right),
        3 => changed,
        3 => wrong_numbers,
        1 => padded,
        1 => "[\\[{\":,0-9a-z\\]}]{0,80}".prop_map(String::into_bytes),
        1 => (0..4_096_usize).prop_map(|depth| vec![b'['; depth]),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ]
}

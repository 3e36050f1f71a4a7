//! An HTTP client that can send what a well-behaved one would not.

use std::net::SocketAddr;
use std::sync::LazyLock;

use axum::http::HeaderName;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::interface::Interface;
use super::{BOUND, order};

/// What the service documents with a gateway, which is all that it documents without, and more.
pub static DOCUMENT: LazyLock<Interface> = LazyLock::new(|| {
    let header = HeaderName::from_static("x-user-id");
    let document = purchase_service::openapi::document(Some(&header));
    Interface::of(serde_json::from_slice(&document).unwrap())
});

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// `Null` where there is no body, a text where it is not JSON.
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(each, _)| each == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Asserts a whole problem: RFC 9457's members, and what each status must bring.
    pub fn assert_problem(&self, status: u16, code: &str, what: &str) {
        assert_eq!(
            (self.status, self.code()),
            (status, code),
            "{what}: {self:?}"
        );
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{what}"
        );
        assert_eq!(self.body["status"], status, "{what}");
        for member in ["type", "title", "detail"] {
            assert!(
                self.body[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{self:?}"
            );
        }
        assert_eq!(
            self.header("retry-after").is_some(),
            status == 503,
            "{what}: {self:?}"
        );
        assert_eq!(
            self.header("allow").is_some(),
            status == 405,
            "{what}: {self:?}"
        );
        assert_eq!(
            self.header("www-authenticate").is_some(),
            status == 401,
            "{what}: {self:?}"
        );
    }
}

pub async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, &request("GET", path, &[], None)).await
}

pub async fn buy(address: SocketAddr, user_id: i64, item_id: i64, key: Option<&str>) -> Answer {
    send(address, &purchase_request(user_id, item_id, key)).await
}

pub fn purchase_request(user_id: i64, item_id: i64, key: Option<&str>) -> Vec<u8> {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let body = order(user_id, item_id);
    request("POST", "/api/purchase/", &headers, Some(body.as_bytes()))
}

/// The bytes of a request after which the server closes.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body.unwrap_or_default()].concat()
}

/// Sends bytes and reads the answer to its end. It must be one that the service documents.
pub async fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses a long request early may close before it has read it all.
    stream.write_all(request).await.ok();
    let answer = read_answer(&mut stream).await;
    let head = String::from_utf8_lossy(request);
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    if let Err(error) = DOCUMENT.find(method, target, &answer) {
        panic!("{error}: {answer:?}");
    }
    answer
}

pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let read = timeout(BOUND, stream.read_to_end(&mut bytes))
        .await
        .expect("an answer in time");
    parse_answer(&bytes).unwrap_or_else(|| panic!("no answer: {read:?} {bytes:?}"))
}

/// Reads an answer from its bytes; none where its head is not whole.
pub fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let answer = String::from_utf8_lossy(bytes);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let headers: Vec<_> = lines.map(header).collect();
    let is_json = headers
        .iter()
        .any(|(name, value)| name == "content-type" && value.ends_with("json"));
    let body = match body {
        "" => Value::Null,
        body if is_json => serde_json::from_str(body).unwrap(),
        body => body.into(),
    };
    Some(Answer {
        status,
        headers,
        body,
    })
}

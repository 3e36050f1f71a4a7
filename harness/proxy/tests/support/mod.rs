//! A client that speaks the protocol byte by byte, and the proxies that tests put before a server.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use rowlock_postgres::Database;
use rowlock_proxy::{Address, Proxy};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for something that must happen.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// A proxy before the server of this database, by TCP.
pub(crate) async fn proxy_of(database: &Database) -> Proxy {
    Proxy::start(Address::of_url(&database.url()).unwrap())
        .await
        .unwrap()
}

pub(crate) fn options(url: &str) -> PgConnectOptions {
    PgConnectOptions::from_str(url).unwrap()
}

pub(crate) fn socket_address(url: &str) -> SocketAddr {
    let options = options(url);
    SocketAddr::from_str(&format!("{}:{}", options.get_host(), options.get_port())).unwrap()
}

/// A message with its type byte.
pub(crate) type Message = (u8, Vec<u8>);

/// A connection that shows what is on the wire.
#[derive(Debug)]
pub(crate) struct RawClient {
    pub(crate) stream: TcpStream,
    pub(crate) pid: i32,
    pub(crate) cancel_key: Vec<u8>,
}

impl RawClient {
    pub(crate) async fn connect(url: &str) -> Self {
        let options = options(url);
        let mut stream = TcpStream::connect(socket_address(url)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let parameters = format!(
            "user\0{}\0database\0{}\0\0",
            options.get_username(),
            options.get_database().unwrap()
        );
        let mut packet = (parameters.len() as u32 + 8).to_be_bytes().to_vec();
        packet.extend_from_slice(&196_608u32.to_be_bytes());
        packet.extend_from_slice(parameters.as_bytes());
        stream.write_all(&packet).await.unwrap();
        let mut client = Self {
            stream,
            pid: 0,
            cancel_key: Vec::new(),
        };
        for (tag, body) in client.until_ready().await {
            if tag == b'K' {
                client.pid = i32::from_be_bytes(body[..4].try_into().unwrap());
                client.cancel_key = body;
            }
        }
        client
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message, or nothing if the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let read = async {
            let tag = self.stream.read_u8().await.ok()?;
            let length = self.stream.read_u32().await.ok()?;
            let mut body = vec![0; length as usize - 4];
            self.stream.read_exact(&mut body).await.ok()?;
            Some((tag, body))
        };
        tokio::time::timeout(BOUND, read)
            .await
            .expect("a message within the bound")
    }

    /// The messages up to and with the next one of this type, or to the connection's end.
    pub(crate) async fn until(&mut self, last: u8) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await {
            let is_last = message.0 == last;
            messages.push(message);
            if is_last {
                break;
            }
        }
        messages
    }

    pub(crate) async fn until_ready(&mut self) -> Vec<Message> {
        self.until(b'Z').await
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send(&query(sql)).await;
        self.until_ready().await
    }
}

/// Sends a CancelRequest and waits until its connection is closed.
pub(crate) async fn cancel(url: &str, key: &[u8]) {
    let mut stream = TcpStream::connect(socket_address(url)).await.unwrap();
    let mut packet = (key.len() as u32 + 8).to_be_bytes().to_vec();
    packet.extend_from_slice(&80_877_102u32.to_be_bytes());
    packet.extend_from_slice(key);
    stream.write_all(&packet).await.unwrap();
    let ended = tokio::time::timeout(BOUND, stream.read(&mut [0; 1])).await;
    assert_eq!(ended.expect("an end within the bound").unwrap_or(0), 0);
}

/// The SQLSTATE in an ErrorResponse.
pub(crate) fn sqlstate(messages: &[Message]) -> Option<String> {
    let (_, body) = messages.iter().find(|(tag, _)| *tag == b'E')?;
    let field = body
        .split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&b'C'))?;
    Some(String::from_utf8(field[1..].to_vec()).unwrap())
}

/// The type bytes of messages, as text.
pub(crate) fn tags(messages: &[Message]) -> String {
    messages.iter().map(|(tag, _)| char::from(*tag)).collect()
}

pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

pub(crate) fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// A Bind to the unnamed portal, its values as text.
pub(crate) fn bind(statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = format!("\0{statement}\0").into_bytes();
    body.extend_from_slice(&0u16.to_be_bytes());
    body.extend_from_slice(&(values.len() as u16).to_be_bytes());
    for value in values {
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(&0u16.to_be_bytes());
    message(b'B', &body)
}

pub(crate) fn describe_statement(name: &str) -> Vec<u8> {
    message(b'D', format!("S{name}\0").as_bytes())
}

pub(crate) fn execute() -> Vec<u8> {
    message(b'E', b"\0\0\0\0\0")
}

pub(crate) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub(crate) fn flush() -> Vec<u8> {
    message(b'H', b"")
}

/// Parse, Bind and Execute of one statement, without a Sync.
pub(crate) fn extended(sql: &str, values: &[&str]) -> Vec<u8> {
    [parse("", sql), bind("", values), execute()].concat()
}

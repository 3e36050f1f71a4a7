//! Clients that stall, and clients that are too many.

mod common;

use common::client::{get, purchase_request, read_answer};
use common::{BOUND, Shop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn body_that_does_not_arrive_is_a_408_without_effect() {
    let shop = Shop::open_with(|config| config.body_timeout_ms = 50).await;
    shop.item(1, 1, 1).await;
    shop.wallet(1, 1).await;
    let request = purchase_request(1, 1, None);
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream
        .write_all(&request[..request.len() - 1])
        .await
        .unwrap();
    let answer = read_answer(&mut stream).await;
    answer.assert_problem(408, "request_timeout", "all but the last byte");
    assert_eq!(shop.number("select count(*) from purchase").await, 0);
}

#[tokio::test]
async fn connection_whose_headers_do_not_arrive_is_closed() {
    let shop = Shop::open_with(|config| config.idle_timeout_ms = 50).await;
    for beginning in ["", "GET /healthz HTTP/1.1\r\nhost: sh"] {
        let mut stream = TcpStream::connect(shop.address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        timeout(BOUND, stream.read_to_end(&mut rest))
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(get(shop.address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn connection_is_kept_alive_from_request_to_request() {
    let shop = Shop::open().await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"GET /api/items HTTP/1.1\r\nhost: shop\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\"next\":null}") {
            let read = timeout(BOUND, stream.read_buf(&mut answer))
                .await
                .unwrap()
                .unwrap();
            assert_ne!(read, 0, "closed after {}", String::from_utf8_lossy(&answer));
        }
    }
}

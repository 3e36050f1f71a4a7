//! What a buyer makes of answers, and of connections that break, which a raw server provides.

use purchase_service::order::PurchaseId;
use rowlock_shop::history::Receipt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::client::MAX_BODY;
use crate::shop::rush;

/// Longer than any of these tests takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes one connection after another and does with each what `talk` says.
async fn server<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream));
        }
    });
    address
}

/// Reads a whole purchase, whose body ends as no header does.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        assert_ne!(
            stream.read_buf(&mut request).await.unwrap(),
            0,
            "it ended early"
        );
    }
    String::from_utf8(request).unwrap()
}

async fn answer_with(mut stream: TcpStream, answer: &str) {
    read_request(&mut stream).await;
    stream.write_all(answer.as_bytes()).await.unwrap();
}

async fn connect(address: SocketAddr) -> Client {
    Client::connect(address, Clock::start(), PATIENCE)
        .await
        .unwrap()
}

/// What becomes of one purchase at a server that does `talk`.
async fn buy_from<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> Operation
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut client = connect(server(talk).await).await;
    client.purchase(Request::new(1, 2).with_key("k")).await
}

#[tokio::test]
async fn a_whole_answer_is_what_it_says() {
    let bought = buy_from(async |mut stream: TcpStream| {
        let request = read_request(&mut stream).await;
        assert!(
            request.starts_with("POST /api/purchase/ HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\nidempotency-key: k\r\n"), "{request}");
        assert!(
            request.ends_with("{\"user_id\":1,\"item_id\":2}"),
            "{request}"
        );
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"purchase_id\":7}";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    assert_eq!(bought.status, Some(200));
    assert!(bought.is_ok() && bought.invoked_ns <= bought.completed_ns);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_it_unknown() {
    let lost = buy_from(async |mut stream: TcpStream| drop(read_request(&mut stream).await)).await;
    assert_eq!(lost.completion, Completion::Info(Unknown::ConnectionLost));
    assert_eq!(lost.status, None);
}

#[tokio::test]
async fn a_connection_that_breaks_within_the_answer_leaves_it_unknown() {
    let head = buy_from(|stream| answer_with(stream, "HTTP/1.1 200 OK\r\ncontent-le")).await;
    assert_eq!(head.completion, Completion::Info(Unknown::ConnectionLost));
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"purchase_id\"";
    let body = buy_from(move |stream| answer_with(stream, half)).await;
    assert_eq!(body.completion, Completion::Info(Unknown::ConnectionLost));
}

#[tokio::test]
async fn a_connection_that_was_closed_before_sends_nothing() {
    let address = server(async |stream: TcpStream| drop(stream)).await;
    let mut client = connect(address).await;
    // Until the end of the connection has arrived here, hyper takes the request.
    timeout(PATIENCE, async {
        while client.is_open() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let refused = client.purchase(Request::new(1, 1)).await;
    assert_eq!(refused.completion, Completion::Fail(Refusal::NotSent));
    assert!(!refused.may_have_happened());
}

#[tokio::test]
async fn no_answer_within_the_patience_leaves_it_unknown() {
    let address = server(async |mut stream: TcpStream| {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let patience = Duration::from_millis(20);
    let mut client = Client::connect(address, Clock::start(), patience)
        .await
        .unwrap();
    let unanswered = client.purchase(Request::new(1, 1)).await;
    assert_eq!(unanswered.completion, Completion::Info(Unknown::TimedOut));
}

#[tokio::test]
async fn who_hangs_up_does_not_know_and_the_server_sees_the_end() {
    let (arrived, arrival) = tokio::sync::watch::channel(0);
    let mut hang_up = arrival.clone();
    let mut seen = arrival;
    let address = server(move |mut stream: TcpStream| {
        let arrived = arrived.clone();
        async move {
            read_request(&mut stream).await;
            arrived.send_replace(1);
            assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
            arrived.send_replace(2);
        }
    })
    .await;
    let hang_up = async move { drop(hang_up.wait_for(|step| *step == 1).await) };
    let client = connect(address).await;
    let hung_up = client
        .purchase_and_hang_up(Request::new(1, 1), hang_up)
        .await;
    assert_eq!(hung_up.completion, Completion::Info(Unknown::HungUp));
    assert!(hung_up.invoked_ns <= hung_up.completed_ns);
    timeout(PATIENCE, seen.wait_for(|step| *step == 2))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_answer_without_end_is_read_and_not_kept() {
    let endless = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{}",
        10 * MAX_BODY,
        "x".repeat(10 * MAX_BODY)
    );
    let operation = buy_from(move |stream| {
        let endless = endless.clone();
        async move { answer_with(stream, &endless).await }
    })
    .await;
    assert_eq!(operation.status, Some(400));
}

#[tokio::test]
async fn a_crowd_starts_together_and_is_answered_in_its_own_order() {
    let address = server(async |mut stream: TcpStream| {
        let request = read_request(&mut stream).await;
        let (_, user_id) = request.rsplit_once("\"user_id\":").unwrap();
        let (user_id, _) = user_id.split_once(',').unwrap();
        let body = format!("{{\"purchase_id\":{user_id}}}");
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let clock = Clock::start();
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Client::connect(address, clock, PATIENCE).await.unwrap());
    }
    let requests = (1..=50).map(|user_id| Request::new(user_id, 1)).collect();
    let operations = rush(clients, requests, clock).await;
    for (user_id, operation) in (1..).zip(&operations) {
        assert_eq!(operation.request, Request::new(user_id, 1));
        let receipt = Receipt {
            purchase_id: Some(PurchaseId(user_id)),
            ..Receipt::default()
        };
        assert_eq!(operation.completion, Completion::Ok(receipt));
        assert_eq!(operation.intended_ns, operations[0].intended_ns);
        assert!(operation.intended_ns <= operation.invoked_ns);
    }
}

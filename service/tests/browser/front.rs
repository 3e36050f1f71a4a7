//! What stands between the browser and the service: it counts, and it breaks what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// A purchase that a browser sent.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) at: Instant,
    /// Whether the service has answered it.
    pub(crate) is_answered: bool,
}

/// A reverse proxy before the service.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    posts: Vec<Post>,
    stock_reads: usize,
    loses_answers: bool,
    script: Option<String>,
    signed_in: Option<i64>,
}

impl Front {
    pub(crate) async fn before(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::default(),
        };
        tokio::spawn(front.clone().listen(listener, service));
        front
    }

    /// Serves this script in the place of the page's own.
    pub(crate) fn replace_script(&self, script: String) {
        self.lock().script = Some(script);
    }

    /// Loses the answers to purchases, or no longer: they reach the service, and nothing comes
    /// back. Chromium asks once more by itself where a connection was in use before.
    pub(crate) fn lose_answers(&self, loses: bool) {
        self.lock().loses_answers = loses;
    }

    /// Says from now on who is signed in, as a gateway does.
    pub(crate) fn sign_in(&self, user_id: i64) {
        self.lock().signed_in = Some(user_id);
    }

    /// The purchases that the browser has sent.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.lock().posts.clone()
    }

    pub(crate) fn stock_reads(&self) -> usize {
        self.lock().stock_reads
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    async fn listen(self, listener: TcpListener, service: SocketAddr) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let front = self.clone();
            let answer = service_fn(move |request| front.clone().answer(request, service));
            let http = hyper::server::conn::http1::Builder::new();
            // A browser that leaves, and an answer that is lost, end the connection.
            tokio::spawn(http.serve_connection(TokioIo::new(stream), answer));
        }
    }

    async fn answer(
        self,
        mut request: Request<Incoming>,
        service: SocketAddr,
    ) -> Result<Response<Full<Bytes>>, Lost> {
        let path = request.uri().path().to_owned();
        let script = self.lock().script.clone();
        if let Some(script) = script.filter(|_| path == "/assets/shop.js") {
            let response = Response::builder().header("content-type", "text/javascript");
            return Ok(response.body(Full::from(script)).unwrap());
        }
        if path == "/stock" {
            self.lock().stock_reads += 1;
        }
        if let Some(user_id) = self.lock().signed_in {
            request.headers_mut().insert("x-user-id", user_id.into());
        }
        let post = (request.method() == Method::POST).then(|| self.note(&request));
        // On a task of its own, so that the service answers also where the browser has left.
        let front = self.clone();
        let answered = tokio::spawn(async move {
            let response = forward(request, service).await;
            if let Some(index) = post {
                front.lock().posts[index].is_answered = true;
            }
            response
        });
        let response = answered.await.unwrap();
        if post.is_some() && self.lock().loses_answers {
            return Err(Lost);
        }
        Ok(response)
    }

    fn note(&self, request: &Request<Incoming>) -> usize {
        let key = request.headers().get("idempotency-key");
        let post = Post {
            path: request.uri().path().to_owned(),
            key: key.map(|key| key.to_str().unwrap().to_owned()),
            at: Instant::now(),
            is_answered: false,
        };
        let mut shared = self.lock();
        shared.posts.push(post);
        shared.posts.len() - 1
    }
}

/// The answer that never comes: hyper closes the connection.
#[derive(Debug)]
pub(crate) struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is lost")
    }
}

impl std::error::Error for Lost {}

async fn forward(request: Request<Incoming>, service: SocketAddr) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let stream = TokioIo::new(TcpStream::connect(service).await.unwrap());
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::from_parts(head, Full::new(body.unwrap_or_default()));
    let (mut head, body) = sender.send_request(request).await.unwrap().into_parts();
    head.headers.remove("transfer-encoding");
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, Full::new(body))
}

//! A real Chromium, driven through chromedriver.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rowlock_testing::tool::chromium;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::common::BOUND;

/// What kind of browser.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kind {
    pub(crate) dark: bool,
    pub(crate) phone: bool,
    pub(crate) scriptless: bool,
    /// Whether it asks for no motion.
    pub(crate) still: bool,
}

/// A browser with nothing in it, that ends with the test.
pub(crate) struct Browser {
    pub(crate) client: Client,
    address: SocketAddr,
    _chromedriver: Child,
    _profile: tempfile::TempDir,
}

/// Whether the browser's tests can run here. Where they must, a missing browser is a failure.
pub(crate) fn is_here() -> bool {
    chromium().is_some()
}

impl Browser {
    pub(crate) async fn open(kind: Kind) -> Self {
        let (chromedriver, port) = start_chromedriver().await;
        let profile = tempfile::tempdir().unwrap();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(kind, &profile))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Self {
            client,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            _chromedriver: chromedriver,
            _profile: profile,
        }
    }

    /// Ends the browser, after looking whether anything went wrong in it.
    pub(crate) async fn close(self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        self.client.close().await.unwrap();
    }

    /// What the console says, but for answers that are errors by design.
    async fn complaints(&self) -> Vec<String> {
        let answer = self.ask("se/log", r#"{"type": "browser"}"#).await;
        let entries = answer["value"].as_array().expect("a log").clone();
        let messages = entries
            .iter()
            .map(|entry| entry["message"].as_str().unwrap().to_owned());
        messages
            .filter(|message| !message.contains("Failed to load resource"))
            .collect()
    }

    /// Stops a page that is under way, as the browser's own button does.
    pub(crate) async fn stop_loading(&self) {
        let stop = r#"{"cmd": "Page.stopLoading", "params": {}}"#;
        self.ask("goog/cdp/execute", stop).await;
    }

    /// Asks chromedriver for what WebDriver does not know.
    async fn ask(&self, command: &str, body: &'static str) -> Value {
        let session = self.client.session_id().await.unwrap().unwrap();
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("/session/{session}/{command}"))
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .body(body.to_owned())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    pub(crate) async fn goto(&self, address: SocketAddr, path: &str) {
        self.client
            .goto(&format!("http://{address}{path}"))
            .await
            .unwrap();
    }

    /// What an expression of JavaScript comes to.
    pub(crate) async fn js(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.client.execute(&script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression of JavaScript is true.
    pub(crate) async fn until(&self, expression: &str) {
        let deadline = Instant::now() + BOUND;
        // While a page is being replaced by another one there is nothing to ask.
        let script = format!("return Boolean({expression});");
        while self.client.execute(&script, Vec::new()).await.ok() != Some(Value::Bool(true)) {
            if Instant::now() > deadline {
                let source = self.client.source().await;
                panic!(
                    "not within {BOUND:?}: {expression}\n{}",
                    source.unwrap_or_default()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the page says this.
    pub(crate) async fn until_said(&self, words: &str) {
        self.until(&format!(
            "document.querySelector('#status').textContent.includes({words:?})"
        ))
        .await;
    }

    /// Waits for an element, also where the page runs no script.
    pub(crate) async fn wait_for(&self, css: &str) -> Element {
        let wait = self.client.wait().at_most(BOUND);
        wait.for_element(Locator::Css(css)).await.unwrap()
    }

    /// Presses an item's button as a person does, by a click of the mouse.
    pub(crate) async fn click_buy(&self, item_id: i64) {
        let button = format!(".item[data-item='{item_id}'] button");
        let button = self.client.find(Locator::Css(&button)).await.unwrap();
        button.click().await.unwrap();
    }

    /// Keeps a picture of the page beside the tests' other products.
    pub(crate) async fn screenshot(&self, name: &str) {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        let picture = self.client.screenshot().await.unwrap();
        std::fs::write(directory.join(name).with_extension("png"), picture).unwrap();
    }
}

/// Starts chromedriver on a port of its own choice.
async fn start_chromedriver() -> (Child, u16) {
    /// It takes a port that is free at 127.0.0.1, and ends where somebody has the same at [::1].
    const STARTS: usize = 10;
    for _ in 0..STARTS {
        let mut chromedriver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(chromedriver.stdout.take().unwrap()).lines();
        let port = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return Some(port.trim_end_matches('.').parse().unwrap());
                }
            }
            None
        };
        if let Some(port) = timeout(BOUND, port).await.expect("chromedriver starts") {
            // Kept read, so that a full pipe never stops it.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (chromedriver, port);
        }
    }
    panic!("chromedriver found no port {STARTS} times");
}

fn capabilities(kind: Kind, profile: &tempfile::TempDir) -> fantoccini::wd::Capabilities {
    let mut arguments: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // Chromium ends with its pipe, also where a test that fails kills chromedriver.
        "--remote-debugging-pipe",
        "--window-size=1100,900",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--user-data-dir={}", profile.path().display()));
    if kind.still {
        arguments.push("--force-prefers-reduced-motion".into());
    }
    if kind.dark {
        arguments.push("--blink-settings=preferredColorScheme=0".into());
    }
    let mut options = json!({
        "binary": chromium().expect("chromium is here"),
        "args": arguments,
    });
    if kind.phone {
        let metrics = json!({"width": 390, "height": 844, "pixelRatio": 2.0, "touch": true});
        options["mobileEmulation"] = json!({"deviceMetrics": metrics});
    }
    if kind.scriptless {
        let setting = "profile.managed_default_content_settings.javascript";
        options["prefs"] = json!({setting: 2});
    }
    let capabilities = json!({
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL"},
        // Without script a click is over when the page that it leads to is there; the tests look
        // at what is there meanwhile.
        "pageLoadStrategy": if kind.scriptless { "none" } else { "normal" },
    });
    let Value::Object(capabilities) = capabilities else {
        unreachable!("an object was written")
    };
    capabilities
}

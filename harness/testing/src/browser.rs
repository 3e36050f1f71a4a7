//! A real Chromium, driven through chromedriver, and what axe-core has against its page.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::tool::{Tool, chromium};

/// How long anything may take.
const BOUND: Duration = Duration::from_secs(20);

/// What kind of browser.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kind {
    /// Whether it prefers dark pages.
    pub dark: bool,
    /// Whether its screen is a phone's.
    pub phone: bool,
    /// Whether it runs no script.
    pub scriptless: bool,
    /// Whether it asks for no motion.
    pub still: bool,
}

/// A browser with nothing in it, that ends with the test.
#[derive(Debug)]
pub struct Browser {
    /// What drives it.
    pub client: Client,
    address: SocketAddr,
    _chromedriver: Child,
    _profile: tempfile::TempDir,
}

/// Whether the browser's tests can run here. Where they must, a missing browser is a failure.
#[track_caller]
pub fn is_here() -> bool {
    chromium().is_some()
}

impl Browser {
    /// Starts one.
    pub async fn open(kind: Kind) -> Self {
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
    pub async fn close(self) {
        assert_eq!(self.complaints().await, Vec::<String>::new());
        self.client.close().await.unwrap();
    }

    /// What the console says, but for answers that are errors by design.
    pub async fn complaints(&self) -> Vec<String> {
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
    pub async fn stop_loading(&self) {
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

    /// Goes to `url` and waits until the page is loaded.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// What an expression of JavaScript comes to.
    pub async fn js(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.client.execute(&script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression of JavaScript is true.
    pub async fn until(&self, expression: &str) {
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

    /// Waits for an element, also where the page runs no script.
    pub async fn wait_for(&self, css: &str) -> Element {
        let wait = self.client.wait().at_most(BOUND);
        wait.for_element(Locator::Css(css)).await.unwrap()
    }

    /// Keeps a picture of the page as `name`.png in `directory`.
    pub async fn screenshot(&self, directory: &Path, name: &str) {
        std::fs::create_dir_all(directory).unwrap();
        let picture = self.client.screenshot().await.unwrap();
        std::fs::write(directory.join(name).with_extension("png"), picture).unwrap();
    }

    /// What axe-core, of which `axe` is the source, has against the page as it is now.
    pub async fn violations(&self, axe: &str) -> Vec<String> {
        self.client.execute(axe, Vec::new()).await.unwrap();
        let run = "axe.run().then(found => arguments[0](found.violations.map(each =>
             each.id + ': ' + each.nodes.map(node => node.html).join(' '))))";
        let found = self.client.execute_async(run, Vec::new()).await.unwrap();
        let Value::Array(found) = found else {
            panic!("axe says {found}");
        };
        found.iter().map(Value::to_string).collect()
    }
}

/// The source of axe-core, as `ci/setup` unpacks it from its package; `None` where it is missing.
#[track_caller]
pub fn axe() -> Option<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = std::fs::read_to_string(root.join("target/axe-core/package/axe.min.js"));
    if let Err(error) = &source {
        Tool::Axe.is_missing(format!("ci/setup has not unpacked axe-core: {error}"));
    }
    source.ok()
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

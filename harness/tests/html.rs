//! The reports as pages, in a real Chromium.

use std::path::{Path, PathBuf};
use std::time::Instant;

use fantoccini::Locator;
use fantoccini::key::Key;
use rowlock::report::html::{Extent, Page, Section, Violation};
use rowlock_core::verdict::Verdict;
use rowlock_explorer::transcript::Event;
use rowlock_shop::program::Program;
use rowlock_testing::browser::{Browser, Kind, axe, is_here};

use crate::common::{Sandbox, assert_exit, stderr, stdout};

type Witness = rowlock_explorer::Witness<Program>;

fn witness(name: &str) -> (PathBuf, Witness) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/witnesses");
    let path = directory.join(name).with_extension("json");
    let witness = Witness::read(&path).unwrap();
    (path, witness)
}

fn page(witness: &Witness) -> Page {
    let drawn = Violation::of(witness);
    Page {
        title: "replay".into(),
        verdict: Verdict::Violation,
        explained: drawn.explained.clone(),
        accusations: drawn.accusations.clone(),
        sections: vec![Section::new("What ran", drawn.render("run"))],
        facts: vec![("target", witness.target.clone())],
        again: "replay <x> & y".into(),
        source: "rowlock.toml".into(),
        extent: Extent::Whole,
    }
}

/// A browser that looks at `html` as a file on disk.
async fn look(kind: Kind, html: &str) -> (Browser, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    std::fs::write(&file, html).unwrap();
    let browser = Browser::open(kind).await;
    browser.goto(&format!("file://{}", file.display())).await;
    (browser, directory)
}

async fn shown_step(browser: &Browser) -> String {
    let step = "document.querySelector('.happening:not([hidden]) h3').textContent";
    browser.js(step).await.as_str().unwrap().to_owned()
}

async fn press(browser: &Browser, key: Key) {
    let body = browser.client.find(Locator::Css("body")).await.unwrap();
    let keys: char = key.into();
    body.send_keys(&keys.to_string()).await.unwrap();
}

fn keep_at() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots")
}

#[tokio::test]
async fn axe_finds_nothing_in_a_violation_light_and_dark_and_the_keys_move_through_it() {
    let Some(axe) = axe().filter(|_| is_here()) else {
        return;
    };
    for (name, dark) in [
        ("unlocked-absolute-write", false),
        ("stale-after-lock", true),
    ] {
        let kind = Kind {
            dark,
            ..Kind::default()
        };
        let (_, witness) = witness(name);
        let (browser, _directory) = look(kind, &page(&witness).render()).await;
        browser
            .screenshot(&keep_at(), &format!("report-{name}"))
            .await;
        let none = Vec::<String>::new();
        assert_eq!(browser.violations(&axe).await, none, "{name}");
        // It begins where it went wrong.
        let first = shown_step(&browser).await;
        let flagged = "document.querySelector('.happening:not([hidden]) .flag') !== null";
        assert_eq!(browser.js(flagged).await, true, "{first}");
        press(&browser, Key::Down).await;
        assert_ne!(shown_step(&browser).await, first);
        press(&browser, Key::Left).await;
        assert_eq!(shown_step(&browser).await, first);
        press(&browser, Key::Home).await;
        assert!(shown_step(&browser).await.starts_with("1 of "));
        press(&browser, Key::Up).await;
        assert!(shown_step(&browser).await.starts_with("1 of "));
        let current = browser.js("document.querySelectorAll('.shape.current').length");
        assert_eq!(current.await, 1);
        assert_eq!(browser.violations(&axe).await, none, "{name}");
        browser.close().await;
    }
}

/// A load's page and a campaign's, with every cell's story open.
#[tokio::test]
async fn axe_finds_nothing_in_numbers_and_matrices() {
    let Some(axe) = axe().filter(|_| is_here()) else {
        return;
    };
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let runs = [
        "run concurrent-buyers --buyers 100 --stock 5 --mutant unlocked-absolute-write",
        "faults --no-crash --case purchase.5.drop-after --mutant statement-on-the-pool",
    ];
    for (run, name) in runs.into_iter().zip(["load", "faults"]) {
        let file = directory.path().join(name);
        let line = format!("{run} --postgres local --html {}", file.display());
        assert_exit(&sandbox.rowlock(&line).output().unwrap(), 1);
        let html = std::fs::read_to_string(file).unwrap();
        let kind = Kind {
            dark: name == "load",
            ..Kind::default()
        };
        let (browser, _directory) = look(kind, &html).await;
        let parts = match name {
            "load" => "document.querySelectorAll('figure .bar').length > 10",
            _ => "document.querySelectorAll('.cell .case li.error').length > 0",
        };
        assert_eq!(browser.js(parts).await, true, "{html}");
        let open =
            "[...document.querySelectorAll('details')].forEach(each => { each.open = true; })";
        browser.js(open).await;
        assert_eq!(
            browser.violations(&axe).await,
            Vec::<String>::new(),
            "{name}"
        );
        browser
            .screenshot(&keep_at(), &format!("report-{name}"))
            .await;
        browser.close().await;
    }
    sandbox.wait_until_clean();
}

/// The page names what it says, and nothing of it is markup.
#[test]
fn a_page_says_what_is_wrong_and_escapes_it() {
    let (_, mut witness) = witness("unlocked-absolute-write");
    witness.target = "<script>alert(1)</script>".into();
    let html = page(&witness).render();
    assert!(html.contains("both read stock = 1, and neither held the row"));
    assert!(html.contains("rowlock replay &lt;x&gt; &amp; y"));
    assert!(!html.contains("<script>alert"));
    assert_eq!(
        html.matches("://").count(),
        html.matches("http://www.w3.org/2000/svg").count()
    );
    assert!(html.contains("class=\"wrong\""), "rows after are marked");
}

/// Most of the time is the browser's own; what it may take is a bound on ours.
#[tokio::test]
async fn a_witness_of_200_steps_opens_in_under_a_second() {
    if !is_here() {
        return;
    }
    let (_, mut witness) = witness("stale-after-lock");
    let is_step = |event: &&Event| matches!(event, Event::Delivered { .. } | Event::Replied { .. });
    let events = witness.transcript.events.clone();
    let steps: Vec<_> = events.iter().filter(is_step).cloned().collect();
    let at = events.len() - 1;
    let more = steps.iter().cycle().take(2 * 200).cloned();
    witness.transcript.events.splice(at..at, more);
    let began = Instant::now();
    let html = page(&witness).render();
    assert!(html.matches("class=\"happening").count() > 200);
    let written_ms = began.elapsed().as_millis();
    let (browser, _directory) = look(Kind::default(), &html).await;
    let timing = "performance.getEntriesByType('navigation')[0].loadEventEnd";
    let opened_ms = browser.js(timing).await.as_f64().unwrap();
    assert!(
        opened_ms > 0.0 && opened_ms < 1000.0,
        "{opened_ms} ms, {written_ms} ms"
    );
    browser.close().await;
}

#[test]
fn replay_and_explore_write_the_violation_as_a_page() {
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let (path, _) = witness("unlocked-absolute-write");
    let replay = format!(
        "replay {} --postgres local --html {}",
        path.display(),
        file("replay.html").display()
    );
    assert_exit(&sandbox.rowlock(&replay).output().unwrap(), 1);
    let explore = format!(
        "explore one-item --postgres local --mutant unlocked-absolute-write --witness-dir {} --html {}",
        directory.path().display(),
        file("explore.html").display()
    );
    let output = sandbox.rowlock(&explore).output().unwrap();
    assert_exit(&output, 1);
    let replay = std::fs::read_to_string(file("replay.html")).unwrap();
    let explore = std::fs::read_to_string(file("explore.html")).unwrap();
    let why = "buyer A and buyer B both read stock = 1, and neither held the row";
    for page in [&replay, &explore] {
        assert!(page.contains(why), "{page}");
        assert!(page.contains("class=\"shape step wrong\""), "{page}");
    }
    // What the terminal says, the page says, too.
    let report = stdout(&output);
    let covered = report
        .lines()
        .find(|line| line.contains(" distinct interleavings"));
    assert!(explore.contains(covered.unwrap().trim()), "{report}");
    sandbox.wait_until_clean();
}

/// As a runner of GitHub's would be told, and by a GitLab that reads the file.
#[test]
fn a_pipeline_is_told_by_the_runners_variables_and_only_where_it_wants_that() {
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("summary.md"), "before\n").unwrap();
    let (path, _) = witness("unlocked-absolute-write");
    let run = |more: &str, is_runner: bool| {
        let quality = file("quality.json");
        let arguments = format!("--postgres local --code-quality {}", quality.display());
        let line = format!("replay {} {arguments} {more}", path.display());
        let mut rowlock = sandbox.rowlock(&line);
        if is_runner {
            rowlock.env("GITHUB_ACTIONS", "true");
            rowlock.env("GITHUB_STEP_SUMMARY", file("summary.md"));
        }
        let output = rowlock.output().unwrap();
        assert_exit(&output, 1);
        stderr(&output)
    };
    let said = run("", true);
    let annotations: Vec<_> = said.lines().filter(|line| line.starts_with("::")).collect();
    let first = "::error title=rowlock%3A stock-gone-is-purchases::item 1 oversold: stock 1 -> 0";
    assert!(annotations[0].starts_with(first), "{said}");
    assert!(
        annotations[0].contains("%0Abuyer A and buyer B both read stock = 1"),
        "{said}"
    );
    let summary = std::fs::read_to_string(file("summary.md")).unwrap();
    assert!(
        summary.starts_with("before\n## Rowlock: VIOLATION: replay "),
        "{summary}"
    );
    assert!(summary.contains("- item 1 oversold"), "{summary}");
    let quality = std::fs::read_to_string(file("quality.json")).unwrap();
    let quality: serde_json::Value = serde_json::from_str(&quality).unwrap();
    let issues = quality.as_array().unwrap();
    assert_eq!(issues.len(), annotations.len());
    assert_eq!(issues[0]["check_name"], "stock-gone-is-purchases");
    assert_eq!(issues[0]["severity"], "critical");
    assert_eq!(issues[0]["location"]["lines"]["begin"], 1);
    assert_ne!(issues[0]["fingerprint"], issues[1]["fingerprint"]);
    // The same finding has the same fingerprint the next time, and nobody else is told.
    let said = run("", false);
    assert!(!said.contains("::error"), "{said}");
    let again = std::fs::read_to_string(file("quality.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&again).unwrap(),
        quality
    );
    let said = run("--annotations none", true);
    assert!(!said.contains("::error"), "{said}");
    assert_eq!(
        std::fs::read_to_string(file("summary.md")).unwrap(),
        summary
    );
    sandbox.wait_until_clean();
}

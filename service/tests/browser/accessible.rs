//! The page for everybody: axe-core finds nothing, light and dark, large and small.

use std::path::PathBuf;

use rowlock_testing::tool::Tool;
use serde_json::Value;

use crate::driver::{Browser, Kind, is_here};
use crate::stage::Stage;

/// The source of axe-core, as `ci/setup` unpacks it from its package.
fn axe() -> Option<String> {
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/axe-core/package/axe.min.js");
    let source = std::fs::read_to_string(file);
    if let Err(error) = &source {
        Tool::Axe.is_missing(format!("ci/setup has not unpacked axe-core: {error}"));
    }
    source.ok()
}

/// What axe-core has against the page as it is now.
async fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    browser.client.execute(axe, Vec::new()).await.unwrap();
    let run = "axe.run().then(found => arguments[0](found.violations.map(each =>
         each.id + ': ' + each.nodes.map(node => node.html).join(' '))))";
    let found = browser.client.execute_async(run, Vec::new()).await.unwrap();
    let Value::Array(found) = found else {
        panic!("axe says {found}");
    };
    found.iter().map(Value::to_string).collect()
}

async fn assert_accessible(kind: Kind, name: &str) {
    let Some(axe) = axe().filter(|_| is_here()) else {
        return;
    };
    let stage = Stage::open(kind).await;
    let browser = &stage.browser;
    let none = Vec::<String>::new();
    browser.goto(stage.front.address, "/").await;
    assert_eq!(
        violations(browser, &axe).await,
        none,
        "the question whose wallet pays"
    );
    stage.visit().await;
    assert_eq!(violations(browser, &axe).await, none, "before");
    browser.screenshot(&format!("{name}-before")).await;
    let mut held = stage.hold_commits();
    browser.click_buy(2).await;
    held.commit().await;
    assert_eq!(violations(browser, &axe).await, none, "buying");
    browser.screenshot(&format!("{name}-buying")).await;
    held.let_go();
    browser.until_said("Bought").await;
    assert_eq!(violations(browser, &axe).await, none, "bought");
    browser.screenshot(&format!("{name}-bought")).await;
    stage.shop.sql("update item set stock = 0").await;
    browser.click_buy(1).await;
    browser.until_said("Sold out").await;
    browser
        .until("[...document.querySelectorAll('.stock')].every(each => each.textContent === 'Sold out')")
        .await;
    assert_eq!(violations(browser, &axe).await, none, "sold out");
    browser.screenshot(&format!("{name}-sold-out")).await;
    let is_dark = browser
        .js("matchMedia('(prefers-color-scheme: dark)').matches")
        .await;
    assert_eq!(is_dark, kind.dark);
    let is_wider = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(browser.js(is_wider).await, false, "nothing is cut off");
    // The check can fail: a button without words is one that axe knows.
    browser
        .js("document.body.append(document.createElement('button'))")
        .await;
    assert!(!violations(browser, &axe).await.is_empty());
}

#[tokio::test]
async fn axe_finds_nothing_in_the_light() {
    assert_accessible(Kind::default(), "light").await;
}

#[tokio::test]
async fn axe_finds_nothing_in_the_dark() {
    let kind = Kind {
        dark: true,
        ..Kind::default()
    };
    assert_accessible(kind, "dark").await;
}

#[tokio::test]
async fn axe_finds_nothing_on_a_phone() {
    let kind = Kind {
        phone: true,
        ..Kind::default()
    };
    assert_accessible(kind, "phone").await;
}

#[tokio::test]
async fn who_wants_no_motion_sees_none() {
    if !is_here() {
        return;
    }
    for still in [false, true] {
        let kind = Kind {
            still,
            ..Kind::default()
        };
        let stage = Stage::open(kind).await;
        stage.visit().await;
        let mut held = stage.hold_commits();
        stage.browser.click_buy(2).await;
        held.commit().await;
        stage.browser.until_said("Buying …").await;
        let moves = stage
            .browser
            .js("document.getAnimations().length > 0")
            .await;
        assert_eq!(moves, !still);
        held.let_go();
        stage.browser.until_said("Bought").await;
    }
}

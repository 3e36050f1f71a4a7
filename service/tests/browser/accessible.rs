//! The page for everybody: axe-core finds nothing, light and dark, large and small.

use crate::driver::{Kind, Visitor, axe, is_here};
use crate::stage::Stage;

async fn assert_accessible(kind: Kind, name: &str) {
    let Some(axe) = axe().filter(|_| is_here()) else {
        return;
    };
    let stage = Stage::open(kind).await;
    let browser = &stage.browser;
    let none = Vec::<String>::new();
    browser.visit(stage.front.address, "/").await;
    assert_eq!(
        browser.violations(&axe).await,
        none,
        "the question whose wallet pays"
    );
    stage.visit().await;
    assert_eq!(browser.violations(&axe).await, none, "before");
    browser.keep_picture(&format!("{name}-before")).await;
    let mut held = stage.hold_commits();
    browser.click_buy(2).await;
    held.commit().await;
    assert_eq!(browser.violations(&axe).await, none, "buying");
    browser.keep_picture(&format!("{name}-buying")).await;
    held.let_go();
    browser.until_said("Bought").await;
    assert_eq!(browser.violations(&axe).await, none, "bought");
    browser.keep_picture(&format!("{name}-bought")).await;
    stage.shop.sql("update item set stock = 0").await;
    browser.click_buy(1).await;
    browser.until_said("Sold out").await;
    browser
        .until("[...document.querySelectorAll('.stock')].every(each => each.textContent === 'Sold out')")
        .await;
    assert_eq!(browser.violations(&axe).await, none, "sold out");
    browser.keep_picture(&format!("{name}-sold-out")).await;
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
    assert!(!browser.violations(&axe).await.is_empty());
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

//! The stock on the page follows the sale, as long as somebody looks.

use crate::common::client::buy;
use crate::driver::{Kind, is_here};
use crate::stage::{Stage, script_with};

#[tokio::test]
async fn the_stock_on_the_page_falls_with_the_sale_until_nobody_looks() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    stage.front.replace_script(script_with(&[(
        "FOLLOW_EVERY_MS = 3000",
        "FOLLOW_EVERY_MS = 20",
    )]));
    stage.visit().await;
    let browser = &stage.browser;
    browser
        .until("document.querySelector('.item[data-item=\"1\"] .stock').textContent === 'The last one'")
        .await;
    assert_eq!(buy(stage.shop.address, 1, 1, None).await.status, 200);
    let sold_out = "document.querySelector('.item[data-item=\"1\"].sold-out button').disabled";
    browser.until(sold_out).await;

    let hide = "Object.defineProperty(document, 'hidden', {value: true, configurable: true}) &&
         document.dispatchEvent(new Event('visibilitychange')) && null";
    browser.js(hide).await;
    let settled = "new Promise(done => setTimeout(done, 200))";
    let wait = async || {
        let script = format!("{settled}.then(arguments[0])");
        browser
            .client
            .execute_async(&script, Vec::new())
            .await
            .unwrap();
    };
    // One more may be under way; fifteen turns later there is no other.
    wait().await;
    let before = stage.front.stock_reads();
    wait().await;
    wait().await;
    assert_eq!(stage.front.stock_reads(), before);

    browser.js("delete document.hidden && null").await;
    browser
        .js("document.dispatchEvent(new Event('visibilitychange')) && null")
        .await;
    stage
        .shop
        .until("the page asks again", async |_| {
            stage.front.stock_reads() > before
        })
        .await;
}

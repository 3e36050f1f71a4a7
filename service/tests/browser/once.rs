//! One intent, one purchase: clicks, Enter, reloads, lost answers, the back button, tabs.

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;

use crate::driver::{Kind, Visitor, is_here};
use crate::front::Post;
use crate::stage::{Stage, script_with};

/// What came of a buyer who would not stop pressing.
#[derive(Debug, PartialEq, Eq)]
struct Storm {
    requests: usize,
    purchases: i64,
    receipts: u64,
}

const ONCE: Storm = Storm {
    requests: 1,
    purchases: 1,
    receipts: 1,
};

/// Holds the COMMIT, presses five times more and Enter, and lets go.
async fn press_and_press(stage: &Stage, looks_busy: bool) -> Storm {
    let mut held = stage.hold_commits();
    stage.visit().await;
    let browser = &stage.browser;
    browser.click_buy(2).await;
    held.commit().await;
    browser.until_said("Buying …").await;
    if looks_busy {
        let busy = "document.querySelector('.item[data-item=\"2\"] form').ariaBusy === 'true' &&
             [...document.querySelectorAll('form.buy button')].every(each => each.disabled) &&
             document.activeElement.id === 'status' &&
             document.activeElement.role === 'status'";
        browser.until(busy).await;
        browser.keep_picture("buying").await;
    }
    for _ in 0..5 {
        browser.click_buy(2).await;
    }
    let enter = KeyAction::Down {
        value: Key::Enter.into(),
    };
    let keys = KeyActions::new("keyboard".into()).then(enter);
    browser.client.perform_actions(keys).await.unwrap();
    // Whoever gets past the button and the keyboard meets the flag.
    browser
        .js("document.querySelector('.item[data-item=\"2\"] form').requestSubmit()")
        .await;
    held.let_go();
    browser.until_said("Bought").await;
    stage.until_answered().await;
    let receipts = browser
        .js("document.querySelectorAll('.receipt').length")
        .await;
    Storm {
        requests: stage.front.posts().len(),
        purchases: stage.purchases().await,
        receipts: receipts.as_u64().unwrap(),
    }
}

#[tokio::test]
async fn five_more_clicks_and_enter_send_no_second_request() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    let storm = press_and_press(&stage, true).await;
    assert_eq!(storm, ONCE);
    stage.assert_bought_once().await;
    // The focus is back, and the next press is a purchase of its own.
    let browser = &stage.browser;
    browser
        .until("document.activeElement.matches('.item[data-item=\"2\"] button')")
        .await;
    browser.keep_picture("bought").await;
    let button = browser.client.active_element().await.unwrap();
    button.send_keys(&Key::Enter.to_string()).await.unwrap();
    browser
        .until("document.querySelector('#balance').textContent === '15.00'")
        .await;
    let posts = stage.front.posts();
    assert_eq!(posts.len(), 2);
    assert_ne!(posts[0].key, posts[1].key);
    stage.browser.close().await;
}

#[tokio::test]
async fn a_page_without_the_flag_and_the_key_buys_twice_and_is_caught() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    stage.front.replace_script(script_with(&[
        ("  if (inFlight) return;\n", ""),
        ("disabled = isBusy || ", "disabled = "),
        (", \"idempotency-key\": key", ""),
    ]));
    let storm = press_and_press(&stage, false).await;
    assert_ne!(storm, ONCE);
    assert!(storm.requests > 1 && storm.purchases > 1, "{storm:?}");
}

#[tokio::test]
async fn a_lost_answer_to_commit_is_asked_for_again_and_charged_once() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    let mut held = stage.hold_commits();
    stage.visit().await;
    stage.browser.click_buy(2).await;
    let commit = held.commit().await;
    held.lose_answer(&commit).await;
    stage.browser.until_said("Bought").await;
    assert_eq!(stage.front.posts().len(), 2);
    assert_one_receipt_for_one_key(&stage).await;
    stage.browser.close().await;
}

#[tokio::test]
async fn answers_that_are_lost_on_the_way_are_asked_for_again_and_charged_once() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    stage.front.lose_answers(true);
    stage.visit().await;
    stage.browser.click_buy(2).await;
    stage.browser.until_said("Still trying …").await;
    stage.front.lose_answers(false);
    stage.browser.until_said("Bought").await;
    assert!(stage.front.posts().len() >= 2);
    assert_one_receipt_for_one_key(&stage).await;
}

async fn assert_one_receipt_for_one_key(stage: &Stage) {
    let posts = stage.front.posts();
    let same = |post: &Post| post.key.is_some() && post.key == posts[0].key;
    assert!(posts.iter().all(same), "{posts:?}");
    let browser = &stage.browser;
    let receipts = "document.querySelectorAll('.receipt').length";
    assert_eq!(browser.js(receipts).await, 1);
    let first = stage.shop.number("select id from purchase").await;
    let shown = "document.querySelector('.receipt [data-slot=purchase_id]').textContent";
    assert_eq!(browser.js(shown).await, first.to_string());
    stage.assert_bought_once().await;
}

#[tokio::test]
async fn whoever_gives_up_asking_may_ask_again_under_the_same_key() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    let impatient = script_with(&[("ASK_FOR_MS = 120000", "ASK_FOR_MS = 1")]);
    stage.front.replace_script(impatient);
    stage.front.lose_answers(true);
    stage.visit().await;
    stage.browser.click_buy(2).await;
    stage.browser.until_said("We do not know yet").await;
    // What becomes of it is to be learned before anything else is bought.
    let others = "[...document.querySelectorAll('.item:not([data-item=\"2\"]) button')]";
    let all_wait = format!("{others}.every(each => each.disabled)");
    assert_eq!(stage.browser.js(&all_wait).await, true);
    stage.front.lose_answers(false);
    stage.browser.click_buy(2).await;
    stage.browser.until_said("Bought").await;
    assert!(stage.front.posts().len() >= 2);
    assert_one_receipt_for_one_key(&stage).await;
}

#[tokio::test]
async fn a_reload_in_the_middle_of_a_purchase_tells_what_became_of_it() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    let mut held = stage.hold_commits();
    stage.visit().await;
    stage.browser.click_buy(2).await;
    held.commit().await;
    stage.browser.client.refresh().await.unwrap();
    stage
        .browser
        .until_said("Finding out what became of your purchase …")
        .await;
    held.let_go();
    stage.browser.until_said("Bought").await;
    assert_eq!(stage.front.posts().len(), 2);
    assert_one_receipt_for_one_key(&stage).await;
    // Once it is known it is not asked for again, and a reload still shows it.
    stage.browser.client.refresh().await.unwrap();
    stage.browser.until_said("Bought").await;
    assert_eq!(stage.front.posts().len(), 2);
    assert_one_receipt_for_one_key(&stage).await;
    stage.browser.close().await;
}

#[tokio::test]
async fn a_duplicated_tab_asks_for_the_same_purchase_and_another_tab_for_its_own() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    let client = &stage.browser.client;
    let mut held = stage.hold_commits();
    stage.visit().await;
    stage.browser.click_buy(2).await;
    held.commit().await;
    // A tab that a page opens begins with a copy of its sessionStorage, as a duplicate does.
    stage.browser.js("window.open(location.href) && null").await;
    stage
        .shop
        .until("the second tab asks", async |_| {
            stage.front.posts().len() == 2
        })
        .await;
    held.let_go();
    stage.browser.until_said("Bought").await;
    let tabs = client.windows().await.unwrap();
    client.switch_to_window(tabs[1].clone()).await.unwrap();
    stage.browser.until_said("Bought").await;
    assert_eq!(stage.front.posts().len(), 2);
    assert_one_receipt_for_one_key(&stage).await;

    let new = client.new_window(true).await.unwrap();
    client.switch_to_window(new.handle).await.unwrap();
    stage.visit().await;
    stage.browser.click_buy(2).await;
    stage.browser.until_said("Bought").await;
    let posts = stage.front.posts();
    assert_eq!(posts.len(), 3);
    assert_ne!(posts[2].key, posts[0].key);
    assert_eq!(stage.purchases().await, 2);
}

#[tokio::test]
async fn the_back_button_buys_nothing_and_leads_to_a_page_that_works() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    stage.visit().await;
    stage.browser.click_buy(2).await;
    stage.browser.until_said("Bought").await;
    stage.browser.visit(stage.front.address, "/healthz").await;
    stage.browser.client.back().await.unwrap();
    stage
        .browser
        .until("document.querySelectorAll('.receipt').length === 1")
        .await;
    stage
        .browser
        .until("document.querySelector('#balance').textContent === '17.50'")
        .await;
    assert_eq!(stage.front.posts().len(), 1);
    stage.browser.click_buy(2).await;
    stage
        .browser
        .until("document.querySelector('#balance').textContent === '15.00'")
        .await;
    let posts = stage.front.posts();
    assert_eq!(posts.len(), 2);
    assert_ne!(posts[0].key, posts[1].key);
}

#[tokio::test]
async fn whoever_leaves_in_the_middle_of_a_purchase_learns_of_it_on_the_way_back() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    let mut held = stage.hold_commits();
    stage.visit().await;
    stage.browser.click_buy(2).await;
    held.commit().await;
    stage.browser.visit(stage.front.address, "/healthz").await;
    held.let_go();
    stage.browser.client.back().await.unwrap();
    stage.browser.until_said("Bought").await;
    assert_eq!(stage.front.posts().len(), 2);
    assert_one_receipt_for_one_key(&stage).await;
}

#[tokio::test]
async fn a_page_from_the_browsers_cache_is_drawn_anew() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    stage.visit().await;
    stage.browser.js("window.isOld = true").await;
    stage
        .shop
        .sql("update item set stock = 0 where id = 1")
        .await;
    stage
        .browser
        .js("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true})) && null")
        .await;
    stage
        .browser
        .until("!window.isOld && document.readyState === 'complete'")
        .await;
    stage
        .browser
        .until("document.querySelector('.item[data-item=\"1\"] .stock').textContent === 'Sold out'")
        .await;
}

#[tokio::test]
async fn without_script_a_form_that_is_sent_twice_buys_once() {
    if !is_here() {
        return;
    }
    let kind = Kind {
        scriptless: true,
        ..Kind::default()
    };
    let stage = Stage::open(kind).await;
    let mut held = stage.hold_commits();
    stage.visit().await;
    let press = async || {
        let button = stage.browser.wait_for(".item[data-item='2'] button").await;
        button.click().await.unwrap();
    };
    press().await;
    held.commit().await;
    // Impatience: the buyer stops the page that does not come, and presses again.
    stage.browser.stop_loading().await;
    press().await;
    stage
        .shop
        .until("the form is sent twice", async |_| {
            stage.front.posts().len() == 2
        })
        .await;
    held.let_go();
    stage.browser.wait_for("main .receipt").await;
    stage.until_answered().await;
    assert!(stage.front.posts().iter().all(|post| post.path == "/buy"));
    stage.assert_bought_once().await;
    stage.browser.close().await;
}

//! The page as a browser without its script sees it, and what it may never do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderName;
use common::client::{Answer, get, request, send};
use common::{BOUND, Shop};
use futures::future::join_all;
use rowlock_proxy::{Recording, Step, Trace};

/// Item 1 is the last of its kind, item 2 is plenty; user 1 has 20.00, user 2 nothing.
async fn open_shop(configure: impl FnOnce(&mut purchase_service::Config)) -> Shop {
    let shop = Shop::open_with(configure).await;
    shop.sql(
        "insert into item (id, name, price, stock)
         values (1, 'Lamp <b>\"last\"</b>', 1000, 1), (2, '', 250, 1000);
         insert into wallet (user_id, balance) values (1, 2000), (2, 0)",
    )
    .await;
    shop
}

fn html(answer: &Answer) -> &str {
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8"),
        "{answer:?}"
    );
    answer.body.as_str().unwrap()
}

async fn post(shop: &Shop, body: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    let request = request("POST", "/buy", &all, Some(body.as_bytes()));
    send(shop.address, &request).await
}

/// The key that the page drew for an item.
fn key_of(html: &str, item_id: i64) -> &str {
    let item = format!("name=\"item_id\" value=\"{item_id}\"");
    let (_, form) = html.split_once(&item).expect("a form for the item");
    let (_, key) = form.split_once("name=\"key\" value=\"").unwrap();
    key.split_once('"').unwrap().0
}

#[tokio::test]
async fn the_page_shows_the_items_and_a_form_for_whoever_has_a_wallet() {
    let shop = open_shop(|_| {}).await;
    let page = get(shop.address, "/?user=1").await;
    let html = html(&page);
    for part in [
        "Lamp &#60;b&#62;&#34;last&#34;&#60;/b&#62;",
        "10.00",
        "The last one",
        "Item 2",
        "2.50",
        "1000 left",
        "Wallet 1",
        "20.00",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert_eq!(html.matches("<form class=\"buy\"").count(), 2);
    assert_ne!(key_of(html, 1), key_of(html, 2));
    let again = get(shop.address, "/?user=1").await;
    assert_ne!(key_of(html, 1), key_of(again.body.as_str().unwrap(), 1));

    let nobody = get(shop.address, "/").await;
    let text = nobody.body.as_str().unwrap();
    assert!(text.contains("Whose wallet pays?") && !text.contains("class=\"buy\""));
}

#[tokio::test]
async fn nothing_on_the_page_is_inline_or_from_elsewhere() {
    let shop = open_shop(|_| {}).await;
    let page = get(shop.address, "/?user=1").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    for foreign in ["http:", "https:", "style=", "onclick", "<style"] {
        assert!(!html(&page).contains(foreign), "{foreign}");
    }
    for (name, media_type) in [
        ("shop.css", "text/css; charset=utf-8"),
        ("shop.js", "text/javascript; charset=utf-8"),
    ] {
        let path = format!("/assets/{name}");
        assert!(html(&page).contains(&path));
        let asset = get(shop.address, &path).await;
        assert_eq!(asset.header("content-type"), Some(media_type));
        let content = asset.body.as_str().unwrap();
        assert!(
            !content.contains("http:") && !content.contains("https:"),
            "{name}"
        );
        let known = [("if-none-match", asset.header("etag").unwrap())];
        let unchanged = send(shop.address, &request("GET", &path, &known, None)).await;
        assert_eq!((unchanged.status, unchanged.body.is_null()), (304, true));
    }
    let nothing = get(shop.address, "/assets/other.js").await;
    nothing.assert_problem(404, "not_found", "no such asset");
}

#[tokio::test]
async fn a_form_that_is_posted_twice_buys_once_and_shows_one_receipt() {
    let shop = open_shop(|_| {}).await;
    let page = get(shop.address, "/?user=1").await;
    let form = format!("user_id=1&item_id=1&key={}", key_of(html(&page), 1));
    let both = join_all([post(&shop, &form, &[]), post(&shop, &form, &[])]).await;
    let location = both[0].header("location").unwrap();
    for answer in &both {
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(location))
        );
    }
    assert_eq!(shop.number("select count(*) from purchase").await, 1);
    let bought = get(shop.address, location).await;
    for part in [
        "Bought.",
        "Receipt",
        "Left in the wallet",
        "10.00",
        "Sold out",
    ] {
        assert!(html(&bought).contains(part), "{part}");
    }
    // Somebody else's receipt is nobody's business.
    let elsewhere = location.replace("user=1", "user=2");
    assert_ne!(elsewhere, location);
    let other = get(shop.address, &elsewhere).await;
    assert_eq!(
        html(&other).matches("class=\"receipt\"").count(),
        1,
        "the template alone"
    );
}

#[tokio::test]
async fn every_refusal_has_its_words_its_status_and_no_effect() {
    let shop = open_shop(|_| {}).await;
    shop.sql("update item set stock = 0 where id = 1").await;
    let before = shop.rows().await;
    for (form, status, words) in [
        (
            "user_id=1&item_id=1&key=a",
            400,
            "Sold out: somebody else took the last one.",
        ),
        (
            "user_id=2&item_id=2&key=b",
            400,
            "Your wallet does not hold enough",
        ),
        (
            "user_id=1&item_id=9&key=c",
            400,
            "This item is no longer for sale.",
        ),
        (
            "user_id=1&item_id=2",
            400,
            "This request could not be read.",
        ),
        (
            "user_id=1&item_id=2&key=d&key=e",
            400,
            "This request could not be read.",
        ),
    ] {
        let answer = post(&shop, form, &[]).await;
        assert_eq!(answer.status, status, "{form}");
        assert!(html(&answer).contains(words), "{form}: {answer:?}");
    }
    for (path, status, words) in [
        ("/?user=9", 404, "There is no such wallet."),
        ("/?user=one", 400, "This request could not be read."),
    ] {
        let answer = get(shop.address, path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(html(&answer).contains(words), "{path}: {answer:?}");
    }
    assert_eq!(shop.rows().await, before);
}

#[tokio::test]
async fn an_order_whose_outcome_is_not_known_is_offered_again_under_its_own_key() {
    let shop = open_shop(|_| {}).await;
    shop.sql(
        "create sequence raised;
         create function raise() returns trigger language plpgsql as $$
         begin
             if nextval('raised') = 1 then raise 'told to'; end if;
             return null;
         end $$;
         create constraint trigger raise after insert on purchase
             for each row execute function raise()",
    )
    .await;
    let form = "user_id=1&item_id=1&key=mine";
    let unknown = post(&shop, form, &[]).await;
    assert_eq!(unknown.status, 500);
    assert!(html(&unknown).contains("We do not know yet"));
    assert_eq!(key_of(html(&unknown), 1), "mine");
    // Also where somebody takes the last one meanwhile, the button can be pressed.
    shop.sql("update item set stock = 0 where id = 1").await;
    shop.sql("alter sequence raised restart").await;
    shop.sql("update item set stock = 1 where id = 1").await;
    let again = post(&shop, form, &[]).await;
    assert_eq!(again.status, 500);
    let settled = post(&shop, form, &[]).await;
    assert_eq!(settled.status, 303);
    let refused = post(&shop, "user_id=1&item_id=1&key=other", &[]).await;
    assert_ne!(
        key_of(html(&refused), 1),
        "other",
        "a refusal settles its key"
    );
}

#[tokio::test]
async fn behind_a_gateway_the_page_is_the_callers_own() {
    let shop =
        open_shop(|config| config.trust_user_header = Some(HeaderName::from_static("x-user-id")))
            .await;
    let before = shop.rows().await;
    let page = |path: &str, callers: &[&str]| {
        let headers: Vec<_> = callers.iter().map(|user| ("x-user-id", *user)).collect();
        let request = request("GET", path, &headers, None);
        async move { send(shop.address, &request).await }
    };
    let own = page("/", &["1"]).await;
    assert!(html(&own).contains("Wallet 1") && !html(&own).contains("Whose wallet pays?"));
    for (answer, status) in [
        (page("/", &[]).await, 401),
        (page("/", &["one"]).await, 401),
        (page("/?user=2", &["1"]).await, 403),
        (
            post(&shop, "user_id=2&item_id=2&key=k", &[("x-user-id", "1")]).await,
            403,
        ),
        (post(&shop, "user_id=1&item_id=2&key=k", &[]).await, 401),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!html(&answer).contains("20.00"), "{answer:?}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
    assert_eq!(shop.rows().await, before);
    let bought = post(&shop, "user_id=1&item_id=2&key=k", &[("x-user-id", "1")]).await;
    assert_eq!(bought.status, 303);
}

#[tokio::test]
async fn another_sites_form_buys_nothing() {
    let shop = open_shop(|_| {}).await;
    let before = shop.rows().await;
    let form = "user_id=1&item_id=1&key=k";
    for site in ["cross-site", "same-site"] {
        let answer = post(&shop, form, &[("sec-fetch-site", site)]).await;
        assert_eq!(answer.status, 403, "{site}");
    }
    let json = [("content-type", "application/json")];
    let body = br#"{"user_id": 1, "item_id": 1}"#;
    let answer = send(shop.address, &request("POST", "/buy", &json, Some(body))).await;
    assert_eq!(answer.status, 415);
    assert_eq!(shop.rows().await, before);
    for site in ["same-origin", "none"] {
        let answer = post(&shop, form, &[("sec-fetch-site", site)]).await;
        assert_eq!(answer.status, 303, "{site}");
    }
}

#[tokio::test]
async fn many_who_watch_the_stock_cost_one_read() {
    let database = common::database::fresh_database().await;
    let proxy = database.proxy().await;
    let shop = Shop::open_on(database, |config| {
        config.database_url = proxy.url.clone();
    })
    .await;
    shop.sql("insert into item (id, price, stock) values (1, 1, 0), (2, 1, 7)")
        .await;
    let recording = Recording::new();
    proxy
        .control()
        .set_trace(Some(Arc::clone(&recording) as Arc<dyn Trace>));
    let began = Instant::now();
    let watchers = (0..50).map(|_| get(shop.address, "/stock"));
    let answers = tokio::time::timeout(BOUND, join_all(watchers))
        .await
        .unwrap();
    let told = serde_json::json!({"items": [
        {"id": 1, "words": "Sold out", "sold_out": true},
        {"id": 2, "words": "7 left", "sold_out": false},
    ]});
    for answer in answers {
        assert_eq!((answer.status, &answer.body), (200, &told));
    }
    // One read serves for a second, however many watch; a slow machine may need several.
    let most = 1 + began.elapsed().as_secs();
    let steps = recording.take().into_iter().map(|record| record.step);
    let is_read = |step: &Step| {
        let mut statements = step.statements.iter();
        step.kind.runs() && statements.any(|each| each.sql.starts_with("select id, stock"))
    };
    let reads = steps.filter(is_read).count() as u64;
    assert!((1..=most).contains(&reads), "{reads} reads, {most} allowed");
}

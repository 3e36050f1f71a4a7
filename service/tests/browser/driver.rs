//! What the tests of the shop's page do with a browser.

use std::net::SocketAddr;
use std::path::PathBuf;

use fantoccini::Locator;
pub(crate) use rowlock_testing::browser::{Browser, Kind, axe, is_here};

/// A browser at the shop's page.
pub(crate) trait Visitor {
    /// Goes to a page of the service.
    async fn visit(&self, address: SocketAddr, path: &str);
    /// Waits until the page says this.
    async fn until_said(&self, words: &str);
    /// Presses an item's button as a person does, by a click of the mouse.
    async fn click_buy(&self, item_id: i64);
    /// Keeps a picture of the page beside the tests' other products.
    async fn keep_picture(&self, name: &str);
}

impl Visitor for Browser {
    async fn visit(&self, address: SocketAddr, path: &str) {
        self.goto(&format!("http://{address}{path}")).await;
    }

    async fn until_said(&self, words: &str) {
        self.until(&format!(
            "document.querySelector('#status').textContent.includes({words:?})"
        ))
        .await;
    }

    async fn click_buy(&self, item_id: i64) {
        let button = format!(".item[data-item='{item_id}'] button");
        let button = self.client.find(Locator::Css(&button)).await.unwrap();
        button.click().await.unwrap();
    }

    async fn keep_picture(&self, name: &str) {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        self.screenshot(&directory, name).await;
    }
}

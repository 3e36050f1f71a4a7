//! The page as a template, with the headers that go with it.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::form::{Address, PostedOrder};
use super::notice::Notice;
use crate::order::{ItemId, Money};
use crate::problem;
use crate::reads::{OFFERS, Offer, PastPurchase, Wallet};

/// Everything comes from this service, nothing is inline, and no other site frames the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Sent with every page.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    // It holds a wallet's balance, and keys that are good for one purchase.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The page.
#[derive(Debug, Template)]
#[template(path = "shop.html")]
pub(super) struct Page {
    home: String,
    notice: Notice,
    spoken: [Notice; Notice::SPOKEN.len()],
    /// The items for sale; empty where they could not be read.
    offers: Vec<Offer>,
    after: Option<ItemId>,
    more: Option<String>,
    wallet: Option<Wallet>,
    asks_for_user: bool,
    receipt: Option<PastPurchase>,
    /// The item of an order whose outcome is not known.
    again: Option<ItemId>,
}

impl Page {
    /// The page at `address`, for nobody in particular.
    pub(super) fn new(address: &Address, offers: Vec<Offer>, notice: Notice) -> Self {
        let is_full = offers.len() == OFFERS as usize;
        let more = offers.last().filter(|_| is_full).map(|last| {
            let next = Address {
                after: Some(last.id),
                purchase: None,
                ..*address
            };
            next.link()
        });
        let home = Address {
            user: address.user,
            ..Address::default()
        };
        Self {
            home: home.link(),
            notice,
            spoken: Notice::SPOKEN,
            offers,
            after: address.after,
            more,
            wallet: None,
            asks_for_user: true,
            receipt: None,
            again: None,
        }
    }

    /// A page that says only this.
    pub(super) fn empty(notice: Notice) -> Self {
        Self {
            asks_for_user: false,
            ..Self::new(&Address::default(), Vec::new(), notice)
        }
    }

    /// The page for the wallet's owner, who can buy.
    pub(super) fn with_wallet(self, wallet: Wallet) -> Self {
        Self {
            wallet: Some(wallet),
            asks_for_user: false,
            ..self
        }
    }

    pub(super) fn with_receipt(self, receipt: PastPurchase) -> Self {
        Self {
            notice: Notice::Bought,
            receipt: Some(receipt),
            ..self
        }
    }

    /// Offers an order again under its own key, also where its item is sold out by now: it may
    /// be this very order that took the last one.
    pub(super) fn asking_again(mut self, posted: &PostedOrder) -> Self {
        let item_id = posted.order.item_id;
        for offer in self.offers.iter_mut().filter(|offer| offer.id == item_id) {
            offer.key = posted.key.to_string();
        }
        self.again = Some(item_id);
        self
    }

    fn can_press(&self, offer: &Offer) -> bool {
        !offer.is_sold_out() || self.again == Some(offer.id)
    }

    pub(super) fn into_response(self, status: StatusCode) -> Response {
        let html = self.render().expect("writing to memory cannot fail");
        let mut response = (status, HEADERS, Html(html)).into_response();
        problem::add_headers(status, response.headers_mut());
        response
    }
}

/// What an item is called where it has no name.
fn title(name: &str, id: ItemId) -> String {
    if name.trim().is_empty() {
        format!("Item {id}")
    } else {
        name.to_owned()
    }
}

pub(super) fn stock_in_words(stock: i64) -> String {
    match stock {
        ..=0 => "Sold out".to_owned(),
        1 => "The last one".to_owned(),
        _ => format!("{stock} left"),
    }
}

impl Offer {
    fn title(&self) -> String {
        title(&self.name, self.id)
    }

    fn is_sold_out(&self) -> bool {
        self.stock <= 0
    }

    fn stock_in_words(&self) -> String {
        stock_in_words(self.stock)
    }
}

impl PastPurchase {
    fn title(&self) -> String {
        title(&self.name, self.item_id)
    }

    fn balance_left_in_words(&self) -> String {
        self.balance_left.map(Money::decimal).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::UserId;

    fn offer(name: &str, stock: i64) -> Offer {
        Offer {
            id: ItemId(1),
            name: name.into(),
            price: Money(1_000),
            stock,
            key: "k".into(),
        }
    }

    fn page(offers: Vec<Offer>) -> String {
        let wallet = Wallet {
            user_id: UserId(1),
            balance: Money(2_000),
        };
        let page = Page::new(&Address::default(), offers, Notice::None).with_wallet(wallet);
        page.render().unwrap()
    }

    #[test]
    fn a_name_is_text_and_never_markup() {
        let html = page(vec![offer("<script>alert(1)</script>\"", 1)]);
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(html.contains("&#60;script&#62;alert(1)"), "{html}");
    }

    #[test]
    fn what_is_sold_out_cannot_be_pressed() {
        assert!(page(vec![offer("Lamp", 0)]).contains("<button disabled>Buy"));
        assert!(page(vec![offer("Lamp", 1)]).contains("<button>Buy"));
    }

    #[test]
    fn only_a_full_page_has_more() {
        assert!(!page(vec![offer("Lamp", 1)]).contains("More items"));
        let full = (0..OFFERS).map(|_| offer("Lamp", 1)).collect();
        assert!(page(full).contains("href=\"/?after=1\""));
    }

    #[test]
    fn stock_is_told_in_words() {
        let words = [-1, 0, 1, 2].map(stock_in_words);
        assert_eq!(words, ["Sold out", "Sold out", "The last one", "2 left"]);
    }
}

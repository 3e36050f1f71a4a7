//! Reads what a browser sends: the page's address, and the order that its form posts.
//!
//! An order is read as strictly as one in JSON. An address is a person's: parameters that are not
//! the page's own are left alone.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use form_urlencoded::Serializer;

use crate::order::{IdempotencyKey, ItemId, Order, PurchaseId, UserId};
use crate::problem::Problem;
use crate::request;

/// What the page is asked to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Address {
    /// Whose wallet pays.
    pub(super) user: Option<UserId>,
    /// The page shows the items after this one.
    pub(super) after: Option<ItemId>,
    /// The purchase whose receipt is shown.
    pub(super) purchase: Option<PurchaseId>,
}

impl Address {
    /// Reads the query of the page.
    ///
    /// # Errors
    /// A parameter of the page's that is not an integer, or is there twice.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let fields = Fields::parse(query.as_bytes())?;
        Ok(Self {
            user: fields.integer("user")?.map(UserId),
            after: fields.integer("after")?.map(ItemId),
            purchase: fields.integer("purchase")?.map(PurchaseId),
        })
    }

    /// The address as a link.
    pub(super) fn link(&self) -> String {
        let path = String::from("/?");
        let start = path.len();
        let mut query = Serializer::for_suffix(path, start);
        let parts = [
            ("user", self.user.map(|id| id.0)),
            ("after", self.after.map(|id| id.0)),
            ("purchase", self.purchase.map(|id| id.0)),
        ];
        for (name, id) in parts {
            if let Some(id) = id {
                query.append_pair(name, &id.to_string());
            }
        }
        query.finish().trim_end_matches('?').to_owned()
    }
}

/// An order that the page's form posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PostedOrder {
    pub(super) order: Order,
    pub(super) key: IdempotencyKey,
    after: Option<ItemId>,
}

impl PostedOrder {
    /// The page that the form stood on.
    pub(super) fn address(&self) -> Address {
        Address {
            user: Some(self.order.user_id),
            after: self.after,
            purchase: None,
        }
    }

    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::parse(body)?;
        fields.only(&["user_id", "item_id", "key", "after"])?;
        let key = IdempotencyKey::parse(fields.text("key").unwrap_or_default().as_bytes());
        Ok(Self {
            order: Order {
                user_id: UserId(fields.required("user_id")?),
                item_id: ItemId(fields.required("item_id")?),
            },
            key: key.map_err(|error| Problem::invalid_request(error.to_string()))?,
            after: fields.integer("after")?.map(ItemId),
        })
    }
}

/// Reads the order of a `POST /buy`.
///
/// # Errors
/// Whatever is not exactly such a form, or does not arrive in time.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    body_timeout: Duration,
) -> Result<PostedOrder, Problem> {
    request::require_media_type(headers, "application/x-www-form-urlencoded")?;
    PostedOrder::parse(&request::read_body(body, body_timeout).await?)
}

/// The fields of a form or a query, each at most once.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(Problem::invalid_request(format!("{name:?} was sent twice")));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    fn only(&self, names: &[&str]) -> Result<(), Problem> {
        match self
            .0
            .iter()
            .find(|(name, _)| !names.contains(&name.as_str()))
        {
            Some((name, _)) => Err(Problem::invalid_request(format!("unknown field {name:?}"))),
            None => Ok(()),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        fields
            .find(|(each, _)| each == name)
            .map(|(_, value)| value.as_str())
    }

    /// An empty field is one that was not filled in.
    fn integer(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| Problem::invalid_request(format!("{name:?} is not a 64-bit integer")))
    }

    fn required(&self, name: &str) -> Result<i64, Problem> {
        self.integer(name)?
            .ok_or_else(|| Problem::invalid_request(format!("{name:?} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_back() {
        for (query, link) in [
            ("", "/"),
            ("user=1", "/?user=1"),
            ("user=-1&after=9&purchase=3", "/?user=-1&after=9&purchase=3"),
            ("utm_source=mail&user=1&after=", "/?user=1"),
        ] {
            assert_eq!(Address::parse(query).unwrap().link(), link, "{query}");
        }
        for bad in [
            "user=one",
            "user=1&user=1",
            "after=1.0",
            "purchase=9223372036854775808",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_posted_order_is_two_ids_and_a_key() {
        let posted = PostedOrder::parse(b"user_id=1&item_id=2&key=k").unwrap();
        let order = Order {
            user_id: UserId(1),
            item_id: ItemId(2),
        };
        assert_eq!(posted.order, order);
        assert_eq!(posted.key, IdempotencyKey::parse(b"k").unwrap());
        assert_eq!(posted.address().link(), "/?user=1");
        let posted = PostedOrder::parse(b"user_id=1&item_id=2&key=k&after=7").unwrap();
        assert_eq!(posted.address().link(), "/?user=1&after=7");
    }

    #[test]
    fn anything_else_is_an_invalid_request() {
        for body in [
            "",
            "user_id=1&item_id=2",
            "user_id=1&item_id=2&key=",
            "user_id=1&item_id=2&key=a+b",
            "user_id=1&key=k",
            "user_id=&item_id=2&key=k",
            "user_id=1&item_id=2&key=k&quantity=3",
            "user_id=1&item_id=2&key=k&key=k",
            "user_id=1&item_id=2.0&key=k",
            "{\"user_id\": 1, \"item_id\": 2}",
            "user_id=1&item_id=2&key=%ff",
        ] {
            let problem = PostedOrder::parse(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code, "invalid_request", "{body}");
        }
    }
}

//! `GET /stock`: what the page's script asks for while somebody looks.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::form::Address;
use super::view::stock_in_words;
use crate::order::ItemId;
use crate::problem::Problem;
use crate::shop::Shop;

#[derive(Serialize)]
struct Feed {
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    id: ItemId,
    words: String,
    sold_out: bool,
}

/// `GET /stock?after=ID`.
pub(super) async fn follow(
    State(shop): State<Shop>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let address = Address::parse(query.as_deref().unwrap_or_default())?;
    let stock = shop.stock.read(&shop.reads, address.after).await?;
    let items = stock.iter().map(|stock| Item {
        id: stock.id,
        words: stock_in_words(stock.stock),
        sold_out: stock.stock <= 0,
    });
    let feed = Feed {
        items: items.collect(),
    };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(feed)).into_response())
}

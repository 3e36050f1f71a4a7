//! The shop's face: a page whose Buy button cannot buy twice.
//!
//! The page is drawn here, words and all; its script only sends the purchase, says which of the
//! page's words apply, and lets the stock follow the sale. Without the script the same form is
//! posted to `/buy`, under a key that was drawn with it.
//!
//! ```text
//! form    reads what a browser sends        stock   what the script asks for while somebody looks
//! notice  every answer in words             assets  stylesheet, script and icon
//! view    the page as a template
//! ```
//!
//! It decides nothing about purchases: they go the way of every other.

mod assets;
mod form;
mod notice;
mod stock;
mod view;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use self::form::{Address, PostedOrder};
use self::notice::Notice;
use self::view::Page;
use crate::caller::Caller;
use crate::problem::{Problem, ProblemCode};
use crate::reads::{self, OFFERS, ReadError};
use crate::shop::Shop;

/// The routes of the page.
///
/// | request | answers |
/// |---|---|
/// | `GET /?user=ID&after=ID&purchase=ID` | the page; every part may be left out |
/// | `POST /buy` | buys as the form says, and shows the page again |
/// | `GET /stock?after=ID` | `{"items": [{"id", "words", "sold_out"}]}` for the page's items |
/// | `GET /assets/{name}` | `shop.css`, `shop.js`, `icon.svg` |
pub(crate) fn routes() -> Router<Shop> {
    Router::new()
        .route("/", get(show))
        .route("/buy", post(buy))
        .route("/stock", get(stock::follow))
        .route("/assets/{name}", get(assets::send))
}

async fn show(
    State(shop): State<Shop>,
    caller: Result<Caller, Problem>,
    RawQuery(query): RawQuery,
) -> Response {
    match address(caller, query.as_deref().unwrap_or_default()) {
        Ok(address) => draw(&shop, &address, Notice::None, None, None).await,
        Err(problem) => turn_away(&problem),
    }
}

/// What is asked for, by whom.
fn address(caller: Result<Caller, Problem>, query: &str) -> Result<Address, Problem> {
    let caller = caller?;
    let mut address = Address::parse(query)?;
    if let Some(user_id) = address.user {
        caller.authorize(user_id)?;
    }
    address.user = address.user.or(caller.user());
    Ok(address)
}

async fn buy(
    State(shop): State<Shop>,
    caller: Result<Caller, Problem>,
    request: Request<Body>,
) -> Response {
    let posted = match posted_order(&shop, caller, request).await {
        Ok(posted) => posted,
        Err(problem) => return turn_away(&problem),
    };
    let decided = shop
        .admission
        .purchase(posted.order, Some(posted.key.clone()))
        .await;
    let notice = Notice::of(&decided);
    let problem = match decided {
        Ok(Ok(receipt)) => {
            let address = Address {
                purchase: Some(receipt.purchase_id),
                ..posted.address()
            };
            return Redirect::to(&address.link()).into_response();
        }
        Ok(Err(refusal)) => Problem::from(refusal),
        Err(error) => Problem::from(error),
    };
    // A key whose outcome is not known is offered again, so that the next click asks for it.
    let again = (!notice.is_definite()).then_some(&posted);
    draw(&shop, &posted.address(), notice, Some(problem), again).await
}

/// The order of the form, if its sender may give it.
async fn posted_order(
    shop: &Shop,
    caller: Result<Caller, Problem>,
    request: Request<Body>,
) -> Result<PostedOrder, Problem> {
    let (head, body) = request.into_parts();
    let caller = caller?;
    if is_from_another_site(&head.headers) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "other_site",
            "the form was sent by another site",
        ));
    }
    let posted = form::read(&head.headers, body, shop.body_timeout).await?;
    caller.authorize(posted.order.user_id)?;
    Ok(posted)
}

/// A page that shows nothing of the shop, and says why.
fn turn_away(problem: &Problem) -> Response {
    let notice = match problem.status {
        StatusCode::UNAUTHORIZED => Notice::Unauthenticated,
        StatusCode::FORBIDDEN => Notice::Forbidden,
        _ => Notice::NotUnderstood,
    };
    answer(Page::empty(notice), Some(problem))
}

/// The page with the problem's status, counted under its code.
fn answer(page: Page, problem: Option<&Problem>) -> Response {
    let Some(problem) = problem else {
        return page.into_response(StatusCode::OK);
    };
    let mut response = page.into_response(problem.status);
    response.extensions_mut().insert(ProblemCode(problem.code));
    response
}

/// Whether a browser says that another site's page sent the form. Programs do not say.
fn is_from_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// Draws the page with what is to be said of a purchase, and its problem if it met one.
async fn draw(
    shop: &Shop,
    address: &Address,
    notice: Notice,
    problem: Option<Problem>,
    again: Option<&PostedOrder>,
) -> Response {
    match gather(shop, address, notice, again).await {
        Ok((page, unknown)) => answer(page, problem.or(unknown).as_ref()),
        Err(error) => {
            let page = Page::empty(notice_of_failed_read(notice));
            answer(page, Some(&error.into()))
        }
    }
}

/// What was to be said about a purchase is more important than that the page cannot be drawn.
fn notice_of_failed_read(notice: Notice) -> Notice {
    match notice {
        Notice::None => Notice::NotShown,
        notice => notice,
    }
}

/// Reads what the page shows, with the problem of a user who does not exist.
async fn gather(
    shop: &Shop,
    address: &Address,
    notice: Notice,
    again: Option<&PostedOrder>,
) -> Result<(Page, Option<Problem>), ReadError> {
    let offers = reads::offers(&shop.reads, address.after, OFFERS).await?;
    let Some(user_id) = address.user else {
        return Ok((Page::new(address, offers, notice), None));
    };
    let Some(wallet) = reads::wallet(&shop.reads, user_id).await? else {
        let page = Page::new(address, offers, Notice::UnknownUser);
        return Ok((page, Some(Problem::unknown_user())));
    };
    let receipt = match address.purchase {
        Some(purchase_id) => reads::purchase(&shop.reads, user_id, purchase_id).await?,
        None => None,
    };
    let mut page = Page::new(address, offers, notice).with_wallet(wallet);
    if let Some(receipt) = receipt {
        page = page.with_receipt(receipt);
    }
    if let Some(posted) = again {
        page = page.asking_again(posted);
    }
    Ok((page, None))
}

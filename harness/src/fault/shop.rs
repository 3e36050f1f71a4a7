//! What of a campaign is the shop's: the rows that its stories find, the calls that they make,
//! and how the answers are to be taken. All else of the campaign holds for any service.

use std::net::SocketAddr;

use super::{Fault, SqlState, Story};
use crate::target::OnConflict;
use rowlock_shop::history::{Completion, Operation, Refusal, Request};
use rowlock_shop::invariant::Capabilities;
use rowlock_shop::rows::Shop;

const PRICE: i64 = 100;
const BALANCE: i64 = 1_000;

/// What the chosen request and its rival buy.
const ITEM: i64 = 1;
/// What is bought to see whether the target sells again.
const OTHER_ITEM: i64 = 2;
/// An item that does not exist, for requests that change nothing.
const NO_ITEM: i64 = 999;

const CHOSEN: i64 = 1;
const RIVAL: i64 = 2;
const LATECOMER: i64 = 3;

/// Why a target is not asked for what only a key makes safe.
pub(super) const NO_KEYS: &str = "the target knows no idempotency keys";

/// Whether `story` can be asked of a target that can do this.
pub(super) fn applies(story: Story, capabilities: Capabilities) -> bool {
    story != Story::Repeat || capabilities.idempotency_keys
}

/// The rows that `story` finds.
pub(super) fn rows(story: Story) -> Shop {
    let stock = if story == Story::Refusal { 0 } else { 5 };
    [CHOSEN, RIVAL, LATECOMER].into_iter().fold(
        Shop::default()
            .item(ITEM, PRICE, stock)
            .item(OTHER_ITEM, PRICE, 100),
        |shop, user_id| shop.wallet(user_id, BALANCE),
    )
}

/// The request that is broken, under a key of this name where the target knows keys.
pub(super) fn chosen(capabilities: Capabilities, name: &str) -> Request {
    let request = Request::new(CHOSEN, ITEM);
    match capabilities.idempotency_keys {
        true => request.with_key(name),
        false => request,
    }
}

/// Whether the request of `story` has been acknowledged once before.
pub(super) fn has_come_before(story: Story) -> bool {
    story == Story::Repeat
}

/// A second request that meets the chosen one.
pub(super) fn rival() -> Request {
    Request::new(RIVAL, ITEM)
}

/// A request that has nothing to do with the chosen one, and is to succeed.
pub(super) fn latecomer() -> Request {
    Request::new(LATECOMER, OTHER_ITEM)
}

/// A request that runs statements and changes nothing.
pub(super) fn harmless() -> Request {
    Request::new(LATECOMER, NO_ITEM)
}

/// Whether `request` may be sent again without doing twice what it asks for.
pub(super) fn is_repeatable(story: Story, request: &Request) -> bool {
    request.key.is_some() || story == Story::Refusal
}

/// Whether it need not be asked again after `operation`: its outcome is known, and it did not
/// give way to anybody.
pub(super) fn is_final(story: Story, on_conflict: OnConflict, operation: &Operation) -> bool {
    match &operation.completion {
        _ if is_answer_of(story, on_conflict, operation) => true,
        Completion::Ok(_) => true,
        Completion::Fail(refusal) => !matches!(refusal, Refusal::Busy | Refusal::Conflict),
        Completion::Info(_) => false,
    }
}

/// Whether `story` ends with such an answer where nothing is broken.
pub(super) fn is_answer_of(story: Story, on_conflict: OnConflict, operation: &Operation) -> bool {
    match story {
        Story::Refusal => match &operation.completion {
            Completion::Fail(Refusal::OutOfStock | Refusal::Unstated(_)) => true,
            // Whoever does not promise to try again may refuse by a 409, too.
            Completion::Fail(Refusal::Conflict) => on_conflict == OnConflict::GivesWay,
            _ => false,
        },
        Story::Purchase | Story::Repeat => operation.is_ok(),
    }
}

/// Does not hold the target to a reason that the fault itself has given it: a CHECK that fails
/// says that stock or balance do not suffice, and a shop may leave that judgement to its CHECKs.
pub(super) fn forgive(fault: Fault, operation: &mut Operation) {
    let Completion::Fail(refusal) = &mut operation.completion else {
        return;
    };
    let is_a_check = fault == Fault::Error(SqlState::CheckViolation);
    if is_a_check && matches!(refusal, Refusal::OutOfStock | Refusal::InsufficientBalance) {
        *refusal = Refusal::Unstated("by the word of a CHECK".to_owned());
    }
}

/// `request` as HTTP/1.1 has it.
pub(super) fn message(request: &Request, host: SocketAddr) -> String {
    let body = serde_json::to_string(&request.order).expect("an order is plain JSON");
    let key = request.key.as_ref();
    let key = key.map_or(String::new(), |key| format!("idempotency-key: {key}\r\n"));
    let length = body.len();
    format!(
        "POST /api/purchase/ HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         {key}content-length: {length}\r\n\r\n{body}"
    )
}

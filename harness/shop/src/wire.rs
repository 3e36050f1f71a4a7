//! A purchase on the wire: the call that asks for it, and what the reply says of it.

use rowlock_core::answer::Unknown;
use rowlock_core::call::{Call, NoReply, Reply};
use serde::Deserialize;

use crate::history::{Completion, Refusal, Request};

/// The call that asks for `request`.
pub fn call(request: &Request) -> Call {
    let key = request.key.iter();
    let key = key.map(|key| ("idempotency-key".to_owned(), key.clone()));
    let content = ("content-type".to_owned(), "application/json".to_owned());
    Call {
        label: "purchase".into(),
        method: "POST".into(),
        path: "/api/purchase/".into(),
        headers: [content].into_iter().chain(key).collect(),
        body: serde_json::to_vec(&request.order).expect("an order is plain JSON"),
    }
}

/// What became of a purchase, going by its reply.
pub fn completion(reply: &Result<Reply, NoReply>) -> Completion {
    match reply {
        Ok(reply) => replied(reply),
        Err(NoReply::NotSent) => Completion::Fail(Refusal::NotSent),
        Err(NoReply::Unknown(unknown)) => Completion::Info(*unknown),
    }
}

/// The part of problem+json (RFC 9457) that a verdict rests on.
#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// What an answer says of its purchase.
fn replied(reply: &Reply) -> Completion {
    let problem = || serde_json::from_slice::<Problem>(&reply.body);
    match reply.status {
        200 | 201 => Completion::Ok(serde_json::from_slice(&reply.body).unwrap_or_default()),
        503 => Completion::Fail(Refusal::Busy),
        500.. => Completion::Info(Unknown::ServerError),
        status => {
            let code = problem().ok().map(|problem| problem.code);
            Completion::Fail(refusal(status, code.as_deref()))
        }
    }
}

/// Why a request was refused. A code that we know says it under any status; without one the
/// status says whether the shop refused at all.
fn refusal(status: u16, code: Option<&str>) -> Refusal {
    let words = || match code {
        Some(code) => format!("{status} {code}"),
        None => format!("{status} without a code"),
    };
    match (code, status) {
        (Some("out_of_stock"), _) => Refusal::OutOfStock,
        (Some("insufficient_balance"), _) => Refusal::InsufficientBalance,
        (Some("unknown_item"), _) => Refusal::UnknownItem,
        (Some("unknown_user"), _) => Refusal::UnknownUser,
        (Some("idempotency_key_reused"), _) => Refusal::KeyReused,
        (Some("invalid_request"), _) => Refusal::Other(words()),
        // Conflict, locked, too many requests: to come again may help.
        (_, 409 | 423 | 429) => Refusal::Conflict,
        // What shops refuse purchases with: bad request, payment required, forbidden, not found,
        // gone, unprocessable content.
        (_, 400 | 402 | 403 | 404 | 410 | 422) => Refusal::Unstated(words()),
        _ => Refusal::Other(words()),
    }
}

#[cfg(test)]
mod tests {
    use purchase_service::order::PurchaseId;

    use super::*;
    use crate::history::Receipt;

    #[test]
    fn a_key_goes_as_a_header() {
        let without = call(&Request::new(1, 2));
        assert_eq!(without.body, br#"{"user_id":1,"item_id":2}"#);
        assert_eq!(without.headers.len(), 1);
        let with = call(&Request::new(1, 2).with_key("k"));
        let key = ("idempotency-key".to_owned(), "k".to_owned());
        assert!(with.headers.contains(&key));
    }

    #[test]
    fn what_was_not_sent_has_not_happened_and_what_was_lost_may_have() {
        let completion = |why| completion(&Err(why));
        let refused = Completion::Fail(Refusal::NotSent);
        assert_eq!(completion(NoReply::NotSent), refused);
        let lost = Unknown::ConnectionLost;
        assert_eq!(completion(NoReply::Unknown(lost)), Completion::Info(lost));
    }

    fn judged(status: u16, body: &'static str) -> Completion {
        completion(&Ok(Reply {
            status,
            headers: Vec::new(),
            body: body.into(),
        }))
    }

    #[test]
    fn a_refusal_is_known_by_its_code() {
        let completion = judged(400, r#"{"code":"out_of_stock","title":"sold out"}"#);
        assert_eq!(completion, Completion::Fail(Refusal::OutOfStock));
    }

    #[test]
    fn a_known_code_tells_the_reason_under_any_status() {
        for status in [402, 404, 409, 422] {
            let completion = judged(status, r#"{"code":"insufficient_balance"}"#);
            let poor = Completion::Fail(Refusal::InsufficientBalance);
            assert_eq!(completion, poor, "{status}");
        }
        let reused = judged(422, r#"{"code":"idempotency_key_reused"}"#);
        assert_eq!(reused, Completion::Fail(Refusal::KeyReused));
    }

    #[test]
    fn without_a_known_code_the_status_tells_whether_the_shop_refused() {
        let refused = |status, body| match judged(status, body) {
            Completion::Fail(refusal) => refusal,
            other => panic!("{status}: {other:?}"),
        };
        for status in [400, 402, 403, 404, 410, 422] {
            let words = format!("{status} without a code");
            let refusal = refused(status, r#"{"error":"out_of_stock"}"#);
            assert_eq!(refusal, Refusal::Unstated(words));
        }
        let sold_out = refused(400, r#"{"code":"SOLD_OUT"}"#);
        assert_eq!(sold_out, Refusal::Unstated("400 SOLD_OUT".into()));
        for status in [409, 423, 429] {
            let refusal = refused(status, r#"{"error":"try again"}"#);
            assert_eq!(refusal, Refusal::Conflict, "{status}");
        }
        let locked = refused(423, r#"{"code":"locked"}"#);
        assert_eq!(locked, Refusal::Conflict);
        for (status, body) in [(401, ""), (405, ""), (400, r#"{"code":"invalid_request"}"#)] {
            let refusal = refused(status, body);
            assert!(matches!(refusal, Refusal::Other(_)), "{refusal:?}");
        }
    }

    #[test]
    fn a_server_error_may_have_bought_and_a_503_has_not() {
        assert_eq!(judged(500, ""), Completion::Info(Unknown::ServerError));
        assert_eq!(judged(503, ""), Completion::Fail(Refusal::Busy));
    }

    #[test]
    fn a_receipt_may_be_left_out_in_part_or_whole() {
        let part = Receipt {
            purchase_id: Some(PurchaseId(7)),
            ..Receipt::default()
        };
        assert_eq!(
            judged(200, r#"{"purchase_id":7,"more":true}"#),
            Completion::Ok(part)
        );
        assert_eq!(judged(200, "thank you"), Completion::Ok(Receipt::default()));
    }
}

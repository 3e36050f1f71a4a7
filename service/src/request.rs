//! Reads a purchase request, strictly: whatever is not exactly an order is a 4xx, before
//! anything begins.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::order::{IdempotencyKey, Order};
use crate::problem::Problem;

/// The largest body that is read, in bytes.
pub(crate) const MAX_BODY: usize = 4 * 1024;

/// Reads the order and the key of a `POST /api/purchase/`.
pub(crate) async fn read(
    request: Request<Body>,
    body_timeout: Duration,
) -> Result<(Order, Option<IdempotencyKey>), Problem> {
    let (head, body) = request.into_parts();
    require_media_type(&head.headers, "application/json")?;
    let key = idempotency_key(&head.headers)?;
    let body = read_body(body, body_timeout).await?;
    Ok((parse_order(&body)?, key))
}

/// Refuses every content type but the one.
pub(crate) fn require_media_type(
    headers: &HeaderMap,
    required: &'static str,
) -> Result<(), Problem> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default().split(';').next(),
        _ => None,
    };
    if essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(required)) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!("send the order as content-type {required}"),
    ))
}

/// Reads a whole body of at most [`MAX_BODY`] bytes within `body_timeout`.
pub(crate) async fn read_body(body: Body, body_timeout: Duration) -> Result<Vec<u8>, Problem> {
    timeout(body_timeout, body_bytes(body))
        .await
        .unwrap_or_else(|_| {
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "the body did not arrive in time",
            ))
        })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::invalid_request("idempotency-key was sent twice"));
    }
    IdempotencyKey::parse(value.as_bytes())
        .map(Some)
        .map_err(|error| Problem::invalid_request(error.to_string()))
}

async fn body_bytes(body: Body) -> Result<Vec<u8>, Problem> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {MAX_BODY} bytes"),
        )),
        Err(_) => Err(Problem::invalid_request("the body ended early")),
    }
}

fn parse_order(body: &[u8]) -> Result<Order, Problem> {
    // serde takes a struct from an array too, `[1, 1]`; an order is an object.
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err(Problem::invalid_request("the body is empty")),
        Some(b'{') => {}
        Some(_) => return Err(Problem::invalid_request("the body is not a JSON object")),
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::invalid_request(format!("the body is not an order: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{ItemId, UserId};

    #[test]
    fn an_order_is_an_object_of_two_integers() {
        let order = |user, item| Order {
            user_id: UserId(user),
            item_id: ItemId(item),
        };
        for (body, expected) in [
            (r#"{"user_id": 1, "item_id": 2}"#, order(1, 2)),
            (" {\"item_id\":2,\n\"user_id\":1}\r\n\t ", order(1, 2)),
            (r#"{"user_id": -1, "item_id": 0}"#, order(-1, 0)),
            (
                r#"{"user_id": 9223372036854775807, "item_id": -9223372036854775808}"#,
                order(i64::MAX, i64::MIN),
            ),
            (r#"{"user\u005fid": 1, "item_id": 2}"#, order(1, 2)),
        ] {
            assert_eq!(parse_order(body.as_bytes()), Ok(expected), "{body}");
        }
    }

    #[test]
    fn anything_else_is_an_invalid_request() {
        for body in [
            "",
            " \n",
            "null",
            "1",
            "[1, 2]",
            r#""order""#,
            "{}",
            r#"{"user_id": 1}"#,
            r#"{"user_id": 1, "item_id": null}"#,
            r#"{"user_id": 1, "item_id": true}"#,
            r#"{"user_id": 1, "item_id": "2"}"#,
            r#"{"user_id": 1, "item_id": 2.0}"#,
            r#"{"user_id": 1, "item_id": 2e0}"#,
            r#"{"user_id": 1, "item_id": -0}"#,
            r#"{"user_id": 1, "item_id": 02}"#,
            r#"{"user_id": 1, "item_id": +2}"#,
            r#"{"user_id": 1, "item_id": [2]}"#,
            r#"{"user_id": 1, "item_id": 9223372036854775808}"#,
            r#"{"user_id": 1, "item_id": -9223372036854775809}"#,
            r#"{"user_id": 1, "item_id": 1e400}"#,
            r#"{"user_id": 1, "item_id": 2, "quantity": 3}"#,
            r#"{"user_id": 1, "item_id": 2, "item_id": 2}"#,
            r#"{"user_id": 1, "item_id": 2} {}"#,
            r#"{"user_id": 1, "item_id": 2,}"#,
            r#"{"user_id": 1, "item_id": 2"#,
            r#"{'user_id': 1, 'item_id': 2}"#,
            "\u{feff}{\"user_id\": 1, \"item_id\": 2}",
        ] {
            let problem = parse_order(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code, "invalid_request", "{body}");
        }
        assert!(parse_order(b"{\"user_id\": 1, \"item_id\": 2, \"\xff\": 1}").is_err());
        assert!(parse_order(&[b'{'; 4096]).is_err());
    }

    #[test]
    fn only_application_json_is_taken() {
        let require_json = |headers: HeaderMap| require_media_type(&headers, "application/json");
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_TYPE, value.parse().unwrap());
            }
            headers
        };
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json ;",
        ] {
            assert_eq!(require_json(headers(&[good])), Ok(()), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/json-patch+json",
            "application/*",
            "json",
        ] {
            assert!(require_json(headers(&[bad])).is_err(), "{bad}");
        }
        assert!(require_json(HeaderMap::new()).is_err());
        assert!(require_json(headers(&["application/json"; 2])).is_err());
    }
}

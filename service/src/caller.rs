//! Whose wallet a request may use.
//!
//! The service authenticates nobody. Either it trusts its caller, whatever user a
//! request names, or a gateway in front of it authenticates, and says who calls in a header that
//! the gateway alone can set. Then a request for another user is refused before anything begins.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::order::UserId;
use crate::problem::Problem;
use crate::shop::Shop;

/// Who calls, as far as the gateway says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody says who; any user may be named.
    Trusted,
    /// The user whom the gateway has authenticated.
    User(UserId),
}

impl Caller {
    /// Reads the caller from the gateway's `header`, if there is a gateway.
    ///
    /// # Errors
    /// A 401 unless the header is there once and holds a user's id, as a plain decimal number.
    pub(crate) fn read(header: Option<&HeaderName>, headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(header) = header else {
            return Ok(Self::Trusted);
        };
        let mut values = headers.get_all(header).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(unauthenticated());
        };
        let text = value.to_str().unwrap_or_default();
        match text.parse::<i64>() {
            // Of an id's spellings only its own: no sign or zero that means nothing.
            Ok(id) if id.to_string() == text => Ok(Self::User(UserId(id))),
            _ => Err(unauthenticated()),
        }
    }

    /// The user whom the gateway has authenticated, where there is one.
    pub(crate) fn user(self) -> Option<UserId> {
        match self {
            Self::Trusted => None,
            Self::User(user_id) => Some(user_id),
        }
    }

    /// Lets the caller use this user's wallet.
    ///
    /// # Errors
    /// A 403 if the caller is somebody else.
    pub(crate) fn authorize(self, user_id: UserId) -> Result<(), Problem> {
        if self.user().is_some_and(|caller| caller != user_id) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "not_your_wallet",
                "the request names another user than the one who is signed in",
            ));
        }
        Ok(())
    }
}

impl FromRequestParts<Shop> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        Self::read(shop.user_header.as_ref(), &parts.headers)
    }
}

fn unauthenticated() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "the gateway did not say who is signed in",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: HeaderName = HeaderName::from_static("x-user-id");

    fn read(values: &[&str]) -> Result<Caller, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        Caller::read(Some(&HEADER), &headers)
    }

    #[test]
    fn the_gateway_says_who_calls_once_and_plainly() {
        for (value, id) in [("7", 7), ("0", 0), ("-9223372036854775808", i64::MIN)] {
            assert_eq!(read(&[value]), Ok(Caller::User(UserId(id))), "{value}");
        }
        for bad in [
            "",
            " ",
            "seven",
            "7.0",
            "+7",
            "07",
            "-0",
            "7 ",
            "7,7",
            "7, 8",
            "0x7",
            "9223372036854775808",
            "sieben é",
        ] {
            assert_eq!(read(&[bad]), Err(unauthenticated()), "{bad:?}");
        }
        assert_eq!(read(&[]), Err(unauthenticated()));
        assert_eq!(read(&["7", "7"]), Err(unauthenticated()));
    }

    #[test]
    fn without_a_gateway_nobody_says_who_calls() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, "7".parse().unwrap());
        let caller = Caller::read(None, &headers).unwrap();
        assert_eq!(caller.user(), None);
        assert_eq!(caller.authorize(UserId(8)), Ok(()));
    }

    #[test]
    fn an_authenticated_caller_may_use_only_that_wallet() {
        let caller = read(&["7"]).unwrap();
        assert_eq!(caller.user(), Some(UserId(7)));
        assert_eq!(caller.authorize(UserId(7)), Ok(()));
        let problem = caller.authorize(UserId(8)).unwrap_err();
        assert_eq!(
            (problem.status.as_u16(), problem.code),
            (403, "not_your_wallet")
        );
    }
}

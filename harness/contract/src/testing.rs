//! What the tests of several modules need.

use rowlock_core::call::Reply;

/// An answer.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let owned = |(name, value): &(&str, &str)| (String::from(*name), String::from(*value));
    Reply {
        status,
        headers: headers.iter().map(owned).collect(),
        body: body.as_bytes().to_vec(),
    }
}

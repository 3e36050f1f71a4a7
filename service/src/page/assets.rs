//! The page's stylesheet, script and icon, embedded in the binary.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// A file of the page.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "shop.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("../../assets/shop.css"),
    },
    Asset {
        name: "shop.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_str!("../../assets/shop.js"),
    },
    Asset {
        name: "icon.svg",
        media_type: "image/svg+xml",
        content: include_str!("../../assets/icon.svg"),
    },
];

/// Sends a file, or says that the browser has it already: after an update of the service the
/// browser must not pair a new page with an old script.
pub(super) async fn send(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Problem::not_found("not_found", "there is nothing at this path").into_response();
    };
    let tag = format!("\"{:016x}\"", fnv1a(asset.content.as_bytes()));
    let tag = HeaderValue::try_from(tag).expect("hexadecimal digits fit a header");
    let is_known = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    let common = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let media_type = [(header::CONTENT_TYPE, asset.media_type)];
    (common, media_type, asset.content).into_response()
}

/// The 64-bit FNV-1a hash (draft-eastlake-fnv): tells versions of a file apart.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_draft() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}

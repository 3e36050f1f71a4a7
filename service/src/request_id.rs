//! What a request is called in the log and in its answer, so that one can be found by the other.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that brings an id, and the one that returns it.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken, in bytes.
pub(crate) const MAX_LEN: usize = 128;

/// Visible ASCII, 1 to [`MAX_LEN`] bytes: safe in a header and in a line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the id that a request brings, or makes one where it brings none that can be taken.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if is_sound(value) => Self(value.clone()),
            _ => Self::make(),
        }
    }

    /// An id that this process gives once. The process has its own number and moment of start, so
    /// that another one, on this machine or after it, gives others.
    fn make() -> Self {
        static PROCESS: LazyLock<String> = LazyLock::new(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
            let started_us = since_epoch.unwrap_or_default().as_micros();
            format!("{:x}-{started_us:x}", std::process::id())
        });
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number:x}", *PROCESS);
        Self(HeaderValue::from_str(&id).expect("hexadecimal digits and hyphens"))
    }

    /// The value of the answer's header.
    pub(crate) fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

fn is_sound(value: &HeaderValue) -> bool {
    (1..=MAX_LEN).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> RequestId {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                X_REQUEST_ID,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_sound_id_is_taken() {
        for id in ["a", "00-4bf92f35-01;~\"", &"i".repeat(128)] {
            assert_eq!(of(&[id]).to_string(), id);
        }
    }

    #[test]
    fn anything_else_is_replaced_by_an_id_of_its_own() {
        let too_long = "i".repeat(129);
        let mut made = Vec::new();
        let bad: [&[&str]; 7] = [
            &[],
            &[""],
            &["a b"],
            &["a\tb"],
            &["clé"],
            &[&too_long],
            &["a", "a"],
        ];
        for values in bad {
            let id = of(values);
            assert!(is_sound(&id.0), "{id}");
            assert!(!made.contains(&id), "{id} for {values:?}");
            made.push(id);
        }
    }
}

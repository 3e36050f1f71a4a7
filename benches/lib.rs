//! Benchmarks: everything is in `benches/`, but for what several of them share.

use std::str::FromStr;

/// The size that the environment asks for by `name`, or else `default`.
///
/// # Errors
/// A value that is no number, named.
pub fn setting<T: FromStr>(name: &str, default: T) -> Result<T, String> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("{name}={text:?} is no number")),
        Err(_) => Ok(default),
    }
}

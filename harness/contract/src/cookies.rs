//! The cookies of one actor.
//!
//! There is one host, so a cookie's domain is not looked at, and neither is `Secure`: the service is
//! asked on the loopback interface, where browsers send such cookies, too.

use std::time::SystemTime;

use cookie::{Cookie, Expiration};
use rowlock_core::call::{Call, Reply};

use crate::variables::Value;

/// The cookies that answers have set and not yet deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieJar {
    /// They, in the order in which they were first set.
    pub cookies: Vec<StoredCookie>,
}

/// One cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCookie {
    /// Its name.
    pub name: String,
    /// Its value, encoded as it came.
    pub value: String,
    /// The path that it is for, with all below it.
    pub path: String,
}

/// The cookies that an answer sets.
pub(crate) fn set_by(reply: &Reply) -> impl Iterator<Item = Cookie<'_>> {
    let set = reply
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    set.filter_map(|(_, value)| Cookie::parse(value.as_str()).ok())
}

impl CookieJar {
    /// No cookies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what the answer to a call of `path` sets, and deletes what it lets expire before `now`.
    pub fn take(&mut self, path: &str, reply: &Reply, now: SystemTime) {
        for cookie in set_by(reply) {
            let stored = StoredCookie {
                name: cookie.name().to_owned(),
                value: cookie.value().to_owned(),
                path: match cookie.path().filter(|path| path.starts_with('/')) {
                    Some(path) => path.to_owned(),
                    None => default_path(path),
                },
            };
            let same = |it: &StoredCookie| it.name == stored.name && it.path == stored.path;
            let at = self.cookies.iter().position(same);
            match (at, is_expired(&cookie, now)) {
                (Some(at), true) => drop(self.cookies.remove(at)),
                (Some(at), false) => self.cookies[at] = stored,
                (None, true) => {}
                (None, false) => self.cookies.push(stored),
            }
        }
    }

    /// The `cookie` header for a call of `path`; none if there is no cookie for it.
    pub fn header(&self, path: &str) -> Option<String> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut cookies: Vec<_> = self.cookies.iter().filter(|it| it.is_for(path)).collect();
        // The longest path first, as RFC 6265 asks; a stable sort keeps the order of the rest.
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<_> = cookies
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Adds the cookies for a call to those that it has of its own.
    pub fn send_with(&self, call: &mut Call) {
        let Some(cookies) = self.header(&call.path) else {
            return;
        };
        let own = call.headers.iter_mut().find(|(name, _)| name == "cookie");
        match own {
            Some((_, own)) => *own = format!("{own}; {cookies}"),
            None => call.headers.push(("cookie".to_owned(), cookies)),
        }
    }

    /// The cookies as variables, `cookie.NAME`.
    pub fn variables(&self) -> impl Iterator<Item = (String, Value)> + '_ {
        let cookies = self.cookies.iter();
        cookies.map(|it| (format!("cookie.{}", it.name), it.value.as_str().into()))
    }
}

impl StoredCookie {
    /// RFC 6265, 5.1.4.
    fn is_for(&self, path: &str) -> bool {
        match path.strip_prefix(&self.path) {
            Some(rest) => rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'),
            None => false,
        }
    }
}

/// The directory of a call's path: RFC 6265, 5.1.4.
fn default_path(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match path.rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => path[..end].to_owned(),
    }
}

/// Max-Age has the last word where both are given.
fn is_expired(cookie: &Cookie<'_>, now: SystemTime) -> bool {
    if let Some(age) = cookie.max_age() {
        return age.whole_seconds() <= 0;
    }
    match cookie.expires() {
        Some(Expiration::DateTime(time)) => SystemTime::from(time) <= now,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::reply;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    /// What is sent to `path` after these were set by answers to `/shop/cart`.
    fn sent(set: &[&str], path: &str) -> Option<String> {
        let mut jar = CookieJar::new();
        for cookie in set {
            jar.take(
                "/shop/cart?a=/b",
                &reply(200, &[("set-cookie", cookie)], ""),
                now(),
            );
        }
        jar.header(path)
    }

    #[test]
    fn a_cookie_is_sent_where_its_path_says() {
        let of_root = ["sid=1; Path=/; HttpOnly; Secure; SameSite=Lax"];
        assert_eq!(sent(&of_root, "/any?x=1"), Some("sid=1".to_owned()));
        let of_directory = ["sid=1"];
        assert_eq!(sent(&of_directory, "/shop"), Some("sid=1".to_owned()));
        assert_eq!(sent(&of_directory, "/shop/x"), Some("sid=1".to_owned()));
        assert_eq!(sent(&of_directory, "/shopping"), None);
        assert_eq!(sent(&of_directory, "/"), None);
    }

    #[test]
    fn a_later_one_replaces_it_and_an_expired_one_deletes_it() {
        let replaced = ["a=1; Path=/", "b=2; Path=/", "a=3; Path=/"];
        assert_eq!(sent(&replaced, "/"), Some("a=3; b=2".to_owned()));
        let deleted = ["a=1; Path=/", "a=; Path=/; Max-Age=0"];
        assert_eq!(sent(&deleted, "/"), None);
        let past = [
            "a=1; Path=/",
            "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ];
        assert_eq!(sent(&past, "/"), None);
        let lasting = ["a=1; Path=/; Expires=Fri, 01 Jan 2100 00:00:00 GMT"];
        assert_eq!(sent(&lasting, "/"), Some("a=1".to_owned()));
        let aged = ["a=1; Path=/; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"];
        assert_eq!(sent(&aged, "/"), Some("a=1".to_owned()));
    }

    #[test]
    fn a_call_has_its_own_cookies_and_the_jars() {
        let mut jar = CookieJar::new();
        jar.take("/", &reply(200, &[("set-cookie", "a=1")], ""), now());
        let headers = |own: &[(&str, &str)]| {
            let owned = |(name, value): &(&str, &str)| (String::from(*name), String::from(*value));
            let mut call = Call {
                label: String::new(),
                method: "GET".to_owned(),
                path: "/x".to_owned(),
                headers: own.iter().map(owned).collect(),
                body: Vec::new(),
            };
            jar.send_with(&mut call);
            call.headers
        };
        let cookie = |value: &str| vec![("cookie".to_owned(), value.to_owned())];
        assert_eq!(headers(&[]), cookie("a=1"));
        assert_eq!(headers(&[("cookie", "b=2")]), cookie("b=2; a=1"));
    }

    #[test]
    fn the_longest_path_comes_first_and_all_are_variables() {
        let both = ["a=1; Path=/", "b=2; Path=/shop"];
        assert_eq!(sent(&both, "/shop/"), Some("b=2; a=1".to_owned()));
        let mut jar = CookieJar::new();
        jar.take(
            "/",
            &reply(200, &[("set-cookie", "csrftoken=t")], ""),
            now(),
        );
        let variables: Vec<_> = jar.variables().collect();
        assert_eq!(variables, [("cookie.csrftoken".to_owned(), "t".into())]);
    }
}

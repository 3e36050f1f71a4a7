//! A regular expression of a contract, kept with its text.

use std::fmt;
use std::hash::{Hash, Hasher};

use regex::Regex;

/// A regular expression; two are equal if they are written alike.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles `text`; the error says what is wrong with it, on one line.
    pub fn new(text: &str) -> Result<Self, String> {
        let one_line = |error: regex::Error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        };
        Regex::new(text).map(Self).map_err(one_line)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is found anywhere in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// What its first group is in `text`, or the whole of what is found if it has no group.
    pub fn first<'t>(&self, text: &'t str) -> Option<&'t str> {
        let captures = self.0.captures(text)?;
        let group = captures.iter().skip(1).flatten().next();
        group
            .or_else(|| captures.get(0))
            .map(|found| found.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn the_first_group_is_what_is_meant_and_the_whole_where_there_is_none() {
        let csrf = Pattern::new(r#"name="csrf" value="([^"]+)""#).unwrap();
        assert_eq!(csrf.first(r#"<input name="csrf" value="a1">"#), Some("a1"));
        assert_eq!(csrf.first("<input>"), None);
        assert_eq!(Pattern::new("[0-9]+").unwrap().first("n 12"), Some("12"));
    }

    #[test]
    fn a_mistake_in_it_is_said_on_one_line() {
        assert_eq!(Pattern::new("(a").unwrap_err(), "unclosed group");
    }
}

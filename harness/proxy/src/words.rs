//! The words of an SQL text: what stands between spaces and comments.
//!
//! Strings, quoted names and dollar quotes are one word each, so that nothing in them is taken
//! for SQL; a punctuation mark is a word of its own. It is PostgreSQL's lexer as far as that takes
//! (scan.l), with `standard_conforming_strings` on. It decides nothing.

/// The words of `sql`, as they are written.
pub(super) fn words(sql: &str) -> Words<'_> {
    Words { rest: sql }
}

/// The statements of `sql`, each from its first word to its last: what stands between semicolons.
///
/// A text that holds the body of a function (BEGIN ATOMIC), whose semicolons are the body's, is
/// one.
pub(super) fn statements(sql: &str) -> Vec<&str> {
    let start_of = |word: &str| word.as_ptr() as usize - sql.as_ptr() as usize;
    let mut statements = Vec::new();
    let mut first_to_last: Option<(usize, usize)> = None;
    for word in words(sql) {
        if word.eq_ignore_ascii_case("atomic") {
            return vec![sql];
        }
        if word == ";" {
            statements.extend(first_to_last.take());
        } else {
            let start = start_of(word);
            let (first, _) = first_to_last.unwrap_or((start, start));
            first_to_last = Some((first, start + word.len()));
        }
    }
    statements.extend(first_to_last);
    let texts = statements.into_iter().map(|(from, to)| &sql[from..to]);
    texts.collect()
}

#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = after_blanks(self.rest);
        let (word, rest) = text.split_at(length_of_first(text));
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// `text` from the first that is neither space nor comment.
fn after_blanks(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if let Some(comment) = text.strip_prefix("--") {
            text = comment.find(['\n', '\r']).map_or("", |end| &comment[end..]);
        } else if let Some(comment) = text.strip_prefix("/*") {
            text = after_comment(comment);
        } else {
            return text;
        }
    }
}

/// What follows the comment in which `text` begins. Comments nest, unlike in other languages.
fn after_comment(mut text: &str) -> &str {
    let mut depth = 1;
    while depth > 0 {
        let Some(at) = text.find(['*', '/']) else {
            return "";
        };
        text = &text[at..];
        depth += match text.get(..2) {
            Some("/*") => 1,
            Some("*/") => -1,
            _ => {
                text = &text[1..];
                continue;
            }
        };
        text = &text[2..];
    }
    text
}

fn length_of_first(text: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    match text.chars().next() {
        None => 0,
        Some(quote @ ('\'' | '"')) => quoted(text, quote, false),
        Some('e' | 'E') if text[1..].starts_with('\'') => 1 + quoted(&text[1..], '\'', true),
        Some('$') => dollar_quoted(text).unwrap_or(1),
        Some(c) if is_part(c) => text.find(|c| !is_part(c)).unwrap_or(text.len()),
        Some(c) => c.len_utf8(),
    }
}

/// The length of the quotation in which `text` begins; a doubled quote does not end it.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && has_escapes {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

/// The length of `$tag$ … $tag$`; nothing if `text` begins otherwise, as a parameter does.
fn dollar_quoted(text: &str) -> Option<usize> {
    let tag = &text[1..][..text[1..].find('$')?];
    let is_name = tag.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !tag.starts_with(|c: char| c.is_ascii_digit());
    if !is_name {
        return None;
    }
    let (open, body) = text.split_at(tag.len() + 2);
    let close = body.find(open).map(|at| open.len() + at + open.len());
    Some(close.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rowlock_testing::seed::for_all;

    use super::*;

    fn listed(sql: &str) -> Vec<&str> {
        words(sql).collect()
    }

    #[test]
    fn a_text_is_cut_at_the_semicolons_between_its_statements() {
        assert_eq!(
            statements(" begin; -- now;\n select ';' as \"a;b\" ;; insert into t values ($$;$$)"),
            [
                "begin",
                "select ';' as \"a;b\"",
                "insert into t values ($$;$$)"
            ]
        );
        assert_eq!(statements("commit"), ["commit"]);
        assert!(statements(" ; /* none */ ").is_empty());
        let body = "create function f() returns int begin atomic select 1; end";
        assert_eq!(statements(body), [body]);
    }

    #[test]
    fn comments_are_blanks_and_nest() {
        assert_eq!(
            listed("-- one\n/* a /* b */ ; c */select/**/1--end"),
            ["select", "1"]
        );
        assert!(listed(" /* open").is_empty());
        assert!(listed("-- commit").is_empty());
    }

    #[test]
    fn what_is_quoted_is_one_word() {
        for quoted in [
            "'it''s; so'",
            r"E'it\'s; so'",
            r"'\'",
            "\"a \"\"b\"\"; c\"",
            "$$ begin; end $$",
            "$do$ $$; $$ $do$",
            "'open ;",
            "$$ open ;",
        ] {
            assert_eq!(listed(&format!("a {quoted}")), ["a", quoted]);
        }
    }

    #[test]
    fn parameters_are_no_quotes() {
        assert_eq!(listed("$1;$2"), ["$", "1", ";", "$", "2"]);
    }

    #[test]
    fn any_text_has_an_end() {
        for_all(256, &"[-/*'\"$;eE\\\\ a\n1ß]{0,40}", |text| {
            let length: usize = words(&text).map(str::len).sum();
            prop_assert!(length <= text.len());
            Ok(())
        });
    }
}

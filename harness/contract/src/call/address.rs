//! Paths and forms: what variables bring cannot change where a path or a field ends.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::template::{MissingVariable, Part, Template};
use crate::variables::Variables;

/// What a path cannot have in it as it is; `%`, `/` and `?` are the contract's own.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encode(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string()
}

/// A path with its variables percent-encoded. A variable that it begins with is a path itself, or a
/// whole URL, as a `location` header has it: then only its path and query count.
pub(super) fn fill_path(
    template: &Template,
    variables: &Variables,
) -> Result<String, MissingVariable> {
    let of_literal = |text: &str| encode(text, UNFIT);
    let of_value = |value: &crate::variables::Value| encode(&value.to_string(), RESERVED);
    let Some((first @ Part::Variable { .. }, rest)) = template.parts.split_first() else {
        return template.fill_with(variables, of_literal, of_value);
    };
    let [first, rest] = [&[first.clone()][..], rest].map(|parts| Template {
        parts: parts.to_vec(),
    });
    let start = first.fill(variables).map_err(|missing| MissingVariable {
        template: template.to_string(),
        ..missing
    })?;
    let rest = rest.fill_with(variables, of_literal, of_value)?;
    Ok(encode(path_of(&start), UNFIT) + &rest)
}

/// The path and query of a URL; anything else is a path as it is.
fn path_of(url: &str) -> &str {
    let url = url.split('#').next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        _ => url,
    }
}

/// `a=1&b=2`, as forms and queries are written.
pub(super) fn fill_pairs(
    pairs: &[(String, Template)],
    variables: &Variables,
) -> Result<String, MissingVariable> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, template) in pairs {
        form.append_pair(name, &template.fill(variables)?);
    }
    Ok(form.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(template: &str, value: &str) -> String {
        let variables = Variables::new().with([("v", value)]);
        fill_path(&Template::parse(template).unwrap(), &variables).unwrap()
    }

    #[test]
    fn a_variable_cannot_leave_its_segment() {
        assert_eq!(
            path("/users/${v}/x?a=b%20c", "a/../b?ä"),
            "/users/a%2F..%2Fb%3F%C3%A4/x?a=b%20c"
        );
        assert_eq!(path("/a b/é", ""), "/a%20b/%C3%A9");
    }

    #[test]
    fn one_that_the_path_begins_with_is_a_path_or_a_url() {
        assert_eq!(path("${v}/confirm", "/orders/7"), "/orders/7/confirm");
        assert_eq!(
            path("${v}", "http://127.0.0.1:80/a?b=c%20d#e"),
            "/a?b=c%20d"
        );
        assert_eq!(path("${v}", "http://host"), "/");
        assert_eq!(path("${v}", "/go?to=http://host/"), "/go?to=http://host/");
    }

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        let pair = |name: &str, value| (name.to_owned(), Template::parse(value).unwrap());
        let pairs = [pair("a b", "x&y=${v}"), pair("c", "")];
        let variables = Variables::new().with([("v", "é")]);
        assert_eq!(
            fill_pairs(&pairs, &variables).unwrap(),
            "a+b=x%26y%3D%C3%A9&c="
        );
    }
}

//! The words of an expression.

use super::number::Number;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Number(Number),
    /// A name or keyword.
    Word(String),
    /// An operator, a parenthesis or a comma.
    Sign(&'static str),
}

const SIGNS: [&str; 13] = [
    "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "(", ")", ",",
];

/// All words of `text`, in their order.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
            let end = end.unwrap_or(rest.len());
            let number = rest[..end].parse();
            let number = number.map_err(|_| format!("`{}` is not a number", &rest[..end]))?;
            (Token::Number(number), end)
        } else if first.is_alphabetic() || first == '_' {
            let is_in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let end = rest.find(|c| !is_in_word(c)).unwrap_or(rest.len());
            (Token::Word(rest[..end].to_owned()), end)
        } else if let Some((name, _)) = rest.strip_prefix('`').and_then(|it| it.split_once('`')) {
            (Token::Word(name.to_owned()), name.len() + 2)
        } else {
            match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None if first == '=' => return Err("`=` is written `==`".to_owned()),
                None => return Err(format!("`{first}` is not known here")),
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

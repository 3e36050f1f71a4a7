//! SQL as words: what a statement looks like to a person, and what of it two runs share.
//!
//! A statement is read as tokens, never parsed, so any text gives something. It
//! decides nothing about control or footprints.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use rowlock_proxy::{Statement, Value};

/// Longest parameter shown whole, in characters.
const PARAMETER_SHOWN: usize = 24;

/// The statement on one line, without comments, its bound parameters in their places.
pub(super) fn filled(statement: &Statement) -> String {
    let text = |token: &Token| match token {
        Token::Placeholder(name) => parameter(name, &statement.parameters),
        other => other.to_string(),
    };
    match tokens(&statement.sql) {
        Some(tokens) => joined(&tokens, text),
        None => on_one_line(&statement.sql),
    }
}

/// What is left of the SQL when everything that may differ between two runs of the same code is
/// taken out: literals, numbers (in names too), comments, spaces and the case of words.
pub fn shape(sql: &str) -> String {
    let text = |token: &Token| match token {
        Token::Number(..) => "0".to_owned(),
        Token::Placeholder(_) => "$".to_owned(),
        Token::Word(word) if word.quote_style.is_none() => {
            without_digits(&word.value.to_lowercase())
        }
        Token::Word(word) => without_digits(&word.value),
        other if is_string(other) => "''".to_owned(),
        other => other.to_string(),
    };
    match tokens(sql) {
        Some(tokens) => joined(&tokens, text),
        None => on_one_line(sql),
    }
}

/// The gist of a statement, as far as its words tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gist {
    /// What it does.
    pub(super) effect: Effect,
    /// The first table that it names.
    pub(super) table: String,
    /// Its last condition, parameters filled in.
    pub(super) condition: String,
    /// All its words, in lower case.
    pub(super) words: Vec<String>,
}

/// What a statement does to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Read,
    /// A read that locks the rows.
    Lock,
    Update,
    Insert,
    Delete,
}

/// Reads the gist of `statement`; nothing for one that names no table.
pub(super) fn gist(statement: &Statement) -> Option<Gist> {
    let text = filled(statement);
    let words: Vec<String> = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).cloned()
    };
    let locks = words.windows(2).any(|pair| {
        pair[0] == "for" && ["update", "share", "no", "key"].contains(&pair[1].as_str())
    });
    let first = words.first()?.as_str();
    let does = match first {
        "with" => changing(&words).unwrap_or("select"),
        other => other,
    };
    let (effect, table) = match does {
        "select" if locks => (Effect::Lock, last_from(&words)?),
        "select" => (Effect::Read, last_from(&words)?),
        "update" => (Effect::Update, after("update")?),
        "insert" => (Effect::Insert, after("into")?),
        "delete" => (Effect::Delete, after("from")?),
        _ => return None,
    };
    let condition = condition(&text);
    Some(Gist {
        effect,
        table,
        condition,
        words,
    })
}

/// Cuts `text` to `longest` characters, the last an ellipsis.
pub fn clipped(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
            kept + "…"
        }
    }
}

/// What a statement with common table expressions changes first, if it changes anything.
fn changing(words: &[String]) -> Option<&str> {
    let mut before = "";
    words.iter().find_map(|word| {
        let is_lock = std::mem::replace(&mut before, word) == "for";
        let changes = ["insert", "update", "delete"].contains(&word.as_str());
        (changes && !is_lock).then_some(word.as_str())
    })
}

/// A subselect in the list of columns comes before the table that the whole is about.
fn last_from(words: &[String]) -> Option<String> {
    let at = words.iter().rposition(|word| word == "from")?;
    words.get(at + 1).cloned()
}

fn condition(text: &str) -> String {
    const ENDS: [&str; 5] = [
        " for ",
        " returning ",
        " order by ",
        " limit ",
        " on conflict ",
    ];
    let lower = text.to_lowercase();
    let Some(at) = lower.rfind(" where ") else {
        return String::new();
    };
    let from = at + " where ".len();
    let rest = ENDS.iter().filter_map(|end| lower[from..].find(end)).min();
    let to = rest.map_or(lower.len(), |end| from + end);
    text.get(from..to).unwrap_or_default().trim().to_owned()
}

fn tokens(sql: &str) -> Option<Vec<Token>> {
    Tokenizer::new(&PostgreSqlDialect {}, sql)
        .with_unescape(false)
        .tokenize()
        .ok()
}

fn joined(tokens: &[Token], text: impl Fn(&Token) -> String) -> String {
    let mut line = String::new();
    let mut is_space_due = false;
    for token in tokens {
        match token {
            Token::Whitespace(Whitespace::SingleLineComment { .. }) => is_space_due = true,
            Token::Whitespace(_) => is_space_due = true,
            token => {
                if is_space_due && !line.is_empty() {
                    line.push(' ');
                }
                is_space_due = false;
                line.push_str(&text(token));
            }
        }
    }
    let end = line.trim_end_matches([';', ' ']).len();
    line.truncate(end);
    line
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A parameter as SQL would have it: its type is not known here, its look is.
fn parameter(name: &str, parameters: &[Value]) -> String {
    let number = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
    let value = number.and_then(|n| parameters.get(n.wrapping_sub(1)));
    match value {
        None => name.to_owned(),
        Some(None) => "null".to_owned(),
        Some(Some(value)) if value.parse::<f64>().is_ok() => value.clone(),
        Some(Some(value)) => format!("'{}'", clipped(&on_one_line(value), PARAMETER_SHOWN)),
    }
}

fn is_string(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
    )
}

fn without_digits(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars() {
        match c.is_ascii_digit() {
            true if text.ends_with('0') => {}
            true => text.push('0'),
            false => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sql: &str, parameters: &[Option<&str>]) -> Statement {
        Statement {
            sql: sql.into(),
            parameters: parameters.iter().map(|p| p.map(Into::into)).collect(),
        }
    }

    #[test]
    fn parameters_stand_where_they_are_bound() {
        let insert = statement(
            "insert into t (a, b, c, d)\n  values ($1, $2, $3, '$1 -- stays') -- gone\n;",
            &[Some("17"), None, Some("it's")],
        );
        assert_eq!(
            filled(&insert),
            "insert into t (a, b, c, d) values (17, null, 'it's', '$1 -- stays')"
        );
        assert_eq!(filled(&statement("select $2", &[None])), "select $2");
    }

    #[test]
    fn shapes_agree_where_only_values_spaces_case_and_comments_differ() {
        let one = "SELECT stock FROM item  WHERE id = 17 and at < '2026-01-01' /* trace a1 */";
        let other = "select stock from item where id = 3 and at < 'now'";
        assert_eq!(shape(one), shape(other));
        assert_eq!(shape("savepoint sp_17"), shape("savepoint sp_4"));
        assert_ne!(shape(other), shape("select stock from item where id = 3"));
        assert_ne!(shape(other), shape(&format!("{other} for update")));
    }

    #[test]
    fn text_that_is_no_sql_keeps_its_words() {
        assert_eq!(shape("select  'open"), "select 'open");
    }

    #[test]
    fn the_gist_names_verb_table_and_condition() {
        let read = "select price, (select balance from wallet where user_id = $2) \
                    from item where id = $1 for update";
        let gist = gist(&statement(read, &[Some("1"), Some("2")])).unwrap();
        assert_eq!((gist.effect, gist.table.as_str()), (Effect::Lock, "item"));
        assert_eq!(gist.condition, "id = 1");
        assert_eq!(super::gist(&statement("begin", &[])), None);
        let with =
            "with t as (insert into purchase select 1 returning id) update item set stock = 1";
        let with = super::gist(&statement(with, &[])).unwrap();
        assert_eq!(
            (with.effect, with.table.as_str()),
            (Effect::Insert, "purchase")
        );
    }
}

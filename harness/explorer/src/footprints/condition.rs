//! Which rows a condition admits, by the columns that it compares with values.

use std::collections::BTreeMap;

use sqlparser::ast::{BinaryOperator, Expr, Value as Literal};

use super::statement::Reader;
use crate::catalog::{Kind, Table};
use crate::footprint::NULL;
use crate::syntax::column_of;

/// What rows have in common, by column.
pub(super) type Rows = BTreeMap<String, String>;

/// A condition that admits more is taken to admit all rows.
const MOST_ALTERNATIVES: usize = 32;

impl Reader<'_> {
    /// What the rows that a condition admits have in common: each row is in one of these.
    pub(super) fn rows(&self, table: &Table, condition: Option<&Expr>) -> Vec<Rows> {
        let mut compared = BTreeMap::new();
        if let Some(condition) = condition {
            self.compare(table, condition, &mut compared);
        }
        let mut all = vec![Rows::new()];
        for (column, values) in compared {
            if all.len() * values.len() > MOST_ALTERNATIVES {
                continue;
            }
            let with = |rows: &Rows, value: &String| {
                let mut rows = rows.clone();
                rows.insert(column.clone(), value.clone());
                rows
            };
            let longer = all
                .iter()
                .flat_map(|rows| values.iter().map(|value| with(rows, value)));
            all = longer.collect();
        }
        all
    }

    fn compare(&self, table: &Table, condition: &Expr, rows: &mut BTreeMap<String, Vec<String>>) {
        match condition {
            Expr::Nested(inner) => self.compare(table, inner, rows),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => {
                self.compare(table, left, rows);
                self.compare(table, right, rows);
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => {
                for (column, value) in [(left, right), (right, left)] {
                    let known = kind_of(table, column)
                        .and_then(|(name, kind)| Some((name, vec![self.value(kind, value)?])));
                    rows.extend(known);
                }
            }
            Expr::InList {
                expr,
                list,
                negated: false,
            } => {
                let known = kind_of(table, expr).and_then(|(name, kind)| {
                    let values = list.iter().map(|value| self.value(kind, value));
                    Some((name, values.collect::<Option<Vec<_>>>()?))
                });
                rows.extend(known);
            }
            Expr::AnyOp {
                left,
                compare_op: BinaryOperator::Eq,
                right,
                ..
            } => {
                let known = kind_of(table, left)
                    .and_then(|(name, kind)| Some((name, self.elements(kind, right)?)));
                rows.extend(known);
            }
            _ => {}
        }
    }

    /// The elements of an array that is bound, where they are plain numbers or words.
    fn elements(&self, kind: Kind, array: &Expr) -> Option<Vec<String>> {
        let array = match array {
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => {
                return self.elements(kind, inner);
            }
            Expr::Value(value) => self.bound(&value.value)?.as_ref()?,
            _ => return None,
        };
        let inside = array.strip_prefix('{')?.strip_suffix('}')?;
        let mut elements = Vec::new();
        let is_null = |it: &str| it.is_empty() || it.eq_ignore_ascii_case("null");
        for element in inside.split(',').filter(|it| !is_null(it)) {
            // What is quoted may hold a comma, whose parts are then quoted on one side only.
            let quoted = element
                .strip_prefix('"')
                .and_then(|it| it.strip_suffix('"'));
            let plain = quoted.unwrap_or(element);
            let is_spaced = quoted.is_none() && plain.contains(char::is_whitespace);
            if is_spaced || plain.contains(['"', '\\', '{', '}']) {
                return None;
            }
            elements.push(in_one_form(kind, plain)?);
        }
        Some(elements)
    }

    /// A value in the one form in which equal values of its kind are equal texts.
    pub(super) fn value(&self, kind: Kind, expr: &Expr) -> Option<String> {
        let text = match expr {
            Expr::Nested(inner) => return self.value(kind, inner),
            Expr::Cast { expr, .. } if kind == Kind::Integer => return self.value(kind, expr),
            Expr::Value(value) => match &value.value {
                Literal::Number(number, _) => number,
                Literal::SingleQuotedString(text) | Literal::EscapedStringLiteral(text) => text,
                Literal::Null => return Some(NULL.to_owned()),
                placeholder => match self.bound(placeholder)? {
                    Some(text) => text,
                    None => return Some(NULL.to_owned()),
                },
            },
            _ => return None,
        };
        in_one_form(kind, text)
    }

    /// What is bound to a placeholder.
    fn bound(&self, placeholder: &Literal) -> Option<&Option<String>> {
        let Literal::Placeholder(name) = placeholder else {
            return None;
        };
        let number: usize = name.strip_prefix('$')?.parse().ok()?;
        self.parameters.get(number.checked_sub(1)?)
    }
}

/// The column that an expression is, and how its values are told apart.
fn kind_of(table: &Table, column: &Expr) -> Option<(String, Kind)> {
    let name = column_of(column)?;
    let about = table.columns.get(&name)?;
    Some((name, about.kind))
}

fn in_one_form(kind: Kind, text: &str) -> Option<String> {
    match kind {
        Kind::Integer => text.trim().parse::<i64>().ok().map(|n| n.to_string()),
        // Values that the proxy could not read are in hexadecimal, long ones are cut short.
        Kind::Text => (!text.starts_with("\\x") && text.len() <= 1000 && !is_uuid(text))
            .then(|| text.to_owned()),
        Kind::Other => None,
    }
}

/// Whether a text may have been made up at random. It would be another one in the next run, and
/// what is the same step would look like another; so it tells no rows apart.
fn is_uuid(text: &str) -> bool {
    let is_hyphen = |place: usize| [8, 13, 18, 23].contains(&place);
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(place, byte)| match is_hyphen(place) {
                true => byte == b'-',
                false => byte.is_ascii_hexdigit(),
            })
}

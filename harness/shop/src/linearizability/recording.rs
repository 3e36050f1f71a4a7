//! A history with the rows it began and ended with, and its form as a file.
//!
//! One JSON object per line (JSON Lines). The rows come first, then the operations, in any
//! order; blank lines and lines that begin with `//` or `#` are left out:
//!
//! ```text
//! // one unit, two buyers
//! {"initial": {"items": {"1": {"price": 100, "stock": 1}}, "wallets": {"1": 100, "2": 100}}}
//! {"user_id": 1, "item_id": 1, "invoked_ns": 0, "completed_ns": 5, "ok": {"balance_left": 0}}
//! {"user_id": 2, "item_id": 1, "invoked_ns": 6, "completed_ns": 9, "fail": "out_of_stock"}
//! {"final": {"stocks": {"1": 0}, "balances": {"2": 100}}}
//! ```

use std::collections::BTreeMap;

use purchase_service::order::{ItemId, Money, UserId};
use serde::{Deserialize, Serialize};

use crate::history::Operation;
use crate::rows::{Item, Shop};

/// All that a check rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// The rows before the first operation.
    pub initial: Shop,
    /// What was asked and answered.
    pub operations: Vec<Operation>,
    /// The rows after the last operation, as far as they are known.
    pub last: LastRows,
}

/// What the rows held at the end. A row that is not named is not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LastRows {
    /// Units left of each item.
    pub stocks: BTreeMap<ItemId, i64>,
    /// Each wallet's balance.
    pub balances: BTreeMap<UserId, Money>,
}

impl From<&Shop> for LastRows {
    fn from(shop: &Shop) -> LastRows {
        let items = shop.items.iter();
        LastRows {
            stocks: items.map(|(id, item)| (*id, item.stock)).collect(),
            balances: shop.wallets.clone(),
        }
    }
}

/// A line that is no part of a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {what}")]
pub struct Malformed {
    /// Which line, counted from 1.
    pub line: usize,
    /// What is wrong with it, and what to write.
    pub what: String,
}

/// The rows before the first operation; a line may name some and the next one more.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Initial {
    initial: Rows,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rows {
    items: BTreeMap<ItemId, Item>,
    wallets: BTreeMap<UserId, Money>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Final {
    r#final: LastRows,
}

impl Recording {
    /// Reads a recording, and on which line, counted from 1, each operation stands.
    ///
    /// # Errors
    /// The first [`Malformed`] line.
    pub fn parse(text: &str) -> Result<(Recording, Vec<usize>), Malformed> {
        let mut recording = Recording::default();
        let mut lines = Vec::new();
        let mut begun = false;
        for (line, content) in (1..).zip(text.lines().map(str::trim)) {
            if content.is_empty() || content.starts_with("//") || content.starts_with('#') {
                continue;
            }
            let at = |what: String| Malformed { line, what };
            match kind(content).map_err(at)? {
                Kind::Initial => {
                    let rows: Initial = read(content).map_err(at)?;
                    begun = true;
                    recording.begin_with(rows.initial).map_err(at)?;
                }
                Kind::Final => {
                    let rows: Final = read(content).map_err(at)?;
                    recording.last.stocks.extend(rows.r#final.stocks);
                    recording.last.balances.extend(rows.r#final.balances);
                }
                Kind::Operation => {
                    if !begun {
                        let example = r#"{"initial": {"items": {"1": {"price": 100, "stock": 1}}, "wallets": {"1": 100}}}"#;
                        return Err(at(format!(
                            "an operation before the rows it began with; write first: {example}"
                        )));
                    }
                    recording.operations.push(read(content).map_err(at)?);
                    lines.push(line);
                }
            }
        }
        if !begun {
            let (line, what) = (text.lines().count().max(1), "no line with \"initial\" rows");
            return Err(Malformed {
                line,
                what: what.into(),
            });
        }
        Ok((recording, lines))
    }

    fn begin_with(&mut self, rows: Rows) -> Result<(), String> {
        for (id, item) in rows.items {
            if item.price.0 < 0 || item.stock < 0 {
                return Err(format!("item {id} begins with a price or stock below 0"));
            }
            if self.initial.items.insert(id, item).is_some() {
                return Err(format!("item {id} is declared twice"));
            }
        }
        for (user_id, balance) in rows.wallets {
            if balance.0 < 0 {
                return Err(format!("wallet {user_id} begins with a balance below 0"));
            }
            if self.initial.wallets.insert(user_id, balance).is_some() {
                return Err(format!("wallet {user_id} is declared twice"));
            }
        }
        Ok(())
    }

    /// Writes the recording so that [`Recording::parse`] reads it back.
    pub fn to_jsonl(&self) -> String {
        let initial = Rows {
            items: self.initial.items.clone(),
            wallets: self.initial.wallets.clone(),
        };
        let mut text = write(&Initial { initial });
        for operation in &self.operations {
            text += &write(operation);
        }
        if self.last != LastRows::default() {
            let last = self.last.clone();
            text += &write(&Final { r#final: last });
        }
        text
    }
}

enum Kind {
    Initial,
    Final,
    Operation,
}

fn kind(content: &str) -> Result<Kind, String> {
    let value: serde_json::Value = read(content)?;
    let Some(object) = value.as_object() else {
        return Err("a line is one JSON object: an operation, \"initial\" or \"final\"".into());
    };
    Ok(if object.contains_key("initial") {
        Kind::Initial
    } else if object.contains_key("final") {
        Kind::Final
    } else {
        Kind::Operation
    })
}

fn read<'a, T: Deserialize<'a>>(content: &'a str) -> Result<T, String> {
    serde_json::from_str(content).map_err(|error| {
        // serde_json counts lines, too, and always says 1 here.
        let what = error.to_string();
        match what.rsplit_once(" at line ") {
            Some((what, _)) => format!("{what} (column {})", error.column()),
            None => what,
        }
    })
}

fn write(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("a recording is plain data") + "\n"
}

#[cfg(test)]
mod tests {
    use rowlock_core::answer::Unknown;

    use super::*;
    use crate::history::{Completion, Request};

    const ROWS: &str = r#"{"initial": {"items": {"1": {"price": 100, "stock": 1}}}}"#;

    fn error(lines: &[&str]) -> String {
        Recording::parse(&lines.join("\n")).unwrap_err().to_string()
    }

    #[test]
    fn a_recording_reads_back_and_knows_its_lines() {
        let recording = Recording {
            initial: Shop::default().item(1, 100, 1).wallet(1, 100),
            operations: vec![Operation {
                request: Request::new(1, 1).with_key("k"),
                intended_ns: 0,
                invoked_ns: 1,
                completed_ns: 2,
                status: Some(500),
                completion: Completion::Info(Unknown::ServerError),
            }],
            last: LastRows {
                stocks: BTreeMap::from([(ItemId(1), 0)]),
                balances: BTreeMap::new(),
            },
        };
        let text = format!("# a comment\n\n// another\n{}", recording.to_jsonl());
        assert_eq!(Recording::parse(&text), Ok((recording, vec![5])), "{text}");
    }

    #[test]
    fn rows_may_be_declared_on_several_lines_but_not_twice() {
        let wallet = r#"{"initial": {"wallets": {"1": 100}}}"#;
        let (recording, _) = Recording::parse(&format!("{ROWS}\n{wallet}")).unwrap();
        assert_eq!(
            recording.initial,
            Shop::default().item(1, 100, 1).wallet(1, 100)
        );
        assert_eq!(error(&[ROWS, ROWS]), "2: item 1 is declared twice");
    }

    #[test]
    fn an_error_names_the_line_and_what_is_wrong() {
        assert_eq!(
            error(&[ROWS, "", "{\"user_id\": 1,"]),
            "3: EOF while parsing a value (column 14)"
        );
        assert!(error(&[ROWS, "[]"]).starts_with("2: a line is one JSON object"));
        assert!(error(&[ROWS, r#"{"final": {"stock": {}}}"#]).contains("unknown field `stock`"));
        let operation = r#"{"user_id":1,"item_id":1,"invoked_ns":0,"completed_ns":1,"ok":{}}"#;
        assert!(error(&[operation, ROWS]).starts_with("1: an operation before the rows"));
        assert!(error(&["# nothing"]).contains("no line with \"initial\" rows"));
        let negative = r#"{"initial": {"wallets": {"1": -1}}}"#;
        assert!(error(&[negative]).contains("wallet 1 begins with a balance below 0"));
        for (price, stock, is_right) in [(0, 0, true), (-1, 0, false), (0, -1, false)] {
            let item = format!(r#"{{"price": {price}, "stock": {stock}}}"#);
            let rows = format!(r#"{{"initial": {{"items": {{"1": {item}}}}}}}"#);
            assert_eq!(Recording::parse(&rows).is_ok(), is_right, "{rows}");
        }
    }
}

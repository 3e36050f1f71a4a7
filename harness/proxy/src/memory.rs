//! What a session remembers from one step to the next: its prepared statements and portals.
//!
//! The memory changes when a step is sent, so that a step can name what it runs
//! before the server has seen it; what the server then refuses is forgotten again. It mirrors
//! names only; whether they are right is the server's to say.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::message::{Arguments, Request};
use super::step::Statement;
use super::value;
use super::words::words;

/// The columns of a result: name, type and format of each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    pub(super) types: Vec<u32>,
    pub(super) formats: Vec<i16>,
}

/// A prepared statement. What Describe tells about it comes later, if at all.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) sql: String,
    types: Vec<u32>,
    pub(super) described_types: OnceLock<Vec<u32>>,
    pub(super) columns: OnceLock<Columns>,
}

/// A prepared statement with its values.
#[derive(Debug, Default)]
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    arguments: Arguments,
    pub(super) columns: OnceLock<Columns>,
}

/// What the server is to answer, in order, each with what its answer tells about.
#[derive(Debug)]
pub(super) enum Expected {
    Parsed {
        name: String,
        new: Arc<Prepared>,
        old: Option<Arc<Prepared>>,
    },
    StatementDescribed(Arc<Prepared>),
    PortalDescribed(Arc<Portal>),
    Executed(Arc<Portal>),
    Other,
}

/// The names of one session.
#[derive(Debug, Default)]
pub(super) struct Memory {
    statements: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Arc<Portal>>,
}

impl Memory {
    /// Takes note of one request and says what its answer will be about.
    pub(super) fn note(&mut self, request: Request) -> Expected {
        match request {
            Request::Parse { name, sql, types } => {
                let new = Arc::new(Prepared {
                    sql,
                    types,
                    ..Prepared::default()
                });
                let old = self.statements.insert(name.clone(), Arc::clone(&new));
                Expected::Parsed { name, new, old }
            }
            Request::Bind {
                portal,
                statement,
                arguments,
            } => {
                let prepared = self.prepared(&statement);
                let bound = Portal {
                    prepared,
                    arguments,
                    columns: OnceLock::new(),
                };
                self.portals.insert(portal, Arc::new(bound));
                Expected::Other
            }
            Request::DescribeStatement(name) => Expected::StatementDescribed(self.prepared(&name)),
            Request::DescribePortal(name) => Expected::PortalDescribed(self.portal(&name)),
            Request::Execute(name) => Expected::Executed(self.portal(&name)),
            Request::CloseStatement(name) => {
                self.statements.remove(&name);
                Expected::Other
            }
            Request::ClosePortal(name) => {
                self.portals.remove(&name);
                Expected::Other
            }
            Request::Query(_) | Request::Call | Request::Opaque => Expected::Other,
        }
    }

    /// Forgets what was expected and did not happen, the last first.
    pub(super) fn undo(&mut self, unanswered: impl DoubleEndedIterator<Item = Expected>) {
        for expected in unanswered.rev() {
            let Expected::Parsed { name, new, old } = expected else {
                continue;
            };
            let is_current = self
                .statements
                .get(&name)
                .is_some_and(|now| Arc::ptr_eq(now, &new));
            match old {
                _ if !is_current => None,
                Some(old) => self.statements.insert(name, old),
                None => self.statements.remove(&name),
            };
        }
    }

    /// Takes note of SQL that discards prepared statements, once it has succeeded.
    pub(super) fn note_success(&mut self, sql: &str) {
        let words: Vec<&str> = words(sql).take_while(|word| *word != ";").take(4).collect();
        let is = |word: &str, keyword: &str| word.eq_ignore_ascii_case(keyword);
        let name = match words[..] {
            [discard, all] if is(discard, "discard") && is(all, "all") => "all",
            [deallocate, prepare, name]
                if is(deallocate, "deallocate") && is(prepare, "prepare") =>
            {
                name
            }
            [deallocate, name] if is(deallocate, "deallocate") => name,
            _ => return,
        };
        if is(name, "all") {
            self.statements.clear();
        } else if let Some(quoted) = name.strip_prefix('"') {
            self.statements
                .remove(&quoted.trim_end_matches('"').replace("\"\"", "\""));
        } else {
            self.statements.remove(&name.to_ascii_lowercase());
        }
    }

    /// Takes note that a transaction ended, and its portals with it.
    pub(super) fn end_transaction(&mut self) {
        self.portals.clear();
    }

    fn prepared(&self, name: &str) -> Arc<Prepared> {
        self.statements.get(name).cloned().unwrap_or_else(|| {
            let sql = format!("(unknown statement {name:?})");
            Arc::new(Prepared {
                sql,
                ..Prepared::default()
            })
        })
    }

    fn portal(&self, name: &str) -> Arc<Portal> {
        self.portals.get(name).cloned().unwrap_or_else(|| {
            let sql = format!("(unknown portal {name:?})");
            let prepared = Arc::new(Prepared {
                sql,
                ..Prepared::default()
            });
            Arc::new(Portal {
                prepared,
                ..Portal::default()
            })
        })
    }
}

impl Portal {
    /// The statement with its values as text, as well as their types are known by now.
    pub(super) fn statement(&self) -> Statement {
        let arguments = &self.arguments;
        let described = self.prepared.described_types.get();
        let types = described.unwrap_or(&self.prepared.types);
        let parameters = match arguments.clipped {
            Some(length) => vec![Some(format!("({length} bytes of parameters)"))],
            None => arguments
                .values
                .iter()
                .enumerate()
                .map(|(index, bytes)| {
                    let oid = types.get(index).copied().unwrap_or_default();
                    let format = value::format_of(&arguments.formats, index);
                    bytes
                        .as_deref()
                        .map(|bytes| value::text(oid, format, bytes))
                })
                .collect(),
        };
        Statement {
            sql: self.prepared.sql.clone(),
            parameters,
        }
    }

    /// The columns of its rows: from a Describe of itself, or of its statement earlier on.
    pub(super) fn columns(&self) -> Columns {
        if let Some(columns) = self.columns.get() {
            return columns.clone();
        }
        let described = self.prepared.columns.get().cloned().unwrap_or_default();
        Columns {
            formats: self.arguments.column_formats.clone(),
            ..described
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, sql: &str) -> Request {
        Request::Parse {
            name: name.into(),
            sql: sql.into(),
            types: vec![20],
        }
    }

    fn bind(statement: &str, values: Vec<Option<bytes::Bytes>>) -> Request {
        let arguments = Arguments {
            formats: vec![1],
            values,
            ..Arguments::default()
        };
        Request::Bind {
            portal: String::new(),
            statement: statement.into(),
            arguments,
        }
    }

    fn executed(memory: &mut Memory) -> Statement {
        let Expected::Executed(portal) = memory.note(Request::Execute(String::new())) else {
            panic!("an execute is answered as one");
        };
        portal.statement()
    }

    #[test]
    fn an_execute_is_resolved_to_the_text_and_values_of_its_statement() {
        let mut memory = Memory::default();
        memory.note(parse("a", "select $1"));
        memory.note(bind(
            "a",
            vec![Some(bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 9]))],
        ));
        let statement = executed(&mut memory);
        assert_eq!(statement.sql, "select $1");
        assert_eq!(statement.parameters, [Some("9".to_owned())]);
    }

    #[test]
    fn a_refused_redefinition_leaves_the_statement_that_was_there() {
        let mut memory = Memory::default();
        memory.note(parse("a", "select 1"));
        let refused = memory.note(parse("a", "select 2"));
        let first_of_its_name = memory.note(parse("b", "select 3"));
        memory.undo([refused, first_of_its_name].into_iter());
        assert_eq!(memory.prepared("a").sql, "select 1");
        assert_eq!(memory.prepared("b").sql, "(unknown statement \"b\")");
    }

    #[test]
    fn closed_and_deallocated_statements_are_forgotten() {
        let mut memory = Memory::default();
        for name in ["a", "b", "c", "D d"] {
            memory.note(parse(name, "select 1"));
        }
        memory.note(Request::CloseStatement("a".into()));
        memory.note_success("DEALLOCATE B;");
        memory.note_success("select 'deallocate c'");
        assert!(!memory.statements.contains_key("a") && !memory.statements.contains_key("b"));
        assert!(memory.statements.contains_key("c"));
        memory.note_success("discard all");
        assert!(memory.statements.is_empty());
    }
}

//! What a statement is for, as far as it decides which errors PostgreSQL can raise there.
//!
//! A statement is known by its verb, and a query by what it reads, locks, writes and
//! calls. Whatever is not understood may be anything.

use std::ops::ControlFlow;

use sqlparser::ast::{DataType, Expr, Query, SetExpr, Statement, TableFactor, Visit, Visitor};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use rowlock_proxy::{Step, StepKind, Verb};

/// Functions that depend on their arguments, the time or the session alone, and lock nothing.
const HARMLESS: &[&str] = &[
    "abs",
    "array_agg",
    "array_positions",
    "avg",
    "cardinality",
    "clock_timestamp",
    "coalesce",
    "concat",
    "count",
    "current_setting",
    "current_timestamp",
    "date_trunc",
    "extract",
    "gen_random_uuid",
    "greatest",
    "json_agg",
    "json_build_object",
    "jsonb_agg",
    "jsonb_build_object",
    "least",
    "length",
    "lower",
    "max",
    "min",
    "now",
    "nullif",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_backend_pid",
    "pg_is_in_recovery",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
    "row_to_json",
    "set_config",
    "statement_timestamp",
    "sum",
    "transaction_timestamp",
    "upper",
    "version",
];

/// Functions that wait for a lock and do nothing else (PostgreSQL manual, 9.27.10).
const LOCKING: &[&str] = &[
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
];

/// What a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Settings, savepoints, BEGIN, and the tidying of a session (RESET, DISCARD, UNLISTEN, CLOSE,
    /// DEALLOCATE, `pg_advisory_unlock`): it reads no table and waits for no lock.
    Session,
    /// COMMIT.
    Commit,
    /// ROLLBACK of the whole transaction.
    Rollback,
    /// It reads one table.
    ReadOne,
    /// It reads several.
    Read,
    /// It locks rows, tables or advisory locks, and writes nothing.
    Lock,
    /// It inserts, updates or deletes.
    Write,
    /// It defines, calls, or is not understood.
    Anything,
}

/// What the statements of `step` are for, in order.
pub(super) fn kinds(step: &Step) -> Vec<Kind> {
    if step.kind == StepKind::Call {
        return vec![Kind::Anything];
    }
    let sql = step.statements.iter().map(|statement| &statement.sql);
    sql.flat_map(|sql| kinds_of(sql)).collect()
}

/// What the statements of a text are for.
fn kinds_of(sql: &str) -> Vec<Kind> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .with_unescape(false)
        .tokenize();
    let Ok(tokens) = tokens else {
        return vec![Kind::Anything];
    };
    let statements = tokens.split(|token| *token == Token::SemiColon);
    let is_empty = |tokens: &&[Token]| {
        let mut tokens = tokens.iter();
        tokens.all(|token| matches!(token, Token::Whitespace(_)))
    };
    let statements = statements.filter(|tokens| !is_empty(tokens));
    statements.map(kind_of).collect()
}

fn kind_of(tokens: &[Token]) -> Kind {
    let sql: String = tokens.iter().map(Token::to_string).collect();
    match Verb::of(&sql) {
        Verb::Commit { .. } => Kind::Commit,
        Verb::Rollback { .. } => Kind::Rollback,
        Verb::Nothing
        | Verb::Ping
        | Verb::Begin
        | Verb::Savepoint
        | Verb::Release
        | Verb::RollbackTo
        | Verb::Set
        | Verb::Show
        | Verb::Deallocate
        | Verb::Discard
        | Verb::Close
        | Verb::Listen => Kind::Session,
        Verb::Lock => Kind::Lock,
        Verb::Select | Verb::With | Verb::Insert | Verb::Update | Verb::Delete => parsed(&sql),
        Verb::PrepareTransaction
        | Verb::EndPrepared
        | Verb::SetConstraints
        | Verb::Merge
        | Verb::Several
        | Verb::Other => Kind::Anything,
    }
}

/// A query or a write, read by what is in it.
fn parsed(sql: &str) -> Kind {
    let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, sql) else {
        return Kind::Anything;
    };
    let mut content = Content::default();
    let is_known = statements
        .iter()
        .all(|statement| statement.visit(&mut content).is_continue());
    match content {
        _ if !is_known => Kind::Anything,
        Content { writes: true, .. } => Kind::Write,
        Content { locks: true, .. } => Kind::Lock,
        Content { tables: 0, .. } => Kind::Session,
        Content { tables: 1, .. } => Kind::ReadOne,
        _ => Kind::Read,
    }
}

/// What has been found in a statement; stops at what may be anything.
#[derive(Default)]
struct Content {
    tables: usize,
    locks: bool,
    writes: bool,
}

impl Visitor for Content {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Query(_) => {}
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                self.writes = true;
            }
            _ => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.locks |= !query.locks.is_empty();
        match query.body.as_ref() {
            // SELECT INTO makes a table.
            SetExpr::Select(select) if select.into.is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { args: None, .. } => self.tables += 1,
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {}
            _ => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            // The type may be a domain, with a constraint of its own.
            Expr::Cast {
                data_type: DataType::Custom(..),
                ..
            } => return ControlFlow::Break(()),
            Expr::Function(function) => {
                let name = function.name.0.last().and_then(|part| part.as_ident());
                let name = name.map_or(String::new(), |name| name.value.to_lowercase());
                if LOCKING.contains(&name.as_str()) {
                    self.locks = true;
                } else if !HARMLESS.contains(&name.as_str()) {
                    return ControlFlow::Break(());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_known_by_what_it_does() {
        use Kind::{Anything, Commit, Lock, Read, ReadOne, Rollback, Session, Write};
        for (sql, kind) in [
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", Session),
            ("savepoint a", Session),
            ("rollback to savepoint a", Session),
            ("/* tidy */ DISCARD ALL", Session),
            ("select 1", Session),
            ("select set_config('search_path', '', false)", Session),
            ("COMMIT AND CHAIN", Commit),
            ("end", Commit),
            ("ROLLBACK", Rollback),
            ("commit prepared 'a'", Anything),
            ("select price, stock from item where id = $1", ReadOne),
            ("select count(*) from item, wallet", Read),
            ("select price, (select balance from wallet) from item", Read),
            ("select stock from item for share", Lock),
            ("select stock from item for no key update", Anything),
            ("select pg_advisory_xact_lock(17)", Lock),
            ("lock table item in share mode", Lock),
            ("insert into purchase values ($1) returning id", Write),
            ("delete from wallet", Write),
            (
                "with sold as (update item set stock = stock - 1 returning id) select id from sold",
                Write,
            ),
            ("select buy(1, 2)", Anything),
            ("select * from buy(1, 2)", Anything),
            ("select $1::positive from item", Anything),
            ("call buy(1, 2)", Anything),
            ("set constraints all immediate", Anything),
            ("copy item from stdin", Anything),
            ("alter table item add check (stock > 0)", Anything),
            ("no sql at all", Anything),
            ("select 'open", Anything),
        ] {
            assert_eq!(kinds_of(sql), [kind], "{sql}");
        }
    }

    #[test]
    fn each_statement_of_a_text_counts() {
        use Kind::{Commit, Session, Write};
        assert_eq!(
            kinds_of("SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"),
            [Session; 4]
        );
        assert_eq!(
            kinds_of("begin; update item set name = 'a;b'; commit"),
            [Session, Write, Commit]
        );
        assert_eq!(kinds_of(" ; -- nothing\n"), []);
    }
}

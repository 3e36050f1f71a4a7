//! What a statement does, by its first words.
//!
//! It is read off the text, never parsed, and known for every text: what is not listed is
//! [`Verb::Other`]. It names no tables; and that a statement begins or ends a transaction does not
//! mean that there was none, or one, before.

use super::step::Step;
use super::words::words;

/// What a statement does, as far as its first words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// No statement: spaces, comments and semicolons.
    Nothing,
    /// `SELECT 1` and no more, by which pools ask whether a connection lives.
    Ping,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit {
        /// AND CHAIN: another transaction begins at once.
        and_chain: bool,
    },
    /// ROLLBACK, ABORT; not back to a savepoint.
    Rollback {
        /// AND CHAIN: another transaction begins at once.
        and_chain: bool,
    },
    /// PREPARE TRANSACTION: the session leaves it, its locks stay.
    PrepareTransaction,
    /// COMMIT PREPARED, ROLLBACK PREPARED: somebody's transaction ends, not the session's own.
    EndPrepared,
    /// SAVEPOINT.
    Savepoint,
    /// RELEASE.
    Release,
    /// ROLLBACK TO: the transaction goes on, what it did since is undone.
    RollbackTo,
    /// SET CONSTRAINTS, which may check them at once.
    SetConstraints,
    /// SET and RESET of the session's or the transaction's settings.
    Set,
    /// SHOW.
    Show,
    /// DEALLOCATE.
    Deallocate,
    /// DISCARD.
    Discard,
    /// CLOSE of a cursor.
    Close,
    /// LISTEN, UNLISTEN.
    Listen,
    /// LOCK of a table.
    Lock,
    /// SELECT, VALUES: a query, which may lock rows and call functions.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// WITH: a query or a change.
    With,
    /// Several statements in one text.
    Several,
    /// Any other statement.
    Other,
}

/// As many words as the longest form needs: `COMMIT TRANSACTION AND NO CHAIN`.
const WORDS_READ: usize = 5;

impl Verb {
    /// The verb of the SQL in `text`.
    pub fn of(text: &str) -> Verb {
        let mut first = Vec::with_capacity(WORDS_READ);
        let mut is_over = false;
        for word in words(text) {
            if word == ";" {
                is_over = !first.is_empty();
            } else if is_over {
                return Verb::Several;
            } else if first.len() < WORDS_READ {
                first.push(word.to_ascii_lowercase());
            }
        }
        let first: Vec<&str> = first.iter().map(String::as_str).collect();
        Verb::of_words(&first)
    }

    fn of_words(words: &[&str]) -> Verb {
        match *words {
            [] => Verb::Nothing,
            ["select", "1"] => Verb::Ping,
            ["begin", ..] | ["start", "transaction", ..] => Verb::Begin,
            ["commit" | "rollback", "prepared", ..] => Verb::EndPrepared,
            ["prepare", "transaction", ..] => Verb::PrepareTransaction,
            ["rollback", "to", ..] | ["rollback", "work" | "transaction", "to", ..] => {
                Verb::RollbackTo
            }
            ["commit" | "end", ref rest @ ..] => Verb::Commit {
                and_chain: is_chained(rest),
            },
            ["rollback" | "abort", ref rest @ ..] => Verb::Rollback {
                and_chain: is_chained(rest),
            },
            ["set", "constraints", ..] => Verb::SetConstraints,
            [first, ..] => Verb::of_word(first),
        }
    }

    fn of_word(word: &str) -> Verb {
        match word {
            "savepoint" => Verb::Savepoint,
            "release" => Verb::Release,
            "set" | "reset" => Verb::Set,
            "show" => Verb::Show,
            "deallocate" => Verb::Deallocate,
            "discard" => Verb::Discard,
            "close" => Verb::Close,
            "listen" | "unlisten" => Verb::Listen,
            "lock" => Verb::Lock,
            "select" | "values" => Verb::Select,
            "insert" => Verb::Insert,
            "update" => Verb::Update,
            "delete" => Verb::Delete,
            "merge" => Verb::Merge,
            "with" => Verb::With,
            _ => Verb::Other,
        }
    }

    /// Whether it is COMMIT or ROLLBACK: the session's transaction is over with it, and what the
    /// transaction held is free, whether or not another begins at once.
    pub fn ends_transaction(self) -> bool {
        matches!(self, Verb::Commit { .. } | Verb::Rollback { .. })
    }

    /// Whether the session is in no transaction after it, if it succeeds.
    pub fn leaves_transaction(self) -> bool {
        matches!(
            self,
            Verb::Commit { and_chain: false }
                | Verb::Rollback { and_chain: false }
                | Verb::PrepareTransaction
        )
    }
}

impl Step {
    /// The verb of its only statement; [`Verb::Several`] where it has more.
    pub fn verb(&self) -> Verb {
        match &self.statements[..] {
            [] => Verb::Nothing,
            [statement] => Verb::of(&statement.sql),
            _ => Verb::Several,
        }
    }
}

fn is_chained(words: &[&str]) -> bool {
    words.contains(&"chain") && !words.contains(&"no")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Verb = Verb::Commit { and_chain: false };
    const ROLLBACK: Verb = Verb::Rollback { and_chain: false };

    #[track_caller]
    fn assert_all(verb: Verb, texts: &[&str]) {
        for text in texts {
            assert_eq!(Verb::of(text), verb, "{text}");
        }
    }

    #[test]
    fn synonyms_are_one_verb() {
        assert_all(
            COMMIT,
            &["commit", "COMMIT WORK;", "end", "End Transaction"],
        );
        assert_all(ROLLBACK, &[" ROLLBACK ;", "abort", "rollback work"]);
        assert_all(
            Verb::Begin,
            &[
                "BEGIN ISOLATION LEVEL READ COMMITTED",
                "start transaction;",
                "begin",
            ],
        );
    }

    #[test]
    fn a_chain_is_told_from_none() {
        let commit = Verb::Commit { and_chain: true };
        let rollback = Verb::Rollback { and_chain: true };
        assert_all(
            commit,
            &["commit and chain", "end transaction\nand /* on */ chain"],
        );
        assert_all(rollback, &["ROLLBACK AND CHAIN", "abort work and chain"]);
        assert_all(
            COMMIT,
            &["commit and no chain", "commit transaction and no chain"],
        );
        assert!(commit.ends_transaction() && !commit.leaves_transaction());
        assert!(COMMIT.ends_transaction() && COMMIT.leaves_transaction());
    }

    #[test]
    fn a_transaction_goes_on_at_a_savepoint() {
        assert_all(
            Verb::RollbackTo,
            &[
                "rollback to a",
                "ROLLBACK TO SAVEPOINT a",
                "rollback transaction to savepoint a",
                "rollback work to a",
            ],
        );
        assert_all(Verb::Savepoint, &["savepoint a"]);
        assert_all(Verb::Release, &["release savepoint a", "release a"]);
        assert!(!Verb::RollbackTo.ends_transaction());
    }

    #[test]
    fn two_phases_are_no_commit() {
        assert_all(
            Verb::EndPrepared,
            &["commit prepared 'a'", "rollback prepared 'a'"],
        );
        assert_all(Verb::PrepareTransaction, &["prepare transaction 'a'"]);
        assert_all(Verb::Other, &["prepare a as commit"]);
        assert!(!Verb::PrepareTransaction.ends_transaction());
        assert!(Verb::PrepareTransaction.leaves_transaction());
    }

    #[test]
    fn comments_and_semicolons_say_nothing() {
        assert_all(Verb::Nothing, &["", " ; ", "-- ping", "/* a */;"]);
        assert_all(
            COMMIT,
            &["/* controller=buy */ commit -- now", ";;commit;;"],
        );
        assert_all(Verb::Update, &["--trace\nupdate item set stock = 1"]);
    }

    #[test]
    fn several_statements_are_told_from_a_semicolon_in_a_string() {
        assert_all(
            Verb::Several,
            &[
                "begin; update item set stock = 0; commit",
                "select 1; select 1",
            ],
        );
        assert_all(Verb::Insert, &["insert into note values ('a; commit')"]);
        assert_all(Verb::Other, &["do $$ begin; commit; end $$"]);
    }

    #[test]
    fn a_ping_is_a_select_of_1_and_no_more() {
        assert_all(
            Verb::Ping,
            &["SELECT 1", "select 1;", "/* ping */ SELECT 1"],
        );
        assert_all(
            Verb::Select,
            &[
                "select 1 from item",
                "select 1, 2",
                "select 10",
                "values (1)",
            ],
        );
    }

    #[test]
    fn settings_are_not_constraints() {
        assert_all(
            Verb::Set,
            &["set lock_timeout = 5", "set local a.b = 'c'", "reset all"],
        );
        assert_all(Verb::SetConstraints, &["set constraints all immediate"]);
    }
}

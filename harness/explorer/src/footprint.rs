//! Footprints: what a step can touch, so that steps which touch nothing in common need not be
//! tried in both orders.
//!
//! Two steps are dependent unless shown otherwise, and whatever is not understood
//! touches everything. Under READ COMMITTED a plain read sees what is committed and waits for
//! nobody, so it depends on the end of another's transaction, not on that transaction's writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// No value of SQL looks like this: a column that holds NULL.
pub(crate) const NULL: &str = "\0null";

/// What a step can touch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Footprint {
    /// Anything.
    Everything,
    /// These rows and nothing else.
    Rows(BTreeSet<Access>),
}

/// A set of rows of one table, and what is done to them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// The table.
    pub table: String,
    /// What all the rows have in common, by column; empty means the whole table.
    pub rows: BTreeMap<String, String>,
    /// What is done to them.
    pub mode: Mode,
}

/// What is done to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A plain read, which sees what is committed and waits for nobody.
    Read,
    /// A lock that others of its kind share, such as a foreign key takes on the row it names.
    Share,
    /// A lock or a write, not yet seen by others, for which others wait.
    Lock,
    /// The end of a transaction that locked or wrote them.
    Release,
    /// The end of a transaction that only shared them: whoever wants to lock them need not wait.
    Unshare,
}

impl Footprint {
    /// Touches nothing.
    pub const NOTHING: Footprint = Footprint::Rows(BTreeSet::new());

    /// All that either touches.
    pub fn union(&self, other: &Footprint) -> Footprint {
        match (self, other) {
            (Footprint::Rows(one), Footprint::Rows(two)) => {
                Footprint::Rows(one.union(two).cloned().collect())
            }
            _ => Footprint::Everything,
        }
    }

    /// What the end of a transaction that touched this touches.
    pub fn released(&self) -> Footprint {
        let Footprint::Rows(rows) = self else {
            return Footprint::Everything;
        };
        let released = rows.iter().filter_map(|access| {
            let mode = match access.mode {
                Mode::Read => return None,
                Mode::Share | Mode::Unshare => Mode::Unshare,
                Mode::Lock | Mode::Release => Mode::Release,
            };
            Some(Access {
                mode,
                ..access.clone()
            })
        });
        Footprint::Rows(released.collect())
    }

    /// Whether the order of two steps that touch this and `other` can make a difference.
    pub fn depends_on(&self, other: &Footprint) -> bool {
        match (self, other) {
            (Footprint::Rows(one), Footprint::Rows(two)) => one
                .iter()
                .any(|access| two.iter().any(|other| access.depends_on(other))),
            (Footprint::Everything, other) | (other, Footprint::Everything) => {
                *other != Footprint::NOTHING
            }
        }
    }
}

impl Access {
    /// Whether the order of this and `other` can make a difference.
    pub fn depends_on(&self, other: &Access) -> bool {
        self.mode.depends_on(other.mode) && self.overlaps(other)
    }

    /// Whether some row may be in both, whatever is done to it.
    pub fn overlaps(&self, other: &Access) -> bool {
        self.table == other.table
            && self.rows.iter().all(|(column, value)| {
                // Rows that differ in a column are different rows.
                other.rows.get(column).is_none_or(|other| other == value)
            })
    }
}

impl fmt::Display for Access {
    /// `item`, or `item (id = 1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)?;
        let mut between = " (";
        for (column, value) in &self.rows {
            match value.as_str() {
                NULL => write!(f, "{between}{column} is null")?,
                value => write!(f, "{between}{column} = {value}")?,
            }
            between = ", ";
        }
        match self.rows.is_empty() {
            true => Ok(()),
            false => f.write_str(")"),
        }
    }
}

impl Mode {
    fn depends_on(self, other: Mode) -> bool {
        use Mode::{Lock, Read, Share, Unshare};
        !matches!(
            (self, other),
            (Read, Read | Share | Lock | Unshare)
                | (Share | Lock | Unshare, Read)
                | (Share | Unshare, Share)
                | (Share, Unshare)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(table: &str, rows: &[(&str, &str)], mode: Mode) -> Footprint {
        let rows = rows
            .iter()
            .map(|(column, value)| (column.to_string(), value.to_string()));
        Footprint::Rows(BTreeSet::from([Access {
            table: table.to_owned(),
            rows: rows.collect(),
            mode,
        }]))
    }

    #[test]
    fn locks_on_one_row_depend_and_on_two_rows_do_not() {
        let one = access("item", &[("id", "1")], Mode::Lock);
        assert!(one.depends_on(&one));
        assert!(!one.depends_on(&access("item", &[("id", "2")], Mode::Lock)));
        assert!(!one.depends_on(&access("wallet", &[("id", "1")], Mode::Lock)));
        assert!(one.depends_on(&access("item", &[], Mode::Lock)));
        assert!(one.depends_on(&access("item", &[("name", "x")], Mode::Lock)));
    }

    #[test]
    fn a_plain_read_depends_on_the_commit_and_not_on_the_write() {
        let read = access("item", &[("id", "1")], Mode::Read);
        let write = access("item", &[("id", "1")], Mode::Lock);
        assert!(!read.depends_on(&write));
        assert!(read.depends_on(&write.released()));
        assert!(!read.depends_on(&read.released()));
    }

    #[test]
    fn the_end_of_a_shared_lock_is_seen_by_who_locks_and_by_nobody_who_reads() {
        let share = access("item", &[("id", "1")], Mode::Share);
        let lock = access("item", &[("id", "1")], Mode::Lock);
        let read = access("item", &[], Mode::Read);
        assert!(share.released().depends_on(&lock));
        assert!(!share.released().depends_on(&read));
        assert!(!share.released().depends_on(&share));
        assert!(share.released().released().depends_on(&lock));
    }

    #[test]
    fn everything_depends_on_all_but_nothing() {
        let read = access("item", &[], Mode::Read);
        assert!(Footprint::Everything.depends_on(&read));
        assert!(!Footprint::Everything.depends_on(&Footprint::NOTHING));
    }
}

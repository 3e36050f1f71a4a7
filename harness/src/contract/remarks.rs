//! What a report says beside the verdict: what was not compared, and what was taken for granted.

use std::collections::BTreeSet;

use rowlock_contract::Contract;
use rowlock_core::serial::{Mask, Why};

/// What runs of a contract have shown, of all workers together.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// Each hidden column, and why it is.
    hidden: BTreeSet<String>,
    /// Runs that a serial order explains.
    explained: u64,
    /// Those of them in which calls gave way where an order serves them.
    gave_way: u64,
}

impl Remarks {
    pub(super) fn take_mask(&mut self, mask: &Mask) {
        for (table, column, why) in mask.hidden() {
            let why = match why {
                Why::Asked => "as the contract says",
                Why::Time => "a time",
                Why::Differed { .. } => "other values from the same calls",
                Why::LinkDiffered => "refers to other rows after the same calls",
                // Its column is compared by the row that it refers to.
                Why::Linked { .. } => continue,
            };
            self.hidden.insert(format!("{table}.{column} ({why})"));
        }
    }

    pub(super) fn take_run(&mut self, needlessly_gave_way: usize) {
        self.explained += 1;
        self.gave_way += u64::from(needlessly_gave_way > 0);
    }

    /// A line for each thing that a report says beside the verdict.
    pub(super) fn lines(&self, contract: &Contract) -> Vec<String> {
        let mut lines = Vec::new();
        if self.gave_way > 0 {
            lines.push(format!(
                "gave way: in {} of {} runs, those to warm up included, calls gave way where a serial \
                 order serves them all",
                self.gave_way, self.explained
            ));
        }
        let hidden = self.hidden.iter();
        lines.extend(hidden.map(|column| format!("not compared: {column}")));
        let ignored = contract.database.ignore.iter();
        lines.extend(ignored.map(|it| format!("not compared: {} (as the contract says)", it.0)));
        let open = contract.left_open().into_iter();
        lines.extend(open.map(|open| format!("left open: {open}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(database: &str) -> Contract {
        let text = format!(
            "[service]\ncommand = \"serve\"\n[database]\n{database}\n[calls.buy]\npath = \"/buy\"\n"
        );
        Contract::parse(&text, "rowlock.toml").unwrap()
    }

    #[test]
    fn what_gave_way_needlessly_is_counted_only_where_it_happened() {
        let mut remarks = Remarks::default();
        let contract = contract("");
        remarks.take_run(0);
        let said = |remarks: &Remarks| remarks.lines(&contract).concat();
        assert!(!said(&remarks).contains("gave way"));
        remarks.take_run(2);
        let gave_way = "gave way: in 1 of 2 runs";
        assert!(said(&remarks).contains(gave_way), "{}", said(&remarks));
    }

    #[test]
    fn what_is_ignored_and_left_open_is_said() {
        let lines = Remarks::default().lines(&contract("ignore = [\"sessions\"]"));
        assert_eq!(lines[0], "not compared: sessions (as the contract says)");
        assert!(lines[1].starts_with("left open: "), "{lines:?}");
    }
}

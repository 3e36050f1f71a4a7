//! Programs: a few calls that are made at once, on rows that are put back before each run.
//!
//! The one idea: who explores interleavings needs to know how many calls there are, and for people
//! what they look like. What a call is, and of which tables the rows are, is the subject's alone.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::rows::Rows;

/// Initial rows, and calls that are all made at once; they count from 0.
pub trait Program:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What a client is called, in reports.
    const CLIENT: &'static str;

    /// One call with its answer.
    type Operation: Answer + Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;

    /// The rows that are looked at after a run.
    type Rows: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send;

    /// Its name, by which people ask for it.
    fn name(&self) -> &str;

    /// How many calls it makes.
    fn call_count(&self) -> usize;

    /// The same without one call, and without the rows that only this call needs.
    #[must_use]
    fn without(&self, call: usize) -> Self;

    /// The same calls on rows, or with values, that are one step simpler. Whoever takes one after
    /// another comes to an end.
    fn simpler(&self) -> Vec<Self> {
        Vec::new()
    }

    /// What keeps it from being run, with the field that it is in, if something does: one that was
    /// read from a file may be anything.
    fn contradiction(&self) -> Option<String>;

    /// A call in a few words: `user 1 buys item 1`.
    fn describe_call(&self, call: usize) -> String;

    /// The rows before the first call, on one line.
    fn describe_initial(&self) -> String;

    /// The rows that a run left, on one line.
    fn describe_rows(rows: &Self::Rows) -> String;

    /// The rows before the first call, table by table, where the program knows them.
    fn initial_tables(&self) -> Option<Rows> {
        None
    }

    /// The rows that a run left, table by table.
    fn tables(rows: &Self::Rows) -> Rows;
}

//! The `rowlock` command.
fn main() {}

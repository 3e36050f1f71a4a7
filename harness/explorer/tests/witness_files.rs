//! Witness files that people have are read, and written as they were.

use std::path::Path;

use rowlock_explorer::witness::{Witness, files};
use rowlock_shop::program::Program;

#[test]
fn every_example_reads_and_is_written_the_same() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/witnesses");
    let files = files(&[examples]).expect("the examples are there");
    assert!(files.len() >= 20, "{files:?}");
    for path in files {
        let witness = Witness::<Program>::read(&path).expect("an example is a witness");
        let text = std::fs::read_to_string(&path).expect("it was read before");
        assert!(
            witness.to_json() == text,
            "{} would be written otherwise",
            path.display()
        );
    }
}

//! Whoever is judged is known to its own modules alone: what runs it names nothing that a shop has.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// What a shop has, and nobody else need have.
const WORDS: [&str; 3] = ["wallet", "purchase", "buyer"];

/// What runs any subject, beneath `harness/`.
const PLACES: [&str; 20] = [
    "core/src",
    "postgres/src",
    "proxy/src",
    "explorer/src",
    "src/load",
    "src/fault",
    "src/hunt",
    "src/explorer",
    "src/target",
    "src/report",
    "src/trace",
    "src/rig",
    "src/rig.rs",
    "src/subject.rs",
    "src/setting.rs",
    "src/client.rs",
    "src/database.rs",
    "src/environment.rs",
    "src/recovery.rs",
    "src/rows.rs",
];

/// An example that a message shows, and a service of the explorer's own tests.
const EXCEPT: [&str; 2] = ["expected for example purchase+rival", "explorer/src/toy.rs"];

fn sources(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    // What stands in tests is an example.
    let entries = entries.filter(|path| !path.file_stem().unwrap().eq("tests"));
    let entries =
        entries.filter(|path| path.is_dir() || path.extension().is_some_and(|it| it == "rs"));
    entries.flat_map(|path| sources(&path)).collect()
}

/// Where a line of code names one of the words, but for its own tests.
fn named(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]");
    let code = (1..)
        .zip(lines)
        .filter(|(_, line)| !line.trim_start().starts_with("//"));
    let places = code.filter(|(_, line)| {
        let line = line.to_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    });
    let places = places.map(|(number, line)| format!("{}:{number}: {line}", file.display()));
    places
        .filter(|place| EXCEPT.iter().all(|except| !place.contains(except)))
        .collect()
}

#[test]
fn what_runs_a_subject_names_nothing_that_the_shop_has() {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for place in PLACES {
        let files = sources(&harness.join(place));
        assert!(!files.is_empty(), "{place}");
        let places: Vec<_> = files.iter().flat_map(|file| named(file)).collect();
        assert!(places.is_empty(), "{places:#?}");
    }
    // The check can fail.
    assert!(!named(&harness.join("src/shop/load.rs")).is_empty());
}

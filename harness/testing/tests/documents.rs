//! What is written for people hangs together: each link leads somewhere, each page is in the book.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages of the book.
fn pages() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs/src")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines that are neither code in a fence nor code by indentation.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_fence = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_fence ^= is_fence;
        !is_fence && !in_fence && !line.starts_with("    ")
    })
}

/// Where the links of a text lead that are to files of the checkout.
fn links(text: &str) -> Vec<&str> {
    let after = prose(text).flat_map(|line| line.split("](").skip(1));
    let targets = after.filter_map(|rest| Some(rest.split_once(')')?.0));
    targets.filter(|target| !target.contains("://")).collect()
}

/// The anchors of a text's headings, as mdBook and code hosts make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            _ => (letter.is_alphanumeric() || "-_".contains(letter)).then_some(letter),
        });
        kept.collect()
    };
    headings.map(slug).collect()
}

/// The links of `text`, which stands in `directory`, that lead nowhere.
fn broken(text: &str, directory: &Path) -> Vec<String> {
    let leads_nowhere = |link: &&str| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = match file {
            "" => text.to_owned(),
            file => match fs::read(directory.join(file)) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(_) => return true,
            },
        };
        !anchor.is_empty() && !anchors(&target).contains(anchor)
    };
    let broken = links(text).into_iter().filter(leads_nowhere);
    broken.map(str::to_owned).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut documents = pages();
    let of_the_root = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ];
    documents.extend(of_the_root.map(|name| root().join(name)));
    for document in documents {
        let broken = broken(&read(&document), document.parent().unwrap());
        assert_eq!(broken, [""; 0], "{}", document.display());
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text =
        "# A b\n[a](README.md) [b](none.md) [c](#a-b) [d](#c)\n    [e](code.md)\n[f](http://x)";
    assert_eq!(broken(text, &root()), ["none.md", "#c"]);
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = read(&root().join("docs/src/SUMMARY.md"));
    let listed: BTreeSet<_> = links(&summary).into_iter().collect();
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || listed.contains(name), "{name}");
    }
}

#[test]
fn the_readme_stays_short() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines < 200, "{lines} lines");
}

use rowlock_shop::program::{self, Program};

use super::super::toy::{Toy, ToyRunner};
use super::*;

async fn witness(letters: &str) -> Witness<Program> {
    let program = program::find("one-item").unwrap().program(2);
    let run = ToyRunner::new(Toy::Unlocked)
        .run_letters(&program, letters)
        .await;
    Witness::new("a toy", &program, &run).unwrap()
}

fn parse_error(text: &str) -> String {
    let error = Witness::<Program>::parse(text, Path::new("w/x.json")).unwrap_err();
    let source = std::error::Error::source(&error);
    let source = source.map_or(String::new(), |source| format!(": {source}"));
    format!("{error}{source}")
}

#[tokio::test]
async fn a_witness_reads_back_from_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let witness = witness("ABBBBBAAAA").await;
    let path = witness
        .write(&directory.path().join("deep/witnesses"))
        .unwrap();
    assert_eq!(Witness::read(&path).unwrap(), witness);
}

#[tokio::test]
async fn nothing_is_evidence_of_a_run_in_which_all_holds() {
    let program = program::find("one-item").unwrap().program(2);
    let run = ToyRunner::new(Toy::Right)
        .run_letters(&program, "AAAAABB")
        .await;
    assert_eq!(Witness::new("a toy", &program, &run), None);
}

#[tokio::test]
async fn the_same_witness_twice_is_the_same_file_and_another_is_another() {
    let directory = tempfile::tempdir().unwrap();
    let [one, same] = [witness("ABBBBBAAAA").await, witness("ABBBBBAAAA").await];
    let first = one.write(directory.path()).unwrap();
    let before = std::fs::read(&first).unwrap();
    assert_eq!(same.write(directory.path()).unwrap(), first);
    assert_eq!(std::fs::read(&first).unwrap(), before);
    let name = first.file_name().unwrap().to_str().unwrap();
    let digits = name
        .strip_prefix("one-item-")
        .unwrap()
        .strip_suffix(".json")
        .unwrap();
    assert!(
        digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit()),
        "{name}"
    );
    let other = witness("BAAAAABBBB").await.write(directory.path()).unwrap();
    assert_ne!(other, first);
}

#[tokio::test]
async fn a_name_that_another_witness_has_gets_more_digits() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (witness("ABBBBBAAAA").await, witness("BAAAAABBBB").await);
    let taken = one.write(directory.path()).unwrap();
    std::fs::write(&taken, other.to_json()).unwrap();
    let longer = one.write(directory.path()).unwrap();
    assert_ne!(longer, taken);
    assert_eq!(Witness::read(&taken).unwrap(), other);
    assert_eq!(one.write(directory.path()).unwrap(), longer);
}

#[tokio::test]
async fn an_unknown_format_is_refused_by_its_number() {
    let json = witness("ABBBBBAAAA").await.to_json();
    let newer = json.replacen("\"format\": 1", "\"format\": 2", 1);
    assert_eq!(
        parse_error(&newer),
        "w/x.json has format 2, and this program reads format 1 only; explore again, or \
         replay it with the version that wrote it"
    );
    let none = json.replacen("\"format\": 1,", "", 1);
    assert!(parse_error(&none).contains("missing field `format`"));
}

#[tokio::test]
async fn a_bad_file_is_named_with_the_place_in_it() {
    assert_eq!(
        parse_error("{\"format\": 1,\n \"target\": }"),
        "w/x.json is no witness: expected value at line 2 column 12"
    );
    let json = witness("ABBBBBAAAA").await.to_json();
    let wrong = json.replacen("\"deliver\": 0", "\"deliver\": \"A\"", 1);
    let error = parse_error(&wrong);
    assert!(
        error.contains("invalid type: string \"A\"") && error.contains("at line"),
        "{error}"
    );
    let strange = json.replacen("\"deliver\": 0", "\"deliver\": 7", 1);
    assert_eq!(
        parse_error(&strange),
        "w/x.json is no witness: it names request 7 from 0, and has 2 requests"
    );
    let missing = Witness::<Program>::read(Path::new("/nowhere/w.json")).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /nowhere/w.json");
}

#[test]
fn a_directory_stands_for_its_json_files_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    let none = files(&[directory.path().to_owned()]).unwrap_err();
    assert!(none.to_string().starts_with("no witness (*.json) is in /"));
    for name in ["b.json", "a.json", "notes.txt"] {
        std::fs::write(path(name), "").unwrap();
    }
    let found = files(&[path("notes.txt"), directory.path().to_owned()]).unwrap();
    assert_eq!(found, [path("notes.txt"), path("a.json"), path("b.json")]);
}

#[test]
fn a_file_s_name_has_nothing_of_a_path_in_it() {
    assert_eq!(super::file_stem("one-item"), "one-item");
    assert_eq!(super::file_stem("ada buy + ../bob"), "ada-buy-bob");
    assert_eq!(super::file_stem("/"), "program");
}

//! `rowlock check`: is a recorded history linearizable, wherever it was recorded?

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rowlock_core::verdict::Verdict;
use rowlock_shop::linearizability::{self, Budget, Conclusion, Contradiction, Fact, Recording};
use serde::Serialize;
use serde_json::json;

use super::exit_code::{self, Exit};
use super::{Format, output};

/// The most facts of a contradiction that are printed for people.
const MOST_SHOWN: usize = 20;

/// Exit codes: 0 all histories are linearizable; 1 one is not; 2 a file cannot be read or is no
/// history; 4 for one of them it could not be decided.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Histories: one JSON object per line, first {"initial": …}, then operations, then perhaps
    /// {"final": …}
    #[arg(required = true, value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
    /// How to write the conclusions on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// How many steps to search in each part of a history before giving up
    #[arg(long, value_name = "STEPS", default_value_t = Budget::default().left())]
    max_steps: u64,
}

/// A history that was read, and what it came to.
struct Checked<'a> {
    file: &'a Path,
    text: String,
    recording: Recording,
    /// On which line, counted from 1, each operation stands.
    lines: Vec<usize>,
    conclusion: Conclusion,
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut verdicts = Vec::new();
    let mut documents = Vec::new();
    let mut unread = false;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for file in &args.files {
        let checked = match read(file, Budget::steps(args.max_steps)) {
            Ok(checked) => checked,
            Err(what) => {
                output::complain(&format!("error: {what}"));
                unread = true;
                continue;
            }
        };
        verdicts.push(checked.conclusion.verdict());
        match args.format {
            Format::Human => output::write(&checked.sentence(colour))?,
            Format::Json => documents.push(checked.document()),
        }
    }
    let verdict = Verdict::compose(verdicts);
    if args.format == Format::Json {
        let report = json!({ "verdict": verdict, "histories": documents });
        output::write(&format!("{report:#}\n"))?;
    }
    Ok(match unread {
        true => Exit::Usage.into(),
        false => exit_code::of(verdict),
    })
}

fn read(file: &Path, budget: Budget) -> Result<Checked<'_>, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let parsed = Recording::parse(&text).map_err(|malformed| format!("{name}:{malformed}"));
    let (recording, lines) = parsed?;
    let conclusion = linearizability::check(&recording, budget);
    Ok(Checked {
        file,
        text,
        recording,
        lines,
        conclusion,
    })
}

impl Checked<'_> {
    fn sentence(&self, colour: bool) -> String {
        let (name, count) = (self.file.display(), self.recording.operations.len());
        match &self.conclusion {
            Conclusion::Linearizable(_) => format!("{name}: linearizable ({count} operations)\n"),
            Conclusion::Inconclusive => format!(
                "{name}: inconclusive ({count} operations); neither an order nor a contradiction \
                 was found within --max-steps\n"
            ),
            Conclusion::Contradicted(contradiction) => {
                let not = match colour {
                    true => "\u{1b}[31mnot linearizable\u{1b}[0m",
                    false => "not linearizable",
                };
                let mut text = format!("{name}: {not}: {}\n", contradiction.reason);
                self.show(contradiction, &mut text);
                text
            }
        }
    }

    /// The lines of the file that contradict each other.
    fn show(&self, contradiction: &Contradiction, text: &mut String) {
        let facts = &contradiction.facts;
        for fact in facts.iter().take(MOST_SHOWN) {
            let shown = match fact {
                Fact::Operation(index) => {
                    let line = self.lines[*index];
                    let content = self.text.lines().nth(line - 1).unwrap_or_default();
                    writeln!(
                        text,
                        "  operation {}, line {line}: {}",
                        index + 1,
                        content.trim()
                    )
                }
                Fact::Stock(item_id) => {
                    let stock = self.recording.last.stocks.get(item_id).unwrap_or(&0);
                    writeln!(text, "  final stock of item {item_id}: {stock}")
                }
                Fact::Balance(user_id) => {
                    let balance = self.recording.last.balances.get(user_id);
                    let balance = balance.map_or(0, |money| money.0);
                    writeln!(text, "  final balance of wallet {user_id}: {balance}")
                }
            };
            shown.expect("a String takes all that is written");
        }
        if facts.len() > MOST_SHOWN {
            *text += &format!("  … and {} more\n", facts.len() - MOST_SHOWN);
        }
    }

    fn document(&self) -> serde_json::Value {
        #[derive(Serialize)]
        struct Line {
            operation: usize,
            line: usize,
        }
        let mut document = json!({
            "file": self.file.display().to_string(),
            "operations": self.recording.operations.len(),
            "verdict": self.conclusion.verdict(),
        });
        if let Conclusion::Contradicted(contradiction) = &self.conclusion {
            let (mut operations, mut rows) = (Vec::new(), Vec::new());
            for fact in &contradiction.facts {
                match fact {
                    Fact::Operation(index) => operations.push(Line {
                        operation: index + 1,
                        line: self.lines[*index],
                    }),
                    row => rows.push(row),
                }
            }
            document["contradiction"] = json!({
                "reason": contradiction.reason,
                "operations": operations,
                "rows": rows,
                "smallest": contradiction.is_smallest,
            });
        }
        document
    }
}

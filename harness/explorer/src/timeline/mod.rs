//! A violation for people: one column per request, time running down.
//!
//! The reader knows SQL and not the service. Each step shows what was sent with
//! its values in place, what came back and what it waited for; a choice has a number, and steps
//! on one line were under way at once. Plain text, at most [`WIDTH`] columns for up to three
//! requests.

pub mod drawing;
mod explain;
mod moments;
mod statement_log;

use std::fmt::Write;

use rowlock_core::program::Program;

pub use self::explain::{Reason, explain};
use self::moments::{Line, Look, Moment, moments};
use super::schedule::RequestIndex;
use super::witness::Witness;

/// Columns of text that are used, as long as each request has enough of them.
pub const WIDTH: usize = 100;
/// The least that a column needs to be readable.
const COLUMN_LEAST: usize = 24;
/// Numbers of the choices.
const GUTTER: usize = 4;
const VIOLATED: &str = "violated: ";
const BETWEEN: &str = " │ ";
/// Lines of one statement.
const LINES_SHOWN: usize = 6;

/// The violation with all that led there, or just what ran where there is none; with colours
/// where `colour`.
pub fn render<P: Program>(witness: &Witness<P>, colour: bool) -> String {
    let mut text = String::new();
    for violated in &witness.violated {
        let sentence = violated.sentence();
        let mut written = String::new();
        write_hanging(&mut written, VIOLATED, &sentence);
        let (label, sentence) = written.split_at(VIOLATED.len());
        text.push_str(&paint(label, Look::Error, colour));
        text.push_str(sentence);
    }
    if !witness.violated.is_empty() {
        for reason in explain(witness) {
            write_hanging(&mut text, "  ", &reason.sentence);
        }
        text.push('\n');
    }
    write_hanging(&mut text, "before:   ", &witness.program.describe_initial());
    text.push('\n');
    render_columns(&mut text, witness, colour);
    text.push('\n');
    write_hanging(&mut text, "after:    ", &P::describe_rows(&witness.rows));
    write_hanging(&mut text, "schedule: ", &witness.schedule.to_string());
    text
}

/// The last line of every report of a violation, ready to paste; `flags` as they were given.
pub fn replay_line(path: &std::path::Path, flags: &str) -> String {
    format!("replay:   {}\n", replay_command(path, flags))
}

/// The command that replays the witness at `path`, ready to paste; `flags` as they were given.
pub fn replay_command(path: &std::path::Path, flags: &str) -> String {
    let path = path.display().to_string();
    let path = shlex::try_quote(&path).unwrap_or_else(|_| path.as_str().into());
    let flags = if flags.is_empty() {
        String::new()
    } else {
        format!(" {flags}")
    };
    format!("rowlock replay {path}{flags}")
}

fn render_columns<P: Program>(text: &mut String, witness: &Witness<P>, colour: bool) {
    let requests = witness.program.call_count();
    let between = BETWEEN.chars().count() * (requests - 1);
    let width = (WIDTH.saturating_sub(GUTTER + between) / requests).max(COLUMN_LEAST);
    let heads: Vec<_> = (0..requests)
        .map(|index| wrap(&head(&witness.program, RequestIndex(index)), width, ""))
        .collect();
    let height = heads.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        let cells = heads
            .iter()
            .map(|head| head.get(line).cloned().unwrap_or_default());
        let cells: Vec<_> = cells.map(|cell| (cell, Look::Strong)).collect();
        write_row(text, "", &cells, width, colour);
    }
    let rule: Vec<_> = (0..requests).map(|_| "─".repeat(width)).collect();
    let _ = writeln!(text, "{}{}", "─".repeat(GUTTER), rule.join("─┼─"));
    for moment in moments(witness) {
        match moment {
            Moment::Across(sentence) => {
                let sentence = format!("{:GUTTER$}{sentence}", "");
                let _ = writeln!(text, "{}", paint(&sentence, Look::Error, colour));
            }
            Moment::Cells { number, cells } => {
                let number = number.map_or(String::new(), |number| number.to_string());
                let cells = (0..requests).map(|index| cells.get(&RequestIndex(index)));
                let cells: Vec<_> = cells.map(|lines| wrapped(lines, width)).collect();
                write_rows(text, &number, &cells, width, colour);
            }
        }
    }
}

fn head(program: &impl Program, index: RequestIndex) -> String {
    format!("{index}: {}", program.describe_call(index.0))
}

fn wrapped(lines: Option<&Vec<Line>>, width: usize) -> Vec<(String, Look)> {
    let wrap_line = |line: &Line| {
        let (indent, hang) = match line.look {
            Look::Statement | Look::Strong => ("", "    "),
            _ => ("  ", "    "),
        };
        let mut wrapped = wrap(&format!("{indent}{}", line.text), width, hang);
        if wrapped.len() > LINES_SHOWN {
            wrapped.truncate(LINES_SHOWN);
            if let Some(last) = wrapped.last_mut() {
                *last = super::sql::clipped(&format!("{last} …"), width);
            }
        }
        let look = line.look;
        wrapped.into_iter().map(move |text| (text, look))
    };
    lines.into_iter().flatten().flat_map(wrap_line).collect()
}

fn write_rows(
    text: &mut String,
    number: &str,
    cells: &[Vec<(String, Look)>],
    width: usize,
    colour: bool,
) {
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        let number = if line == 0 { number } else { "" };
        let empty = || (String::new(), Look::Statement);
        let row = cells
            .iter()
            .map(|cell| cell.get(line).cloned().unwrap_or_else(empty));
        write_row(text, number, &row.collect::<Vec<_>>(), width, colour);
    }
}

fn write_row(
    text: &mut String,
    number: &str,
    cells: &[(String, Look)],
    width: usize,
    colour: bool,
) {
    let number_width = GUTTER - 1;
    let mut row = format!("{number:>number_width$} ");
    for (index, (cell, look)) in cells.iter().enumerate() {
        if index > 0 {
            row.push_str(BETWEEN);
        }
        let padding = width.saturating_sub(cell.chars().count());
        let _ = write!(row, "{}{:padding$}", paint(cell, *look, colour), "");
    }
    let _ = writeln!(text, "{}", row.trim_end());
}

/// Writes `body` behind `label`, its further lines below its first.
fn write_hanging(text: &mut String, label: &str, body: &str) {
    let indent = " ".repeat(label.chars().count());
    for (index, line) in wrap(body, WIDTH - indent.len(), "").iter().enumerate() {
        let label = if index == 0 { label } else { &indent };
        let _ = writeln!(text, "{label}{line}");
    }
}

/// Breaks `text` at spaces into lines of `width`, all but the first behind `hang`.
fn wrap(text: &str, width: usize, hang: &str) -> Vec<String> {
    let indent: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut lines = vec![indent];
    let mut is_fresh = true;
    for word in text.split_whitespace() {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("it starts with one");
            let used = line.chars().count() + usize::from(!is_fresh);
            let room = width.saturating_sub(used);
            if word.chars().count() <= room {
                if !is_fresh {
                    line.push(' ');
                }
                line.push_str(word);
                is_fresh = false;
                break;
            }
            if is_fresh {
                // A word longer than a line is cut.
                let at = word
                    .char_indices()
                    .nth(room.max(1))
                    .map_or(word.len(), |(at, _)| at);
                line.push_str(&word[..at]);
                word = &word[at..];
            }
            lines.push(hang.to_owned());
            is_fresh = true;
        }
    }
    lines
}

fn paint(text: &str, look: Look, colour: bool) -> String {
    let code = match look {
        _ if !colour || text.is_empty() => return text.to_owned(),
        Look::Statement => return text.to_owned(),
        Look::Result => "36",
        Look::Wait => "33",
        Look::Strong => "1",
        Look::Error => "31",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rowlock_proxy::{ReplyEnd, TransactionState};
    use rowlock_shop::program;

    use super::super::toy::{Toy, ToyRunner};
    use super::super::transcript::Event;
    use super::*;

    async fn shown(toy: Toy, program: &str, buyers: usize, letters: &str) -> String {
        let program = program::find(program).unwrap().program(buyers);
        let run = ToyRunner::new(toy).run_letters(&program, letters).await;
        let witness = Witness::new("a toy", &program, &run).unwrap();
        let text = render(&witness, false);
        let too_long = text.lines().find(|line| line.chars().count() > WIDTH);
        assert_eq!(too_long, None);
        text + &replay_line(Path::new("witnesses/x-7f3a.json"), "")
    }

    #[tokio::test]
    async fn an_unlocked_lost_update_shows_both_reads_before_both_writes() {
        insta::assert_snapshot!(shown(Toy::Unlocked, "one-item", 2, "ABBBBBAAAA").await);
    }

    #[tokio::test]
    async fn a_stale_value_after_a_lock_shows_the_wait_and_the_old_value() {
        insta::assert_snapshot!(shown(Toy::Stale, "one-item", 2, "AABBAAAABBBB").await);
    }

    #[tokio::test]
    async fn a_deadlock_shows_who_holds_what_the_other_wants() {
        insta::assert_snapshot!(shown(Toy::Greedy, "crosswise", 2, "ABAB").await);
    }

    #[tokio::test]
    async fn inserts_under_way_at_once_share_a_line() {
        insta::assert_snapshot!(shown(Toy::Once, "repeated-key", 2, "(AB)AABB").await);
    }

    #[tokio::test]
    async fn three_buyers_fit_beside_each_other() {
        insta::assert_snapshot!(shown(Toy::Unlocked, "one-item", 3, "ABCABCABCABCABC").await);
    }

    #[tokio::test]
    async fn a_transaction_that_two_buyers_share_is_in_the_column_of_each() {
        let program = program::find("one-item").unwrap().program(3);
        let mut runner = ToyRunner::new(Toy::Unlocked);
        let mut run = runner.run_letters(&program, "ABCABCABCABCABC").await;
        let [_, b, c] = [0, 1, 2].map(RequestIndex);
        let mut events: Vec<_> = [b, c].map(|request| Event::Stalled { request }).into();
        // What C did is gone; what B did is told to both.
        let others = run.execution.transcript.events.into_iter();
        events.extend(others.filter(|event| event.request() != Some(c)));
        let last = events.iter_mut().rev().find_map(|event| match event {
            Event::Replied { reply, .. } => Some(reply),
            _ => None,
        });
        last.unwrap().end = ReplyEnd::Ready(TransactionState::Idle);
        events.push(Event::Answered { request: c });
        run.execution.transcript.events = events;
        let witness = Witness::new("a toy", &program, &run).unwrap();
        insta::assert_snapshot!(render(&witness, false));
    }

    #[test]
    fn colours_frame_text_and_only_where_wanted() {
        assert_eq!(paint("x", Look::Error, false), "x");
        assert_eq!(paint("x", Look::Error, true), "\x1b[31mx\x1b[0m");
    }

    #[test]
    fn a_word_longer_than_its_column_is_cut() {
        assert_eq!(wrap("abcdefgh ij", 5, "  "), ["abcde", "  fgh", "  ij"]);
        assert_eq!(wrap("  ab cd", 5, ""), ["  ab", "cd"]);
    }
}

//! What GitHub shows of a run: annotations, and the summary of a job.
//!
//! An annotation is a line of the log that its runner understands. It keeps 10 a step, and drops a summary
//! over 1 MiB whole, so both are cut here.

use std::fmt::Write;

use rowlock_core::verdict::Verdict;

use super::Accusation;
use super::html::Page;

/// Annotations that GitHub keeps of a step.
const MOST_ANNOTATIONS: usize = 10;

/// The bytes of a step's summary that are safely kept: GitHub drops one above 1 MiB.
pub const MOST_SUMMARY: usize = 1_000_000;

/// A line for each accusation of `page`, and at most ten.
pub fn annotations(page: &Page) -> Vec<String> {
    let all = &page.accusations;
    let (shown, more) = match all.len() {
        0..=MOST_ANNOTATIONS => (all.as_slice(), 0),
        many => (&all[..MOST_ANNOTATIONS - 1], many - (MOST_ANNOTATIONS - 1)),
    };
    let mut lines: Vec<_> = shown.iter().map(|one| annotation(one, page)).collect();
    if more > 0 {
        let level = level(Verdict::compose(all.iter().map(|one| one.verdict)));
        lines.push(format!(
            "::{level} title=rowlock::and {more} more, in the report"
        ));
    }
    lines
}

fn annotation(accusation: &Accusation, page: &Page) -> String {
    let level = level(accusation.verdict);
    let title = property(&format!("rowlock: {}", accusation.check));
    let why: String = page
        .explained
        .iter()
        .map(|line| format!("{line}\n"))
        .collect();
    let body = format!(
        "{}\n{why}again: rowlock {}",
        accusation.sentence, page.again
    );
    format!("::{level} title={title}::{}", data(&body))
}

fn level(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Violation => "error",
        Verdict::Inconclusive | Verdict::Valid => "warning",
    }
}

/// Text that may not end the line.
fn data(text: &str) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D");
    text.replace('\n', "%0A")
}

/// The same, where colons and commas mean something, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The summary of `page` in Markdown, in at most `room` bytes; `text` is the report for people. Nothing
/// where there is no room for what matters.
pub fn summary(page: &Page, text: &str, room: usize) -> String {
    let title = escaped(&page.title);
    let mut head = format!("## Rowlock: {}: {title}\n\n", page.verdict);
    for line in &page.explained {
        let _ = writeln!(head, "**{}**\n", escaped(line));
    }
    for accusation in &page.accusations {
        let _ = writeln!(head, "- {}", escaped(&accusation.to_string()));
    }
    let _ = writeln!(head);
    for (name, value) in &page.facts {
        let _ = writeln!(head, "{name}: {}  ", escaped(value));
    }
    let again = format!("\n```sh\nrowlock {}\n```\n\n", page.again);
    let frame = [
        "<details><summary>The report</summary>\n\n````text\n",
        "\n````\n\n</details>\n\n",
    ];
    let cut = "\n… cut here: GitHub shows no more";
    let framed = again.len() + frame.iter().map(|part| part.len()).sum::<usize>() + cut.len();
    if room < framed + 200 {
        return String::new();
    }
    let head = match head.len() + framed > room {
        true => format!("{}\n… and more\n", prefix(&head, room - framed - 20)),
        false => head,
    };
    let left = room.saturating_sub(head.len() + framed);
    let plain = without_colours(text).replace("````", "` ` ` `");
    let body = match plain.len() > left {
        true => format!("{}{cut}", prefix(&plain, left)),
        false => plain,
    };
    let [open, close] = frame;
    format!("{head}{again}{open}{body}{close}")
}

/// The longest beginning of `text` of at most `bytes`.
fn prefix(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What Markdown would take for markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '*' | '_' | '`' | '[' | ']' | '#' | '|' | '\\' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split("\x1b[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::Fingerprint;
    use super::super::html::Extent;
    use super::*;

    fn page(count: usize) -> Page {
        let accusation = |number: usize| Accusation {
            check: "stock, held: 100%".into(),
            sentence: format!("item {number} oversold\n50%"),
            verdict: Verdict::Violation,
            fingerprint: Fingerprint::of("stock", []),
        };
        Page {
            title: "explore <x>".into(),
            verdict: Verdict::Violation,
            explained: vec!["A and B both *read*".into()],
            accusations: (0..count).map(accusation).collect(),
            sections: Vec::new(),
            facts: vec![("seed", "7".into())],
            again: "explore x".into(),
            source: "rowlock.toml".into(),
            extent: Extent::Whole,
        }
    }

    #[test]
    fn an_annotation_is_one_line_with_everything_escaped() {
        let lines = annotations(&page(1));
        let [line] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(
            line,
            "::error title=rowlock%3A stock%2C held%3A 100%25::item 0 oversold%0A50%25%0AA and B both \
             *read*%0Aagain: rowlock explore x"
        );
    }

    #[test]
    fn ten_are_shown_and_of_eleven_the_last_counts_the_rest() {
        assert_eq!(annotations(&page(10)).len(), 10);
        let lines = annotations(&page(11));
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[9], "::error title=rowlock::and 2 more, in the report");
        assert!(annotations(&page(0)).is_empty());
    }

    #[test]
    fn a_summary_fits_and_is_whole_markup_wherever_it_is_cut() {
        let text = "ü\x1b[31mred\x1b[0m ".repeat(2_000);
        let page = page(3);
        for room in [500, 1_000, 1_001, 1_002, 20_000, MOST_SUMMARY] {
            let summary = summary(&page, &text, room);
            assert!(summary.len() <= room, "{room}: {}", summary.len());
            assert!(summary.ends_with("</details>\n\n"), "{room}");
            assert!(!summary.contains('\x1b'), "{room}");
        }
        let whole = summary(&page, "short", MOST_SUMMARY);
        assert!(
            whole.starts_with("## Rowlock: VIOLATION: explore &lt;x>\n"),
            "{whole}"
        );
        assert!(whole.contains("A and B both \\*read\\*"), "{whole}");
        assert!(whole.contains("```sh\nrowlock explore x\n```"), "{whole}");
        assert_eq!(summary(&page, "short", 100), "");
    }
}

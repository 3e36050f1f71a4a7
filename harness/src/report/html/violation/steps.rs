//! The steps of a run in words, one after another: what the arrow keys move through.
//!
//! Without script, and on paper, all of them are there.

use maud::{Markup, html};
use rowlock_explorer::RequestIndex;
use rowlock_explorer::timeline::drawing::{Drawing, Happening, Look, Seen, Step, What};

pub(super) fn render(drawing: &Drawing, id: &str) -> Markup {
    let count = drawing.happenings.len();
    html! {
        div.steps data-steps {
            div.controls hidden {
                button type="button" data-go="-1" { "← back" }
                button type="button" data-go="1" { "next →" }
                span.hint { "or the arrow keys, Home and End" }
            }
            div.list aria-live="polite" {
                @for (index, happening) in drawing.happenings.iter().enumerate() {
                    @let is_wrong = drawing.wrong.contains(&index);
                    div.happening.wrong[is_wrong] id={ (id) "-" (index) } {
                        h3 { (index + 1) " of " (count) ": " (title(happening, drawing.client)) }
                        @if is_wrong { p.flag { "✗ Here it goes wrong." } }
                        @if let What::Step(step) = &happening.what { (one_step(step)) }
                        @if !happening.seen.is_empty() { (seen(&happening.seen)) }
                    }
                }
            }
        }
    }
}

fn title(happening: &Happening, client: &str) -> String {
    match &happening.what {
        What::Invoked(request) => format!("{client} {request} is called"),
        What::Answered { request, reply, .. } => format!("{client} {request} is told {reply}"),
        What::Stalled(request) => format!("{client} {request} waits inside the service"),
        What::Deadlocked(circle) => format!("deadlock: {circle}; one statement is cancelled"),
        What::Step(step) => {
            let request = step.request;
            match step.number {
                Some(number) => format!("{client} {request} goes on, by choice {number}"),
                None => format!("{client} {request} goes on, without a choice"),
            }
        }
    }
}

fn one_step(step: &Step) -> Markup {
    let holders = |by: &[RequestIndex]| {
        let names: Vec<_> = by.iter().map(ToString::to_string).collect();
        match names.is_empty() {
            true => "a lock".to_owned(),
            false => names.join(" and "),
        }
    };
    html! {
        @for sql in &step.statements { pre { (sql) } }
        ul {
            @for (_, by) in &step.waits { li.wait { "waits for " (holders(by)) } }
            @for line in &step.results {
                li.error[line.look == Look::Error] { (line.text) }
            }
            @if step.ended.is_none() { li.error { "is never answered" } }
        }
    }
}

fn seen(all: &[Seen]) -> Markup {
    html! {
        table.rows {
            caption { "Rows by then, as each saw them last" }
            thead { tr { th scope="col" { "who" } th scope="col" { "rows" } th scope="col" { "saw" } } }
            tbody {
                @for one in all {
                    tr.wrong[one.changed_by.is_some()] {
                        td { (one.request) }
                        td { (one.rows) }
                        td {
                            (values(one))
                            @if let Some(other) = one.changed_by {
                                " " span.mark { "changed since, by " (other) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn values(seen: &Seen) -> String {
    let values = seen.values.iter();
    let values: Vec<_> = values
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    values.join(", ")
}

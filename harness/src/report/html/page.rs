//! What is around every report: the head, the verdict, the facts.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Page, class};

/// Accusations that stand on top; the sections have them all.
const ACCUSATIONS: usize = 8;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing is fetched from anywhere, whatever the page holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

pub(super) fn render(page: &Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (page.verdict) ": " (page.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.brand { "Rowlock" }
                    h1 { (page.title) }
                    p.verdict.(class(page.verdict)) { (page.verdict) }
                }
                main {
                    @if !page.explained.is_empty() || !page.accusations.is_empty() {
                        div.sentences.(class(page.verdict)) {
                            @for sentence in &page.explained { p { (sentence) } }
                            @for accusation in page.accusations.iter().take(ACCUSATIONS) {
                                p { (accusation) }
                            }
                            @if page.accusations.len() > ACCUSATIONS {
                                p { "and " (page.accusations.len() - ACCUSATIONS) " more" }
                            }
                        }
                    }
                    @for section in &page.sections {
                        section { h2 { (section.heading) } (section.body) }
                    }
                    section {
                        h2 { "This run" }
                        dl.facts {
                            @for (name, value) in &page.facts { dt { (name) } dd { (value) } }
                            dt { "rowlock" } dd { (env!("CARGO_PKG_VERSION")) }
                            dt { "again" } dd { code { "rowlock " (page.again) } }
                        }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

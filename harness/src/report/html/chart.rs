//! Bars: how often each latency came, and how much was done in each slice of time.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use crate::load::measure::Course;

const WIDTH: usize = 520;
const HEIGHT: usize = 150;
const LEFT: usize = 52;
const BOTTOM: usize = 22;

/// Bars with their words.
struct Bars<'a> {
    title: String,
    heights: Vec<u64>,
    /// What the highest bar comes to.
    highest: String,
    /// What stands at the left and at the right end.
    ends: [String; 2],
    /// What each bar says when it is pointed at.
    says: &'a dyn Fn(usize) -> String,
}

/// The latencies and the rate of `course`; nothing where there was nothing.
pub(super) fn render(course: &Course, counted: &str) -> Markup {
    let most = |counts: &[u64]| counts.iter().copied().max().unwrap_or(0);
    let latencies: Vec<_> = course.latencies.iter().map(|(_, count)| *count).collect();
    let bound = |at: usize| course.latencies.get(at).map_or(0, |(bound, _)| *bound);
    let latency = Bars {
        title: "How long answers took".into(),
        highest: most(&latencies).to_string(),
        ends: [
            milliseconds(bound(0)),
            milliseconds(bound(latencies.len().saturating_sub(1))),
        ],
        says: &|at| {
            format!(
                "{} answered within {}",
                latencies[at],
                milliseconds(bound(at))
            )
        },
        heights: latencies.clone(),
    };
    let second = course.slice_ms / 1000.0;
    let rate = |count: u64| format!("{:.0}/s", count as f64 / second.max(1e-9));
    let all_ms = course.slice_ms * course.ok.len() as f64;
    let throughput = Bars {
        title: format!("{counted} a second, over time"),
        highest: rate(most(&course.ok)),
        ends: ["0 s".into(), format!("{:.2} s", all_ms / 1000.0)],
        says: &|at| {
            format!(
                "{} from {:.3} s on",
                rate(course.ok[at]),
                at as f64 * second
            )
        },
        heights: course.ok.clone(),
    };
    html! {
        div.charts {
            @for bars in [latency, throughput] {
                @if !bars.heights.is_empty() { (bars.render()) }
            }
        }
    }
}

fn milliseconds(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.2} ms", us as f64 / 1000.0),
        _ => format!("{:.0} ms", us as f64 / 1000.0),
    }
}

impl Bars<'_> {
    fn render(&self) -> Markup {
        let most = self.heights.iter().copied().max().unwrap_or(0).max(1);
        let floor = HEIGHT - BOTTOM;
        let room = (WIDTH - LEFT) as f64 / self.heights.len() as f64;
        let mut bars = String::new();
        for (at, count) in self.heights.iter().enumerate() {
            let height = (floor - 8) as f64 * *count as f64 / most as f64;
            let (x, y) = (LEFT as f64 + room * at as f64, floor as f64 - height);
            let says = html! { title { ((self.says)(at)) } }.into_string();
            let width = (room - 1.0).max(0.5);
            let _ = write!(
                bars,
                r#"<rect class="bar" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}">{says}</rect>"#
            );
        }
        let [first, last] = &self.ends;
        let described = format!(
            "{}, from {first} to {last}; the highest bar is {}",
            self.title, self.highest
        );
        html! {
            figure {
                figcaption { (self.title) }
                svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label=(described)
                    width=(WIDTH) height=(HEIGHT) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
                    text x=(LEFT - 6) y="14" class="axis end" { (self.highest) }
                    text x=(LEFT - 6) y=(floor) class="axis end" { "0" }
                    line.life x1=(LEFT) y1=(floor) x2=(WIDTH) y2=(floor) {}
                    (PreEscaped(bars))
                    text x=(LEFT) y=(HEIGHT - 6) class="axis" { (first) }
                    text x=(WIDTH) y=(HEIGHT - 6) class="axis end" { (last) }
                }
            }
        }
    }
}

//! The drawing itself: a lane for each request at the service and one for its sessions in PostgreSQL.
//!
//! All places are computed here, so that no script lays anything out: what happened first stands
//! higher, and a box reaches from when its statements were sent to when they were answered.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use rowlock_explorer::RequestIndex;
use rowlock_explorer::timeline::drawing::{Drawing, Line, Look, Step, What};

const MARGIN: usize = 40;
const SERVICE_WIDTH: usize = 136;
const SESSION_WIDTH: usize = 318;
const GAP: usize = 14;
const BETWEEN: usize = 30;
const LINE: usize = 17;
const PADDING: usize = 7;
const HEAD: usize = 62;
/// Characters of one line in a box, and in the service's lane.
const SESSION_CHARACTERS: usize = 42;
const SERVICE_CHARACTERS: usize = 18;
/// Lines of one statement, and of all that came back.
const STATEMENT_LINES: usize = 3;
const RESULT_LINES: usize = 3;

/// A line of text in the drawing.
struct Text {
    x: usize,
    y: usize,
    class: &'static str,
    text: String,
}

/// A box of the drawing, and the happening that it shows.
struct Shape {
    happening: usize,
    x: usize,
    from: usize,
    to: usize,
    width: usize,
    class: &'static str,
    texts: Vec<Text>,
}

/// Who waits for whom: from the waiter's lane to the holder's, at one height.
struct Arrow {
    from: usize,
    to: usize,
    y: usize,
}

#[derive(Default)]
struct Lanes {
    shapes: Vec<Shape>,
    arrows: Vec<Arrow>,
    /// For each request, where its lanes begin and end.
    lives: Vec<[Option<(usize, usize)>; 2]>,
    y: usize,
}

/// What happens at a place of the transcript.
enum Moment<'a> {
    Begins(&'a What),
    Waits(&'a Step, &'a [RequestIndex]),
    Ends(&'a Step),
}

pub(super) fn legend() -> Markup {
    html! {
        p.legend {
            "Time runs downwards. A box in a lane of PostgreSQL reaches from when its statements were \
             sent to when they were answered; a request that used several sessions has one lane for all \
             of them. A number is the choice that let a step go, an arrow goes from who waits for a lock \
             to who holds it, and what is framed in red is where it went wrong, as far as the statements \
             tell."
        }
    }
}

pub(super) fn render(drawing: &Drawing, id: &str) -> Markup {
    let lanes = Lanes::of(drawing);
    let width = left(drawing.requests.len()) - BETWEEN + GAP;
    let height = lanes.y + PADDING;
    let mut svg = String::new();
    for (index, request) in drawing.requests.iter().enumerate() {
        lanes.write_head(&mut svg, drawing.client, index, request);
    }
    for shape in &lanes.shapes {
        shape.write(&mut svg, id, drawing.wrong.contains(&shape.happening));
    }
    for arrow in &lanes.arrows {
        let Arrow { from, to, y } = arrow;
        let _ = write!(
            svg,
            r##"<line class="arrow" x1="{from}" y1="{y}" x2="{to}" y2="{y}" marker-end="url(#{id}-head)"/>"##
        );
    }
    html! {
        svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby={ (id) "-title" }
            width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } {
            title id={ (id) "-title" } {
                "What each request sent PostgreSQL, in order; the steps beside it say the same in words"
            }
            defs {
                marker id={ (id) "-head" } markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto" {
                    path.arrow-head d="M0,0 L9,4 L0,8 z" {}
                }
            }
            (PreEscaped(svg))
        }
    }
}

/// Where the lanes of a request begin.
fn left(request: usize) -> usize {
    MARGIN + request * (SERVICE_WIDTH + GAP + SESSION_WIDTH + BETWEEN)
}

fn session_left(request: usize) -> usize {
    left(request) + SERVICE_WIDTH + GAP
}

impl Lanes {
    fn of(drawing: &Drawing) -> Lanes {
        let mut lanes = Lanes {
            lives: vec![[None, None]; drawing.requests.len()],
            y: HEAD + PADDING,
            ..Lanes::default()
        };
        let mut moments = Vec::new();
        for (index, happening) in drawing.happenings.iter().enumerate() {
            moments.push((happening.place, index, Moment::Begins(&happening.what)));
            if let What::Step(step) = &happening.what {
                let waits = step.waits.iter();
                moments.extend(waits.map(|(at, by)| (*at, index, Moment::Waits(step, by))));
                let ended = step.ended.into_iter();
                moments.extend(ended.map(|at| (at, index, Moment::Ends(step))));
            }
        }
        moments.sort_by_key(|(place, ..)| *place);
        for (_, index, moment) in moments {
            match moment {
                Moment::Begins(what) => lanes.begin(index, what),
                Moment::Waits(step, by) => lanes.wait(index, step, by),
                Moment::Ends(step) => lanes.end(index, step),
            }
        }
        lanes
    }

    fn begin(&mut self, happening: usize, what: &What) {
        match what {
            What::Invoked(request) => self.at_service(happening, *request, "called", "is called"),
            What::Answered {
                request,
                reply,
                is_ok,
            } => {
                let class = if *is_ok { "told-ok" } else { "told" };
                self.at_service(happening, *request, class, reply);
            }
            What::Stalled(request) => {
                self.at_service(happening, *request, "stalled", "waits in the service");
            }
            What::Deadlocked(circle) => self.across(happening, circle),
            What::Step(step) => self.step(happening, step),
        }
    }

    fn at_service(
        &mut self,
        happening: usize,
        request: RequestIndex,
        class: &'static str,
        text: &str,
    ) {
        let lines = broken(text, SERVICE_CHARACTERS, 3);
        let x = left(request.0);
        self.shape(happening, x, SERVICE_WIDTH, class, &lines, "said");
        self.y += GAP / 2;
        self.lives(request, 0);
    }

    fn across(&mut self, happening: usize, circle: &str) {
        let lines = broken(&format!("deadlock: {circle}"), 110, 2);
        let width = left(self.lives.len()) - BETWEEN - MARGIN;
        self.shape(happening, MARGIN, width, "deadlock", &lines, "said");
        self.y += GAP / 2;
    }

    fn step(&mut self, happening: usize, step: &Step) {
        let statements = step.statements.iter();
        let lines = statements.flat_map(|sql| broken(sql, SESSION_CHARACTERS, STATEMENT_LINES));
        let lines: Vec<_> = lines.collect();
        let x = session_left(step.request.0);
        let class = match step.number {
            Some(_) => "step",
            None => "step passed",
        };
        let top = self.y;
        self.shape(happening, x, SESSION_WIDTH, class, &lines, "sql");
        if let (Some(number), Some(shape)) = (step.number, self.shapes.last_mut()) {
            shape.texts.push(Text {
                x: MARGIN - 12,
                y: top + LINE,
                class: "number",
                text: number.to_string(),
            });
        }
        self.lives(step.request, 1);
    }

    fn wait(&mut self, happening: usize, step: &Step, by: &[RequestIndex]) {
        let names: Vec<_> = by.iter().map(ToString::to_string).collect();
        let text = match names.is_empty() {
            true => "waits for a lock".to_owned(),
            false => format!("waits for {}", names.join(" and ")),
        };
        let lines = [text];
        self.extend(happening, &lines, "wait");
        let y = self.y - LINE / 2;
        for holder in by {
            let is_left = holder.0 < step.request.0;
            let own = session_left(step.request.0);
            let other = session_left(holder.0);
            self.arrows.push(Arrow {
                from: if is_left { own } else { own + SESSION_WIDTH },
                to: if is_left {
                    other + SESSION_WIDTH
                } else {
                    other
                },
                y,
            });
        }
        self.y += GAP / 2;
    }

    fn end(&mut self, happening: usize, step: &Step) {
        for Line { text, look } in step.results.iter().take(RESULT_LINES) {
            let lines = broken(text, SESSION_CHARACTERS - 2, 2);
            let class = match look {
                Look::Error => "error",
                _ => "result",
            };
            self.extend(happening, &lines, class);
        }
        if step.results.len() > RESULT_LINES {
            self.extend(happening, &["…".to_owned()], "result");
        }
        if let Some(shape) = self.shape_of(happening) {
            shape.to = shape.to.max(shape.from);
        }
        let bottom = self.y;
        if let Some(shape) = self.shape_of(happening) {
            shape.to = bottom;
        }
        self.y += GAP / 2;
        self.lives(step.request, 1);
    }

    fn shape(
        &mut self,
        happening: usize,
        x: usize,
        width: usize,
        class: &'static str,
        lines: &[String],
        look: &'static str,
    ) {
        let from = self.y;
        self.shapes.push(Shape {
            happening,
            x,
            from,
            to: from,
            width,
            class,
            texts: Vec::new(),
        });
        self.y += PADDING;
        self.extend(happening, lines, look);
    }

    /// Writes `lines` into the shape of a happening, below all that there is.
    fn extend(&mut self, happening: usize, lines: &[String], class: &'static str) {
        let mut y = self.y;
        if let Some(shape) = self.shape_of(happening) {
            for line in lines {
                let text = Text {
                    x: shape.x + 8,
                    y: y + LINE - 5,
                    class,
                    text: line.clone(),
                };
                shape.texts.push(text);
                y += LINE;
            }
            shape.to = y + PADDING;
        }
        self.y = y + PADDING / 2;
    }

    fn shape_of(&mut self, happening: usize) -> Option<&mut Shape> {
        let mut shapes = self.shapes.iter_mut().rev();
        shapes.find(|shape| shape.happening == happening)
    }

    /// The lane of the request at the service (0) or in PostgreSQL (1) reaches to here.
    fn lives(&mut self, request: RequestIndex, lane: usize) {
        let y = self.y;
        let life = &mut self.lives[request.0][lane];
        *life = Some((life.map_or(HEAD, |(from, _)| from), y));
    }

    fn write_head(&self, svg: &mut String, client: &str, index: usize, request: &str) {
        let name = RequestIndex(index);
        let heads = [
            (left(index), SERVICE_WIDTH, format!("{client} {name}")),
            (
                session_left(index),
                SESSION_WIDTH,
                format!("PostgreSQL, for {client} {name}"),
            ),
        ];
        for (lane, (x, width, text)) in heads.iter().enumerate() {
            write_text(svg, *x, 18, "head", text);
            let (from, to) = self.lives[index][lane].unwrap_or((HEAD, HEAD));
            let middle = x + width / 2;
            let _ = write!(
                svg,
                r#"<line class="life" x1="{middle}" y1="{from}" x2="{middle}" y2="{to}"/>"#
            );
        }
        let lines = broken(request, SESSION_CHARACTERS + SERVICE_CHARACTERS, 2);
        for (at, line) in lines.iter().enumerate() {
            write_text(svg, left(index), 36 + at * LINE, "call", line);
        }
    }
}

impl Shape {
    fn write(&self, svg: &mut String, id: &str, is_wrong: bool) {
        let Shape {
            happening,
            x,
            from,
            width,
            ..
        } = self;
        let height = self.to.saturating_sub(*from);
        let wrong = if is_wrong { " wrong" } else { "" };
        let class = self.class;
        let _ = write!(
            svg,
            r#"<g class="shape {class}{wrong}" data-step="{id}-{happening}"><rect x="{x}" y="{from}" width="{width}" height="{height}" rx="5"/>"#
        );
        for text in &self.texts {
            write_text(svg, text.x, text.y, text.class, &text.text);
        }
        if is_wrong {
            // In the service's lane, where nothing of this request is at that time; a deadlock is wide enough.
            let x = match self.width {
                SESSION_WIDTH => x - 8,
                width => x + width - 8,
            };
            write_text(svg, x, from + LINE + 2, "flag", "✗ wrong here");
        }
        svg.push_str("</g>");
    }
}

fn write_text(svg: &mut String, x: usize, y: usize, class: &str, text: &str) {
    let text = html! { (text) }.into_string();
    let _ = write!(
        svg,
        r#"<text x="{x}" y="{y}" class="{class}">{text}</text>"#
    );
}

/// `text` in at most `most` lines of `width` characters, broken at spaces where there are some.
fn broken(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("it begins with one");
            let used = line.chars().count();
            let space = usize::from(used > 0);
            if used + space + word.len() <= width {
                line.push_str(&" "[..space]);
                line.extend(&word);
                break;
            }
            if used == 0 {
                line.extend(word.drain(..width));
            }
            lines.push(String::new());
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        let last = &mut lines[most - 1];
        *last = rowlock_explorer::sql_clipped(&format!("{last} …"), width);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_and_cut_where_it_is_too_long() {
        assert_eq!(broken("ab cd ef", 5, 3), ["ab cd", "ef"]);
        assert_eq!(broken("abcdefgh", 5, 3), ["abcde", "fgh"]);
        assert_eq!(broken("ab cd ef gh ij", 5, 2), ["ab cd", "ef g…"]);
    }
}

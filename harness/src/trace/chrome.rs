//! A run of the explorer in the trace-event format, which Perfetto and chrome://tracing open.
//!
//! A process is a session of PostgreSQL, a thread in it a request that used the session. A step is a slice
//! for as long as PostgreSQL had it, behind one for as long as the harness held it. A flow goes from the
//! step of the holder that ended a wait for a lock to the step that waited.
//!
//! Source: "Trace Event Format", the JSON array form. Times are µs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rowlock_explorer::transcript::Event;
use rowlock_explorer::{Execution, RequestIndex};
use rowlock_proxy::{Record, Statement, StepId};
use serde_json::{Value, json};

/// A wait that was cancelled, broken as a deadlock, or not worth its time.
const GIVEN_UP: [&str; 3] = ["57014", "40P01", "55P03"];

/// What ends the array, whose other elements each end with a comma.
pub(super) const LAST: &str = "{\"ph\":\"M\",\"name\":\"trace\",\"pid\":0,\"tid\":0,\"ts\":0,\"args\":{\"name\":\"rowlock\"}}\n]\n";

/// What ran, as events in the order of their times.
pub(super) fn events(
    database: &str,
    records: &[Record],
    ran: &Execution,
    senders: &HashMap<StepId, RequestIndex>,
) -> Vec<Value> {
    let mut named = BTreeSet::new();
    let mut events = Vec::new();
    for record in records {
        let Some(request) = senders.get(&record.step.id) else {
            continue;
        };
        let lane = Lane::of(record, *request);
        if named.insert((lane.pid, None)) {
            let name = format!("PostgreSQL session {} ({database})", record.step.id.session);
            events.push(lane.metadata("process_name", &name));
        }
        if named.insert((lane.pid, Some(lane.tid))) {
            events.push(lane.metadata("thread_name", &format!("request {request}")));
        }
    }
    let mut slices: Vec<_> = records
        .iter()
        .filter_map(|record| Some((record, *senders.get(&record.step.id)?)))
        .flat_map(|(record, request)| Lane::of(record, request).slices(record))
        .chain(flows(records, ran, senders))
        .collect();
    let time = |event: &Value| event["ts"].as_f64().unwrap_or_default();
    slices.sort_by(|one, other| time(one).total_cmp(&time(other)));
    events.extend(slices);
    events
}

/// Where an event is drawn.
#[derive(Debug, Clone, Copy)]
struct Lane {
    pid: u64,
    tid: u64,
}

impl Lane {
    fn of(record: &Record, request: RequestIndex) -> Lane {
        Lane {
            pid: record.step.id.session.0,
            tid: request.0 as u64 + 1,
        }
    }

    fn metadata(self, what: &str, name: &str) -> Value {
        let Lane { pid, tid } = self;
        json!({"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}})
    }

    fn slices(self, record: &Record) -> Vec<Value> {
        let Lane { pid, tid } = self;
        let slice = |name: &str, from_ns: u64, to_ns: u64, args: Value| {
            json!({"ph": "X", "cat": "step", "name": name, "pid": pid, "tid": tid, "ts": us(from_ns),
                   "dur": us(to_ns.saturating_sub(from_ns)), "args": args})
        };
        let statements = record.step.statements.iter();
        let sql: Vec<_> = statements.map(|statement| statement.sql.as_str()).collect();
        let name = match sql.is_empty() {
            true => record.step.id.to_string(),
            false => sql.join("; "),
        };
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let args = json!({
            "step": record.step.id.to_string(),
            "transaction": record.step.transaction,
            "statements": record.step.statements,
            "reply": record.reply,
        });
        let mut slices = Vec::new();
        if record.sent_ns > record.invoked_ns {
            let held = slice(
                "held by the harness",
                record.invoked_ns,
                record.sent_ns,
                json!({}),
            );
            slices.push(held);
        }
        slices.push(slice(&name, record.sent_ns, record.completed_ns, args));
        slices
    }
}

/// A flow for each wait for a lock: from the last step of a holder that was sent before the wait ended,
/// to the end of the step that waited.
fn flows(
    records: &[Record],
    ran: &Execution,
    senders: &HashMap<StepId, RequestIndex>,
) -> Vec<Value> {
    let mut of_request: BTreeMap<RequestIndex, Vec<&Record>> = BTreeMap::new();
    let mut sorted: Vec<_> = records.iter().collect();
    sorted.sort_by_key(|record| record.sent_ns);
    for record in sorted {
        if let Some(request) = senders.get(&record.step.id) {
            of_request.entry(*request).or_default().push(record);
        }
    }
    let mut flows = Vec::new();
    for (number, wait) in (1..).zip(waits(ran)) {
        let steps = of_request.get(&wait.waiter).into_iter().flatten();
        let mut same = steps.filter(|record| record.step.statements == wait.statements);
        let Some(waiting) = same.nth(wait.before) else {
            continue;
        };
        // Nobody let go of anything where the wait itself was given up.
        let error = waiting.reply.error.as_ref();
        if error.is_some_and(|error| GIVEN_UP.contains(&&*error.sqlstate)) {
            continue;
        }
        let waiter = wait.waiter;
        let held = wait.holders.iter().filter_map(|holder| {
            let steps = of_request.get(holder)?.iter().rev();
            let mut before = steps.filter(|record| record.sent_ns < waiting.completed_ns);
            Some((before.next()?, *holder))
        });
        let Some((ending, holder)) = held.max_by_key(|(record, _)| record.sent_ns) else {
            continue;
        };
        let end = |phase: &str, record: &Record, request, at_ns| {
            let Lane { pid, tid } = Lane::of(record, request);
            json!({"ph": phase, "cat": "lock", "name": "lets go of a lock", "id": number, "pid": pid,
                   "tid": tid, "ts": us(at_ns), "bp": "e"})
        };
        flows.push(end("s", ending, holder, ending.sent_ns));
        let at_ns = waiting.completed_ns.max(ending.sent_ns);
        flows.push(end("f", waiting, waiter, at_ns));
    }
    flows
}

/// A wait for a lock.
struct Wait<'a> {
    waiter: RequestIndex,
    /// What the waiting step runs, and how many of the waiter's steps before it ran the same.
    statements: &'a [Statement],
    before: usize,
    /// For whom it waits, as it was said last.
    holders: &'a [RequestIndex],
}

fn waits(ran: &Execution) -> Vec<Wait<'_>> {
    let mut steps: Vec<(RequestIndex, &[Statement])> = Vec::new();
    let mut waits: BTreeMap<usize, Wait<'_>> = BTreeMap::new();
    for event in &ran.transcript.events {
        match event {
            Event::Passed {
                request,
                statements,
            }
            | Event::Delivered {
                request,
                statements,
            } => {
                steps.push((*request, statements));
            }
            Event::Waits { request, by } => {
                let Some(at) = steps.iter().rposition(|(other, _)| other == request) else {
                    continue;
                };
                let same = steps[..at].iter().filter(|step| **step == steps[at]);
                let wait = Wait {
                    waiter: *request,
                    statements: steps[at].1,
                    before: same.count(),
                    holders: by,
                };
                waits.insert(at, wait);
            }
            _ => {}
        }
    }
    waits.into_values().collect()
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

//! A line of the file: one step, with what the harness was doing when it came.

use rowlock_explorer::RequestIndex;
use rowlock_proxy::{Record, TransactionState};
use serde::Serialize;

/// A part of a command, in which one rig after another may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The scenario of this name.
    Scenario(String),
    /// The witness in this file is replayed.
    Witness(String),
}

/// What the harness does on a rig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// The target starts, and is asked what it can do.
    #[default]
    Start,
    /// A scenario's load.
    Load,
    /// A request with nothing broken, to see its steps.
    Baseline,
    /// One case of the faults.
    Case {
        /// Its name.
        case: String,
    },
    /// A program's calls one after another, to know what they answer then.
    Serial,
    /// A program that only lets the target open its connections.
    WarmUp,
    /// Nothing, between two runs of the explorer.
    BetweenRuns,
    /// A run of the explorer.
    Run {
        /// Its program's name.
        program: String,
        /// Its number on this database, from 1.
        run: u64,
        /// Its schedule; unknown of a run that did not come to its end.
        #[serde(skip_serializing_if = "Option::is_none")]
        schedule: Option<String>,
        /// Why control was lost, so that it is made again or says nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        lost: Option<String>,
    },
}

/// One step on a rig.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) database: &'a str,
    pub(super) phase: &'a Phase,
    /// Whose the step was, if that is known.
    pub(super) request: Option<RequestIndex>,
    pub(super) record: &'a Record,
}

/// A line in JSON.
#[derive(Serialize)]
struct Document<'a> {
    database: &'a str,
    #[serde(flatten)]
    part: Option<&'a Part>,
    #[serde(flatten)]
    phase: &'a Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(flatten)]
    record: &'a Record,
    state_after: Option<TransactionState>,
}

impl Line<'_> {
    pub(super) fn json(&self, part: Option<&Part>) -> String {
        let document = Document {
            database: self.database,
            part,
            phase: self.phase,
            request: self.request.map(|request| request.to_string()),
            record: self.record,
            state_after: self.record.reply.state(),
        };
        serde_json::to_string(&document).expect("a line has only strings for keys")
    }

    pub(super) fn for_people(&self, part: Option<&Part>) -> String {
        let part = match part {
            Some(Part::Scenario(name) | Part::Witness(name)) => format!("{name} "),
            None => String::new(),
        };
        let doing = match self.phase {
            Phase::Start => "start".to_owned(),
            Phase::Load => "load".to_owned(),
            Phase::Baseline => "baseline".to_owned(),
            Phase::Case { case } => case.clone(),
            Phase::Serial => "serial".to_owned(),
            Phase::WarmUp => "warm-up".to_owned(),
            Phase::BetweenRuns => "between runs".to_owned(),
            Phase::Run { .. } => self.run(),
        };
        let doing = format!("{part}{doing}");
        format!("{:<9} {doing:<24} {}", self.database, self.record)
    }

    /// The run of the explorer that the step was in, and whose it was.
    fn run(&self) -> String {
        let Phase::Run {
            program,
            run,
            schedule,
            lost,
        } = self.phase
        else {
            return String::new();
        };
        let schedule = schedule.as_deref().unwrap_or("unfinished");
        let lost = lost.as_ref().map_or("", |_| " lost");
        let request = self.request.map_or("-".into(), |it| it.to_string());
        format!("{program} {run} {schedule}{lost} {request}")
    }
}

#[cfg(test)]
mod tests {
    use rowlock_proxy::{Reply, ReplyEnd, SessionId, Statement, Step, StepId, StepKind};

    use super::*;

    fn record() -> Record {
        Record {
            step: Step {
                id: StepId {
                    session: SessionId(2),
                    number: 9,
                },
                pid: Some(4711),
                transaction: 3,
                kind: StepKind::Query,
                state_before: Some(TransactionState::Open),
                statements: vec![Statement {
                    sql: "commit".into(),
                    parameters: Vec::new(),
                }],
            },
            reply: Reply::empty(ReplyEnd::Ready(TransactionState::Idle)),
            replaced_by: None,
            cancels: None,
            invoked_ns: 1_000_000,
            sent_ns: 2_000_000,
            completed_ns: 2_500_000,
        }
    }

    fn phases() -> [(Phase, Option<RequestIndex>); 3] {
        let run = Phase::Run {
            program: "one-item".into(),
            run: 4,
            schedule: Some("ABBA".into()),
            lost: None,
        };
        let case = Phase::Case {
            case: "purchase.8.stall".into(),
        };
        [
            (Phase::Start, None),
            (run, Some(RequestIndex(1))),
            (case, None),
        ]
    }

    fn lines(write: impl Fn(&Line<'_>) -> String) -> String {
        let record = record();
        let lines = phases().map(|(phase, request)| {
            write(&Line {
                database: "trial_0",
                phase: &phase,
                request,
                record: &record,
            })
        });
        lines.join("\n")
    }

    #[test]
    fn a_line_for_people_says_where_when_whose_and_what() {
        insta::assert_snapshot!(lines(|line| line.for_people(None)), @"
        trial_0   start                           1.000 ms  s2.9    pid 4711    tx 3    commit  →  T→I  0.500 ms
        trial_0   one-item 4 ABBA B               1.000 ms  s2.9    pid 4711    tx 3    commit  →  T→I  0.500 ms
        trial_0   purchase.8.stall                1.000 ms  s2.9    pid 4711    tx 3    commit  →  T→I  0.500 ms
        ");
    }

    #[test]
    fn a_line_of_json_says_the_same() {
        let part = Part::Scenario("double-click".into());
        insta::assert_snapshot!(lines(|line| line.json(Some(&part))), @r#"
        {"database":"trial_0","scenario":"double-click","phase":"start","session":2,"step":9,"pid":4711,"transaction":3,"kind":"query","state_before":"T","statements":[{"sql":"commit"}],"end":{"ready":"I"},"invoked_ns":1000000,"sent_ns":2000000,"completed_ns":2500000,"state_after":"I"}
        {"database":"trial_0","scenario":"double-click","phase":"run","program":"one-item","run":4,"schedule":"ABBA","request":"B","session":2,"step":9,"pid":4711,"transaction":3,"kind":"query","state_before":"T","statements":[{"sql":"commit"}],"end":{"ready":"I"},"invoked_ns":1000000,"sent_ns":2000000,"completed_ns":2500000,"state_after":"I"}
        {"database":"trial_0","scenario":"double-click","phase":"case","case":"purchase.8.stall","session":2,"step":9,"pid":4711,"transaction":3,"kind":"query","state_before":"T","statements":[{"sql":"commit"}],"end":{"ready":"I"},"invoked_ns":1000000,"sent_ns":2000000,"completed_ns":2500000,"state_after":"I"}
        "#);
    }
}

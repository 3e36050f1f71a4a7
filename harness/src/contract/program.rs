//! Programs of a contract: rows, and actors whose stories begin at once.
//!
//! All that is in a program is text, so that a witness holds it whole; what its calls are is in the
//! contract.

use std::collections::{BTreeMap, BTreeSet};

use rowlock_contract::actor::{self, Atomic, ProgramSpec, Story};
use rowlock_contract::template::ValueTemplate;
use rowlock_contract::variables::Value;
use rowlock_contract::{Contract, Template};
use rowlock_core::rows::{Rows, Table};
use serde::{Deserialize, Serialize};

use super::judge::Left;
use super::keys;
use super::story::StoryAnswer;

/// Rows of a table that are shown on one line.
const ROWS_SHOWN: usize = 6;

/// Rows, and actors whose stories begin at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// SQL that makes its rows of those that every run begins with; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Variables that its rows are made with, above what all actors have in common; texts are
    /// templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Value>,
    /// Who calls; a schedule counts them from 0.
    pub actors: Vec<Participant>,
    /// Actors who must be refused, alone or after the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// Whether only whole stories come one after another, and not their calls.
    #[serde(default)]
    pub whole_stories: bool,
}

/// An actor and what it calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// The actor's name in the contract.
    pub actor: String,
    /// Its calls, one after another.
    pub story: Vec<PlannedCall>,
    /// Variables for this program alone; texts are templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Value>,
    /// The name of its idempotency key; who has the same name sends the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A call by its name in the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedCall {
    /// Its name.
    pub call: String,
    /// Variables for it alone; texts are templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Value>,
}

/// The programs of a contract: those that it writes, or else each pair of its actors' stories, each
/// with itself, too, and each story twice under one key where all its calls take one.
pub fn programs(contract: &Contract) -> Vec<Program> {
    if !contract.programs.is_empty() {
        return contract.programs.iter().map(Program::of).collect();
    }
    let mut programs = pairs(contract);
    programs.extend(repeats(contract));
    programs
}

/// What a repeat's key is called.
const AGAIN: &str = "again";

/// Each story, twice under one key.
fn repeats(contract: &Contract) -> Vec<Program> {
    let stories = contract.actors.iter();
    let stories = stories.flat_map(|actor| actor.stories.iter().map(|it| seat(&actor.name, it)));
    let keyed = stories.filter(|it| takes_keys(contract, it));
    let keyed = keyed.map(|once| Participant {
        key: Some(AGAIN.to_owned()),
        ..once
    });
    let programs = keyed.map(|once| Program {
        name: format!("{} again under its key", once.label()),
        rows: None,
        with: BTreeMap::new(),
        actors: vec![once.clone(), once],
        refused: Vec::new(),
        whole_stories: contract.atomic == Atomic::Story,
    });
    programs.collect()
}

/// Whether some of its calls take a key, and so do all that change something.
pub(super) fn takes_keys(contract: &Contract, participant: &Participant) -> bool {
    let mut calls = participant.story.iter();
    let has_key = calls.any(|planned| {
        let call = contract.call(&planned.call);
        call.is_some_and(|call| call.idempotency_key.is_some())
    });
    has_key && keys::call_without(contract, &participant.story).is_none()
}

/// Each pair of stories of different actors, or of one actor where there is only one.
fn pairs(contract: &Contract) -> Vec<Program> {
    let stories: Vec<_> = contract
        .actors
        .iter()
        .flat_map(|actor| actor.stories.iter().map(move |story| (actor, story)))
        .collect();
    let mut programs: Vec<Program> = Vec::new();
    for (at, (first, story)) in stories.iter().enumerate() {
        for (second, other) in &stories[at..] {
            let is_alone = contract.actors.len() == 1;
            if first.name == second.name && !is_alone {
                continue;
            }
            let actors = vec![seat(&first.name, story), seat(&second.name, other)];
            let name = actors.iter().map(Participant::label).collect::<Vec<_>>();
            programs.push(Program {
                name: name.join(" + "),
                rows: None,
                with: BTreeMap::new(),
                actors,
                refused: Vec::new(),
                whole_stories: contract.atomic == Atomic::Story,
            });
        }
    }
    programs
}

/// An actor and a story of its own.
pub(crate) fn seat(actor: &str, story: &Story) -> Participant {
    Participant {
        actor: actor.to_owned(),
        story: planned(story),
        with: BTreeMap::new(),
        key: None,
    }
}

fn planned(story: &Story) -> Vec<PlannedCall> {
    story.iter().map(PlannedCall::of).collect()
}

fn values(with: &[(String, ValueTemplate)]) -> BTreeMap<String, Value> {
    let with = with.iter();
    with.map(|(name, it)| (name.clone(), value_of(it)))
        .collect()
}

/// A value as a program has it: a text is a template.
pub(super) fn value_of(value: &ValueTemplate) -> Value {
    match value {
        ValueTemplate::Text(template) => Value::Text(template.to_string()),
        ValueTemplate::Fixed(value) => value.clone(),
    }
}

impl Program {
    fn of(spec: &ProgramSpec) -> Program {
        let actors = spec.participants.iter().map(|participant| Participant {
            actor: participant.actor.clone(),
            story: planned(&participant.story),
            with: values(&participant.with),
            key: participant.key.clone(),
        });
        Program {
            name: spec.name.clone(),
            rows: spec.rows.as_ref().map(ToString::to_string),
            with: BTreeMap::new(),
            actors: actors.collect(),
            refused: spec.refused.clone(),
            whole_stories: spec.atomic == Atomic::Story,
        }
    }

    /// Whether nobody wrote it: an actor who is refused alone is then as good as another.
    pub(super) fn is_generated(&self) -> bool {
        self.name == super::generated::NAME
    }

    /// How many calls each story has.
    pub(super) fn story_lengths(&self) -> Vec<usize> {
        self.actors.iter().map(|it| it.story.len()).collect()
    }

    /// What of it `contract` does not know, in words.
    pub(super) fn unknown_to(&self, contract: &Contract) -> Option<String> {
        for participant in &self.actors {
            if contract.actor(&participant.actor).is_none() {
                return Some(format!("the contract has no actor `{}`", participant.actor));
            }
            let mut calls = participant.story.iter();
            if let Some(planned) = calls.find(|it| contract.call(&it.call).is_none()) {
                return Some(format!("the contract has no call `{}`", planned.call));
            }
        }
        None
    }

    /// The templates that are no templates, in words.
    fn unreadable(&self) -> Option<String> {
        let rows = self.rows.iter().map(|sql| ("program.rows".into(), sql));
        let with = self.actors.iter().enumerate().flat_map(|(at, actor)| {
            let of_calls = actor.story.iter().flat_map(|planned| &planned.with);
            let texts = actor.with.iter().chain(of_calls);
            texts.filter_map(move |(name, value)| match value {
                Value::Text(text) => Some((format!("program.actors[{at}]: {name}"), text)),
                _ => None,
            })
        });
        let mut texts = rows.chain(with);
        texts.find_map(|(field, text): (String, &String)| {
            let error = Template::parse(text).err()?;
            Some(format!("{field}: {error}"))
        })
    }
}

impl PlannedCall {
    pub(super) fn of(planned: &actor::PlannedCall) -> PlannedCall {
        PlannedCall {
            call: planned.call.clone(),
            with: values(&planned.with),
        }
    }
}

impl Participant {
    /// Who does what: `alice: basket, order`.
    pub(crate) fn label(&self) -> String {
        let calls: Vec<_> = self.story.iter().map(|it| it.call.as_str()).collect();
        format!("{} {}", self.actor, calls.join(", "))
    }
}

impl rowlock_core::program::Program for Program {
    const CLIENT: &'static str = "actor";

    type Operation = StoryAnswer;
    type Rows = Left;

    fn name(&self) -> &str {
        &self.name
    }

    fn call_count(&self) -> usize {
        self.actors.len()
    }

    fn without(&self, call: usize) -> Program {
        let mut program = self.clone();
        program.actors.remove(call);
        let left: BTreeSet<_> = program.actors.iter().map(|it| it.actor.as_str()).collect();
        program.refused.retain(|name| left.contains(name.as_str()));
        program
    }

    /// The values that hold where nobody says otherwise, and no key; of a program that somebody wrote
    /// nothing.
    fn simpler(&self) -> Vec<Program> {
        let mut simpler = Vec::new();
        if !self.is_generated() {
            return simpler;
        }
        for name in self.with.keys() {
            let mut program = self.clone();
            program.with.remove(name);
            simpler.push(program);
        }
        for (at, actor) in self.actors.iter().enumerate() {
            if actor.key.is_some() {
                let mut program = self.clone();
                program.actors[at].key = None;
                simpler.push(program);
            }
            for name in actor.with.keys() {
                let mut program = self.clone();
                program.actors[at].with.remove(name);
                simpler.push(program);
            }
        }
        simpler
    }

    fn contradiction(&self) -> Option<String> {
        let mut actors = self.actors.iter().enumerate();
        if let Some((at, _)) = actors.find(|(_, actor)| actor.story.is_empty()) {
            return Some(format!("program.actors[{at}].story is empty"));
        }
        self.unreadable()
    }

    fn describe_call(&self, call: usize) -> String {
        self.actors[call].label()
    }

    fn describe_initial(&self) -> String {
        match &self.rows {
            Some(sql) => {
                let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
                let with = self.with.iter();
                let with: Vec<_> = with
                    .map(|(name, value)| format!("{name} = {value}"))
                    .collect();
                match with.is_empty() {
                    true => sql,
                    false => format!("{sql} with {}", with.join(", ")),
                }
            }
            None => "the contract's rows".into(),
        }
    }

    fn describe_rows(left: &Left) -> String {
        match left.changed.0.is_empty() {
            true => "the same rows".into(),
            false => describe(&left.changed),
        }
    }

    fn tables(left: &Left) -> Rows {
        left.changed.clone()
    }
}

/// Each table with its rows, on one line.
fn describe(rows: &Rows) -> String {
    let row = |cells: &Vec<Option<String>>| {
        let cells: Vec<_> = cells
            .iter()
            .map(|cell| cell.as_deref().unwrap_or("null"))
            .collect();
        format!("({})", cells.join(", "))
    };
    let table = |(name, table): (&String, &Table)| {
        let shown: Vec<_> = table.rows.iter().take(ROWS_SHOWN).map(row).collect();
        let more = table.rows.len().saturating_sub(ROWS_SHOWN);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        match shown.is_empty() {
            true => format!("{name}: none"),
            false => format!("{name}: {}{more}", shown.join(" ")),
        }
    };
    rows.0.iter().map(table).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(call: &str) -> Vec<String> {
        let text = format!(
            "[service]\ncommand = \"serve\"\n[calls.look]\npath = \"/\"\n\
             [calls.buy]\npath = \"/buy\"\nmethod = \"POST\"\n{call}\n\
             [actors.ada]\nstory = [\"look\", \"buy\"]\n"
        );
        let contract = Contract::parse(&text, "rowlock.toml").unwrap();
        programs(&contract).into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn a_story_whose_calls_take_keys_comes_twice_under_one() {
        let twice = "ada look, buy + ada look, buy";
        assert_eq!(names(""), [twice]);
        let keyed = names("idempotency_key = \"Idempotency-Key\"");
        assert_eq!(keyed, [twice, "ada look, buy again under its key"]);
    }
}

//! What a contract leaves open, in words for a report: each default that holds, and what is not
//! checked for want of a word.

use std::collections::BTreeSet;

use crate::answer::Meaning;
use crate::call::CallSpec;
use crate::contract::Contract;
use crate::database::Memory;
use crate::service::Ready;

impl Contract {
    /// A sentence for each thing that the contract does not say.
    pub fn left_open(&self) -> Vec<String> {
        let mut open = Vec::new();
        if self.service.ready == Ready::default() {
            open.push("it is ready when GET / is answered below 500, or with 501".to_owned());
        }
        if self.database.memory == Memory::Keep && self.database.restore.is_empty() {
            open.push("it remembers nothing outside the database".to_owned());
        }
        open.extend(self.open_of_calls());
        open.extend(self.open_of_actors());
        if self.invariants.is_empty() {
            open.push("no invariant is checked beside the serial oracle".to_owned());
        }
        open
    }

    fn open_of_calls(&self) -> Vec<String> {
        let mut open = Vec::new();
        let explored = self.explored();
        let mut say = |what: &str, is: &dyn Fn(&CallSpec) -> bool| {
            let calls = explored.iter().filter(|call| is(call));
            let names: Vec<_> = calls.map(|call| format!("`{}`", call.name)).collect();
            if !names.is_empty() {
                open.push(format!("{what}: {}", names.join(", ")));
            }
        };
        say("answers mean what their status says", &|call| {
            call.rules.is_empty()
        });
        say("why a call is refused is not compared", &|call| {
            let mut refusals = call.rules.iter().filter(|it| it.means == Meaning::Refused);
            !refusals.any(|rule| rule.reason.is_some())
        });
        say(
            "no retry is judged, for want of an idempotency key",
            &|call| !call.takes_key() && call.method != "GET",
        );
        open
    }

    /// The calls of all stories.
    fn explored(&self) -> Vec<&CallSpec> {
        let of_actors = self.actors.iter().flat_map(|actor| &actor.stories);
        let participants = self.programs.iter().flat_map(|it| &it.participants);
        let stories = of_actors.chain(participants.map(|it| &it.story));
        let names: BTreeSet<_> = stories.flatten().map(|it| it.call.as_str()).collect();
        let calls = self.calls.iter();
        calls
            .filter(|call| names.contains(call.name.as_str()))
            .collect()
    }

    fn open_of_actors(&self) -> Vec<String> {
        let mut open = Vec::new();
        if self.actors.iter().any(|actor| actor.line == 0) {
            open.push("nobody who calls differs from another".to_owned());
        }
        for actor in self.actors.iter().filter(|actor| !actor.has_own_stories) {
            let stories = actor.stories.iter().flatten();
            let names: Vec<_> = stories
                .map(|planned| format!("`{}`", planned.call))
                .collect();
            let names = match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            open.push(format!(
                "each call of {} is a story alone: {names}",
                actor.name
            ));
        }
        match self.programs.is_empty() {
            true => open.push("programs are made from the stories".to_owned()),
            false
                if self
                    .programs
                    .iter()
                    .all(|program| program.refused.is_empty()) =>
            {
                open.push("no refusal is seen before anything is judged".to_owned());
            }
            false => {}
        }
        open
    }
}

//! Programs of a contract that nobody wrote: its actors' stories, with values that it gives its
//! variables.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rowlock_contract::Contract;
use rowlock_contract::actor::{Atomic, SharedVariable};
use rowlock_contract::variables::Value;

use super::program::{Participant, Program, programs, seat, value_of};

/// What every such program is called.
pub const NAME: &str = "generated";

/// Draws a program: two to four stories, each value that a variable may have, and the rows of one of the
/// contract's programs or of none. Nothing where the contract has no story.
pub fn draw(contract: &Contract, rng: &mut impl Rng) -> Option<Program> {
    let stories = contract.actors.iter();
    let stories = stories.flat_map(|actor| actor.stories.iter().map(move |it| (actor, it)));
    let stories: Vec<_> = stories.collect();
    let several = contract.variables.iter().filter(|it| it.values.len() > 1);
    let several: Vec<&SharedVariable> = several.collect();
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    let mut actors = Vec::new();
    for _ in 0..rng.random_range(2..=4) {
        // Who follows mostly asks for the same.
        if values.is_empty() || rng.random_range(0..3) == 0 {
            for variable in &several {
                let value = variable.values.choose(rng)?;
                values.insert(variable.name.clone(), value_of(value));
            }
        }
        let (actor, story) = stories.choose(rng)?;
        actors.push(Participant {
            with: values.clone(),
            ..seat(&actor.name, story)
        });
    }
    let written = match contract.programs.is_empty() {
        true => Vec::new(),
        false => programs(contract),
    };
    let rows = match rng.random_range(0..=written.len()) {
        0 => None,
        at => written[at - 1].rows.clone(),
    };
    Some(Program {
        name: NAME.into(),
        rows,
        actors,
        refused: Vec::new(),
        whole_stories: contract.atomic == Atomic::Story,
    })
}

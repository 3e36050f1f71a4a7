//! Programs of a contract that nobody wrote: its actors' stories, with values that it gives its
//! variables.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rowlock_contract::actor::{Atomic, SharedVariable};
use rowlock_contract::template::Part;
use rowlock_contract::variables::Value;
use rowlock_contract::{Contract, Template};

use super::program::{Participant, Program, programs, seat, takes_keys, value_of};

/// What every such program is called.
pub const NAME: &str = "generated";

/// Draws a program: two to four stories, mostly three, each value that a variable may have, and the
/// rows of one of the contract's programs or of none. Nothing where the contract has no story.
///
/// Rows are drawn where their SQL names variables of several values. Who is there mostly comes again,
/// some of them under the same key.
pub fn draw(contract: &Contract, rng: &mut impl Rng) -> Option<Program> {
    let stories = contract.actors.iter();
    let stories = stories.flat_map(|actor| actor.stories.iter().map(move |it| (actor, it)));
    let stories: Vec<_> = stories.collect();
    let several = contract.variables.iter().filter(|it| it.values.len() > 1);
    let several: Vec<&SharedVariable> = several.collect();
    let rows = rows(contract, rng);
    let of_rows = several.iter().copied();
    let of_rows = of_rows.filter(|it| rows.as_ref().is_some_and(|sql| names(sql, &it.name)));
    let with = values(&of_rows.collect::<Vec<_>>(), rng)?;
    let mut of_calls: BTreeMap<String, Value> = BTreeMap::new();
    let mut actors: Vec<Participant> = Vec::new();
    for _ in 0..*[2, 3, 3, 4].choose(rng)? {
        // Who follows mostly asks for the same.
        if of_calls.is_empty() || rng.random_range(0..3) == 0 {
            of_calls = values(&several, rng)?;
        }
        let (actor, story) = stories.choose(rng)?;
        let mut participant = Participant {
            with: of_calls.clone(),
            ..seat(&actor.name, story)
        };
        if takes_keys(contract, &participant) && rng.random_range(0..4) == 0 {
            participant.key = Some(key_of(&participant));
        }
        actors.push(participant);
    }
    Some(Program {
        name: NAME.into(),
        rows,
        with,
        actors,
        refused: Vec::new(),
        whole_stories: contract.atomic == Atomic::Story,
    })
}

/// The rows of one of the contract's programs, or none where it has no programs.
fn rows(contract: &Contract, rng: &mut impl Rng) -> Option<String> {
    let written = match contract.programs.is_empty() {
        true => Vec::new(),
        false => programs(contract),
    };
    written.choose(rng)?.rows.clone()
}

/// One value for each of `variables`.
fn values(variables: &[&SharedVariable], rng: &mut impl Rng) -> Option<BTreeMap<String, Value>> {
    let value = |variable: &&SharedVariable| {
        let value = variable.values.choose(rng)?;
        Some((variable.name.clone(), value_of(value)))
    };
    variables.iter().map(value).collect()
}

/// Whether a template has the variable.
fn names(sql: &str, variable: &str) -> bool {
    Template::parse(sql).is_ok_and(|template| {
        template
            .parts
            .iter()
            .any(|part| matches!(part, Part::Variable { name, .. } if name == variable))
    })
}

/// The same for the same actor, story and values, which is then a repeat.
fn key_of(participant: &Participant) -> String {
    let values = participant.with.iter();
    let values: String = values
        .map(|(name, value)| format!("-{name}-{value}"))
        .collect();
    format!("{}{values}", participant.label().replace([' ', ','], "-"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rowlock_core::program::Program as _;
    use rowlock_core::seed::Seed;

    use super::*;

    const CONTRACT: &str = r#"
[service]
command = "serve"
[variables]
stock = [1, 0, 2]
item = [7, 8]
[calls.buy]
path = "/buy/${item}"
method = "POST"
idempotency_key = "Idempotency-Key"
[actors.ada]
[actors.bob]
[[programs]]
name = "last unit"
rows = "update item set stock = ${stock}"
actors = ["ada", "bob"]
"#;

    #[test]
    fn rows_are_drawn_from_the_values_that_a_contract_gives_their_variables() {
        let contract = Contract::parse(CONTRACT, "rowlock.toml").unwrap();
        let mut rng = Seed(3).rng("programs");
        let programs = (0..200).map(|_| draw(&contract, &mut rng).unwrap());
        let programs: Vec<_> = programs.collect();
        let stocks = programs.iter().map(|it| format!("{:?}", it.with));
        assert_eq!(stocks.collect::<BTreeSet<_>>().len(), 3);
        for program in &programs {
            assert_eq!(program.contradiction(), None);
            assert_eq!(program.with.keys().collect::<Vec<_>>(), ["stock"]);
            let simplest = |it: &&Program| it.with.is_empty();
            assert!(program.simpler().iter().any(|it| simplest(&it)));
            let shown = program.describe_initial();
            assert!(shown.contains("${stock} with stock = "), "{shown}");
        }
        let is_repeated = |program: &Program| {
            let mut actors = program.actors.iter().enumerate();
            actors.any(|(at, it)| it.key.is_some() && program.actors[..at].contains(it))
        };
        assert!(programs.iter().any(is_repeated));
    }
}

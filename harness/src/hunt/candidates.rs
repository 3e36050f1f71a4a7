//! Which stories are hunted together, and from which rows.

use std::collections::{BTreeMap, HashSet};

use rowlock_contract::Contract;
use rowlock_contract::actor::{Atomic, PlannedCall};

use crate::contract::{self, Participant, Program, seat};

/// An actor and one of its stories.
type Item<'a> = (&'a str, &'a Vec<PlannedCall>);

/// Programs of `size` stories: every pair, triple, … of different actors' stories; of one actor's
/// where no others tell such. Each from the rows of every program of the contract that has
/// these actors, else from the contract's rows; and what is part of a program of the contract.
pub(super) fn of(contract: &Contract, size: usize) -> Vec<Program> {
    let written = match contract.programs.is_empty() {
        true => Vec::new(),
        false => contract::programs(contract),
    };
    let mut found: Vec<Program> = Vec::new();
    for participants in groups(contract, size) {
        let from_rows = written.iter().filter_map(|of| placed(&participants, of));
        let mut programs: Vec<_> = from_rows.collect();
        if programs.is_empty() {
            let whole_stories = contract.atomic == Atomic::Story;
            programs.push(program(participants, None, whole_stories));
        }
        found.extend(programs);
    }
    for of in &written {
        found.extend(parts(of, size));
    }
    let mut kept: Vec<Program> = Vec::new();
    for program in found {
        let is_same =
            |known: &Program| known.rows == program.rows && known.actors == program.actors;
        if !kept.iter().any(is_same) {
            kept.push(program);
        }
    }
    kept
}

/// Participants from the contract's actors, each with one of its stories.
fn groups(contract: &Contract, size: usize) -> Vec<Vec<Participant>> {
    let items = contract.actors.iter();
    let items = items.flat_map(|actor| actor.stories.iter().map(|it| (actor.name.as_str(), it)));
    let items: Vec<Item<'_>> = items.collect();
    let mut all = chosen(items.len(), size);
    let actors = |group: &Vec<usize>| {
        let actors: HashSet<_> = group.iter().map(|index| items[*index].0).collect();
        actors.len()
    };
    // Those with most actors first; their sort is stable.
    all.sort_by_key(|group| size - actors(group));
    let mut covered = HashSet::new();
    let mut kept = Vec::new();
    for group in all {
        let mut stories: Vec<_> = group.iter().map(|index| items[*index].1).collect();
        stories.sort_by_key(|story| format!("{story:?}"));
        if covered.insert(stories) || actors(&group) == size {
            let seats = group
                .iter()
                .map(|index| seat(items[*index].0, items[*index].1));
            kept.push(seats.collect());
        }
    }
    kept
}

/// Every choice of `size` out of `count` things, each perhaps more than once, in order.
fn chosen(count: usize, size: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..size {
        let longer = all.iter().flat_map(|group: &Vec<usize>| {
            let from = group.last().copied().unwrap_or_default();
            (from..count).map(move |next| [group.as_slice(), &[next]].concat())
        });
        all = longer.collect();
    }
    all
}

/// `participants` with the rows of `of`, and what that says of them; nothing where it lacks one.
fn placed(participants: &[Participant], of: &Program) -> Option<Program> {
    let mut placed = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for participant in participants {
        let same = of.actors.iter().filter(|it| it.actor == participant.actor);
        let same: Vec<_> = same.collect();
        let turn = seen.entry(&participant.actor).or_default();
        let theirs = same.get(*turn).or(same.first())?;
        *turn += 1;
        placed.push(Participant {
            with: theirs.with.clone(),
            key: match theirs.story == participant.story {
                true => theirs.key.clone(),
                false => None,
            },
            ..participant.clone()
        });
    }
    Some(program(placed, Some(of), of.whole_stories))
}

/// Every `size` of the participants of a program.
fn parts(of: &Program, size: usize) -> Vec<Program> {
    let groups = chosen(of.actors.len(), size).into_iter();
    let groups = groups.filter(|group| group.windows(2).all(|pair| pair[0] < pair[1]));
    let parts = groups.map(|group| {
        let participants = group.iter().map(|index| of.actors[*index].clone());
        program(participants.collect(), Some(of), of.whole_stories)
    });
    parts.collect()
}

/// A program named after who is in it, and after `of` whose rows it has.
fn program(actors: Vec<Participant>, of: Option<&Program>, whole_stories: bool) -> Program {
    let labels: Vec<_> = actors.iter().map(Participant::label).collect();
    let rows = of.and_then(|of| of.rows.clone());
    let of = of.map_or(String::new(), |of| format!(" ({})", of.name));
    Program {
        name: format!("{}{of}", labels.join(" + ")),
        rows,
        with: BTreeMap::new(),
        actors,
        refused: Vec::new(),
        whole_stories,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(contract: &str, size: usize) -> Vec<String> {
        let head = "[service]\ncommand = \"true\"\n[calls.buy]\npath = \"/buy\"\n[calls.sell]\npath = \"/sell\"\n";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rowlock.toml");
        std::fs::write(&file, format!("{head}{contract}")).unwrap();
        let contract = Contract::read(&file).unwrap();
        of(&contract, size).into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn each_story_meets_each_and_itself_by_two_actors_where_there_are_two() {
        let contract = "[actors.alice]\nstory = [\"buy\"]\n[actors.bob]\nstory = [\"sell\"]\n";
        assert_eq!(
            names(contract, 2),
            [
                "alice buy + bob sell",
                "alice buy + alice buy",
                "bob sell + bob sell"
            ]
        );
        let contract = "[actors.alice]\nstory = [\"buy\"]\n[actors.bob]\nstory = [\"buy\"]\n";
        assert_eq!(names(contract, 2), ["alice buy + bob buy"]);
    }

    #[test]
    fn triples_take_an_actor_again_only_where_there_are_too_few() {
        let contract = "[actors.alice]\nstory = [\"buy\"]\n[actors.bob]\nstory = [\"buy\"]\n";
        assert_eq!(names(contract, 3), ["alice buy + alice buy + bob buy"]);
    }

    #[test]
    fn rows_are_those_of_each_program_that_has_the_actors() {
        let contract = "[actors.alice]\nstory = [\"buy\"]\n[actors.bob]\nstory = [\"buy\"]\n\
                        [[programs]]\nname = \"last\"\nrows = \"select 1\"\n\
                        actors = [\"alice\", \"bob\"]\n";
        assert_eq!(names(contract, 2), ["alice buy + bob buy (last)"]);
    }
}

//! Rows that differ by nothing but noise are never accused, whatever refers to whatever.

use proptest::prelude::*;
use rowlock_testing::seed::for_all;

use super::super::Mask;
use super::super::digest::Digest;
use super::{rows, table};
use crate::rows::Rows;

/// What the calls decided: nodes that may refer to a node and leaves that refer to one, by index.
#[derive(Debug, Clone)]
struct Base {
    nodes: Vec<(u8, Option<usize>)>,
    leaves: Vec<(u8, usize)>,
}

/// What they did not: the ids' order and the rows' order.
#[derive(Debug, Clone)]
struct Noise {
    ids: Vec<usize>,
    places: Vec<usize>,
}

fn bases() -> impl Strategy<Value = Base> {
    (1_usize..7).prop_flat_map(|count| {
        let node = (0_u8..2, prop::option::of(0..count));
        let nodes = prop::collection::vec(node, count);
        let leaves = prop::collection::vec((0_u8..2, 0..count), 0..6);
        (nodes, leaves).prop_map(|(nodes, leaves)| Base { nodes, leaves })
    })
}

fn noises() -> impl Strategy<Value = Noise> {
    let shuffled = || Just((0..8).collect::<Vec<_>>()).prop_shuffle();
    (shuffled(), shuffled()).prop_map(|(ids, places)| Noise { ids, places })
}

/// The rows of one run: its ids begin where no other run's end, in an order of their own.
fn render(base: &Base, noise: &Noise, run: usize) -> Rows {
    let id = |node: usize| run * 100 + noise.ids[node];
    let parent = |to: Option<usize>| to.map_or("-".into(), |to| id(to).to_string());
    let nodes = base.nodes.iter().enumerate();
    let nodes =
        nodes.map(|(node, (value, to))| format!("{} {value} {} t{run}", id(node), parent(*to)));
    let leaves = base.leaves.iter();
    let leaves = leaves.map(|(value, to)| format!("{value} {} {{{run}}}", id(*to)));
    let arranged = |rows: Vec<String>, columns| {
        let mut rows: Vec<_> = rows.iter().zip(&noise.places).collect();
        rows.sort_by_key(|(_, place)| **place);
        let rows: Vec<_> = rows.iter().map(|(row, _)| row.as_str()).collect();
        table(columns, &rows)
    };
    rows([
        (
            "node",
            arranged(nodes.collect(), "id* value parent>node.id at@"),
        ),
        (
            "leaf",
            arranged(leaves.collect(), "value node_id>node.id json"),
        ),
    ])
}

/// A base and the noise of three runs.
fn cases() -> impl Strategy<Value = (Base, [Noise; 3])> {
    (bases(), prop::array::uniform3(noises()))
}

#[test]
fn a_third_run_with_the_same_rows_but_for_noise_has_the_same_digest() {
    for_all(256, &cases(), |(base, noises)| {
        let [first, second, third] = [0, 1, 2].map(|run| render(&base, &noises[run], run + 1));
        let mask = Mask::of(&first, &second).expect("the counts are the same");
        prop_assert_eq!(Digest::of(&first, &mask), Digest::of(&third, &mask));
        Ok(())
    });
}

#[test]
fn another_value_beside_noise_is_seen() {
    for_all(256, &cases(), |(base, noises)| {
        let mut changed = base.clone();
        changed.nodes[0].0 += 1;
        let [first, second] = [0, 1].map(|run| render(&base, &noises[run], run + 1));
        let third = render(&changed, &noises[2], 3);
        let mask = Mask::of(&first, &second).expect("the counts are the same");
        prop_assert_ne!(Digest::of(&first, &mask), Digest::of(&third, &mask));
        Ok(())
    });
}

#[test]
fn a_leaf_of_a_node_with_another_value_is_seen() {
    for_all(256, &cases(), |(base, noises)| {
        let Some((leaf, other)) = base.leaves.first().and_then(|(_, to)| {
            let value = base.nodes[*to].0;
            Some((0, base.nodes.iter().position(|(it, _)| *it != value)?))
        }) else {
            return Ok(());
        };
        let mut changed = base.clone();
        changed.leaves[leaf].1 = other;
        let [first, second] = [0, 1].map(|run| render(&base, &noises[run], run + 1));
        let third = render(&changed, &noises[2], 3);
        let mask = Mask::of(&first, &second).expect("the counts are the same");
        prop_assert_ne!(Digest::of(&first, &mask), Digest::of(&third, &mask));
        Ok(())
    });
}

//! Parts of a history that share no item, wallet or key.
//!
//! Linearizability is local (Herlihy and Wing): a history is linearizable exactly if each of
//! its parts is, so each is judged alone, and orders of the parts make an order of the whole.

use std::collections::{BTreeMap, HashMap};

use purchase_service::order::{ItemId, UserId};

use super::Fact;
use super::recording::Recording;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Node<'a> {
    Item(ItemId),
    Wallet(UserId),
    Key(&'a str),
}

/// The facts of `recording`, by the part that they belong to.
pub(super) fn partition(recording: &Recording) -> Vec<Vec<Fact>> {
    let mut groups = Groups::default();
    let mut facts: Vec<(usize, Fact)> = Vec::new();
    for (source, operation) in recording.operations.iter().enumerate() {
        let order = operation.request.order;
        let item = groups.number(Node::Item(order.item_id));
        groups.join(item, Node::Wallet(order.user_id));
        if let Some(key) = &operation.request.key {
            groups.join(item, Node::Key(key));
        }
        facts.push((item, Fact::Operation(source)));
    }
    for item_id in recording.last.stocks.keys() {
        facts.push((groups.number(Node::Item(*item_id)), Fact::Stock(*item_id)));
    }
    for user_id in recording.last.balances.keys() {
        facts.push((
            groups.number(Node::Wallet(*user_id)),
            Fact::Balance(*user_id),
        ));
    }
    let mut parts: BTreeMap<usize, Vec<Fact>> = BTreeMap::new();
    for (node, fact) in facts {
        parts.entry(groups.root(node)).or_default().push(fact);
    }
    parts.into_values().collect()
}

/// Disjoint sets of nodes: each points towards the root of its set.
#[derive(Default)]
struct Groups<'a> {
    numbers: HashMap<Node<'a>, usize>,
    parents: Vec<usize>,
}

impl<'a> Groups<'a> {
    fn number(&mut self, node: Node<'a>) -> usize {
        let next = self.parents.len();
        let number = *self.numbers.entry(node).or_insert(next);
        if number == next {
            self.parents.push(next);
        }
        number
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parents[node] != node {
            // Halves the path for whoever comes next.
            self.parents[node] = self.parents[self.parents[node]];
            node = self.parents[node];
        }
        node
    }

    fn join(&mut self, one: usize, other: Node<'a>) {
        let other = self.number(other);
        let (one, other) = (self.root(one), self.root(other));
        self.parents[one.max(other)] = one.min(other);
    }
}

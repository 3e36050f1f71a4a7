//! The definition of linearizability, word for word and as slow as that: every permutation of
//! the certain operations with every choice of unknown ones, run on the model.

use std::collections::BTreeMap;

use purchase_service::order::PurchaseId;
use rowlock_shop::history::{Completion, Operation};
use rowlock_shop::linearizability::{Fact, LastRows, Recording};
use rowlock_shop::model::{self, State};
use rowlock_shop::rows::Shop;

/// Whether the operation must be in every order.
pub(crate) fn is_certain(operation: &Operation) -> bool {
    match &operation.completion {
        Completion::Ok(_) => true,
        Completion::Fail(told) => model::observed(told).is_some(),
        Completion::Info(_) => false,
    }
}

fn did_nothing(operation: &Operation) -> bool {
    !is_certain(operation) && !operation.may_have_happened()
}

/// Whether `first` was over before `second` began.
fn precedes(first: &Operation, second: &Operation) -> bool {
    is_certain(first) && first.completed_ns < second.invoked_ns
}

pub(crate) fn is_linearizable(recording: &Recording) -> bool {
    let operations = recording
        .operations
        .iter()
        .filter(|operation| !did_nothing(operation));
    let start = Run {
        state: model::init(&recording.initial),
        ids: Ids::default(),
    };
    extend(&start, &operations.collect::<Vec<_>>(), &recording.last)
}

fn extend(run: &Run, left: &[&Operation], last: &LastRows) -> bool {
    if !left.iter().any(|operation| is_certain(operation)) && ends_with(&run.state.shop, last) {
        return true;
    }
    (0..left.len()).any(|index| {
        let mut rest = left.to_vec();
        let next = rest.remove(index);
        !rest.iter().any(|other| precedes(other, next))
            && run.then(next).is_some_and(|run| extend(&run, &rest, last))
    })
}

pub(crate) fn ends_with(shop: &Shop, last: &LastRows) -> bool {
    let stock = |id| shop.items.get(id).map(|item| item.stock);
    last.stocks
        .iter()
        .all(|(id, held)| stock(id) == Some(*held))
        && last
            .balances
            .iter()
            .all(|(id, held)| shop.wallets.get(id) == Some(held))
}

#[derive(Clone)]
struct Run {
    state: State,
    ids: Ids,
}

/// Which purchase, counted in order, has which id, as far as receipts state it.
#[derive(Clone, Default)]
struct Ids {
    purchases: usize,
    by_key: BTreeMap<String, usize>,
    known: BTreeMap<usize, PurchaseId>,
}

impl Run {
    fn then(&self, operation: &Operation) -> Option<Run> {
        let request = &operation.request;
        let (state, answer) = model::step(&self.state, request);
        if !model::agrees(&answer, &operation.completion) {
            return None;
        }
        let mut ids = self.ids.clone();
        if answer.is_ok() {
            let number = ids.number(request.key.as_deref());
            if let Completion::Ok(receipt) = &operation.completion {
                ids.learn(number, receipt.purchase_id)?;
            }
        }
        Some(Run { state, ids })
    }
}

impl Ids {
    fn number(&mut self, key: Option<&str>) -> usize {
        if let Some(first) = key.and_then(|key| self.by_key.get(key)) {
            return *first;
        }
        self.purchases += 1;
        if let Some(key) = key {
            self.by_key.insert(key.to_owned(), self.purchases);
        }
        self.purchases
    }

    fn learn(&mut self, number: usize, stated: Option<PurchaseId>) -> Option<()> {
        let Some(stated) = stated else {
            return Some(());
        };
        let owner = self.known.iter().find(|(_, id)| **id == stated);
        if owner.is_some_and(|(owner, _)| *owner != number) {
            return None;
        }
        (*self.known.entry(number).or_insert(stated) == stated).then_some(())
    }
}

/// Whether the model confirms an order that a check found.
pub(crate) fn confirms(recording: &Recording, order: &[usize]) -> bool {
    let operation = |index: &usize| &recording.operations[*index];
    let is_whole = (0..recording.operations.len())
        .all(|index| !is_certain(operation(&index)) || order.contains(&index));
    let respects_time = order.iter().enumerate().all(|(place, index)| {
        let later = order[place + 1..].iter();
        later
            .into_iter()
            .all(|later| !precedes(operation(later), operation(index)))
    });
    let mut state = model::init(&recording.initial);
    let is_right = order.iter().all(|index| {
        let answer = state.advance(&operation(index).request);
        model::agrees(&answer, &operation(index).completion)
    });
    is_whole && respects_time && is_right && ends_with(&state.shop, &recording.last)
}

/// The recording with only `facts` known.
pub(crate) fn reduce(recording: &Recording, facts: &[Fact]) -> Recording {
    let mut reduced = recording.clone();
    let mut index = 0;
    reduced.operations.retain_mut(|operation| {
        let is_known = facts.contains(&Fact::Operation(index));
        index += 1;
        if !is_known && operation.is_ok() {
            operation.completion = Completion::Info(rowlock_core::answer::Unknown::HungUp);
        }
        is_known || operation.may_have_happened()
    });
    reduced
        .last
        .stocks
        .retain(|id, _| facts.contains(&Fact::Stock(*id)));
    reduced
        .last
        .balances
        .retain(|id, _| facts.contains(&Fact::Balance(*id)));
    reduced
}

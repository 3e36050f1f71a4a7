//! The final rows: whether unknown purchases can explain what is still missing.
//!
//! Every certain operation is ordered here, so that only sums matter: which of the unknown ones
//! happened, at most one under each key. In what order is all the same, for whatever fits in
//! the end fits on the way.

use super::budget::{Budget, Spent};
use super::fit::State;
use super::part::{Op, Part};
use super::position::Position;

/// The unknown operations that bring `position` to the final rows; `None` if none do.
pub(super) fn reach(
    part: &Part,
    position: &Position<'_>,
    budget: &mut Budget,
) -> Result<Option<Vec<usize>>, Spent> {
    let is_left = |op: &usize| !part.ops[*op].is_certain() && !position.is_done(*op);
    let mut unknown: Vec<_> = (0..part.ops.len()).filter(is_left).collect();
    budget.spend(unknown.len() as u64)?;
    // A wallet's purchases stand together, so that its balance is judged as soon as it can be.
    unknown.sort_by_key(|op| alike(&part.ops[*op]));
    let mut choice = Choice {
        part,
        state: position.state.clone(),
        units_to_come: vec![0; part.items.len()],
        cost_to_come: vec![0; part.wallets.len()],
        unknown,
        next: 0,
        chosen: Vec::new(),
    };
    choice.start();
    choice.complete(budget)
}

/// What makes two unknown purchases the same here.
fn alike(op: &Op) -> (usize, usize, Option<usize>) {
    (op.user, op.item, op.key)
}

/// A choice among unknown purchases, made for one after another.
struct Choice<'a> {
    part: &'a Part,
    state: State,
    unknown: Vec<usize>,
    /// The first that is not decided.
    next: usize,
    /// The places of those that happened.
    chosen: Vec<usize>,
    /// Undecided purchases of each item.
    units_to_come: Vec<i64>,
    /// What the undecided purchases of each wallet cost.
    cost_to_come: Vec<i128>,
}

impl Choice<'_> {
    fn start(&mut self) {
        for place in 0..self.unknown.len() {
            self.count(place, 1);
        }
    }

    fn count(&mut self, place: usize, sign: i8) {
        let op = &self.part.ops[self.unknown[place]];
        self.units_to_come[op.item] += i64::from(sign);
        self.cost_to_come[op.user] += i128::from(sign) * i128::from(self.part.price(op));
    }

    fn complete(mut self, budget: &mut Budget) -> Result<Option<Vec<usize>>, Spent> {
        let is_checked = (self.part.items.iter().any(|goods| goods.floor.is_some()))
            || self.part.wallets.iter().any(|purse| purse.floor.is_some());
        let in_reach = (0..self.part.items.len()).all(|item| self.stock_is_in_reach(item))
            && (0..self.part.wallets.len()).all(|user| self.balance_is_in_reach(user));
        if !in_reach {
            return Ok(None);
        }
        while is_checked && self.next < self.unknown.len() {
            budget.spend(1)?;
            let op = &self.part.ops[self.unknown[self.next]];
            let decided = match self.state.can_buy(self.part, op) {
                true => {
                    self.state.buy(self.part, op);
                    self.chosen.push(self.next);
                    self.next + 1
                }
                false => self.after_alike(self.next),
            };
            if !self.decide_to(decided) && !self.change_last(budget)? {
                return Ok(None);
            }
        }
        let chosen = self.chosen.into_iter();
        Ok(Some(chosen.map(|place| self.unknown[place]).collect()))
    }

    /// Takes the last purchase back, and again, until the rest may be right; false if it
    /// never can. What it spends is about what it costs, no more exactly.
    fn change_last(&mut self, budget: &mut Budget) -> Result<bool, Spent> {
        while let Some(place) = self.chosen.pop() {
            budget.spend((self.next - place) as u64)?;
            self.state
                .give_back(self.part, &self.part.ops[self.unknown[place]]);
            (place..self.next).for_each(|place| self.count(place, 1));
            self.next = place;
            // Without this one, its like would be the same choice again.
            if self.decide_to(self.after_alike(place)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves everything up to `decided` as it is; false if the final rows are out of reach.
    fn decide_to(&mut self, decided: usize) -> bool {
        let places = self.next..decided;
        self.next = decided;
        places.clone().for_each(|place| self.count(place, -1));
        places.into_iter().all(|place| {
            let op = &self.part.ops[self.unknown[place]];
            self.stock_is_in_reach(op.item) && self.balance_is_in_reach(op.user)
        })
    }

    fn after_alike(&self, place: usize) -> usize {
        let like = |place: &usize| alike(&self.part.ops[self.unknown[*place]]);
        let first = like(&place);
        (place..self.unknown.len())
            .find(|place| like(place) != first)
            .unwrap_or(self.unknown.len())
    }

    fn stock_is_in_reach(&self, item: usize) -> bool {
        let goods = &self.part.items[item];
        goods.floor.is_none_or(|floor| {
            let stock = self.state.stock[item];
            goods.row.is_some() && floor <= stock && stock - self.units_to_come[item] <= floor
        })
    }

    fn balance_is_in_reach(&self, user: usize) -> bool {
        let purse = &self.part.wallets[user];
        purse.floor.is_none_or(|floor| {
            let balance = self.state.balance[user];
            let least = i128::from(balance) - self.cost_to_come[user];
            purse.balance.is_some() && floor <= balance && least <= i128::from(floor)
        })
    }
}

//! The search for an order of one part: Wing and Gong's, with Lowe's memory, and five rules
//! that leave little to search.
//!
//! An order is built from its front. Only an *open* operation can come next: one that did not
//! begin after the end of another that is still to come. A position is what has been ordered;
//! from positions with the same operations and the same receipts under keys the same can follow,
//! so that each is entered once. An operation of unknown outcome is ordered where it buys, or
//! not at all: where it would be refused it changes nothing, which is not to have happened.
//!
//! A *completion* of a position is an order of all certain operations, and of any unknown ones,
//! that is right from there on. Each rule keeps this: if the position has a completion, then one
//! is left after the rule. So whatever they skip, they never turn a linearizable history into
//! one that is not, and a completion that is found is one. All of them live on one property of
//! the shop: **stock and balances only fall, a used key stays used, and prices stay.**
//!
//! **1. What changes nothing goes first.** Let `o` be open and right now, a refusal or the repeat
//! of a purchase. Move `o` to the front of a completion: it is open, so nothing had to precede
//! it; it changes no state, so all others run as before; and it is right now.
//!
//! **2. A purchase that nobody can notice goes first.** Let `x` be open, certain and right now,
//! and buy; in a completion, `Y` comes before `x`. Move `x` before `Y`. Every purchase in `Y`
//! still finds stock and balance, since in the completion they sufficed for it and later for
//! `x`. `out_of_stock` for this item is not in `Y`, for `x` bought later. What could notice:
//! - a refusal in `Y` that says that the item was *in stock* (a poor or unknown buyer), if `x`
//!   now takes the last unit before it. So: no such refusal is to come; or the stock exceeds all
//!   purchases to come; or each such refusal that did not begin after the end of `x` is over
//!   before another certain purchase begins, which leaves a unit for that one, too.
//! - a receipt in `Y` of the same wallet that states the balance left. So: the item is free, or
//!   no other receipt of the wallet to come states one; or `x` itself states it, and is right
//!   now: then no purchase that costs anything is in `Y`, or `x` would not be right after it,
//!   and for receipts of free items it is required that none is to come. (`insufficient_balance`
//!   stays right when there is even less, and so does a refusal that tells no reason.)
//! - an operation with the same key. So: each to come may be unknown (if it bought in `Y`, then
//!   `x` buys in its place, and it has not happened), or claims the same as `x` (the two change
//!   roles), or says that the key is used, which is right even sooner. A refusal that tells no
//!   reason may mean that, too; where it asks for the same as `x`, it was right for another
//!   reason, and then `x` could not have bought after it.
//!
//! **3. Of operations that can trade places, the one due first goes first.** Two open purchases
//! with the same request and the same claim, or two for the same item from wallets that nothing
//! else to come looks at. If a completion has the one due later first, swap them: the effects
//! that anything can notice are the same, and the one moved back stays before its deadline,
//! since it takes the place of one that was due sooner. Unknown ones are never due. (A wallet
//! with unknown purchases only counts as not looked at if it can pay for all of them and its
//! final balance is unchecked, or checked and such that all of them happened. Unknown purchases
//! of a free item trade places whatever their wallets are for: they do nothing to them.)
//!
//! **4. An unknown purchase waits until it is wanted.** In a completion, let `a` be the last
//! unknown one before the first certain operation `z` that `z` does not want; move it behind `z`.
//! It is never due, so it may. `z` sees more stock and more balance, which only these can
//! notice, and they are what *wants* `a`: `out_of_stock` for its item; `insufficient_balance`
//! for its wallet; a refusal that tells no reason for either; a receipt of its wallet that states
//! a balance still too low; anything with its key. (Other receipts of its wallet that state a balance are right now, so that no `a`
//! that costs anything comes before them.) What `a` passes on its way commutes with it, unless
//! a receipt under a shared key tells later when a purchase of the wallet was made: all of such
//! a *delicate* wallet are always wanted. Repeat until only wanted ones are left before `z`,
//! which is open: so it suffices to try those that an open operation wants. Behind the last
//! certain operation only final rows want anything (`ending`).
//!
//! **5. An unknown purchase leaves what is promised.** Each acknowledgement to come that means a
//! purchase of its own takes a unit and its price, and a receipt without a key that states a
//! balance finds, whatever is bought before, no more than there is now. An unknown purchase
//! after which there were not enough for these is in no completion.
//!
//! **What this comes to where thousands of buyers want one item**, each with a wallet of its own
//! and one request: rule 2 orders every acknowledged purchase as soon as it opens, rule 1 every
//! refusal once the stock is gone, and what is left, unknown purchases that must have taken the
//! rest of the stock, is one class under rule 3. There is never more than one choice, so the
//! search does not branch: it takes a number of steps that grows with the number of operations
//! times that of open ones, and its answer is exact either way. The same holds with poor buyers
//! among them, as long as they meet stock in abundance.

use std::collections::HashSet;

use super::budget::{Budget, Spent};
use super::ending;
use super::part::Part;
use super::position::{Position, Settled};

/// What the search found of a part.
#[derive(Debug)]
pub(super) enum Found {
    /// An order, as indices into the part's operations.
    Order(Vec<usize>),
    /// There is none. Where the longest attempt stuck.
    Nothing(Stuck),
    /// The budget was spent before either was known.
    GaveUp,
}

/// An attempt at an order that could not go on.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    /// What it had ordered.
    pub(super) order: Vec<usize>,
    /// The certain operation that could not follow; none where final rows could not be reached.
    pub(super) next: Option<usize>,
}

/// Looks for an order of `part`.
pub(super) fn search(part: &Part, budget: &mut Budget) -> Found {
    match attempt(part, budget) {
        Ok(found) => found,
        Err(Spent) => Found::GaveUp,
    }
}

fn attempt(part: &Part, budget: &mut Budget) -> Result<Found, Spent> {
    let mut position = Position::new(part);
    let mut entered = HashSet::new();
    let mut branches: Vec<(usize, Vec<usize>)> = Vec::new();
    // For the sentence that explains a contradiction, and nothing else.
    let mut longest: Option<(usize, Stuck)> = None;
    loop {
        let settled = settle(&mut position, budget)?;
        let mut choices = Vec::new();
        match settled {
            Settled::All => {
                if let Some(rest) = ending::reach(part, &position, budget)? {
                    return Ok(Found::Order(position.order().chain(rest).collect()));
                }
            }
            Settled::Choice if entered.insert(position.signature()) => {
                // About what the look costs; no verdict depends on it.
                budget.spend(position.width() as u64 + part.ops.len() as u64 / 64)?;
                choices = position.choices();
            }
            Settled::Choice | Settled::Never(_) => {}
        }
        if let Some(choice) = choices.pop() {
            if !choices.is_empty() {
                branches.push((position.depth(), choices));
            }
            position.take(choice);
            continue;
        }
        if longest
            .as_ref()
            .is_none_or(|(depth, _)| *depth < position.depth())
        {
            longest = Some((position.depth(), stuck(&position, settled)));
        }
        let Some((depth, choices)) = branches.last_mut() else {
            return Ok(Found::Nothing(
                longest.map(|(_, stuck)| stuck).unwrap_or_default(),
            ));
        };
        budget.spend(part.ops.len() as u64)?;
        position.back_to(*depth);
        if let Some(choice) = choices.pop() {
            position.take(choice);
        }
        if choices.is_empty() {
            branches.pop();
        }
    }
}

fn settle(position: &mut Position<'_>, budget: &mut Budget) -> Result<Settled, Spent> {
    let mut spent = 0;
    let settled = position.settle(&mut spent);
    budget.spend(spent)?;
    Ok(settled)
}

fn stuck(position: &Position<'_>, settled: Settled) -> Stuck {
    let next = match settled {
        Settled::All => None,
        Settled::Choice => position.first_due(),
        Settled::Never(op) => Some(op),
    };
    Stuck {
        order: position.order().collect(),
        next,
    }
}

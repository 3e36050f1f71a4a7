//! Programs that nobody wrote: rows at the edges, and a few requests.
//!
//! Most bugs show where something is just enough or just short of it: no unit, one or two; the money for
//! none of a user's purchases, for one, for all but one, for all of them.

use purchase_service::order::{Money, UserId};
use rand::{Rng, RngExt};

use crate::history::Request;
use crate::program::{PRICE, Program};
use crate::rows::Shop;

/// What every such program is called.
pub const NAME: &str = "generated";

/// Draws a program. Requests with one key are the same purchase.
pub fn draw(rng: &mut impl Rng) -> Program {
    let requests = rng.random_range(2..=4);
    let users = rng.random_range(1..=requests);
    let items = rng.random_range(1..=2);
    let requests: Vec<_> = (0..requests)
        .map(|_| {
            let (user, item) = (rng.random_range(1..=users), rng.random_range(1..=items));
            let request = Request::new(user, item);
            match rng.random_range(0..4) {
                0 => request.with_key(format!("again-{user}-{item}")),
                _ => request,
            }
        })
        .collect();
    let mut initial = Shop::default();
    for request in &requests {
        let (user, item) = (request.order.user_id, request.order.item_id);
        if !initial.items.contains_key(&item) {
            initial = initial.item(item.0, PRICE, rng.random_range(0..=2));
        }
        let wallet = initial.wallets.entry(user);
        wallet.or_insert_with(|| Money(money(rng, &requests, user)));
    }
    Program {
        name: NAME.into(),
        initial,
        requests,
    }
}

/// The money for none of the user's purchases, for one, for all but one, or for all.
fn money(rng: &mut impl Rng, requests: &[Request], user: UserId) -> i64 {
    let own = requests.iter().filter(|it| it.order.user_id == user);
    let own = i64::try_from(own.count()).expect("a few requests");
    match rng.random_range(0..4) {
        0 => PRICE - 1,
        1 => PRICE,
        2 => own * PRICE - 1,
        _ => own * PRICE,
    }
}

#[cfg(test)]
mod tests {
    use rowlock_core::program::Program as _;
    use rowlock_core::seed::Seed;

    use super::*;

    #[test]
    fn what_is_drawn_can_be_run_and_is_the_same_for_the_same_seed() {
        let drawn = |seed| draw(&mut Seed(seed).rng("programs"));
        for seed in 0..200 {
            let program = drawn(seed);
            assert_eq!(program, drawn(seed));
            assert_eq!(program.contradiction(), None);
            assert!((2..=4).contains(&program.requests.len()));
            for request in &program.requests {
                assert!(program.initial.items.contains_key(&request.order.item_id));
                assert!(program.initial.wallets.contains_key(&request.order.user_id));
            }
        }
        assert!((0..200).any(|seed| drawn(seed).repeats_keys()));
    }
}

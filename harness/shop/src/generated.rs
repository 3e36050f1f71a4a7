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
///
/// Who is there mostly comes again, since what two of one user's purchases do to one another is
/// where money is lost, and mostly for what somebody else wants, too.
pub fn draw(rng: &mut impl Rng) -> Program {
    let mut requests: Vec<Request> = Vec::new();
    let (mut users, mut items) = (0, 0);
    for _ in 0..*of(rng, &[2, 3, 3, 4]) {
        let user = again_or_new(rng, &mut users);
        let item = again_or_new(rng, &mut items).min(MOST_ITEMS);
        let request = Request::new(user, item);
        requests.push(match rng.random_range(0..4) {
            0 => request.with_key(format!("again-{user}-{item}")),
            _ => request,
        });
    }
    let mut initial = Shop::default();
    for request in &requests {
        let (user, item) = (request.order.user_id, request.order.item_id);
        if !initial.items.contains_key(&item) {
            initial = initial.item(item.0, PRICE, *of(rng, &[0, 1, 1, 1, 2, 2]));
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

/// Items beyond which no more are drawn.
const MOST_ITEMS: i64 = 2;

/// One of `known`, which are numbered from 1, or, as often as not, one more.
fn again_or_new(rng: &mut impl Rng, known: &mut i64) -> i64 {
    if *known == 0 || rng.random_range(0..2) == 0 {
        *known += 1;
        return *known;
    }
    rng.random_range(1..=*known)
}

fn of<'a, T>(rng: &mut impl Rng, values: &'a [T]) -> &'a T {
    &values[rng.random_range(0..values.len())]
}

/// The money for none of the user's purchases, for one, for all but one, or for all; mostly for one.
fn money(rng: &mut impl Rng, requests: &[Request], user: UserId) -> i64 {
    let own = requests.iter().filter(|it| it.order.user_id == user);
    let own = i64::try_from(own.count()).expect("a few requests");
    *of(
        rng,
        &[PRICE - 1, PRICE, PRICE, own * PRICE - 1, own * PRICE],
    )
}

#[cfg(test)]
mod tests {
    use purchase_service::order::Order;
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

    /// A user with the money for one who wants two things, and somebody else who wants the last unit
    /// of one of them.
    fn has_a_third_who_takes_the_last_unit(program: &Program) -> bool {
        let Program {
            initial, requests, ..
        } = program;
        let is_short = |user| (PRICE..2 * PRICE).contains(&initial.wallets[&user].0);
        requests.iter().enumerate().any(|(at, one)| {
            let (user, item) = (one.order.user_id, one.order.item_id);
            let mut others = requests[..at].iter().chain(&requests[at + 1..]);
            let mut rivals = others.clone();
            initial.items[&item].stock == 1
                && is_short(user)
                && others.any(|it| {
                    it.order.user_id == user && initial.items[&it.order.item_id].stock > 0
                })
                && rivals.any(|it| {
                    let Order { user_id, item_id } = it.order;
                    item_id == item && user_id != user && initial.wallets[&user_id].0 >= PRICE
                })
        })
    }

    #[test]
    fn one_in_twenty_has_a_third_who_takes_the_last_unit_from_a_user_who_wants_two() {
        const DRAWN: usize = 2_000;
        let mut rng = Seed(7).rng("programs");
        let programs = (0..DRAWN).map(|_| draw(&mut rng));
        let such = programs.filter(has_a_third_who_takes_the_last_unit);
        let such = such.count();
        println!("{such} of {DRAWN}");
        assert!(such * 20 >= DRAWN, "{such} of {DRAWN}");
    }
}

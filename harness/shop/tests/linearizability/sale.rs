//! Large histories: everybody wants the one item, each with a wallet of its own.
//!
//! No chance is involved. Buyers are let go one after another in no time, and served in an order
//! that has nothing to do with that one.

use rowlock_core::answer::Unknown;
use rowlock_shop::history::{Completion, Operation, Receipt, Refusal, Request};
use rowlock_shop::linearizability::{LastRows, Recording};
use rowlock_shop::model::{self, Observed, observed};
use rowlock_shop::rows::Shop;

const PRICE: i64 = 1_000;

/// Between two buyers' invocations, in ns.
const RELEASE_NS: u64 = 20;

/// Between two buyers served, in ns.
const SERVE_NS: u64 = 300_000;

/// `buyers` for `stock` units; of each `lost_of` answers one is lost, if that is not 0.
pub(crate) fn sale(buyers: usize, stock: i64, lost_of: usize) -> Recording {
    let ids = 1..=i64::try_from(buyers).expect("a count of buyers");
    let shop = Shop::default().item(1, PRICE, stock);
    let shop = ids.fold(shop, |shop, id| shop.wallet(id, 2 * PRICE));
    let mut state = model::init(&shop);
    let mut operations = Vec::new();
    for place in 0..buyers {
        // A prime that does not divide the number of buyers visits each of them.
        let buyer = place * 7_919 % buyers;
        let request = Request::new(i64::try_from(buyer + 1).expect("a count of buyers"), 1);
        let completion = match state.advance(&request) {
            _ if lost_of > 0 && place % lost_of == lost_of / 2 => {
                Completion::Info(Unknown::ConnectionLost)
            }
            Ok(bought) => Completion::Ok(Receipt {
                purchase_id: None,
                price: Some(bought.price),
                balance_left: Some(bought.balance_left),
            }),
            Err(refusal) => {
                let told = Refusal::OutOfStock;
                assert_eq!(observed(&told), Some(Observed::For(refusal)));
                Completion::Fail(told)
            }
        };
        let invoked_ns = RELEASE_NS * buyer as u64;
        operations.push(Operation {
            request,
            intended_ns: invoked_ns,
            invoked_ns,
            completed_ns: RELEASE_NS * buyers as u64 + SERVE_NS * (place as u64 + 1),
            status: None,
            completion,
        });
    }
    Recording {
        last: LastRows::from(&state.shop),
        initial: shop,
        operations,
    }
}

/// The same sale, one buyer at a time.
pub(crate) fn one_by_one(mut recording: Recording) -> Recording {
    for operation in &mut recording.operations {
        operation.invoked_ns = operation.completed_ns - SERVE_NS / 2;
    }
    recording
}

/// The same sale, with one who was sent away before so many could have bought.
pub(crate) fn refused_too_early(mut recording: Recording) -> Recording {
    let refused = recording.operations.iter_mut();
    let mut refused = refused.filter(|operation| operation.is_refused(&Refusal::OutOfStock));
    let operation = refused.next().expect("a sale that sells out");
    (operation.invoked_ns, operation.completed_ns) = (0, 2 * RELEASE_NS);
    recording
}

/// The same sale, with one receipt for somebody who was refused.
pub(crate) fn oversold(mut recording: Recording) -> Recording {
    let refused = recording.operations.iter_mut();
    let mut refused = refused.filter(|operation| operation.is_refused(&Refusal::OutOfStock));
    let operation = refused.next().expect("a sale that sells out");
    operation.completion = Completion::Ok(Receipt::default());
    recording
}

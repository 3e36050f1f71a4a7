//! How the orders that could explain a run are tried, and what is said where none does.

use std::cmp::Reverse;

use crate::answer::Ending;

use super::super::difference::{AnswerDifference, Nearest, compare};
use super::super::digest::Digest;
use super::super::explanation::{Explained, Explanation, UnexplainedRefusal};
use super::super::order::{CallIndex, Order};
use super::super::run::{Concurrent, SerialRun, Told};
use super::{Compared, Oracle};

impl Oracle {
    /// Those of `orders` whose runs are not known.
    fn missing(&self, orders: &[&Order]) -> Vec<Order> {
        let orders = orders.iter().copied();
        orders
            .filter(|order| !self.known.contains_key(*order) && !self.ruled_out.contains(*order))
            .cloned()
            .collect()
    }

    /// Whether serial orders explain `run`.
    pub fn explain(&self, run: &Concurrent) -> Explanation {
        let digest = Digest::of(&run.rows, &self.mask);
        let admitted: Vec<_> = self.orders.iter().filter(|it| run.admits(it)).collect();
        if let Some(explained) = self.explained(run, &digest, &admitted) {
            return Explanation::Explained(explained);
        }
        let missing = self.missing(&admitted);
        if !missing.is_empty() {
            return Explanation::Missing(missing);
        }
        let orders = self.orders.iter();
        let candidates: Vec<_> = orders
            .filter(|it| run.admits_without_refusals(it))
            .collect();
        let missing = self.missing(&candidates);
        if !missing.is_empty() {
            return Explanation::Missing(missing);
        }
        match self.unexplained_refusal(run, &digest, &candidates) {
            Some(refusal) => Explanation::UnexplainedRefusal(refusal),
            None => match self.nearest(run, &digest, &admitted) {
                Some(nearest) => Explanation::Unexplained(nearest),
                None => Explanation::Missing(vec![Order::default()]),
            },
        }
    }

    /// The same for a run in which something broke `broken` on purpose: a refusal of this call may
    /// be the fault's, and needs no serial order that refuses it, but nothing may have happened.
    pub fn atomicity(&self, run: &Concurrent, broken: CallIndex) -> Explanation {
        let explanation = self.explain(run);
        let is_refused = |told: &Told| told.ending == Ending::Refused;
        if !matches!(explanation, Explanation::UnexplainedRefusal(_))
            || !run.told.get(&broken).is_some_and(is_refused)
        {
            return explanation;
        }
        let mut gave_way = run.clone();
        if let Some(told) = gave_way.told.get_mut(&broken) {
            told.ending = Ending::GaveWay;
        }
        match self.explain(&gave_way) {
            Explanation::Explained(explained) => Explanation::Explained(Explained {
                needlessly_gave_way: 0,
                ..explained
            }),
            _ => explanation,
        }
    }

    fn explained(
        &self,
        run: &Concurrent,
        digest: &Digest,
        admitted: &[&Order],
    ) -> Option<Explained> {
        let fitting = admitted
            .iter()
            .filter(|order| self.fits(run, digest, order));
        let best = fitting.min_by_key(|order| {
            let bodies = self.other_bodies(run, order).len();
            (bodies, Reverse(order.0.len()), **order)
        })?;
        let left_out = run.left_out(best);
        Some(Explained {
            order: (*best).clone(),
            other_bodies: self.other_bodies(run, best),
            needlessly_gave_way: self.count_needless(run, best, &left_out),
            left_out,
        })
    }

    /// Whether rows and completions of `order` are the run's.
    fn fits(&self, run: &Concurrent, digest: &Digest, order: &Order) -> bool {
        let Some(known) = self.known.get(order) else {
            return false;
        };
        known.digest == *digest && self.other_answers(run, &known.run).next().is_none()
    }

    /// The calls of a serial run that the concurrent one told something else.
    fn other_answers<'a>(
        &'a self,
        run: &'a Concurrent,
        serial: &'a SerialRun,
    ) -> impl Iterator<Item = AnswerDifference> + 'a {
        let told = serial.order.0.iter().zip(&serial.told);
        told.filter_map(|(call, serial)| {
            let run = run.told.get(call)?;
            (!self.agrees(*call, run, serial)).then(|| AnswerDifference {
                call: *call,
                serial: serial.clone(),
                run: run.clone(),
            })
        })
    }

    fn agrees(&self, call: CallIndex, run: &Told, serial: &Told) -> bool {
        run.ends_like(serial)
            && (matches!(run.ending, Ending::Unknown(_))
                || self.mask.same_reason(call, run, serial))
            && (self.compared == Compared::Endings || self.mask.same_body(call, run, serial))
    }

    fn other_bodies(&self, run: &Concurrent, order: &Order) -> Vec<CallIndex> {
        let Some(serial) = self.run(order) else {
            return Vec::new();
        };
        let told = order.0.iter().zip(&serial.told);
        let others = told.filter(|(call, serial)| {
            let run = run.told.get(call);
            run.is_some_and(|run| !self.mask.same_body(**call, run, serial))
        });
        others.map(|(call, _)| *call).collect()
    }

    /// How many of the calls left out gave way, where a known order of the same calls and this one
    /// tells the others the same and serves it.
    fn count_needless(&self, run: &Concurrent, order: &Order, left_out: &[CallIndex]) -> usize {
        let gave_way = left_out
            .iter()
            .filter(|call| run.told[*call].ending == Ending::GaveWay);
        let is_served =
            |call: &CallIndex| {
                self.known.values().any(|known| {
                    let calls = &known.run.order;
                    calls.0.len() == order.0.len() + 1
                        && order.0.iter().all(|it| calls.contains(*it))
                        && calls.0.iter().zip(&known.run.told).all(|(it, serial)| {
                            match it == call {
                                true => serial.ending == Ending::Ok,
                                false => run
                                    .told
                                    .get(it)
                                    .is_some_and(|run| self.agrees(*it, run, serial)),
                            }
                        })
                })
            };
        gave_way.filter(|call| is_served(call)).count()
    }

    fn unexplained_refusal(
        &self,
        run: &Concurrent,
        digest: &Digest,
        candidates: &[&Order],
    ) -> Option<UnexplainedRefusal> {
        let refused = |order: &Order| -> Vec<_> {
            let left_out = run.left_out(order).into_iter();
            let told = left_out.map(|call| (call, run.told[&call].clone()));
            told.filter(|(_, told)| told.ending == Ending::Refused)
                .collect()
        };
        let fitting = candidates
            .iter()
            .filter(|order| self.fits(run, digest, order));
        let best =
            fitting.min_by_key(|order| (refused(order).len(), Reverse(order.0.len()), **order))?;
        let refused = refused(best);
        let (first, _) = refused.first()?;
        let mut instead: Vec<_> = self
            .known
            .values()
            .filter(|known| run.admits(&known.run.order))
            .filter_map(|known| {
                let place = known.run.order.0.iter().position(|call| call == first)?;
                Some(known.run.told[place].reply.clone())
            })
            .collect();
        instead.sort_unstable();
        instead.dedup();
        Some(UnexplainedRefusal {
            order: (*best).clone(),
            refused,
            instead,
        })
    }

    /// The order with the fewest differences; of equally near ones, the one that leaves out the
    /// fewest calls, and then the first. Where each order that could explain the run was ruled out,
    /// the nearest of all; none where no run is known.
    fn nearest(&self, run: &Concurrent, digest: &Digest, admitted: &[&Order]) -> Option<Nearest> {
        let known = admitted.iter().filter_map(|order| self.known.get(*order));
        let mut known: Vec<_> = known.collect();
        if known.is_empty() {
            known = self.known.values().collect();
        }
        let compared = known.into_iter().map(|known| {
            let (serial, order) = (&known.run, &known.run.order);
            let names = known.digest.differing(digest);
            let (cells, rows) = compare(&serial.rows, &run.rows, &self.mask, &names);
            Nearest {
                order: order.clone(),
                left_out: run.left_out(order),
                answers: self.other_answers(run, serial).collect(),
                cells,
                rows,
            }
        });
        compared.min_by(|one, other| {
            let key = |it: &Nearest| (it.distance(), it.left_out.len());
            key(one)
                .cmp(&key(other))
                .then_with(|| one.order.cmp(&other.order))
        })
    }
}

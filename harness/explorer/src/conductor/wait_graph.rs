//! Who waits for whom: the requests whose delivered steps wait for locks of other requests'.
//!
//! PostgreSQL says it (`pg_blocking_pids`); here it is remembered from one question to the next,
//! so that what changed shows. Locks that no request has are not in it.

use std::collections::BTreeMap;

use crate::schedule::RequestIndex;

/// Who waits for whom.
#[derive(Debug, Default)]
pub(super) struct WaitGraph {
    /// Whom each waiting request was last seen to wait for.
    blockers: BTreeMap<RequestIndex, Vec<RequestIndex>>,
    /// Those who began to wait, in the order in which they did; also those who wait no more.
    arrivals: Vec<RequestIndex>,
}

/// A request that began to wait later was served before one that waited already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overtaken;

impl WaitGraph {
    /// Takes note that `request` waits for the requests `by`. Says whether that is news. Whose
    /// step on the server `is_answered` has its reply already.
    ///
    /// A request that waited longer must not begin to wait for one that came later.
    pub(super) fn see(
        &mut self,
        request: RequestIndex,
        mut by: Vec<RequestIndex>,
        is_answered: impl Fn(RequestIndex) -> bool,
    ) -> Result<bool, Overtaken> {
        by.sort_unstable();
        by.dedup();
        match self.blockers.get(&request) {
            None => {
                self.arrivals.retain(|other| *other != request);
                self.arrivals.push(request);
            }
            Some(before) => {
                let mut later = self.arrivals.iter().skip_while(|other| **other != request);
                let is_overtaken = later.any(|later| {
                    by.contains(later) && !before.contains(later) && is_answered(*later)
                });
                if is_overtaken {
                    return Err(Overtaken);
                }
            }
        }
        let is_news = self.blockers.get(&request) != Some(&by);
        self.blockers.insert(request, by);
        Ok(is_news)
    }

    /// Whom `request` was last seen to wait for; nothing where it does not wait.
    pub(super) fn blockers(&self, request: RequestIndex) -> Option<&[RequestIndex]> {
        self.blockers.get(&request).map(Vec::as_slice)
    }

    /// `request` waits no more.
    pub(super) fn end(&mut self, request: RequestIndex) {
        self.blockers.remove(&request);
    }

    /// Those who wait for `request`, and those who wait for them, the nearest first.
    pub(super) fn behind(&self, request: RequestIndex) -> Vec<RequestIndex> {
        let mut found = vec![request];
        let mut at = 0;
        while let Some(next) = found.get(at).copied() {
            let waiting = self.blockers.iter().filter(|(_, by)| by.contains(&next));
            let new: Vec<_> = waiting
                .map(|(request, _)| *request)
                .filter(|request| !found.contains(request))
                .collect();
            found.extend(new);
            at += 1;
        }
        found.split_off(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RequestIndex = RequestIndex(0);
    const B: RequestIndex = RequestIndex(1);
    const C: RequestIndex = RequestIndex(2);

    fn graph(waits: &[(RequestIndex, &[RequestIndex])]) -> WaitGraph {
        let mut graph = WaitGraph::default();
        for (request, by) in waits {
            assert_eq!(graph.see(*request, by.to_vec(), |_| false), Ok(true));
        }
        graph
    }

    #[test]
    fn a_wait_is_news_once_and_again_when_it_is_for_others() {
        let mut graph = graph(&[(B, &[A])]);
        assert_eq!(graph.see(B, vec![A, A], |_| false), Ok(false));
        assert_eq!(graph.see(B, vec![C, A], |_| false), Ok(true));
        assert_eq!(graph.blockers(B), Some([A, C].as_slice()));
        graph.end(B);
        assert_eq!(graph.blockers(B), None);
        assert_eq!(graph.see(B, vec![A, C], |_| false), Ok(true));
    }

    #[test]
    fn whoever_waits_for_one_who_waits_is_behind_both() {
        let graph = graph(&[(B, &[A]), (C, &[B])]);
        assert_eq!(graph.behind(A), [B, C]);
        assert_eq!(graph.behind(B), [C]);
        assert_eq!(graph.behind(C), []);
    }

    #[test]
    fn a_circle_of_waits_has_an_end() {
        let graph = graph(&[(A, &[B]), (B, &[A])]);
        assert_eq!(graph.behind(A), [B]);
    }

    #[test]
    fn a_later_waiter_that_was_served_before_an_earlier_one_overtook_it() {
        let is_c = |request| request == C;
        // B came before C, and now waits for C, which has its reply.
        let mut graph = graph(&[(B, &[A]), (C, &[A])]);
        assert_eq!(graph.see(B, vec![C], is_c), Err(Overtaken));
    }

    #[test]
    fn an_earlier_waiter_that_was_served_first_overtook_nobody() {
        let is_b = |request| request == B;
        let mut graph = graph(&[(B, &[A]), (C, &[A])]);
        assert_eq!(graph.see(C, vec![B], is_b), Ok(true));
        // Nor does one that only stands in the same queue.
        assert_eq!(graph.see(B, vec![A, C], |_| false), Ok(true));
    }
}

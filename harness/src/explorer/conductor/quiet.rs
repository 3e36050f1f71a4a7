//! After a delivery: until the server has nothing more to do.
//!
//! The one idea: PostgreSQL alone says who waits for a lock, so it is asked until every delivered
//! step is answered or is said to wait for a request that cannot move by itself.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Failure;
use super::run::Run;
use crate::explorer::cast::Stage;
use crate::explorer::control::{LostControl, Unsettled};
use crate::explorer::footprint::Footprint;
use crate::explorer::monitor::Blockers;
use crate::explorer::schedule::RequestIndex;
use crate::explorer::transcript::Event;
use crate::proxy::{Reply, TransactionState};

impl<A: Send + 'static> Run<'_, A> {
    /// Waits until every delivered step is answered or waits for a lock.
    pub(super) async fn wait_for_quiet(&mut self) -> Result<(), Failure> {
        /// How long a reply may take before PostgreSQL is asked; tokio's clock knows no less.
        const SHORT: Duration = Duration::from_millis(1);
        /// The longest pause between two questions.
        const LONGEST: Duration = Duration::from_millis(20);
        let deadline = Instant::now() + self.conductor.bounds.patience;
        let mut pause = Duration::ZERO;
        let mut last: Option<Blockers> = None;
        let has_vanished = !self.vanishing.is_empty();
        for pid in std::mem::take(&mut self.vanishing) {
            if !self.conductor.monitor.wait_for_end(pid).await? {
                return Err(LostControl::OutlivedItsClient(pid).into());
            }
        }
        let fresh = self.fresh();
        // Nobody is in its way: give it the time of a round trip.
        if !self.may_wait(&fresh) {
            while fresh
                .iter()
                .any(|request| !self.replies.contains_key(request))
            {
                match timeout(SHORT, self.conductor.signals.recv()).await {
                    Ok(Some(signal)) => self.take(signal)?,
                    _ => break,
                }
            }
            // Whoever waits goes on waiting if nothing was released.
            if !has_vanished && self.have_kept_their_locks(&fresh) {
                return Ok(());
            }
        }
        loop {
            self.drain()?;
            let unanswered = self.unanswered();
            if unanswered.is_empty() {
                return Ok(());
            }
            let pids: Vec<_> = unanswered.iter().map(|(_, pid)| *pid).collect();
            let began = Instant::now();
            let blockers = self.conductor.monitor.blockers(&pids).await?;
            self.conductor.spent.polls += began.elapsed();
            let answered = self.drain()?;
            if !answered && self.is_at_rest(&pids, &blockers) {
                // Of several who wait, one may still have moved while the next was asked about.
                if pids.len() == 1 || last.as_ref() == Some(&blockers) {
                    return self.note_waits(&unanswered, &blockers);
                }
                last = Some(blockers);
                continue;
            }
            last = None;
            if Instant::now() > deadline {
                return Err(self.unsettled(&unanswered, &blockers).into());
            }
            if answered {
                pause = Duration::ZERO;
            } else if pause.is_zero() {
                // Ask a few times at once: a lock shows within two or three questions.
                pause = Duration::from_micros(1);
            } else if pause < SHORT {
                pause *= 4;
            } else {
                if let Ok(Some(signal)) = timeout(pause, self.conductor.signals.recv()).await {
                    self.take(signal)?;
                }
                pause = LONGEST.min(pause * 2);
            }
        }
    }

    /// Delivers steps that are to be on the server at once.
    ///
    /// A statement takes a fraction of a millisecond, and whether two of them meet would be luck.
    /// So the harness holds the rows when they arrive: a statement that wants to lock one waits
    /// for it, with its snapshot taken, and all go on together. One that locks no row overlaps
    /// with the others if it happens to. Where a lock could do more than make a statement wait
    /// (SKIP LOCKED, NOWAIT, whatever a function does) nothing is held, and never for long: nobody
    /// is to be accused of what the harness's own locks did.
    pub(super) async fn deliver_together(
        &mut self,
        requests: &[RequestIndex],
    ) -> Result<(), Failure> {
        let is_patient = |request: &RequestIndex| match &self.conductor.cast.actors[request.0].stage
        {
            Stage::Held(step) => self.conductor.footprints.only_waits_for_rows(step),
            _ => false,
        };
        let is_held = requests.iter().all(is_patient);
        if is_held {
            self.conductor.monitor.hold_rows().await?;
        }
        for request in requests {
            self.deliver(*request);
        }
        if is_held {
            let met = self.wait_for_arrival(requests).await;
            self.conductor.monitor.let_rows_go().await?;
            met?;
        }
        self.wait_for_quiet().await
    }

    /// Waits until the steps of all of these requests are answered or wait for a lock. What takes
    /// longer meets by chance, if it does: a target's own lock_timeout must not end meanwhile.
    async fn wait_for_arrival(&mut self, requests: &[RequestIndex]) -> Result<(), Failure> {
        const BOUND: Duration = Duration::from_millis(200);
        const PAUSE: Duration = Duration::from_millis(1);
        let deadline = Instant::now() + BOUND;
        while Instant::now() < deadline {
            self.drain()?;
            let mut unanswered = self.unanswered();
            unanswered.retain(|(request, _)| requests.contains(request));
            let pids: Vec<_> = unanswered.iter().map(|(_, pid)| *pid).collect();
            if pids.is_empty() {
                break;
            }
            let began = Instant::now();
            let blockers = self.conductor.monitor.blockers(&pids).await?;
            self.conductor.spent.polls += began.elapsed();
            if pids.iter().all(|pid| blockers.contains_key(pid)) {
                break;
            }
            if let Ok(Some(signal)) = timeout(PAUSE, self.conductor.signals.recv()).await {
                self.take(signal)?;
            }
        }
        Ok(())
    }

    /// The requests whose steps were delivered just now.
    fn fresh(&self) -> Vec<RequestIndex> {
        let is_delivered = |stage: &Stage| matches!(stage, Stage::Delivered(_));
        let mut fresh = self.conductor.cast.all(is_delivered);
        fresh.retain(|request| !self.waits.contains_key(request));
        fresh
    }

    fn delivered_footprint(&mut self, request: RequestIndex) -> Footprint {
        match &self.conductor.cast.actors[request.0].stage {
            Stage::Delivered(step) => self.conductor.footprints.of(step),
            _ => Footprint::NOTHING,
        }
    }

    /// Whether one of these steps touches what another's open transaction has locked. It decides
    /// only how soon PostgreSQL is asked, not what is believed.
    fn may_wait(&mut self, fresh: &[RequestIndex]) -> bool {
        fresh.iter().any(|request| {
            let mine = self.delivered_footprint(*request);
            let mut others = self.touched.iter().filter(|(other, _)| *other != request);
            others.any(|(_, theirs)| mine.depends_on(&theirs.released()))
        })
    }

    /// Whether these steps are answered, and none can have released a lock: a transaction keeps
    /// its locks to its end, but for what only functions and savepoints can do.
    fn have_kept_their_locks(&mut self, fresh: &[RequestIndex]) -> bool {
        let keeps =
            |reply: &Reply| reply.error.is_none() && reply.state() == Some(TransactionState::Open);
        fresh
            .iter()
            .all(|request| self.replies.get(request).is_some_and(keeps))
            && fresh
                .iter()
                .all(|request| self.delivered_footprint(*request) != Footprint::Everything)
    }

    /// Whether all of `pids` wait, and for requests that cannot move by themselves.
    fn is_at_rest(&self, pids: &[i32], blockers: &Blockers) -> bool {
        pids.iter().all(|pid| {
            let mut by = blockers.get(pid).into_iter().flatten().peekable();
            by.peek().is_some() && by.any(|other| self.conductor.cast.owner_of(*other).is_some())
        })
    }

    fn note_waits(
        &mut self,
        unanswered: &[(RequestIndex, i32)],
        blockers: &Blockers,
    ) -> Result<(), Failure> {
        for (request, pid) in unanswered {
            let by = blockers.get(pid).into_iter().flatten();
            let mut by: Vec<_> = by
                .filter_map(|pid| self.conductor.cast.owner_of(*pid))
                .collect();
            by.sort_unstable();
            by.dedup();
            self.look_for_overtaking(*request, &by)?;
            if self.waits.insert(*request, by.clone()).as_ref() != Some(&by) {
                self.note(Event::Waits {
                    request: *request,
                    by,
                });
            }
        }
        Ok(())
    }

    /// A request that waited longer must not begin to wait for one that came later.
    fn look_for_overtaking(
        &mut self,
        request: RequestIndex,
        by: &[RequestIndex],
    ) -> Result<(), Failure> {
        let Some(before) = self.waits.get(&request) else {
            self.queue.retain(|other| *other != request);
            self.queue.push(request);
            return Ok(());
        };
        let mut behind = self.queue.iter().skip_while(|other| **other != request);
        let is_overtaken = behind.any(|later| {
            by.contains(later) && !before.contains(later) && self.replies.contains_key(later)
        });
        match is_overtaken {
            true => Err(LostControl::Overtaken.into()),
            false => Ok(()),
        }
    }

    fn unsettled(&self, unanswered: &[(RequestIndex, i32)], blockers: &Blockers) -> LostControl {
        let steps = unanswered
            .iter()
            .map(|(request, pid)| match blockers.get(pid) {
                Some(by) => Unsettled::WaitsForOthers(*request, by.clone()),
                None => Unsettled::Runs(*request),
            });
        LostControl::Unsettled(self.conductor.bounds.patience, steps.collect())
    }

    /// The requests with a delivered step that has no reply, and their server processes.
    pub(super) fn unanswered(&self) -> Vec<(RequestIndex, i32)> {
        let actors = self.conductor.cast.actors.iter().enumerate();
        actors
            .filter_map(|(index, actor)| match &actor.stage {
                Stage::Delivered(step) => Some((RequestIndex(index), step.pid?)),
                _ => None,
            })
            .filter(|(request, _)| !self.replies.contains_key(request))
            .collect()
    }
}

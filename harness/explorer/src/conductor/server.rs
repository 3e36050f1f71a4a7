//! After a delivery: until the server has nothing more to do.
//!
//! PostgreSQL alone says who waits for a lock, so it is asked until every delivered
//! step is answered or is said to wait for a request that cannot move by itself.

use std::time::{Duration, Instant};

use rowlock_proxy::TransactionState;
use tokio::time::timeout;

use super::Failure;
use super::drive::Drive;
use super::stage::Stage;
use super::wait_graph::Overtaken;
use crate::control::{LostControl, Unsettled};
use crate::footprint::Footprint;
use crate::monitor::Blockers;
use crate::schedule::RequestIndex;
use crate::transcript::Event;

impl<A: Send + 'static> Drive<'_, A> {
    /// Waits until every delivered step is answered or waits for a lock.
    pub(super) async fn wait_for_server(&mut self) -> Result<(), Failure> {
        /// How long a reply may take before PostgreSQL is asked; tokio's clock knows no less.
        const SHORT: Duration = Duration::from_millis(1);
        /// The longest pause between two questions.
        const LONGEST: Duration = Duration::from_millis(20);
        let deadline = Instant::now() + self.conductor.bounds.patience;
        let mut pause = Duration::ZERO;
        let mut last: Option<Blockers> = None;
        let has_vanished = !self.state.sessions.vanishing.is_empty();
        for pid in std::mem::take(&mut self.state.sessions.vanishing) {
            if !self.conductor.monitor.wait_for_end(pid).await? {
                return Err(LostControl::OutlivedItsClient(pid).into());
            }
        }
        let fresh = self.state.fresh();
        // Nobody is in its way: give it the time of a round trip.
        if !self.may_wait(&fresh) {
            while fresh
                .iter()
                .any(|request| !self.state.requests.is_replied(*request))
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
            let unanswered = self.state.requests.unanswered();
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
    /// is to be blamed for what the harness's own locks did.
    pub(super) async fn deliver_together(
        &mut self,
        requests: &[RequestIndex],
    ) -> Result<(), Failure> {
        let is_patient = |request: &RequestIndex| {
            let held = self.state.requests.stage(*request).held();
            held.is_some_and(|step| self.conductor.footprints.only_waits_for_rows(step))
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
        self.wait_for_server().await
    }

    /// Waits until the steps of all of these requests are answered or wait for a lock. What takes
    /// longer meets by chance, if it does: a target's own lock_timeout must not end meanwhile.
    async fn wait_for_arrival(&mut self, requests: &[RequestIndex]) -> Result<(), Failure> {
        const BOUND: Duration = Duration::from_millis(200);
        const PAUSE: Duration = Duration::from_millis(1);
        let deadline = Instant::now() + BOUND;
        while Instant::now() < deadline {
            self.drain()?;
            let mut unanswered = self.state.requests.unanswered();
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

    fn delivered_footprint(&mut self, request: RequestIndex) -> Footprint {
        match self.state.requests.stage(request).on_server() {
            Some(step) => self.conductor.footprints.of(step),
            None => Footprint::NOTHING,
        }
    }

    /// Whether one of these steps touches what another's open transaction has locked. It decides
    /// only how soon PostgreSQL is asked, not what is believed.
    fn may_wait(&mut self, fresh: &[RequestIndex]) -> bool {
        fresh.iter().any(|request| {
            let mine = self.delivered_footprint(*request);
            self.state.transactions.may_block(*request, &mine)
        })
    }

    /// Whether these steps are answered, and none can have released a lock: a transaction keeps
    /// its locks to its end, but for what only functions and savepoints can do.
    fn have_kept_their_locks(&mut self, fresh: &[RequestIndex]) -> bool {
        let keeps = |request: &RequestIndex| match self.state.requests.stage(*request) {
            Stage::Replied(_, reply) => {
                reply.error.is_none() && reply.state() == Some(TransactionState::Open)
            }
            _ => false,
        };
        fresh.iter().all(keeps)
            && fresh
                .iter()
                .all(|request| self.delivered_footprint(*request) != Footprint::Everything)
    }

    /// Whether all of `pids` wait, and for requests that cannot move by themselves.
    fn is_at_rest(&self, pids: &[i32], blockers: &Blockers) -> bool {
        pids.iter().all(|pid| {
            let mut by = blockers.get(pid).into_iter().flatten().peekable();
            by.peek().is_some() && by.any(|other| self.state.sessions.owner_of(*other).is_some())
        })
    }

    fn note_waits(
        &mut self,
        unanswered: &[(RequestIndex, i32)],
        blockers: &Blockers,
    ) -> Result<(), Failure> {
        for (request, pid) in unanswered {
            let by = blockers.get(pid).into_iter().flatten();
            let by = by.filter_map(|pid| self.state.sessions.owner_of(*pid));
            let requests = &self.state.requests;
            let is_answered = |other| requests.is_replied(other);
            match self.state.waits.see(*request, by.collect(), is_answered) {
                Ok(false) => {}
                Ok(true) => {
                    let by = self.state.waits.blockers(*request).unwrap_or_default();
                    let (request, by) = (*request, by.to_vec());
                    self.note(Event::Waits { request, by });
                }
                Err(Overtaken) => return Err(LostControl::Overtaken.into()),
            }
        }
        Ok(())
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
}

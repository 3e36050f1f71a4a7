//! After a delivery: until the server has nothing more to do.
//!
//! The one idea: PostgreSQL alone says who waits for a lock, so it is asked until every delivered
//! step is answered or is said to wait for a request that cannot move by itself.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::run::Run;
use super::{Failure, Lost, OVERTAKEN};
use crate::explorer::cast::Stage;
use crate::explorer::monitor::Blockers;
use crate::explorer::schedule::RequestIndex;
use crate::explorer::transcript::Event;

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
        for pid in std::mem::take(&mut self.vanishing) {
            if !self.conductor.monitor.wait_for_end(pid).await? {
                return Err(format!("session {pid} outlived its client").into());
            }
        }
        // Nobody else is in the way of a first statement: give it the time of a round trip.
        if self.waits.is_empty() && !self.may_wait() {
            while self.has_unanswered() {
                match timeout(SHORT, self.conductor.signals.recv()).await {
                    Ok(Some(signal)) => self.take(signal)?,
                    _ => break,
                }
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
                return Err(self.no_quiet(&unanswered, &blockers).into());
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

    /// Whether a delivered step touches what another request's open transaction has locked. It
    /// decides only when PostgreSQL is asked, not what is believed.
    fn may_wait(&self) -> bool {
        let actors = self.conductor.cast.actors.iter().enumerate();
        let delivered = actors.filter(|(_, actor)| matches!(actor.stage, Stage::Delivered(_)));
        delivered.map(|(index, _)| RequestIndex(index)).any(|one| {
            let mine = self.touched.get(&one);
            let mut others = self.touched.iter().filter(|(other, _)| **other != one);
            mine.is_some_and(|mine| others.any(|(_, theirs)| mine.depends_on(&theirs.released())))
        })
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
            true => Err(OVERTAKEN.to_owned().into()),
            false => Ok(()),
        }
    }

    fn no_quiet(&self, unanswered: &[(RequestIndex, i32)], blockers: &Blockers) -> Lost {
        let seconds = self.conductor.bounds.patience.as_secs();
        let stuck: Vec<_> = unanswered
            .iter()
            .map(|(request, pid)| match blockers.get(pid) {
                Some(by) => format!("{request} waits for sessions {by:?}, which are no request's"),
                None => format!("{request} neither was answered nor waits for a lock"),
            })
            .collect();
        format!("after {seconds} s: {}", stuck.join("; "))
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

    fn has_unanswered(&self) -> bool {
        !self.unanswered().is_empty()
    }
}

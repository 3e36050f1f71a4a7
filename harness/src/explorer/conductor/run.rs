//! One run: from choice to choice.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use super::{Conductor, Failure};
use crate::explorer::cast::{Cast, Stage};
use crate::explorer::control::{Disabled, LostControl};
use crate::explorer::execution::Transition;
use crate::explorer::footprint::Footprint;
use crate::explorer::schedule::{Choice, RequestIndex};
use crate::explorer::signal::{Signal, Verb, kind_of};
use crate::explorer::strategy::{Chooser, Point};
use crate::explorer::transcript::{Event, Transcript};
use crate::proxy::{Reply, ReplyAction, RequestAction, Step, TransactionState};

/// One run.
pub(super) struct Run<'c, A> {
    pub(super) conductor: &'c mut Conductor<A>,
    pub(super) transcript: Transcript,
    pub(super) transitions: Vec<Transition>,
    pub(super) uncontrolled: BTreeMap<String, u64>,
    pub(super) left_open: Vec<RequestIndex>,
    /// Replies that came and are not handed out.
    pub(super) replies: BTreeMap<RequestIndex, Reply>,
    /// Whom each delivered step was last seen to wait for.
    pub(super) waits: BTreeMap<RequestIndex, Vec<RequestIndex>>,
    /// Those who began to wait, in the order in which they did.
    pub(super) queue: Vec<RequestIndex>,
    /// What the answered steps of each request's open transaction have touched.
    pub(super) touched: BTreeMap<RequestIndex, Footprint>,
    /// What the transactions that ended or failed since the last choice gave back.
    pub(super) released: Footprint,
    /// Whether a step ran of which nothing is known.
    pub(super) is_opaque: bool,
    /// Requests that were woken since the last choice.
    pub(super) moved: Vec<RequestIndex>,
    /// Server processes whose clients have gone inside a transaction.
    pub(super) vanishing: Vec<i32>,
}

impl<'c, A: Send + 'static> Run<'c, A> {
    pub(super) fn new(conductor: &'c mut Conductor<A>) -> Self {
        Run {
            conductor,
            transcript: Transcript::default(),
            transitions: Vec::new(),
            uncontrolled: BTreeMap::new(),
            left_open: Vec::new(),
            replies: BTreeMap::new(),
            waits: BTreeMap::new(),
            queue: Vec::new(),
            touched: BTreeMap::new(),
            released: Footprint::NOTHING,
            is_opaque: false,
            moved: Vec::new(),
            vanishing: Vec::new(),
        }
    }

    pub(super) async fn perform(
        &mut self,
        count: usize,
        begin: &mut impl FnMut(RequestIndex, UnboundedSender<Signal<A>>),
        chooser: &mut dyn Chooser,
    ) -> Result<(), Failure> {
        for _ in 0..count {
            let request = self.conductor.cast.invoke();
            self.note(Event::Invoked { request });
            begin(request, self.conductor.sender.clone());
            self.settle().await?;
        }
        loop {
            let held = self.cast().all(|stage| matches!(stage, Stage::Held(_)));
            if held.is_empty() {
                if !self.resolve().await? {
                    return Ok(());
                }
                continue;
            }
            if self.transitions.len() >= self.conductor.bounds.choices {
                let most = self.conductor.bounds.choices;
                return Err(LostControl::TooManyChoices(most).into());
            }
            let enabled: Vec<_> = held
                .iter()
                .map(|held| (*held, self.pending(*held)))
                .collect();
            let before: Vec<_> = self.transitions.iter().map(|made| made.choice).collect();
            let choice = chooser.choose(&Point {
                before: &before,
                transitions: &self.transitions,
                enabled: &enabled,
            });
            if let Some(absent) = choice.requests().find(|request| !held.contains(request)) {
                return Err(self.not_enabled(absent).into());
            }
            self.make(choice, enabled).await?;
        }
    }

    fn not_enabled(&self, request: RequestIndex) -> LostControl {
        let actor = self.conductor.cast.actors.get(request.0);
        LostControl::NotEnabled {
            number: self.transitions.len() + 1,
            request,
            because: match actor.map(|actor| &actor.stage) {
                None => Disabled::NoSuchRequest,
                Some(Stage::Delivered(_) | Stage::Held(_)) => Disabled::WaitsForLock,
                Some(Stage::Stalled | Stage::Running) => Disabled::Stalled,
                Some(Stage::Done) => Disabled::Answered,
            },
        }
    }

    pub(super) fn cast(&mut self) -> &mut Cast<A> {
        &mut self.conductor.cast
    }

    pub(super) fn note(&mut self, event: Event) {
        self.transcript.events.push(event);
    }

    /// Delivers what was chosen, and brings everything that follows from it to rest.
    async fn make(
        &mut self,
        choice: Choice,
        enabled: Vec<(RequestIndex, Footprint)>,
    ) -> Result<(), Failure> {
        let mut touched = Footprint::NOTHING;
        for (request, footprint) in &enabled {
            if choice.requests().any(|chosen| chosen == *request) {
                touched = touched.union(footprint);
            }
        }
        self.is_opaque |= touched == Footprint::Everything;
        self.moved = choice.requests().collect();
        self.released = Footprint::NOTHING;
        let first = self.moved.clone();
        let behind = first.iter().fold(Footprint::NOTHING, |all, request| {
            all.union(&self.behind(*request))
        });
        let began = Instant::now();
        let delivered = match choice {
            Choice::Deliver(request) => {
                self.deliver(request);
                self.wait_for_quiet().await
            }
            Choice::Together(..) => self.deliver_together(&first).await,
        };
        self.conductor.spent.server += began.elapsed();
        delivered?;
        self.hand_out(&first).await?;
        while !self.vanishing.is_empty() {
            self.wait_for_quiet().await?;
            self.hand_out(&[]).await?;
        }
        // A statement that fails ends its transaction there and then, which nobody foresees.
        if self.released != Footprint::NOTHING {
            touched = touched.union(&self.released).union(&behind);
        }
        let mut moved = std::mem::take(&mut self.moved);
        moved.sort_unstable();
        moved.dedup();
        self.transitions.push(Transition {
            choice,
            enabled,
            touched,
            moved,
        });
        Ok(())
    }

    pub(super) fn deliver(&mut self, request: RequestIndex) {
        let stage = std::mem::replace(&mut self.cast().actor(request).stage, Stage::Running);
        let Stage::Held(step) = stage else {
            unreachable!("only held steps are chosen");
        };
        self.note(Event::Delivered {
            request,
            statements: step.statements.clone(),
        });
        self.conductor.spent.steps += 1;
        // A session that is closed meanwhile says so itself.
        self.conductor
            .proxy
            .release_request(step.id, RequestAction::Deliver);
        self.cast().actor(request).stage = Stage::Delivered(step);
    }

    /// What delivering the held step of `request` can touch, all that it can set free included.
    pub(super) fn pending(&mut self, request: RequestIndex) -> Footprint {
        let Stage::Held(step) = &self.conductor.cast.actors[request.0].stage else {
            return Footprint::Everything;
        };
        let ends = |verb| verb == Verb::End;
        let is_end = step.statements.iter().any(|s| ends(kind_of(&s.sql)));
        let own = self.conductor.footprints.of(step);
        if !is_end && !may_be_whole(step) {
            return own;
        }
        let mut all = own.union(&own.released()).union(&self.behind(request));
        if let Some(touched) = self.touched.get(&request) {
            all = all.union(&touched.released());
        }
        all
    }

    /// What the end of the transaction of `request` lets run: the steps that wait behind it, with
    /// their own transactions' ends where such a step is the whole of one.
    fn behind(&mut self, request: RequestIndex) -> Footprint {
        let mut all = Footprint::NOTHING;
        for waiting in self.freed_by(request) {
            let actor = self.conductor.cast.actors.get(waiting.0);
            let Some(Stage::Delivered(step)) = actor.map(|actor| &actor.stage) else {
                continue;
            };
            let own = self.conductor.footprints.of(step);
            if may_be_whole(step) {
                all = all.union(&own.released());
            }
            all = all.union(&own);
        }
        all
    }

    /// Those who wait for `request`, and those who wait for them.
    fn freed_by(&self, request: RequestIndex) -> Vec<RequestIndex> {
        let mut freed = vec![request];
        let mut at = 0;
        while let Some(next) = freed.get(at).copied() {
            let waiting = self.waits.iter().filter(|(_, by)| by.contains(&next));
            let new: Vec<_> = waiting
                .map(|(request, _)| *request)
                .filter(|request| !freed.contains(request))
                .collect();
            freed.extend(new);
            at += 1;
        }
        freed.split_off(1)
    }

    /// Takes note that `request` gives back what its transaction has locked.
    pub(super) fn release(&mut self, request: RequestIndex) {
        if let Some(touched) = self.touched.get(&request) {
            self.released = self.released.union(&touched.released());
        }
    }

    /// Hands out the replies that are there, those of `first` before the others.
    pub(super) async fn hand_out(&mut self, first: &[RequestIndex]) -> Result<(), Failure> {
        let mut order: Vec<_> = self.replies.keys().copied().collect();
        order.sort_by_key(|request| {
            let place = first.iter().position(|other| other == request);
            (place.unwrap_or(first.len()), *request)
        });
        for request in order {
            let Some(reply) = self.replies.remove(&request) else {
                continue;
            };
            self.waits.remove(&request);
            self.moved.push(request);
            let stage = std::mem::replace(&mut self.cast().actor(request).stage, Stage::Running);
            if let Stage::Delivered(step) = stage {
                self.cast().stand(&step, &reply);
                let own = self.conductor.footprints.of(&step);
                let entry = self.touched.entry(request).or_insert(Footprint::NOTHING);
                *entry = entry.union(&own);
                let is_over = !self.cast().is_in_transaction(request);
                if is_over || reply.error.is_some() {
                    self.release(request);
                }
                // After a failure a savepoint may bring back what was before it.
                if is_over {
                    self.touched.remove(&request);
                }
                self.note(Event::Replied { request, reply });
                self.conductor
                    .proxy
                    .release_reply(step.id, ReplyAction::Deliver);
            }
            self.settle().await?;
        }
        Ok(())
    }
}

/// Whether a step may end a transaction without saying so: one of its own, or one that a Flush
/// left open.
fn may_be_whole(step: &Step) -> bool {
    use TransactionState::{Failed, Open};
    !matches!(step.state_before, Some(Open | Failed))
}

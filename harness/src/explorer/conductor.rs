//! The conductor: makes requests run in the order of a schedule, and writes down what ran.
//!
//! The one idea: the application code of one request runs at a time, and everything else is held
//! at the gate or waits inside PostgreSQL, so whatever arrives belongs to that one. A choice
//! delivers a held step; then the conductor waits until the server has nothing more to do, that
//! is, until every delivered step is answered or, as PostgreSQL itself says, waits for a lock.
//! Then it hands out the replies, one at a time, each followed by waiting until its request
//! holds its next step or is answered.
//!
//! Time-outs here bound silence and never decide: a request that shows nothing is marked as
//! waiting inside the application, and what cannot be explained ends control, with the reason.
//! It knows nothing of HTTP and of shops: `begin` starts a request, and a signal says its end.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::cast::{Cast, Claim, Stage};
use super::footprint::Footprint;
use super::footprints::Footprints;
use super::monitor::{Blockers, Monitor, cycle};
use super::outcome::{Control, Transition};
use super::schedule::{Choice, RequestIndex, Schedule};
use super::signal::{Signal, SignallingGate, Verb, kind_of};
use super::strategy::{Chooser, Point};
use super::transcript::{Event, Transcript};
use crate::proxy::{self, Reply, ReplyAction, ReplyEnd, RequestAction, SessionEvent, Step};

/// How long the conductor waits.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For any sign of a request whose application code may run, before it counts as waiting
    /// inside the application.
    pub silence: Duration,
    /// For a statement that neither is answered nor waits for a lock, and for a stalled request
    /// when nothing else can go on, before control counts as lost.
    pub patience: Duration,
    /// The most choices of one run.
    pub choices: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            silence: Duration::from_millis(300),
            patience: Duration::from_secs(10),
            choices: 1_000,
        }
    }
}

/// Where a conductor's time went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// Waiting for replies and for locks, after a delivery.
    pub server: Duration,
    /// Of these, asking PostgreSQL who waits.
    pub polls: Duration,
    /// How often it was asked.
    pub poll_count: u64,
    /// Waiting for application code.
    pub application: Duration,
    /// Steps delivered.
    pub steps: u64,
}

impl Spent {
    pub(super) fn add(&mut self, other: Spent) {
        self.server += other.server;
        self.polls += other.polls;
        self.poll_count += other.poll_count;
        self.application += other.application;
        self.steps += other.steps;
    }
}

/// What a conducted run came to.
#[derive(Debug)]
pub struct Conducted<A> {
    /// Every choice that was made.
    pub schedule: Schedule,
    /// The same with what strategies want to know.
    pub transitions: Vec<Transition>,
    /// What ran.
    pub transcript: Transcript,
    /// Each request's answer, and its place in the transcript.
    pub answers: Vec<Option<(A, usize)>>,
    /// Whether control was kept.
    pub control: Control,
    /// Steps of nobody, by their SQL.
    pub uncontrolled: BTreeMap<String, u64>,
    /// The deadlock that was found and broken.
    pub deadlock: Option<Vec<RequestIndex>>,
    /// Requests that were answered and left their transaction open.
    pub left_open: Vec<RequestIndex>,
}

/// Why a run cannot go on under control.
type Lost = String;

/// What may be behind a step that cannot have been where it was.
const UNTOLD: &str = "Does a request send several statements at once, or does a job of the target \
                      run beside the requests?";

/// Why a run is to be made again: of several who waited for one row, a later one got it first.
/// PostgreSQL wakes them in the order in which they came; then they race for the row's new
/// version, and whoever the operating system holds up loses its place.
pub(super) const OVERTAKEN: &str = "PostgreSQL served a later waiter before an earlier one";

/// Drives one target behind one proxy.
#[derive(Debug)]
pub struct Conductor<A> {
    proxy: proxy::Control,
    signals: UnboundedReceiver<Signal<A>>,
    sender: UnboundedSender<Signal<A>>,
    monitor: Monitor,
    footprints: Footprints,
    bounds: Bounds,
    cast: Cast<A>,
    /// Every text that a request's step had.
    texts: HashSet<String>,
    spent: Spent,
}

impl<A: Send + 'static> Conductor<A> {
    /// Takes hold of a proxy's gate.
    pub fn new(
        proxy: proxy::Control,
        monitor: Monitor,
        footprints: Footprints,
        bounds: Bounds,
    ) -> Self {
        let (sender, signals) = unbounded_channel();
        proxy.set_gate(Some(std::sync::Arc::new(SignallingGate(sender.clone()))));
        Conductor {
            proxy,
            signals,
            sender,
            monitor,
            footprints,
            bounds,
            cast: Cast::new(),
            texts: HashSet::new(),
            spent: Spent::default(),
        }
    }

    /// Where its time went so far.
    pub fn spent(&self) -> Spent {
        Spent {
            poll_count: self.monitor.polls,
            ..self.spent
        }
    }

    /// Lets everything go, and closes its own connection.
    pub async fn close(self) {
        self.proxy.set_gate(None);
        self.monitor.close().await;
    }

    /// Listens for `duration` while no request runs, so that background jobs become known.
    pub async fn listen(&mut self, duration: Duration) {
        let deadline = Instant::now() + duration;
        self.cast.clear();
        let mut run = Run::new(self);
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let Ok(Some(signal)) = timeout(left, run.conductor.signals.recv()).await else {
                break;
            };
            // With no request there is nothing to lose control of.
            let _ = run.take(signal);
        }
    }

    /// Runs `count` requests under the choices of `chooser`. `begin` sends one request and sees
    /// to it that its answer is signalled.
    ///
    /// # Errors
    /// The harness's own statements.
    pub async fn run(
        &mut self,
        count: usize,
        mut begin: impl FnMut(RequestIndex, UnboundedSender<Signal<A>>),
        chooser: &mut dyn Chooser,
    ) -> Result<Conducted<A>, sqlx::Error> {
        self.cast.clear();
        let mut run = Run::new(self);
        // What came since the last run is of no request.
        run.drain().map_err(|failure| match failure {
            Failure::Sql(error) => error,
            Failure::Lost(why) => sqlx::Error::Protocol(why),
        })?;
        let control = match run.perform(count, &mut begin, chooser).await {
            Ok(()) => Control::Kept,
            Err(Failure::Sql(error)) => return Err(error),
            Err(Failure::Lost(why)) => {
                run.let_go().await;
                Control::Lost(why)
            }
        };
        let Run {
            transcript,
            transitions,
            uncontrolled,
            deadlock,
            left_open,
            ..
        } = run;
        let choices = transitions.iter().map(|transition| transition.choice);
        let answers = self.cast.actors.drain(..);
        let answers = answers.map(|actor| Some((actor.answer?, actor.done_at)));
        Ok(Conducted {
            schedule: Schedule(choices.collect()),
            answers: answers.collect(),
            transitions,
            transcript,
            control,
            uncontrolled,
            deadlock,
            left_open,
        })
    }
}

enum Failure {
    Lost(Lost),
    Sql(sqlx::Error),
}

impl From<Lost> for Failure {
    fn from(why: Lost) -> Self {
        Failure::Lost(why)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Failure::Sql(error)
    }
}

/// One run.
struct Run<'c, A> {
    conductor: &'c mut Conductor<A>,
    transcript: Transcript,
    transitions: Vec<Transition>,
    uncontrolled: BTreeMap<String, u64>,
    deadlock: Option<Vec<RequestIndex>>,
    left_open: Vec<RequestIndex>,
    /// Replies that came and are not handed out.
    replies: BTreeMap<RequestIndex, Reply>,
    /// Whom each delivered step was last seen to wait for.
    waits: BTreeMap<RequestIndex, Vec<RequestIndex>>,
    /// Those who began to wait, in the order in which they did.
    queue: Vec<RequestIndex>,
    /// What each request's open transaction has touched.
    touched: BTreeMap<RequestIndex, Footprint>,
    /// Requests that were woken since the last choice.
    moved: Vec<RequestIndex>,
    /// Server processes whose clients have gone inside a transaction.
    vanishing: Vec<i32>,
}

impl<'c, A: Send + 'static> Run<'c, A> {
    fn new(conductor: &'c mut Conductor<A>) -> Self {
        Run {
            conductor,
            transcript: Transcript::default(),
            transitions: Vec::new(),
            uncontrolled: BTreeMap::new(),
            deadlock: None,
            left_open: Vec::new(),
            replies: BTreeMap::new(),
            waits: BTreeMap::new(),
            queue: Vec::new(),
            touched: BTreeMap::new(),
            moved: Vec::new(),
            vanishing: Vec::new(),
        }
    }

    async fn perform(
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
                return Err(format!("the run made {most} choices and did not end").into());
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
                return Err(format!(
                    "the schedule's choice {} is {absent}, which has no step to deliver",
                    before.len() + 1
                )
                .into());
            }
            self.make(choice, enabled).await?;
        }
    }

    fn cast(&mut self) -> &mut Cast<A> {
        &mut self.conductor.cast
    }

    fn note(&mut self, event: Event) {
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
        self.moved = choice.requests().collect();
        for request in choice.requests() {
            self.deliver(request);
        }
        let began = Instant::now();
        let quiet = self.wait_for_quiet().await;
        self.conductor.spent.server += began.elapsed();
        quiet?;
        let first: Vec<_> = choice.requests().collect();
        self.hand_out(&first).await?;
        while !self.vanishing.is_empty() {
            self.wait_for_quiet().await?;
            self.hand_out(&[]).await?;
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

    fn deliver(&mut self, request: RequestIndex) {
        let stage = std::mem::replace(&mut self.cast().actor(request).stage, Stage::Running);
        let Stage::Held(step) = stage else {
            unreachable!("only held steps are chosen");
        };
        self.note(Event::Delivered {
            request,
            statements: step.statements.clone(),
        });
        let touched = self.conductor.footprints.of(&step);
        let entry = self.touched.entry(request).or_insert(Footprint::NOTHING);
        *entry = entry.union(&touched);
        self.conductor.spent.steps += 1;
        // A session that is closed meanwhile says so itself.
        self.conductor
            .proxy
            .release_request(step.id, RequestAction::Deliver);
        self.cast().actor(request).stage = Stage::Delivered(step);
    }

    /// What delivering the held step of `request` can touch, all that it can set free included.
    fn pending(&mut self, request: RequestIndex) -> Footprint {
        let Stage::Held(step) = &self.conductor.cast.actors[request.0].stage else {
            return Footprint::Everything;
        };
        let ends = |verb| verb == Verb::End;
        let is_end = step.statements.iter().any(|s| ends(kind_of(&s.sql)));
        let own = self.conductor.footprints.of(step);
        let is_whole = step.state_before == Some(proxy::TransactionState::Idle);
        if !is_end && !is_whole {
            return own;
        }
        let mut all = own.union(&own.released());
        if let Some(touched) = self.touched.get(&request) {
            all = all.union(&touched.released());
        }
        for waiting in self.freed_by(request) {
            if let Some(Stage::Delivered(step)) = self
                .conductor
                .cast
                .actors
                .get(waiting.0)
                .map(|actor| &actor.stage)
            {
                all = all.union(&self.conductor.footprints.of(step));
            }
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

    /// Waits until every delivered step is answered or waits for a lock.
    async fn wait_for_quiet(&mut self) -> Result<(), Failure> {
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
    fn unanswered(&self) -> Vec<(RequestIndex, i32)> {
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

    /// Hands out the replies that are there, those of `first` before the others.
    async fn hand_out(&mut self, first: &[RequestIndex]) -> Result<(), Failure> {
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
                self.cast().stand(step.id.session, reply.state());
                if !self.cast().is_in_transaction(request) {
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

    /// Waits until no request's application code runs: each holds its next step, is answered,
    /// or has shown nothing for so long that it must be waiting for something.
    async fn settle(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let settled = self.wait_for_applications().await;
        self.conductor.spent.application += began.elapsed();
        settled
    }

    async fn wait_for_applications(&mut self) -> Result<(), Failure> {
        let patience = self.conductor.bounds.patience;
        let mut silent = Duration::ZERO;
        loop {
            self.finish_answered();
            let running = self.cast().running();
            if running.is_empty() {
                for (request, step) in self.conductor.cast.settle_claims(None) {
                    self.hold(request, step)?;
                }
                if self.cast().running().is_empty() {
                    return Ok(());
                }
                continue;
            }
            let silence = self.conductor.bounds.silence;
            match timeout(silence, self.conductor.signals.recv()).await {
                Ok(Some(signal)) => {
                    silent = Duration::ZERO;
                    self.take(signal)?;
                }
                Ok(None) => return Err("the gate is gone".to_owned().into()),
                Err(_)
                    if self.cast().sessions.values().any(|s| s.is_passing) && silent < patience =>
                {
                    silent += silence;
                }
                Err(_) => self.give_up(running[0])?,
            }
        }
    }

    /// Nothing came of a running request for a while: says why.
    fn give_up(&mut self, request: RequestIndex) -> Result<(), Failure> {
        if self.cast().has_unclaimed() {
            for (request, step) in self.conductor.cast.settle_claims(Some(request)) {
                self.hold(request, step)?;
            }
            return Ok(());
        }
        if self.cast().actor(request).answer.is_some() {
            self.left_open.push(request);
            self.finish(request);
            return Ok(());
        }
        self.cast().stall(request);
        self.note(Event::Stalled { request });
        Ok(())
    }

    fn finish_answered(&mut self) {
        for request in self.cast().running() {
            let is_over = !self.cast().is_in_transaction(request);
            if is_over && self.cast().actor(request).answer.is_some() {
                self.finish(request);
            }
        }
    }

    fn finish(&mut self, request: RequestIndex) {
        self.note(Event::Answered { request });
        let place = self.transcript.events.len() - 1;
        let actor = self.cast().actor(request);
        (actor.stage, actor.done_at) = (Stage::Done, place);
    }

    /// Takes note of what is there already; says if a reply was among it.
    fn drain(&mut self) -> Result<bool, Failure> {
        let before = self.replies.len();
        while let Ok(signal) = self.conductor.signals.try_recv() {
            self.take(signal)?;
        }
        Ok(self.replies.len() > before)
    }

    fn take(&mut self, signal: Signal<A>) -> Result<(), Failure> {
        if let Signal::Passed(step) = &signal {
            self.watch_isolation(step);
        }
        match signal {
            Signal::Held(step) => match self.cast().claim(&step) {
                Claim::Of(request) => self.hold(request, Box::new(step))?,
                Claim::Open => self.cast().keep(step),
                Claim::Nobody => {
                    self.count(&step)?;
                    self.conductor
                        .proxy
                        .release_request(step.id, RequestAction::Deliver);
                }
            },
            Signal::Passed(step) => self.pass(&step)?,
            Signal::PassedReply(step, reply) => {
                let session = self.cast().session(step.id.session);
                session.is_passing = false;
                session.pid = step.pid.or(session.pid);
                self.cast().stand(step.id.session, reply.state());
            }
            Signal::Replied(step, reply) => self.take_reply(&step, reply)?,
            Signal::Session(event) => self.take_session(event)?,
            Signal::Answered(request, answer) => {
                let is_expected = self.conductor.cast.actors.len() > request.0;
                if is_expected {
                    self.answer(request, answer)?;
                }
            }
        }
        Ok(())
    }

    /// A stricter level sees what its transaction's first statement saw, which footprints do
    /// not tell.
    fn watch_isolation(&mut self, step: &Step) {
        let is_strict = |text: &str| {
            let text = text.to_ascii_lowercase();
            text.contains("serializable") || text.contains("repeatable")
        };
        let of_session = match step.kind {
            // The start-up's options come with the list of sessions.
            proxy::StepKind::Startup => self.conductor.proxy.sessions(),
            _ => Vec::new(),
        };
        let mut options = of_session
            .iter()
            .flat_map(|session| session.parameters.values());
        if step.statements.iter().any(|s| is_strict(&s.sql)) || options.any(|o| is_strict(o)) {
            self.conductor.footprints.give_up();
        }
    }

    fn answer(&mut self, request: RequestIndex, answer: A) -> Result<(), Failure> {
        let actor = self.cast().actor(request);
        actor.answer = Some(answer);
        match &actor.stage {
            Stage::Stalled => {
                actor.stage = Stage::Running;
                self.moved.push(request);
            }
            // A transaction may be ended behind the answer's back.
            Stage::Running | Stage::Done => {}
            Stage::Held(step) | Stage::Delivered(step) => {
                let is_end = step.statements.iter().all(|s| kind_of(&s.sql) == Verb::End);
                if !is_end {
                    let what = text_of(step);
                    return Err(format!("{request} was answered before: {what}. {UNTOLD}").into());
                }
            }
        }
        Ok(())
    }

    fn hold(&mut self, request: RequestIndex, step: Box<Step>) -> Result<(), Failure> {
        let actor = self.cast().actor(request);
        match actor.stage {
            Stage::Running => {}
            Stage::Stalled => self.moved.push(request),
            Stage::Held(_) | Stage::Delivered(_) | Stage::Done => {
                let what = text_of(&step);
                return Err(format!("{request} has another step beside: {what}. {UNTOLD}").into());
            }
        }
        let text = text_of(&step);
        if self.uncontrolled.contains_key(&text) {
            return Err(format!("{request} runs what ran uncontrolled: {text}. {UNTOLD}").into());
        }
        self.conductor.texts.insert(text);
        self.cast().actor(request).stage = Stage::Held(step);
        Ok(())
    }

    fn pass(&mut self, step: &Step) -> Result<(), Failure> {
        use crate::proxy::StepKind::{Execute, Query};
        if !matches!(step.kind, Query | Execute) {
            // Connecting, preparing and synchronizing say nothing about whose turn it is.
            let session = self.cast().session(step.id.session);
            session.is_passing = step.kind != crate::proxy::StepKind::Startup;
            return Ok(());
        }
        let begins = step
            .statements
            .iter()
            .any(|s| kind_of(&s.sql) == Verb::Begin);
        if !begins {
            self.cast().session(step.id.session).is_passing = true;
            return Ok(());
        }
        let claim = self.cast().claim(step);
        self.cast().session(step.id.session).is_passing = true;
        match claim {
            Claim::Of(request) => {
                self.moved.push(request);
                self.note(Event::Passed {
                    request,
                    statements: step.statements.clone(),
                });
            }
            Claim::Open => {}
            Claim::Nobody => self.pass_of_nobody(step),
        }
        Ok(())
    }

    fn take_reply(&mut self, step: &Step, reply: Reply) -> Result<(), Failure> {
        let actors = self.conductor.cast.actors.iter().enumerate();
        let of = actors.filter(|(_, actor)| match &actor.stage {
            Stage::Delivered(delivered) => delivered.id == step.id,
            _ => false,
        });
        match of.map(|(index, _)| RequestIndex(index)).next() {
            Some(request) if reply.end == ReplyEnd::Cut => Err(format!(
                "the connection of {request} was cut during: {}",
                text_of(step)
            )
            .into()),
            Some(request) => {
                self.replies.insert(request, reply);
                Ok(())
            }
            None => {
                self.cast().stand(step.id.session, reply.state());
                self.conductor
                    .proxy
                    .release_reply(step.id, ReplyAction::Deliver);
                Ok(())
            }
        }
    }

    fn take_session(&mut self, event: SessionEvent) -> Result<(), Failure> {
        match event {
            SessionEvent::Opened { session, pid } => {
                self.cast().session(session).pid = pid;
            }
            SessionEvent::ClientGone { session, .. } => {
                let state = self.cast().session(session);
                state.is_passing = false;
                if let (Some(pid), Some(owner), true) =
                    (state.pid, state.owner, state.in_transaction)
                {
                    let is_under_way =
                        matches!(self.cast().actor(owner).stage, Stage::Delivered(_));
                    if is_under_way {
                        return Err(
                            format!("{owner} gave up a statement that was under way").into()
                        );
                    }
                    self.vanishing.push(pid);
                }
            }
            SessionEvent::Closed { session, abandoned } => {
                let owner = self.cast().session(session).owner;
                self.cast().sessions.remove(&session);
                if let (Some(owner), Some(step)) = (owner, abandoned) {
                    let actor = self.cast().actor(owner);
                    if matches!(&actor.stage, Stage::Held(held) if held.id == step) {
                        actor.stage = Stage::Running;
                    }
                }
            }
        }
        Ok(())
    }

    /// A step of nobody passes and is counted, unless requests run the same: then it may be
    /// theirs after all.
    fn count(&mut self, step: &Step) -> Result<(), Failure> {
        let text = text_of(step);
        if self.conductor.texts.contains(&text) {
            return Err(format!("no request can have sent: {text}. {UNTOLD}").into());
        }
        self.pass_of_nobody(step);
        Ok(())
    }

    fn pass_of_nobody(&mut self, step: &Step) {
        *self.uncontrolled.entry(text_of(step)).or_default() += 1;
    }

    /// Nothing is held: says whether the run goes on. Finds deadlocks, waits for whoever stalled.
    async fn resolve(&mut self) -> Result<bool, Failure> {
        if !self.vanishing.is_empty() {
            self.wait_for_quiet().await?;
            self.hand_out(&[]).await?;
            return Ok(true);
        }
        let unanswered = self.unanswered();
        let stalled = self.cast().all(|stage| *stage == Stage::Stalled);
        if !unanswered.is_empty() && self.break_deadlock(&unanswered).await? {
            return Ok(true);
        }
        if stalled.is_empty() {
            return match unanswered.is_empty() {
                true => Ok(false),
                false => Err("all requests wait, and not for each other"
                    .to_owned()
                    .into()),
            };
        }
        let patience = self.conductor.bounds.patience;
        match timeout(patience, self.conductor.signals.recv()).await {
            Ok(Some(signal)) => {
                self.take(signal)?;
                self.settle().await?;
                self.hand_out(&[]).await?;
                Ok(true)
            }
            _ => {
                let names: Vec<_> = stalled.iter().map(ToString::to_string).collect();
                let seconds = patience.as_secs();
                let names = names.join(", ");
                Err(format!("no answer and no step of {names} within {seconds} s").into())
            }
        }
    }

    /// Finds a circle among those who wait, and breaks it; says if there was one.
    async fn break_deadlock(
        &mut self,
        unanswered: &[(RequestIndex, i32)],
    ) -> Result<bool, Failure> {
        let pids: Vec<_> = unanswered.iter().map(|(_, pid)| *pid).collect();
        let blockers = self.conductor.monitor.blockers(&pids).await?;
        let Some(circle) = cycle(&blockers) else {
            return Ok(false);
        };
        let mut requests: Vec<_> = circle
            .iter()
            .filter_map(|pid| self.conductor.cast.owner_of(*pid))
            .collect();
        let first = (0..requests.len()).min_by_key(|at| requests[*at]);
        requests.rotate_left(first.unwrap_or(0));
        self.note(Event::Deadlocked {
            cycle: requests.clone(),
        });
        let victim = requests.last().copied();
        self.deadlock.get_or_insert(requests);
        let pid = unanswered
            .iter()
            .find(|(request, _)| Some(*request) == victim);
        let Some((victim, pid)) = pid else {
            return Err("a circle of waits in which no request is".to_owned().into());
        };
        self.conductor.monitor.cancel(*pid).await?;
        self.waits.remove(victim);
        self.moved.clear();
        let deadline = Instant::now() + self.conductor.bounds.patience;
        while !self.replies.contains_key(victim) {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.conductor.signals.recv()).await {
                Ok(Some(signal)) => self.take(signal)?,
                _ => return Err("a cancelled statement did not end".to_owned().into()),
            }
        }
        self.wait_for_quiet().await?;
        self.hand_out(&[]).await?;
        Ok(true)
    }

    /// Lets all that is held go, and waits for the answers, so that the next run finds the
    /// target at rest.
    async fn let_go(&mut self) {
        let deadline = Instant::now() + self.conductor.bounds.patience;
        self.conductor.proxy.set_gate(None);
        let is_answered =
            |run: &Self| (run.conductor.cast.actors.iter()).all(|actor| actor.answer.is_some());
        while !is_answered(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.conductor.signals.recv()).await {
                Ok(Some(Signal::Answered(request, answer))) => {
                    let place = self.transcript.events.len();
                    if let Some(actor) = self.conductor.cast.actors.get_mut(request.0) {
                        (actor.answer, actor.done_at) = (Some(answer), place);
                    }
                }
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        let gate = SignallingGate(self.conductor.sender.clone());
        self.conductor
            .proxy
            .set_gate(Some(std::sync::Arc::new(gate)));
    }
}

fn text_of(step: &Step) -> String {
    let texts: Vec<_> = step.statements.iter().map(|s| s.sql.as_str()).collect();
    texts.join("; ")
}

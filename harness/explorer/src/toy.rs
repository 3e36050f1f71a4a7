//! A target and a PostgreSQL in memory, small enough to be seen through: for the tests of what
//! is built on [`Runner`].
//!
//! Rows are locked by writes and by SELECT … FOR UPDATE, waiters are served in their order, reads
//! see what is committed. The SQL in the transcript is what a service like that would send.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

use purchase_service::order::{ItemId, Money, PurchaseId};
use rowlock_core::universal::Aftermath;
use rowlock_proxy::{ErrorResponse, Reply, ReplyEnd, Statement, StatementResult, TransactionState};
use rowlock_shop::history::{Completion, Operation, Receipt, Refusal, Request};
use rowlock_shop::invariant::{Capabilities, Evidence, JudgesFirst, check};
use rowlock_shop::program::Program;
use rowlock_shop::rows::{FinalRows, Purchase, Shop};

use super::control::{Control, Disabled, LostControl};
use super::execution::{Execution, Leftovers, Transition};
use super::footprint::Footprint;
use super::run::{Assessment, Run};
use super::runner::Runner;
use super::schedule::{Choice, RequestIndex, Schedule};
use super::strategy::{Chooser, Point};
use super::transcript::{Event, Transcript};

/// The service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toy {
    /// Reads, checks, writes back what it computed, and locks nothing.
    Unlocked,
    /// Locks the row, but decides by what it read before.
    Stale,
    /// Locks first.
    Right,
    /// Locks its item and then the other one.
    Greedy,
    /// One statement that inserts unless the purchase is there already, and then the stock.
    Once,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Read,
    ReadForUpdate,
    Lock,
    LockOther,
    Write,
    Decrement,
    Charge,
    Insert,
    InsertOnce,
    Commit,
    Rollback,
}

impl Toy {
    fn actions(self) -> VecDeque<Action> {
        use Action::*;
        let actions: &[Action] = match self {
            Toy::Unlocked => &[Read, Charge, Write, Insert, Commit],
            Toy::Stale => &[Read, Lock, Charge, Write, Insert, Commit],
            Toy::Right => &[ReadForUpdate, Charge, Write, Insert, Commit],
            Toy::Greedy => &[ReadForUpdate, LockOther, Charge, Write, Insert, Commit],
            Toy::Once => &[InsertOnce, Decrement, Charge],
        };
        actions.iter().copied().collect()
    }
}

/// Runs programs on a [`Toy`], and counts the runs.
#[derive(Debug)]
pub(super) struct ToyRunner {
    pub(super) toy: Toy,
    pub(super) runs: usize,
    /// Loses control in every run from this one on.
    pub(super) loses_control_from: usize,
}

impl ToyRunner {
    pub(super) fn new(toy: Toy) -> Self {
        ToyRunner {
            toy,
            runs: 0,
            loses_control_from: usize::MAX,
        }
    }

    /// Runs the schedule written as letters; what is missing at its end is calm.
    pub(super) async fn run_letters(&mut self, program: &Program, letters: &str) -> Run<Program> {
        let mut follow = super::strategy::Follow(schedule(letters));
        self.run(program, &mut follow)
            .await
            .unwrap_or_else(|never| match never {})
    }
}

/// `AB(AB)` as a schedule.
pub(super) fn schedule(letters: &str) -> Schedule {
    letters.parse().expect("a test writes schedules")
}

impl Runner for ToyRunner {
    type Program = Program;
    type Error = Infallible;

    async fn run(
        &mut self,
        program: &Program,
        chooser: &mut dyn Chooser,
    ) -> Result<Run<Program>, Infallible> {
        let mut run = ToyRun::new(self.toy, program);
        while run.go_on(chooser) {}
        if self.runs >= self.loses_control_from {
            run.control = Control::Lost(LostControl::GateGone);
        }
        self.runs += 1;
        Ok(run.into_run(program))
    }
}

#[derive(Debug)]
struct Buyer {
    request: Request,
    actions: VecDeque<Action>,
    read: i64,
    completion: Option<Completion>,
    /// Waits for this item's row with this action.
    waits: Option<(ItemId, Action)>,
    written: BTreeMap<ItemId, i64>,
    purchase_id: Option<PurchaseId>,
}

#[derive(Debug)]
struct ToyRun {
    buyers: Vec<Buyer>,
    shop: Shop,
    purchases: Vec<Purchase>,
    holders: BTreeMap<ItemId, usize>,
    queue: Vec<usize>,
    events: Vec<Event>,
    schedule: Schedule,
    transitions: Vec<Transition>,
    control: Control,
    deadlocks: i64,
}

impl ToyRun {
    fn new(toy: Toy, program: &Program) -> ToyRun {
        let buyer = |request: &Request| Buyer {
            request: request.clone(),
            actions: toy.actions(),
            read: 0,
            completion: None,
            waits: None,
            written: BTreeMap::new(),
            purchase_id: None,
        };
        let mut events = Vec::new();
        for request in (0..program.requests.len()).map(RequestIndex) {
            events.push(Event::Invoked { request });
            if toy != Toy::Once {
                let statements = vec![statement("BEGIN", &[])];
                events.push(Event::Passed {
                    request,
                    statements,
                });
            }
        }
        ToyRun {
            buyers: program.requests.iter().map(buyer).collect(),
            shop: program.initial.clone(),
            purchases: Vec::new(),
            holders: BTreeMap::new(),
            queue: Vec::new(),
            events,
            schedule: Schedule::default(),
            transitions: Vec::new(),
            control: Control::Kept,
            deadlocks: 0,
        }
    }

    /// Makes one choice; says whether there may be another.
    fn go_on(&mut self, chooser: &mut dyn Chooser) -> bool {
        let is_ready = |buyer: &Buyer| buyer.completion.is_none() && buyer.waits.is_none();
        let ready = (0..self.buyers.len()).filter(|index| is_ready(&self.buyers[*index]));
        let enabled: Vec<_> = ready
            .map(|index| (RequestIndex(index), Footprint::Everything))
            .collect();
        if enabled.is_empty() {
            return self.break_deadlock();
        }
        let point = Point {
            before: &self.schedule.0,
            transitions: &self.transitions,
            enabled: &enabled,
        };
        let mut choice = chooser.choose(&point);
        if let Some(request) = choice.requests().find(|request| !point.can(*request)) {
            self.control = Control::Lost(LostControl::NotEnabled {
                number: self.schedule.0.len() + 1,
                request,
                because: Disabled::Answered,
            });
            choice = Choice::Deliver(point.nonpreemptive());
        }
        self.schedule.0.push(choice);
        let actions: Vec<_> = choice
            .requests()
            .map(|request| {
                let action = self.buyers[request.0].actions.pop_front();
                (
                    request.0,
                    action.expect("who is not answered has more to do"),
                )
            })
            .collect();
        let is_there = |run: &ToyRun, index: usize| run.finds_purchase(index);
        let seen: Vec<_> = actions
            .iter()
            .map(|(index, _)| is_there(self, *index))
            .collect();
        for (index, action) in &actions {
            let statements = vec![self.sql(*index, *action)];
            let request = RequestIndex(*index);
            self.events.push(Event::Delivered {
                request,
                statements,
            });
        }
        for ((index, action), seen) in actions.into_iter().zip(seen) {
            self.perform(index, action, seen);
        }
        true
    }

    fn finds_purchase(&self, index: usize) -> bool {
        let order = self.buyers[index].request.order;
        let is_same = |purchase: &Purchase| {
            (purchase.user_id, purchase.item_id) == (order.user_id, order.item_id)
        };
        self.purchases.iter().any(is_same)
    }

    fn perform(&mut self, index: usize, action: Action, is_there: bool) {
        let order = self.buyers[index].request.order;
        let other = ItemId(3 - order.item_id.0);
        let row = match action {
            Action::ReadForUpdate | Action::Lock | Action::Write => Some(order.item_id),
            Action::LockOther => Some(other),
            _ => None,
        };
        if let Some(row) = row {
            match self.holders.get(&row) {
                Some(holder) if *holder != index => {
                    let by = vec![RequestIndex(*holder)];
                    self.buyers[index].waits = Some((row, action));
                    self.queue.push(index);
                    let request = RequestIndex(index);
                    return self.events.push(Event::Waits { request, by });
                }
                _ => drop(self.holders.insert(row, index)),
            }
        }
        let result = self.apply(index, action, is_there);
        self.reply(
            index,
            action,
            Reply {
                results: vec![result],
                error: None,
                end: ReplyEnd::Ready(TransactionState::Open),
            },
        );
    }

    fn apply(&mut self, index: usize, action: Action, is_there: bool) -> StatementResult {
        let order = self.buyers[index].request.order;
        let price = Money(self.shop.price(order.item_id));
        match action {
            Action::Read | Action::ReadForUpdate => {
                let stock = self.shop.items[&order.item_id].stock;
                self.buyers[index].read = stock;
                if stock < 1 {
                    self.buyers[index].actions = VecDeque::from([Action::Rollback]);
                }
                rows(&[("price", price.0), ("stock", stock)])
            }
            Action::Lock => rows(&[("?column?", 1)]),
            Action::LockOther => rows(&[("id", 3 - order.item_id.0)]),
            Action::Write => {
                let left = self.buyers[index].read - 1;
                self.buyers[index].written.insert(order.item_id, left);
                tag("UPDATE 1")
            }
            Action::Decrement => {
                let item = self.shop.items.get_mut(&order.item_id);
                item.expect("it is for sale").stock -= 1;
                tag("UPDATE 1")
            }
            Action::Charge => {
                let balance = self.shop.wallets.get_mut(&order.user_id);
                balance.expect("every buyer has a wallet").0 -= price.0;
                tag("UPDATE 1")
            }
            Action::InsertOnce if is_there => {
                let first = self.purchases.first().map(|purchase| purchase.purchase_id);
                self.buyers[index].purchase_id = first;
                self.buyers[index].actions.clear();
                tag("INSERT 0 0")
            }
            Action::Insert | Action::InsertOnce => {
                let purchase_id = PurchaseId(1 + self.purchases.len() as i64);
                self.buyers[index].purchase_id = Some(purchase_id);
                self.purchases.push(Purchase {
                    purchase_id,
                    user_id: order.user_id,
                    item_id: order.item_id,
                    price,
                    idempotency_key: self.buyers[index].request.key.clone(),
                });
                match action {
                    Action::Insert => rows(&[("id", purchase_id.0)]),
                    _ => tag("INSERT 0 1"),
                }
            }
            Action::Commit => tag("COMMIT"),
            Action::Rollback => tag("ROLLBACK"),
        }
    }

    fn reply(&mut self, index: usize, action: Action, reply: Reply) {
        let request = RequestIndex(index);
        let failed = reply.error.is_some();
        self.events.push(Event::Replied { request, reply });
        let is_over = failed || self.buyers[index].actions.is_empty();
        if !is_over {
            return;
        }
        let buyer = &mut self.buyers[index];
        buyer.completion = Some(match action {
            _ if failed => Completion::Fail(Refusal::Conflict),
            Action::Rollback => Completion::Fail(Refusal::OutOfStock),
            _ => Completion::Ok(Receipt {
                purchase_id: buyer.purchase_id,
                ..Receipt::default()
            }),
        });
        let written = std::mem::take(&mut buyer.written);
        self.events.push(Event::Answered { request });
        for (item_id, stock) in written.into_iter().filter(|_| !failed) {
            let item = self.shop.items.get_mut(&item_id);
            item.expect("it is for sale").stock = stock;
        }
        self.holders.retain(|_, holder| *holder != index);
        for waiter in std::mem::take(&mut self.queue) {
            if let Some((_, action)) = self.buyers[waiter].waits.take() {
                self.perform(waiter, action, false);
            }
        }
    }

    fn break_deadlock(&mut self) -> bool {
        let Some(victim) = self.queue.pop() else {
            return false;
        };
        let cycle = self.queue.iter().copied().chain([victim]);
        let cycle = cycle.map(RequestIndex).collect();
        self.deadlocks += 1;
        self.events.push(Event::Deadlocked { cycle });
        self.buyers[victim].waits = None;
        let error = ErrorResponse {
            sqlstate: "57014".into(),
            severity: "ERROR".into(),
            message: "canceling statement due to user request".into(),
        };
        self.reply(
            victim,
            Action::Rollback,
            Reply {
                results: Vec::new(),
                error: Some(error),
                end: ReplyEnd::Ready(TransactionState::Failed),
            },
        );
        true
    }

    fn sql(&self, index: usize, action: Action) -> Statement {
        let order = self.buyers[index].request.order;
        let item = order.item_id.to_string();
        let user = order.user_id.to_string();
        let price = self.shop.price(order.item_id).to_string();
        let read = (self.buyers[index].read - 1).to_string();
        match action {
            Action::Read => statement("select price, stock from item where id = $1", &[&item]),
            Action::ReadForUpdate => statement(
                "select price, stock from item where id = $1 for update",
                &[&item],
            ),
            Action::Lock => statement("select 1 from item where id = $1 for update", &[&item]),
            Action::LockOther => {
                let other = (3 - order.item_id.0).to_string();
                statement("select id from item where id = $1 for update", &[&other])
            }
            Action::Write => statement("update item set stock = $2 where id = $1", &[&item, &read]),
            Action::Decrement => {
                statement("update item set stock = stock - 1 where id = $1", &[&item])
            }
            Action::Charge => statement(
                "update wallet set balance = balance - $2 where user_id = $1",
                &[&user, &price],
            ),
            Action::Insert => statement(
                "insert into purchase (user_id, item_id, price)\n     values ($1, $2, $3) returning id",
                &[&user, &item, &price],
            ),
            Action::InsertOnce => statement(
                "insert into purchase (user_id, item_id, price) select $1, $2, $3\n where not exists \
                 (select from purchase where user_id = $1 and item_id = $2)",
                &[&user, &item, &price],
            ),
            Action::Commit => statement("COMMIT", &[]),
            Action::Rollback => statement("ROLLBACK", &[]),
        }
    }

    fn into_run(self, program: &Program) -> Run<Program> {
        let operation = |buyer: Buyer| {
            let completion = buyer.completion.expect("all are answered");
            Operation {
                request: buyer.request,
                intended_ns: 0,
                invoked_ns: 0,
                completed_ns: 1,
                status: Some(match &completion {
                    Completion::Ok(_) => 200,
                    Completion::Fail(Refusal::Conflict) => 409,
                    _ => 400,
                }),
                completion,
            }
        };
        let history: Vec<_> = self.buyers.into_iter().map(operation).collect();
        let rows = FinalRows {
            shop: self.shop,
            purchases: Some(self.purchases),
        };
        let findings = check(&Evidence {
            initial: program.initial.clone(),
            history: history.clone(),
            rows: rows.clone(),
            aftermath: Aftermath {
                deadlocks: self.deadlocks,
                ..Aftermath::default()
            },
            faults: false,
            capabilities: Capabilities {
                purchase_rows: true,
                idempotency_keys: true,
                once_per_customer: false,
                judges_first: JudgesFirst::Stock,
            },
        });
        Run {
            execution: Execution {
                schedule: self.schedule,
                transitions: self.transitions,
                transcript: Transcript {
                    events: self.events,
                },
                control: self.control,
                uncontrolled: BTreeMap::new(),
                leftovers: Leftovers::default(),
                limits: Vec::new(),
            },
            assessment: Assessment {
                history,
                rows,
                findings,
            },
        }
    }
}

fn statement(sql: &str, parameters: &[&str]) -> Statement {
    Statement {
        sql: sql.into(),
        parameters: parameters.iter().map(|text| Some((*text).into())).collect(),
    }
}

fn rows(values: &[(&str, i64)]) -> StatementResult {
    StatementResult {
        columns: values.iter().map(|(name, _)| (*name).into()).collect(),
        rows: 1,
        first_rows: vec![
            values
                .iter()
                .map(|(_, value)| Some(value.to_string()))
                .collect(),
        ],
        tag: Some("SELECT 1".into()),
        digest: None,
    }
}

fn tag(tag: &str) -> StatementResult {
    StatementResult {
        tag: Some(tag.into()),
        ..StatementResult::default()
    }
}

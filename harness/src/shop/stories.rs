//! What a campaign of faults breaks of the shop: a purchase, a refusal, and a repeated key.

use std::fmt;
use std::str::FromStr;

use rowlock_core::answer::Unknown;
use rowlock_core::finding::Finding;
use rowlock_shop::history::{Completion, Operation, Refusal, Request};
use rowlock_shop::invariant::{Capabilities, Evidence};
use rowlock_shop::judgement::judge;
use rowlock_shop::rows;

use super::campaign::Case;
use super::{Shop, tables};
use crate::baseline::Baseline;
use crate::client::Client;
use crate::environment::EnvironmentError;
use crate::fault::stories::{Look, Recovery, Stories};
use crate::fault::{Fault, SqlState};
use crate::rig::Rig;
use crate::target::OnConflict;

const PRICE: i64 = 100;
const BALANCE: i64 = 1_000;

/// What the chosen request and its rival buy.
const ITEM: i64 = 1;
/// What is bought to see whether the target sells again.
const OTHER_ITEM: i64 = 2;
/// An item that does not exist, for requests that change nothing.
const NO_ITEM: i64 = 999;

const CHOSEN: i64 = 1;
const RIVAL: i64 = 2;
const LATECOMER: i64 = 3;

/// Why a target is not asked for what only a key makes safe.
const NO_KEYS: &str = "the target knows no idempotency keys";

/// What the chosen request does when nothing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Story {
    /// It buys.
    Purchase,
    /// It is refused, since the item is sold out.
    Refusal,
    /// It repeats the Idempotency-Key of a purchase that was acknowledged.
    Repeat,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Story::Purchase => "purchase",
            Story::Refusal => "refusal",
            Story::Repeat => "repeat",
        })
    }
}

impl FromStr for Story {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let stories = [Story::Purchase, Story::Refusal, Story::Repeat];
        let mut stories = stories.into_iter();
        let story = stories.find(|story| story.to_string() == name);
        story.ok_or_else(|| "the story is not purchase, refusal or repeat".to_owned())
    }
}

/// The rows that `story` finds.
fn rows_of(story: Story) -> rows::Shop {
    let stock = if story == Story::Refusal { 0 } else { 5 };
    [CHOSEN, RIVAL, LATECOMER].into_iter().fold(
        rows::Shop::default()
            .item(ITEM, PRICE, stock)
            .item(OTHER_ITEM, PRICE, 100),
        |shop, user_id| shop.wallet(user_id, BALANCE),
    )
}

impl Stories for Shop {
    type Subject = Shop;
    type Name = Story;
    type Request = Request;
    type Expected = ();

    const RECOVERY: Recovery = Recovery::Beside;

    fn subject(&self) -> &Shop {
        self
    }

    fn names(&self, known: &Capabilities) -> Vec<Story> {
        let mut names = vec![Story::Purchase, Story::Refusal];
        names.extend(known.idempotency_keys.then_some(Story::Repeat));
        names
    }

    fn left_out(&self, known: &Capabilities) -> Vec<String> {
        let left_out = (!known.idempotency_keys).then(|| format!("{}: {NO_KEYS}", Story::Repeat));
        left_out.into_iter().collect()
    }

    fn title(&self, story: Story, rival: bool) -> String {
        match rival {
            true => format!("{story}, a second buyer waiting on the same item"),
            false => format!("{story}, alone"),
        }
    }

    /// It has been asked while it was found out what it can do.
    async fn settle_in(&self, rig: &mut Rig<Shop>) -> Result<(), EnvironmentError> {
        rig.inspector().reset(&rows::Shop::default()).await
    }

    /// The model says what is to be expected.
    async fn expect(&self, _rig: &Rig<Shop>) -> Result<(), EnvironmentError> {
        Ok(())
    }

    fn reset_sql(&self, _known: &Capabilities, story: Story, baseline: &Baseline) -> String {
        tables::reset_sql(&rows_of(story), baseline)
    }

    /// Under a key that no other run has, where the target knows keys.
    fn chosen(&self, known: &Capabilities, _story: Story, run: &str) -> Request {
        let request = Request::new(CHOSEN, ITEM);
        match known.idempotency_keys {
            true => request.with_key(run),
            false => request,
        }
    }

    fn has_come_before(&self, story: Story) -> bool {
        story == Story::Repeat
    }

    fn rival(&self, _story: Story) -> Option<Request> {
        Some(Request::new(RIVAL, ITEM))
    }

    /// It has nothing to do with the chosen one.
    fn latecomer(&self, _story: Story) -> Request {
        Request::new(LATECOMER, OTHER_ITEM)
    }

    /// It changes nothing.
    fn one_of_many(&self) -> Request {
        Request::new(LATECOMER, NO_ITEM)
    }

    fn not_repeatable(&self, known: &Capabilities, story: Story) -> Option<String> {
        let is_repeatable = known.idempotency_keys || story == Story::Refusal;
        (!is_repeatable).then(|| NO_KEYS.to_owned())
    }

    fn is_final(&self, case: Case, on_conflict: OnConflict, operation: &Operation) -> bool {
        match &operation.completion {
            _ if self.is_answer(case, on_conflict, operation) => true,
            Completion::Ok(_) => true,
            Completion::Fail(refusal) => !matches!(refusal, Refusal::Busy | Refusal::Conflict),
            Completion::Info(_) => false,
        }
    }

    fn is_answer(&self, case: Case, on_conflict: OnConflict, operation: &Operation) -> bool {
        match case.story {
            Story::Refusal => match &operation.completion {
                Completion::Fail(Refusal::OutOfStock | Refusal::Unstated(_)) => true,
                // Whoever does not promise to try again may refuse by a 409, too.
                Completion::Fail(Refusal::Conflict) => on_conflict == OnConflict::GivesWay,
                _ => false,
            },
            Story::Purchase | Story::Repeat => operation.is_ok(),
        }
    }

    fn is_served(&self, _story: Story, operation: &Operation) -> bool {
        operation.is_ok()
    }

    /// A CHECK that fails says that stock or balance do not suffice, and a shop may leave that
    /// judgement to its CHECKs.
    fn forgive(&self, fault: Fault, operation: &mut Operation) {
        let Completion::Fail(refusal) = &mut operation.completion else {
            return;
        };
        let is_a_check = fault == Fault::Error(SqlState::CheckViolation);
        if is_a_check && matches!(refusal, Refusal::OutOfStock | Refusal::InsufficientBalance) {
            *refusal = Refusal::Unstated("by the word of a CHECK".to_owned());
        }
    }

    fn hang_up(operation: &mut Operation) {
        operation.status = None;
        operation.completion = Completion::Info(Unknown::HungUp);
    }

    fn was_sent(operation: &Operation) -> bool {
        operation.completion != Completion::Fail(Refusal::NotSent)
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn would borrow the shop for as long as the answer takes"
    )]
    fn send(
        &self,
        _known: &Capabilities,
        request: Request,
        mut client: Client,
    ) -> impl Future<Output = Operation> + Send + 'static {
        async move { client.purchase(request).await }
    }

    async fn look(&self, look: Look<'_, Shop>) -> Result<Vec<Finding>, EnvironmentError> {
        let capabilities = *look.rig.known();
        let inspector = look.rig.inspector();
        let rows = inspector.read(capabilities.purchase_rows).await?;
        let history = look.asked.iter().map(|asked| asked.operation.clone());
        let history: Vec<_> = history.collect();
        let harmed = (look.case.fault == Fault::ClientAbort).then(|| harmed(&history));
        let mut findings = judge(&Evidence {
            initial: rows_of(look.case.story),
            history,
            rows,
            aftermath: look.aftermath,
            faults: true,
            capabilities,
        });
        findings.extend(harmed);
        Ok(findings)
    }
}

/// What takes longer may have met a limit of the target's own, while the harness held a step.
const SOON_NS: u64 = 200_000_000;

/// Whether a client that has hung up harmed another: where nothing else was broken, nobody else has
/// a reason for a server error.
fn harmed(history: &[Operation]) -> Finding {
    let others = history
        .iter()
        .filter(|operation| operation.request.order.user_id.0 != CHOSEN);
    let failed = others.filter(|operation| {
        let is_soon = operation.completed_ns.saturating_sub(operation.invoked_ns) < SOON_NS;
        is_soon && operation.completion == Completion::Info(Unknown::ServerError)
    });
    Finding::new(
        "nobody-else-fails",
        "where a client has hung up, nobody else is answered by a 5xx other than 503",
        failed.map(Operation::describe).collect(),
    )
}

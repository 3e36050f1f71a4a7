//! A shop, a browser that looks at it, and what stands between them and the database.

use std::sync::Arc;

use purchase_service::Config;
use rowlock_proxy::gate::{Event, channel};
use rowlock_proxy::{Control, ReplyAction, RequestAction, Step};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::common::database::{Proxied, fresh_database};
use crate::common::{BOUND, Shop};
use crate::driver::{Browser, Kind, Visitor};
use crate::front::Front;

/// The script as the service sends it.
pub(crate) const SCRIPT: &str = include_str!("../../assets/shop.js");

/// The script with some of its words replaced; each must be there.
pub(crate) fn script_with(replacements: &[(&str, &str)]) -> String {
    let mut script = SCRIPT.to_owned();
    for (from, to) in replacements {
        assert!(script.contains(from), "the script has no {from:?} any more");
        script = script.replace(from, to);
    }
    script
}

pub(crate) struct Stage {
    pub(crate) shop: Shop,
    pub(crate) front: Front,
    pub(crate) browser: Browser,
    proxy: Proxied,
}

impl Stage {
    /// Item 1 is the last of its kind, item 2 is plenty; user 1 has 20.00, user 2 nothing.
    pub(crate) async fn open(kind: Kind) -> Self {
        Self::open_with(kind, |_| {}).await
    }

    pub(crate) async fn open_with(kind: Kind, configure: impl FnOnce(&mut Config)) -> Self {
        let database = fresh_database().await;
        let proxy = database.proxy().await;
        let shop = Shop::open_on(database, |config| {
            config.database_url = proxy.url.clone();
            // The test looks at a purchase that is held for as long as it takes.
            config.idle_in_transaction_timeout_ms = 60_000;
            config.transaction_timeout_ms = 60_000;
            configure(config);
        })
        .await;
        shop.sql(
            "insert into item (id, name, price, stock)
             values (1, 'Desk lamp, brass', 1000, 1), (2, 'Enamel mug', 250, 1000),
                    (3, 'Wool blanket, undyed', 4900, 0), (4, 'A pencil', 0, 12);
             insert into wallet (user_id, balance) values (1, 2000), (2, 0)",
        )
        .await;
        let front = Front::before(shop.address).await;
        let browser = Browser::open(kind).await;
        Self {
            shop,
            front,
            browser,
            proxy,
        }
    }

    /// Goes to user 1's page.
    pub(crate) async fn visit(&self) {
        self.browser.visit(self.front.address, "/?user=1").await;
    }

    /// From now on every COMMIT waits.
    pub(crate) fn hold_commits(&self) -> Held {
        let is_commit = |step: &Step| step.statements.iter().any(|each| each.sql == "commit");
        let (gate, events) = channel(is_commit);
        self.proxy.control().set_gate(Some(Arc::new(gate)));
        Held {
            control: self.proxy.control().clone(),
            events,
        }
    }

    pub(crate) async fn purchases(&self) -> i64 {
        self.shop.number("select count(*) from purchase").await
    }

    /// Waits until every purchase that was sent is answered, also where the browser has left.
    pub(crate) async fn until_answered(&self) {
        self.shop
            .until("every purchase is answered", async |_| {
                self.front.posts().iter().all(|post| post.is_answered)
            })
            .await;
    }

    /// Asserts one charge and one purchase of item 2, however often it was asked for.
    pub(crate) async fn assert_bought_once(&self) {
        assert_eq!(self.purchases().await, 1);
        let balance = "select balance from wallet where user_id = 1";
        assert_eq!(self.shop.number(balance).await, 1750);
        self.shop.assert_sound(1013, 2000).await;
    }
}

/// The COMMITs that wait.
pub(crate) struct Held {
    control: Control,
    events: UnboundedReceiver<Event>,
}

impl Held {
    /// Waits until a COMMIT is held.
    pub(crate) async fn commit(&mut self) -> Step {
        loop {
            let event = timeout(BOUND, self.events.recv()).await.expect("a COMMIT");
            if let Event::Request(step) = event.expect("the gate stands") {
                return step;
            }
        }
    }

    /// Sends a held COMMIT on, and loses the answer to it; holds no other.
    pub(crate) async fn lose_answer(mut self, commit: &Step) {
        self.control
            .release_request(commit.id, RequestAction::Deliver);
        loop {
            let event = timeout(BOUND, self.events.recv()).await.expect("an answer");
            if let Event::Reply(step, _) = event.expect("the gate stands")
                && step.id == commit.id
            {
                self.control.release_reply(step.id, ReplyAction::Drop);
                self.let_go();
                return;
            }
        }
    }

    /// Lets all of them go on, and whatever comes after them.
    pub(crate) fn let_go(self) {
        self.control.set_gate(None);
    }
}

//! The shop under load: its rows, what is asked of it at once, and what is counted.

use std::time::Duration;

use rowlock_core::finding::Finding;
use rowlock_shop::history::{Operation, Refusal, Request};
use rowlock_shop::invariant::Evidence;
use rowlock_shop::judgement::judge;
use rowlock_shop::program::Program;
use rowlock_shop::rows::{self, FinalRows};

use super::Shop;
use crate::client::{Client, Clock};
use crate::environment::EnvironmentError;
use crate::load::measure::{Measured, Sample};
use crate::load::{Answered, Loaded, Trial, World, crowd};
use crate::rig::Rig;
use crate::setting::Setting;

impl Measured for Operation {
    const COUNTED: &'static str = "purchases";

    fn sample(&self) -> Sample {
        Sample {
            intended_ns: self.intended_ns,
            completed_ns: self.completed_ns,
            status: self.status,
            is_answered: self.status.is_some(),
            is_ok: self
                .status
                .is_some_and(|status| (200..=299).contains(&status)),
            gave_way: self.is_refused(&Refusal::Conflict),
        }
    }
}

impl Loaded for Shop {
    type Before = ();
    type After = FinalRows;

    async fn begin(&self, rig: &Rig<Shop>, program: &Program) -> Result<(), EnvironmentError> {
        rig.inspector().reset(&program.initial).await
    }

    async fn look(&self, rig: &Rig<Shop>) -> Result<FinalRows, EnvironmentError> {
        rig.inspector().read(rig.known().purchase_rows).await
    }

    fn judge_load(&self, answered: Answered<'_, Shop>) -> Vec<Finding> {
        judge(&Evidence {
            initial: answered.program.initial.clone(),
            history: answered.history.to_vec(),
            rows: answered.after.clone(),
            aftermath: answered.aftermath,
            faults: answered.broken,
            capabilities: *answered.known,
        })
    }
}

/// Opens a world with these rows, whatever will be asked.
///
/// # Errors
/// As [`World::open`].
pub async fn open<'a>(
    setting: &Setting<'a>,
    initial: rows::Shop,
) -> Result<World<'a, Shop>, EnvironmentError> {
    let program = Program {
        initial,
        ..Program::default()
    };
    World::open(setting, &Shop, program).await
}

impl World<'_, Shop> {
    /// Sends all `requests` at once, each on a connection of its own that was open before; the
    /// answers in the order of the requests.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`].
    pub async fn rush(&self, requests: Vec<Request>) -> Result<Vec<Operation>, EnvironmentError> {
        let clients = self.connect_all(requests.len()).await?;
        Ok(rush(clients, requests, self.clock()).await)
    }

    /// Sends one request on a connection of its own, and waits for `patience` at most.
    ///
    /// A target that takes no connection has not been asked ([`Refusal::NotSent`]).
    pub async fn purchase(&self, request: Request, patience: Duration) -> Operation {
        let address = self.address(0);
        Client::purchase_once(address, self.clock(), patience, request).await
    }

    /// Sends one request on a connection of its own, and waits for its answer as a client does.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`].
    pub async fn purchase_alone(&self, request: Request) -> Result<Operation, EnvironmentError> {
        Ok(self.connect(0).await?.purchase(request).await)
    }

    /// Makes every check of the shop, and gives the trial with the scenario's own `findings`
    /// beside them.
    ///
    /// # Errors
    /// As [`World::end`].
    pub async fn close(
        self,
        name: &str,
        history: Vec<Operation>,
        faults: bool,
        findings: Vec<Finding>,
    ) -> Result<Trial, EnvironmentError> {
        let mut all = self.end(&history, faults).await?;
        all.extend(findings);
        Ok(Trial::new(name, &history, all))
    }
}

/// Lets every client send its request in the same moment, and waits for all answers.
///
/// # Panics
/// When there are fewer clients than requests.
pub async fn rush(clients: Vec<Client>, requests: Vec<Request>, clock: Clock) -> Vec<Operation> {
    assert!(
        clients.len() >= requests.len(),
        "every request has a client of its own"
    );
    let buyers = clients.into_iter().zip(requests);
    let buyers = buyers.map(|(mut client, request)| {
        move |intended_ns| async move { client.purchase_as_of(request, intended_ns).await }
    });
    crowd::release(buyers, clock).await
}

//! The actors of a contract on one rig: what they know before their stories begin.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rowlock_contract::{Contract, Variables};
use rowlock_core::rows::Rows;

use super::program::PlannedCall;
use super::story::{Standing, Telling};
use super::template::{Template, connect, must_be_ok, standing_of};
use crate::environment::EnvironmentError;
use crate::target::Target;

/// How long a call that prepares, or is made alone, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The actors, ready to begin their stories.
#[derive(Debug)]
pub struct Known {
    contract: Arc<Contract>,
    standings: BTreeMap<String, Standing>,
    /// What everybody knows: what all have in common, and what each actor has, as `alice.token`.
    pub(super) shared: Variables,
    /// The rows that a campaign's cases begin with on this rig.
    begun: OnceLock<Rows>,
}

impl Known {
    /// Makes the calls that prepare each actor, on the first process of `target`.
    ///
    /// # Errors
    /// A call that could not be made, or was not ok.
    pub(super) async fn prepare(
        contract: Arc<Contract>,
        template: &Template,
        target: &Target,
    ) -> Result<Known, EnvironmentError> {
        let mut standings = template.standings.clone();
        let address = target.address(0);
        let place = [
            ("port", address.port().to_string()),
            ("host", address.ip().to_string()),
            ("url", format!("http://{address}")),
        ];
        let shared = template.shared.with(place.clone());
        for actor in &contract.actors {
            let mut standing = match standings.remove(&actor.name) {
                Some(mut standing) => {
                    standing.variables = standing.variables.with(place.clone());
                    standing
                }
                None => standing_of(&contract, &actor.name, &shared)?,
            };
            if !actor.prepare.is_empty() {
                let mut client = connect(address, PATIENCE).await?;
                for planned in &actor.prepare {
                    let key = format!("rowlock-prepare-{}", actor.name);
                    let telling = Telling {
                        contract: &contract,
                        key: &key,
                    };
                    let planned = PlannedCall::of(planned);
                    must_be_ok(telling, &planned, &mut standing, &mut client).await?;
                }
            }
            standings.insert(actor.name.clone(), standing);
        }
        let each = standings.iter();
        let each = each.flat_map(|(name, standing)| standing.variables.of_actor(name));
        let each: Vec<_> = each.collect();
        for standing in standings.values_mut() {
            standing.variables = standing.variables.with(each.clone());
        }
        Ok(Known {
            contract,
            standings,
            shared: shared.with(each),
            begun: OnceLock::new(),
        })
    }

    /// Takes note of the rows that cases begin with on this rig.
    pub(super) fn remember_begun(&self, rows: Rows) {
        // A rig settles in once.
        let _ = self.begun.set(rows);
    }

    pub(super) fn begun(&self) -> Option<&Rows> {
        self.begun.get()
    }

    pub(super) fn contract(&self) -> Arc<Contract> {
        Arc::clone(&self.contract)
    }

    pub(super) fn standing_of(&self, actor: &str) -> Standing {
        self.standings.get(actor).cloned().unwrap_or_default()
    }
}

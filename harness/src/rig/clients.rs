//! The clients of a rig: where they connect, by which clock they tell the time, and for how long they
//! wait.

use std::net::SocketAddr;

use futures::{StreamExt, TryStreamExt};

use super::Rig;
use crate::client::{Client, Clock};
use crate::environment::EnvironmentError;
use crate::subject::Subject;

/// Connections being opened at once, fewer than the shortest listen backlog around.
const RAMP: usize = 100;

impl<S: Subject> Rig<S> {
    /// The clock of all its clients, which began with the rig.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Connects client `index` of `count` to its replica.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`].
    pub async fn connect(&self, index: usize, count: usize) -> Result<Client, EnvironmentError> {
        let address = self.target.address(index);
        self.connect_to(address, index, count).await
    }

    /// The same to another address than the target's own.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`].
    pub(crate) async fn connect_to(
        &self,
        address: SocketAddr,
        index: usize,
        count: usize,
    ) -> Result<Client, EnvironmentError> {
        let connected = Client::connect(address, self.clock, self.patience).await;
        connected.map_err(|source| EnvironmentError::Connect {
            index,
            count,
            source,
        })
    }

    /// Opens `count` connections, all of which stay open.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`] for the first that failed.
    pub async fn connect_all(&self, count: usize) -> Result<Vec<Client>, EnvironmentError> {
        let connecting = (0..count).map(|index| self.connect(index, count));
        futures::stream::iter(connecting)
            .buffered(RAMP)
            .try_collect()
            .await
    }
}

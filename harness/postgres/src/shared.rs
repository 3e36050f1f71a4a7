//! One local server for all tests of a process, and a database of its own for each test.
//!
//! Sound with a runtime per test, for a server holds no connection; gone with the process, for
//! its janitor does not depend on a destructor.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use super::{Database, Provider, Server, Settings};

/// The process's server, started by the first who asks.
///
/// # Panics
/// With the reason and what to install, when no local server can be had.
pub async fn shared_local() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    let start = || async {
        let settings = Settings {
            provider: Provider::Local,
            ..Settings::from_env()
        };
        match Server::start(&settings).await {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        }
    };
    SERVER.get_or_init(start).await
}

/// An empty database on [`shared_local`], whose name is `name` and a number.
///
/// # Panics
/// When the server cannot be had or refuses.
pub async fn fresh_database(name: &str) -> Database {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    match shared_local()
        .await
        .create_database(&format!("{name}_{number}"))
        .await
    {
        Ok(database) => database,
        Err(error) => panic!("{error}"),
    }
}

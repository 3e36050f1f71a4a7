//! A server in a container of any image that starts PostgreSQL as the official one does.
//!
//! The image's own entrypoint runs under a small shell script. So a restart ends the server but
//! not the container, which therefore keeps its address, its data and even a data directory in
//! memory. It is reached at its bridge address where that can be (on Linux), because the port
//! that the engine publishes passes through a proxy which costs half of the throughput.
//!
//! A harness killed by SIGKILL leaves its container behind; the next one to start removes it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use testcontainers::core::{ExecCommand, IntoContainerPort, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt, TestcontainersError,
};
use tokio::net::TcpStream;

use super::access::Access;
use super::engine::{self, Engine};
use super::owner::Owner;
use super::signals::Guard;
use super::{ServerError, Settings, StartError, StopMode};

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

/// Runs the arguments again and again; the state is in files because the orders come by `exec`.
const KEEPER: &str = r#"
trap 'kill -QUIT $server; exit 0' INT QUIT TERM
rm -rf /tmp/rowlock && mkdir /tmp/rowlock && cd /tmp/rowlock || exit 1
while :; do
    "$@" &
    server=$!
    echo $server >server
    wait $server
    status=$?
    [ -e stop ] || exit $status
    rm -f server stop
    until [ -e start ]; do sleep 0.02; done
    rm -f start
done
"#;

#[derive(Debug)]
pub(super) struct Container {
    /// `None` once it is being removed.
    container: Option<ContainerAsync<GenericImage>>,
    access: Access,
    /// Given up after the container.
    _guard: Option<Guard>,
}

impl Container {
    /// `patience` is how long an image may take to be pulled.
    pub(super) async fn start(
        settings: &Settings,
        patience: Duration,
    ) -> Result<Container, StartError> {
        let engine = Engine::connect().await?;
        let failed = |why: String| {
            let what = format!("no container of image {}", settings.image);
            StartError::Container { what, why }
        };
        engine
            .sweep()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let entrypoint = engine.entrypoint(&settings.image, patience).await?;
        let label = label();
        let guard = match settings.handles_signals {
            true => None,
            false => Some(Guard::of(&label).map_err(|error| failed(error.to_string()))?),
        };
        let container = match request(settings, entrypoint, &label).start().await {
            Ok(container) => container,
            Err(error) => {
                // It may have been created and not started, and nobody else would remove it.
                engine
                    .remove(&label)
                    .await
                    .map_err(|error| failed(error.to_string()))?;
                return Err(failed(error.to_string()));
            }
        };
        let address = address(&container)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let container = Container {
            container: Some(container),
            access: access_at(address),
            _guard: guard,
        };
        container.ready().await?;
        Ok(container)
    }

    pub(super) fn access(&self) -> Access {
        self.access.clone()
    }

    /// Does nothing when it is stopped already.
    pub(super) async fn stop_with(&self, mode: StopMode) -> Result<(), ServerError> {
        let kill = match mode {
            StopMode::Fast => "kill -INT $(cat server)",
            StopMode::Immediate => "kill -QUIT $(cat server)",
            // All of the container's processes but its first, which is the keeper, and this one.
            StopMode::Kill => "kill -KILL -1",
        };
        let wait = "while [ -e server ]; do sleep 0.01; done";
        self.order(&format!("[ -e server ] || exit 0; : >stop; {kill}; {wait}"))
            .await
    }

    /// Does nothing when it runs already.
    pub(super) async fn start_again(&self) -> Result<(), ServerError> {
        self.order("[ -e server ] || : >start").await?;
        self.ready()
            .await
            .map_err(|error| ServerError::NotStarted(Box::new(error)))
    }

    pub(super) async fn remove(mut self) -> Result<(), ServerError> {
        match self.container.take() {
            Some(container) => container
                .rm()
                .await
                .map_err(|error| system("remove it", error)),
            None => Ok(()),
        }
    }

    async fn ready(&self) -> Result<(), StartError> {
        let check = || async {
            match self.running().is_running().await {
                Ok(true) => Ok(()),
                Ok(false) => Err(self.not_ready("the container ended".into()).await),
                Err(error) => Err(self.not_ready(error.to_string()).await),
            }
        };
        match self.access.ready(READY_WITHIN, check).await? {
            Ok(_) => Ok(()),
            Err(error) => {
                let bound = READY_WITHIN.as_secs();
                let what = format!("the container answered no query for {bound} s ({error})");
                Err(self.not_ready(what).await)
            }
        }
    }

    async fn not_ready(&self, what: String) -> StartError {
        let log = self.running().stderr_to_vec().await.unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        StartError::NotReady {
            what,
            log: lines[lines.len().saturating_sub(20)..].join("\n"),
        }
    }

    /// Runs `script` where the keeper keeps its files, and returns once it has ended.
    async fn order(&self, script: &str) -> Result<(), ServerError> {
        let script = format!("cd /tmp/rowlock && {{ {script}; }}");
        let run = async {
            let mut run = self
                .running()
                .exec(ExecCommand::new(["sh", "-c", &script]))
                .await?;
            run.stdout_to_vec().await
        };
        match tokio::time::timeout(STOPPED_WITHIN, run).await {
            Ok(result) => result
                .map(drop)
                .map_err(|error| system("give the container orders", error)),
            Err(_) => Err(ServerError::StillRuns(STOPPED_WITHIN)),
        }
    }

    fn running(&self) -> &ContainerAsync<GenericImage> {
        self.container
            .as_ref()
            .expect("the container is taken only to be removed")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let Some(container) = self.container.take() else {
            return;
        };
        // Its own destructor needs a runtime, and may not block every kind of one.
        let removal = std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                let _entered = runtime.enter();
                drop(container);
            }
        });
        // A panic there has been printed, and a destructor cannot do more about it.
        let _ = removal.join();
    }
}

fn request(
    settings: &Settings,
    entrypoint: Vec<String>,
    label: &str,
) -> ContainerRequest<GenericImage> {
    let keeper = ["-c", KEEPER, "rowlock-keeper"].map(str::to_owned);
    let server = ["postgres", "-c", "listen_addresses=*"].map(str::to_owned);
    let command = keeper.into_iter().chain(entrypoint).chain(server);
    let request = engine::generic(&settings.image)
        .with_entrypoint("sh")
        .with_cmd(command.chain(settings.server_arguments()))
        .with_env_var("POSTGRES_USER", "postgres")
        .with_env_var("POSTGRES_DB", "postgres")
        .with_env_var("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_env_var("POSTGRES_INITDB_ARGS", "-N --no-locale -E UTF8")
        .with_env_var("PGDATA", "/var/lib/postgresql/rowlock")
        .with_label(engine::OWNER, label)
        // Old engines give no bridge address unless asked to.
        .with_network("bridge")
        .with_mapped_port(0, 5432.tcp())
        .with_host_config_modifier(|host| {
            // A server that trusts everybody is published to this machine alone.
            for bindings in host
                .port_bindings
                .iter_mut()
                .flat_map(|ports| ports.values_mut())
            {
                for binding in bindings.iter_mut().flatten() {
                    binding.host_ip = Some("127.0.0.1".to_owned());
                }
            }
        });
    if settings.durable {
        request
    } else {
        request.with_mount(Mount::tmpfs_mount("/var/lib/postgresql"))
    }
}

/// Names the owner, and the container among the owner's.
fn label() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Owner::this_process().map_or_else(String::new, |owner| format!("{} {number}", owner.label()))
}

async fn address(
    container: &ContainerAsync<GenericImage>,
) -> Result<SocketAddr, TestcontainersError> {
    let bridge = SocketAddr::new(container.get_bridge_ip_address().await?, 5432);
    let attempt = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(bridge)).await;
    let is_reachable = match attempt {
        // The server need not listen yet; where there is no way there, nobody refuses.
        Ok(Err(error)) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        Ok(Ok(_)) => true,
        Err(_) => false,
    };
    if is_reachable {
        return Ok(bridge);
    }
    Ok((
        [127, 0, 0, 1],
        container.get_host_port_ipv4(5432.tcp()).await?,
    )
        .into())
}

fn access_at(address: SocketAddr) -> Access {
    let options = PgConnectOptions::new_without_pgpass()
        .host(&address.ip().to_string())
        .port(address.port())
        .username("postgres")
        .database("postgres")
        .ssl_mode(PgSslMode::Disable);
    Access {
        url: format!("postgres://postgres@{address}/postgres"),
        options,
    }
}

fn system(what: &str, error: TestcontainersError) -> ServerError {
    ServerError::System {
        what: what.to_owned(),
        source: std::io::Error::other(error),
    }
}

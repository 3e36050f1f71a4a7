//! A target as its contract describes it: its processes, their surroundings, and when it is ready.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rowlock_contract::service::{Command, FileTemplate, Process, Signal};
use rowlock_contract::template::MissingVariable;
use rowlock_contract::{Contract, Variables};
use rowlock_postgres::Port;
use rustix::process;

use super::launch::{Launch, Ready};
use super::{Keys, OnConflict, Running, Target, TargetError, Tree, Trees};

/// A contract, and what stands for the variables that come from outside it.
#[derive(Debug, Clone)]
pub struct Described {
    /// The contract.
    pub contract: Arc<Contract>,
    /// The environment's variables.
    pub outside: Variables,
}

impl Described {
    /// The contract, with this process's environment.
    pub fn new(contract: Arc<Contract>) -> Described {
        Described {
            contract,
            outside: Variables::of_environment(),
        }
    }

    /// Whether two of it can run side by side: not where its port is fixed, or it reads a file that
    /// says where its database is.
    pub fn may_run_twice(&self) -> bool {
        let service = &self.contract.service;
        service.port.is_none() && service.files.is_empty()
    }

    /// The variables of a process whose database is at `url`, without a port.
    pub(crate) fn variables(&self, url: &str) -> Variables {
        self.outside.with(database_variables(url))
    }

    /// How `process` is started with these variables.
    fn launch(&self, process: &Process, variables: &Variables) -> Result<Launch, TargetError> {
        let stop = self.contract.service.stop;
        let words = process.command.fill(variables);
        let words = words.map_err(|source| self.missing(source))?;
        let mut words = words.into_iter();
        let usual = ["DATABASE_URL", "HOST", "PORT"];
        let usual = usual.into_iter().zip(["database.url", "host", "port"]);
        let usual = usual.filter_map(|(name, variable)| {
            Some((name.to_owned(), variables.get(variable)?.to_string()))
        });
        let own = process.fill_env(variables);
        let own = own.map_err(|source| self.missing(source))?;
        Ok(Launch {
            name: match &process.command {
                Command::Words(words) => {
                    let words: Vec<_> = words.iter().map(ToString::to_string).collect();
                    words.join(" ")
                }
                Command::Shell(text) => text.to_string(),
            },
            program: words.next().map(PathBuf::from).unwrap_or_default(),
            args: words.collect(),
            directory: Some(process.directory.clone()),
            env: usual.chain(own).collect(),
            stop_signal: signal(stop.signal),
            stop_within: stop.within,
        })
    }

    /// Runs a command of the contract to its end.
    ///
    /// # Errors
    /// A command that cannot be run, or that fails, with its last words.
    pub(crate) async fn run(&self, command: &Process, url: &str) -> Result<(), TargetError> {
        let launch = self.launch(command, &self.variables(url))?;
        let (status, output) = launch.spawn()?.finish().await;
        match status {
            Some(status) if status.success() => Ok(()),
            status => Err(TargetError::Command {
                command: launch.name,
                status: status.map_or("unknown".into(), |status| status.to_string()),
                output,
            }),
        }
    }

    /// Starts the service against the database at `url`, and waits until it is ready.
    pub(super) async fn start(&self, url: &str) -> Result<Target, TargetError> {
        let service = &self.contract.service;
        let mut places: Vec<(SocketAddr, Option<Port>)> = Vec::new();
        for _ in 0..service.replicas {
            places.push(match service.port {
                Some(port) => (([127, 0, 0, 1], port).into(), None),
                None => {
                    let port = Port::reserve().map_err(TargetError::Port)?;
                    (port.address(), Some(port))
                }
            });
        }
        let addresses: Vec<_> = places.iter().map(|(address, _)| *address).collect();
        let mut files = Vec::new();
        if let Some(first) = addresses.first() {
            let variables = self.of_replica(url, 0, *first);
            for file in &service.files {
                files.push(self.write(file, &variables)?);
            }
        }
        let trees = Trees::new(self.start_at(url, places).await?);
        Ok(Target {
            addresses,
            on_conflict: OnConflict::GivesWay,
            keys: Keys::AsSeen,
            running: Running::Trees { trees, files },
        })
    }

    /// The variables of replica `replica`, which listens at `address`.
    fn of_replica(&self, url: &str, replica: usize, address: SocketAddr) -> Variables {
        self.variables(url).with([
            ("port", address.port().to_string()),
            ("host", address.ip().to_string()),
            ("url", format!("http://{address}")),
            ("replica", replica.to_string()),
        ])
    }

    /// Starts a replica at each of these addresses, and the processes beside them.
    pub(super) async fn start_at(
        &self,
        url: &str,
        places: Vec<(SocketAddr, Option<Port>)>,
    ) -> Result<Vec<Tree>, TargetError> {
        let service = &self.contract.service;
        let mut trees = Vec::new();
        for (replica, (address, port)) in places.into_iter().enumerate() {
            let variables = self.of_replica(url, replica, address);
            if replica == 0 {
                for process in &service.auxiliary {
                    trees.push((self.launch(process, &variables)?.spawn()?, None));
                }
            }
            let path = service.ready.path.fill(&variables);
            let ready = Ready {
                path: path.map_err(|source| self.missing(source))?,
                statuses: service.ready.status.ranges.clone(),
                within: service.ready.within,
            };
            let launch = self.launch(&service.process, &variables)?;
            let tree = launch.start(address, &ready).await?;
            trees.push((tree, port));
        }
        Ok(trees)
    }

    fn missing(&self, source: MissingVariable) -> TargetError {
        TargetError::Variable {
            file: self.contract.file.clone(),
            source,
        }
    }

    fn write(&self, file: &FileTemplate, variables: &Variables) -> Result<Written, TargetError> {
        let text = file.text.fill(variables);
        let text = text.map_err(|source| self.missing(source))?;
        let failed = |source| TargetError::File {
            path: file.path.clone(),
            source,
        };
        let before = match std::fs::read(&file.path) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        std::fs::write(&file.path, text).map_err(failed)?;
        Ok(Written {
            path: file.path.clone(),
            before,
        })
    }
}

/// A file that was written for a target; dropped, it is as it was before.
#[derive(Debug)]
pub(super) struct Written {
    path: PathBuf,
    before: Option<Vec<u8>>,
}

impl Drop for Written {
    fn drop(&mut self) {
        let put_back = match &self.before {
            Some(before) => std::fs::write(&self.path, before),
            None => std::fs::remove_file(&self.path),
        };
        if let Err(error) = put_back {
            tracing::warn!("{} is not as it was before: {error}", self.path.display());
        }
    }
}

fn signal(signal: Signal) -> process::Signal {
    match signal {
        Signal::Term => process::Signal::TERM,
        Signal::Int => process::Signal::INT,
        Signal::Quit => process::Signal::QUIT,
        Signal::Hup => process::Signal::HUP,
        Signal::Kill => process::Signal::KILL,
    }
}

/// What stands for the password of a server that asks for none: services refuse an empty one.
const NO_PASSWORD: &str = "none";

/// A database's URL and its parts, as templates name them.
fn database_variables(url: &str) -> Vec<(String, String)> {
    let mut variables = vec![("database.url".to_owned(), url.to_owned())];
    // Every provider's URL is one.
    let Ok(parsed) = url::Url::parse(url) else {
        return variables;
    };
    let decoded = |text: &str| {
        let text = percent_encoding::percent_decode_str(text);
        text.decode_utf8_lossy().into_owned()
    };
    let parts = [
        ("host", parsed.host_str().unwrap_or_default().to_owned()),
        ("port", parsed.port().unwrap_or(5432).to_string()),
        ("user", decoded(parsed.username())),
        (
            "password",
            decoded(parsed.password().unwrap_or(NO_PASSWORD)),
        ),
        ("name", decoded(parsed.path().trim_start_matches('/'))),
    ];
    let parts = parts.map(|(part, value)| (format!("database.{part}"), value));
    variables.extend(parts);
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_s_url_comes_in_its_parts() {
        let variables = database_variables("postgres://shop:a%40b@127.0.0.1:7000/trial_1?x=y");
        let said: Vec<_> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            said,
            [
                "database.url=postgres://shop:a%40b@127.0.0.1:7000/trial_1?x=y",
                "database.host=127.0.0.1",
                "database.port=7000",
                "database.user=shop",
                "database.password=a@b",
                "database.name=trial_1",
            ]
        );
    }
}

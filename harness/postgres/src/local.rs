//! A throwaway cluster made by an installed PostgreSQL's `initdb` and `postgres`.
//!
//! Everything of it lies in one temporary directory, and everything of it is under a janitor's
//! watch: data, log, Unix socket and processes are gone when the harness is, however it ends.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::sync::Mutex;

use super::access::Access;
use super::account::{self, Account};
use super::binaries::Binaries;
use super::program::{PAUSE, Program};
use super::template;
use super::{ServerError, Settings, StartError, StopMode, children};
use crate::janitor::Janitor;
use crate::port::Port;

/// Generous: a cold disk, a busy machine and recovery after a crash all fit in.
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Local {
    pub(super) binaries: Binaries,
    account: Option<Account>,
    directory: PathBuf,
    parameters: Vec<String>,
    // In this order: the server ends before its port is free and the janitor takes its directory.
    postmaster: Mutex<Option<Program>>,
    /// Whether it has answered, and nobody has begun to stop it since: a start or a stop may be cancelled.
    is_up: AtomicBool,
    port: Port,
    janitor: Arc<Janitor>,
}

impl Local {
    pub(super) async fn start(settings: &Settings) -> Result<Local, StartError> {
        let binaries = Binaries::find(settings.pg_bin.as_deref())?;
        let account = Account::unprivileged()?;
        let directory = account::make_directory(account)?;
        let janitor = Janitor::start(&[&directory]).map_err(|source| StartError::Program {
            program: "sh".into(),
            source,
        })?;
        let mut local = Local {
            binaries,
            account,
            directory,
            parameters: settings.server_arguments(),
            port: reserve()?,
            postmaster: Mutex::new(None),
            is_up: AtomicBool::new(false),
            janitor: Arc::new(janitor),
        };
        local.make_cluster(settings.templates.as_deref()).await?;
        local.start_on_free_port().await?;
        Ok(local)
    }

    pub(super) fn access(&self) -> Access {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port.number())
            .socket(&self.directory)
            .username("postgres")
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
        Access {
            url: format!("postgres://postgres@{}/postgres", self.port.address()),
            options,
        }
    }

    /// Does nothing when it is stopped already.
    pub(super) async fn stop_with(&self, mode: StopMode) -> Result<(), ServerError> {
        let mut postmaster = self.postmaster.lock().await;
        let Some(program) = postmaster.as_mut() else {
            return Ok(());
        };
        let system = |source| ServerError::System {
            what: format!("stop by {}", mode.signal_name()),
            source,
        };
        self.is_up.store(false, Ordering::Relaxed);
        match mode {
            StopMode::Fast => program.signal(Signal::INT).map_err(system)?,
            StopMode::Immediate => program.signal(Signal::QUIT).map_err(system)?,
            StopMode::Kill => kill_all(program).map_err(system)?,
        }
        match program.ended(STOPPED_WITHIN).await.map_err(system)? {
            Some(_) => {
                *postmaster = None;
                Ok(())
            }
            None => Err(ServerError::StillRuns(STOPPED_WITHIN)),
        }
    }

    /// Does nothing when it runs already. One that is half started or half stopped is ended first.
    pub(super) async fn start_again(&self) -> Result<(), ServerError> {
        let mut postmaster = self.postmaster.lock().await;
        if self.is_up.load(Ordering::Relaxed)
            && let Some(program) = postmaster.as_mut()
            && program.status().is_ok_and(|status| status.is_none())
        {
            return Ok(());
        }
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            *postmaster = None;
            match self.launch(&mut postmaster).await {
                Ok(()) => return Ok(()),
                // What a killed server leaves behind is gone a moment later.
                Err(error) if is_passing(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(ServerError::NotStarted(Box::new(error))),
            }
        }
    }

    /// Stops it at once and removes its directory.
    pub(super) async fn remove(self) -> Result<(), ServerError> {
        self.stop_with(StopMode::Immediate).await?;
        let directory = self.directory.clone();
        drop(self);
        if directory.exists() {
            let source = io::ErrorKind::DirectoryNotEmpty.into();
            return Err(ServerError::System {
                what: format!("remove {}", directory.display()),
                source,
            });
        }
        Ok(())
    }

    /// Copies the cluster that is kept in `templates`, or makes one, and keeps it there.
    async fn make_cluster(&self, templates: Option<&Path>) -> Result<(), StartError> {
        let Some(templates) = templates else {
            return self.initialise().await;
        };
        let data = self.directory.join("data");
        let template = template::place(templates, &self.binaries).map_err(StartError::Directory)?;
        if template.is_dir() {
            return template::copy_tree(&template, &data, self.account)
                .map_err(StartError::Directory);
        }
        self.initialise().await?;
        template::keep(&data, &template).map_err(StartError::Directory)
    }

    async fn initialise(&self) -> Result<(), StartError> {
        let mut initdb = self.command("initdb");
        initdb
            .args([
                "-N",
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-locale",
                "-E",
                "UTF8",
                "-D",
            ])
            .arg(self.directory.join("data"));
        let status = self.spawn(&initdb)?.ended(READY_WITHIN).await;
        match status.map_err(StartError::Directory)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.not_ready(format!("initdb failed ({status})"), 0)),
            None => {
                let what = format!("initdb was not done in {} s", READY_WITHIN.as_secs());
                Err(self.not_ready(what, 0))
            }
        }
    }

    async fn start_on_free_port(&mut self) -> Result<(), StartError> {
        for _ in 0..10 {
            let launched = self.launch(&mut *self.postmaster.lock().await).await;
            match launched {
                // Somebody took the port between our look and the server's.
                Err(StartError::NotReady { log, .. }) if log.contains("could not bind") => {
                    self.port = reserve()?;
                }
                other => return other,
            }
        }
        Err(StartError::Directory(io::ErrorKind::AddrInUse.into()))
    }

    /// Starts `postgres` and waits until it answers a query.
    async fn launch(&self, postmaster: &mut Option<Program>) -> Result<(), StartError> {
        let log_start = fs::metadata(self.log()).map_or(0, |log| log.len());
        let mut postgres = self.command("postgres");
        postgres
            .arg("-D")
            .arg(self.directory.join("data"))
            .args([
                "-p",
                &self.port.number().to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-k",
            ])
            .arg(&self.directory)
            .args(&self.parameters);
        let program = postmaster.insert(self.spawn(&postgres)?);
        let check = || {
            let status = program.status();
            async move {
                match status {
                    Ok(None) => Ok(()),
                    Ok(Some(status)) => {
                        Err(self.not_ready(format!("postgres ended ({status})"), log_start))
                    }
                    Err(source) => Err(StartError::Program {
                        program: "postgres".into(),
                        source,
                    }),
                }
            }
        };
        match self.access().ready(READY_WITHIN, check).await? {
            Ok(_) => {
                self.is_up.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                let bound = READY_WITHIN.as_secs();
                let what = format!("postgres answered no query for {bound} s ({error})");
                Err(self.not_ready(what, log_start))
            }
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.program(program));
        // initdb spends a good part of its time on finding out the local time zone.
        command.env("TZ", "UTC").current_dir(&self.directory);
        command
    }

    fn spawn(&self, command: &Command) -> Result<Program, StartError> {
        let prepare = |command: &mut Command| {
            let log = File::options().create(true).append(true).open(self.log())?;
            command.stdout(log.try_clone()?).stderr(log);
            if let Some(account) = self.account {
                account.apply(command);
            }
            Ok(())
        };
        Program::spawn(command, &self.janitor, prepare).map_err(|source| StartError::Program {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn not_ready(&self, what: String, log_start: u64) -> StartError {
        let log = tail(&self.log(), log_start).unwrap_or_else(|error| format!("(unread: {error})"));
        StartError::NotReady { what, log }
    }
}

/// Ends all of the server's processes at one moment, as a power cut would.
///
/// The postmaster is halted first, so that it can neither fork nor tidy up meanwhile.
fn kill_all(postmaster: &mut Program) -> io::Result<()> {
    postmaster.signal(Signal::STOP)?;
    let backends = children::of(postmaster.id());
    postmaster.signal(Signal::KILL)?;
    for backend in backends?.into_iter().filter_map(Pid::from_raw) {
        // Some end by themselves on their postmaster's death; that is no error.
        let _ = kill_process(backend, Signal::KILL);
    }
    Ok(())
}

fn reserve() -> Result<Port, StartError> {
    Port::reserve().map_err(StartError::Directory)
}

fn is_passing(error: &StartError) -> bool {
    let signs = [
        "still in use",
        "lock file \"postmaster.pid\" already exists",
        "could not bind",
    ];
    matches!(error, StartError::NotReady { log, .. } if signs.iter().any(|sign| log.contains(sign)))
}

/// The last lines of what was logged after the first `start` bytes.
fn tail(log: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
}

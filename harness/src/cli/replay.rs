//! `rowlock replay`: witnesses run again, as evidence and as regression tests.
//!
//! Unless a service is named, a witness of one of our mutants runs on that mutant, so that a
//! directory of them proves all of them at once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;

use super::common::{conclude, unless_found, wants_colour};
use super::service::ServiceArgs;
use super::trace::TraceArgs;
use super::{PostgresArgs, exit_code, output, up_to};
use crate::explorer::{
    Bounds, Replayed, Run, SerialRunner, Setup, Witness, replay, timeline, witness,
};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::target::TargetSpec;
use crate::trace::{Part, TraceFile};

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Witness files, or directories of which every *.json is replayed
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// How often each is replayed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = up_to(1, 1_000_000))]
    times: usize,
    #[command(flatten)]
    postgres: PostgresArgs,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// Exit codes: 1 violated again; 0 not; 4 the statements no longer match, or control was lost.
pub(super) async fn replay_all(
    args: &ReplayArgs,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let progress = Progress::on_terminal();
    let again = args.repeat();
    match conclude(measure(args, &progress, trace), &progress, &again).await? {
        Ok(verdict) => Ok(exit_code::of(verdict)),
        Err(code) => Ok(code),
    }
}

async fn measure(
    args: &ReplayArgs,
    progress: &Progress,
    trace: Option<TraceFile>,
) -> anyhow::Result<Verdict> {
    let mut plan = Vec::new();
    for path in witness::files(&args.paths)? {
        let witness = Witness::read(&path);
        let recorded = witness.as_ref().map_or("", |witness| &witness.target);
        let target = args.service.replaying(recorded)?;
        plan.push((path, witness, target));
    }
    progress.say("starting PostgreSQL");
    let server = Arc::new(Server::start(&args.postgres.exploring()).await?);
    output::write(&format!(
        "postgres: {}\ntarget:   {}\n\n",
        server.description(),
        describe(plan.iter().map(|(.., target)| target))
    ))?;
    // A whole directory gets a line each; one file is shown.
    let is_shown = args.paths.len() == 1 && args.paths[0].is_file();
    let mut latest = LatestRunner::new(&server, trace);
    let mut verdicts = Vec::new();
    for (path, witness, target) in plan {
        progress.say(format!("replaying {}", path.display()));
        if let Some(trace) = &latest.trace {
            trace.begin_part(Part::Witness(path.display().to_string()));
        }
        let verdict = match witness {
            Ok(witness) => {
                let runner = latest.on(target).await?;
                match args.replay_one(runner, &path, &witness, is_shown).await {
                    Ok(verdict) => verdict,
                    Err(error) if is_shown => return Err(error),
                    // What keeps one file from being replayed says nothing of the others.
                    Err(error) => {
                        latest.runner = None;
                        output::write(&format!("{}: {error:#}\n", path.display()))?;
                        Verdict::Inconclusive
                    }
                }
            }
            Err(error) => {
                output::write(&format!("{:#}\n", anyhow::Error::new(error)))?;
                Verdict::Inconclusive
            }
        };
        verdicts.push(verdict);
    }
    let verdict = Verdict::compose(verdicts);
    let found = verdict == Verdict::Violation;
    unless_found(found, latest.close().await)?;
    let Some(server) = Arc::into_inner(server) else {
        bail!("a run outlived its replay");
    };
    unless_found(found, server.stop().await)?;
    Ok(verdict)
}

/// All targets in a few words.
fn describe<'a>(mut targets: impl Iterator<Item = &'a TargetSpec>) -> String {
    let first = targets.next().map_or(String::new(), TargetSpec::describe);
    match targets.all(|target| target.describe() == first) {
        true => first,
        false => "the mutants that the witnesses name".into(),
    }
}

/// What replays witnesses, one after another; those of one target on the same testbed.
struct LatestRunner<'a> {
    server: &'a Arc<Server>,
    /// The target that it runs on, and it.
    runner: Option<(String, SerialRunner)>,
    trace: Option<TraceFile>,
}

impl<'a> LatestRunner<'a> {
    fn new(server: &'a Arc<Server>, trace: Option<TraceFile>) -> Self {
        LatestRunner {
            server,
            runner: None,
            trace,
        }
    }

    async fn on(&mut self, target: TargetSpec) -> anyhow::Result<&mut SerialRunner> {
        let name = target.describe();
        if self.runner.as_ref().is_none_or(|(known, _)| *known != name) {
            self.close().await?;
        }
        let setup = Setup {
            subject: Shop,
            target_env: Vec::new(),
            server: Arc::clone(self.server),
            target,
            bounds: Bounds::default(),
            trace: self.trace.clone(),
        };
        let (_, runner) = self
            .runner
            .get_or_insert_with(|| (name, SerialRunner::new(setup)));
        Ok(runner)
    }

    async fn close(&mut self) -> anyhow::Result<()> {
        if let Some((_, runner)) = self.runner.take() {
            runner.close().await?;
        }
        Ok(())
    }
}

impl ReplayArgs {
    /// Replays one witness as often as wanted, and prints what became of it.
    async fn replay_one(
        &self,
        runner: &mut SerialRunner,
        path: &Path,
        witness: &Witness,
        is_shown: bool,
    ) -> anyhow::Result<Verdict> {
        let mut verdicts = Vec::new();
        let mut worst: Option<(Replayed, _)> = None;
        for _ in 0..self.times {
            let (replayed, run) = match replay(runner, witness).await {
                Ok(ran) => ran,
                Err(error) => {
                    let found = verdicts.contains(&Verdict::Violation);
                    unless_found(found, Err(error))?;
                    verdicts.push(Verdict::Inconclusive);
                    break;
                }
            };
            verdicts.push(replayed.verdict());
            let is_worse = |(known, _): &(Replayed, _)| known.verdict() < replayed.verdict();
            if worst.as_ref().is_none_or(is_worse) {
                worst = Some((replayed, run));
            }
        }
        let Some((worst, run)) = worst else {
            bail!("--times is at least 1");
        };
        let count = |verdict| verdicts.iter().filter(|other| **other == verdict).count();
        let counted = match self.times {
            1 => String::new(),
            times => format!(
                " ({} of {times} violated, {} held, {} inconclusive)",
                count(Verdict::Violation),
                count(Verdict::Valid),
                count(Verdict::Inconclusive)
            ),
        };
        let text = match is_shown {
            true => self.shown(path, witness, &worst, &run, &counted),
            false => format!("{}: {worst}{counted}\n", path.display()),
        };
        output::write(&text)?;
        Ok(Verdict::compose(verdicts))
    }

    /// What ran, if it was a violation, and what became of it.
    fn shown(
        &self,
        path: &Path,
        witness: &Witness,
        replayed: &Replayed,
        run: &Run,
        counted: &str,
    ) -> String {
        let ran = Witness::new(&witness.target, &witness.program, run);
        let ran = ran.map(|ran| timeline::render(&ran, wants_colour()) + "\n");
        let replay_line = match replayed.verdict() {
            Verdict::Valid => String::new(),
            _ => timeline::replay_line(path, &self.flags()),
        };
        format!(
            "{}{replayed:#}{counted}\n{replay_line}",
            ran.unwrap_or_default()
        )
    }

    /// The flags that name the same server and target, ready to paste.
    fn flags(&self) -> String {
        let flags = self.postgres.repeat().into_iter();
        let flags: Vec<_> = flags.chain(self.service.repeat()).collect();
        flags.join(" ")
    }

    fn repeat(&self) -> String {
        let paths = self.paths.iter().map(|path| path.display().to_string());
        let paths = paths.map(|path| match shlex::try_quote(&path) {
            Ok(quoted) => quoted.into_owned(),
            Err(_) => path.clone(),
        });
        let words = ["replay".to_owned()].into_iter().chain(paths);
        let times = (self.times != 1).then(|| format!("--times {}", self.times));
        let words: Vec<_> = words.chain(times).chain([self.flags()]).collect();
        words.join(" ").trim_end().to_owned()
    }
}

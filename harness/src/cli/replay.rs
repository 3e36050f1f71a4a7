//! `rowlock replay`: witnesses run again, as evidence and as regression tests.
//!
//! Unless a service is named, a witness of one of our mutants runs on that mutant, so that a
//! directory of them proves all of them at once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use rowlock_core::program::Program;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;

use super::common::{conclude_verdict, unless_found, wants_colour};
use super::contract::ContractArgs;
use super::publish::PublishArgs;
use super::service::ServiceArgs;
use super::trace::TraceArgs;
use super::{PostgresArgs, output, up_to};
use crate::contract::ContractSubject;
use crate::explorer::{
    Bounds, Replayed, Run, SerialRunner, Setup, Witness, replay, timeline, witness,
};
use crate::progress::Progress;
use crate::report::html::{Extent, NO_CONTRACT, Page, Section, Violation};
use crate::shop::Shop;
use crate::subject::Subject;
use crate::target::{Described, TargetSpec};
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
    contract: ContractArgs,
    /// End with the first witness that is violated again
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    publish: PublishArgs,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// What became of one witness.
struct Played {
    path: PathBuf,
    verdict: Verdict,
    /// In a sentence.
    said: String,
    /// The worst run, if it was violated.
    drawn: Option<Violation>,
}

/// Exit codes: 1 violated again; 0 not; 4 the statements no longer match, or control was lost.
pub(super) async fn replay_all(
    args: &ReplayArgs,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let progress = Progress::on_terminal();
    let again = args.repeat();
    conclude_verdict(measure(args, &progress, trace), &progress, &again).await
}

async fn measure(
    args: &ReplayArgs,
    progress: &Progress,
    trace: Option<TraceFile>,
) -> anyhow::Result<Verdict> {
    let files = witness::files(&args.paths)?;
    let described = args.described(&files)?;
    let mut all = Vec::new();
    progress.say("starting PostgreSQL");
    let server = Arc::new(Server::start(&args.postgres.exploring()).await?);
    let verdict = match described {
        None => {
            let target = |recorded: &str| args.service.replaying(recorded);
            let flags = args.flags(None);
            let latest = LatestRunner::new(&server, Shop, trace);
            replay_files(args, latest, &files, target, &flags, (progress, &mut all)).await?
        }
        Some(described) => {
            let flags = args.flags(Some(&described));
            let subject = ContractSubject::new(described.clone(), &server).await?;
            let target = |_: &str| Ok(TargetSpec::Described(described.clone()));
            let latest = LatestRunner::new(&server, subject, trace);
            replay_files(args, latest, &files, target, &flags, (progress, &mut all)).await?
        }
    };
    let found = verdict == Verdict::Violation;
    let Some(server) = Arc::into_inner(server) else {
        bail!("a run outlived its replay");
    };
    unless_found(found, server.stop().await)?;
    Ok(verdict)
}

async fn replay_files<S: Subject>(
    args: &ReplayArgs,
    mut latest: LatestRunner<'_, S>,
    files: &[PathBuf],
    target_of: impl Fn(&str) -> anyhow::Result<TargetSpec>,
    flags: &str,
    (progress, all): (&Progress, &mut Vec<Played>),
) -> anyhow::Result<Verdict> {
    let mut plan = Vec::new();
    for path in files {
        let witness = Witness::<S::Program>::read(path);
        let recorded = witness.as_ref().map_or("", |witness| &witness.target);
        let target = target_of(recorded)?;
        plan.push((path, witness, target));
    }
    output::write(&format!(
        "postgres: {}\ntarget:   {}\n\n",
        latest.server.description(),
        describe(plan.iter().map(|(.., target)| target))
    ))?;
    let facts = vec![
        ("postgres", latest.server.description()),
        ("target", describe(plan.iter().map(|(.., target)| target))),
    ];
    // A whole directory gets a line each; one file is shown.
    let is_shown = args.paths.len() == 1 && args.paths[0].is_file();
    for (path, witness, target) in plan {
        progress.say(format!("replaying {}", path.display()));
        if let Some(trace) = &latest.trace {
            trace.begin_part(Part::Witness(path.display().to_string()));
        }
        let unplayed = |error: &anyhow::Error| Played {
            path: path.clone(),
            verdict: Verdict::Inconclusive,
            said: format!("{error:#}"),
            drawn: None,
        };
        let played = match witness {
            Ok(witness) => {
                let runner = latest.runner_on(target).await?;
                let replayed = args.replay_one(runner, path, &witness, is_shown, flags);
                match replayed.await {
                    Ok(played) => played,
                    Err(error) if is_shown => return Err(error),
                    // What keeps one file from being replayed says nothing of the others.
                    Err(error) => {
                        latest.runner = None;
                        output::write(&format!("{}: {error:#}\n", path.display()))?;
                        unplayed(&error)
                    }
                }
            }
            Err(error) => {
                let error = anyhow::Error::new(error);
                output::write(&format!("{error:#}\n"))?;
                unplayed(&error)
            }
        };
        let is_violated = played.verdict == Verdict::Violation;
        all.push(played);
        if args.fail_fast && is_violated && all.len() < files.len() {
            let left_out = files.len() - all.len();
            output::write(&format!("witnesses left out (--fail-fast): {left_out}\n"))?;
            break;
        }
    }
    let verdict = Verdict::compose(all.iter().map(|played| played.verdict));
    let text: Vec<_> = all.iter().map(Played::line).collect();
    let source = args.described(files)?.map(|it| it.contract.file.clone());
    let page = Page {
        source: source.unwrap_or_else(|| NO_CONTRACT.into()),
        extent: match all.len() < files.len() {
            true => Extent::CutShort,
            false => Extent::Whole,
        },
        ..page(all, verdict, facts, args.repeat())
    };
    let told = args.publish.publish(&page, &text.concat())?;
    unless_found(verdict == Verdict::Violation, latest.close().await)?;
    Ok(told)
}

/// All targets in a few words.
fn describe<'a>(mut targets: impl Iterator<Item = &'a TargetSpec>) -> String {
    let first = targets.next().map_or(String::new(), TargetSpec::describe);
    match targets.all(|target| target.describe() == first) {
        true => first,
        false => "the mutants that the witnesses name".into(),
    }
}

/// Where witnesses are replayed, one after another; those of one target on the same place.
struct LatestRunner<'a, S: Subject> {
    server: &'a Arc<Server>,
    subject: S,
    runner: Option<(String, SerialRunner<S>)>,
    trace: Option<TraceFile>,
}

impl<'a, S: Subject> LatestRunner<'a, S> {
    fn new(server: &'a Arc<Server>, subject: S, trace: Option<TraceFile>) -> Self {
        LatestRunner {
            server,
            subject,
            runner: None,
            trace,
        }
    }

    async fn runner_on(&mut self, target: TargetSpec) -> anyhow::Result<&mut SerialRunner<S>> {
        let name = target.describe();
        if self.runner.as_ref().is_none_or(|(known, _)| *known != name) {
            self.close().await?;
        }
        let setup = Setup {
            subject: self.subject.clone(),
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
    async fn replay_one<S: Subject>(
        &self,
        runner: &mut SerialRunner<S>,
        path: &Path,
        witness: &Witness<S::Program>,
        is_shown: bool,
        flags: &str,
    ) -> anyhow::Result<Played> {
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
            true => shown(path, witness, &worst, &run, &counted, flags),
            false => format!("{}: {worst}{counted}\n", path.display()),
        };
        output::write(&text)?;
        let ran = Witness::new(&witness.target, &witness.program, &run);
        Ok(Played {
            path: path.to_owned(),
            verdict: Verdict::compose(verdicts),
            said: format!("{worst}{counted}"),
            drawn: ran.as_ref().map(Violation::of),
        })
    }

    /// The contract that is meant, if one is: without one that is named, witnesses of the shop are
    /// the shop's.
    fn described(&self, files: &[PathBuf]) -> anyhow::Result<Option<Described>> {
        let is_of_shop = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let witness: Option<serde_json::Value> = serde_json::from_str(&text).ok();
            witness.is_none_or(|witness| witness["program"]["actors"].is_null())
        };
        let may_be_found = !self.service.is_named() && !files.iter().all(is_of_shop);
        self.contract.read(may_be_found)
    }

    /// The flags that name the same server and target, ready to paste.
    fn flags(&self, described: Option<&Described>) -> String {
        let contract = described.map(ContractArgs::repeat).into_iter();
        let flags = contract.chain(self.postgres.repeat());
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
        let words: Vec<_> = words.chain(times).chain([self.flags(None)]).collect();
        words.join(" ").trim_end().to_owned()
    }
}

/// What ran, if it was a violation, and what became of it.
fn shown<P: Program>(
    path: &Path,
    witness: &Witness<P>,
    replayed: &Replayed,
    run: &Run<P>,
    counted: &str,
    flags: &str,
) -> String {
    let ran = Witness::new(&witness.target, &witness.program, run);
    let ran = ran.map(|ran| timeline::render(&ran, wants_colour()) + "\n");
    let replay_line = match replayed.verdict() {
        Verdict::Valid => String::new(),
        _ => timeline::replay_line(path, flags),
    };
    format!(
        "{}{replayed:#}{counted}\n{replay_line}",
        ran.unwrap_or_default()
    )
}

/// All that was replayed, as a page: one witness with its drawing, or each behind its line.
fn page(
    all: &[Played],
    verdict: Verdict,
    facts: Vec<(&'static str, String)>,
    again: String,
) -> Page {
    let sections = all.iter().enumerate().filter_map(|(index, played)| {
        let drawn = played.drawn.as_ref()?;
        let heading = format!("What ran: {}", played.path.display());
        Some(Section::new(heading, drawn.render(&format!("run-{index}"))))
    });
    let drawn = all.iter().filter_map(|played| played.drawn.as_ref());
    let explained = match all {
        [played] => {
            let why = drawn.clone().flat_map(|drawn| drawn.explained.clone());
            why.chain([played.said.clone()]).collect()
        }
        all => {
            let line = |played: &Played| format!("{}: {}", played.path.display(), played.said);
            all.iter().map(line).collect()
        }
    };
    Page {
        title: match all {
            [played] => format!("replay {}", played.path.display()),
            all => format!("replay of {} witnesses", all.len()),
        },
        verdict,
        explained,
        accusations: drawn.flat_map(|drawn| drawn.accusations.clone()).collect(),
        sections: sections.collect(),
        facts,
        again,
        source: NO_CONTRACT.into(),
        extent: Extent::Whole,
    }
}

impl Played {
    fn line(&self) -> String {
        format!("{}: {}\n", self.path.display(), self.said)
    }
}

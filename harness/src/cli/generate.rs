//! `rowlock explore --generate`: programs that nobody wrote, drawn from the seed.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use rand_chacha::ChaCha8Rng;
use rowlock_core::program::Program;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_shop::generated;

use super::common::{conclude_verdict, unless_found};
use super::explore::{ExploreArgs, Prepared, search_one};
use super::output;
use super::witness::Evidence;
use crate::contract;
use crate::environment::EnvironmentError;
use crate::explorer::coverage;
use crate::progress::Progress;
use crate::report::html::{Extent, Page, Section};
use crate::subject::Subject;
use crate::trace::TraceFile;

/// What became of the programs that were drawn.
#[derive(Debug, Default)]
struct Tally {
    valid: usize,
    violated: usize,
    not_proven: usize,
    /// Those that cannot be asked: an actor is refused alone, or the target knows no keys.
    left_out: usize,
}

/// Exit codes: as of a search of one program, of all together.
pub(super) async fn generate(
    args: &ExploreArgs,
    count: usize,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let progress = Progress::on_terminal();
    let seed = args.seed.unwrap_or_else(Seed::from_entropy);
    let mut rng = seed.rng("programs");
    match args.described()? {
        None => {
            let again = args.repeat_generate(seed, count, &args.service_flags());
            let run = async {
                let first = generated::draw(&mut rng);
                let prepared = args.prepare_shop(first, &progress, trace).await?;
                let draw = |rng: &mut ChaCha8Rng| Some(generated::draw(rng));
                explore_all(args, (prepared, count), rng, draw, seed, &again, &progress).await
            };
            conclude_verdict(run, &progress, &again).await
        }
        Some(described) => {
            let again = args.repeat_generate(seed, count, &args.contract_flags(&described));
            let contract = Arc::clone(&described.contract);
            let run = async {
                let draw = |rng: &mut ChaCha8Rng| contract::generated::draw(&contract, rng);
                let first = draw(&mut rng).context("the contract has no story to draw")?;
                let prepared = args.prepare_contract(described, first, &progress, trace);
                let prepared = prepared.await?;
                explore_all(args, (prepared, count), rng, draw, seed, &again, &progress).await
            };
            conclude_verdict(run, &progress, &again).await
        }
    }
}

/// Explores the prepared program and those drawn after it, until one is violated.
async fn explore_all<S: Subject>(
    args: &ExploreArgs,
    (prepared, count): (Prepared<S>, usize),
    mut rng: ChaCha8Rng,
    mut draw: impl FnMut(&mut ChaCha8Rng) -> Option<S::Program>,
    seed: Seed,
    again: &str,
    progress: &Progress,
) -> anyhow::Result<Verdict> {
    let Prepared {
        server,
        setup,
        program,
        flags,
    } = prepared;
    let mut tally = Tally::default();
    let mut sections = Vec::new();
    let (mut explained, mut accusations) = (Vec::new(), Vec::new());
    let mut next = Some(program);
    for number in 1..=count {
        let Some(program) = next.take().or_else(|| draw(&mut rng)) else {
            break;
        };
        progress.say(format!("program {number} of {count}"));
        let shown = describe(number, &program);
        let searching = search_one(args, (&setup, program, &flags), seed, again, progress);
        let (explored, evidence) = match searching.await {
            Err(error) if cannot_be_asked(&error) => {
                tally.left_out += 1;
                continue;
            }
            // What was found stands.
            Err(error) if tally.violated > 0 => {
                output::complain(&format!("error: {error:#}"));
                tally.not_proven += 1;
                continue;
            }
            searched => searched?,
        };
        match explored.verdict() {
            Verdict::Valid => tally.valid += 1,
            Verdict::Inconclusive => tally.not_proven += 1,
            Verdict::Violation => tally.violated += 1,
        }
        for Evidence { drawn, .. } in &evidence {
            let body = drawn.render(&format!("run-{number}"));
            sections.push(Section::new(shown.trim_end(), body));
            explained.extend(drawn.explained.clone());
            accusations.extend(drawn.accusations.clone());
        }
        if explored.verdict() != Verdict::Valid {
            let evidence: String = evidence.iter().map(|it| format!("\n{}", it.text)).collect();
            let coverage = coverage::render(&explored);
            output::write(&format!("\n{shown}{coverage}{evidence}"))?;
        }
        if tally.violated > 0 && !args.keep_going {
            break;
        }
    }
    let text = format!("\n{}seed {seed}; again: rowlock {again}\n", tally.render());
    output::write(&text)?;
    let counted = [tally.render().trim_end().to_owned()];
    sections.extend(Section::lines("What was covered", &counted));
    let page = Page {
        title: format!("explore --generate={count}"),
        verdict: tally.verdict(),
        explained,
        accusations,
        sections,
        facts: vec![
            ("postgres", server.description()),
            ("target", setup.target.describe()),
            ("seed", seed.to_string()),
        ],
        again: again.to_owned(),
        source: args.source()?,
        // Each program ends with its first violation.
        extent: match tally.violated {
            0 => Extent::Sample,
            _ => Extent::CutShort,
        },
    };
    let verdict = args.publish.publish(&page, &text)?;
    drop(setup);
    let Some(server) = Arc::into_inner(server) else {
        bail!("a worker outlived its search");
    };
    unless_found(tally.violated > 0, server.stop().await)?;
    Ok(verdict)
}

/// A program on a few lines.
fn describe<P: Program>(number: usize, program: &P) -> String {
    let calls = (0..program.call_count()).map(|call| program.describe_call(call));
    let calls: Vec<_> = calls.collect();
    let rows = program.describe_initial();
    format!("program {number}: {rows}; {}\n", calls.join("; "))
}

fn cannot_be_asked(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(EnvironmentError::Contract(_) | EnvironmentError::NotAsked(_))
        )
    })
}

impl Tally {
    fn verdict(&self) -> Verdict {
        match self {
            Tally { violated: 1.., .. } => Verdict::Violation,
            Tally {
                valid: 1..,
                not_proven: 0,
                ..
            } => Verdict::Valid,
            _ => Verdict::Inconclusive,
        }
    }

    fn render(&self) -> String {
        let Tally {
            valid,
            violated,
            not_proven,
            left_out,
        } = self;
        let generated = valid + violated + not_proven + left_out;
        format!(
            "{}: {generated} programs generated: {violated} violated, {not_proven} not proven, \
             {valid} valid, {left_out} left out that cannot be asked\n",
            self.verdict()
        )
    }
}

impl ExploreArgs {
    /// The flags that draw the same programs again, ready to paste.
    fn repeat_generate(&self, seed: Seed, count: usize, target: &str) -> String {
        self.repeat_from(vec![format!("explore --generate={count}")], seed, target)
    }
}

//! `rowlock mutants`: the harness proves itself on services whose bugs are known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use rowlock_core::seed::Seed;
use rowlock_postgres::Server;

use super::common::{conclude, write_junit};
use super::publish::PublishArgs;
use super::{Format, PostgresArgs, exit_code, output};
use crate::explorer::Witness;
use crate::mutation::detector::COLUMNS;
use crate::mutation::{Analysis, Column, Report, Variant, junit, matrix};
use crate::progress::Progress;
use crate::report::html;

/// Exit codes: 0 each mutant is caught and no lawful service is accused; 1 a mutant survived, or
/// a right service is accused; 4 something could not be decided, as where a mutant's own detectors are
/// left out.
#[derive(Debug, Args)]
pub(super) struct MutantsArgs {
    #[command(flatten)]
    postgres: PostgresArgs,
    /// Only this mutant or lawful service; may be given again
    #[arg(long = "only", value_name = "NAME", value_parser = super::service::mutant_names())]
    only: Vec<String>,
    /// Only this detector, a column of the report; may be given again
    #[arg(long = "column", value_name = "NAME", value_parser = column_names())]
    columns: Vec<Column>,
    /// Write a witness NAME.json for each mutant that the explorer catches, for `rowlock replay`
    #[arg(long, value_name = "DIR")]
    witness_dir: Option<PathBuf>,
    /// Also count how often plain stress would have found each: 200 buyers, 20 tries, and 2,000
    /// buyers, 3 tries
    #[arg(long)]
    against_stress: bool,
    /// Where every random choice comes from; printed with the report
    #[arg(long, value_name = "SEED")]
    seed: Option<Seed>,
    /// How to write the report on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Also write the report as JUnit XML
    #[arg(long, value_name = "PATH")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    publish: PublishArgs,
}

pub(super) async fn mutants(args: MutantsArgs) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(Seed::from_entropy);
    let progress = Progress::on_terminal();
    let again = args.repeat(seed);
    let analysed = conclude(analyse(&args, seed, &progress), &progress, &again).await?;
    let (report, witnesses) = match analysed {
        Ok(analysed) => analysed,
        Err(code) => return Ok(code),
    };
    if let Some(directory) = &args.witness_dir {
        write_witnesses(directory, &witnesses)?;
    }
    let text = format!("{}again:    rowlock {again}\n", matrix::render(&report));
    let page = html::mutants(&report, &again);
    let verdict = args.publish.publish(&page, &text)?;
    write_junit(args.junit.as_deref(), || junit::render(&report))?;
    output::write(&match args.format {
        Format::Human => text,
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
    })?;
    Ok(exit_code::of(verdict))
}

async fn analyse(
    args: &MutantsArgs,
    seed: Seed,
    progress: &Progress,
) -> anyhow::Result<(Report, BTreeMap<&'static str, Witness>)> {
    let variants = match args.only.as_slice() {
        [] => Variant::all(),
        names => names
            .iter()
            .filter_map(|name| Variant::find(name))
            .collect(),
    };
    let rowlock = std::env::current_exe().context("cannot find this program's own file")?;
    progress.say("starting PostgreSQL");
    let server = Server::start(&args.postgres.impatient()).await?;
    let exploring = Arc::new(Server::start(&args.postgres.exploring()).await?);
    let analysis = Analysis {
        baseline: Variant::BASELINE,
        rowlock: &rowlock,
        columns: args.columns(),
        server: &server,
        exploring: &exploring,
        seed,
        wants_witnesses: args.witness_dir.is_some(),
        progress,
    };
    let (mut report, witnesses) = analysis.run(&variants).await?;
    if args.against_stress && report.has_baseline() {
        for (row, variant) in report.rows.iter_mut().skip(1).zip(&variants) {
            row.stress = analysis.stress(variant).await;
        }
    }
    progress.say("removing what was made");
    let Some(exploring) = Arc::into_inner(exploring) else {
        bail!("a worker outlived its search");
    };
    exploring.stop().await?;
    server.stop().await?;
    Ok((report, witnesses))
}

fn write_witnesses(
    directory: &Path,
    witnesses: &BTreeMap<&'static str, Witness>,
) -> anyhow::Result<()> {
    let failed = |path: &Path| format!("cannot write {}", path.display());
    std::fs::create_dir_all(directory).with_context(|| failed(directory))?;
    for (name, witness) in witnesses {
        let path = directory.join(format!("{name}.json"));
        std::fs::write(&path, witness.to_json()).with_context(|| failed(&path))?;
    }
    Ok(())
}

fn column_names() -> impl clap::builder::TypedValueParser<Value = Column> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = PossibleValuesParser::new(COLUMNS.iter().map(|column| column.name()));
    names.try_map(|name| name.parse::<Column>())
}

impl MutantsArgs {
    /// The detectors that were chosen, or all.
    fn columns(&self) -> &[Column] {
        match self.columns.as_slice() {
            [] => &COLUMNS,
            chosen => chosen,
        }
    }

    /// The command line that makes the same run again.
    fn repeat(&self, seed: Seed) -> String {
        let mut words = vec!["mutants".to_owned(), format!("--seed {seed}")];
        words.extend(self.postgres.repeat());
        words.extend(self.only.iter().map(|name| format!("--only {name}")));
        let columns = self.columns.iter();
        words.extend(columns.map(|column| format!("--column {}", column.name())));
        if self.against_stress {
            words.push("--against-stress".into());
        }
        words.join(" ")
    }
}

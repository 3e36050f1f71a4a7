//! What exploring one program came to, as a page.

use std::path::PathBuf;

use rowlock_core::program::Program;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;

use super::{ExploreArgs, Searched};
use crate::explorer::coverage;
use crate::report::html::{NO_CONTRACT, Page, Section};
use crate::report::{Accusation, Fingerprint};

impl ExploreArgs {
    /// The file that says what is judged.
    pub(in crate::cli) fn source(&self) -> anyhow::Result<PathBuf> {
        let described = self.described()?;
        let file = described.map(|described| described.contract.file.clone());
        Ok(file.unwrap_or_else(|| NO_CONTRACT.into()))
    }
}

impl<P: Program> Searched<P> {
    /// That not everything could be explored and checked, if so.
    fn not_proven(&self, open: &[String]) -> Vec<Accusation> {
        let not_proven = Accusation {
            check: "not-proven".into(),
            sentence: format!(
                "not everything could be explored and checked: {}",
                open.join("; ")
            ),
            verdict: Verdict::Inconclusive,
            fingerprint: Fingerprint::of("not-proven", [self.program.as_str()]),
        };
        let is_open = self.explored.verdict() == Verdict::Inconclusive;
        is_open.then_some(not_proven).into_iter().collect()
    }

    pub(super) fn page(&self, seed: Seed, again: &str, source: PathBuf) -> Page {
        let drawn = self.evidence.as_ref().map(|evidence| &evidence.drawn);
        let explored = &self.explored;
        let mut sections: Vec<_> = drawn
            .map(|drawn| Section::new("What ran", drawn.render("run")))
            .into_iter()
            .collect();
        let covered = coverage::covered(explored);
        let open = [coverage::left_open(explored), self.remarks.clone()].concat();
        sections.extend(Section::lines("What was covered", &covered));
        sections.extend(Section::lines("What was not", &open));
        Page {
            title: format!("explore {}", self.program),
            verdict: explored.verdict(),
            explained: drawn.map_or_else(Vec::new, |drawn| drawn.explained.clone()),
            accusations: match drawn {
                Some(drawn) => drawn.accusations.clone(),
                None => self.not_proven(&open),
            },
            sections,
            facts: vec![
                ("postgres", self.postgres.clone()),
                ("target", self.target.clone()),
                ("seed", seed.to_string()),
            ],
            again: again.to_owned(),
            source,
        }
    }
}

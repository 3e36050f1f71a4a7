//! What exploring one program came to, as a page.

use std::path::PathBuf;

use rowlock_core::program::Program;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;

use super::{ExploreArgs, Searched};
use crate::explorer::coverage;
use crate::report::html::{Extent, NO_CONTRACT, Page, Section};
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
        let drawn = || self.evidence.iter().map(|evidence| &evidence.drawn);
        let explored = &self.explored;
        let ran = drawn().enumerate();
        let mut sections: Vec<_> = ran
            .map(|(index, drawn)| Section::new("What ran", drawn.render(&format!("run-{index}"))))
            .collect();
        let covered = coverage::covered(explored);
        let open = [coverage::left_open(explored), self.remarks.clone()].concat();
        sections.extend(Section::lines("What was covered", &covered));
        sections.extend(Section::lines("What was not", &open));
        Page {
            title: format!("explore {}", self.program),
            verdict: explored.verdict(),
            explained: drawn().flat_map(|drawn| drawn.explained.clone()).collect(),
            accusations: match self.evidence.is_empty() {
                false => drawn()
                    .flat_map(|drawn| drawn.accusations.clone())
                    .collect(),
                true => self.not_proven(&open),
            },
            sections,
            facts: vec![
                ("postgres", self.postgres.clone()),
                ("target", self.target.clone()),
                ("seed", seed.to_string()),
            ],
            again: again.to_owned(),
            source,
            extent: match &explored.violation {
                _ if explored.exhausted => Extent::Whole,
                Some(_) if !self.went_on => Extent::CutShort,
                _ => Extent::Sample,
            },
        }
    }
}

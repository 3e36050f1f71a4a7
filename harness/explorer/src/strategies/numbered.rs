//! Footprints by number, so that each two are compared only once.

use std::collections::HashMap;

use crate::footprint::Footprint;

/// The number of a footprint.
pub(super) type Number = usize;

/// Footprints, and which of them depend on which.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    numbers: HashMap<Footprint, Number>,
    all: Vec<Footprint>,
    /// Of each footprint, whether it depends on each that came before it and on itself.
    depends: Vec<Vec<bool>>,
}

impl Numbered {
    /// The number of `footprint`.
    pub(super) fn number(&mut self, footprint: &Footprint) -> Number {
        if let Some(number) = self.numbers.get(footprint) {
            return *number;
        }
        let number = self.all.len();
        self.all.push(footprint.clone());
        let depends = self.all.iter().map(|other| footprint.depends_on(other));
        self.depends.push(depends.collect());
        self.numbers.insert(footprint.clone(), number);
        number
    }

    /// The footprint of this number.
    pub(super) fn get(&self, number: Number) -> &Footprint {
        &self.all[number]
    }

    /// Whether one of them depends on the other.
    pub(super) fn depend(&self, one: Number, other: Number) -> bool {
        self.depends[one.max(other)][one.min(other)]
    }
}

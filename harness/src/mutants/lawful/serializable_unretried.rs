//! SERIALIZABLE, and whoever gives way is told so.

use super::super::decider::deciding;
use super::Lawful;
use super::serializable::attempt;
use crate::target::OnConflict;

pub(super) const LAWFUL: Lawful = Lawful {
    name: "serializable-unretried",
    why: "PostgreSQL lets commit only what some order one after another could have done, and who \
          is not among them is answered 409 and may come again",
    on_conflict: OnConflict::GivesWay,
    build: |pool| deciding(pool, attempt),
};

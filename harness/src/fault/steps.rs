//! Steps as words: what a report shows of one, and what of it two runs share.

use rowlock_proxy::Step;

/// The SQL of a step: its statements, one after another.
pub(super) fn sql(step: &Step) -> String {
    let statements = step
        .statements
        .iter()
        .map(|statement| statement.sql.as_str());
    statements.collect::<Vec<_>>().join("; ")
}

/// What two runs of the same code share of a step: its SQL without literals.
pub(super) fn shape(step: &Step) -> String {
    let statements = step.statements.iter();
    let shapes = statements.map(|statement| rowlock_explorer::shape(&statement.sql));
    shapes.collect::<Vec<_>>().join("; ")
}

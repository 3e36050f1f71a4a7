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

/// The steps of `one` that come in `other` too, in the same order, as many as there can be.
pub(super) fn common(one: &[Step], other: &[Step]) -> Vec<Step> {
    let shapes: Vec<String> = other.iter().map(shape).collect();
    let own: Vec<String> = one.iter().map(shape).collect();
    // How many there are from each place on.
    let mut count = vec![vec![0_usize; shapes.len() + 1]; own.len() + 1];
    for at in (0..own.len()).rev() {
        for there in (0..shapes.len()).rev() {
            count[at][there] = match own[at] == shapes[there] {
                true => 1 + count[at + 1][there + 1],
                false => count[at + 1][there].max(count[at][there + 1]),
            };
        }
    }
    let mut common = Vec::new();
    let (mut at, mut there) = (0, 0);
    while at < own.len() && there < shapes.len() {
        if own[at] == shapes[there] {
            common.push(one[at].clone());
            (at, there) = (at + 1, there + 1);
        } else if count[at + 1][there] >= count[at][there + 1] {
            at += 1;
        } else {
            there += 1;
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use rowlock_proxy::{SessionId, Statement, StepId, StepKind};

    use super::*;

    fn steps(texts: &[&str]) -> Vec<Step> {
        let step = |(number, sql): (u64, &&str)| Step {
            id: StepId {
                session: SessionId(1),
                number,
            },
            pid: None,
            transaction: 1,
            kind: StepKind::Execute,
            state_before: None,
            statements: vec![Statement {
                sql: (*sql).into(),
                parameters: Vec::new(),
            }],
        };
        (1..).zip(texts).map(step).collect()
    }

    #[test]
    fn what_comes_only_now_and_then_is_not_common() {
        let often = ["begin", "select 1 from item", "rollback"];
        let now_and_then = ["begin", "select 7 from item", "rollback", "deallocate all"];
        for (one, other) in [(&often[..], &now_and_then[..]), (&now_and_then, &often)] {
            let common = common(&steps(one), &steps(other));
            let common: Vec<_> = common.iter().map(shape).collect();
            let wanted: Vec<_> = steps(&often).iter().map(shape).collect();
            assert_eq!(common, wanted);
        }
    }
}

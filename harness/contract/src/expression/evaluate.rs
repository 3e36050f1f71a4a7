//! The truth of an expression.

use std::collections::BTreeMap;

use super::number::{Number, NumberError};
use super::{Comparison, Expression, ExpressionError, Extreme, Facts, Operation, Relation, Term};

/// In how many ways the unknown calls may have ended before nobody tries them all.
const MOST_WAYS: u64 = 1_000_000;

pub(super) fn holds(expression: &Expression, facts: &Facts) -> Result<bool, ExpressionError> {
    let calls = expression.calls();
    let counts = |call: &&str| facts.counts.get(*call).copied().unwrap_or_default();
    let counts: Vec<_> = calls.iter().map(counts).collect();
    let ways = counts.iter().try_fold(1_u64, |ways, counts| {
        ways.checked_mul(u64::from(counts.unknown) + 1)
    });
    if ways.is_none_or(|ways| ways > MOST_WAYS) {
        return Err(ExpressionError::TooManyUnknown);
    }
    // How many of the unknown calls happened, counted up like the digits of a number.
    let mut happened = vec![0_u32; calls.len()];
    loop {
        let numbers = calls.iter().zip(&counts).zip(&happened);
        let ok = numbers
            .map(|((call, counts), more)| (*call, i64::from(counts.ok) + i64::from(*more)))
            .collect();
        if (World { facts, ok }).fits(expression)? {
            return Ok(true);
        }
        let next = (0..happened.len()).find(|at| happened[*at] < counts[*at].unknown);
        let Some(next) = next else {
            return Ok(false);
        };
        happened[next] += 1;
        happened[..next].fill(0);
    }
}

/// One way in which all calls may have ended.
struct World<'a> {
    facts: &'a Facts,
    ok: BTreeMap<&'a str, i64>,
}

impl World<'_> {
    fn fits(&self, expression: &Expression) -> Result<bool, NumberError> {
        for comparison in &expression.comparisons {
            if !self.is_true(comparison)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_true(&self, comparison: &Comparison) -> Result<bool, NumberError> {
        let left = self.value(&comparison.left)?;
        let order = left.compare(self.value(&comparison.right)?)?;
        Ok(match comparison.relation {
            Relation::Equal => order.is_eq(),
            Relation::Unequal => order.is_ne(),
            Relation::AtMost => order.is_le(),
            Relation::AtLeast => order.is_ge(),
            Relation::Less => order.is_lt(),
            Relation::More => order.is_gt(),
        })
    }

    fn value(&self, term: &Term) -> Result<Number, NumberError> {
        match term {
            Term::Number(number) => Ok(*number),
            Term::Before => Ok(self.facts.before),
            Term::After => Ok(self.facts.after),
            Term::Ok(call) => Ok(self
                .ok
                .get(call.as_str())
                .copied()
                .unwrap_or_default()
                .into()),
            Term::Unknown(call) => {
                let counts = self.facts.counts.get(call).copied().unwrap_or_default();
                Ok(i64::from(counts.unknown).into())
            }
            Term::Negative(term) => self.value(term)?.negative(),
            Term::Binary(left, operation, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                match operation {
                    Operation::Plus => left.plus(right),
                    Operation::Minus => left.minus(right),
                    Operation::Times => left.times(right),
                    Operation::Over => left.over(right),
                }
            }
            Term::Extreme(extreme, terms) => self.extreme(*extreme, terms),
        }
    }

    fn extreme(&self, extreme: Extreme, terms: &[Term]) -> Result<Number, NumberError> {
        let mut values = terms.iter().map(|term| self.value(term));
        let mut found = values.next().unwrap_or_else(|| Ok(Number::default()))?;
        for value in values {
            let value = value?;
            let order = value.compare(found)?;
            let is_further = match extreme {
                Extreme::Least => order.is_lt(),
                Extreme::Greatest => order.is_gt(),
            };
            if is_further {
                found = value;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Counts;
    use super::*;

    /// Whether it holds with these numbers, and counts of `(call, ok, unknown)`.
    fn holds(text: &str, before: i64, after: i64, counts: &[(&str, u32, u32)]) -> bool {
        let counts = counts.iter().map(|(call, ok, unknown)| {
            let (ok, unknown) = (*ok, *unknown);
            ((*call).to_owned(), Counts { ok, unknown })
        });
        let facts = Facts {
            before: before.into(),
            after: after.into(),
            counts: counts.collect(),
        };
        Expression::parse(text).unwrap().holds(&facts).unwrap()
    }

    #[test]
    fn counts_of_ok_are_what_the_rows_must_show() {
        let text = "after == before - 10 * ok(buy)";
        assert!(holds(text, 100, 80, &[("buy", 2, 0)]));
        assert!(!holds(text, 100, 90, &[("buy", 2, 0)]));
        assert!(holds(text, 100, 100, &[]));
    }

    #[test]
    fn an_unknown_call_may_have_happened_or_not_but_not_by_half() {
        let text = "after == before - 10 * ok(buy)";
        assert!(holds(text, 100, 80, &[("buy", 1, 1)]));
        assert!(holds(text, 100, 90, &[("buy", 1, 1)]));
        assert!(!holds(text, 100, 85, &[("buy", 1, 1)]));
        assert!(!holds(text, 100, 70, &[("buy", 1, 1)]));
    }

    #[test]
    fn unknown_calls_of_several_names_are_tried_together() {
        let text = "after == before - 10 * ok(buy) + 3 * ok(cancel)";
        let counts = [("buy", 0, 2), ("cancel", 0, 2)];
        for after in [0, -10, -20, 3, -7, -17, 6, -4, -14] {
            assert!(holds(text, 0, after, &counts), "{after}");
        }
        for after in [-15, -1, 9, -30] {
            assert!(!holds(text, 0, after, &counts), "{after}");
        }
    }

    #[test]
    fn one_call_counts_alike_wherever_it_stands() {
        let counts = [("buy", 0, 5)];
        assert!(holds("ok(buy) - ok(buy) == 0", 0, 0, &counts));
        assert!(!holds("ok(buy) - ok(buy) == 1", 0, 0, &counts));
        assert!(holds("unknown(buy) == 5", 0, 0, &counts));
    }

    #[test]
    fn operators_bind_as_usual() {
        assert!(holds("1 + 2 * 3 == 7 and (1 + 2) * 3 == 9", 0, 0, &[]));
        assert!(holds("7 - 2 - 1 == 4 and 8 / 4 / 2 == 1", 0, 0, &[]));
        assert!(holds("-2 * -(1 + 2) == 6 and 1 / 3 * 3 == 1", 0, 0, &[]));
        assert!(holds("0 <= after <= before", 5, 3, &[]));
        assert!(!holds("0 <= after <= before", 5, 6, &[]));
        assert!(holds(
            "after == max(0, before - ok(sign-up))",
            1,
            0,
            &[("sign-up", 3, 0)]
        ));
        assert!(holds(
            "min(3, before, after) != 3 and 1.5 > 1.25",
            1,
            2,
            &[]
        ));
        assert!(!holds("1 < 1 and 0 == 0", 0, 0, &[]));
    }

    #[test]
    fn too_many_ways_are_an_error_and_no_verdict() {
        let counts = ["a", "b", "c"].map(|call| {
            let counts = Counts {
                ok: 0,
                unknown: 999,
            };
            (call.to_owned(), counts)
        });
        let facts = Facts {
            counts: counts.into(),
            ..Facts::default()
        };
        let expression = Expression::parse("ok(a) + ok(b) + ok(c) == -1").unwrap();
        assert_eq!(
            expression.holds(&facts),
            Err(ExpressionError::TooManyUnknown)
        );
    }

    #[test]
    fn what_is_wrong_with_one_is_said() {
        let wrong = [
            ("", "a number is expected, not the end"),
            ("after", "a comparison like `==` is expected, not the end"),
            ("after = 1", "`=` is written `==`"),
            (
                "after == befor",
                "`befor` is not known here; known are before",
            ),
            ("ok() == 1", "a call's name is expected"),
            (
                "ok(buy == 1",
                "a call's name and `)` are expected, not `==`",
            ),
            ("(1 + 2 == 3", "`)` is expected, not `==`"),
            ("1 == 1 1", "`1` does not belong here"),
            ("1 == 2 % 3", "`%` is not known here"),
            ("1.2.3 == 1", "`1.2.3` is not a number"),
        ];
        for (text, expected) in wrong {
            let error = Expression::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let deep = format!("{}1 == 1", "-".repeat(100_000));
        assert_eq!(
            Expression::parse(&deep).unwrap_err(),
            "it is nested too deep"
        );
    }
}

//! Operations in numbers: how often each answer came, how long it took, and how many a second.

use hdrhistogram::Histogram;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// An hour, which no client waits.
const LONGEST_US: u64 = 3_600_000_000;

/// An operation of a subject, as far as numbers go.
pub trait Measured {
    /// What a rate counts of those that were ok: `purchases`.
    const COUNTED: &'static str;

    /// Its numbers.
    fn sample(&self) -> Sample;
}

/// One operation, as its client saw it. Times are nanoseconds of one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When the client meant to begin; latencies count from here.
    pub intended_ns: u64,
    /// When the last of its answers was complete, or given up.
    pub completed_ns: u64,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// Whether it was answered, and so has a latency.
    pub is_answered: bool,
    /// Whether a rate counts it.
    pub is_ok: bool,
    /// Whether it gave way to others.
    pub gave_way: bool,
}

/// How often each kind of answer came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// 2xx: acknowledged.
    pub ok: u64,
    /// 400: refusals.
    pub bad_request: u64,
    /// 409: conflicts.
    pub conflict: u64,
    /// 5xx.
    pub server_error: u64,
    /// Any other status.
    pub other: u64,
    /// No answer at all.
    pub none: u64,
}

impl Tally {
    /// Counts one answer by its status, or that there was none.
    fn add(&mut self, status: Option<u16>) {
        let count = match status {
            Some(200..=299) => &mut self.ok,
            Some(400) => &mut self.bad_request,
            Some(409) => &mut self.conflict,
            Some(500..=599) => &mut self.server_error,
            Some(_) => &mut self.other,
            None => &mut self.none,
        };
        *count += 1;
    }
}

/// So many of something in a second; as a field of a document, `purchases_per_second`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// What is counted, a plural.
    pub counted: &'static str,
    /// How many of it in a second.
    pub per_second: f64,
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut field = serializer.serialize_map(Some(1))?;
        field.serialize_entry(&format!("{}_per_second", self.counted), &self.per_second)?;
        field.end()
    }
}

/// How operations went on, to be drawn.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Course {
    /// How many were answered within so many µs, and not within the bound before.
    pub latencies: Vec<(u64, u64)>,
    /// How many were ok in each of as many equal slices of the time.
    pub ok: Vec<u64>,
    /// The length of a slice, in ms.
    pub slice_ms: f64,
}

/// Slices of time that a course has.
const SLICES: usize = 40;

/// Fewer operations have no course: one bar each would say nothing.
const COURSE_LEAST: usize = 50;

impl Course {
    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.ok.is_empty()
    }

    /// The course of `samples`, which took from `first_ns` on `all_ns`.
    fn of(
        samples: &[Sample],
        latencies: &Histogram<u64>,
        (first_ns, all_ns): (u64, u64),
    ) -> Course {
        if samples.len() < COURSE_LEAST || all_ns == 0 {
            return Course::default();
        }
        let mut ok = vec![0; SLICES];
        for sample in samples.iter().filter(|sample| sample.is_ok) {
            let after_ns = sample.completed_ns.saturating_sub(first_ns);
            let at = u128::from(after_ns) * SLICES as u128 / u128::from(all_ns);
            ok[usize::try_from(at).unwrap_or(SLICES).min(SLICES - 1)] += 1;
        }
        Course {
            latencies: buckets(latencies),
            ok,
            slice_ms: all_ns as f64 / 1e6 / SLICES as f64,
        }
    }
}

/// Counts between bounds that grow by a quarter each, without those at the ends where nothing is.
fn buckets(latencies: &Histogram<u64>) -> Vec<(u64, u64)> {
    let mut buckets = Vec::new();
    let (mut above, mut bound) = (0_u64, 10_u64);
    while above < latencies.max() {
        let count = latencies.count_between(above + 1, bound);
        buckets.push((bound, count));
        (above, bound) = (bound, bound + bound / 4 + 1);
    }
    let first = buckets.iter().position(|(_, count)| *count > 0);
    buckets.drain(..first.unwrap_or(buckets.len()));
    buckets
}

/// Operations in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// How many there were.
    pub operations: usize,
    /// Their answers.
    pub answers: Tally,
    /// How many gave way to others.
    pub gave_way: u64,
    /// Median latency of those that were answered, in µs.
    pub p50_us: u64,
    /// 99th percentile of the same, in µs.
    pub p99_us: u64,
    /// Those that were ok, from the first intended start to the last answer.
    pub rate: Rate,
    /// How they went on.
    pub course: Course,
}

impl Measure {
    /// The numbers of `operations`.
    pub fn of<O: Measured>(operations: &[O]) -> Measure {
        let mut latencies = Histogram::<u64>::new_with_bounds(1, LONGEST_US, 3)
            .expect("the bounds and figures are allowed");
        let mut answers = Tally::default();
        let (mut ok, mut gave_way) = (0_u64, 0);
        let (mut first_ns, mut last_ns) = (u64::MAX, 0);
        let samples: Vec<_> = operations.iter().map(Measured::sample).collect();
        for sample in &samples {
            answers.add(sample.status);
            ok += u64::from(sample.is_ok);
            gave_way += u64::from(sample.gave_way);
            first_ns = first_ns.min(sample.intended_ns);
            last_ns = last_ns.max(sample.completed_ns);
            if sample.is_answered {
                let latency_ns = sample.completed_ns.saturating_sub(sample.intended_ns);
                latencies.saturating_record(latency_ns / 1000);
            }
        }
        let all_ns = last_ns.saturating_sub(first_ns);
        let seconds = all_ns as f64 / 1e9;
        Measure {
            operations: operations.len(),
            answers,
            gave_way,
            course: Course::of(&samples, &latencies, (first_ns, all_ns)),
            p50_us: latencies.value_at_quantile(0.50),
            p99_us: latencies.value_at_quantile(0.99),
            rate: Rate {
                counted: O::COUNTED,
                per_second: match seconds > 0.0 {
                    true => ok as f64 / seconds,
                    false => 0.0,
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told(u64, u64, Option<u16>);

    impl Measured for Told {
        const COUNTED: &'static str = "sales";

        fn sample(&self) -> Sample {
            Sample {
                intended_ns: self.0,
                completed_ns: self.1,
                status: self.2,
                is_answered: self.2.is_some(),
                is_ok: self.2 == Some(200),
                gave_way: matches!(self.2, Some(409 | 423)),
            }
        }
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn rates_count_from_the_first_start_to_the_last_answer_and_latencies_the_answered() {
        let told = [
            Told(10 * MS, 12 * MS, Some(200)),
            Told(10 * MS, 14 * MS, Some(423)),
            Told(20 * MS, 510 * MS, None),
            Told(20 * MS, 26 * MS, Some(200)),
        ];
        let measure = Measure::of(&told);
        assert_eq!(measure.operations, 4);
        assert_eq!((measure.gave_way, measure.answers.ok), (1, 2));
        assert_eq!((measure.answers.other, measure.answers.none), (1, 1));
        assert_eq!(measure.rate.per_second, 4.0);
        let near = |us: u64, ms: u64| us.abs_diff(ms * 1000) <= ms;
        assert!(
            near(measure.p50_us, 4) && near(measure.p99_us, 6),
            "{measure:?}"
        );
        let json = serde_json::to_string(&measure.rate).unwrap();
        assert_eq!(json, r#"{"sales_per_second":4.0}"#);
    }

    #[test]
    fn a_course_counts_each_operation_once_where_it_ended() {
        let told = |number: u64| {
            Told(
                0,
                (number + 1) * MS,
                Some(if number < 60 { 200 } else { 400 }),
            )
        };
        let told: Vec<_> = (0..80).map(told).collect();
        let course = Measure::of(&told).course;
        assert_eq!(course.slice_ms, 2.0);
        assert_eq!(course.ok.iter().sum::<u64>(), 60);
        assert_eq!((course.ok[0], course.ok[1], course.ok[39]), (1, 2, 0));
        let counted = course.latencies.iter().map(|(_, count)| count);
        assert_eq!(counted.sum::<u64>(), 80);
        assert!(course.latencies.is_sorted_by_key(|(bound, _)| *bound));
        let few = Measure::of(&told[..10]).course;
        assert!(few.is_empty(), "{few:?}");
    }

    #[test]
    fn nothing_has_no_rate() {
        let measure = Measure::of::<Told>(&[]);
        assert_eq!((measure.operations, measure.rate.per_second), (0, 0.0));
    }
}

//! How long it takes to judge 10,000 buyers of one item.

#![allow(
    missing_docs,
    reason = "criterion's macros make public functions without docs"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rowlock_core::verdict::Verdict;
use rowlock_shop::linearizability::{Budget, Recording, check};

#[path = "../../harness/shop/tests/linearizability/sale.rs"]
mod sale;

use sale::{one_by_one, oversold, refused_too_early, sale};

const BUYERS: usize = 10_000;

fn sales(c: &mut Criterion) {
    let mut group = c.benchmark_group("10,000 buyers");
    group.sample_size(10);
    let mut judge = |name: &str, recording: Recording, expected: Verdict| {
        let verdict = check(&recording, Budget::default()).verdict();
        assert_eq!(verdict, expected, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| check(black_box(&recording), Budget::default()));
        });
    };
    judge("stock 1", sale(BUYERS, 1, 0), Verdict::Valid);
    judge("stock 1,000", sale(BUYERS, 1_000, 0), Verdict::Valid);
    judge("stock for all", sale(BUYERS, 20_000, 0), Verdict::Valid);
    judge(
        "one by one",
        one_by_one(sale(BUYERS, 1_000, 0)),
        Verdict::Valid,
    );
    judge(
        "every 100th answer lost",
        sale(BUYERS, 1_000, 100),
        Verdict::Valid,
    );
    let early = refused_too_early(sale(BUYERS, 1_000, 0));
    judge("one refused too early", early, Verdict::Violation);
    judge(
        "one unit too many",
        oversold(sale(BUYERS, 1_000, 0)),
        Verdict::Violation,
    );
    group.finish();
}

criterion_group!(benches, sales);
criterion_main!(benches);

//! Criterion benchmarks; everything is in `benches/`.

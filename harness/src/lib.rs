//! The verification harness.

pub mod postgres;

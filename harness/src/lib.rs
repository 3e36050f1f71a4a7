//! The verification harness.

pub mod proxy;

//! The verification harness.

pub mod postgres;
pub mod proxy;

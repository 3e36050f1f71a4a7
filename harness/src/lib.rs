//! The verification harness.

//! A flash-sale purchase service.

pub mod order;

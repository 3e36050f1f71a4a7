//! A flash-sale purchase service: one Postgres transaction per purchase, item before wallet.
//!
//! A request comes in through [`http`], is read strictly, passes [`admission`], and is decided by
//! a [`purchaser::Purchaser`]; ours is [`locked::LockedPurchase`], and [`purchase`] the only place that
//! locks rows. [`observe`] names, logs and counts each request. [`service`] puts the parts together, and
//! [`server`] runs them on a listener.
//!
//! What it does not do: it creates no items or wallets, and it knows nothing of its tests.

pub mod order;

pub mod purchaser;

mod backoff;
mod judgement;
pub mod locked;
mod purchase;
mod session;

pub mod admission;
mod caller;
pub mod http;
mod page;
mod problem;
mod reads;
mod request;
pub mod shop;
mod stock;

pub mod metrics;
pub mod observe;
mod request_id;

pub mod openapi;

pub mod config;
pub mod log;
pub mod server;
pub mod service;

pub use config::Config;
pub use service::{MIGRATOR, Service, run};

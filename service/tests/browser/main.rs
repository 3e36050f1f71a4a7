//! The page in a real Chromium: whatever a buyer does, one intent is one purchase.
//!
//! Between the browser and the service stands a [`front`] that counts and loses answers; between
//! the service and PostgreSQL stands the proxy, whose gate holds a COMMIT for as long as the test
//! wants to look at a purchase that is under way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../common/mod.rs"]
mod common;

mod driver;
mod front;
mod stage;

mod accessible;
mod answers;
mod once;
mod stock;

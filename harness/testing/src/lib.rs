//! What the tests of the workspace's crates share, and nothing else uses.
//!
//! - [`tool`]: a test that needs a program which a machine may lack asks for it here, so that
//!   `ROWLOCK_TEST_REQUIRE` can make its absence a failure.
//! - [`browser`]: a real Chromium for tests of pages, and axe-core's opinion of them.
//! - [`seed`]: a test of generated programs takes its seeds here, so that `ROWLOCK_TEST_SEED` can
//!   add a fresh one.
//!
//! It knows nothing of services, servers or PostgreSQL.

pub mod browser;
pub mod seed;
pub mod tool;

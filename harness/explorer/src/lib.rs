//! The explorer: every order in which the statements of a few requests can reach PostgreSQL.
//!
//! A [`Program`] is the same few requests on the same rows, again and again, each time under
//! another [`Schedule`]. One run of it:
//!
//! ```text
//!   clients              target                     proxy                    PostgreSQL
//!  ┌───────┐  HTTP  ┌───────────────┐  steps  ┌─────────────────┐  steps  ┌────────────────┐
//!  │ A, B… │ ─────▶ │ application   │ ──────▶ │ gate            │ ──────▶ │ executes each, │
//!  │       │ ◀───── │ and its pool  │ ◀────── │ holds each step │ ◀────── │ or lets it     │
//!  └───────┘        └───────────────┘ replies │ and each reply  │ replies │ wait for locks │
//!      │                                      └─────────────────┘         └────────────────┘
//!      │ answers                   held, replied │       ▲ let go                  ▲
//!      │                                         ▼       │                         │
//!      │      ┌───────────────────────────────────────────────┐   who waits for    │
//!      └────▶ │ conductor                                     │   whom? (monitor)  │
//!             │ one request's code runs at a time; waits      │ ───────────────────┘
//!             │ until nothing moves, then asks what goes next │
//!             └───────────────────────────────────────────────┘
//!      a point: who can go on, │       ▲ a choice                │ Execution: schedule,
//!      and what it can touch   ▼       │                         ▼ transcript, transitions
//!             ┌──────────────────────────────┐  observes  ┌───────────────────────────────┐
//!             │ chooser                      │ ◀───────── │ search, in the order in which │
//!             │ one run of a strategy: dfs,  │            │ the choosers were handed out  │
//!             │ bounded, pct, random, overlap│ ─────────▶ │                               │
//!             └──────────────────────────────┘  next run  └───────────────────────────────┘
//!                                                           │ Run: the same, with answers,
//!                                                           ▼ rows and findings
//!                                      judged: valid, inconclusive, or a violation,
//!                                      which is shrunk, written as a witness, replayed
//! ```
//!
//! # Terms
//!
//! | term | meaning |
//! |---|---|
//! | [`RequestIndex`] | a request of the program; A, B, … for people |
//! | step | what the target sends PostgreSQL in one go; the gate holds each until it is chosen |
//! | [`Choice`] | whose held step goes next, or which two go at once |
//! | [`Schedule`] | the choices of one run: input, and enough to run it again |
//! | [`Point`] | a moment at which something can be chosen |
//! | enabled | a request whose next step is held, so that it can be chosen |
//! | stalled | a request that waits inside the application, where nothing shows for what |
//! | preemption | a choice that leaves a request which could have gone on |
//! | [`Transition`] | a choice, with who was enabled and what it touched |
//! | [`Footprint`] | the rows that a step reads, locks or gives back; what has none in common commutes |
//! | [`Transcript`] | what ran, free of times and process ids: two runs of one schedule are equal |
//! | [`Execution`] | schedule, transitions, transcript, control: what a strategy learns |
//! | [`Assessment`] | answers, rows and findings: what was found of it |
//! | [`Control`] | kept if the harness decided about every step; a run that lost it proves nothing |
//! | [`Witness`] | the smallest evidence of a violation, in a file that replays |
//!
//! # Map
//!
//! ```text
//! terms            schedule  transcript  control
//! what may commute footprint   ◀ footprints (from SQL: syntax)   ◀ catalog (from the database)
//! what ran         execution   run: that, and what was found of it
//! which to run     strategy    ◀ strategies/: dfs, bounded, exhaustive, pct, random, overlap
//! one run          conductor/  ◀ signal (the gate's reports), monitor (PostgreSQL's locks)
//! where it runs    runner, testbed: its user's, with database, proxy, target and clients
//! many runs        search   ◀ worker, each with a testbed   coverage: what it covered, in words
//! one run more     serial_runner: for follow (one schedule), replay and shrink
//! evidence         witness  ◀ replay, shrink       timeline/: the same for people (sql, sharing)
//! ```
//!
//! A line uses what is above it, and never the other way round. What is pure is tested without a
//! database, and what is built on [`Runner`] on a small model of one (`toy`). What is not here: no
//! SQL is recognised to tell whose a step is, no time-out decides what happened, and the target's
//! code is never asked.

pub mod control;
pub mod execution;
pub mod run;
pub mod schedule;
pub mod transcript;

pub mod strategies;
pub mod strategy;

pub mod catalog;
pub mod footprint;
pub mod footprints;
mod syntax;

pub mod runner;
pub mod testbed;

pub mod conductor;
pub mod monitor;
pub mod signal;

pub mod coverage;
pub mod search;
pub mod serial_runner;
mod worker;

pub mod follow;
pub mod replay;
pub mod shrink;
pub mod witness;

pub mod sharing;
mod sql;
pub mod timeline;

pub use conductor::{Bounds, Conductor};
pub use control::{Control, LostControl};
pub use execution::{Execution, Transition};
pub use follow::{Followed, follow};
pub use footprint::Footprint;
pub use replay::{Difference, Replayed, replay};
pub use run::{Assessment, Run};
pub use runner::Runner;
pub use schedule::{Choice, RequestIndex, Schedule, ScheduleError};
pub use search::{Exploration, Search};
pub use serial_runner::SerialRunner;
pub use shrink::{Shrunk, shrink};
pub use signal::Signal;
pub use sql::{clipped as sql_clipped, shape};
pub use strategy::{Chooser, Follow, Next, Point, Strategy};
pub use testbed::{Testbed, TestbedSpent};
pub use transcript::{Event, Transcript};
pub use witness::{Witness, WitnessError};

#[cfg(test)]
mod toy;

//! The tests of the harness, in one program: what they need is linked once, and while one waits for its database
//! or for a process, others run.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

mod broken_on_purpose;
mod check;
mod command;
mod common;
mod container_signals;
mod contract;
mod contract_keys;
mod contract_limits;
mod contract_shop;
mod database;
mod explore_chance;
mod explore_foreign;
mod explore_forms;
mod explore_generate;
mod explore_reduction;
mod explore_schedule;
mod explore_service;
mod faults;
mod faults_contract;
mod faults_foreign;
mod faults_recovery;
mod gate;
mod giving_way;
mod html;
mod hunt;
mod hunt_harmless;
mod lawful;
mod model;
mod mutants;
mod mutants_batching;
mod mutants_support;
mod mutation;
mod replay_witnesses;
mod report;
mod sql_clients;
mod subject_support;
mod targets;
mod trace;

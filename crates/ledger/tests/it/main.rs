//! The ledger's rules, over a journal in memory that fails on demand, and over SQLite.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that fails panics")]

mod append;
mod faults;
mod list;
mod recover;
mod sample;
mod support;
mod system;

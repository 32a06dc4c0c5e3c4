//! The ledger's rules, over a journal and blobs in memory that fail on demand, and over SQLite.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that fails panics")]
#![allow(clippy::duplicate_mod, reason = "the same rules hold whatever of the events is fresh, frozen or sealed")]

mod bounds;
mod crash;
mod damage;
mod deadline;
mod disturb;
mod faults;
mod fsck;
mod history;
mod model;
mod readers;
mod sample;
mod sealed_by_3;
mod sealed_by_40;
mod sealed_sample;
mod sealing;
mod starting;
mod support;
mod tampered;
mod unsealed;
mod usage;

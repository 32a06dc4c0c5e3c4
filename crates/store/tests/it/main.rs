//! The store room's tests from outside.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "the lints let these pass in a test, but not in what several tests share"
)]

mod blob;
mod cache;
mod conformance;
mod copy;
mod full_disk;
mod lock;
mod memory;
mod row;
mod row_sample;
mod sqlite;
mod sqlite_sample;
mod support;
mod wal;
mod wal_image;

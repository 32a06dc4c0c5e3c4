//! The server over HTTP, without a network but where one is meant.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "the lints let these pass in a test, but not in what several tests share"
)]

mod administering;
mod appending;
mod backup;
mod bad_input;
mod binary;
mod count;
mod crash;
mod damage;
mod dialects;
mod full_disk;
mod process;
mod read_only;
mod reading;
mod routes;
mod serving;
mod support;
mod tail;
mod tidy;

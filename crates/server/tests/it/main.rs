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
mod bad_input;
mod binary;
mod crash;
mod dialects;
mod process;
mod reading;
mod routes;
mod serving;
mod support;
mod tidy;

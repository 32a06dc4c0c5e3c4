//! Segments against a plain list of events.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the lints let these pass in a test, but not in what several tests share"
)]

mod check;
mod digest;
mod events;
mod ids;
mod merge;
mod model;
mod order;
mod rows;
mod sample;
mod search;
mod values;

//! The dialects from outside: golden requests and answers, the vendors' own schemas, and events
//! made up at random.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lints let these pass in a test, but not in what several tests share"
)]

mod any_event;
mod case;
mod golden;
mod log;
mod paging;
mod round_trip;
mod route;
mod schema;

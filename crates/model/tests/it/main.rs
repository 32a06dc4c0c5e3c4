//! Events from JSON to their canonical form and back.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test that fails panics")]

mod canonical;
mod generate;
mod parse;
mod plain;

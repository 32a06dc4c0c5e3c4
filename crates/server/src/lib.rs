//! The server: HTTP, settings, the clock and the commands around the ledger.
//!
//! **Invariant:** no rule about events is made here: the model and the ledger make them, and this
//! crate carries calls to them and answers back.
//! **Invariant:** a fault becomes a status in one table alone, in `http/status`.

mod answer;
pub mod clock;
pub mod command;
pub mod config;
mod data;
pub mod http;
pub mod serve;
pub mod stop_at;

//! The rules for all that is appended and read, with sealed segments of some dozens of events, or of what
//! was appended at once.

/// Events after which they are sealed.
const SEAL_EVENTS: u64 = 40;

fn ledger() -> (annals_ledger::Ledger, crate::support::Store) {
    crate::support::ledger(SEAL_EVENTS)
}

#[path = "append.rs"]
mod append;
#[path = "list.rs"]
mod list;
#[path = "recover.rs"]
mod recover;
#[path = "system.rs"]
mod system;

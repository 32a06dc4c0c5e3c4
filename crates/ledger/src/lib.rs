//! Annals' ledger room.

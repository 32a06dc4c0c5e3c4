//! Annals' segment room.

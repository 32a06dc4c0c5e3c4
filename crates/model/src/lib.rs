//! Annals' model room.

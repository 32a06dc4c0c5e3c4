//! Annals' merkle room.

//! Annals' dialect room.

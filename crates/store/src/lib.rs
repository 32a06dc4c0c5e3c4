//! Annals' store room.

//! The hashes that an audit log is proven with: salted commitments to named bytes, the leaf that
//! binds them to a time, and the tree over the leaves.
//!
//! **Invariant:** nothing here knows what an event is; it sees (name, bytes) pairs in the order
//! they are handed in, and refuses an order that is not the one committed to.
//!
//! **Invariant:** no clock, no randomness, no I/O: equal input gives an equal hash, on any machine.
//!
//! **Invariant:** no input makes it panic.
//!
//! # Source
//!
//! RFC 6962 §2.1 for the tree; the proof format for commitments, roots and leaves.
//!
//! # Incomplete support
//!
//! Computes hashes and heads. Tiles, inclusion, consistency and range proofs, checkpoints and notes
//! are not here.

mod commitment;
mod hash;
mod leaf;
mod tree;

pub use commitment::{MEMBERS_MAX, MembersError, NAME_BYTES_MAX, Salt, Seed, commitment, root, root_of_members, salt};
pub use hash::Hash;
pub use leaf::{LEAF_BYTES, Leaf};
pub use tree::{Frontier, FrontierError, SIZE_MAX, node};

//! The leaf of a log's tree: when a set of members was recorded, and the root over them.
//!
//! **Invariant:** a leaf is [`LEAF_BYTES`] long, whatever it commits to.
//!
//! # Source
//!
//! The proof format, «Event, members, leaf»; RFC 6962 §2.1 for the leaf hash.
//!
//! # Incomplete support
//!
//! Leaves are written, not read: there is no way back from the bytes.

use crate::hash::{self, Hash, KIND_LEAF};

/// Length of every leaf, in bytes.
pub const LEAF_BYTES: usize = 41;

/// The leaf's format version, its first byte.
const VERSION: u8 = 1;

/// One leaf of a log's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The server's clock at commit, in microseconds since 1970-01-01 UTC.
    pub time_recorded_us: u64,
    /// The root over the members.
    pub root: Hash,
}

impl Leaf {
    /// The leaf as the tree holds it: `01 ‖ u64 time_recorded_us, big-endian ‖ root`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.time_recorded_us.to_be_bytes());
        bytes[9..].copy_from_slice(&self.root);
        bytes
    }

    /// The leaf hash of RFC 6962: `H(00 ‖ leaf)`.
    #[must_use]
    pub fn hash(&self) -> Hash {
        hash::hash(&[&[KIND_LEAF], &self.to_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hex;

    const ROOT: &str = "020db77d7cf2d0e9592203e71b53c405f21577f535d851f8dc262b2b3f2832fb";

    fn worked_example() -> Leaf {
        Leaf { time_recorded_us: 1_700_000_000_000_000, root: hex::decode(ROOT) }
    }

    #[test]
    fn the_worked_example_has_its_leaf_bytes() {
        let expect = format!("0100060a24181e4000{ROOT}");
        assert_eq!(hex::encode(&worked_example().to_bytes()), expect);
    }

    #[test]
    fn the_worked_example_has_its_leaf_hash() {
        let expect = "ce372e7d3e893f7a77dcb14950bc36f49a2b2e1e0954409ff3a2ea5eb2560b3b";
        assert_eq!(hex::encode(&worked_example().hash()), expect);
    }

    #[test]
    fn another_time_is_another_leaf() {
        let leaf = worked_example();
        let later = Leaf { time_recorded_us: leaf.time_recorded_us + 1, ..leaf };
        assert_ne!(leaf.hash(), later.hash());
    }
}

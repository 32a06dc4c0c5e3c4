//! The Merkle tree over a log's leaves, as far as appending to it and naming its root need it.
//!
//! **Invariant:** a frontier of size n holds as many nodes as n has one-bits, the largest subtree
//! first; its root is the tree hash of all n leaves.
//!
//! **Invariant:** appending never looks at an earlier leaf.
//!
//! # Source
//!
//! RFC 6962 §2.1.
//!
//! # Incomplete support
//!
//! Inner nodes are not kept: proofs about earlier leaves need the tiles.

use thiserror::Error;

use crate::hash::{self, Hash, KIND_NODE};

/// Largest size that a [`Frontier`] is restored at, in leaves.
pub const SIZE_MAX: u64 = (1 << 63) - 1;

/// Why a stored frontier is not one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrontierError {
    /// The size is beyond what a log can have.
    #[error("a tree of {size} leaves is too large: the most is {max}")]
    TooLarge {
        /// The size handed in, in leaves.
        size: u64,
        /// [`SIZE_MAX`].
        max: u64,
    },
    /// The number of nodes is not that of the size's one-bits.
    #[error("a tree of {size} leaves has {expected} complete subtrees: {found} were handed in")]
    NodeCount {
        /// The size handed in, in leaves.
        size: u64,
        /// Nodes that a tree of this size has.
        expected: usize,
        /// Nodes handed in.
        found: usize,
    },
}

/// The hash of an inner node: `H(01 ‖ left ‖ right)`.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    hash::hash(&[&[KIND_NODE], left, right])
}

/// The roots of a tree's complete subtrees, the largest first: all that is needed to append and to
/// give the root. At most 63 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A frontier from what [`size`](Self::size) and [`nodes`](Self::nodes) gave.
    ///
    /// The hashes themselves can't be checked here: compare [`root`](Self::root) with a known one.
    ///
    /// # Errors
    ///
    /// [`FrontierError::TooLarge`] if the size is above [`SIZE_MAX`],
    /// [`FrontierError::NodeCount`] if the nodes are not as many as the size has one-bits.
    pub fn from_parts(size: u64, nodes: Vec<Hash>) -> Result<Self, FrontierError> {
        if size > SIZE_MAX {
            return Err(FrontierError::TooLarge { size, max: SIZE_MAX });
        }
        let expected = ones(size);
        if nodes.len() != expected {
            return Err(FrontierError::NodeCount { size, expected, found: nodes.len() });
        }
        Ok(Frontier { size, nodes })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest, which is the leftmost, first.
    #[must_use]
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Appends a leaf by its leaf hash.
    pub fn push(&mut self, leaf_hash: Hash) {
        // Each trailing one-bit of the size is a complete subtree that the new leaf makes a
        // neighbour for: like the carry of adding one.
        let mut right = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.nodes.pop() else { break };
            right = node(&left, &right);
        }
        self.nodes.push(right);
        // Can't overflow: none is restored above SIZE_MAX, and 2^63 pushes from there take centuries.
        self.size += 1;
    }

    /// The tree hash over all leaves; of the empty tree, `H("")`.
    #[must_use]
    pub fn root(&self) -> Hash {
        let subtrees = self.nodes.iter().rev().copied();
        subtrees.reduce(|right, left| node(&left, &right)).unwrap_or_else(|| hash::hash(&[]))
    }
}

fn ones(size: u64) -> usize {
    usize::try_from(size.count_ones()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::hash::hex;

    fn leaf_hashes(count: u64) -> Vec<Hash> {
        (0..count).map(|index| Sha256::digest([&[0_u8][..], &index.to_be_bytes()[..]].concat()).into()).collect()
    }

    /// MTH of RFC 6962 §2.1, word for word, over leaf hashes.
    fn naive_root(leaf_hashes: &[Hash]) -> Hash {
        match leaf_hashes {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            _ => {
                let mut split_at = 1;
                while split_at * 2 < leaf_hashes.len() {
                    split_at *= 2;
                }
                let (left, right) = leaf_hashes.split_at(split_at);
                let mut input = vec![1];
                input.extend(naive_root(left));
                input.extend(naive_root(right));
                Sha256::digest(input).into()
            }
        }
    }

    fn frontier(leaf_hashes: &[Hash]) -> Frontier {
        let mut frontier = Frontier::new();
        for leaf_hash in leaf_hashes {
            frontier.push(*leaf_hash);
        }
        frontier
    }

    #[test]
    fn the_empty_tree_has_the_hash_of_the_empty_string() {
        let expect = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(&Frontier::new().root()), expect);
        assert_eq!(Frontier::new().size(), 0);
    }

    #[test]
    fn the_root_of_one_leaf_is_its_leaf_hash() {
        assert_eq!(frontier(&[[7; 32]]).root(), [7; 32]);
    }

    #[test]
    fn the_known_trees_of_certificate_transparency_have_their_roots() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let expect = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::new();
        for (leaf, expect) in leaves.iter().zip(expect) {
            frontier.push(Sha256::digest([&[0][..], leaf].concat()).into());
            assert_eq!(hex::encode(&frontier.root()), expect);
        }
    }

    #[test]
    fn the_root_is_that_of_the_rfc_at_every_size_up_to_300() {
        let leaf_hashes = leaf_hashes(300);
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root(), naive_root(&[]));
        for size in 1..=leaf_hashes.len() {
            frontier.push(leaf_hashes[size - 1]);
            assert_eq!(frontier.root(), naive_root(&leaf_hashes[..size]), "{size}");
            assert_eq!(frontier.size(), u64::try_from(size).unwrap());
            assert_eq!(frontier.nodes().len(), ones(frontier.size()));
        }
    }

    #[test]
    fn a_stored_frontier_goes_on_like_the_original_at_every_split() {
        let leaf_hashes = leaf_hashes(130);
        let whole = frontier(&leaf_hashes);
        for split_at in 0..=leaf_hashes.len() {
            let (left, right) = leaf_hashes.split_at(split_at);
            let stored = frontier(left);
            let mut restored = Frontier::from_parts(stored.size(), stored.nodes().to_vec()).unwrap();
            assert_eq!(restored, stored);
            for leaf_hash in right {
                restored.push(*leaf_hash);
            }
            assert_eq!(restored, whole, "{split_at}");
        }
    }

    #[test]
    fn a_clone_does_not_follow_its_original() {
        let original = frontier(&leaf_hashes(5));
        let mut copy = original.clone();
        copy.push([9; 32]);
        assert_eq!(original, frontier(&leaf_hashes(5)));
        assert_ne!(original, copy);
    }

    #[test]
    fn a_stored_frontier_needs_a_node_for_each_one_bit_of_its_size() {
        for (size, expected, found) in [(0, 0, 1), (1, 1, 0), (6, 2, 3), (7, 3, 2), (8, 1, 2)] {
            assert_eq!(
                Frontier::from_parts(size, vec![[0; 32]; found]),
                Err(FrontierError::NodeCount { size, expected, found })
            );
        }
    }

    #[test]
    fn a_stored_frontier_has_at_most_size_max_leaves() {
        let mut largest = Frontier::from_parts(SIZE_MAX, vec![[0; 32]; 63]).unwrap();
        largest.push([0; 32]);
        assert_eq!(largest.nodes().len(), 1);
        let size = SIZE_MAX + 1;
        assert_eq!(Frontier::from_parts(size, vec![[0; 32]]), Err(FrontierError::TooLarge { size, max: SIZE_MAX }));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let error = Frontier::from_parts(6, vec![]).unwrap_err();
        assert_eq!(error.to_string(), "a tree of 6 leaves has 2 complete subtrees: 0 were handed in");
    }

    proptest! {
        #[test]
        fn the_root_is_that_of_the_rfc_for_any_leaves(
            leaf_hashes in vec(any::<Hash>(), 0..600),
        ) {
            prop_assert_eq!(frontier(&leaf_hashes).root(), naive_root(&leaf_hashes));
        }

        #[test]
        fn leaves_pushed_in_any_split_give_the_same_frontier(
            leaf_hashes in vec(any::<Hash>(), 0..600),
            split in any::<prop::sample::Index>(),
        ) {
            let (left, right) = leaf_hashes.split_at(split.index(leaf_hashes.len() + 1));
            let stored = frontier(left);
            let mut frontier_of_both =
                Frontier::from_parts(stored.size(), stored.nodes().to_vec()).unwrap();
            for leaf_hash in right {
                frontier_of_both.push(*leaf_hash);
            }
            prop_assert_eq!(frontier_of_both, frontier(&leaf_hashes));
        }
    }
}

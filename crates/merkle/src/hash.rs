//! SHA-256 over the parts of one hash input, and the byte that says which kind of input it is.
//!
//! **Invariant:** every input but the empty tree's starts with its own kind's byte, so that no
//! input of one kind is also an input of another.

use sha2::{Digest, Sha256};

/// A SHA-256 hash, 32 bytes.
pub type Hash = [u8; 32];

/// First byte of a leaf's hash input (RFC 6962 §2.1).
pub(crate) const KIND_LEAF: u8 = 0x00;
/// First byte of an inner node's hash input (RFC 6962 §2.1).
pub(crate) const KIND_NODE: u8 = 0x01;
/// First byte of the hash input of a root over members.
pub(crate) const KIND_ROOT: u8 = 0x02;
/// First byte of a commitment's hash input.
pub(crate) const KIND_COMMITMENT: u8 = 0x03;
/// First byte of a salt's hash input.
pub(crate) const KIND_SALT: u8 = 0x04;

/// The hash of the parts, one after the other.
#[inline]
pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What tests of this crate write hashes in.
#[cfg(test)]
pub(crate) mod hex {
    /// Bytes from hex digits.
    pub(crate) fn decode<const N: usize>(text: &str) -> [u8; N] {
        assert_eq!(text.len(), 2 * N, "{text}");
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }

    /// Lower case hex digits of bytes.
    pub(crate) fn encode(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_parts_give_the_hash_of_the_empty_string() {
        let expect = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(&hash(&[])), expect);
    }

    #[test]
    fn parts_hash_like_their_concatenation() {
        for total_bytes in 0..=200 {
            let input: Vec<u8> = (0..=u8::MAX).take(total_bytes).collect();
            let expect: Hash = Sha256::digest(&input).into();
            for split_at in [0, total_bytes / 3, total_bytes] {
                let (left, right) = input.split_at(split_at);
                let found = hash(&[left, &[], right]);
                assert_eq!(found, expect, "{total_bytes}, {split_at}");
            }
        }
    }

    #[test]
    fn every_kind_has_its_own_byte() {
        let kinds = [KIND_LEAF, KIND_NODE, KIND_ROOT, KIND_COMMITMENT, KIND_SALT];
        assert_eq!(kinds, [0, 1, 2, 3, 4]);
    }
}

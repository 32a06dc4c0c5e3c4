//! SHA-256 over the parts of one hash input, and the byte that says which kind of input it is.
//!
//! **Invariant:** every input but the empty tree's starts with its own kind's byte, so that no
//! input of one kind is also an input of another.

use sha2::block_api::compress256;
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

/// What SHA-256 takes at once.
const BLOCK_BYTES: usize = 64;
/// What follows an input at least: a bit, and the input's length.
const PADDING_BYTES_MIN: usize = 1 + size_of::<u64>();
/// FIPS 180-4 §5.3.3.
const INITIAL_STATE: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The hash of the parts, one after the other.
#[inline]
pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Many short inputs, padded and side by side, to be hashed in one go.
///
/// An input of one or two blocks costs as much to gather as to hash, and no processor begins a hash
/// while the bytes of it are still being gathered; so first all are gathered, then all are hashed,
/// and the end of one hash overlaps with the beginning of the next.
pub(crate) struct Inputs {
    blocks: Vec<[u8; BLOCK_BYTES]>,
    /// How many of the blocks each input has.
    counts: Vec<usize>,
}

impl Inputs {
    /// None yet, with room for so many inputs and their blocks.
    pub(crate) fn with_capacity(inputs: usize, blocks: usize) -> Inputs {
        Inputs { blocks: Vec::with_capacity(blocks), counts: Vec::with_capacity(inputs) }
    }

    /// Adds the input that the parts are, one after the other.
    #[inline]
    pub(crate) fn add<const N: usize>(&mut self, parts: [&[u8]; N]) {
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
        let start = self.blocks.len();
        let count = (bytes + PADDING_BYTES_MIN).div_ceil(BLOCK_BYTES);
        self.blocks.resize(start + count, [0; BLOCK_BYTES]);
        self.counts.push(count);
        let mut rest = self.blocks.get_mut(start..).unwrap_or_default().as_flattened_mut();
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        if let Some(end) = rest.first_mut() {
            *end = 0x80;
        }
        if let Some(length) = rest.last_chunk_mut() {
            *length = (8 * bytes as u64).to_be_bytes();
        }
    }

    /// The hash of each input, in their order; there are none afterwards.
    pub(crate) fn hash_into(&mut self, hashes: &mut Vec<Hash>) {
        hashes.clear();
        let mut rest = self.blocks.as_slice();
        for count in self.counts.drain(..) {
            let (blocks, after) = rest.split_at(count);
            rest = after;
            let mut state = INITIAL_STATE;
            compress256(&mut state, blocks);
            let mut hash = [0; 32];
            for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
                *bytes = word.to_be_bytes();
            }
            hashes.push(hash);
        }
        self.blocks.clear();
    }
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
    fn inputs_side_by_side_hash_like_each_alone() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(1_000).collect();
        let mut inputs = Inputs::with_capacity(0, 0);
        for from in [0, 1, 50] {
            let parts: Vec<[&[u8]; 3]> =
                (from..300).map(|length| [&bytes[..1], &bytes[..length], &bytes[length..2 * length]]).collect();
            parts.iter().for_each(|parts| inputs.add(*parts));
            let mut hashes = vec![[1; 32]];
            inputs.hash_into(&mut hashes);
            assert_eq!(hashes, parts.iter().map(|parts| hash(parts)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_kind_has_its_own_byte() {
        let kinds = [KIND_LEAF, KIND_NODE, KIND_ROOT, KIND_COMMITMENT, KIND_SALT];
        assert_eq!(kinds, [0, 1, 2, 3, 4]);
    }
}

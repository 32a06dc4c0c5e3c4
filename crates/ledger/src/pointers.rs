//! Items by a hash that only points at them.
//!
//! **Invariant:** every item of a hash is found; whether it is the one that is meant, the item tells.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Items by a hash that only points at them.
#[derive(Default)]
pub(crate) struct Pointers {
    /// The last entry of a hash.
    last: HashMap<u64, usize, Spread>,
    /// An item, and the entry before it of the same hash.
    entries: Vec<(usize, Option<usize>)>,
}

impl Pointers {
    pub(crate) fn add(&mut self, hash: u64, item: usize) {
        let before = self.last.insert(hash, self.entries.len());
        self.entries.push((item, before));
    }

    /// The items of a hash, the last one first.
    pub(crate) fn items(&self, hash: u64) -> impl Iterator<Item = usize> {
        let entry = |at: usize| self.entries.get(at);
        let entries = std::iter::successors(self.last.get(&hash).and_then(|at| entry(*at)), move |(_, before)| {
            before.and_then(entry)
        });
        entries.map(|(item, _)| *item)
    }
}

/// Hashes numbers that nobody outside can choose: hashes made with a secret, and numbers of logs.
pub(crate) type Spread = BuildHasherDefault<SpreadHasher>;

#[derive(Default)]
pub(crate) struct SpreadHasher(u64);

impl Hasher for SpreadHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        // An odd number whose bits look random carries every bit of what came upwards.
        self.0 = (self.0.rotate_left(32) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

//! Which rows may carry an event id.
//!
//! **Invariant:** no row that carries the id is missed; one that carries another may be given.

use xorf::{BinaryFuse8, Filter as _};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::dictionary::Dictionary;

/// Keyed hashes of (log, event id), each with its row.
#[derive(Debug)]
pub(crate) struct IdTable {
    key: u64,
    /// What keeps most ids that are not here from a search; `None` where none can be made.
    filter: Option<BinaryFuse8>,
    /// Ascending.
    hashes: Box<[u64]>,
    /// The row of each hash.
    rows: Box<[u32]>,
}

impl IdTable {
    /// The table of a dictionary of ids, given the log of every row.
    pub(crate) fn build(key: u64, ids: &Dictionary, log_of_rows: &[u32]) -> IdTable {
        let mut entries: Vec<(u64, u32)> = Vec::with_capacity(log_of_rows.len());
        for value in 0..ids.len() {
            let id = ids.text(value);
            ids.posting(value).each(|row| {
                let log = log_of_rows.get(row as usize).copied().unwrap_or_default();
                entries.push((hash(key, log, id), row));
            });
        }
        entries.sort_unstable();
        let (hashes, rows): (Vec<u64>, Vec<u32>) = entries.into_iter().unzip();
        let mut distinct = hashes.clone();
        distinct.dedup();
        // A filter of nearly nothing is not worth its memory, and may not come out.
        let filter = if distinct.len() < 16 { None } else { BinaryFuse8::try_from(&distinct).ok() };
        IdTable { key, filter, hashes: hashes.into(), rows: rows.into() }
    }

    pub(crate) fn key(&self) -> u64 {
        self.key
    }

    /// The rows that may carry an id, in ascending order.
    pub(crate) fn find(&self, log: u32, id: &str) -> Vec<u32> {
        let hash = hash(self.key, log, id);
        if self.filter.as_ref().is_some_and(|filter| !filter.contains(&hash)) {
            return Vec::new();
        }
        let start = self.hashes.partition_point(|have| *have < hash);
        let same = self.hashes.get(start..).unwrap_or_default().iter().take_while(|have| **have == hash).count();
        self.rows.get(start..start + same).unwrap_or_default().to_vec()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let filter = self.filter.as_ref().map_or(0, |filter| filter.len());
        filter + size_of_val(&*self.hashes) + size_of_val(&*self.rows)
    }
}

fn hash(key: u64, log: u32, id: &str) -> u64 {
    // The odd factor spreads the log's number over all bits of the seed.
    let seed = key ^ u64::from(log).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    xxh3_64_with_seed(id.as_bytes(), seed)
}

//! What keeps most ids that are not here from being looked for.
//!
//! A page is a binary fuse filter of the hashes from its key up to the next page's. Version 1, numbers
//! little-endian: 8 bytes, the seed; 4 bytes `s`, the length of a segment, a power of two; 4 bytes `t`, the
//! length of those segments that a first place can be in; then the fingerprints, a byte each. Of a hash `h`,
//! with `m` the 64-bit finalizer of MurmurHash3 applied to `h + seed`, the places are `a = m·t >> 64`,
//! `(a + s) ^ (m >> 18 & s - 1)` and `(a + 2s) ^ (m & s - 1)`, and `h` may be there if the bytes there, taken
//! together by exclusive or, are the lowest byte of `m ^ m >> 32`. A page whose `s` is 0 lets every hash pass.
//!
//! **Invariant:** a hash that is there passes.

use xorf::BinaryFuse8;

use crate::SegmentError;
use crate::page::{Form, Sink, Source};
use crate::table::{Table, TableBuilder};

/// The most hashes in a page: their fingerprints fill it nearly.
const PAGE_HASHES_MAX: usize = 48_000;
/// A filter of fewer is not worth reading, and may not come out.
const HASHES_MIN: usize = 16;

/// A filter in the making.
pub(super) struct FilterWriter {
    table: TableBuilder,
    /// How many hashes go into each page; none if there is to be no filter.
    page_hashes: usize,
    hashes: Vec<u64>,
}

impl FilterWriter {
    /// For so many hashes, or fewer distinct ones.
    pub(super) fn new(section: &'static str, hashes: usize) -> FilterWriter {
        let page_hashes = if hashes < HASHES_MIN { 0 } else { hashes.div_ceil(hashes.div_ceil(PAGE_HASHES_MAX)) };
        FilterWriter { table: TableBuilder::new(section), page_hashes, hashes: Vec::new() }
    }

    /// Adds a hash; they ascend.
    pub(super) fn push(&mut self, sink: &mut dyn Sink, hash: u64) -> Result<(), SegmentError> {
        if self.page_hashes == 0 || self.hashes.last() == Some(&hash) {
            return Ok(());
        }
        if self.hashes.len() >= self.page_hashes {
            self.flush(sink)?;
        }
        self.hashes.push(hash);
        Ok(())
    }

    pub(super) fn finish(mut self, sink: &mut dyn Sink) -> Result<Table, SegmentError> {
        self.flush(sink)?;
        self.table.finish(sink)
    }

    fn flush(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        if let Some(first) = self.hashes.first() {
            self.table.push(*first, sink.page(&page_of(&self.hashes), Form::Plain)?);
            self.hashes.clear();
        }
        Ok(())
    }
}

/// A filter's page of distinct hashes.
fn page_of(hashes: &[u64]) -> Vec<u8> {
    let filter = if hashes.len() < HASHES_MIN { None } else { BinaryFuse8::try_from(hashes).ok() };
    let Some(filter) = filter else { return vec![0; 16] };
    let mut raw = filter.descriptor.seed.to_le_bytes().to_vec();
    raw.extend_from_slice(&filter.descriptor.segment_length.to_le_bytes());
    raw.extend_from_slice(&filter.descriptor.segment_count_length.to_le_bytes());
    raw.extend_from_slice(&filter.fingerprints);
    raw
}

/// Whether a hash may be there.
///
/// # Errors
///
/// What the source says, and [`SegmentError::Corrupt`].
pub(super) fn may_hold(table: &Table, source: &dyn Source, hash: u64) -> Result<bool, SegmentError> {
    if table.pages == 0 {
        return Ok(true);
    }
    let Some(entry) = table.find(source, hash)? else { return Ok(false) };
    let raw = table.read(source, entry.page)?;
    holds(&raw, hash).ok_or_else(|| SegmentError::corrupt(table.section, entry.page, "the filter is malformed"))
}

fn holds(raw: &[u8], hash: u64) -> Option<bool> {
    let (seed, rest) = raw.split_first_chunk()?;
    let (segment, rest) = rest.split_first_chunk()?;
    let (starts, prints) = rest.split_first_chunk()?;
    let segment = u64::from(u32::from_le_bytes(*segment));
    let starts = u64::from(u32::from_le_bytes(*starts));
    if segment == 0 {
        return Some(true);
    }
    let mixed = mix(hash.wrapping_add(u64::from_le_bytes(*seed)));
    let first = u64::try_from((u128::from(mixed) * u128::from(starts)) >> 64).ok()?;
    let second = (first + segment) ^ (mixed >> 18 & (segment - 1));
    let third = (first + 2 * segment) ^ (mixed & (segment - 1));
    let [print, ..] = (mixed ^ mixed >> 32).to_le_bytes();
    let mut left = print;
    for at in [first, second, third] {
        left ^= prints.get(usize::try_from(at).ok()?)?;
    }
    Some(left == 0)
}

fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xorf::Filter as _;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn hashes(count: u64) -> Vec<u64> {
        let mut hashes: Vec<u64> = (0..count).map(|number| mix(number) >> 24).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    #[test]
    fn a_page_is_as_it_was_frozen() {
        let raw = page_of(&hashes(100));
        let head: Vec<String> = raw[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (head.concat().as_str(), raw.len(), xxh3_64(&raw)),
            ("c15c0289ec2d0a914000000040000000", 208, 289_094_042_802_922_188)
        );
    }

    #[test]
    fn it_lets_pass_what_the_library_does_and_little_else() {
        for count in [16, 100, 5_000, PAGE_HASHES_MAX as u64] {
            let hashes = hashes(count);
            let (raw, filter) = (page_of(&hashes), BinaryFuse8::try_from(&hashes).expect("distinct"));
            assert!(raw.len() <= crate::page::PAGE_BYTES_MAX, "{count} take {} bytes", raw.len());
            assert!(hashes.iter().all(|hash| holds(&raw, *hash) == Some(true)));
            let others = (0..10_000).map(|number| mix(number + 1_000_000) >> 24);
            let passed = others.filter(|hash| {
                assert_eq!(holds(&raw, *hash), Some(filter.contains(hash)));
                filter.contains(hash)
            });
            assert!(passed.count() < 100);
        }
    }

    #[test]
    fn a_page_of_few_lets_every_hash_pass() {
        assert_eq!(holds(&page_of(&[1, 2, 3]), 77), Some(true));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..80), hash in any::<u64>()) {
            let _ = holds(&raw, hash);
        }
    }
}

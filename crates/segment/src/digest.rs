//! A digest of all that is said of events: what merging must keep.
//!
//! It is made of the events when they are handed in, and handed on from segment to segment as a sum,
//! without looking at them again. So whoever reads a segment back and makes it anew knows that nothing on
//! the way, nor in memory, has changed, dropped or doubled an event. It is no proof against anybody who
//! wants to deceive.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::footer::Footer;
use crate::page::PageRef;
use crate::segment::RowReader;
use crate::{Row, Segment, SegmentError};

/// What one event adds to the digest.
pub(crate) fn digest_of(row: &Row) -> u64 {
    let place = (u64::from(row.log) << u32::BITS) ^ row.index.rotate_left(u32::BITS) ^ row.position;
    let text = xxh3_64_with_seed(&row.canonical, place);
    xxh3_64_with_seed(&row.secret, text ^ row.time_recorded.us().cast_unsigned())
}

/// The digest of segments that are merged; of one that was written without, it is made from its events.
pub(crate) fn merged(segments: &[&Segment]) -> Result<Option<u64>, SegmentError> {
    segments.iter().try_fold(Some(0_u64), |sum, segment| {
        let digest = segment.footer.digest.map_or_else(|| segment.digest(), Ok)?;
        Ok(sum.map(|sum| sum.wrapping_add(digest)))
    })
}

impl Segment {
    /// Reads every page that the segment has, and its checksum, and makes the digest of its events anew.
    ///
    /// # Errors
    ///
    /// The first damage, or as for all reading.
    pub fn verify(&self) -> Result<(), SegmentError> {
        let Footer { digest, .. } = *self.footer;
        for (_, table) in self.footer.all_tables() {
            for entry in table.all(&*self.source)?.iter().chain(table.own_pages()) {
                self.source.packed(entry.page).map_err(|error| error.in_section(table.section))?;
            }
        }
        if digest.is_some() && digest != Some(self.digest()?) {
            let what = "they are not those that were handed in";
            return Err(SegmentError::corrupt(self.footer.tables.blocks.section, PageRef::default(), what));
        }
        Ok(())
    }

    fn digest(&self) -> Result<u64, SegmentError> {
        let mut reader = RowReader::new(self);
        (0..self.len()).try_fold(0, |sum: u64, row| Ok(sum.wrapping_add(digest_of(&reader.row(row)?))))
    }
}

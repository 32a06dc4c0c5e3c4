//! A digest of all that is said of events: what merging must keep.
//!
//! It is made of the events when they are handed in, and handed on from segment to segment as a sum,
//! without looking at them again. So whoever reads a segment back and makes it anew knows that nothing on
//! the way, nor in memory, has changed, dropped or doubled an event. It is no proof against anybody who
//! wants to deceive.

use annals_model::Time;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::columns::to_time;
use crate::page::PageRef;
use crate::{Row, Segment, SegmentError};

/// What one event adds to the digest.
pub(crate) fn digest_of(row: &Row) -> u64 {
    said((row.log, row.index, row.position), row.time_recorded, &row.canonical, &row.secret)
}

fn said((log, index, position): (u32, u64, u64), recorded: Time, text: &[u8], secret: &[u8]) -> u64 {
    let place = (u64::from(log) << u32::BITS) ^ index.rotate_left(u32::BITS) ^ position;
    xxh3_64_with_seed(secret, xxh3_64_with_seed(text, place) ^ recorded.us().cast_unsigned())
}

/// The digest of segments that are merged; of one that was written without, it is made from its events.
pub(crate) fn merged(segments: &[&Segment]) -> Result<u64, SegmentError> {
    segments.iter().try_fold(0, |sum: u64, segment| {
        let digest = segment.footer.digest.map_or_else(|| segment.digest(), Ok)?;
        Ok(sum.wrapping_add(digest))
    })
}

impl Segment {
    /// Reads every page that the segment has, and its checksum, and makes the digest of its events anew.
    ///
    /// # Errors
    ///
    /// The first damage, or as for all reading.
    pub fn verify(&self) -> Result<(), SegmentError> {
        let (digest, blocks) = (self.footer.digest, &self.footer.tables.blocks);
        for (_, table) in self.footer.all_tables() {
            // The digest reads them, if there is one.
            let is_read = digest.is_some() && std::ptr::eq(table, blocks);
            let pages = if is_read { Vec::new() } else { table.all(&*self.source)? };
            for entry in pages.iter().chain(table.own_pages()) {
                self.source.packed(entry.page).map_err(|error| error.in_section(table.section))?;
            }
        }
        if digest.is_some() && digest != Some(self.digest()?) {
            let what = "they are not those that were handed in";
            return Err(SegmentError::corrupt(blocks.section, PageRef::default(), what));
        }
        Ok(())
    }

    fn digest(&self) -> Result<u64, SegmentError> {
        let (mut positions, mut recorded, mut blocks) =
            (self.positions_column(), self.recorded_column(), self.blocks());
        let mut sum = 0_u64;
        for run in self.runs().all()? {
            for (row, index) in run.rows.clone().zip(run.index..) {
                let (position, time) = (positions.get(row)?, to_time(recorded.get(row)?));
                let missing = SegmentError::NoRow { row, rows: self.len() };
                let (text, secret) = blocks.decode(row)?.row(row).ok_or(missing)?;
                sum = sum.wrapping_add(said((run.log, index, position), time, text, secret));
            }
        }
        Ok(sum)
    }
}

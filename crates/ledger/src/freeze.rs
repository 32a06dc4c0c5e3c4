//! The freezer: turns full buffers of fresh events into segments, and neighbours into larger ones.
//!
//! **Invariant:** it changes no answer: each view it publishes holds the same events.
//! **Invariant:** of each size class fewer than [`MERGE_FAN`] segments stay, so a reader meets a
//! number of segments that grows with the logarithm of the tail.

use std::sync::Arc;

use annals_segment::{Segment, SegmentError};

use crate::Shared;
use crate::tail::{FRESH_ROWS, View};

/// Neighbours of one size class that are merged into one of the next.
const MERGE_FAN: usize = 8;
/// Rows that are frozen into one segment at most, unless one buffer alone has more.
const FREEZE_ROWS_MAX: usize = 8 * FRESH_ROWS;
/// Rows of the largest segment that merging makes in memory.
const MERGE_ROWS_MAX: usize = 262_144;
/// Rows that may wait for the freezer before the sequencer waits for it.
const BACKLOG_ROWS_MAX: usize = 64 * FRESH_ROWS;

impl Shared {
    /// The freezer's thread: until the tail is closed, or something can't be frozen. Then fresh
    /// events go on being scanned, so answers stay right and get slower.
    pub(crate) fn freeze_until_closed(&self) {
        // Whoever waits for the freezer goes on when it ends, also by a defect.
        let _guard = Guard(self);
        let mut merging = true;
        while self.tail.signal.wait_until(|| self.tail.view().backlog() > 0) {
            let frozen = self.freeze().and_then(|()| {
                while merging && self.merge()? {}
                Ok(())
            });
            match frozen {
                Ok(()) => {}
                // The parts of a damaged run stay as they are, and answer for themselves.
                Err(error @ SegmentError::Corrupt { .. }) if merging => {
                    tracing::error!(%error, "an index in memory is damaged: restart the server, which reads the journal anew");
                    merging = false;
                }
                Err(error) => {
                    tracing::error!(%error, "fresh events could not be indexed: restart the server when there is memory");
                    return;
                }
            }
            self.tail.signal.notify();
        }
    }

    /// Waits while too many rows are unfrozen: readers scan them, and they take more memory.
    pub(crate) fn wait_for_freezer(&self) {
        self.tail.signal.wait_until(|| self.tail.view().backlog() <= BACKLOG_ROWS_MAX);
    }

    /// Freezes the oldest full buffers.
    fn freeze(&self) -> Result<(), SegmentError> {
        let view = self.tail.view();
        let full = view.fresh.len().saturating_sub(1);
        let (mut buffers, mut rows) = (0, Vec::new());
        for fresh in view.fresh.iter().take(full) {
            let more = fresh.rows(0..u64::MAX);
            let more: Vec<_> = more.map(|fresh| (fresh.row.clone(), Arc::clone(&fresh.content))).collect();
            if buffers > 0 && rows.len() + more.len() > FREEZE_ROWS_MAX {
                break;
            }
            rows.extend(more);
            buffers += 1;
        }
        let segment = Arc::new(Segment::build(rows, self.tail.hash_seed)?);
        // Only buffers are added meanwhile, at the other end.
        self.tail.publish(|view| {
            let mut segments = view.segments.clone();
            segments.push(segment);
            View { segments, fresh: view.fresh.iter().skip(buffers).cloned().collect() }
        });
        Ok(())
    }

    /// Merges the newest run of neighbours that is long enough; whether there was one.
    fn merge(&self) -> Result<bool, SegmentError> {
        let view = self.tail.view();
        let sizes: Vec<usize> =
            view.segments.iter().map(|segment| usize::try_from(segment.len()).unwrap_or(usize::MAX)).collect();
        let Some(run) = run_to_merge(&sizes) else { return Ok(false) };
        let neighbours = view.segments.get(run.clone()).unwrap_or_default();
        let merged = Segment::merge(neighbours)?;
        self.tail.publish(|view| {
            let mut segments = view.segments.clone();
            segments.splice(run, [Arc::new(merged)]);
            View { segments, fresh: view.fresh.clone() }
        });
        Ok(true)
    }
}

/// Says that the freezer has ended.
struct Guard<'s>(&'s Shared);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.tail.signal.close();
    }
}

/// The run of neighbours to merge, given all sizes, oldest first.
fn run_to_merge(sizes: &[usize]) -> Option<std::ops::Range<usize>> {
    let class = |size: usize| (size.max(FRESH_ROWS) / FRESH_ROWS).ilog2() / MERGE_FAN.ilog2();
    let mut end = sizes.len();
    while let Some(last) = end.checked_sub(1).and_then(|at| sizes.get(at)) {
        let peers = sizes.iter().take(end).rev().take_while(|size| class(**size) <= class(*last));
        let mut rows = 0;
        let fitting = peers
            .take_while(|size| {
                rows += **size;
                rows <= MERGE_ROWS_MAX
            })
            .count();
        if fitting >= MERGE_FAN {
            return Some(end - fitting..end);
        }
        end -= fitting.max(1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sizes: &[usize], expect: Option<std::ops::Range<usize>>) {
        assert_eq!(run_to_merge(sizes), expect, "{sizes:?}");
    }

    #[test]
    fn eight_neighbours_of_a_class_are_merged_wherever_they_stand() {
        check(&[], None);
        check(&[1_024; 7], None);
        check(&[1_024; 8], Some(0..8));
        check(&[8_192, 1_024, 1_024], None);
        check(&[8_192, 8_192, 8_192, 8_192, 8_192, 8_192, 8_192, 8_192, 1_024], Some(0..8));
    }

    #[test]
    fn the_largest_segments_stay_as_they_are() {
        check(&[262_144; 20], None);
        let mut sizes = vec![MERGE_ROWS_MAX; 3];
        sizes.extend([1_024; 8]);
        check(&sizes, Some(3..11));
    }

    #[test]
    fn any_number_of_freezes_leaves_few_segments() {
        let mut sizes = Vec::new();
        for _ in 0..2_000 {
            let end = sizes.len();
            sizes.insert(end, FRESH_ROWS);
            while let Some(run) = run_to_merge(&sizes) {
                let merged = sizes.get(run.clone()).expect("a run").iter().sum();
                sizes.splice(run, [merged]);
            }
        }
        assert_eq!(sizes.iter().sum::<usize>(), 2_000 * FRESH_ROWS);
        assert!(sizes.len() <= 40, "{sizes:?}");
    }
}

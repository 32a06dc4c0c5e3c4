//! The freezer: turns full buffers of fresh events into segments, and neighbours into larger ones.
//!
//! **Invariant:** it changes no answer: each view it publishes holds the same events.
//! **Invariant:** of each size class fewer than [`MERGE_FAN`] segments stay, but for the largest, of which
//! sealing takes all that there are up to a mark: a reader meets some dozens.

use std::sync::Arc;

use annals_segment::{Segment, SegmentError};

use crate::Shared;
use crate::tail::FRESH_ROWS;

/// Neighbours of one size class that are merged into one of the next.
const MERGE_FAN: usize = 8;
/// Rows that are frozen into one segment at most, unless one buffer alone has more.
const FREEZE_ROWS_MAX: usize = 8 * FRESH_ROWS;
/// Rows of the largest segment that merging makes in memory: sealing merges those, so that an event is
/// merged once before it is sealed, and its text compressed once.
const MERGE_ROWS_MAX: usize = 8 * FRESH_ROWS;
/// Rows that may wait for the freezer before the sequencer waits for it.
const BACKLOG_ROWS_MAX: usize = 64 * FRESH_ROWS;

impl Shared {
    /// The freezer's thread: until the tail is closed, or something can't be frozen. Then fresh
    /// events go on being scanned, so answers stay right and get slower.
    pub(crate) fn freeze_until_closed(&self) {
        // Whoever waits for the freezer goes on when it ends, also by a defect.
        let _guard = Guard { shared: self, thread: FREEZER };
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
                    let what = "fresh events could not be indexed: restart the server when there is memory";
                    tracing::error!(%error, "{what}");
                    self.defect.set(Some(what.to_owned()));
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
        let mark = self.marks.next_after(view.fresh.first().map_or(0, |fresh| fresh.first()));
        for fresh in view.fresh.iter().take(full) {
            if buffers > 0 && mark == Some(fresh.first()) {
                break;
            }
            let more = fresh.rows(0..u64::MAX);
            let more: Vec<_> = more.map(|fresh| (fresh.row.clone(), Arc::clone(&fresh.content))).collect();
            if buffers > 0 && rows.len() + more.len() > FREEZE_ROWS_MAX {
                break;
            }
            rows.extend(more);
            buffers += 1;
        }
        let segment = Segment::build(rows, self.hash_key, |log| self.tail.logs.name(log))?;
        // Only buffers are added meanwhile, at the other end, and what was frozen is taken away.
        self.tail.publish(|view| {
            let mut view = view.clone();
            if !segment.is_empty() {
                view.frozen.push(segment);
            }
            view.fresh.drain(..buffers);
            view
        });
        Ok(())
    }

    /// Merges the newest run of neighbours that is long enough, behind the last mark: what lies before
    /// it is the sealer's. Whether there was one.
    fn merge(&self) -> Result<bool, SegmentError> {
        let mark = self.marks.last_position().unwrap_or(0);
        let view = self.tail.view();
        let mine: Vec<&Segment> = view.frozen.iter().filter(|segment| segment.positions().start >= mark).collect();
        let sizes: Vec<usize> = mine.iter().map(|segment| segment.len() as usize).collect();
        let Some(run) = run_to_merge(&sizes, MERGE_FAN, MERGE_ROWS_MAX) else { return Ok(false) };
        let neighbours: Vec<Segment> = mine.get(run).unwrap_or_default().iter().copied().cloned().collect();
        let merged = Segment::merge(&neighbours)?;
        self.tail.publish(|view| {
            let mut view = view.clone();
            // Others may have been sealed meanwhile, or even these, if a mark came between them and now.
            let at = neighbours.first().and_then(|first| view.frozen.iter().position(|segment| segment.is(first)));
            if let Some(at) = at {
                view.frozen.splice(at..at + neighbours.len(), [merged]);
            }
            view
        });
        Ok(true)
    }
}

/// Says that a thread of the background has ended.
pub(crate) struct Guard<'s> {
    pub(crate) shared: &'s Shared,
    pub(crate) thread: &'static str,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let what = format!("the {} stopped by a defect: restart the server", self.thread);
            tracing::error!("{what}");
            self.shared.defect.set(Some(what));
        }
        if self.thread == FREEZER {
            self.shared.tail.signal.close();
        }
    }
}

/// The thread that others wait for.
const FREEZER: &str = "freezer";

/// The run of neighbours to merge, given all sizes, oldest first: at least `fan` of one size class, with
/// at most `rows_max` rows together. Where it is the rows that leave no room for so many, fewer are merged
/// too, if that makes a large segment and none of them is most of it.
pub(crate) fn run_to_merge(sizes: &[usize], fan: usize, rows_max: usize) -> Option<std::ops::Range<usize>> {
    let class = |size: usize| (size.max(FRESH_ROWS) / FRESH_ROWS).ilog2() / fan.ilog2();
    let mut end = sizes.len();
    while let Some(last) = end.checked_sub(1).and_then(|at| sizes.get(at)) {
        let (mut count, mut rows, mut largest, mut full) = (0, 0_usize, 0, false);
        for size in sizes.iter().take(end).rev().take_while(|size| class(**size) <= class(*last)) {
            if rows.saturating_add(*size) > rows_max {
                full = true;
                break;
            }
            (count, rows, largest) = (count + 1, rows + size, largest.max(*size));
        }
        if count >= fan || (full && rows >= rows_max / 2 && largest <= rows / 2) {
            return Some(end - count..end);
        }
        end -= count.max(1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sizes: &[usize], expect: Option<std::ops::Range<usize>>) {
        assert_eq!(run_to_merge(sizes, MERGE_FAN, MERGE_ROWS_MAX), expect, "{sizes:?}");
    }

    #[test]
    fn eight_neighbours_of_a_class_are_merged_wherever_they_stand() {
        check(&[], None);
        check(&[1_024; 7], None);
        check(&[1_024; 8], Some(0..8));
        check(&[8_192, 1_024, 1_024], None);
        check(&[8_192, 1_024, 1_024, 1_024, 1_024, 1_024, 1_024, 1_024, 1_024], Some(1..9));
    }

    #[test]
    fn the_largest_segments_stay_as_they_are() {
        check(&[MERGE_ROWS_MAX; 20], None);
        let mut sizes = vec![MERGE_ROWS_MAX; 3];
        sizes.extend([1_024; 8]);
        check(&sizes, Some(3..11));
    }

    #[test]
    fn what_the_rows_leave_no_room_for_is_merged_as_far_as_it_fits() {
        let run = |sizes: &[usize]| run_to_merge(sizes, 16, 4_000_000);
        assert_eq!(run(&[1_600_000, 1_600_000, 1_600_000, 262_144]), Some(1..4));
        // Not again and again a large one for a small one.
        assert_eq!(run(&[1_600_000, 3_462_144, 262_144]), None);
        assert_eq!(run(&[4_000_000, 4_000_000]), None);
        // One that can't be merged divides the others.
        assert_eq!(run(&[[262_144; 8].as_slice(), &[usize::MAX], &[262_144; 15]].concat()), None);
        assert_eq!(run(&[[262_144; 8].as_slice(), &[usize::MAX], &[200_000; 16]].concat()), Some(9..25));
    }

    #[test]
    fn any_number_of_freezes_leaves_few_segments() {
        let mut sizes = Vec::new();
        for _ in 0..2_000 {
            let end = sizes.len();
            sizes.insert(end, FRESH_ROWS);
            while let Some(run) = run_to_merge(&sizes, MERGE_FAN, 256 * FRESH_ROWS) {
                let merged = sizes.get(run.clone()).expect("a run").iter().sum();
                sizes.splice(run, [merged]);
            }
        }
        assert_eq!(sizes.iter().sum::<usize>(), 2_000 * FRESH_ROWS);
        assert!(sizes.len() <= 40, "{sizes:?}");
    }
}

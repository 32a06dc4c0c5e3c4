//! How a list's cursors name its events: by index in one log, by position over all.
//!
//! **Invariant:** a number tells nothing of events that the list's reader may not read.

use annals_model::{Event, Filter};
use annals_segment::{Logs, SegmentError};

use crate::scene::Scene;

/// The numbers of a list over some logs.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'v> {
    pub(crate) scene: &'v Scene,
    pub(crate) logs: Logs,
    /// Events that are committed, over all logs.
    pub(crate) committed: u64,
}

impl Numbers<'_> {
    /// An event's number.
    pub(crate) fn of(&self, event: &Event) -> u64 {
        match self.logs {
            Logs::One(_) => event.index,
            Logs::All | Logs::AllBut(_) => event.position,
        }
    }

    /// The number after the last event's.
    ///
    /// # Errors
    ///
    /// As for all reading of segments.
    pub(crate) fn end(&self) -> Result<u64, SegmentError> {
        let Logs::One(log) = self.logs else { return Ok(self.committed) };
        let fresh = self.scene.fresh.iter().rev().find_map(|fresh| {
            let rows = fresh.rows(0..self.committed).filter(|row| row.row.log == log);
            rows.last().map(|row| row.row.index + 1)
        });
        if let Some(end) = fresh {
            return Ok(end);
        }
        for segment in self.scene.segments.iter().rev() {
            let Some(range) = segment.log(log)? else { continue };
            if range.positions.end <= self.committed {
                return Ok(range.indexes.end);
            }
            let rows = segment.search(self.logs, 0..self.committed, &Filter::default())?.len();
            if rows > 0 {
                return Ok(range.indexes.start + rows);
            }
        }
        Ok(0)
    }

    /// The position of the event with a number, or where the next one will be at least.
    ///
    /// # Errors
    ///
    /// As for all reading of segments.
    pub(crate) fn position(&self, number: u64) -> Result<u64, SegmentError> {
        let Logs::One(log) = self.logs else { return Ok(number) };
        let fresh = self.scene.fresh.iter().flat_map(|fresh| fresh.rows(0..self.committed));
        let mut fresh = fresh.filter(|row| row.row.log == log);
        if let Some(row) = fresh.find(|row| row.row.index == number) {
            return Ok(row.row.position);
        }
        for segment in self.scene.segments.iter().rev() {
            if let Some(row) = segment.find_index(log, number)? {
                return Ok(segment.keys(&[row])?.first().map_or(self.committed, |key| key.position));
            }
        }
        Ok(self.committed)
    }
}

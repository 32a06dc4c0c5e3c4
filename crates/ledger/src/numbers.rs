//! How a list's cursors name its events: by index in one log, by position over all.
//!
//! **Invariant:** a number tells nothing of events that the list's reader may not read.

use annals_model::{Event, Filter};
use annals_segment::Logs;

use crate::tail::View;

/// The numbers of a list over some logs.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'v> {
    pub(crate) view: &'v View,
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
    pub(crate) fn end(&self) -> u64 {
        let Logs::One(log) = self.logs else { return self.committed };
        let fresh = self.view.fresh.iter().rev().find_map(|fresh| {
            let rows = fresh.rows(0..self.committed).filter(|row| row.row.log == log);
            rows.last().map(|row| row.row.index + 1)
        });
        fresh.unwrap_or_else(|| {
            let segments = self.view.segments.iter().rev().find_map(|segment| {
                let range = segment.log(log)?;
                let rows = segment.search(self.logs, 0..self.committed, &Filter::default()).len();
                (rows > 0).then_some(range.indexes.start + rows)
            });
            segments.unwrap_or(0)
        })
    }

    /// The position of the event with a number, or where the next one will be at least.
    pub(crate) fn position(&self, number: u64) -> u64 {
        let Logs::One(log) = self.logs else { return number };
        let segment = self.view.segments.iter().find_map(|segment| {
            let row = segment.find_index(log, number)?;
            Some(segment.key(row).position)
        });
        let fresh = || {
            let rows = self.view.fresh.iter().flat_map(|fresh| fresh.rows(0..self.committed));
            rows.filter(|row| row.row.log == log).find(|row| row.row.index == number).map(|row| row.row.position)
        };
        segment.or_else(fresh).unwrap_or(self.committed)
    }
}

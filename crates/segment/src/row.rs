//! What goes into a segment and comes out of it.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use annals_model::{Content, Event, Fault, Time};

use crate::runs::Run;

/// One event as a segment takes it and gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The number of the log in this data folder.
    pub log: u32,
    /// The event's place in its log, from 0.
    pub index: u64,
    /// The event's place over all logs, in the order of commits.
    pub position: u64,
    /// The server's clock at its commit.
    pub time_recorded: Time,
    /// Its canonical text.
    pub canonical: Arc<[u8]>,
    /// What is kept with the event and shown to nobody, such as its seed; opaque.
    pub secret: Arc<[u8]>,
}

impl Row {
    /// What the event says.
    ///
    /// # Errors
    ///
    /// As for [`Event::content`].
    pub fn content(&self) -> Result<Content, Fault> {
        let event = Event {
            organization: Arc::default(),
            index: self.index,
            position: self.position,
            time_recorded: self.time_recorded,
            canonical: Arc::clone(&self.canonical),
        };
        event.content()
    }
}

/// Whose rows are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logs {
    /// One log's.
    One(u32),
    /// All logs'.
    All,
    /// All logs' but one's.
    AllBut(u32),
}

impl Logs {
    /// Whether a log is among them.
    #[must_use]
    pub fn contains(self, log: u32) -> bool {
        match self {
            Logs::One(one) => one == log,
            Logs::All => true,
            Logs::AllBut(but) => but != log,
        }
    }
}

/// What a segment holds of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// The number of the log.
    pub log: u32,
    /// Whose log it is.
    pub organization: Arc<str>,
    /// The rows that are the log's.
    pub rows: Range<u32>,
    /// From the first event's index up to the last one's, exclusive.
    pub indexes: Range<u64>,
    /// From the first event's position up to the last one's, exclusive; other logs' lie between.
    pub positions: Range<u64>,
    /// The least and the greatest time shown.
    pub times_shown: RangeInclusive<Time>,
    /// The least and the greatest time recorded.
    pub times_recorded: RangeInclusive<Time>,
    /// What its events take, in stored bytes, without what is indexed of them.
    pub text_bytes: u64,
}

impl LogRange {
    pub(crate) fn of(run: Run) -> LogRange {
        LogRange {
            log: run.log,
            indexes: run.index..run.index + u64::from(run.rows.end - run.rows.start),
            rows: run.rows,
            positions: run.positions.0..run.positions.1.saturating_add(1),
            times_shown: run.shown.min..=run.shown.max,
            times_recorded: run.recorded.min..=run.recorded.max,
            text_bytes: run.text_bytes,
            organization: run.organization,
        }
    }
}

//! Finding one event by its id, and telling whether another by that id says the same.
//!
//! **Invariant:** a hash only points; what it points at is compared before it is believed.
//! **Invariant:** of the events that a hash points at, only those of the log are read: an id that many
//! logs use is found as fast as one that only this log does.

use std::sync::Arc;

use annals_model::{Appended, Content, Event, Fault, FaultKind, limits};
use annals_segment::{EventId, Row, Segment, SegmentError};

use crate::prepare::root;
use crate::scene::{Deadline, unread};
use crate::tail::View;
use crate::{Ledger, Shared};

/// An event that was found.
pub(crate) struct Found {
    pub(crate) row: Row,
}

impl Ledger {
    /// One event of an organization.
    ///
    /// # Errors
    ///
    /// Not found; past its deadline if it took too long; internal if the store is damaged.
    pub fn event(&self, organization: &str, id: &str) -> Result<Event, Fault> {
        let found = self.shared.finder().find(organization, id, 0)?;
        let found =
            found.ok_or_else(|| Fault::not_found("there is no event with this id in the organization's log"))?;
        Ok(self.shared.event(found.row))
    }
}

/// Looks for events by their ids, as of one moment, in the time of one query for all of them.
pub(crate) struct Finder<'s> {
    shared: &'s Shared,
    committed: u64,
    view: Arc<View>,
    deadline: Deadline,
}

impl Finder<'_> {
    /// Events that were committed when it was made.
    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// The event with an id in an organization's log, if its position is `from` or above.
    ///
    /// # Errors
    ///
    /// As for a page.
    pub(crate) fn find(&self, organization: &str, id: &str, from: u64) -> Result<Option<Found>, Fault> {
        let Some(log) = self.shared.tail.logs.number(organization) else { return Ok(None) };
        let positions = from..self.committed;
        let hash = self.shared.tail.id_hash(log, id);
        let named = EventId::new(id);
        for fresh in self.view.fresh.iter().rev() {
            if fresh.end() <= from {
                return Ok(None);
            }
            if let Some(found) = fresh.find_id(hash, log, &named).filter(|found| found.row.position < self.committed) {
                let row = positions.contains(&found.row.position).then(|| found.row.clone());
                return Ok(row.map(|row| Found { row }));
            }
        }
        for segment in self.view.segments().rev() {
            if segment.positions().end <= from {
                break;
            }
            for at in self.hits(segment, log, &named).map_err(unfound)? {
                self.deadline.check().map_err(unfound)?;
                let row = segment.row(at).map_err(unfound)?;
                if row.log == log && row.content()?.id == id {
                    return Ok(positions.contains(&row.position).then_some(Found { row }));
                }
            }
        }
        Ok(None)
    }

    /// The rows of a log that may carry an id. Where the id can't be, nothing is read, and so the time
    /// is not looked at.
    fn hits(&self, segment: &Segment, log: u32, id: &EventId) -> Result<Vec<u32>, SegmentError> {
        if !segment.may_hold_id(id) {
            return Ok(Vec::new());
        }
        self.deadline.check()?;
        segment.find_id_of(log, id)
    }
}

impl Shared {
    /// Looks for events as of now.
    pub(crate) fn finder(&self) -> Finder<'_> {
        let committed = self.tail.committed();
        Finder { shared: self, committed, view: self.tail.view(), deadline: self.deadline() }
    }

    /// A row as an event.
    pub(crate) fn event(&self, row: Row) -> Event {
        Event {
            organization: self.tail.logs.name(row.log),
            index: row.index,
            position: row.position,
            time_recorded: row.time_recorded,
            canonical: row.canonical,
        }
    }
}

impl Found {
    /// The answer for a repetition of this event.
    pub(crate) fn appended(&self, organization: &Arc<str>, id: &str) -> Appended {
        Appended {
            organization: Arc::clone(organization),
            id: id.to_owned(),
            index: self.row.index,
            time_recorded: self.row.time_recorded,
            repeated: true,
        }
    }
}

/// What a caller is told of an id that can't be looked up.
fn unfound(error: SegmentError) -> Fault {
    if !matches!(error, SegmentError::Late) {
        return unread(error);
    }
    let seconds = limits::QUERY_TIME_MS_MAX / 1_000;
    let what = format!("looking ids up was given up after {seconds} s: try again, with fewer events at a time");
    Fault::new(FaultKind::Deadline, what)
}

/// Whether a stored event says the same as a new one: compared by commitments, made with the
/// stored salts.
///
/// # Errors
///
/// A conflict if it does not; internal if the store is damaged.
pub(crate) fn same_content(stored: &Row, new: &Content) -> Result<(), Fault> {
    let unreadable = || Fault::internal(format!("the seed of the event at position {} can't be read", stored.position));
    let seed = (*stored.secret).try_into().map_err(|_| unreadable())?;
    if root(&stored.content()?.canonical(), &seed)? == root(&new.canonical(), &seed)? {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "the id was used before, at index {}, for an event that says something else: give this one another id",
        stored.index
    ))
    .at_member("id"))
}

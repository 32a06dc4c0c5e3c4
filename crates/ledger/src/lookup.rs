//! Finding one event by its id, and telling whether another by that id says the same.
//!
//! **Invariant:** a hash only points; what it points at is compared before it is believed.

use std::sync::Arc;

use annals_model::{Appended, Content, Event, Fault};
use annals_segment::{EventId, Row};

use crate::prepare::root;
use crate::scene::unread;
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
    /// Not found; internal if the store is damaged.
    pub fn event(&self, organization: &str, id: &str) -> Result<Event, Fault> {
        let found = self.shared.finder().find(organization, id, 0)?;
        let found =
            found.ok_or_else(|| Fault::not_found("there is no event with this id in the organization's log"))?;
        Ok(self.shared.event(found.row))
    }
}

/// Looks for events by their ids, as of one moment.
pub(crate) struct Finder<'s> {
    shared: &'s Shared,
    committed: u64,
    view: Arc<View>,
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
            for at in segment.find_id(&named).map_err(unread)? {
                let row = segment.row(at).map_err(unread)?;
                if row.log == log && self.shared.event(row.clone()).content()?.id == id {
                    return Ok(positions.contains(&row.position).then_some(Found { row }));
                }
            }
        }
        Ok(None)
    }
}

impl Shared {
    /// Looks for events as of now.
    pub(crate) fn finder(&self) -> Finder<'_> {
        let committed = self.tail.committed();
        Finder { shared: self, committed, view: self.tail.view() }
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

/// Whether a stored event says the same as a new one: compared by commitments, made with the
/// stored salts.
///
/// # Errors
///
/// A conflict if it does not; internal if the store is damaged.
pub(crate) fn same_content(stored: &Row, new: &Content) -> Result<(), Fault> {
    let unreadable = || Fault::internal(format!("the seed of the event at position {} can't be read", stored.position));
    let seed = (*stored.secret).try_into().map_err(|_| unreadable())?;
    let event = Event {
        organization: Arc::default(),
        index: stored.index,
        position: stored.position,
        time_recorded: stored.time_recorded,
        canonical: Arc::clone(&stored.canonical),
    };
    if root(&event.content()?.canonical(), &seed)? == root(&new.canonical(), &seed)? {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "the id was used before, at index {}, for an event that says something else: give this one another id",
        stored.index
    ))
    .at_member("id"))
}

//! What the server can be asked for, and what it answers: closed lists, the same for the native
//! API and every dialect.

use std::sync::Arc;

use crate::{Event, Filter, NewEvent, Order, Page, PageQuery, Reach, Time};

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Record events, all or none.
    Append(Vec<NewEvent>),
    /// Read one page of a list.
    Page(PageQuery),
    /// Read one event of an organization.
    Get {
        /// The organization.
        organization: Arc<str>,
        /// The event's id.
        id: String,
    },
    /// Read all that matches, as of the start.
    Export(Export),
}

/// A list that is read whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// Whose events.
    pub reach: Reach,
    /// Which of them.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
}

/// What is answered. An export is answered by its events, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The events are recorded.
    Appended(Vec<Appended>),
    /// A page.
    Page(Page),
    /// One event.
    Event(Event),
}

/// Where an event was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The organization.
    pub organization: Arc<str>,
    /// The event's id.
    pub id: String,
    /// Its place in the log.
    pub index: u64,
    /// The server's clock at its commit.
    pub time_recorded: Time,
    /// Whether it had been there before.
    pub repeated: bool,
}

//! A page of a list.

use std::sync::Arc;

use crate::{Cursor, Event, Filter, Order};

/// Whose events a list is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One organization's.
    Organization(Arc<str>),
    /// All organizations', without the server's own.
    All,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// So many matching events after the first.
    Offset(u64),
    /// Where an earlier page ended, or began.
    Cursor(Cursor),
}

/// What page of which list is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct PageQuery {
    /// Whose events.
    pub reach: Reach,
    /// Which of them.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// From where.
    pub start: Start,
    /// How many at most; 0 gives the total only.
    pub limit: usize,
    /// Whether the total is wanted.
    pub total: bool,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The events, in the order asked for.
    pub events: Vec<Event>,
    /// How many events match, exactly, if that was asked for.
    pub total: Option<u64>,
    /// The next page. Absent on the last one, but a list with the oldest first always goes on.
    pub next: Option<Cursor>,
    /// The page before. Absent on the first one.
    pub previous: Option<Cursor>,
}

//! Lists in pages.
//!
//! A list with the newest first, or by time, is as of its first page: cursors carry how many events
//! there were then (the snapshot) and how many matched. A list with the oldest first goes on: its
//! cursors carry how far it was read, and the total grows by what came since.
//!
//! **Invariant:** paging to the end gives each event that matched at the start exactly once,
//! whatever is appended meanwhile.

use std::ops::Range;

use annals_model::{Cursor, Direction, Fault, Page, PageQuery, Reach, SYSTEM_ORGANIZATION, Start, Time};
use annals_segment::{Key, Logs};

use crate::search::{Part, Pick, Wanted, select};
use crate::tail::View;
use crate::{Ledger, Shared};

impl Ledger {
    /// One page of a list. Takes processor time, and waits for nothing.
    ///
    /// # Errors
    ///
    /// Invalid for a cursor of another store; internal if an index is damaged.
    pub fn page(&self, query: &PageQuery) -> Result<Page, Fault> {
        self.shared.page(query)
    }
}

/// What a page is cut from.
struct List<'q> {
    query: &'q PageQuery,
    cursor: Option<Cursor>,
    committed: u64,
    /// Events that the list is of: those before this position.
    snapshot: u64,
    /// Whether the list goes on as events come.
    live: bool,
}

impl Shared {
    pub(crate) fn page(&self, query: &PageQuery) -> Result<Page, Fault> {
        let committed = self.tail.committed();
        let view = self.tail.view();
        let list = List::new(query, committed)?;
        let number = |organization: &str| self.tail.logs.number(organization);
        let logs = match &query.reach {
            Reach::All => number(SYSTEM_ORGANIZATION).map_or(Logs::All, Logs::AllBut),
            Reach::Organization(organization) => match number(organization) {
                Some(log) => Logs::One(log),
                // An organization without events has no log yet.
                None => return Ok(list.finish(&[], false, query.total.then_some(0), Vec::new())),
            },
        };
        let wanted = Wanted { logs, filter: &query.filter };
        let (picks, counted) = list.pick(&view, &wanted);
        let total = query.total.then(|| list.total(&view, &wanted, counted));
        let more = picks.len() > query.limit;
        let mut picks: Vec<Pick> = picks.into_iter().take(query.limit).collect();
        if list.backward() {
            picks.reverse();
        }
        let events = self.events(&picks)?;
        Ok(list.finish(&picks, more, total, events))
    }
}

impl<'q> List<'q> {
    fn new(query: &'q PageQuery, committed: u64) -> Result<List<'q>, Fault> {
        let cursor = match &query.start {
            Start::Offset(_) => None,
            Start::Cursor(cursor) => Some(*cursor),
        };
        if cursor.is_some_and(|cursor| cursor.snapshot > committed || cursor.position.is_some_and(|at| at >= committed))
        {
            return Err(Fault::invalid(
                "the cursor is from another server, or from before a restore: begin at the first page",
            )
            .at_member("cursor"));
        }
        let live = query.order.by_place() == Some(Direction::Ascending);
        let snapshot = cursor.filter(|_| !live).map_or(committed, |cursor| cursor.snapshot);
        Ok(List { query, cursor, committed, snapshot, live })
    }

    fn backward(&self) -> bool {
        self.cursor.is_some_and(|cursor| cursor.backward)
    }

    fn offset(&self) -> u64 {
        if let Start::Offset(offset) = self.query.start { offset } else { 0 }
    }

    fn after(&self) -> Option<Key> {
        let cursor = self.cursor?;
        Some(Key { time: cursor.time, status: cursor.status, position: cursor.position? })
    }

    /// The page's matches and one more if there is one; and how many match in all, where counting
    /// them came by the way.
    fn pick<'v>(&self, view: &'v View, wanted: &Wanted) -> (Vec<Pick<'v>>, Option<u64>) {
        let order = if self.backward() { self.query.order.reversed() } else { self.query.order.clone() };
        let (after, limit) = (self.after(), self.query.limit + 1);
        let Some(direction) = order.by_place() else {
            let places = view.places(Direction::Ascending).into_iter();
            let parts: Vec<Part> = places.map(|place| place.search(wanted, 0..self.snapshot)).collect();
            let picks = select(&parts, &order, after.as_ref(), self.offset(), limit);
            return (picks, Some(parts.iter().map(Part::len).sum()));
        };
        let positions = match (after, direction) {
            (None, _) => 0..self.snapshot,
            (Some(after), Direction::Descending) => 0..after.position.min(self.snapshot),
            (Some(after), Direction::Ascending) => after.position + 1..self.snapshot,
        };
        let counting = self.query.total && after.is_none();
        let (mut skip, mut count, mut picks) = (self.offset(), 0, Vec::new());
        for place in view.places(direction) {
            if picks.len() == limit && !counting {
                break;
            }
            let part = place.search(wanted, positions.clone());
            let matches = part.len();
            count += matches;
            if skip >= matches {
                skip -= matches;
            } else if picks.len() < limit {
                picks.extend(part.select(&order, None, skip, limit - picks.len()));
                skip = 0;
            }
        }
        (picks, counting.then_some(count))
    }

    /// How many match: of the snapshot, or by now in a list that goes on.
    fn total(&self, view: &View, wanted: &Wanted, counted: Option<u64>) -> u64 {
        let count = |positions: Range<u64>| -> u64 {
            let places = view.places(Direction::Ascending).into_iter();
            places.map(|place| place.search(wanted, positions.clone()).len()).sum()
        };
        let carried = self.cursor.and_then(|cursor| Some((cursor.total?, cursor.snapshot)));
        match (carried, counted) {
            (Some((total, snapshot)), _) if self.live => total + count(snapshot..self.committed),
            (Some((total, _)), _) => total,
            (None, Some(counted)) => counted,
            (None, None) => count(0..self.snapshot),
        }
    }

    fn finish(&self, picks: &[Pick], more: bool, total: Option<u64>, events: Vec<annals_model::Event>) -> Page {
        let cursor = |key: Option<Key>, backward: bool| Cursor {
            fingerprint: self.query.fingerprint(),
            backward,
            snapshot: self.snapshot,
            total,
            position: key.map(|key| key.position),
            time: key.map_or(Time::default(), |key| key.time),
            status: key.map_or(0, |key| key.status),
        };
        let (first, last) = (picks.first().map(|pick| pick.key), picks.last().map(|pick| pick.key));
        let begun = self.after().is_some() || self.offset() > 0;
        let (before, behind) =
            if self.backward() { (more, !picks.is_empty()) } else { (begun && !picks.is_empty(), more) };
        let next = if behind && last.is_some() {
            Some(cursor(last, false))
        } else if !self.live || self.backward() {
            None
        } else if self.query.limit == 0 {
            Some(cursor(self.after(), false))
        } else {
            // All up to here was read, so the list goes on behind it.
            Some(cursor(self.committed.checked_sub(1).map(|position| Key { position, ..Key::default() }), false))
        };
        let previous = first.filter(|_| before).map(|key| cursor(Some(key), true));
        Page { events, total, next, previous }
    }
}

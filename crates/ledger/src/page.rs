//! Lists in pages.
//!
//! A list with the newest first, or by time, is as of its first page: cursors carry how many events
//! there were then (the snapshot) and how many matched. A list with the oldest first goes on: its
//! cursors carry how far it was read, and the total grows by what came since.
//!
//! **Invariant:** paging to the end gives each event that matched at the start exactly once,
//! whatever is appended meanwhile.

use std::ops::Range;

use annals_model::{Cursor, Direction, Event, Fault, Order, Page, PageQuery, Reach, SYSTEM_ORGANIZATION, Start, Time};
use annals_segment::{Key, Logs, SegmentError};

use crate::numbers::Numbers;
use crate::scene::{Scene, unread};
use crate::search::{Part, Pick, Wanted, select};
use crate::{Ledger, Shared};

impl Ledger {
    /// One page of a list. Takes processor time, and reads from disk what is not in the cache.
    ///
    /// # Errors
    ///
    /// Invalid for a cursor of another store; a limit if too many events would be skipped in an order in
    /// which they can't be sought; past its deadline if it took too long; unavailable or
    /// internal if a part of the history can't be read or is damaged.
    pub fn page(&self, query: &PageQuery) -> Result<Page, Fault> {
        self.shared.page(query)
    }
}

/// What a page is cut from.
struct List<'q> {
    query: &'q PageQuery,
    numbers: Numbers<'q>,
    cursor: Option<Cursor>,
    /// Where the page begins, if a cursor says so.
    after: Option<Key>,
    store: u32,
    /// The list's edge in numbers: events before it are in the list.
    end: u64,
    /// The same as a position.
    until: u64,
    /// Whether the list goes on as events come.
    live: bool,
}

impl Shared {
    pub(crate) fn page(&self, query: &PageQuery) -> Result<Page, Fault> {
        let committed = self.tail.committed();
        let scene = self.scene();
        let numbers = Numbers { scene: &scene, logs: self.logs(&query.reach), committed };
        let list = List::new(query, numbers, self.store)?;
        let wanted = Wanted { logs: numbers.logs, filter: &query.filter };
        let (picks, counted) = list.pick(&scene, &wanted)?;
        let total = if query.total { Some(list.total(&scene, &wanted, counted).map_err(unread)?) } else { None };
        let more = picks.len() > query.limit;
        let mut picks: Vec<Pick> = picks.into_iter().take(query.limit).collect();
        if list.backward() {
            picks.reverse();
        }
        let events = self.events(&picks)?;
        Ok(list.finish(&picks, more, total, events))
    }

    /// Whose rows a list is of.
    pub(crate) fn logs(&self, reach: &Reach) -> Logs {
        let number = |organization: &str| self.tail.logs.number(organization);
        match reach {
            Reach::All => number(SYSTEM_ORGANIZATION).map_or(Logs::All, Logs::AllBut),
            // An organization without events has no log yet, and no log has this number.
            Reach::Organization(organization) => Logs::One(number(organization).unwrap_or(u32::MAX)),
        }
    }

    /// A cursor before the first event of a list as it was when so many events were committed: just now.
    pub(crate) fn begin(&self, query: &PageQuery, committed: u64) -> Result<Cursor, Fault> {
        let scene = self.scene();
        let numbers = Numbers { scene: &scene, logs: self.logs(&query.reach), committed };
        Ok(Cursor {
            fingerprint: query.fingerprint(),
            store: self.store,
            backward: false,
            snapshot: numbers.end().map_err(unread)?,
            total: None,
            place: None,
            time: Time::default(),
            status: 0,
        })
    }
}

impl<'q> List<'q> {
    fn new(query: &'q PageQuery, numbers: Numbers<'q>, store: u32) -> Result<List<'q>, Fault> {
        let cursor = match &query.start {
            Start::Offset(_) => None,
            Start::Cursor(cursor) => Some(*cursor),
        };
        let now = numbers.end().map_err(unread)?;
        if let Some(cursor) = cursor {
            let beyond = cursor.snapshot > now || cursor.place.is_some_and(|place| place >= now);
            if cursor.store != store || beyond || cursor.total.is_some_and(|total| total > cursor.snapshot) {
                let what = "the cursor is from another server, or from before a restore: begin at the first page";
                return Err(Fault::invalid(what).at_member("cursor"));
            }
        }
        let live = query.order.by_place() == Some(Direction::Ascending);
        let end = cursor.filter(|_| !live).map_or(now, |cursor| cursor.snapshot);
        let until = if end == now { numbers.committed } else { numbers.position(end).map_err(unread)? };
        let after = match cursor.and_then(|cursor| Some((cursor, cursor.place?))) {
            Some((cursor, place)) => {
                let position = numbers.position(place).map_err(unread)?;
                Some(Key { time: cursor.time, status: cursor.status, position })
            }
            None => None,
        };
        Ok(List { query, numbers, cursor, after, store, end, until, live })
    }

    fn backward(&self) -> bool {
        self.cursor.is_some_and(|cursor| cursor.backward)
    }

    fn offset(&self) -> u64 {
        if let Start::Offset(offset) = self.query.start { offset } else { 0 }
    }

    /// The page's matches and one more if there is one; and how many match in all, where counting
    /// them came by the way.
    fn pick<'v>(&self, scene: &'v Scene, wanted: &Wanted) -> Result<(Vec<Pick<'v>>, Option<u64>), Fault> {
        let order = if self.backward() { self.query.order.reversed() } else { self.query.order.clone() };
        if let Some(direction) = order.by_place() {
            return self.pick_by_place(scene, wanted, &order, direction).map_err(unread);
        }
        let places = scene.places(Direction::Ascending).into_iter();
        let parts = places.map(|place| place.search(wanted, 0..self.until));
        let parts: Vec<Part> = parts.collect::<Result<_, _>>().map_err(unread)?;
        let picks = select(&parts, &order, self.after.as_ref(), self.offset(), self.query.limit + 1)?;
        Ok((picks, Some(parts.iter().map(Part::len).sum())))
    }

    /// The same of a list by place: no more parts are searched than are needed.
    fn pick_by_place<'v>(
        &self,
        scene: &'v Scene,
        wanted: &Wanted,
        order: &Order,
        direction: Direction,
    ) -> Result<(Vec<Pick<'v>>, Option<u64>), SegmentError> {
        let (after, limit) = (self.after, self.query.limit + 1);
        let positions = match (after, direction) {
            (None, _) => 0..self.until,
            (Some(after), Direction::Descending) => 0..after.position.min(self.until),
            (Some(after), Direction::Ascending) => after.position + 1..self.until,
        };
        let counting = self.query.total && after.is_none();
        let (mut skip, mut count, mut picks) = (self.offset(), 0, Vec::new());
        for place in scene.places(direction) {
            if picks.len() == limit && !counting {
                break;
            }
            let part = place.search(wanted, positions.clone())?;
            let matches = part.len();
            count += matches;
            if skip >= matches {
                skip -= matches;
            } else if picks.len() < limit {
                picks.extend(part.select(order, None, skip, limit - picks.len())?);
                skip = 0;
            }
        }
        Ok((picks, counting.then_some(count)))
    }

    /// How many match: of the snapshot, or by now in a list that goes on.
    fn total(&self, scene: &Scene, wanted: &Wanted, counted: Option<u64>) -> Result<u64, SegmentError> {
        let count = |positions: Range<u64>| -> Result<u64, SegmentError> {
            let places = scene.places(Direction::Ascending).into_iter();
            places.map(|place| Ok(place.search(wanted, positions.clone())?.len())).sum()
        };
        let carried = self.cursor.and_then(|cursor| Some((cursor.total?, cursor.snapshot)));
        Ok(match (carried, counted) {
            (Some((total, snapshot)), _) if self.live => {
                total.saturating_add(count(self.numbers.position(snapshot)?..self.until)?)
            }
            (Some((total, _)), _) => total,
            (None, Some(counted)) => counted,
            (None, None) => count(0..self.until)?,
        })
    }

    fn finish(&self, picks: &[Pick], more: bool, total: Option<u64>, events: Vec<Event>) -> Page {
        let cursor = |key: Key, place: Option<u64>, backward: bool| Cursor {
            fingerprint: self.query.fingerprint(),
            store: self.store,
            backward,
            snapshot: self.end,
            total,
            place,
            time: key.time,
            status: key.status,
        };
        let edge = |event: Option<&Event>, pick: Option<&Pick>| Some((pick?.key, Some(self.numbers.of(event?))));
        let (first, last) = (edge(events.first(), picks.first()), edge(events.last(), picks.last()));
        let begun = self.after.is_some() || self.offset() > 0;
        let (before, behind) =
            if self.backward() { (more, !picks.is_empty()) } else { (begun && !picks.is_empty(), more) };
        let next = match last.filter(|_| behind) {
            Some((key, place)) => Some(cursor(key, place, false)),
            None if !self.live || self.backward() => None,
            None if self.query.limit == 0 => {
                let place = self.cursor.and_then(|cursor| cursor.place);
                Some(cursor(Key::default(), place, false))
            }
            // All up to here was read, so the list goes on behind it.
            None => Some(cursor(Key::default(), self.end.checked_sub(1), false)),
        };
        let previous = first.filter(|_| before).map(|(key, place)| cursor(key, place, true));
        Page { events, total, next, previous }
    }
}

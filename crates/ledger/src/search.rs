//! One search code for what is frozen and what is fresh.
//!
//! **Invariant:** a part answers for its own rows only; parts follow each other by position, so the
//! newest events of a list by place are in the last parts.

use std::ops::Range;
use std::sync::Arc;

use annals_model::{Direction, Event, Fault, Filter, Order, OrderField};
use annals_segment::{Key, Logs, Row, Rows, Segment};

use crate::Shared;
use crate::lookup::damaged;
use crate::tail::{Fresh, FreshRow, View};

/// What is looked for.
pub(crate) struct Wanted<'q> {
    /// Whose events.
    pub(crate) logs: Logs,
    pub(crate) filter: &'q Filter,
}

/// What matches in one part of a view.
pub(crate) enum Part<'v> {
    Frozen { segment: &'v Arc<Segment>, rows: Rows },
    Fresh { rows: Vec<(Key, &'v FreshRow)> },
}

/// One match, picked for a page.
pub(crate) struct Pick<'v> {
    pub(crate) key: Key,
    source: Source<'v>,
}

enum Source<'v> {
    Frozen(&'v Arc<Segment>, u32),
    Fresh(&'v FreshRow),
}

/// A part of a view that was not searched yet.
#[derive(Clone, Copy)]
pub(crate) enum Place<'v> {
    Frozen(&'v Arc<Segment>),
    Fresh(&'v Arc<Fresh>),
}

impl View {
    /// The parts in the order of positions, in a direction.
    pub(crate) fn places(&self, direction: Direction) -> Vec<Place<'_>> {
        let mut places: Vec<Place> =
            self.segments.iter().map(Place::Frozen).chain(self.fresh.iter().map(Place::Fresh)).collect();
        if direction == Direction::Descending {
            places.reverse();
        }
        places
    }
}

impl<'v> Place<'v> {
    /// What matches with a position in the range.
    pub(crate) fn search(self, wanted: &Wanted, positions: Range<u64>) -> Part<'v> {
        match self {
            Place::Frozen(segment) => {
                Part::Frozen { segment, rows: segment.search(wanted.logs, positions, wanted.filter) }
            }
            Place::Fresh(fresh) => {
                let of_log = fresh.rows(positions).filter(|row| wanted.logs.contains(row.row.log));
                let matching = of_log.filter(|row| {
                    !wanted.filter.rules_out(&row.row.canonical)
                        && wanted.filter.matches(&row.content, row.row.time_recorded)
                });
                Part::Fresh { rows: matching.map(|row| (row.key(), row)).collect() }
            }
        }
    }
}

impl<'v> Part<'v> {
    /// How many match.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Part::Frozen { rows, .. } => rows.len(),
            Part::Fresh { rows } => rows.len() as u64,
        }
    }

    /// How many come after a key.
    fn count_after(&self, order: &Order, after: Option<&Key>) -> u64 {
        match self {
            Part::Frozen { segment, rows } => rows.count_after(segment, order, after),
            Part::Fresh { rows } => rows.iter().filter(|(key, _)| is_after(key, after, order)).count() as u64,
        }
    }

    /// The first `limit` that come after a key, without the first `skip` of those.
    pub(crate) fn select(&self, order: &Order, after: Option<&Key>, skip: u64, limit: usize) -> Vec<Pick<'v>> {
        match self {
            Part::Frozen { segment, rows } => {
                let segment: &'v Arc<Segment> = segment;
                let picked = rows.select(segment, order, after, skip, limit).into_iter();
                picked.map(|row| Pick { key: segment.key(row), source: Source::Frozen(segment, row) }).collect()
            }
            Part::Fresh { rows } => {
                let mut matching: Vec<&(Key, &'v FreshRow)> =
                    rows.iter().filter(|(key, _)| is_after(key, after, order)).collect();
                matching.sort_by(|(a, _), (b, _)| a.compare(b, order));
                let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                let picked = matching.into_iter().skip(skip).take(limit);
                picked.map(|(key, row)| Pick { key: *key, source: Source::Fresh(row) }).collect()
            }
        }
    }

    /// The earliest and the latest time shown of what it may hold.
    fn times(&self) -> Option<(i64, i64)> {
        let span = |times: &mut dyn Iterator<Item = (i64, i64)>| times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        match self {
            Part::Frozen { segment, .. } => {
                span(&mut segment.logs().map(|log| (log.times_shown.start().us(), log.times_shown.end().us())))
            }
            Part::Fresh { rows } => span(&mut rows.iter().map(|(key, _)| (key.time.us(), key.time.us()))),
        }
    }
}

/// The page that begins after a key and a number of matches, of parts in ascending order.
pub(crate) fn select<'v>(
    parts: &[Part<'v>],
    order: &Order,
    after: Option<&Key>,
    skip: u64,
    limit: usize,
) -> Vec<Pick<'v>> {
    if let Some(direction) = walkable(parts, order) {
        let in_direction: Vec<&Part> = match direction {
            Direction::Ascending => parts.iter().collect(),
            Direction::Descending => parts.iter().rev().collect(),
        };
        let (mut skip, mut picks) = (skip, Vec::new());
        for part in in_direction {
            if picks.len() == limit {
                break;
            }
            let count = part.count_after(order, after);
            if skip >= count {
                skip -= count;
            } else {
                picks.extend(part.select(order, after, skip, limit - picks.len()));
                skip = 0;
            }
        }
        return picks;
    }
    let matches: u64 = parts.iter().map(Part::len).sum();
    let skip = usize::try_from(skip.min(matches)).unwrap_or(usize::MAX);
    let mut picks: Vec<Pick> =
        parts.iter().flat_map(|part| part.select(order, after, 0, skip.saturating_add(limit))).collect();
    picks.sort_by(|a, b| a.key.compare(&b.key, order));
    picks.into_iter().skip(skip).take(limit).collect()
}

/// The direction in which one part after the other gives the order, if that is so: by time, where no
/// part reaches back into the one before.
fn walkable(parts: &[Part], order: &Order) -> Option<Direction> {
    let direction = match order.whole().as_slice() {
        [(OrderField::Place, direction)] => return Some(*direction),
        // At an edge that two parts share, the place decides, the same way.
        [(OrderField::TimeOccurred, time), (OrderField::Place, place)] if time == place => *time,
        _ => return None,
    };
    let times: Vec<(i64, i64)> = parts.iter().filter(|part| part.len() > 0).filter_map(Part::times).collect();
    let apart = times.array_windows().all(|[(_, until), (from, _)]| until <= from);
    apart.then_some(direction)
}

fn is_after(key: &Key, after: Option<&Key>, order: &Order) -> bool {
    after.is_none_or(|after| key.compare(after, order).is_gt())
}

impl Shared {
    /// The events of what was picked, in the same order; each block is read once.
    pub(crate) fn events(&self, picks: &[Pick]) -> Result<Vec<Event>, Fault> {
        let mut rows: Vec<Option<Row>> = vec![None; picks.len()];
        let mut at = 0;
        while let Some(pick) = picks.get(at) {
            match pick.source {
                Source::Fresh(fresh) => {
                    if let Some(slot) = rows.get_mut(at) {
                        *slot = Some(fresh.row.clone());
                    }
                    at += 1;
                }
                Source::Frozen(segment, _) => {
                    let run = picks.iter().skip(at).map_while(|pick| match pick.source {
                        Source::Frozen(same, row) if Arc::ptr_eq(same, segment) => Some(row),
                        _ => None,
                    });
                    let run: Vec<u32> = run.collect();
                    let read = segment.rows(&run).map_err(damaged)?;
                    rows.iter_mut().skip(at).zip(read).for_each(|(slot, row)| *slot = Some(row));
                    at += run.len();
                }
            }
        }
        Ok(rows.into_iter().flatten().map(|row| self.event(row)).collect())
    }
}

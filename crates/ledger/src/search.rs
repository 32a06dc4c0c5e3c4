//! One search code for what is sealed, frozen or fresh.
//!
//! **Invariant:** a part answers for its own rows only; parts follow each other by position, so the
//! newest events of a list by place are in the last parts.
//! **Invariant:** a page takes memory for no more than [`limits::SCATTERED_SKIP_MAX`] matches that it skips, a
//! few times over, however many there are.

use std::ops::Range;
use std::sync::Arc;

use annals_model::{Direction, Event, Fault, FaultKind, Filter, Order, OrderField, Time, limits};
use annals_segment::{Key, Logs, Row, Rows, Segment, SegmentError};

use crate::Shared;
use crate::scene::{Deadline, unread};
use crate::tail::{Fresh, FreshRow};

/// Fresh events that are scanned between two looks at the time.
const SCAN_ROWS: usize = 1_024;

/// What is looked for.
pub(crate) struct Wanted<'q> {
    /// Whose events.
    pub(crate) logs: Logs,
    pub(crate) filter: &'q Filter,
}

/// What matches in one part of a scene.
pub(crate) enum Part<'v> {
    Segment { segment: &'v Segment, rows: Rows },
    Fresh { rows: Vec<(Key, &'v FreshRow)> },
}

/// One match, picked for a page.
pub(crate) struct Pick<'v> {
    pub(crate) key: Key,
    source: Source<'v>,
}

enum Source<'v> {
    Segment(&'v Segment, u32),
    Fresh(&'v FreshRow),
}

/// A part of a scene that was not searched yet.
#[derive(Clone, Copy)]
pub(crate) enum Place<'v> {
    Segment(&'v Segment),
    Fresh(&'v Arc<Fresh>, &'v Deadline),
}

impl<'v> Place<'v> {
    /// What matches with a position in the range.
    pub(crate) fn search(self, wanted: &Wanted, positions: Range<u64>) -> Result<Part<'v>, SegmentError> {
        Ok(match self {
            Place::Segment(segment) => {
                Part::Segment { segment, rows: segment.search(wanted.logs, positions, wanted.filter)? }
            }
            Place::Fresh(fresh, deadline) => {
                let mut rows = Vec::new();
                for (at, row) in fresh.rows(positions).enumerate() {
                    if at.is_multiple_of(SCAN_ROWS) {
                        deadline.check()?;
                    }
                    if wanted.logs.contains(row.row.log)
                        && !wanted.filter.rules_out(&row.row.canonical)
                        && wanted.filter.matches(&row.content, row.row.time_recorded)
                    {
                        rows.push((row.key(), row));
                    }
                }
                Part::Fresh { rows }
            }
        })
    }
}

impl<'v> Part<'v> {
    /// How many match.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Part::Segment { rows, .. } => rows.len(),
            Part::Fresh { rows } => rows.len() as u64,
        }
    }

    /// How many come after a key.
    fn count_after(&self, order: &Order, after: Option<&Key>) -> Result<u64, SegmentError> {
        match self {
            Part::Segment { segment, rows } => rows.count_after(segment, order, after),
            Part::Fresh { rows } => Ok(rows.iter().filter(|(key, _)| is_after(key, after, order)).count() as u64),
        }
    }

    /// Whether counting what comes after a key is about as fast for many rows as for few.
    fn counts_fast(&self, order: &Order) -> bool {
        match self {
            Part::Segment { rows, .. } => rows.counts_fast(order),
            Part::Fresh { .. } => true,
        }
    }

    /// The first `limit` that come after a key, without the first `skip` of those.
    pub(crate) fn select(
        &self,
        order: &Order,
        after: Option<&Key>,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<Pick<'v>>, SegmentError> {
        match self {
            Part::Segment { segment, rows } => {
                let segment: &'v Segment = segment;
                let picked = rows.select(segment, order, after, skip, limit)?;
                let keys = segment.keys(&picked)?;
                let pick = |(row, key)| Pick { key, source: Source::Segment(segment, row) };
                Ok(picked.into_iter().zip(keys).map(pick).collect())
            }
            Part::Fresh { rows } => {
                let mut matching: Vec<&(Key, &'v FreshRow)> =
                    rows.iter().filter(|(key, _)| is_after(key, after, order)).collect();
                matching.sort_by(|(a, _), (b, _)| a.compare(b, order));
                let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                let picked = matching.into_iter().skip(skip).take(limit);
                Ok(picked.map(|(key, row)| Pick { key: *key, source: Source::Fresh(row) }).collect())
            }
        }
    }

    /// The earliest and the latest time shown of what it may hold.
    pub(crate) fn times(&self) -> Option<(Time, Time)> {
        match self {
            Part::Segment { segment, .. } => Some(segment.times_shown()),
            Part::Fresh { rows } => {
                let times = rows.iter().map(|(key, _)| (key.time, key.time));
                times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            }
        }
    }
}

/// The page that begins after a key and a number of matches, of parts in ascending order.
///
/// # Errors
///
/// A limit if more than [`limits::SCATTERED_SKIP_MAX`] matches would have to be collected to skip them; else as
/// for a page.
pub(crate) fn select<'v>(
    parts: &[Part<'v>],
    order: &Order,
    after: Option<&Key>,
    skip: u64,
    limit: usize,
) -> Result<Vec<Pick<'v>>, Fault> {
    let matching: Vec<&Part> = parts.iter().filter(|part| part.len() > 0).collect();
    if limit == 0 || skip >= matching.iter().map(|part| part.len()).sum() {
        return Ok(Vec::new());
    }
    if let Some(direction) = walkable(&matching, order) {
        return walk(&matching, order, direction, after, skip, limit);
    }
    let (start, skip) = seek(&matching, order, after, skip).map_err(unread)?;
    let after = start.as_ref().or(after);
    check_scattered(skip)?;
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let wanted = skip.saturating_add(limit);
    let compare = |a: &Pick, b: &Pick| a.key.compare(&b.key, order);
    let mut picks: Vec<Pick> = Vec::new();
    for part in matching {
        picks.extend(part.select(order, after, 0, wanted).map_err(unread)?);
        // Only once there are twice as many, so that each is moved a few times and not once per part.
        if picks.len() / 2 >= wanted {
            picks.select_nth_unstable_by(wanted - 1, compare);
            picks.truncate(wanted);
        }
    }
    picks.sort_unstable_by(compare);
    Ok(picks.into_iter().skip(skip).take(limit).collect())
}

/// The page, of parts that give the order one after the other.
fn walk<'v>(
    parts: &[&Part<'v>],
    order: &Order,
    direction: Direction,
    after: Option<&Key>,
    mut skip: u64,
    limit: usize,
) -> Result<Vec<Pick<'v>>, Fault> {
    let mut picks = Vec::new();
    let in_direction: Box<dyn Iterator<Item = &&Part>> = match direction {
        Direction::Ascending => Box::new(parts.iter()),
        Direction::Descending => Box::new(parts.iter().rev()),
    };
    for part in in_direction {
        if picks.len() == limit {
            break;
        }
        let count = part.count_after(order, after).map_err(unread)?;
        if skip >= count {
            skip -= count;
            continue;
        }
        if !part.counts_fast(order) {
            check_scattered(skip)?;
        }
        picks.extend(part.select(order, after, skip, limit - picks.len()).map_err(unread)?);
        skip = 0;
    }
    Ok(picks)
}

fn check_scattered(skip: u64) -> Result<(), Fault> {
    if skip <= limits::SCATTERED_SKIP_MAX {
        return Ok(());
    }
    let most = limits::SCATTERED_SKIP_MAX;
    let what = format!(
        "at most {most} events can be skipped in this order: narrow the time or the filter, or follow the \
         cursors of the pages"
    );
    Err(Fault::new(FaultKind::Limit, what).at_member("offset"))
}

/// A key far into the list, with fewer than [`SEEK`] of the `skip` matches left to be skipped after it.
/// By time: the key is found by halving the time, and then the position, between the earliest and the
/// latest, so that deep pages cost about what the first one does.
fn seek(parts: &[&Part], order: &Order, after: Option<&Key>, skip: u64) -> Result<(Option<Key>, u64), SegmentError> {
    let none = (None, skip);
    let by_time = match order.whole().as_slice() {
        [(OrderField::TimeOccurred, time), (OrderField::Place, place)] if time == place => *time,
        _ => return Ok(none),
    };
    if skip < SEEK || !parts.iter().all(|part| part.counts_fast(order)) {
        return Ok(none);
    }
    let count_after = |key: Option<&Key>| parts.iter().try_fold(0, |sum, part| Ok(sum + part.count_after(order, key)?));
    let all = count_after(after)?;
    let (Some(skip_after), Some((min, max))) = (
        all.checked_sub(skip),
        parts.iter().filter_map(|part| part.times()).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))),
    ) else {
        return Ok(none);
    };
    let down = by_time == Direction::Descending;
    let key = |time: i64, position: u64| Key { time: Time::from_us(time), status: 0, position };
    // The key that lies the furthest on with at least `skip_after` matches after it.
    let halve = |mut near: i128, mut far: i128, key: &dyn Fn(i128) -> Key| -> Result<i128, SegmentError> {
        // `near` has enough after it; `far` has not, or is the end.
        while (far - near).abs() > 1 {
            let middle = near + (far - near) / 2;
            if count_after(Some(&key(middle)))? >= skip_after { near = middle } else { far = middle }
        }
        Ok(near)
    };
    let clamp = |number: i128| i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX });
    let (first, last) = if down { (max, min) } else { (min, max) };
    let step = if down { -1 } else { 1 };
    let edge = if down { 0 } else { u64::MAX };
    let (near, far) = (i128::from(first.us()) - step, i128::from(last.us()) + step);
    let time = clamp(halve(near, far, &|time| key(clamp(time), edge))?);
    // After `time` there are enough, after the next time too few: within that one, by position.
    let next = clamp(i128::from(time) + step);
    let wide = |number: i128| u64::try_from(number.max(0)).unwrap_or(u64::MAX);
    let (near, far) = if down { (i128::from(u64::MAX), 0) } else { (-1, i128::from(u64::MAX)) };
    let position = halve(near, far, &|position| key(next, wide(position)))?;
    let found = if position < 0 { key(time, edge) } else { key(next, wide(position)) };
    let passed = all - count_after(Some(&found))?;
    let further = after.is_none_or(|after| found.compare(after, order).is_gt());
    Ok(if further && passed <= skip { (Some(found), skip - passed) } else { none })
}

/// Matches that are skipped one by one rather than sought past.
const SEEK: u64 = 1_000;

/// The direction in which one part after the other gives the order, if that is so: by time, where no
/// part reaches back into the one before.
fn walkable(parts: &[&Part], order: &Order) -> Option<Direction> {
    let direction = match order.whole().as_slice() {
        [(OrderField::Place, direction)] => return Some(*direction),
        // At an edge that two parts share, the place decides, the same way.
        [(OrderField::TimeOccurred, time), (OrderField::Place, place)] if time == place => *time,
        _ => return None,
    };
    let times: Vec<(Time, Time)> = parts.iter().filter_map(|part| part.times()).collect();
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
                Source::Segment(segment, _) => {
                    let run = picks.iter().skip(at).map_while(|pick| match pick.source {
                        Source::Segment(same, row) if same.is(segment) => Some(row),
                        _ => None,
                    });
                    let run: Vec<u32> = run.collect();
                    let read = segment.rows(&run).map_err(unread)?;
                    rows.iter_mut().skip(at).zip(read).for_each(|(slot, row)| *slot = Some(row));
                    at += run.len();
                }
            }
        }
        Ok(rows.into_iter().flatten().map(|row| self.event(row)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fresh_row() -> FreshRow {
        let row = Row {
            log: 0,
            index: 0,
            position: 0,
            time_recorded: Time::default(),
            canonical: Arc::from([]),
            secret: Arc::from([]),
        };
        FreshRow { row, content: Arc::default() }
    }

    fn orders() -> [Order; 3] {
        let down = Direction::Descending;
        let by = |field| Order(vec![(field, down)]);
        [by(OrderField::Status), by(OrderField::TimeOccurred), Order::newest()]
    }

    /// Parts with so many matches each, whose times and statuses follow no order.
    fn parts<'v>(row: &'v FreshRow, lengths: &[u16], salt: u64) -> Vec<Part<'v>> {
        let mut positions = 0_u64..;
        let part = |length: &u16| {
            let rows = positions.by_ref().take(usize::from(*length)).map(|position| {
                let mixed = (position ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let time = Time::from_us(i64::try_from(mixed >> 50).expect("small"));
                (Key { time, status: u16::try_from(mixed & 3).expect("small"), position }, row)
            });
            Part::Fresh { rows: rows.collect() }
        };
        lengths.iter().map(part).collect()
    }

    fn keys(parts: &[Part]) -> Vec<Key> {
        let rows = parts.iter().map(|part| match part {
            Part::Fresh { rows } => rows.iter().map(|(key, _)| *key),
            Part::Segment { .. } => unreachable!("only fresh ones are made"),
        });
        rows.flatten().collect()
    }

    proptest! {
        #[test]
        fn a_page_of_any_parts_is_that_of_one_sorted_list(
            lengths in prop::collection::vec(0_u16..700, 0..8), salt: u64, skip in 0_u64..4_000, limit in 0_usize..50,
        ) {
            let row = fresh_row();
            let parts = parts(&row, &lengths, salt);
            for order in orders() {
                let mut sorted = keys(&parts);
                sorted.sort_by(|a, b| a.compare(b, &order));
                let expect = sorted.into_iter().skip(usize::try_from(skip).expect("small")).take(limit);
                let picks = select(&parts, &order, None, skip, limit).expect("within the limit");
                prop_assert_eq!(
                    picks.iter().map(|pick| pick.key.position).collect::<Vec<_>>(),
                    expect.map(|key| key.position).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn more_matches_than_can_be_collected_are_not_skipped_unless_they_lie_in_order() {
        let row = fresh_row();
        let parts = parts(&row, &[u16::MAX; 17], 1);
        let total: u64 = parts.iter().map(Part::len).sum();
        assert!(total > limits::SCATTERED_SKIP_MAX + 1);
        let [by_status, _, by_place] = orders();
        let select = |order: &Order, skip: u64| select(&parts, order, None, skip, 2).map(|picks| picks.len());
        assert_eq!(select(&by_status, limits::SCATTERED_SKIP_MAX), Ok(2));
        let fault = select(&by_status, limits::SCATTERED_SKIP_MAX + 1).expect_err("too far");
        assert_eq!(fault.kind, FaultKind::Limit);
        assert!(fault.message.contains("1000000") && fault.message.contains("cursors"), "{fault}");
        assert_eq!(select(&by_status, total), Ok(0));
        assert_eq!(select(&by_place, total - 1), Ok(1));
    }
}

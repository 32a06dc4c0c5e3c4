//! What a search found: a count, and rows in any order.
//!
//! **Invariant:** no more rows are sorted than twice those that are wanted and those before them, but
//! for a sparse set of one log, by time.

use std::ops::Range;
use std::sync::OnceLock;

use annals_model::{Direction, Order};
use roaring::RoaringBitmap;

use crate::columns::ColumnReader;
use crate::key::{Rank, Ranks, Sort};
use crate::places::PlacesReader;
use crate::runs::{Bounds, Run};
use crate::set::Set;
use crate::set::bitmap_of;
use crate::{Key, Segment, SegmentError};

/// Where fewer than one row in so many is in a set, the set is gone through and not the segment.
const SPARSE: u64 = 16;
/// So many rows are collected before the worse ones are thrown away, if fewer are wanted.
const COLLECT_ROWS_MIN: usize = 1_024;
/// Rows by position that are looked through at once.
const WALK_ROWS: u32 = 8_192;

/// The rows that a search found.
#[derive(Clone, Debug)]
pub struct Rows {
    set: Set,
    span: Span,
    length: u64,
    /// The rows by time, once somebody asked for them, where they don't lie so.
    timed: OnceLock<Timed>,
}

/// Rows that a search is restricted to, and how they lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    rows: Range<u32>,
    /// Whether positions ascend with the rows.
    by_place: bool,
    /// Whether, besides, the times shown never decrease with the rows.
    by_time: bool,
    /// Whether the rows are those of one log.
    one_log: bool,
    /// The times shown of all of them.
    shown: Bounds,
}

/// How the rows of a set lie with regard to an order.
enum Lie {
    /// As they are.
    Natural(Direction, Sort),
    /// As the segment's rows by position.
    Position(Direction),
    /// As their log's rows by time.
    Time(Direction, Sort),
    /// Neither way.
    Scattered(Sort),
}

/// One log's rows by time and place.
#[derive(Clone, Debug)]
enum Timed {
    /// All of the log's: as the permutation has them.
    Whole,
    /// Which places of the permutation hold one of the rows.
    Ranks(RoaringBitmap),
    /// The rows themselves.
    Sorted(Vec<u32>),
}

impl Span {
    pub(crate) fn of(run: &Run) -> Span {
        Span { rows: run.rows.clone(), by_place: true, by_time: run.shown.ordered, one_log: true, shown: run.shown }
    }

    pub(crate) fn all(segment: &Segment) -> Span {
        let by_place = segment.footer.tables.places.pages == 0;
        let shown = segment.footer.shown;
        let by_time = by_place && shown.ordered;
        Span { rows: 0..segment.len(), by_place, by_time, one_log: segment.footer.logs == 1, shown }
    }
}

impl Rows {
    pub(crate) fn new(set: Set, span: Span) -> Rows {
        Rows { length: set.len(), set, span, timed: OnceLock::new() }
    }

    /// How many rows there are, exactly.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Up to `limit` rows in `order`: of those that come strictly after `after`, or of all, the ones
    /// that follow the first `skip`.
    ///
    /// `segment` is the one that was searched.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn select(
        &self,
        segment: &Segment,
        order: &Order,
        after: Option<&Key>,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<u32>, SegmentError> {
        if limit == 0 || skip >= self.length {
            return Ok(Vec::new());
        }
        match self.lie(Sort::of(order)) {
            Lie::Natural(direction, sort) => {
                let edge = self.boundary(segment, &sort, direction, after, None)?;
                Ok(match direction {
                    Direction::Ascending => self.set.onward(edge.saturating_add(skip), limit),
                    Direction::Descending => {
                        edge.checked_sub(skip).map_or(Vec::new(), |end| self.set.backward(end, limit))
                    }
                })
            }
            Lie::Position(direction) => self.walk(segment, direction, after, skip, limit),
            Lie::Time(direction, sort) => {
                let timed = self.timed(segment)?;
                let edge = self.boundary(segment, &sort, direction, after, Some(timed))?;
                self.time_select(segment, timed, direction, edge, skip, limit)
            }
            Lie::Scattered(sort) => self.pick(segment, &sort, after, skip, limit),
        }
    }

    /// How many rows come strictly after `after` in `order`; without it, all.
    ///
    /// `segment` is the one that was searched.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn count_after(&self, segment: &Segment, order: &Order, after: Option<&Key>) -> Result<u64, SegmentError> {
        let Some(key) = after else { return Ok(self.length) };
        if self.is_empty() {
            return Ok(0);
        }
        let left = |direction, edge: u64| match direction {
            Direction::Ascending => self.length - edge,
            Direction::Descending => edge,
        };
        match self.lie(Sort::of(order)) {
            Lie::Natural(direction, sort) => {
                Ok(left(direction, self.boundary(segment, &sort, direction, after, None)?))
            }
            Lie::Time(direction, sort) => {
                let timed = self.timed(segment)?;
                Ok(left(direction, self.boundary(segment, &sort, direction, after, Some(timed))?))
            }
            Lie::Position(direction) if self.is_whole(segment) => {
                Ok(ranks_left(segment, direction, after)?.len() as u64)
            }
            Lie::Position(_) | Lie::Scattered(_) => {
                let sort = Sort::of(order);
                let after = sort.rank(key);
                let mut ranks = Ranks::new(&sort, segment);
                let mut count = 0;
                self.set.each(|row| {
                    count += u64::from(ranks.rank(row)? > after);
                    Ok(())
                })?;
                Ok(count)
            }
        }
    }

    /// Whether [`Rows::count_after`] takes time that hardly grows with the number of rows.
    #[must_use]
    pub fn counts_fast(&self, order: &Order) -> bool {
        matches!(self.lie(Sort::of(order)), Lie::Natural(..) | Lie::Time(..))
    }

    /// What it takes in memory, in bytes, besides itself.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.set.memory_bytes()
    }

    pub(crate) fn set(&self) -> &Set {
        &self.set
    }

    /// The times shown of all rows that were searched, if all were found.
    pub(crate) fn bounds_of_all(&self) -> Option<Bounds> {
        (self.length == self.span.rows.len() as u64).then_some(self.span.shown)
    }

    /// The rows that were searched, if their times shown never decrease.
    pub(crate) fn span_by_time(&self) -> Option<Range<u32>> {
        self.span.by_time.then(|| self.span.rows.clone())
    }

    fn is_whole(&self, segment: &Segment) -> bool {
        self.length == u64::from(segment.len())
    }

    fn lie(&self, sort: Sort) -> Lie {
        let (by_place, by_time) = (sort.by_place(), sort.by_time());
        if let Some(direction) = by_place.filter(|_| self.span.by_place).or(by_time.filter(|_| self.span.by_time)) {
            return Lie::Natural(direction, upward(sort, direction));
        }
        match (by_place, by_time) {
            (Some(direction), _) if self.length.saturating_mul(SPARSE) >= self.span.rows.len() as u64 => {
                Lie::Position(direction)
            }
            (_, Some(direction)) if self.span.one_log => Lie::Time(direction, upward(sort, direction)),
            _ => Lie::Scattered(sort),
        }
    }

    /// How many of the rows come before the first that is past `after`, or, going down, up to it; by
    /// `timed`, or as they lie. `sort` ascends with them.
    fn boundary(
        &self,
        segment: &Segment,
        sort: &Sort,
        direction: Direction,
        after: Option<&Key>,
        timed: Option<&Timed>,
    ) -> Result<u64, SegmentError> {
        let Some(after) = after.map(|after| sort.rank(after)) else {
            return Ok(if direction == Direction::Ascending { 0 } else { self.length });
        };
        let mut ranks = Ranks::new(sort, segment);
        let mut before = |row: u32| Ok(is_before(ranks.rank(row)?, after, direction));
        let span = self.span.rows.clone();
        let mut permuted = permutation(segment);
        let mut edge = || partition(span.clone(), |at| before(row_at(&mut permuted, at)?));
        Ok(match timed {
            None => self.set.rank(partition(span, before)?),
            Some(Timed::Whole) => u64::from(edge()? - self.span.rows.start),
            Some(Timed::Ranks(ranks)) => edge()?.checked_sub(1).map_or(0, |last| ranks.rank(last)),
            Some(Timed::Sorted(rows)) => {
                let all = 0..u32::try_from(rows.len()).unwrap_or(u32::MAX);
                partition(all, |at| rows.get(at as usize).map_or(Ok(false), |row| before(*row)))?.into()
            }
        })
    }

    /// The rows by position, beginning past a key: those that are in the set. Where all are, skipping
    /// costs nothing.
    fn walk(
        &self,
        segment: &Segment,
        direction: Direction,
        after: Option<&Key>,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<u32>, SegmentError> {
        let mut left = ranks_left(segment, direction, after)?;
        let mut skip = skip;
        if self.is_whole(segment) {
            let passed = u32::try_from(skip).unwrap_or(u32::MAX).min(left.end - left.start);
            match direction {
                Direction::Ascending => left.start += passed,
                Direction::Descending => left.end -= passed,
            }
            skip = 0;
        }
        let mut places = PlacesReader::new(&segment.footer.tables.places, &*segment.source);
        let mut found = Vec::new();
        while !left.is_empty() && found.len() < limit {
            let piece = match direction {
                Direction::Ascending => left.start..left.end.min((left.start / WALK_ROWS + 1) * WALK_ROWS),
                Direction::Descending => left.start.max((left.end - 1) / WALK_ROWS * WALK_ROWS)..left.end,
            };
            let mut rows = places.rows(piece.clone())?;
            match direction {
                Direction::Ascending => left.start = piece.end,
                Direction::Descending => {
                    rows.reverse();
                    left.end = piece.start;
                }
            }
            for row in rows {
                if found.len() == limit {
                    break;
                }
                if !self.set.contains(row) {
                    continue;
                }
                if skip > 0 {
                    skip -= 1;
                } else {
                    found.push(row);
                }
            }
        }
        Ok(found)
    }

    /// The log's rows by time: how this set lies in them.
    fn timed(&self, segment: &Segment) -> Result<&Timed, SegmentError> {
        if let Some(timed) = self.timed.get() {
            return Ok(timed);
        }
        let run = self.span.rows.len() as u64;
        let timed = if self.length == run {
            Timed::Whole
        } else if self.length.saturating_mul(SPARSE) >= run {
            let mut ranks = Vec::new();
            permutation(segment).each(self.span.rows.clone(), |at, row| {
                if u32::try_from(row).is_ok_and(|row| self.set.contains(row)) {
                    ranks.push(at);
                }
            })?;
            Timed::Ranks(bitmap_of(&ranks))
        } else {
            let mut shown = segment.shown_column();
            let mut rows = Vec::new();
            self.set.each(|row| {
                rows.push((shown.get(row)?, row));
                Ok(())
            })?;
            rows.sort_unstable();
            Timed::Sorted(rows.into_iter().map(|(_, row)| row).collect())
        };
        Ok(self.timed.get_or_init(|| timed))
    }

    /// By time: up to `limit` rows from an edge on, without the first `skip`.
    fn time_select(
        &self,
        segment: &Segment,
        timed: &Timed,
        direction: Direction,
        edge: u64,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<u32>, SegmentError> {
        let count = limit as u64;
        let wanted = match direction {
            Direction::Ascending => edge.saturating_add(skip)..edge.saturating_add(skip).saturating_add(count),
            Direction::Descending => {
                let end = edge.saturating_sub(skip);
                end.saturating_sub(count)..end
            }
        };
        let wanted = wanted.start.min(self.length)..wanted.end.min(self.length);
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut permuted = permutation(segment);
        let mut rows = match timed {
            Timed::Sorted(rows) => {
                rows.get(narrow(wanted.start) as usize..narrow(wanted.end) as usize).unwrap_or_default().to_vec()
            }
            Timed::Whole => {
                let first = self.span.rows.start;
                let at = first + narrow(wanted.start)..first + narrow(wanted.end);
                at.map(|at| row_at(&mut permuted, at)).collect::<Result<_, _>>()?
            }
            Timed::Ranks(ranks) => {
                let first = ranks.select(narrow(wanted.start));
                let at = first.into_iter().flat_map(|first| ranks.range(first..));
                let count = usize::try_from(wanted.end - wanted.start).unwrap_or(usize::MAX);
                at.take(count).map(|at| row_at(&mut permuted, at)).collect::<Result<Vec<u32>, _>>()?
            }
        };
        if direction == Direction::Descending {
            rows.reverse();
        }
        Ok(rows)
    }

    /// The same by going through the whole set, keeping the best.
    fn pick(
        &self,
        segment: &Segment,
        sort: &Sort,
        after: Option<&Key>,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<u32>, SegmentError> {
        let wanted = usize::try_from(skip).unwrap_or(usize::MAX).saturating_add(limit);
        let room = wanted.saturating_mul(2).max(COLLECT_ROWS_MIN);
        let after = after.map(|after| sort.rank(after));
        let mut ranks = Ranks::new(sort, segment);
        let mut best: Vec<(Rank, u32)> = Vec::new();
        let mut worst: Option<Rank> = None;
        self.set.each(|row| {
            let first = ranks.first(row)?;
            if after.is_some_and(|after| first < after[0]) || worst.is_some_and(|worst| first > worst[0]) {
                return Ok(());
            }
            let rank = ranks.rank(row)?;
            if after.is_some_and(|after| rank <= after) || worst.is_some_and(|worst| rank >= worst) {
                return Ok(());
            }
            best.push((rank, row));
            if best.len() >= room {
                best.select_nth_unstable(wanted - 1);
                best.truncate(wanted);
                worst = best.last().map(|(rank, _)| *rank);
            }
            Ok(())
        })?;
        best.sort_unstable();
        Ok(best.into_iter().map(|(_, row)| row).skip(wanted - limit).take(limit).collect())
    }
}

/// Whether a row lies before the edge: at or before the key, or, going down, before it.
fn is_before(rank: Rank, after: Rank, direction: Direction) -> bool {
    match direction {
        Direction::Ascending => rank <= after,
        Direction::Descending => rank < after,
    }
}

/// An order that goes up where the rows do.
fn upward(sort: Sort, direction: Direction) -> Sort {
    if direction == Direction::Ascending { sort } else { sort.reversed() }
}

/// The log's rows by time and place, one after the other.
fn permutation(segment: &Segment) -> ColumnReader<'_> {
    ColumnReader::new(&segment.footer.tables.by_time, &*segment.source, crate::build::ROW_WIDTH)
}

fn row_at(permuted: &mut ColumnReader, at: u32) -> Result<u32, SegmentError> {
    Ok(u32::try_from(permuted.get(at)?).unwrap_or(u32::MAX))
}

/// The part of the rows by position, told by their ranks, that comes strictly after a key.
fn ranks_left(segment: &Segment, direction: Direction, after: Option<&Key>) -> Result<Range<u32>, SegmentError> {
    let all = 0..segment.len();
    let Some(after) = after else { return Ok(all) };
    let mut places = PlacesReader::new(&segment.footer.tables.places, &*segment.source);
    let mut positions = segment.positions_column();
    let mut position = |rank: u32| -> Result<u64, SegmentError> {
        let row = places.rows(rank..rank + 1)?.first().copied().unwrap_or_default();
        positions.get(row)
    };
    Ok(match direction {
        Direction::Ascending => partition(all.clone(), |rank| Ok(position(rank)? <= after.position))?..all.end,
        Direction::Descending => 0..partition(all, |rank| Ok(position(rank)? < after.position))?,
    })
}

/// The first of some numbers that fails a test, which holds up to some number and not from there on.
fn partition(
    numbers: Range<u32>,
    mut test: impl FnMut(u32) -> Result<bool, SegmentError>,
) -> Result<u32, SegmentError> {
    let (mut from, mut until) = (numbers.start, numbers.end.max(numbers.start));
    while from < until {
        let middle = from + (until - from) / 2;
        if test(middle)? {
            from = middle + 1;
        } else {
            until = middle;
        }
    }
    Ok(from)
}

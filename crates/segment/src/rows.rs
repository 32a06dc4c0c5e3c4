//! What a search found: a count, and rows in any order.
//!
//! **Invariant:** no more rows are sorted than twice those that are wanted and those before them.

use std::ops::Range;

use annals_model::{Direction, Order};

use crate::columns::{Columns, Span, partition};
use crate::key::{Rank, Sort};
use crate::set::Set;
use crate::{Key, Segment};

/// Where fewer than one row in so many is in a set, the set is gone through and not the segment.
const SPARSE: u64 = 16;
/// So many rows are collected before the worse ones are thrown away, if fewer are wanted.
const COLLECT_ROWS_MIN: usize = 1_024;

/// The rows that a search found.
#[derive(Clone, Debug)]
pub struct Rows {
    set: Set,
    span: Span,
    length: u64,
}

/// How the rows of a set lie with regard to an order.
enum Lie {
    /// As they are.
    Natural(Direction, Sort),
    /// As the segment's rows by position.
    Position(Direction),
    /// Neither way.
    Scattered,
}

impl Rows {
    pub(crate) fn new(set: Set, span: Span) -> Rows {
        Rows { length: set.len(), set, span }
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
    #[must_use]
    pub fn select(&self, segment: &Segment, order: &Order, after: Option<&Key>, skip: u64, limit: usize) -> Vec<u32> {
        let columns = segment.columns();
        let sort = Sort::of(order);
        if limit == 0 || skip >= self.length {
            return Vec::new();
        }
        match self.lie(columns, &sort) {
            Lie::Natural(Direction::Ascending, sort) => {
                let start = self.boundary(columns, &sort, Direction::Ascending, after);
                self.set.onward(start.saturating_add(skip), limit)
            }
            Lie::Natural(Direction::Descending, sort) => {
                let end = self.boundary(columns, &sort, Direction::Descending, after);
                end.checked_sub(skip).map_or(Vec::new(), |end| self.set.backward(end, limit))
            }
            Lie::Position(direction) => {
                let by_position = columns.by_position().unwrap_or_default();
                let left = positions_left(columns, by_position, direction, after);
                let rows = by_position.get(left).unwrap_or_default();
                match direction {
                    Direction::Ascending => self.walk(rows.iter(), skip, limit),
                    Direction::Descending => self.walk(rows.iter().rev(), skip, limit),
                }
            }
            Lie::Scattered => self.pick(columns, &sort, after, skip, limit),
        }
    }

    /// How many rows come strictly after `after` in `order`; without it, all.
    ///
    /// `segment` is the one that was searched.
    #[must_use]
    pub fn count_after(&self, segment: &Segment, order: &Order, after: Option<&Key>) -> u64 {
        let Some(after) = after else { return self.length };
        let columns = segment.columns();
        let sort = Sort::of(order);
        match self.lie(columns, &sort) {
            Lie::Natural(Direction::Ascending, sort) => {
                self.length - self.boundary(columns, &sort, Direction::Ascending, Some(after))
            }
            Lie::Natural(Direction::Descending, sort) => {
                self.boundary(columns, &sort, Direction::Descending, Some(after))
            }
            Lie::Position(direction) if self.is_whole(columns) => {
                positions_left(columns, columns.by_position().unwrap_or_default(), direction, Some(after)).len() as u64
            }
            _ => {
                let after = sort.rank(after);
                let mut count = 0;
                self.set.each(|row| count += u64::from(sort.rank(&columns.key(row)) > after));
                count
            }
        }
    }

    /// What it takes in memory, in bytes, besides itself.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.set.memory_bytes()
    }

    fn is_whole(&self, columns: &Columns) -> bool {
        self.length == u64::from(columns.len())
    }

    fn lie(&self, columns: &Columns, sort: &Sort) -> Lie {
        let by_place = sort.by_place();
        if let Some(direction) =
            by_place.filter(|_| self.span.by_place).or(sort.by_time().filter(|_| self.span.by_time))
        {
            let sort = if direction == Direction::Ascending { sort.clone() } else { sort.reversed() };
            return Lie::Natural(direction, sort);
        }
        match by_place {
            Some(direction) if self.length.saturating_mul(SPARSE) >= u64::from(columns.len()) => {
                Lie::Position(direction)
            }
            _ => Lie::Scattered,
        }
    }

    /// Where rows lie in the order itself, or its reverse: how many of the set come before the first
    /// that is past `after`, or, going down, up to it. `sort` ascends with the rows.
    fn boundary(&self, columns: &Columns, sort: &Sort, direction: Direction, after: Option<&Key>) -> u64 {
        let Some(after) = after.map(|after| sort.rank(after)) else {
            return if direction == Direction::Ascending { 0 } else { self.length };
        };
        let rank = |row| sort.rank(&columns.key(row));
        let row = match direction {
            Direction::Ascending => partition(&self.span.rows, |row| rank(row) <= after),
            Direction::Descending => partition(&self.span.rows, |row| rank(row) < after),
        };
        self.set.rank(row)
    }

    /// Those of some rows that are in the set. Where all are, skipping costs nothing.
    fn walk<'r>(&self, rows: impl ExactSizeIterator<Item = &'r u32>, skip: u64, limit: usize) -> Vec<u32> {
        let Ok(skip) = usize::try_from(skip) else { return Vec::new() };
        if self.length == self.span.rows.len() as u64 {
            return rows.skip(skip).take(limit).copied().collect();
        }
        rows.copied().filter(|row| self.set.contains(*row)).skip(skip).take(limit).collect()
    }

    /// The same by going through the whole set, keeping the best.
    fn pick(&self, columns: &Columns, sort: &Sort, after: Option<&Key>, skip: u64, limit: usize) -> Vec<u32> {
        let wanted = usize::try_from(skip).unwrap_or(usize::MAX).saturating_add(limit);
        let room = wanted.saturating_mul(2).max(COLLECT_ROWS_MIN);
        let after = after.map(|after| sort.rank(after));
        let mut best: Vec<(Rank, u32)> = Vec::new();
        let mut worst: Option<Rank> = None;
        self.set.each(|row| {
            let rank = sort.rank(&columns.key(row));
            if after.is_some_and(|after| rank <= after) || worst.is_some_and(|worst| rank >= worst) {
                return;
            }
            best.push((rank, row));
            if best.len() >= room {
                best.select_nth_unstable(wanted - 1);
                best.truncate(wanted);
                worst = best.last().map(|(rank, _)| *rank);
            }
        });
        best.sort_unstable();
        best.into_iter().map(|(_, row)| row).skip(wanted - limit).take(limit).collect()
    }
}

/// The part of the rows by position that comes strictly after a key.
fn positions_left(columns: &Columns, rows: &[u32], direction: Direction, after: Option<&Key>) -> Range<usize> {
    let Some(after) = after else { return 0..rows.len() };
    match direction {
        Direction::Ascending => rows.partition_point(|row| columns.position(*row) <= after.position)..rows.len(),
        Direction::Descending => 0..rows.partition_point(|row| columns.position(*row) < after.position),
    }
}

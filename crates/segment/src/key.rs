//! What lists are ordered by, of one event.
//!
//! **Invariant:** two events of one store never compare as equal: their positions differ.

use std::cmp::Ordering;

use annals_model::{Direction, Order, OrderField, Time};

use crate::columns::{ColumnReader, from_time};
use crate::{Segment, SegmentError};

/// An event's place in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// The time shown: the client's word, or the server's without one.
    pub time: Time,
    /// The request's status, 0 where there is none.
    pub status: u16,
    /// The place over all logs, in the order of commits.
    pub position: u64,
}

impl Key {
    /// Which of two events comes first in an order.
    #[must_use]
    pub fn compare(&self, other: &Key, order: &Order) -> Ordering {
        let sort = Sort::of(order);
        sort.rank(self).cmp(&sort.rank(other))
    }
}

/// Numbers whose ascending order is the order of a list.
pub(crate) type Rank = [u64; 3];

/// An order made ready for many keys.
#[derive(Clone, Debug)]
pub(crate) struct Sort {
    fields: Vec<(OrderField, Direction)>,
}

impl Sort {
    pub(crate) fn of(order: &Order) -> Sort {
        Sort { fields: order.whole() }
    }

    /// The same list from its other end.
    pub(crate) fn reversed(&self) -> Sort {
        Sort { fields: self.fields.iter().map(|(field, direction)| (*field, direction.reversed())).collect() }
    }

    /// The direction, if the order is that of commits and nothing else.
    pub(crate) fn by_place(&self) -> Option<Direction> {
        match self.fields.as_slice() {
            [(OrderField::Place, direction)] => Some(*direction),
            _ => None,
        }
    }

    /// The direction, if the order is by time shown and then by place, both the same way.
    pub(crate) fn by_time(&self) -> Option<Direction> {
        match self.fields.as_slice() {
            [(OrderField::TimeOccurred, time), (OrderField::Place, place)] if time == place => Some(*time),
            _ => None,
        }
    }

    pub(crate) fn rank(&self, key: &Key) -> Rank {
        let mut rank = [0; 3];
        for (slot, (field, direction)) in rank.iter_mut().zip(&self.fields) {
            let number = match field {
                OrderField::Place => key.position,
                OrderField::TimeOccurred => from_time(key.time),
                OrderField::Status => u64::from(key.status),
            };
            *slot = match direction {
                Direction::Ascending => number,
                Direction::Descending => !number,
            };
        }
        rank
    }
}

/// Reads the ranks of rows, and of each column only what the order needs.
pub(crate) struct Ranks<'s> {
    fields: Vec<(ColumnReader<'s>, Direction)>,
}

impl<'s> Ranks<'s> {
    pub(crate) fn new(sort: &Sort, segment: &'s Segment) -> Ranks<'s> {
        let column = |field| match field {
            OrderField::Place => segment.positions_column(),
            OrderField::TimeOccurred => segment.shown_column(),
            OrderField::Status => segment.status_column(),
        };
        Ranks { fields: sort.fields.iter().map(|(field, direction)| (column(*field), *direction)).collect() }
    }

    /// The first number of a row's rank.
    pub(crate) fn first(&mut self, row: u32) -> Result<u64, SegmentError> {
        Ok(match self.fields.first_mut() {
            Some((column, Direction::Ascending)) => column.get(row)?,
            Some((column, Direction::Descending)) => !column.get(row)?,
            None => 0,
        })
    }

    pub(crate) fn rank(&mut self, row: u32) -> Result<Rank, SegmentError> {
        let mut rank = [0; 3];
        for (slot, (column, direction)) in rank.iter_mut().zip(&mut self.fields) {
            let number = column.get(row)?;
            *slot = if *direction == Direction::Ascending { number } else { !number };
        }
        Ok(rank)
    }
}

//! The order of a list.
//!
//! **Invariant:** an order is total: after all its fields comes the place, in the direction of
//! the last field.

/// What a list is ordered by, the first field first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order(pub Vec<(OrderField, Direction)>);

/// What can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderField {
    /// The order of commits: by index within a log, by position over all.
    Place,
    /// The time shown: the client's word, or the server's without one.
    TimeOccurred,
    /// The request's status, 0 where there is none.
    Status,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest or oldest first.
    Ascending,
    /// The largest or newest first.
    Descending,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Ascending => Direction::Descending,
            Direction::Descending => Direction::Ascending,
        }
    }
}

impl Order {
    /// The last committed first.
    #[must_use]
    pub fn newest() -> Order {
        Order(vec![(OrderField::Place, Direction::Descending)])
    }

    /// The first committed first.
    #[must_use]
    pub fn oldest() -> Order {
        Order(vec![(OrderField::Place, Direction::Ascending)])
    }

    /// The last to have occurred first.
    #[must_use]
    pub fn occurred() -> Order {
        Order(vec![(OrderField::TimeOccurred, Direction::Descending)])
    }

    /// The fields up to the place, which decides, with the place itself last.
    #[must_use]
    pub fn whole(&self) -> Vec<(OrderField, Direction)> {
        let mut fields = Vec::new();
        for (field, direction) in &self.0 {
            if fields.iter().all(|(have, _)| have != field) {
                fields.push((*field, *direction));
            }
            if *field == OrderField::Place {
                return fields;
            }
        }
        let last = fields.last().map_or(Direction::Descending, |(_, direction)| *direction);
        fields.push((OrderField::Place, last));
        fields
    }

    /// The same list from its other end.
    #[must_use]
    pub fn reversed(&self) -> Order {
        Order(self.whole().into_iter().map(|(field, direction)| (field, direction.reversed())).collect())
    }

    /// The direction if the order is that of commits.
    #[must_use]
    pub fn by_place(&self) -> Option<Direction> {
        match self.whole().first() {
            Some((OrderField::Place, direction)) => Some(*direction),
            _ => None,
        }
    }
}

//! Counts over what a filter finds: by the values of a field, and by time.

use crate::{Field, Filter, Reach, Time};

/// Which values a field has, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct FacetQuery {
    /// Whose events.
    pub reach: Reach,
    /// Which of them.
    pub filter: Filter,
    /// Whose values.
    pub field: Field,
    /// How many values at most.
    pub limit: usize,
}

/// A field's values, the most frequent first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// Whose values.
    pub field: Field,
    /// The values with how many events have them, exactly; those that are as frequent ascend.
    pub values: Vec<(String, u64)>,
    /// The counts of all other values, summed up.
    pub other: u64,
}

/// How many events there are over time.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramQuery {
    /// Whose events.
    pub reach: Reach,
    /// Which of them.
    pub filter: Filter,
    /// How many buckets at most.
    pub buckets: usize,
}

/// How many events there are over time, by the time shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Where each bucket begins, and how many events it has, exactly.
    pub buckets: Vec<(Time, u64)>,
    /// How long each bucket is, in milliseconds.
    pub interval_ms: u64,
}

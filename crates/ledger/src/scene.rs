//! What one query reads: a view, with the query's time kept.
//!
//! **Invariant:** a query that takes longer than [`limits::QUERY_TIME_MS_MAX`] ends with a fault that
//! says so: the time is looked at whenever a page is read.

use std::sync::Arc;

use annals_model::{Direction, Fault, FaultKind, limits};
use annals_segment::{Packed, PageRef, Segment, SegmentError, Source};

use crate::Shared;
use crate::clock::Clock;
use crate::search::Place;
use crate::tail::{Fresh, View};

/// What one query reads, oldest first.
pub(crate) struct Scene {
    pub(crate) segments: Vec<Segment>,
    pub(crate) fresh: Vec<Arc<Fresh>>,
    /// Keeps what is sealed from being deleted.
    _view: Arc<View>,
}

/// A segment's pages, until the query's time is over.
struct Timed {
    inner: Arc<dyn Source>,
    clock: Arc<dyn Clock>,
    until_us: u64,
}

impl Source for Timed {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        if self.clock.elapsed_us() > self.until_us {
            return Err(SegmentError::Late);
        }
        self.inner.page(at)
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.inner.packed(at)
    }
}

impl Shared {
    /// Begins a query. Take [`crate::tail::Tail::committed`] first.
    pub(crate) fn scene(&self) -> Scene {
        let until_us = self.clock.elapsed_us().saturating_add(limits::QUERY_TIME_MS_MAX * 1_000);
        let view = self.tail.view();
        let timed = |segment: &Segment| {
            segment.through(|inner| Arc::new(Timed { inner, clock: Arc::clone(&self.clock), until_us }))
        };
        Scene { segments: view.segments().map(timed).collect(), fresh: view.fresh.clone(), _view: view }
    }
}

impl Scene {
    /// The parts in the order of positions, in a direction.
    pub(crate) fn places(&self, direction: Direction) -> Vec<Place<'_>> {
        let mut places: Vec<Place> =
            self.segments.iter().map(Place::Segment).chain(self.fresh.iter().map(Place::Fresh)).collect();
        if direction == Direction::Descending {
            places.reverse();
        }
        places
    }
}

/// What a caller is told of a segment that can't be read.
pub(crate) fn unread(error: SegmentError) -> Fault {
    match error {
        SegmentError::Late => {
            let seconds = limits::QUERY_TIME_MS_MAX / 1_000;
            Fault::new(
                FaultKind::Deadline,
                format!(
                    "the query was given up after {seconds} s: ask for less time, for one organization, or without the total"
                ),
            )
        }
        error @ (SegmentError::Unreadable { .. } | SegmentError::Unwritable { .. }) => {
            tracing::error!(error = %crate::sequencer::chain(&error), "a segment can't be read");
            Fault::new(FaultKind::Unavailable, "a part of the history can't be read now: the server's log says more")
        }
        error => {
            tracing::error!(%error, "a segment is damaged: run annals fsck, and restore it from a backup");
            Fault::internal("a part of the history is damaged, so this can't be answered: the server's log says more")
        }
    }
}

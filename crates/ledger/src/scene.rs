//! What one query reads: a view, with the query's time kept.
//!
//! **Invariant:** a query that takes longer than [`limits::QUERY_TIME_MS_MAX`] ends with a fault that
//! says so: the time is looked at whenever a page is read, and now and then while fresh events are
//! scanned.

use std::sync::Arc;

use annals_model::{Direction, Fault, FaultKind, limits};
use annals_segment::{Packed, PageRef, Prefixes, Segment, SegmentError, Source};

use crate::Shared;
use crate::clock::Clock;
use crate::search::Place;
use crate::tail::{Fresh, View};

/// What one query reads, oldest first.
pub(crate) struct Scene {
    pub(crate) segments: Vec<Segment>,
    pub(crate) fresh: Vec<Arc<Fresh>>,
    pub(crate) deadline: Deadline,
    /// Keeps what is sealed from being deleted.
    _view: Arc<View>,
}

/// When a query's time is over.
#[derive(Clone)]
pub(crate) struct Deadline {
    clock: Arc<dyn Clock>,
    until_us: u64,
}

/// A segment's pages, until the query's time is over.
struct Timed {
    inner: Arc<dyn Source>,
    deadline: Deadline,
}

impl Deadline {
    /// # Errors
    ///
    /// [`SegmentError::Late`] once the time is over.
    pub(crate) fn check(&self) -> Result<(), SegmentError> {
        if self.clock.elapsed_us() > self.until_us { Err(SegmentError::Late) } else { Ok(()) }
    }

    /// A segment that looks at the time whenever a page is read.
    pub(crate) fn over(&self, segment: &Segment) -> Segment {
        segment.through(|inner| Arc::new(Timed { inner, deadline: self.clone() }))
    }
}

impl Source for Timed {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        self.deadline.check()?;
        self.inner.page(at)
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        self.deadline.check()?;
        self.inner.text(at, prefix)
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.inner.packed(at)
    }
}

impl Shared {
    /// Begins a query. Take [`crate::tail::Tail::committed`] first.
    pub(crate) fn scene(&self) -> Scene {
        let deadline = self.deadline();
        let view = self.tail.view();
        let segments = view.segments().map(|segment| deadline.over(segment)).collect();
        Scene { segments, fresh: view.fresh.clone(), deadline, _view: view }
    }

    /// The end of a query's time, which begins now.
    pub(crate) fn deadline(&self) -> Deadline {
        let until_us = self.clock.elapsed_us().saturating_add(limits::QUERY_TIME_MS_MAX * 1_000);
        Deadline { clock: Arc::clone(&self.clock), until_us }
    }
}

impl Scene {
    /// The parts in the order of positions, in a direction.
    pub(crate) fn places(&self, direction: Direction) -> Vec<Place<'_>> {
        let fresh = self.fresh.iter().map(|fresh| Place::Fresh(fresh, &self.deadline));
        let mut places: Vec<Place> = self.segments.iter().map(Place::Segment).chain(fresh).collect();
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

//! Counts over what a search found: by the values of a field, and by time.

use annals_model::{Field, Time};

use crate::columns::{from_time, to_time};
use crate::dictionary::Marks;
use crate::footer::Indexed;
use crate::search::content_of;
use crate::segment::RowReader;
use crate::set::Set;
use crate::{Rows, Segment, SegmentError};

impl Rows {
    /// Calls `each` with every value of a field that some of the rows have, and how many have it, in
    /// ascending order of the values; ids come in no order, and perhaps several times.
    ///
    /// `segment` is the one that was searched.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn count_values(
        &self,
        segment: &Segment,
        field: Field,
        mut each: impl FnMut(&str, u64),
    ) -> Result<(), SegmentError> {
        if self.is_empty() {
            return Ok(());
        }
        let Some(dictionary) = segment.dictionary(Indexed::Field(field)) else {
            return self.count_ids(segment, field, each);
        };
        let set = self.set();
        let whole = self.len() == u64::from(segment.len());
        let marks = match set {
            Set::Bitmap(bitmap) => Some(Marks::new(bitmap, set.bounds())),
            Set::Range(_) => None,
        };
        dictionary.each(0..dictionary.len(), |_, text, mut rows| {
            let count = match &marks {
                _ if whole => u64::from(rows.count()),
                Some(marks) => rows.count_marked(marks)?,
                None => rows.count_within(&set.bounds())?,
            };
            if count > 0 {
                each(text, count);
            }
            Ok(())
        })
    }

    fn count_ids(&self, segment: &Segment, field: Field, mut each: impl FnMut(&str, u64)) -> Result<(), SegmentError> {
        let mut reader = RowReader::new(segment);
        self.set().each(|row| {
            let content = content_of(segment, &reader.row(row)?)?;
            let value = if field == Field::Id { Some(&content.id) } else { content.request.id.as_ref() };
            if let Some(value) = value {
                each(value, 1);
            }
            Ok(())
        })
    }

    /// The earliest and the latest time that one of the rows shows.
    ///
    /// `segment` is the one that was searched.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn times(&self, segment: &Segment) -> Result<Option<(Time, Time)>, SegmentError> {
        if self.is_empty() {
            return Ok(None);
        }
        if let Some(bounds) = self.bounds_of_all() {
            return Ok(Some((bounds.min, bounds.max)));
        }
        let mut shown = segment.shown_column();
        if self.span_by_time().is_some() {
            let rows = self.set().bounds();
            return Ok(Some((to_time(shown.get(rows.start)?), to_time(shown.get(rows.end - 1)?))));
        }
        let (mut min, mut max) = (u64::MAX, u64::MIN);
        self.set().each(|row| {
            let time = shown.get(row)?;
            (min, max) = (min.min(time), max.max(time));
            Ok(())
        })?;
        Ok(Some((to_time(min), to_time(max))))
    }

    /// Adds to `counts` how many rows show a time in each of as many spans, all of `interval_us`, which
    /// follow each other from `begin` on; what lies outside is not counted. Where the rows lie by time this
    /// takes hardly longer for many rows.
    ///
    /// `segment` is the one that was searched.
    ///
    /// # Errors
    ///
    /// As for all reading.
    pub fn count_times(
        &self,
        segment: &Segment,
        begin: Time,
        interval_us: u64,
        counts: &mut [u64],
    ) -> Result<(), SegmentError> {
        let mut shown = segment.shown_column();
        let (begin, interval) = (from_time(begin), interval_us.max(1));
        if let Some(span) = self.span_by_time() {
            let edge = |number: u64| begin.saturating_add(number.saturating_mul(interval));
            let mut rank = |edge: u64| -> Result<u64, SegmentError> {
                Ok(self.set().rank(shown.partition(&span, |time| time < edge)?))
            };
            let mut before = rank(edge(0))?;
            for (number, count) in (1..).zip(counts) {
                let until = rank(edge(number))?;
                *count += until - before;
                before = until;
            }
            return Ok(());
        }
        let mut add = |time: u64| {
            let span = time.checked_sub(begin).and_then(|after| usize::try_from(after / interval).ok());
            if let Some(count) = span.and_then(|span| counts.get_mut(span)) {
                *count += 1;
            }
        };
        match self.set() {
            Set::Range(rows) => shown.each(rows.clone(), |_, time| add(time)),
            set => set.each(|row| {
                add(shown.get(row)?);
                Ok(())
            }),
        }
    }
}

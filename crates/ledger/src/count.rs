//! Counts over what a filter finds: by the values of a field, and by time.
//!
//! **Invariant:** counts are exact, and of one moment.

use std::collections::HashMap;

use annals_model::{
    Direction, Facet, FacetQuery, Fault, FaultKind, Field, Histogram, HistogramQuery, Time, TimeRange, each_term,
    limits,
};
use annals_segment::SegmentError;

use crate::scene::{Scene, unread};
use crate::search::{Part, Wanted};
use crate::{Ledger, Shared};

/// Lengths of buckets that people can read, in milliseconds: up to a year of 52 weeks; longer ones are
/// 2, 5, 10, 20, 50 and so on of these.
const INTERVALS_MS: [i64; 36] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    DAY_MS,
    2 * DAY_MS,
    3 * DAY_MS,
    WEEK_MS,
    2 * WEEK_MS,
    4 * WEEK_MS,
    8 * WEEK_MS,
    13 * WEEK_MS,
    26 * WEEK_MS,
    YEAR_MS,
];
/// Lengths go up to a million years, beyond all times there are.
const YEARS_TENS: u32 = 6;
const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;
const YEAR_MS: i64 = 52 * WEEK_MS;
const MS_US: i64 = 1_000;

impl Ledger {
    /// The values of a field that matching events have, with exact counts.
    ///
    /// # Errors
    ///
    /// A limit if there are more than [`limits::FACET_DISTINCT_MAX`], or if together they are too long;
    /// else as for a page.
    pub fn facet(&self, query: &FacetQuery) -> Result<Facet, Fault> {
        self.shared.facet(query)
    }

    /// How many matching events there are over time, by the time shown: over the filter's span where it
    /// has one, else from the first event to the last.
    ///
    /// # Errors
    ///
    /// As for a page.
    pub fn histogram(&self, query: &HistogramQuery) -> Result<Histogram, Fault> {
        self.shared.histogram(query).map_err(unread)
    }
}

impl Shared {
    fn facet(&self, query: &FacetQuery) -> Result<Facet, Fault> {
        let committed = self.tail.committed();
        let scene = self.scene();
        let wanted = Wanted { logs: self.logs(&query.reach), filter: &query.filter };
        let mut tally = Tally::default();
        for part in parts(&scene, &wanted, committed).map_err(unread)? {
            scene.deadline.check().map_err(unread)?;
            count_values(&part, query.field, |value, count| tally.add(value, count)).map_err(unread)?;
            tally.check(query.field)?;
        }
        let mut values: Vec<(String, u64)> = tally.counts.into_iter().collect();
        values.sort_by(|(a, count_a), (b, count_b)| count_b.cmp(count_a).then_with(|| a.cmp(b)));
        let rest = values.split_off(query.limit.min(values.len()));
        Ok(Facet { field: query.field, values, other: rest.iter().map(|(_, count)| count).sum() })
    }

    fn histogram(&self, query: &HistogramQuery) -> Result<Histogram, SegmentError> {
        let committed = self.tail.committed();
        let scene = self.scene();
        let wanted = Wanted { logs: self.logs(&query.reach), filter: &query.filter };
        let parts = parts(&scene, &wanted, committed)?;
        let TimeRange { from, until } = query.filter.occurred;
        let mut found: Option<(Time, Time)> = None;
        for part in &parts {
            if let Some((first, last)) = times(part)? {
                found = Some(found.map_or((first, last), |have| (have.0.min(first), have.1.max(last))));
            }
        }
        let Some((first, last)) = found else { return Ok(Histogram { buckets: Vec::new(), interval_ms: 1 }) };
        let span = (from.unwrap_or(first), until.map_or(last, |until| until.plus_us(-1)));
        counted(&parts, span, query.buckets.max(1))
    }
}

/// Values, and how often each is there.
#[derive(Default)]
struct Tally {
    counts: HashMap<String, u64>,
    /// What the values take.
    text_bytes: usize,
}

impl Tally {
    fn add(&mut self, value: &str, count: u64) {
        if let Some(have) = self.counts.get_mut(value) {
            *have += count;
        } else if !self.has_too_many() && !self.is_too_long() {
            // One more than there may be shows that there are too many.
            self.text_bytes += value.len();
            self.counts.insert(value.to_owned(), count);
        }
    }

    fn has_too_many(&self) -> bool {
        self.counts.len() > limits::FACET_DISTINCT_MAX
    }

    fn is_too_long(&self) -> bool {
        self.text_bytes > limits::FACET_TEXT_BYTES_MAX
    }

    /// # Errors
    ///
    /// A limit if there were more values than are counted.
    fn check(&self, field: Field) -> Result<(), Fault> {
        let much = if self.has_too_many() {
            format!("more than {} different values", limits::FACET_DISTINCT_MAX)
        } else if self.is_too_long() {
            format!("different values of more than {} bytes together", limits::FACET_TEXT_BYTES_MAX)
        } else {
            return Ok(());
        };
        let what = format!("{} has {much} here: narrow the time or the filter", field.name());
        Err(Fault::new(FaultKind::Limit, what).at_member("field"))
    }
}

/// The earliest and the latest time shown of what matches in a part.
fn times(part: &Part) -> Result<Option<(Time, Time)>, SegmentError> {
    match part {
        Part::Segment { segment, rows } => rows.times(segment),
        Part::Fresh { .. } => Ok(part.times()),
    }
}

/// What matches, part by part.
fn parts<'s>(scene: &'s Scene, wanted: &Wanted, committed: u64) -> Result<Vec<Part<'s>>, SegmentError> {
    scene.places(Direction::Ascending).into_iter().map(|place| place.search(wanted, 0..committed)).collect()
}

fn count_values(part: &Part, field: Field, mut each: impl FnMut(&str, u64)) -> Result<(), SegmentError> {
    match part {
        Part::Segment { segment, rows } => rows.count_values(segment, field, each),
        Part::Fresh { rows } => {
            let mut values: Vec<String> = Vec::new();
            for (_, row) in rows {
                values.clear();
                each_term(&row.content, |of, value| {
                    if of == field && values.iter().all(|have| have != value) {
                        values.push(value.to_owned());
                    }
                });
                values.iter().for_each(|value| each(value, 1));
            }
            Ok(())
        }
    }
}

/// Where buckets begin and how long they are.
struct Plan {
    begin_us: i64,
    interval_us: i64,
    count: usize,
}

impl Plan {
    /// The shortest buckets that cover a span, both ends included, with no more than so many.
    fn new((first, last): (Time, Time), buckets: usize) -> Plan {
        let at_most = i64::try_from(buckets).unwrap_or(i64::MAX);
        let count = |interval_us: i64| {
            last.us().div_euclid(interval_us).saturating_sub(first.us().div_euclid(interval_us)).saturating_add(1)
        };
        let fits = |interval_us: &i64| count(*interval_us) <= at_most;
        let tens = (0..YEARS_TENS).map(|power| 10_i64.saturating_pow(power));
        let years =
            tens.flat_map(|ten| [2, 5, 10].map(|step| ten.saturating_mul(step).saturating_mul(YEAR_MS * MS_US)));
        let intervals = INTERVALS_MS.into_iter().map(|ms| ms * MS_US).chain(years);
        let Some(interval_us) = intervals.into_iter().find(fits) else {
            // Buckets meet at 1970 whatever their length, so a single one that reaches over it begins where the
            // first event is.
            let span_ms = last.us().saturating_sub(first.us()).div_euclid(MS_US);
            let interval_us = span_ms.saturating_add(2).saturating_mul(MS_US);
            return Plan { begin_us: first.us().div_euclid(MS_US).saturating_mul(MS_US), interval_us, count: 1 };
        };
        Plan {
            begin_us: first.us().div_euclid(interval_us).saturating_mul(interval_us),
            interval_us,
            count: usize::try_from(count(interval_us)).unwrap_or(buckets),
        }
    }
}

fn counted(parts: &[Part], span: (Time, Time), buckets: usize) -> Result<Histogram, SegmentError> {
    let plan = Plan::new(span, buckets);
    let mut counts = vec![0_u64; plan.count];
    let begin = Time::from_us(plan.begin_us);
    let interval_us = plan.interval_us.unsigned_abs();
    for part in parts {
        match part {
            Part::Segment { segment, rows } => rows.count_times(segment, begin, interval_us, &mut counts)?,
            Part::Fresh { rows } => {
                for (key, _) in rows {
                    let after =
                        key.time.us().checked_sub(plan.begin_us).map(|after| after.div_euclid(plan.interval_us));
                    let bucket = after.and_then(|after| usize::try_from(after).ok());
                    if let Some(count) = bucket.and_then(|bucket| counts.get_mut(bucket)) {
                        *count += 1;
                    }
                }
            }
        }
    }
    let steps = (0..plan.count).map(|step| i64::try_from(step).unwrap_or(i64::MAX).saturating_mul(plan.interval_us));
    let times = steps.map(|step| Time::from_us(plan.begin_us.saturating_add(step)));
    Ok(Histogram {
        buckets: times.zip(counts).collect(),
        interval_ms: u64::try_from(plan.interval_us / MS_US).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_too_long_together_are_refused_and_no_more_of_them_is_kept() {
        let mut tally = Tally::default();
        let length = 32 * 1024;
        let fitting = limits::FACET_TEXT_BYTES_MAX / length;
        let value = |number: usize| format!("{number:length$}");
        (0..fitting).for_each(|number| tally.add(&value(number), 1));
        tally.add(&value(0), 1);
        assert_eq!((tally.text_bytes, tally.counts.get(&value(0))), (limits::FACET_TEXT_BYTES_MAX, Some(&2)));
        assert_eq!(tally.check(Field::ActorName), Ok(()));
        (0..3).for_each(|number| tally.add(&value(fitting + number), 1));
        assert_eq!(tally.counts.len(), fitting + 1);
        let fault = tally.check(Field::ActorName).expect_err("too long");
        assert_eq!(fault.kind, FaultKind::Limit);
        assert!(fault.message.contains(&limits::FACET_TEXT_BYTES_MAX.to_string()), "{fault}");
    }

    #[test]
    fn buckets_are_the_shortest_that_are_not_too_many() {
        let plan = |first_s: i64, last_s: i64, buckets| {
            let plan = Plan::new((Time::from_s(first_s), Time::from_s(last_s)), buckets);
            (plan.begin_us / 1_000_000, plan.interval_us / 1_000_000, plan.count)
        };
        assert_eq!(plan(0, 59, 60), (0, 1, 60));
        assert_eq!(plan(0, 60, 60), (0, 2, 31));
        assert_eq!(plan(30, 3_599 + 30, 60), (0, 120, 31));
        assert_eq!(plan(-86_400, 86_399, 2), (-86_400, 86_400, 2));
        // A year in 12, five years in 60 and in 5.
        assert_eq!(plan(1_735_689_600, 1_767_225_599, 12).1, 56 * 86_400);
        assert_eq!(plan(1_577_836_800, 1_735_689_599, 60).1, 56 * 86_400);
        assert_eq!(plan(1_577_836_800, 1_735_689_599, 5).1, 2 * 364 * 86_400);
        assert_eq!(plan(-1, 0, 1), (-1, 1, 1));
        let (begin_s, interval_s, count) = plan(-62_135_596_800, 253_402_207_200, 1);
        assert!(begin_s == -62_135_596_800 && begin_s + interval_s >= 253_402_207_200 && count == 1);
        let (_, interval_s, count) = plan(-62_135_596_800, 253_402_207_200, 60);
        assert!(count <= 60 && interval_s % 604_800 == 0);
    }
}

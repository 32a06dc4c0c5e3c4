//! What a segment has of each log: one run of rows.
//!
//! A page holds the runs of some logs. To the byte, all numbers little-endian:
//!
//! ```text
//! page = run count (4), run…, names
//! run  = log (4), first row (4), end of rows (4), other ids (4), index (8), first position (8), last position (8),
//!        recorded min (8), max (8), shown min (8), max (8), ids min (8), max (8), text bytes (8),
//!        end of its name within the names (4), flags (4)
//! ```
//!
//! Times are microseconds since 1970. Flags: 1 where times recorded never decrease, 2 where times shown
//! never do, 4 where some id carries a time. A name begins where the one before it ends. A page's key is
//! its first log.
//!
//! **Invariant:** runs cover the rows without gaps, in ascending order of logs.

use std::ops::Range;
use std::sync::Arc;

use annals_model::Time;

use crate::SegmentError;
use crate::error::number;
use crate::page::{Form, PAGE_BYTES_MAX, PageRef, Sink, Source};
use crate::table::{Entry, Table, TableBuilder};

/// What a run takes in a page besides its name, in bytes.
const RUN_BYTES: usize = 104;
/// What comes before the runs, in bytes.
const HEAD_BYTES: usize = 4;
const RECORDED_ORDERED: u32 = 1;
const SHOWN_ORDERED: u32 = 2;
const IDS_CARRY: u32 = 4;

/// The least and greatest of some times, and whether they never decrease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) min: Time,
    pub(crate) max: Time,
    pub(crate) ordered: bool,
}

/// What event ids tell of their times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdTimes {
    /// The least and greatest time that ids carry, in milliseconds since 1970.
    pub(crate) carried: Option<(u64, u64)>,
    /// How many ids carry none.
    pub(crate) others: u32,
}

/// The rows of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) log: u32,
    pub(crate) organization: Arc<str>,
    pub(crate) rows: Range<u32>,
    /// The index of the first row; those of the others follow without gaps.
    pub(crate) index: u64,
    /// The first position and the last.
    pub(crate) positions: (u64, u64),
    pub(crate) recorded: Bounds,
    pub(crate) shown: Bounds,
    pub(crate) ids: IdTimes,
    /// The stored bytes of its blocks.
    pub(crate) text_bytes: u64,
}

/// Runs in the making.
#[derive(Debug)]
pub(crate) struct RunsBuilder {
    table: TableBuilder,
    first_log: u32,
    /// The log and the end of rows of the last run.
    last: Option<(u32, u32)>,
    runs: Vec<u8>,
    names: Vec<u8>,
}

/// Reads runs.
pub(crate) struct RunsReader<'s> {
    table: &'s Table,
    source: &'s dyn Source,
    /// The table's pages, once all had to be looked through.
    entries: Option<Vec<Entry>>,
    last: Option<Page>,
}

/// A page of runs.
#[derive(Clone, Debug)]
struct Page {
    section: &'static str,
    at: PageRef,
    raw: Arc<[u8]>,
    runs: usize,
}

impl Bounds {
    pub(crate) fn one(time: Time) -> Bounds {
        Bounds { min: time, max: time, ordered: true }
    }

    /// Adds the time after another one.
    pub(crate) fn add(&mut self, before: Time, time: Time) {
        self.ordered &= before <= time;
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    /// The bounds of both, of whose order nothing is said.
    pub(crate) fn join(self, other: Bounds) -> Bounds {
        Bounds { min: self.min.min(other.min), max: self.max.max(other.max), ordered: false }
    }
}

impl IdTimes {
    /// Whether an id that carries this time, or none, may be among them.
    pub(crate) fn may_hold(&self, carried_ms: Option<u64>) -> bool {
        match carried_ms {
            Some(ms) => self.carried.is_some_and(|(min, max)| min <= ms && ms <= max),
            None => self.others > 0,
        }
    }

    /// Adds an id with the time that it carries.
    pub(crate) fn add(&mut self, carried_ms: Option<u64>) {
        let carried = carried_ms.map(|ms| (ms, ms));
        *self = self.join(IdTimes { carried, others: u32::from(carried.is_none()) });
    }

    /// What both tell.
    pub(crate) fn join(self, other: IdTimes) -> IdTimes {
        let carried = match (self.carried, other.carried) {
            (Some((min, max)), Some((other_min, other_max))) => Some((min.min(other_min), max.max(other_max))),
            (one, other) => one.or(other),
        };
        IdTimes { carried, others: self.others.saturating_add(other.others) }
    }
}

impl RunsBuilder {
    pub(crate) fn new() -> RunsBuilder {
        let table = TableBuilder::new("logs");
        RunsBuilder { table, first_log: 0, last: None, runs: Vec::new(), names: Vec::new() }
    }

    /// Adds the next run.
    ///
    /// # Errors
    ///
    /// [`SegmentError::OutOfOrder`] unless logs ascend and rows follow without a gap, or what the sink
    /// says.
    pub(crate) fn push(&mut self, sink: &mut dyn Sink, run: &Run) -> Result<(), SegmentError> {
        let follows = self.last.map_or(run.rows.start == 0, |(log, end)| run.log > log && run.rows.start == end);
        if !follows || run.rows.is_empty() {
            return Err(SegmentError::OutOfOrder { position: run.positions.0 });
        }
        let added = RUN_BYTES + run.organization.len();
        if HEAD_BYTES + self.runs.len() + self.names.len() + added > PAGE_BYTES_MAX {
            self.close(sink)?;
        }
        if self.runs.is_empty() {
            self.first_log = run.log;
        }
        self.last = Some((run.log, run.rows.end));
        self.names.extend_from_slice(run.organization.as_bytes());
        let name_end = number(self.names.len(), "bytes of names")?;
        run.put(name_end, &mut self.runs);
        Ok(())
    }

    /// The pages.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn finish(mut self, sink: &mut dyn Sink) -> Result<Table, SegmentError> {
        self.close(sink)?;
        self.table.finish(sink)
    }

    fn close(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        if self.runs.is_empty() {
            return Ok(());
        }
        let count = number(self.runs.len() / RUN_BYTES, "logs")?;
        let raw = [&count.to_le_bytes(), self.runs.as_slice(), &self.names].concat();
        self.table.push(self.first_log.into(), sink.page(&raw, Form::Index)?);
        self.runs.clear();
        self.names.clear();
        Ok(())
    }
}

impl Run {
    fn put(&self, name_end: u32, out: &mut Vec<u8>) {
        let carried = self.ids.carried.unwrap_or_default();
        let flags = [
            (self.recorded.ordered, RECORDED_ORDERED),
            (self.shown.ordered, SHOWN_ORDERED),
            (self.ids.carried.is_some(), IDS_CARRY),
        ];
        let flags = flags.iter().filter(|(is, _)| *is).fold(0, |flags, (_, flag)| flags | flag);
        let times = [self.recorded.min, self.recorded.max, self.shown.min, self.shown.max];
        for number in [self.log, self.rows.start, self.rows.end, self.ids.others] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.index, self.positions.0, self.positions.1] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in times {
            out.extend_from_slice(&time.us().to_le_bytes());
        }
        for number in [carried.0, carried.1, self.text_bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [name_end, flags] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// The run of such bytes.
    fn take(bytes: &[u8], organization: Arc<str>) -> Option<Run> {
        let small = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let large = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let time = |at: usize| large(at).map(|us| Time::from_us(us.cast_signed()));
        let flags = small(100)?;
        let has = |flag: u32| flags & flag != 0;
        let carried = if has(IDS_CARRY) { Some((large(72)?, large(80)?)) } else { None };
        Some(Run {
            log: small(0)?,
            organization,
            rows: small(4)?..small(8)?,
            index: large(16)?,
            positions: (large(24)?, large(32)?),
            recorded: Bounds { min: time(40)?, max: time(48)?, ordered: has(RECORDED_ORDERED) },
            shown: Bounds { min: time(56)?, max: time(64)?, ordered: has(SHOWN_ORDERED) },
            ids: IdTimes { carried, others: small(12)? },
            text_bytes: large(88)?,
        })
    }
}

impl<'s> RunsReader<'s> {
    pub(crate) fn new(table: &'s Table, source: &'s dyn Source) -> RunsReader<'s> {
        RunsReader { table, source, entries: None, last: None }
    }

    /// The run of a log.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn of(&mut self, log: u32) -> Result<Option<Run>, SegmentError> {
        let Some(entry) = self.table.find(self.source, log.into())? else { return Ok(None) };
        let page = self.page(entry.page)?;
        let at = page.partition(|page, at| page.small(at, 0) < Some(log));
        if page.small(at, 0) == Some(log) { page.run(at).map(Some) } else { Ok(None) }
    }

    /// The run that a row lies in.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] if there is none, or what the source says.
    pub(crate) fn at(&mut self, row: u32) -> Result<Run, SegmentError> {
        let section = self.table.section;
        let missing = SegmentError::corrupt(section, PageRef::default(), "there is no log for a row");
        let entries = match self.entries.take() {
            Some(entries) => entries,
            None => self.table.all(self.source)?,
        };
        // Rows ascend with logs, so the pages can be searched for a row too.
        let (mut from, mut until) = (0, entries.len());
        let mut found = None;
        while from < until && found.is_none() {
            let middle = from + (until - from) / 2;
            let page = self.page(entries.get(middle).ok_or(missing.clone())?.page)?;
            let (first, end) = page.rows().ok_or(missing.clone())?;
            if row < first {
                until = middle;
            } else if row >= end {
                from = middle + 1;
            } else {
                found = Some(page.run(page.partition(|page, at| page.small(at, 8).is_some_and(|end| end <= row))));
            }
        }
        self.entries = Some(entries);
        let run = found.unwrap_or(Err(missing.clone()))?;
        if run.rows.contains(&row) { Ok(run) } else { Err(missing) }
    }

    /// All runs, in ascending order.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn each(&mut self, mut f: impl FnMut(Run)) -> Result<(), SegmentError> {
        for entry in self.table.all(self.source)? {
            let page = self.page(entry.page)?;
            for at in 0..page.runs {
                f(page.run(at)?);
            }
        }
        Ok(())
    }

    /// All runs, in ascending order.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn all(&mut self) -> Result<Vec<Run>, SegmentError> {
        let mut all = Vec::new();
        self.each(|run| all.push(run))?;
        Ok(all)
    }

    fn page(&mut self, at: PageRef) -> Result<&Page, SegmentError> {
        let page = match self.last.take() {
            Some(page) if page.at == at => page,
            _ => Page::new(self.table.section, at, self.table.read(self.source, at)?)?,
        };
        Ok(self.last.insert(page))
    }
}

impl Page {
    fn new(section: &'static str, at: PageRef, raw: Arc<[u8]>) -> Result<Page, SegmentError> {
        let count = raw.first_chunk().map(|count| u32::from_le_bytes(*count) as usize);
        let fits = |count: &usize| count.checked_mul(RUN_BYTES).is_some_and(|bytes| bytes <= raw.len() - HEAD_BYTES);
        let runs = count.filter(fits).ok_or(SegmentError::corrupt(section, at, "it is cut off"))?;
        Ok(Page { section, at, raw, runs })
    }

    fn bytes(&self, at: usize) -> Option<&[u8]> {
        let (runs, _) = self.raw.get(HEAD_BYTES..)?.split_at_checked(self.runs * RUN_BYTES)?;
        runs.chunks_exact(RUN_BYTES).nth(at)
    }

    /// A number of a run.
    fn small(&self, at: usize, place: usize) -> Option<u32> {
        self.bytes(at)?.get(place..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// The first row of the first run, and the end of the last one's.
    fn rows(&self) -> Option<(u32, u32)> {
        Some((self.small(0, 4)?, self.small(self.runs.checked_sub(1)?, 8)?))
    }

    /// The first run that fails a test, which holds up to some run and not from there on.
    fn partition(&self, test: impl Fn(&Page, usize) -> bool) -> usize {
        let (mut from, mut until) = (0, self.runs);
        while from < until {
            let middle = from + (until - from) / 2;
            if test(self, middle) { from = middle + 1 } else { until = middle }
        }
        from
    }

    fn name(&self, at: usize) -> Option<&str> {
        let end = |at: usize| self.small(at, 96).map(|end| end as usize);
        let begin = at.checked_sub(1).map_or(Some(0), end)?;
        let names = self.raw.get(HEAD_BYTES + self.runs * RUN_BYTES..)?;
        std::str::from_utf8(names.get(begin..end(at)?)?).ok()
    }

    fn run(&self, at: usize) -> Result<Run, SegmentError> {
        let run = || Run::take(self.bytes(at)?, self.name(at)?.into()).filter(|run| !run.rows.is_empty());
        run().ok_or_else(|| SegmentError::corrupt(self.section, self.at, "a log of it can't be read"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::file::testing::{Anything, everywhere};

    fn build(sink: &mut dyn Sink, runs: &[Run]) -> Result<Table, SegmentError> {
        let mut builder = RunsBuilder::new();
        for run in runs {
            builder.push(sink, run)?;
        }
        builder.finish(sink)
    }

    /// Runs of every form, with logs that many lie between.
    fn runs(count: usize, salt: u64) -> Vec<Run> {
        let mut row = 0;
        let runs = (0..count as u64).map(|n| {
            let odd = |by: u64| (n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> by & 1 == 1;
            let small = u32::try_from(n).expect("small");
            let rows = row..row + 1 + small % 900;
            row = rows.end;
            let time = |us: u64| Time::from_us((n * 1_000 + us).cast_signed() - 20_000);
            Run {
                log: small * 3 + u32::from(odd(9)),
                organization: "o".repeat(small as usize % 70).into(),
                rows,
                index: n * 77,
                positions: (n + salt, n * 5 + salt),
                recorded: Bounds { min: time(0), max: time(9), ordered: odd(20) },
                shown: Bounds { min: time(1), max: time(7), ordered: odd(30) },
                ids: IdTimes { carried: odd(40).then_some((n, n + salt)), others: small % 5 },
                text_bytes: n.wrapping_mul(salt),
            }
        });
        runs.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_run_is_found_by_its_log_and_by_its_rows(
            count in prop_oneof![0_usize..5, 0_usize..4_000],
            salt in 0_u64..1 << 40,
            asked in prop::collection::vec(any::<prop::sample::Index>(), 30),
        ) {
            let naive = runs(count, salt);
            for (table, source) in everywhere(|sink| build(sink, &naive).expect("in order")) {
                let mut reader = RunsReader::new(&table, &*source);
                prop_assert_eq!(&reader.all().expect("there"), &naive);
                for at in &asked {
                    let log = u32::try_from(at.index(3 * count + 5)).expect("small");
                    let expected = naive.iter().find(|run| run.log == log).cloned();
                    prop_assert_eq!(reader.of(log).expect("there"), expected);
                    let end = naive.last().map_or(0, |run| run.rows.end);
                    let row = u32::try_from(at.index(end as usize + 2)).expect("small");
                    let expected = naive.iter().find(|run| run.rows.contains(&row)).cloned();
                    prop_assert_eq!(reader.at(row).ok(), expected);
                }
            }
        }

        #[test]
        fn a_page_of_any_bytes_never_panics(
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..400),
            count in 0_u32..5,
            cut in any::<prop::sample::Index>(),
        ) {
            let naive = runs(3, 1);
            let (table, whole) = everywhere(|sink| build(sink, &naive).expect("in order")).remove(0);
            let whole = whole.page(table.entries[0].page).expect("there");
            let counted = [count.to_le_bytes().as_slice(), &bytes].concat();
            for raw in [bytes, counted, whole[..cut.index(whole.len())].to_vec()] {
                let source = Anything(raw.into());
                let mut reader = RunsReader::new(&table, &source);
                let _ = (reader.of(0), reader.of(4), reader.at(0), reader.at(2_000), reader.all());
            }
        }
    }

    #[test]
    fn runs_that_leave_a_gap_or_go_back_are_refused() {
        let good = runs(3, 5);
        let mut gap = good.clone();
        gap[2].rows = gap[2].rows.start + 1..gap[2].rows.end + 1;
        let mut back = good.clone();
        back[2].log = back[1].log;
        let mut empty = good.clone();
        empty[2].rows.end = empty[2].rows.start;
        let late = good[1..].to_vec();
        for bad in [gap, back, empty, late] {
            everywhere(|sink| {
                let error = build(sink, &bad).expect_err("out of order");
                assert!(matches!(error, SegmentError::OutOfOrder { .. }), "{error}");
            });
        }
    }

    #[test]
    fn what_ids_tell_of_their_times_adds_up() {
        let mut times = IdTimes::default();
        [None, Some(7), Some(3), None].into_iter().for_each(|ms| times.add(ms));
        assert_eq!(times, IdTimes { carried: Some((3, 7)), others: 2 });
        assert_eq!(times.join(IdTimes::default()), times);
        let joined = times.join(IdTimes { carried: Some((5, 9)), others: 1 });
        assert_eq!(joined, IdTimes { carried: Some((3, 9)), others: 3 });
    }

    #[test]
    fn bounds_tell_whether_times_ever_decrease() {
        let time = Time::from_us;
        let bounds = |min, max, ordered| Bounds { min: time(min), max: time(max), ordered };
        let mut times = Bounds::one(time(5));
        times.add(time(5), time(8));
        assert_eq!(times, bounds(5, 8, true));
        times.add(time(8), time(2));
        assert_eq!(times, bounds(2, 8, false));
        assert_eq!(Bounds::one(time(9)).join(Bounds::one(time(10))), bounds(9, 10, false));
    }
}

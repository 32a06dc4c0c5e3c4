//! Checks a whole segment: that every page is what was written, and that what is indexed is what the
//! events say.
//!
//! **Invariant:** nothing is told of an event from a segment of which a page is damaged, but what can be
//! read of it.

use std::collections::{HashMap, HashSet};

use annals_model::{Content, Time, each_access, each_term, each_word};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::columns::{ColumnReader, from_time};
use crate::digest::digest_of;
use crate::footer::{DICTIONARIES, Indexed};
use crate::page::PageRef;
use crate::places::PlacesReader;
use crate::runs::{Bounds, IdTimes};
use crate::search::content_of;
use crate::segment::RowReader;
use crate::{Row, Segment, SegmentError, ids};

/// The sum of a hash for each of many pairs of a text and a row: the same pairs in any order give the
/// same sum, and others hardly ever do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    hash: u64,
    other: u64,
    pairs: u64,
}

impl Sum {
    fn add(&mut self, text: &[u8], row: u32) {
        self.hash = self.hash.wrapping_add(xxh3_64_with_seed(text, row.into()));
        self.other = self.other.wrapping_add(xxh3_64_with_seed(text, !u64::from(row)));
        self.pairs += 1;
    }
}

impl Segment {
    /// Reads every page and compares all that is kept of the events with the events themselves. `event`
    /// is called with every event, by log and index; `report` with everything that is wrong.
    pub fn check(&self, event: &mut dyn FnMut(&Row, &Content), report: &mut dyn FnMut(SegmentError)) {
        // A page that many others need is told of once.
        let mut told: HashSet<u64> = HashSet::new();
        let mut damaged = false;
        let mut tell = |error: SegmentError| {
            damaged = true;
            match &error {
                SegmentError::Corrupt { page, .. } if !told.insert(page.offset) => {}
                _ => report(error),
            }
        };
        for (_, table) in self.footer.all_tables() {
            let own = table.own_pages().iter().copied();
            let all = table.all(&*self.source).unwrap_or_else(|error| {
                tell(error);
                Vec::new()
            });
            for entry in own.chain(all) {
                let of_events = std::ptr::eq(table, &self.footer.tables.blocks);
                let read =
                    if of_events { self.blocks().read(entry.page) } else { table.read(&*self.source, entry.page) };
                read.map_or_else(&mut tell, drop);
            }
        }
        let mut expected = Expected::default();
        let read = self.check_rows(event, &mut expected);
        expected.wrong.drain(..).for_each(&mut *report);
        match read {
            Ok(()) if !damaged => {
                let checks = [
                    Segment::check_dictionaries(self, &expected),
                    Segment::check_ids(self, &expected),
                    Segment::check_orders(self),
                ];
                checks.into_iter().filter_map(Result::err).for_each(report);
            }
            Ok(()) => {}
            Err(error) if damaged => drop(error),
            Err(error) => report(error),
        }
    }

    /// Reads every event, and compares what the columns, the runs and the footer say of it.
    fn check_rows(&self, event: &mut dyn FnMut(&Row, &Content), expected: &mut Expected) -> Result<(), SegmentError> {
        let (footer, tables) = (&*self.footer, &self.footer.tables);
        let (runs, mut blocks) = (self.runs().all()?, self.blocks().all()?.into_iter().peekable());
        let ends = [0].into_iter().chain(runs.iter().map(|run| run.rows.end));
        if runs.iter().zip(ends).any(|(run, end)| run.rows.start != end)
            || runs.iter().zip(runs.iter().skip(1)).any(|(before, run)| before.log >= run.log)
        {
            return Err(SegmentError::corrupt(tables.runs.section, PageRef::default(), "rows are left out, or logs"));
        }
        if runs.last().map_or(0, |run| run.rows.end) != footer.rows {
            return Err(SegmentError::corrupt(FOOTER, PageRef::default(), "it states other rows"));
        }
        expected.require(u32::try_from(runs.len()) == Ok(footer.logs), FOOTER, "it states other logs");
        let mut reader = RowReader::new(self);
        let (mut shown, mut status) = (self.shown_column(), self.status_column());
        let (mut all, mut text_bytes, mut digest) = (Seen::default(), 0, 0_u64);
        for run in runs {
            let mut last = None;
            let mut seen = Seen::default();
            for number in run.rows.clone() {
                let row = reader.row(number)?;
                digest = digest.wrapping_add(digest_of(&row));
                let content = content_of(self, &row)?;
                let time = content.time_shown(row.time_recorded);
                let is_shown = shown.get(number)? == from_time(time);
                expected.require(is_shown, tables.shown.section, "a time shown is not the event's");
                let has_status = status.get(number)? == u64::from(content.request.status.unwrap_or_default());
                expected.require(has_status, tables.status.section, "a status is not the event's");
                let follows = last.is_none_or(|(position, _)| position < row.position);
                expected.require(follows, tables.position.section, "positions don't ascend within a log");
                let follows = last.is_none_or(|(_, time)| time <= row.time_recorded);
                expected.require(follows, tables.recorded.section, "times don't ascend within a log");
                last = Some((row.position, row.time_recorded));
                let carried_ms = ids::time_of(&content.id);
                seen.add(row.position, row.time_recorded, time, carried_ms);
                all.add(row.position, row.time_recorded, time, carried_ms);
                expected.add(self, number, &content);
                event(&row, &content);
            }
            let of_run = std::iter::from_fn(|| blocks.next_if(|block| block.rows.start < run.rows.end));
            let bytes = of_run.map(|block| u64::from(block.page.stored_bytes)).sum::<u64>();
            text_bytes += bytes;
            let section = tables.runs.section;
            expected.require(bytes == run.text_bytes, section, "it states other bytes of events");
            expected.require(seen.positions == Some(run.positions), section, "it states other positions");
            expected.compare(section, &seen, run.recorded, run.shown, run.ids);
            let ordered = tables.by_time.pages > 0 || seen.shown.ordered;
            expected.require(ordered, tables.by_time.section, "it is missing, and times don't ascend");
        }
        let positions = all.positions.map_or(0..0, |(first, last)| first..last.saturating_add(1));
        expected.require(positions == footer.positions, FOOTER, "it states other positions");
        expected.require(text_bytes == footer.text_bytes, FOOTER, "it states other bytes of events");
        expected.require(footer.digest.is_none_or(|stated| stated == digest), FOOTER, "it states another digest");
        expected.compare(FOOTER, &all, footer.recorded, footer.shown, footer.id_times);
        Ok(())
    }

    fn check_dictionaries(&self, expected: &Expected) -> Result<(), SegmentError> {
        for (of, expected) in DICTIONARIES.into_iter().zip(&expected.dictionaries) {
            let Some(dictionary) = self.dictionary(of) else { continue };
            let mut sum = Sum::default();
            let mut rows_of_value = Vec::new();
            let mut last: Option<String> = None;
            let mut ordered = true;
            dictionary.each(0..dictionary.len(), |_, text, mut rows| {
                rows_of_value.clear();
                rows.append_to(&mut rows_of_value)?;
                rows_of_value.iter().for_each(|row| sum.add(text.as_bytes(), *row));
                ordered &= last.as_deref().is_none_or(|last| last < text);
                last = Some(text.to_owned());
                Ok(())
            })?;
            if sum != *expected || !ordered {
                let what = "its values and rows are not those of the events";
                return Err(SegmentError::corrupt(of.name(), PageRef::default(), what));
            }
        }
        Ok(())
    }

    fn check_ids(&self, expected: &Expected) -> Result<(), SegmentError> {
        for (tables, expected) in [&self.footer.event_ids, &self.footer.request_ids].into_iter().zip(expected.ids) {
            let mut sum = Sum::default();
            let mut unfindable = false;
            ids::each(tables, &*self.source, |hash, row| {
                sum.add(&hash.to_le_bytes(), row);
                // That the filter lets it pass is what finding it needs besides.
                unfindable |= sum.pairs % FOUND_EACH == 0 && !ids::find(tables, &*self.source, hash)?.contains(&row);
                Ok(())
            })?;
            if sum != expected || unfindable {
                let what = "its ids and rows are not those of the events";
                return Err(SegmentError::corrupt(tables.entries.section, PageRef::default(), what));
            }
        }
        Ok(())
    }

    /// Compares the permutations with the columns.
    fn check_orders(&self) -> Result<(), SegmentError> {
        let tables = &self.footer.tables;
        let mut places = PlacesReader::new(&tables.places, &*self.source);
        let mut positions = self.positions_column();
        let (mut last, mut next) = (None, 0);
        while next < self.len() {
            let piece = next..self.len().min(next + PIECE_ROWS);
            next = piece.end;
            for row in places.rows(piece)? {
                let position = positions.get(row)?;
                if last.is_some_and(|last| last >= position) {
                    let what = "positions don't ascend";
                    return Err(SegmentError::corrupt(tables.places.section, PageRef::default(), what));
                }
                last = Some(position);
            }
        }
        if tables.by_time.pages == 0 {
            return Ok(());
        }
        let mut by_time = ColumnReader::new(&tables.by_time, &*self.source, crate::build::ROW_WIDTH);
        let mut shown = self.shown_column();
        for run in self.runs().all()? {
            let mut last = None;
            for at in run.rows.clone() {
                let row = u32::try_from(by_time.get(at)?).unwrap_or(u32::MAX);
                // Strictly ascending pairs of as many rows as there are, all in the run, are a permutation.
                let key = run.rows.contains(&row).then_some((shown.get(row)?, row));
                if key.is_none() || last.is_some_and(|last| Some(last) >= key) {
                    let what = "times don't ascend";
                    return Err(SegmentError::corrupt(tables.by_time.section, PageRef::default(), what));
                }
                last = key;
            }
        }
        Ok(())
    }
}

/// Of so many ids one is looked for; looking for each would take longer than all the rest.
const FOUND_EACH: u64 = 64;
/// Rows by position that are looked at at once.
const PIECE_ROWS: u32 = 8_192;
/// The name of the footer in errors.
const FOOTER: &str = "the footer";

/// What some rows have together, by which searches skip them.
#[derive(Default)]
struct Seen {
    /// The first position and the last.
    positions: Option<(u64, u64)>,
    recorded: Bounds,
    shown: Bounds,
    ids: IdTimes,
    /// The last times recorded and shown.
    last: (Time, Time),
}

impl Seen {
    fn add(&mut self, position: u64, recorded: Time, shown: Time, carried_ms: Option<u64>) {
        match self.positions {
            None => (self.recorded, self.shown) = (Bounds::one(recorded), Bounds::one(shown)),
            Some(_) => {
                self.recorded.add(self.last.0, recorded);
                self.shown.add(self.last.1, shown);
            }
        }
        let (first, last) = self.positions.unwrap_or((position, position));
        self.positions = Some((first.min(position), last.max(position)));
        self.ids.add(carried_ms);
        self.last = (recorded, shown);
    }
}

/// What the events say that the index must hold.
#[derive(Default)]
struct Expected {
    dictionaries: [Sum; DICTIONARIES.len()],
    ids: [Sum; 2],
    /// The values of one event, by dictionary: a value counts once.
    seen: HashMap<usize, Vec<String>>,
    /// What differs from the events, each thing once.
    wrong: Vec<SegmentError>,
}

impl Expected {
    fn require(&mut self, holds: bool, section: &'static str, what: &'static str) {
        let is_known = |error: &SegmentError| matches!(error, SegmentError::Corrupt { section: other, what: told, .. } if (*other, *told) == (section, what));
        if !holds && !self.wrong.iter().any(is_known) {
            self.wrong.push(SegmentError::corrupt(section, PageRef::default(), what));
        }
    }

    /// Compares what a section states of rows with what was seen of them.
    fn compare(&mut self, section: &'static str, seen: &Seen, recorded: Bounds, shown: Bounds, ids: IdTimes) {
        self.require(seen.recorded == recorded, section, "it states other times recorded");
        self.require(seen.shown == shown, section, "it states other times shown");
        self.require(seen.ids == ids, section, "it states other times of ids");
    }

    fn add(&mut self, segment: &Segment, row: u32, content: &Content) {
        self.seen.values_mut().for_each(Vec::clear);
        let mut add = |of: Indexed, text: &str| {
            let Some(place) = of.place() else { return };
            let seen = self.seen.entry(place).or_default();
            if seen.iter().all(|have| have != text) {
                seen.push(text.to_owned());
                if let Some(sum) = self.dictionaries.get_mut(place) {
                    sum.add(text.as_bytes(), row);
                }
            }
        };
        each_term(content, |field, value| add(Indexed::Field(field), value));
        each_word(content, |word| add(Indexed::Words, word));
        each_access(content, |access| add(Indexed::Accesses, access));
        let key = segment.footer.hash_key;
        let [events, requests] = &mut self.ids;
        events.add(&ids::hash(key, &content.id).to_le_bytes(), row);
        if let Some(id) = &content.request.id {
            requests.add(&ids::hash(key, id).to_le_bytes(), row);
        }
    }
}

#[cfg(test)]
mod tests;

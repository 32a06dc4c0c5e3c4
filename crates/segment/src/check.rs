//! Checks a whole segment: that every page is what was written, and that what is indexed is what the
//! events say.
//!
//! **Invariant:** nothing is told of an event from a segment of which a page is damaged, but what can be
//! read of it.

use std::collections::HashMap;

use annals_model::{Content, Time, each_access, each_term, each_word};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::columns::{ColumnReader, from_time};
use crate::footer::{DICTIONARIES, Indexed};
use crate::page::PageRef;
use crate::places::PlacesReader;
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
    /// Reads every page that the segment has, and its checksum.
    ///
    /// # Errors
    ///
    /// The first damage, or as for all reading.
    pub fn verify(&self) -> Result<(), SegmentError> {
        for (_, table) in self.footer.all_tables() {
            for entry in table.all(&*self.source)?.iter().chain(table.own_pages()) {
                self.source.packed(entry.page).map_err(|error| error.in_section(table.section))?;
            }
        }
        Ok(())
    }

    /// Reads every page and compares all that is kept of the events with the events themselves. `event`
    /// is called with every event, by log and index; `report` with everything that is wrong.
    pub fn check(&self, event: &mut dyn FnMut(&Row, &Content), report: &mut dyn FnMut(SegmentError)) {
        let mut damaged = false;
        for (_, table) in self.footer.all_tables() {
            let pages = table.all(&*self.source);
            let own = table.own_pages().iter().copied();
            let all = pages.unwrap_or_else(|error| {
                damaged = true;
                report(error);
                Vec::new()
            });
            for entry in own.chain(all) {
                let of_events = std::ptr::eq(table, &self.footer.tables.blocks);
                let read =
                    if of_events { self.blocks().read(entry.page) } else { table.read(&*self.source, entry.page) };
                if let Err(error) = read {
                    damaged = true;
                    report(error);
                }
            }
        }
        let mut expected = Expected::default();
        match self.check_rows(event, &mut expected) {
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

    /// Reads every event, and compares what the columns say of it.
    fn check_rows(&self, event: &mut dyn FnMut(&Row, &Content), expected: &mut Expected) -> Result<(), SegmentError> {
        let mut reader = RowReader::new(self);
        let (mut shown, mut status) = (self.shown_column(), self.status_column());
        for run in self.runs().all()? {
            let mut last = (Time::from_us(i64::MIN), None);
            for number in run.rows {
                let row = reader.row(number)?;
                let content = content_of(self, row.clone())?;
                let wrong = |what| Err(SegmentError::corrupt("the columns", PageRef::default(), what));
                if shown.get(number)? != from_time(content.time_shown(row.time_recorded)) {
                    return wrong("a time shown is not the event's");
                }
                if status.get(number)? != u64::from(content.request.status.unwrap_or_default()) {
                    return wrong("a status is not the event's");
                }
                if row.time_recorded < last.0 || Some(row.position) <= last.1 {
                    return wrong("positions or times recorded don't ascend within a log");
                }
                last = (row.time_recorded, Some(row.position));
                expected.add(self, number, &content);
                event(&row, &content);
            }
        }
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

/// What the events say that the index must hold.
#[derive(Default)]
struct Expected {
    dictionaries: [Sum; DICTIONARIES.len()],
    ids: [Sum; 2],
    /// The values of one event, by dictionary: a value counts once.
    seen: HashMap<usize, Vec<String>>,
}

impl Expected {
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

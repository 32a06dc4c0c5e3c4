//! The footer: what a segment is, and where its sections lie. It is all that stays in memory of a
//! segment that nobody reads.
//!
//! # Format
//!
//! ```text
//! footer  = number count (4), number…, table count (4), table…       all little-endian
//! number  = code (2), value (8)
//! table   = code (2), pages (4), deep (1), entry count (4), entry…   entry: see the table's module
//! ```
//!
//! What has a code that isn't known is skipped, so that later versions may add sections which earlier
//! ones do without. A code never changes its meaning.

use std::ops::Range;

use annals_model::{Field, Time};

use crate::SegmentError;
use crate::dictionary::DictionaryTables;
use crate::ids::IdTables;
use crate::page::PageRef;
use crate::runs::{Bounds, IdTimes, Run};
use crate::table::{ENTRY_BYTES, Entry, Table};

/// Entries that the tables of a footer have at most: more than any segment needs.
const ENTRIES_MAX: usize = 1 << 20;

/// What a dictionary is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indexed {
    /// The values of a field, but for ids, which have tables of their own.
    Field(Field),
    /// The words.
    Words,
    /// The accesses, each with its resource.
    Accesses,
}

/// The dictionaries, in the order in which they are written.
pub(crate) const DICTIONARIES: [Indexed; 17] = [
    Indexed::Field(Field::Action),
    Indexed::Field(Field::ActorId),
    Indexed::Field(Field::ActorName),
    Indexed::Field(Field::ActorEmail),
    Indexed::Field(Field::ActorType),
    Indexed::Field(Field::TargetId),
    Indexed::Field(Field::TargetName),
    Indexed::Field(Field::TargetType),
    Indexed::Field(Field::ClientIp),
    Indexed::Field(Field::Country),
    Indexed::Field(Field::Method),
    Indexed::Field(Field::Path),
    Indexed::Field(Field::Status),
    Indexed::Field(Field::Origin),
    Indexed::Field(Field::Workspace),
    Indexed::Words,
    Indexed::Accesses,
];

impl Indexed {
    /// Its place among the dictionaries.
    pub(crate) fn place(self) -> Option<usize> {
        DICTIONARIES.iter().position(|have| *have == self)
    }

    /// Its name in errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Indexed::Field(field) => field.name(),
            Indexed::Words => "words",
            Indexed::Accesses => "accesses",
        }
    }
}

/// What a segment is, and where its sections lie.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Footer {
    pub(crate) rows: u32,
    pub(crate) logs: u32,
    /// From the first position up to the last, exclusive.
    pub(crate) positions: Range<u64>,
    pub(crate) recorded: Bounds,
    pub(crate) shown: Bounds,
    pub(crate) id_times: IdTimes,
    /// What ids are hashed with.
    pub(crate) hash_key: u64,
    /// The stored bytes of the events.
    pub(crate) text_bytes: u64,
    /// The sum over all events; without one in version 1.
    pub(crate) digest: Option<u64>,
    pub(crate) tables: Tables,
    pub(crate) dictionaries: [DictionaryTables; DICTIONARIES.len()],
    pub(crate) event_ids: IdTables,
    pub(crate) request_ids: IdTables,
    /// While it is built: what there is of each log, until that is written.
    pub(crate) runs: Vec<Run>,
}

/// The sections that are there once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tables {
    pub(crate) runs: Table,
    pub(crate) position: Table,
    pub(crate) recorded: Table,
    /// Without pages where every event shows the time recorded.
    pub(crate) shown: Table,
    pub(crate) status: Table,
    /// The rows by position; without pages where they lie so.
    pub(crate) places: Table,
    /// Each log's rows by time shown and place; without pages where they lie so.
    pub(crate) by_time: Table,
    pub(crate) blocks: Table,
    /// What the events' texts were packed after.
    pub(crate) prefixes: Table,
}

impl Default for Tables {
    fn default() -> Tables {
        let table = |section| Table { section, ..Table::default() };
        Tables {
            runs: table("logs"),
            position: table("positions"),
            recorded: table("times recorded"),
            shown: table("times shown"),
            status: table("statuses"),
            places: table("rows by position"),
            by_time: table("rows by time"),
            blocks: table("events"),
            prefixes: table(Table::PREFIXES),
        }
    }
}

// Codes of numbers.
const ROWS: u16 = 1;
const LOGS: u16 = 2;
const POSITION_FIRST: u16 = 3;
const POSITION_END: u16 = 4;
const RECORDED: u16 = 5;
const SHOWN: u16 = 8;
const ID_TIME_MIN: u16 = 11;
const ID_TIME_MAX: u16 = 12;
const ID_OTHERS: u16 = 13;
const HASH_KEY: u16 = 14;
const TEXT_BYTES: u16 = 15;
const EVENT_IDS: u16 = 16;
const REQUEST_IDS: u16 = 17;
const DIGEST: u16 = 18;
// From here on four for each dictionary, by its place: how many values; texts, index, postings.
const DICTIONARY: u16 = 256;
const DICTIONARY_STEP: u16 = 4;

impl Footer {
    pub(crate) fn dictionary(&self, of: Indexed) -> Option<&DictionaryTables> {
        self.dictionaries.get(of.place()?)
    }

    /// Every table of the segment, with the section's code.
    pub(crate) fn all_tables(&self) -> Vec<(u16, &Table)> {
        let Tables { runs, position, recorded, shown, status, places, by_time, blocks, prefixes } = &self.tables;
        let once = [runs, position, recorded, shown, status, places, by_time, blocks];
        let ids =
            [&self.event_ids.filter, &self.event_ids.entries, &self.request_ids.filter, &self.request_ids.entries];
        let mut all: Vec<(u16, &Table)> = (1..).zip(once.into_iter().chain(ids).chain([prefixes])).collect();
        for (code, dictionary) in (DICTIONARY..).step_by(DICTIONARY_STEP.into()).zip(&self.dictionaries) {
            all.extend([
                (code + 1, &dictionary.texts),
                (code + 2, &dictionary.index),
                (code + 3, &dictionary.postings),
            ]);
        }
        all
    }

    fn table_mut(&mut self, code: u16) -> Option<&mut Table> {
        if let Some(code) = code.checked_sub(DICTIONARY) {
            let dictionary = self.dictionaries.get_mut(usize::from(code / DICTIONARY_STEP))?;
            return match code % DICTIONARY_STEP {
                1 => Some(&mut dictionary.texts),
                2 => Some(&mut dictionary.index),
                3 => Some(&mut dictionary.postings),
                _ => None,
            };
        }
        let Tables { runs, position, recorded, shown, status, places, by_time, blocks, prefixes } = &mut self.tables;
        let (event, request) = (&mut self.event_ids, &mut self.request_ids);
        let once = [
            runs,
            position,
            recorded,
            shown,
            status,
            places,
            by_time,
            blocks,
            &mut event.filter,
            &mut event.entries,
            &mut request.filter,
            &mut request.entries,
            prefixes,
        ];
        once.into_iter().nth(usize::from(code.checked_sub(1)?))
    }

    fn numbers(&self) -> Vec<(u16, u64)> {
        let mut numbers = vec![
            (ROWS, self.rows.into()),
            (LOGS, self.logs.into()),
            (POSITION_FIRST, self.positions.start),
            (POSITION_END, self.positions.end),
            (HASH_KEY, self.hash_key),
            (TEXT_BYTES, self.text_bytes),
            (EVENT_IDS, self.event_ids.ids.into()),
            (REQUEST_IDS, self.request_ids.ids.into()),
            (ID_OTHERS, self.id_times.others.into()),
        ];
        numbers.extend(self.digest.map(|digest| (DIGEST, digest)));
        if let Some((min, max)) = self.id_times.carried {
            numbers.extend([(ID_TIME_MIN, min), (ID_TIME_MAX, max)]);
        }
        for (code, bounds) in [(RECORDED, &self.recorded), (SHOWN, &self.shown)] {
            let times = [bounds.min, bounds.max].map(|time| time.us().cast_unsigned());
            numbers.extend((code..).zip(times.into_iter().chain([u64::from(bounds.ordered)])));
        }
        let codes = (DICTIONARY..).step_by(DICTIONARY_STEP.into());
        numbers.extend(codes.zip(self.dictionaries.iter().map(|dictionary| u64::from(dictionary.values))));
        numbers
    }

    fn set_number(&mut self, code: u16, value: u64) -> Option<()> {
        let small = || u32::try_from(value).ok();
        let time = || Time::from_us(value.cast_signed());
        match code {
            ROWS => self.rows = small()?,
            LOGS => self.logs = small()?,
            POSITION_FIRST => self.positions.start = value,
            POSITION_END => self.positions.end = value,
            HASH_KEY => self.hash_key = value,
            TEXT_BYTES => self.text_bytes = value,
            DIGEST => self.digest = Some(value),
            EVENT_IDS => self.event_ids.ids = small()?,
            REQUEST_IDS => self.request_ids.ids = small()?,
            ID_OTHERS => self.id_times.others = small()?,
            ID_TIME_MIN => self.id_times.carried.get_or_insert((value, value)).0 = value,
            ID_TIME_MAX => self.id_times.carried.get_or_insert((value, value)).1 = value,
            RECORDED => self.recorded.min = time(),
            6 => self.recorded.max = time(),
            7 => self.recorded.ordered = value == 1,
            SHOWN => self.shown.min = time(),
            9 => self.shown.max = time(),
            10 => self.shown.ordered = value == 1,
            _ => {
                let at = code.checked_sub(DICTIONARY).filter(|code| code % DICTIONARY_STEP == 0);
                if let Some(of) = at.and_then(|at| self.dictionaries.get_mut(usize::from(at / DICTIONARY_STEP))) {
                    of.values = small()?;
                }
            }
        }
        Some(())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let count = |bytes: &mut Vec<u8>, count: usize| {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        };
        let numbers = self.numbers();
        count(&mut bytes, numbers.len());
        for (code, value) in numbers {
            bytes.extend_from_slice(&code.to_le_bytes());
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let tables: Vec<_> = self.all_tables().into_iter().filter(|(_, table)| table.pages > 0).collect();
        count(&mut bytes, tables.len());
        for (code, table) in tables {
            bytes.extend_from_slice(&code.to_le_bytes());
            bytes.extend_from_slice(&table.pages.to_le_bytes());
            bytes.push(u8::from(table.deep));
            count(&mut bytes, table.entries.len());
            table.entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.to_bytes()));
        }
        bytes
    }

    /// # Errors
    ///
    /// [`SegmentError::Corrupt`], with the place of the footer.
    pub(crate) fn of_bytes(bytes: &[u8], at: PageRef) -> Result<Footer, SegmentError> {
        Footer::read(bytes).ok_or(SegmentError::corrupt("the footer", at, "it has another form than a footer has"))
    }

    fn read(bytes: &[u8]) -> Option<Footer> {
        let mut footer = Footer::default();
        for (dictionary, of) in footer.dictionaries.iter_mut().zip(DICTIONARIES) {
            for table in [&mut dictionary.texts, &mut dictionary.index, &mut dictionary.postings] {
                table.section = of.name();
            }
        }
        for (ids, section) in [(&mut footer.event_ids, "event ids"), (&mut footer.request_ids, "request ids")] {
            (ids.filter.section, ids.entries.section) = (section, section);
        }
        let (count, mut rest) = bytes.split_first_chunk()?;
        for _ in 0..u32::from_le_bytes(*count) {
            let (code, more) = rest.split_first_chunk()?;
            let (value, more) = more.split_first_chunk()?;
            footer.set_number(u16::from_le_bytes(*code), u64::from_le_bytes(*value))?;
            rest = more;
        }
        let (count, mut rest) = rest.split_first_chunk()?;
        for _ in 0..u32::from_le_bytes(*count) {
            let (code, more) = rest.split_first_chunk()?;
            let (pages, more) = more.split_first_chunk()?;
            let ([deep], more) = more.split_first_chunk()?;
            let (entries, more) = more.split_first_chunk()?;
            let entries = usize::try_from(u32::from_le_bytes(*entries)).ok().filter(|count| *count <= ENTRIES_MAX)?;
            let (entries, more) = more.split_at_checked(entries.checked_mul(ENTRY_BYTES)?)?;
            if let Some(table) = footer.table_mut(u16::from_le_bytes(*code)) {
                table.pages = u32::from_le_bytes(*pages);
                table.deep = *deep == 1;
                table.entries = entries.chunks_exact(ENTRY_BYTES).filter_map(Entry::of_bytes).collect();
            }
            rest = more;
        }
        rest.is_empty().then_some(footer)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Footer>() + self.all_tables().iter().map(|(_, table)| table.memory_bytes()).sum::<usize>()
    }
}

//! The table of a section's pages: which page holds what.
//!
//! A section is a run of pages, each with a key that ascends: the first row, the first value's number,
//! the first hash. A short table stands in the footer; a long one is itself written in pages, and the
//! footer names those.
//!
//! **Invariant:** keys ascend strictly.

use std::sync::Arc;

use crate::SegmentError;
use crate::page::{Form, PAGE_BYTES_MAX, PageRef, Sink, Source};

/// Entries that a table in the footer has at most.
pub(crate) const INLINE_ENTRIES_MAX: usize = 64;
/// What an entry takes, in bytes: its key, its page's offset and stored bytes.
pub(crate) const ENTRY_BYTES: usize = 20;
/// Entries of one page of a table.
const PAGE_ENTRIES: usize = PAGE_BYTES_MAX / ENTRY_BYTES;

/// One page of a section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: u64,
    pub(crate) page: PageRef,
}

/// A section's pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) section: &'static str,
    /// How many pages the section has.
    pub(crate) pages: u32,
    /// Whether the entries below are of pages of the table itself.
    pub(crate) deep: bool,
    pub(crate) entries: Box<[Entry]>,
}

/// A page of a table itself, as whoever looks up one key after another remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    at: PageRef,
    raw: Arc<[u8]>,
}

/// A table in the making.
#[derive(Debug)]
pub(crate) struct TableBuilder {
    section: &'static str,
    entries: Vec<Entry>,
}

impl TableBuilder {
    pub(crate) fn new(section: &'static str) -> TableBuilder {
        TableBuilder { section, entries: Vec::new() }
    }

    /// How many pages there are so far.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds the section's next page. Keys ascend strictly.
    pub(crate) fn push(&mut self, key: u64, page: PageRef) {
        self.entries.push(Entry { key, page });
    }

    /// Writes the table's own pages, if it needs any.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn finish(self, sink: &mut dyn Sink) -> Result<Table, SegmentError> {
        let pages = crate::error::number(self.entries.len(), "pages of a section")?;
        if self.entries.len() <= INLINE_ENTRIES_MAX {
            return Ok(Table { section: self.section, pages, deep: false, entries: self.entries.into() });
        }
        let mut roots = Vec::new();
        for chunk in self.entries.chunks(PAGE_ENTRIES) {
            let raw: Vec<u8> = chunk.iter().flat_map(|entry| entry.to_bytes()).collect();
            let key = chunk.first().map_or(0, |entry| entry.key);
            roots.push(Entry { key, page: sink.page(&raw, Form::Index)? });
        }
        Ok(Table { section: self.section, pages, deep: true, entries: roots.into() })
    }
}

impl Entry {
    pub(crate) fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let (key, rest) = bytes.split_at_mut(8);
        let (offset, stored) = rest.split_at_mut(8);
        key.copy_from_slice(&self.key.to_le_bytes());
        offset.copy_from_slice(&self.page.offset.to_le_bytes());
        stored.copy_from_slice(&self.page.stored_bytes.to_le_bytes());
        bytes
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Entry> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let stored = rest.first_chunk()?;
        Some(Entry {
            key: u64::from_le_bytes(*key),
            page: PageRef { offset: u64::from_le_bytes(*offset), stored_bytes: u32::from_le_bytes(*stored) },
        })
    }
}

impl Table {
    /// The name of the section of prefixes.
    pub(crate) const PREFIXES: &'static str = "prefixes of events";

    /// The page that a key lies in: the one with the greatest key that is not above it.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn find(&self, source: &dyn Source, key: u64) -> Result<Option<Entry>, SegmentError> {
        self.find_by(&mut None, source, key)
    }

    /// The same, given the page of the table that the key before was found in.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn find_by(
        &self,
        root: &mut Option<Root>,
        source: &dyn Source,
        key: u64,
    ) -> Result<Option<Entry>, SegmentError> {
        let at = self.entries.partition_point(|entry| entry.key <= key);
        let Some(entry) = at.checked_sub(1).and_then(|at| self.entries.get(at)).copied() else { return Ok(None) };
        if !self.deep {
            return Ok(Some(entry));
        }
        let Root { raw, .. } = match root.take() {
            Some(known) if known.at == entry.page => root.insert(known),
            _ => root.insert(Root { at: entry.page, raw: self.read(source, entry.page)? }),
        };
        let of = |at: usize| raw.get(at * ENTRY_BYTES..).and_then(Entry::of_bytes);
        let (mut from, mut until) = (0, raw.len() / ENTRY_BYTES);
        while from < until {
            let middle = from + (until - from) / 2;
            if of(middle).is_some_and(|entry| entry.key <= key) { from = middle + 1 } else { until = middle }
        }
        Ok(from.checked_sub(1).and_then(of))
    }

    /// All pages, in order.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn all(&self, source: &dyn Source) -> Result<Vec<Entry>, SegmentError> {
        if !self.deep {
            return Ok(self.entries.to_vec());
        }
        let mut all = Vec::with_capacity(self.pages as usize);
        for root in &self.entries {
            let raw = self.read(source, root.page)?;
            all.extend(raw.chunks_exact(ENTRY_BYTES).filter_map(Entry::of_bytes));
        }
        Ok(all)
    }

    /// The pages of the table itself.
    pub(crate) fn own_pages(&self) -> &[Entry] {
        if self.deep { &self.entries } else { &[] }
    }

    /// A page's content; damage is said to be in this section.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub(crate) fn read(&self, source: &dyn Source, page: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        source.page(page).map_err(|error| error.in_section(self.section))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Table>() + size_of_val(&*self.entries)
    }
}

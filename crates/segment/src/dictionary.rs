//! The distinct values of a field, or the distinct words, in ascending order, with their rows.
//!
//! Three sections: pages of [texts](page), a sparse index of them, and [postings](crate::postings). A
//! text page's key is the number of its first value. An index page's key is the number of the first value
//! of the first text page that it names; version 1, numbers little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `n`: how many text pages it names, at least 1 |
//! | 4·n | the number of each one's first value |
//! | 4·n | where each one's seam ends among the seams |
//! | the rest | the seams, end to end |
//!
//! A seam is the fewest first bytes of a text page's first value that compare as greater than the value
//! before; the very first one is empty.
//!
//! **Invariant:** values ascend by their bytes and are distinct; a value's number is its place.
//! **Invariant:** finding a text reads one index page, a few if there are many, and one text page.

mod merge;
mod page;
mod scan;
mod write;

use std::ops::Range;
use std::sync::Arc;

use annals_model::Pattern;
use roaring::RoaringBitmap;

pub(crate) use crate::postings::{Marks, Rows};
pub(crate) use merge::merge;
pub(crate) use write::DictionaryWriter;

use crate::SegmentError;
use crate::page::{PageRef, Source};
use crate::postings::{Held, Union};
use crate::table::Table;
use page::{TextPage, Value, starts_before};

/// Where the sections of a dictionary are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DictionaryTables {
    /// How many values there are.
    pub(crate) values: u32,
    pub(crate) texts: Table,
    pub(crate) index: Table,
    pub(crate) postings: Table,
}

/// A sorted dictionary.
#[derive(Clone, Copy)]
pub(crate) struct Dictionary<'s> {
    tables: &'s DictionaryTables,
    source: &'s dyn Source,
}

/// A page of texts as it came.
#[derive(Clone)]
struct Loaded {
    /// The number of its first value.
    first: u32,
    at: PageRef,
    raw: Arc<[u8]>,
}

impl<'s> Dictionary<'s> {
    pub(crate) fn new(tables: &'s DictionaryTables, source: &'s dyn Source) -> Dictionary<'s> {
        Dictionary { tables, source }
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> u32 {
        self.tables.values
    }

    /// The value that is this text.
    ///
    /// # Errors
    ///
    /// What the source says, and [`SegmentError::Corrupt`]; so do all below.
    pub(crate) fn find_exact(&self, text: &str) -> Result<Option<u32>, SegmentError> {
        let (value, page) = self.first_from(text.as_bytes())?;
        let Some(page) = page else { return Ok(None) };
        let texts = self.parse(&page)?;
        let found = value.checked_sub(page.first).and_then(|at| texts.text(at as usize));
        Ok((found == Some(text.as_bytes())).then_some(value))
    }

    /// The values that begin with a prefix.
    pub(crate) fn find_prefix(&self, prefix: &str) -> Result<Range<u32>, SegmentError> {
        let start = self.first_from(prefix.as_bytes())?.0;
        // What is greater than all texts with the prefix; its last byte is never 255 in UTF-8.
        let mut past = prefix.as_bytes().to_vec();
        let Some(last) = past.last_mut() else { return Ok(0..self.len()) };
        *last = last.saturating_add(1);
        Ok(start..self.first_from(&past)?.0.max(start))
    }

    /// The values that pass a pattern, as ranges in ascending order.
    pub(crate) fn find(&self, pattern: &Pattern) -> Result<Vec<Range<u32>>, SegmentError> {
        match pattern {
            Pattern::Exact(text) => Ok(self.find_exact(text)?.map(|value| value..value + 1).into_iter().collect()),
            Pattern::Glob(glob) => {
                let candidates = self.find_prefix(glob.prefix())?;
                if glob.is_prefix_only() {
                    return Ok(if candidates.is_empty() { Vec::new() } else { vec![candidates] });
                }
                self.scan_glob(&candidates, glob)
            }
            Pattern::Contains(part) if part.is_empty() && self.len() == 0 => Ok(Vec::new()),
            Pattern::Contains(part) if part.is_empty() => Ok(std::iter::once(0..self.len()).collect()),
            Pattern::Contains(part) => self.scan_part(part, pattern),
        }
    }

    /// How many rows a value has.
    pub(crate) fn count(&self, value: u32) -> Result<u32, SegmentError> {
        let page = self.page_of(value)?;
        Ok(self.value_in(&page, &self.parse(&page)?, value)?.count)
    }

    /// The rows of some values that lie in a range.
    pub(crate) fn rows_of(&self, values: &[Range<u32>], within: &Range<u32>) -> Result<RoaringBitmap, SegmentError> {
        let (mut union, mut held) = (Union::default(), Held::default());
        let mut page: Option<Loaded> = None;
        for range in values {
            let mut value = range.start;
            while value < range.end {
                let loaded = match page.take() {
                    Some(loaded) if loaded.holds(value) => loaded,
                    _ => self.page_of(value)?,
                };
                let texts = self.parse(&loaded)?;
                let end = range.end.min(loaded.first.saturating_add(texts.len()));
                while value < end {
                    let Value { count, place } = self.value_in(&loaded, &texts, value)?;
                    self.rows(&mut held, place, count).take(within, &mut union)?;
                    value += 1;
                }
                page = Some(loaded);
            }
        }
        Ok(union.finish())
    }

    /// Calls `each` with every one of some values, its text and its rows, in order.
    pub(crate) fn each(
        &self,
        values: Range<u32>,
        mut each: impl FnMut(u32, &str, Rows<'_>) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        let mut held = Held::default();
        let mut value = values.start;
        while value < values.end {
            let page = self.page_of(value)?;
            let texts = self.parse(&page)?;
            let end = values.end.min(page.first.saturating_add(texts.len()));
            let mut before: Option<&str> = None;
            for (at, text) in texts.texts_from((value - page.first) as usize) {
                if value >= end {
                    break;
                }
                let text = std::str::from_utf8(text).map_err(|_| self.corrupt(page.at, "a value is not UTF-8"))?;
                if before.is_some_and(|before| before >= text) {
                    return Err(self.corrupt(page.at, "values are out of order"));
                }
                before = Some(text);
                let Value { count, place } =
                    texts.value(at).ok_or_else(|| self.corrupt(page.at, "a value has no rows"))?;
                each(value, text, self.rows(&mut held, place, count))?;
                value += 1;
            }
            if value < end {
                return Err(self.corrupt(page.at, "a page ends before its values do"));
            }
        }
        Ok(())
    }

    /// The first value that is not before a text, and the page where it was looked for.
    fn first_from(&self, text: &[u8]) -> Result<(u32, Option<Loaded>), SegmentError> {
        let Some(first) = self.page_for(text)? else { return Ok((0, None)) };
        let page = self.page_of(first)?;
        let before = self.parse(&page)?.before(text);
        Ok((page.first.saturating_add(before), Some(page)))
    }

    /// The number of the first value of the text page where a text is, if it is anywhere.
    fn page_for(&self, text: &[u8]) -> Result<Option<u32>, SegmentError> {
        let index = &self.tables.index;
        let pages = index.all(self.source)?;
        let (mut from, mut until) = (0, pages.len());
        let mut best = None;
        while from < until {
            let middle = from + (until - from) / 2;
            let Some(entry) = pages.get(middle) else { break };
            let raw = index.read(self.source, entry.page)?;
            let found = starts_before(&raw, text);
            let found =
                found.ok_or_else(|| SegmentError::corrupt(index.section, entry.page, "the index is malformed"))?;
            match found {
                Some(first) => {
                    best = Some(first);
                    from = middle + 1;
                }
                None => until = middle,
            }
        }
        Ok(best)
    }

    /// The page that holds a value.
    fn page_of(&self, value: u32) -> Result<Loaded, SegmentError> {
        let texts = &self.tables.texts;
        let entry = texts.find(self.source, u64::from(value))?;
        let found = entry.and_then(|entry| Some((u32::try_from(entry.key).ok()?, entry.page)));
        let Some((first, at)) = found.filter(|_| value < self.len()) else {
            return Err(self.corrupt(PageRef::default(), "a value is in a page that isn't there"));
        };
        Ok(Loaded { first, at, raw: texts.read(self.source, at)? })
    }

    fn parse<'p>(&self, page: &'p Loaded) -> Result<TextPage<'p>, SegmentError> {
        TextPage::parse(&page.raw).ok_or_else(|| self.corrupt(page.at, "a page of values is malformed"))
    }

    fn value_in(&self, page: &Loaded, texts: &TextPage<'_>, value: u32) -> Result<Value, SegmentError> {
        let found = value.checked_sub(page.first).and_then(|at| texts.value(at as usize));
        found.ok_or_else(|| self.corrupt(page.at, "a page ends before its values do"))
    }

    fn rows<'r>(&self, held: &'r mut Held, place: u64, count: u32) -> Rows<'r>
    where
        's: 'r,
    {
        Rows { table: &self.tables.postings, source: self.source, held, place, count }
    }

    fn corrupt(&self, at: PageRef, what: &'static str) -> SegmentError {
        SegmentError::corrupt(self.tables.texts.section, at, what)
    }
}

impl Loaded {
    fn holds(&self, value: u32) -> bool {
        let texts = TextPage::parse(&self.raw).map_or(0, |texts| texts.len());
        value.checked_sub(self.first).is_some_and(|at| at < texts)
    }
}

#[cfg(test)]
mod tests;

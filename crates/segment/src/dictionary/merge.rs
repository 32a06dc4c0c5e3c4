//! Merges dictionaries into one.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::page::{TextPage, Value};
use super::{Dictionary, DictionaryTables, DictionaryWriter, Loaded};
use crate::SegmentError;
use crate::page::Sink;
use crate::postings::Held;

/// A source, at its next value.
struct Cursor<'s> {
    dictionary: Dictionary<'s>,
    /// The new number of each row.
    moves: &'s [u32],
    held: Held,
    page: Loaded,
    /// The number of the next value, its place in the page, and where its text begins there.
    next: u32,
    at: usize,
    start: usize,
    /// What the page says of the next value, and how many values it has.
    value: Value,
    length: usize,
}

/// The next text of a source.
#[derive(Debug, PartialEq, Eq)]
struct Next {
    text: String,
    source: usize,
}

/// Merges dictionaries; each comes with the new number of each of its rows, which ascend. `rows` is how
/// many rows there are then.
///
/// # Errors
///
/// What the sources and the sink say.
pub(crate) fn merge(
    section: &'static str,
    sources: &[(Dictionary<'_>, &[u32])],
    rows: u32,
    sink: &mut dyn Sink,
) -> Result<DictionaryTables, SegmentError> {
    let mut writer = DictionaryWriter::new(section);
    let (mut cursors, mut heap) = (Vec::new(), BinaryHeap::new());
    for (dictionary, moves) in sources.iter().filter(|(dictionary, _)| dictionary.len() > 0) {
        let mut cursor = Cursor {
            dictionary: *dictionary,
            moves,
            held: Held::default(),
            page: dictionary.page_of(0)?,
            next: 0,
            at: 0,
            start: 0,
            value: Value { count: 0, place: 0 },
            length: 0,
        };
        let mut text = String::new();
        cursor.text(&mut text)?;
        heap.push(Reverse(Next { text, source: cursors.len() }));
        cursors.push(cursor);
    }
    let mut merged: Vec<u32> = Vec::new();
    let mut bits = Bits::new(rows);
    let mut text = String::new();
    while let Some(Reverse(next)) = heap.peek() {
        text.clone_from(&next.text);
        merged.clear();
        while let Some(mut top) = heap.peek_mut().filter(|top| top.0.text == text) {
            let Some(cursor) = cursors.get_mut(top.0.source) else { break };
            cursor.append_rows(&mut merged)?;
            if !cursor.advance(&mut top.0.text)? {
                PeekMut::pop(top);
            }
        }
        // One source's rows ascend; those of several logs in several sources alternate.
        if !merged.is_sorted() {
            bits.sort(&mut merged);
        }
        writer.push(sink, &text, &merged)?;
    }
    writer.finish(sink)
}

impl Cursor<'_> {
    /// Appends the new numbers of the rows of the next value.
    fn append_rows(&mut self, rows: &mut Vec<u32>) -> Result<(), SegmentError> {
        let Value { count, place } = self.value;
        let before = rows.len();
        self.dictionary.rows(&mut self.held, place, count).append_to(rows)?;
        for row in rows.get_mut(before..).unwrap_or_default() {
            let Some(new) = self.moves.get(*row as usize) else {
                return Err(self.dictionary.corrupt(self.page.at, "a value has a row that isn't there"));
            };
            *row = *new;
        }
        Ok(())
    }

    /// Goes to the next value and takes its text, if there is one more.
    fn advance(&mut self, text: &mut String) -> Result<bool, SegmentError> {
        let before = text.len();
        self.next += 1;
        self.at += 1;
        self.start += before;
        if self.next >= self.dictionary.len() {
            return Ok(false);
        }
        if self.at >= self.length {
            self.page = self.dictionary.page_of(self.next)?;
            (self.at, self.start) = (0, 0);
            if self.page.first != self.next {
                return Err(self.dictionary.corrupt(self.page.at, "a page ends before its values do"));
            }
        }
        self.text(text)?;
        Ok(true)
    }

    /// Takes the text of the next value, and what else the page says of it.
    fn text(&mut self, text: &mut String) -> Result<(), SegmentError> {
        let texts: TextPage<'_> = self.dictionary.parse(&self.page)?;
        let next = texts.text_at(self.at, self.start).and_then(|text| std::str::from_utf8(text).ok());
        let next = next.ok_or_else(|| self.dictionary.corrupt(self.page.at, "a value is not UTF-8"))?;
        if self.at > 0 && next <= text.as_str() {
            return Err(self.dictionary.corrupt(self.page.at, "values are out of order"));
        }
        text.clear();
        text.push_str(next);
        self.value = self.dictionary.value_in(&self.page, &texts, self.next)?;
        self.length = texts.len() as usize;
        Ok(())
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Next) -> Ordering {
        self.text.cmp(&other.text).then(self.source.cmp(&other.source))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Next) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Room for a bit per row; none is set between two sorts.
struct Bits(Vec<u64>);

impl Bits {
    fn new(rows: u32) -> Bits {
        Bits(vec![0; rows as usize / 64 + 1])
    }

    /// Sorts distinct rows.
    fn sort(&mut self, rows: &mut Vec<u32>) {
        let (least, most) = rows.iter().fold((u32::MAX, 0), |(least, most), row| (least.min(*row), most.max(*row)));
        let (first, last) = ((least / 64) as usize, (most / 64) as usize);
        // Setting bits and reading them back beats sorting where there are more rows than words of bits.
        let words = self.0.get_mut(first..=last).filter(|words| words.len() < rows.len());
        let Some(words) = words else {
            rows.sort();
            return;
        };
        for row in rows.drain(..) {
            if let Some(word) = words.get_mut((row / 64) as usize - first) {
                *word |= 1 << (row % 64);
            }
        }
        for (start, word) in (least / 64 * 64..).step_by(64).zip(words) {
            while *word != 0 {
                rows.push(start + word.trailing_zeros());
                *word &= *word - 1;
            }
        }
    }
}

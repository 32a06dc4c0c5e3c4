//! Writes a dictionary, value by value.

use super::DictionaryTables;
use super::page::TextPageBuilder;
use crate::SegmentError;
use crate::error::number;
use crate::page::{Form, PAGE_BYTES_MAX, Sink};
use crate::postings::PostingsWriter;
use crate::table::TableBuilder;

/// The largest page of values, but for one that alone is larger: whoever wants one value reads all of
/// its page.
const TEXT_PAGE_BYTES: usize = 32 * 1024;

/// A dictionary in the making.
pub(crate) struct DictionaryWriter {
    values: u32,
    /// The number of the open page's first value.
    first: u32,
    open: TextPageBuilder,
    texts: TableBuilder,
    index: IndexWriter,
    postings: PostingsWriter,
    /// The last value before the open page.
    last: Vec<u8>,
    /// A page on its way.
    raw: Vec<u8>,
}

/// The index in the making.
struct IndexWriter {
    table: TableBuilder,
    firsts: Vec<u8>,
    ends: Vec<u8>,
    seams: Vec<u8>,
    /// The key of the open page.
    key: u32,
}

impl DictionaryWriter {
    pub(crate) fn new(section: &'static str) -> DictionaryWriter {
        DictionaryWriter {
            values: 0,
            first: 0,
            open: TextPageBuilder::default(),
            texts: TableBuilder::new(section),
            index: IndexWriter {
                table: TableBuilder::new(section),
                firsts: Vec::new(),
                ends: Vec::new(),
                seams: Vec::new(),
                key: 0,
            },
            postings: PostingsWriter::new(section),
            last: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// Adds the next value with its rows, which ascend; there is at least one.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] if there are more values than numbers for them, and what the sink says.
    pub(crate) fn push(&mut self, sink: &mut dyn Sink, text: &str, rows: &[u32]) -> Result<(), SegmentError> {
        let text_bytes = number(text.len(), "bytes of a value")?;
        if self.open.bytes_with(text.len()) > TEXT_PAGE_BYTES {
            self.flush(sink)?;
        }
        if let [row] = rows {
            self.begin(sink, text)?;
            self.open.push_row(text, text_bytes, *row);
        } else {
            let count = number(rows.len(), "rows")?;
            let place = self.postings.push(sink, rows)?;
            if !self.open.reaches(place) {
                self.flush(sink)?;
            }
            self.begin(sink, text)?;
            self.open.push_posting(text, text_bytes, count, place);
        }
        self.values =
            self.values.checked_add(1).ok_or(SegmentError::TooLarge { what: "values", max: u64::from(u32::MAX) })?;
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub(crate) fn finish(mut self, sink: &mut dyn Sink) -> Result<DictionaryTables, SegmentError> {
        self.flush(sink)?;
        self.index.flush(sink)?;
        Ok(DictionaryTables {
            values: self.values,
            texts: self.texts.finish(sink)?,
            index: self.index.table.finish(sink)?,
            postings: self.postings.finish(sink)?,
        })
    }

    /// Puts the page that a text begins, if it does, into the index.
    fn begin(&mut self, sink: &mut dyn Sink, text: &str) -> Result<(), SegmentError> {
        if !self.open.is_empty() {
            return Ok(());
        }
        self.first = self.values;
        let shared = text.bytes().zip(&self.last).take_while(|(a, b)| a == *b).count();
        let seam = if self.values == 0 { 0 } else { shared + 1 };
        self.index.push(sink, self.first, text.as_bytes().get(..seam).unwrap_or_default())
    }

    fn flush(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        if self.open.is_empty() {
            return Ok(());
        }
        self.last.clear();
        self.last.extend_from_slice(self.open.last());
        self.raw.clear();
        self.open.finish(&mut self.raw);
        let page = sink.page(&self.raw, Form::Index)?;
        self.texts.push(u64::from(self.first), page);
        Ok(())
    }
}

impl IndexWriter {
    fn push(&mut self, sink: &mut dyn Sink, first: u32, seam: &[u8]) -> Result<(), SegmentError> {
        if 4 + self.firsts.len() + self.ends.len() + self.seams.len() + 8 + seam.len() > PAGE_BYTES_MAX {
            self.flush(sink)?;
        }
        if self.firsts.is_empty() {
            self.key = first;
        }
        self.firsts.extend_from_slice(&first.to_le_bytes());
        self.seams.extend_from_slice(seam);
        self.ends.extend_from_slice(&number(self.seams.len(), "bytes of an index page")?.to_le_bytes());
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn Sink) -> Result<(), SegmentError> {
        if self.firsts.is_empty() {
            return Ok(());
        }
        let mut raw = number(self.firsts.len() / 4, "entries of an index page")?.to_le_bytes().to_vec();
        for part in [&mut self.firsts, &mut self.ends, &mut self.seams] {
            raw.append(part);
        }
        self.table.push(u64::from(self.key), sink.page(&raw, Form::Index)?);
        Ok(())
    }
}

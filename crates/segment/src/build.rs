//! Builds a segment from events.

use std::array;
use std::borrow::Borrow;

use annals_model::{Content, Field, each_term, each_word};

use crate::blocks::{Blocks, BlocksBuilder};
use crate::columns::{ColumnsBuilder, Entry, row_number};
use crate::dictionary::Dictionary;
use crate::gather::Gather;
use crate::ids::IdTable;
use crate::index::Index;
use crate::{Row, Segment, SegmentError};

impl Segment {
    /// Builds a segment from events in the order of their commits, each with what its canonical text
    /// says.
    ///
    /// `key` is the secret that ids and values are hashed with, the same for all segments of a process;
    /// nobody who chooses them should know it.
    ///
    /// # Errors
    ///
    /// [`SegmentError::OutOfOrder`] unless positions ascend, and indexes within each log;
    /// [`SegmentError::TooLarge`] beyond [`ROWS_MAX`](crate::ROWS_MAX) rows or 4 GiB of distinct
    /// values of one field.
    pub fn build<C: Borrow<Content>>(
        events: impl IntoIterator<Item = (Row, C)>,
        key: u64,
    ) -> Result<Segment, SegmentError> {
        let events: Vec<(Row, C)> = events.into_iter().collect();
        for (before, (row, _)) in events.iter().zip(events.iter().skip(1)) {
            if row.position <= before.0.position {
                return Err(SegmentError::OutOfOrder { position: row.position });
            }
        }
        let mut sorted: Vec<(usize, &(Row, C))> = events.iter().enumerate().collect();
        sorted.sort_by_key(|(_, (row, _))| (row.log, row.index));
        let mut by_position = vec![0; events.len()];
        let mut columns = ColumnsBuilder::new(events.len());
        for (number, (commit, (row, content))) in sorted.iter().enumerate() {
            columns.push(entry(row, content.borrow()))?;
            if let Some(slot) = by_position.get_mut(*commit) {
                *slot = row_number(number)?;
            }
        }
        let columns = columns.finish(by_position);
        let index = index_of(sorted.iter().map(|(_, (_, content))| content.borrow()), key)?;
        let blocks = blocks_of(sorted.iter().map(|(_, (row, _))| row))?;
        let ids = IdTable::build(key, index.field(Field::Id), &columns.log_of_rows());
        Ok(Segment { columns, index, ids, blocks })
    }
}

fn entry(row: &Row, content: &Content) -> Entry {
    Entry {
        log: row.log,
        index: row.index,
        position: row.position,
        recorded: row.time_recorded,
        shown: content.time_shown(row.time_recorded),
        status: content.request.status.unwrap_or_default(),
    }
}

fn index_of<'c>(contents: impl Iterator<Item = &'c Content>, key: u64) -> Result<Index, SegmentError> {
    let mut fields: [Gather; Field::ALL.len()] = array::from_fn(|_| Gather::new(key));
    let mut words = Gather::new(key);
    for (row, content) in (0_u32..).zip(contents) {
        each_term(content, |field, value| {
            if let Some(gather) = fields.get_mut(field.number()) {
                gather.add(row, value);
            }
        });
        each_word(content, |word| words.add(row, word));
    }
    let mut dictionaries = array::from_fn(|_| Dictionary::default());
    for (dictionary, gather) in dictionaries.iter_mut().zip(fields) {
        *dictionary = gather.finish()?;
    }
    Ok(Index { fields: dictionaries, words: words.finish()? })
}

fn blocks_of<'r>(rows: impl Iterator<Item = &'r Row>) -> Result<Blocks, SegmentError> {
    let mut blocks = BlocksBuilder::new()?;
    for row in rows {
        blocks.push(&row.canonical, &row.secret)?;
        blocks.settle()?;
    }
    blocks.finish()
}

//! Merges neighbouring segments into one, without reading the events anew.
//!
//! **Invariant:** the merged segment answers as one that was built from all the events.

use std::array;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;
use std::sync::Arc;

use annals_model::Field;

use crate::blocks::{Blocks, BlocksBuilder, Decoded, Reader};
use crate::columns::{Columns, ColumnsBuilder};
use crate::dictionary::{Dictionary, DictionaryBuilder};
use crate::ids::IdTable;
use crate::index::Index;
use crate::{Segment, SegmentError};

/// Rows of one segment that stay together.
struct Part {
    /// The segment's place among those that are merged.
    segment: usize,
    rows: Range<u32>,
}

/// Where every row goes.
struct Plan {
    /// In the order in which they come to lie.
    parts: Vec<Part>,
    /// Per segment, the new number of each row; it ascends with the old one.
    moves: Vec<Vec<u32>>,
}

impl Segment {
    /// Merges neighbours, the oldest first. Ids stay hashed with the first one's key.
    ///
    /// # Errors
    ///
    /// [`SegmentError::OutOfOrder`] unless each segment's positions come after those of the one
    /// before; [`SegmentError::TooLarge`] as in [`Segment::build`]; [`SegmentError::Corrupt`] if a
    /// block that has to be read is damaged (its number is that in its own segment).
    pub fn merge(segments: &[Arc<Segment>]) -> Result<Segment, SegmentError> {
        let full: Vec<&Segment> = segments.iter().map(Arc::as_ref).filter(|segment| !segment.is_empty()).collect();
        for (before, segment) in full.iter().zip(full.iter().skip(1)) {
            if segment.positions().start < before.positions().end {
                return Err(SegmentError::OutOfOrder { position: segment.positions().start });
            }
        }
        let plan = plan(&full);
        let columns = columns(&full, &plan)?;
        let index = index(&full, &plan)?;
        let blocks = blocks(&full, &plan)?;
        let key = segments.first().map_or(0, |segment| segment.ids.key());
        let ids = IdTable::build(key, index.field(Field::Id), &columns.log_of_rows());
        Ok(Segment { columns, index, ids, blocks })
    }
}

fn plan(segments: &[&Segment]) -> Plan {
    let mut parts: Vec<(u32, Part)> = Vec::new();
    for (number, segment) in segments.iter().enumerate() {
        let of_segment = segment.columns.runs().iter();
        parts.extend(of_segment.map(|run| (run.log, Part { segment: number, rows: run.rows.clone() })));
    }
    // Stable, so that a log's parts stay in the order of their segments.
    parts.sort_by_key(|(log, _)| *log);
    let parts: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
    let mut moves: Vec<Vec<u32>> = segments.iter().map(|segment| Vec::with_capacity(segment.len() as usize)).collect();
    let mut next = 0_u32;
    for part in &parts {
        // A segment's own parts come in the order of its rows, so each list is filled from its start.
        let length = part.rows.end - part.rows.start;
        if let Some(moves) = moves.get_mut(part.segment) {
            // Beyond the limit of rows, which is far below, the columns refuse.
            moves.extend(next..next.saturating_add(length));
        }
        next = next.saturating_add(length);
    }
    Plan { parts, moves }
}

fn columns(segments: &[&Segment], plan: &Plan) -> Result<Columns, SegmentError> {
    let rows = plan.moves.iter().map(Vec::len).sum();
    let mut columns = ColumnsBuilder::new(rows);
    for part in &plan.parts {
        let old = segments.get(part.segment).map(|segment| &segment.columns);
        let Some((old, run)) = old.and_then(|old| Some((old, old.run_at(part.rows.start)?))) else { continue };
        for row in part.rows.clone() {
            columns.push(old.entry(run, row))?;
        }
    }
    let mut by_position = Vec::with_capacity(rows);
    for (segment, moves) in segments.iter().zip(&plan.moves) {
        by_position.extend(segment.columns.rows_by_position().filter_map(|row| moves.get(row as usize).copied()));
    }
    Ok(columns.finish(by_position))
}

fn index(segments: &[&Segment], plan: &Plan) -> Result<Index, SegmentError> {
    let mut fields = array::from_fn(|_| Dictionary::default());
    for (dictionary, field) in fields.iter_mut().zip(Field::ALL) {
        let sources: Vec<&Dictionary> = segments.iter().map(|segment| segment.index.field(field)).collect();
        *dictionary = merge_dictionaries(&sources, plan)?;
    }
    let sources: Vec<&Dictionary> = segments.iter().map(|segment| &segment.index.words).collect();
    Ok(Index { fields, words: merge_dictionaries(&sources, plan)? })
}

fn merge_dictionaries(sources: &[&Dictionary], plan: &Plan) -> Result<Dictionary, SegmentError> {
    let values = sources.iter().map(|source| source.len() as usize).sum();
    let bytes = sources.iter().map(|source| source.text_bytes()).sum();
    let mut merged = DictionaryBuilder::new(values, bytes);
    // The next value of each source: its text, the source, its number.
    let mut next: BinaryHeap<Reverse<(&str, usize, u32)>> = sources
        .iter()
        .enumerate()
        .filter(|(_, source)| source.len() > 0)
        .map(|(at, source)| Reverse((source.text(0), at, 0)))
        .collect();
    let mut rows: Vec<u32> = Vec::new();
    let mut bits = vec![0_u64; plan.moves.iter().map(Vec::len).sum::<usize>() / 64 + 1];
    while let Some(Reverse((text, _, _))) = next.peek().copied() {
        rows.clear();
        while let Some(mut top) = next.peek_mut() {
            let Reverse((have, at, value)) = *top;
            if have != text {
                break;
            }
            if let (Some(source), Some(moves)) = (sources.get(at), plan.moves.get(at)) {
                source.posting(value).each(|row| rows.extend(moves.get(row as usize)));
                if value + 1 < source.len() {
                    *top = Reverse((source.text(value + 1), at, value + 1));
                    continue;
                }
            }
            PeekMut::pop(top);
        }
        // One source's rows ascend; those of several logs in several sources alternate.
        if !rows.is_sorted() {
            sort(&mut rows, &mut bits);
        }
        merged.push(text, &rows)?;
    }
    Ok(merged.finish())
}

/// Sorts distinct rows; `bits` has room for all rows, and is left as it was found, without any set.
fn sort(rows: &mut Vec<u32>, bits: &mut [u64]) {
    if rows.len() < bits.len() {
        rows.sort_unstable();
        return;
    }
    // Setting bits and reading them back beats sorting where there are more rows than words of bits.
    for row in rows.drain(..) {
        if let Some(word) = bits.get_mut(row as usize / 64) {
            *word |= 1 << (row % 64);
        }
    }
    for (first, word) in (0_u32..).step_by(64).zip(bits) {
        while *word != 0 {
            rows.push(first + word.trailing_zeros());
            *word &= *word - 1;
        }
    }
}

fn blocks(segments: &[&Segment], plan: &Plan) -> Result<Blocks, SegmentError> {
    let mut merged = BlocksBuilder::new()?;
    let mut reader = Reader::new()?;
    // A block that reaches over several logs is wanted several times: the last one of each segment stays.
    let mut open: Vec<Option<Decoded>> = segments.iter().map(|_| None).collect();
    for part in &plan.parts {
        let (Some(segment), Some(open)) = (segments.get(part.segment), open.get_mut(part.segment)) else { continue };
        let blocks = &segment.blocks;
        let mut row = part.rows.start;
        while row < part.rows.end {
            let Some(number) = blocks.block_of(row) else { break };
            let rows = blocks.rows(number);
            if rows.start == row
                && rows.end <= part.rows.end
                && let Some(block) = blocks.block(number)
                && merged.adopt(block, rows.end - rows.start)?
            {
                row = rows.end;
                continue;
            }
            let decoded = match open.take() {
                Some(decoded) if decoded.holds(row) => decoded,
                _ => blocks.decode(number, &mut reader)?,
            };
            while row < rows.end.min(part.rows.end) {
                if let Some((text, secret)) = decoded.row(row) {
                    merged.push(text, secret)?;
                }
                row += 1;
            }
            // Only now, not at every row: a block cut in its midst would leave a small rest, and with that
            // open none of the following could be taken over whole.
            merged.settle()?;
            *open = Some(decoded);
        }
    }
    merged.finish()
}

//! Merges neighbouring segments into one, without reading the events anew.
//!
//! **Invariant:** the merged segment answers as one that was built from all the events.
//! **Invariant:** memory grows with the number of rows by some bytes each, and not with what is in
//! them.
//! **Invariant:** no row is lost: where a segment's pages do not agree on its rows, merging fails.

use std::ops::Range;
use std::sync::Arc;

use crate::blocks::{BlocksBuilder, BlocksReader};
use crate::build::{EVENT_IDS, Entry, Placed, REQUEST_IDS, finish_blocks};
use crate::columns::to_time;
use crate::dictionary::{self, Dictionary};
use crate::digest;
use crate::file::{FileWriter, Written};
use crate::footer::{DICTIONARIES, Footer, Tables};
use crate::ids;
use crate::memory::MemoryPages;
use crate::page::{PageRef, Sink};
use crate::places::PlacesReader;
use crate::prefix;
use crate::runs::Run;
use crate::table::Table;
use crate::{Cause, Segment, SegmentError};

/// Rows by position that are looked at at once.
const PLACES: u32 = 8_192;

/// Rows of one segment that stay together.
struct Part {
    /// The segment's place among those that are merged.
    segment: usize,
    run: Run,
}

/// Where every row goes.
struct Plan {
    /// In the order in which they come to lie.
    parts: Vec<Part>,
    /// Per segment, the new number of each row; it ascends with the old one.
    moves: Vec<Vec<u32>>,
}

impl Segment {
    /// Merges neighbours in memory, the oldest first. Ids stay hashed with the first one's key, which has
    /// to be that of all.
    ///
    /// # Errors
    ///
    /// [`SegmentError::OutOfOrder`] unless they follow each other, [`SegmentError::TooLarge`], or as for
    /// all reading: [`SegmentError::Corrupt`] also where what was read contradicts itself.
    pub fn merge(segments: &[Segment]) -> Result<Segment, SegmentError> {
        let mut sink = MemoryPages::building(true)?;
        let footer = merge(segments, &mut sink)?;
        Ok(Segment::in_memory(footer, sink.finish()))
    }

    /// Merges neighbours into a file, the oldest first; one alone is written as it is.
    ///
    /// # Errors
    ///
    /// As for [`Segment::merge`], and [`SegmentError::Unwritable`].
    pub fn write<W: FnMut(&[u8]) -> Result<(), Cause>>(
        segments: &[Segment],
        mut file: FileWriter<W>,
    ) -> Result<Written, SegmentError> {
        let footer = merge(segments, &mut file)?;
        file.finish(&footer.to_bytes())
    }
}

fn merge(segments: &[Segment], sink: &mut dyn Sink) -> Result<Footer, SegmentError> {
    let segments: Vec<&Segment> = segments.iter().filter(|segment| !segment.is_empty()).collect();
    for (before, segment) in segments.iter().zip(segments.iter().skip(1)) {
        if segment.positions().start < before.positions().end {
            return Err(SegmentError::OutOfOrder { position: segment.positions().start });
        }
    }
    let plan = plan(&segments)?;
    let mut footer =
        Footer { hash_key: segments.first().map_or(0, |segment| segment.footer.hash_key), ..Footer::default() };
    place(&segments, &plan, &mut footer, sink)?;
    blocks(&segments, &plan, &mut footer, sink)?;
    footer.digest = Some(digest::merged(&segments)?);
    let moves = || segments.iter().zip(plan.moves.iter().map(Vec::as_slice));
    for (at, of) in DICTIONARIES.into_iter().enumerate() {
        let sources: Vec<(Dictionary, &[u32])> =
            moves().filter_map(|(segment, moves)| Some((segment.dictionary(of)?, moves))).collect();
        let merged = dictionary::merge(of.name(), &sources, footer.rows, sink)?;
        if let Some(slot) = footer.dictionaries.get_mut(at) {
            *slot = merged;
        }
    }
    let tables: Vec<_> = moves().map(|(segment, moves)| (&segment.footer.event_ids, &*segment.source, moves)).collect();
    footer.event_ids = ids::merge(&tables, EVENT_IDS, sink)?;
    let tables: Vec<_> =
        moves().map(|(segment, moves)| (&segment.footer.request_ids, &*segment.source, moves)).collect();
    footer.request_ids = ids::merge(&tables, REQUEST_IDS, sink)?;
    Ok(footer)
}

fn plan(segments: &[&Segment]) -> Result<Plan, SegmentError> {
    let mut parts: Vec<Part> = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let (table, runs) = (&segment.footer.tables.runs, segment.runs().all()?);
        let mut end = 0;
        for run in &runs {
            check(run.rows.start == end, table, "its logs leave rows out")?;
            end = run.rows.end;
        }
        check(end == segment.len(), table, "its logs end before its rows do, or after")?;
        parts.extend(runs.into_iter().map(|run| Part { segment: at, run }));
    }
    // Stable, so that a log's parts stay in the order of their segments.
    parts.sort_by_key(|part| part.run.log);
    let mut moves: Vec<Vec<u32>> = segments.iter().map(|segment| Vec::with_capacity(segment.len() as usize)).collect();
    let mut next = 0_u32;
    for part in &parts {
        // A segment's own parts come in the order of its rows, so each list is filled from its start.
        let length = part.run.rows.end - part.run.rows.start;
        if let Some(moves) = moves.get_mut(part.segment) {
            // Beyond the limit of rows, which is far below, the columns refuse.
            moves.extend(next..next.saturating_add(length));
        }
        next = next.saturating_add(length);
    }
    Ok(Plan { parts, moves })
}

/// Says what is wrong with a table unless its pages fit.
fn check(fits: bool, table: &Table, what: &'static str) -> Result<(), SegmentError> {
    if fits { Ok(()) } else { Err(SegmentError::corrupt(table.section, PageRef::default(), what)) }
}

fn place(segments: &[&Segment], plan: &Plan, footer: &mut Footer, sink: &mut dyn Sink) -> Result<(), SegmentError> {
    let (mut placed, names) = (Placed::new(), Tables::default());
    let mut columns: Vec<_> = segments
        .iter()
        .map(|segment| {
            let times = (segment.recorded_column(), segment.shown_column());
            (segment.positions_column(), times, segment.status_column())
        })
        .collect();
    for Part { segment, run } in &plan.parts {
        let Some((position, (recorded, shown), status)) = columns.get_mut(*segment) else { continue };
        for (row, index) in run.rows.clone().zip(run.index..) {
            let entry = Entry {
                log: run.log,
                index,
                position: position.get(row)?,
                recorded: to_time(recorded.get(row)?),
                shown: to_time(shown.get(row)?),
                status: u16::try_from(status.get(row)?).unwrap_or_default(),
                id_time: None,
            };
            let pushed = placed.push(sink, entry, || Arc::clone(&run.organization));
            // Only a part's first row can be out of order with another segment's.
            let of_part = |error| if row == run.rows.start { error } else { damaged(error, &names.position) };
            pushed.map_err(of_part)?;
        }
        placed.add_ids(run.ids);
    }
    let mut by_position = Vec::with_capacity(plan.moves.iter().map(Vec::len).sum());
    for (segment, moves) in segments.iter().zip(&plan.moves) {
        let mut places = PlacesReader::new(&segment.footer.tables.places, &*segment.source);
        let mut next = 0;
        while next < segment.len() {
            let piece: Range<u32> = next..segment.len().min(next + PLACES);
            next = piece.end;
            for row in places.rows(piece)? {
                let row = moves.get(row as usize).copied();
                check(row.is_some(), &segment.footer.tables.places, "a position has a row that isn't there")?;
                by_position.extend(row);
            }
        }
    }
    // The segments follow each other, so it is within one that rows don't.
    placed.finish(footer, by_position, sink).map_err(|error| damaged(error, &names.places))
}

/// What is out of order within one segment was not written so.
fn damaged(error: SegmentError, table: &Table) -> SegmentError {
    match error {
        SegmentError::OutOfOrder { .. } => {
            SegmentError::corrupt(table.section, PageRef::default(), "the rows of a log are out of order")
        }
        other => other,
    }
}

fn blocks(segments: &[&Segment], plan: &Plan, footer: &mut Footer, sink: &mut dyn Sink) -> Result<(), SegmentError> {
    let prefix::Merged { table: prefixes, begins } = prefix::merge(segments, sink)?;
    footer.tables.prefixes = prefixes;
    let (mut merged, names) = (BlocksBuilder::new(), Tables::default());
    let table = &names.blocks;
    let readers: Vec<BlocksReader> = segments.iter().map(|segment| segment.blocks()).collect();
    // The blocks of each segment in the order of its rows, which is that of its parts.
    let mut rest =
        readers.iter().map(|reader| Ok(reader.all()?.into_iter().peekable())).collect::<Result<Vec<_>, _>>()?;
    let mut log = None;
    for Part { segment, run } in &plan.parts {
        if log != Some(run.log) {
            merged.begin_run(sink)?;
            log = Some(run.log);
        }
        let (Some(reader), Some(rest)) = (readers.get(*segment), rest.get_mut(*segment)) else { continue };
        let begin = begins.get(*segment).copied().flatten();
        let mut next = run.rows.start;
        while let Some(block) = rest.next_if(|block| block.rows.start < run.rows.end) {
            let fits = block.rows.start == next && next < block.rows.end && block.rows.end <= run.rows.end;
            check(fits, table, "a block does not hold the next rows of its log")?;
            next = block.rows.end;
            if merged.adopt(sink, &reader.packed(&block)?, begin, block.rows.end - block.rows.start)? {
                continue;
            }
            let decoded = reader.block(&block)?;
            for row in block.rows {
                let missing = || SegmentError::corrupt(table.section, block.page, "it does not hold one of its rows");
                let (text, secret) = decoded.row(row).ok_or_else(missing)?;
                merged.push(sink, text, secret)?;
            }
        }
        check(next == run.rows.end, table, "there is no block for the last rows of a log")?;
    }
    finish_blocks(merged, footer, sink)
}

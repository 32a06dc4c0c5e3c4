//! Prefixes: some rows of a segment, after which its texts are packed.
//!
//! Texts of events repeat each other more than themselves, so a small block, which is fast to unpack,
//! takes little only if it may point at what others have said. A segment that is written from memory gets
//! one prefix, some of its own rows; one that is merged from files takes over theirs with their blocks.
//! Each is a page; its key is its number.
//!
//! **Invariant:** a prefix is of rows of its segment, or of one that it was merged from. Whoever takes
//! content out of a segment has to pack all its blocks anew, with a prefix of what is left.

use std::sync::Arc;

use crate::page::{Form, Sink};
use crate::table::{Table, TableBuilder};
use crate::{Segment, SegmentError};

/// The largest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 32 * 1024;
/// A prefix has at most one row of so many, as it takes room itself.
const PREFIX_ROW_PART: u32 = 64;
/// Prefixes of one segment; where there would be more, it gets one for all, and all is packed anew.
const PREFIXES_MAX: u32 = 16;

/// The prefixes of a merged segment.
pub(crate) struct Merged {
    pub(crate) table: Table,
    /// For each of the segments the number that its first prefix has here, unless its blocks have to be
    /// packed anew.
    pub(crate) begins: Vec<Option<u16>>,
}

/// Writes the prefixes of a merged segment.
///
/// # Errors
///
/// What the sources and the sink say.
pub(crate) fn merge(segments: &[&Segment], sink: &mut dyn Sink) -> Result<Merged, SegmentError> {
    let mut table = TableBuilder::new(Table::PREFIXES);
    let mut begins = vec![None; segments.len()];
    if sink.takes_prefixes() {
        let mut next = 0_u16;
        let mut put = |content: &[u8], sink: &mut dyn Sink| -> Result<(), SegmentError> {
            table.push(next.into(), sink.page(content, Form::Index)?);
            sink.set_prefix(next, content)?;
            next += 1;
            Ok(())
        };
        let count: u32 = segments.iter().map(|segment| segment.footer.tables.prefixes.pages).sum();
        if (1..=PREFIXES_MAX).contains(&count) {
            let mut begin = 0;
            for (segment, begins) in segments.iter().zip(&mut begins) {
                *begins = Some(begin);
                let prefixes = &segment.footer.tables.prefixes;
                for entry in prefixes.all(&*segment.source)? {
                    put(&prefixes.read(&*segment.source, entry.page)?, sink)?;
                    begin += 1;
                }
            }
        } else {
            let content = sample(segments)?;
            if !content.is_empty() {
                put(&content, sink)?;
            }
        }
    }
    Ok(Merged { table: table.finish(sink)?, begins })
}

/// The prefix of a segment that has a number.
///
/// # Errors
///
/// [`SegmentError::Corrupt`] if there is none with that number, or it is too large; or what the source says.
pub(crate) fn read(table: &Table, source: &dyn crate::Source, number: u16) -> Result<Arc<[u8]>, SegmentError> {
    let entry = table.find(source, number.into())?.filter(|entry| entry.key == u64::from(number));
    let missing = || SegmentError::corrupt(table.section, Default::default(), "an event's prefix is not there");
    let page = entry.ok_or_else(missing)?.page;
    let content = table.read(source, page)?;
    if content.len() > PREFIX_BYTES_MAX {
        return Err(SegmentError::corrupt(table.section, page, "it is larger than any prefix"));
    }
    Ok(content)
}

/// Some rows from everywhere.
fn sample(segments: &[&Segment]) -> Result<Vec<u8>, SegmentError> {
    let rows: u64 = segments.iter().map(|segment| u64::from(segment.len())).sum();
    let mut readers: Vec<_> = segments.iter().map(|segment| (segment.len(), segment.blocks())).collect();
    let mut content = Vec::new();
    for pick in 0..u32::try_from(rows / u64::from(PREFIX_ROW_PART)).unwrap_or(u32::MAX) {
        if content.len() >= PREFIX_BYTES_MAX {
            break;
        }
        // The first so many are spread evenly, however many there will be.
        let mut row = u32::try_from((u64::from(pick.reverse_bits()) * rows) >> u32::BITS).unwrap_or_default();
        for (length, reader) in &mut readers {
            if row < *length {
                let decoded = reader.decode(row)?;
                content.extend(decoded.row(row).map(|(text, _)| text).unwrap_or_default());
                break;
            }
            row -= *length;
        }
    }
    content.truncate(PREFIX_BYTES_MAX);
    Ok(content)
}

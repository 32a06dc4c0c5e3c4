//! Reading rows, of which nothing is believed before it has been checked.
//!
//! **Invariant:** nothing is allocated for a count before that many entries could be in what is left
//! of the bytes.

use zstd::bulk::Decompressor;
use zstd::zstd_safe;

use super::{
    HeadChange, ROW_BODY_BYTES_MAX, ROW_EVENTS_MAX, ROW_VERSION, RowBody, RowError, RowEvent, SECRET_ERASED,
    SECRET_SEED, Secret, check_heads, within,
};
use crate::journal::Cause;

/// RFC 8878 §3.1.1: the beginning of a frame. Skippable frames begin otherwise and are refused.
const FRAME_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// RFC 8878 §3.1.1.1.1: in the frame header's first byte, that a checksum follows the content.
const FRAME_CHECKSUM: u8 = 0x04;
/// The most that a byte of a frame can stand for: a block of 128 KiB takes at least 4 bytes.
const FRAME_RATIO_MAX: usize = 32 * 1024;

/// The least that entries take in a body.
const HEAD_BYTES_MIN: usize = 1 + 1 + 1 + 32;
const EVENT_BYTES_MIN: usize = 1 + 1 + 2 + 1;

/// Decodes one row after another, with a decompressor that is kept: to make one costs more than a small
/// row does.
pub struct RowDecoder {
    decompressor: Decompressor<'static>,
}

/// Decodes a single row.
///
/// # Errors
/// As [`RowDecoder::decode`].
pub fn decode(row: &[u8]) -> Result<RowBody, RowError> {
    RowDecoder::new()?.decode(row)
}

impl RowDecoder {
    /// A decoder with its decompressor.
    ///
    /// # Errors
    /// `Compressor` where there is no memory for one.
    pub fn new() -> Result<Self, RowError> {
        let decompressor = Decompressor::new().map_err(|source| RowError::Compressor { source })?;
        Ok(Self { decompressor })
    }

    /// The content of a row.
    ///
    /// # Errors
    /// `NewerVersion` by the first byte alone; `Damaged`, `TooLarge` or `Contradiction` if the bytes are
    /// not such as [`super::RowEncoder`] writes. The decoder stays usable.
    pub fn decode(&mut self, row: &[u8]) -> Result<RowBody, RowError> {
        let body = unpack(&mut self.decompressor, row)?;
        let mut reader = Reader { rest: &body };
        let decoded = read_body(&mut reader)?;
        if !reader.rest.is_empty() {
            return Err(damaged("bytes after the last text"));
        }
        Ok(decoded)
    }
}

impl std::fmt::Debug for RowDecoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The decompressor has none.
        formatter.debug_struct("RowDecoder").finish_non_exhaustive()
    }
}

fn unpack(decompressor: &mut Decompressor<'_>, row: &[u8]) -> Result<Vec<u8>, RowError> {
    let frame = match row.split_first() {
        None => return Err(damaged("no bytes")),
        Some((&ROW_VERSION, frame)) => frame,
        Some((0, _)) => return Err(damaged("version 0")),
        Some((&found, _)) => return Err(RowError::NewerVersion { found }),
    };
    let header = frame.strip_prefix(&FRAME_MAGIC).and_then(|rest| rest.first());
    let Some(header) = header else {
        return Err(damaged("no zstd frame"));
    };
    if header & FRAME_CHECKSUM == 0 {
        return Err(damaged("a frame without a checksum"));
    }
    let frame_bytes = zstd_safe::find_frame_compressed_size(frame)
        .map_err(|code| damaged_by("a broken frame", zstd_safe::get_error_name(code).into()))?;
    if frame_bytes != frame.len() {
        return Err(damaged("bytes after the frame"));
    }
    let body_bytes = zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten()
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| damaged("a frame without its content size"))?;
    within("bytes", body_bytes, ROW_BODY_BYTES_MAX)?;
    if body_bytes > frame.len().saturating_mul(FRAME_RATIO_MAX) {
        return Err(damaged("a frame that claims more than it can hold"));
    }
    let body =
        decompressor.decompress(frame, body_bytes).map_err(|error| damaged_by("a broken frame", error.into()))?;
    if body.len() != body_bytes {
        return Err(damaged("a frame of another size than it claims"));
    }
    Ok(body)
}

fn read_body(reader: &mut Reader<'_>) -> Result<RowBody, RowError> {
    let head_count = reader.count(HEAD_BYTES_MIN)?;
    within("heads", head_count, ROW_EVENTS_MAX)?;
    let heads = (0..head_count).map(|_| reader.head()).collect::<Result<Vec<_>, _>>()?;

    let event_count = reader.count(EVENT_BYTES_MIN)?;
    within("events", event_count, ROW_EVENTS_MAX)?;
    let numbers = (0..event_count).map(|_| reader.number_of_32_bits()).collect::<Result<Vec<_>, _>>()?;
    check_heads(&heads, numbers.iter().copied())?;

    let kinds = reader.take(event_count)?;
    let secrets = kinds.iter().map(|kind| reader.secret(*kind)).collect::<Result<Vec<_>, _>>()?;
    let lengths = (0..event_count).map(|_| reader.count(1)).collect::<Result<Vec<_>, _>>()?;

    let mut events = Vec::with_capacity(event_count);
    for ((head, secret), length) in numbers.into_iter().zip(secrets).zip(lengths) {
        events.push(RowEvent { head, secret, canonical: reader.take(length)?.to_vec() });
    }
    Ok(RowBody { heads, events })
}

/// What has not been read yet.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], RowError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(|| damaged("an early end"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RowError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| damaged("an early end"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, RowError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, RowError> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << shift;
            if shifted >> shift != bits {
                return Err(damaged("a number beyond 64 bits"));
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(damaged("a number that is longer than it need be"));
                }
                return Ok(number);
            }
        }
        Err(damaged("a number beyond 64 bits"))
    }

    fn number_of_32_bits(&mut self) -> Result<u32, RowError> {
        u32::try_from(self.number()?).map_err(|_| damaged("a number beyond 32 bits"))
    }

    /// A number of entries that take at least so many bytes each.
    fn count(&mut self, entry_bytes_min: usize) -> Result<usize, RowError> {
        let count = usize::try_from(self.number()?).ok();
        count
            .filter(|count| count.checked_mul(entry_bytes_min).is_some_and(|bytes| bytes <= self.rest.len()))
            .ok_or_else(|| damaged("a count beyond what is left"))
    }

    fn string(&mut self) -> Result<String, RowError> {
        let bytes = self.count(1)?;
        let text = std::str::from_utf8(self.take(bytes)?)
            .map_err(|error| damaged_by("a name that is not UTF-8", error.into()))?;
        Ok(text.to_owned())
    }

    fn head(&mut self) -> Result<HeadChange, RowError> {
        Ok(HeadChange {
            organization: self.string()?,
            first_index: self.number()?,
            count: self.number_of_32_bits()?,
            root: self.array()?,
        })
    }

    fn secret(&mut self, kind: u8) -> Result<Secret, RowError> {
        match kind {
            SECRET_SEED => Ok(Secret::Seed(self.array()?)),
            SECRET_ERASED => Ok(Secret::Erased { salts: self.named()?, commitments: self.named()? }),
            _ => Err(damaged("an unknown kind of secret")),
        }
    }

    fn named<const N: usize>(&mut self) -> Result<Vec<(String, [u8; N])>, RowError> {
        let count = self.count(1 + N)?;
        (0..count).map(|_| Ok((self.string()?, self.array()?))).collect()
    }
}

fn damaged(what: &'static str) -> RowError {
    RowError::Damaged { what, source: None }
}

fn damaged_by(what: &'static str, source: Cause) -> RowError {
    RowError::Damaged { what, source: Some(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expect: Option<u64>) {
        let mut reader = Reader { rest: bytes };
        let number = reader.number().ok().filter(|_| reader.rest.is_empty());
        assert_eq!(number, expect, "{bytes:02x?}");
    }

    #[test]
    fn a_number_has_one_form() {
        check(&[0x00], Some(0));
        check(&[0x7f], Some(127));
        check(&[0x80, 0x01], Some(128));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Some(u64::MAX));
        check(&[0x80, 0x00], None);
        check(&[0xff, 0x80, 0x00], None);
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], None);
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x00], None);
        check(&[0x80], None);
        check(&[], None);
    }
}

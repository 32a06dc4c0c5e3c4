//! How a page's content is written.
//!
//! A packed page is a codec, the content's size and a payload. To the byte, with all numbers
//! little-endian, for good; the last is known since version 2 of the format:
//!
//! | codec | byte | payload |
//! | --- | --- | --- |
//! | plain | 0 | the content |
//! | zstd | 1 | one zstd frame of the content |
//! | text | 2 | 4 bytes: how many bytes are random; those bytes, the content's last; one frame of the rest |
//! | numbers | 3 | 1 byte: how many columns; for each 1 byte; one frame of all columns' planes |
//! | prefixed | 4 | 2 bytes: the number of a prefix; then as text, the frame made after that prefix |
//!
//! A column's byte is the width of its numbers, 1, 2, 4 or 8, and 128 more where differences are
//! written: each number, wrapping in its width, less the one before it (the first: less 0), then turned
//! so that small ones of either sign are small (`d << 1`, all bits flipped where `d` was negative). A
//! column of n numbers has as many planes as the width has bytes: the n lowest bytes, then the n next
//! ones. The planes follow each other column by column.
//!
//! Frames carry no checksum, as where they lie has one for the whole page. A prefix is what zstd calls a
//! dictionary of raw content: the frame may repeat what is in it.
//!
//! **Invariant:** unpacking gives the content as it was packed, or an error; it never takes more memory
//! than [`RAW_BYTES_MAX`] for it, and what the prefix has, whatever the payload says.

use std::cell::RefCell;
use std::sync::Arc;

use zstd::bulk::Compressor;
use zstd::zstd_safe::DCtx;

use crate::SegmentError;
use crate::error::number;
use crate::page::{Column, Form, Packed};

/// The largest content of a page, in bytes: what one event of the largest size takes, with room.
pub(crate) const RAW_BYTES_MAX: usize = 1024 * 1024;
/// The largest payload, in bytes: as packed pages are smaller than plain ones, that of a plain one.
pub(crate) const PAYLOAD_BYTES_MAX: usize = RAW_BYTES_MAX;
/// The level for indexes and numbers.
const INDEX_LEVEL: i32 = 1;
/// The level for events in a file.
pub(crate) const TEXT_LEVEL: i32 = 1;
/// The level for events in memory, which are packed anew for a file some minutes later.
pub(crate) const MEMORY_TEXT_LEVEL: i32 = -3;
/// What must be saved for a page to be compressed: one part of so many.
const SAVED_PART: usize = 8;
/// The bit of a column's byte that says that differences are written.
const NEAR: u8 = 0x80;
/// What the number of a prefix takes at the begin of a payload, in bytes.
const PREFIX_NUMBER_BYTES: usize = 2;
const SHORT: &str = "its payload is cut off";

/// How a payload was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain,
    Zstd,
    Text,
    Numbers,
    Prefixed,
}

/// Packs pages, one after the other.
pub(crate) struct Packer {
    index: Compressor<'static>,
    text: Compressor<'static>,
    text_level: i32,
    /// The number of the prefix that texts are packed after.
    prefix: Option<u16>,
    /// The planes of the page at hand.
    planes: Vec<u8>,
    numbers: Vec<u64>,
    /// The payload in the making.
    payload: Vec<u8>,
}

/// What unpacks pages, one after the other; each thread has its own.
struct Unpacker {
    zstd: DCtx<'static>,
    /// The content in the making.
    raw: Vec<u8>,
    planes: Vec<u8>,
    numbers: Vec<u64>,
}

thread_local! {
    static UNPACKER: RefCell<Option<Unpacker>> = const { RefCell::new(None) };
}

impl Codec {
    /// Its byte.
    pub(crate) fn code(self) -> u8 {
        match self {
            Codec::Plain => 0,
            Codec::Zstd => 1,
            Codec::Text => 2,
            Codec::Numbers => 3,
            Codec::Prefixed => 4,
        }
    }

    /// The codec of a byte.
    pub(crate) fn of_code(code: u8) -> Option<Codec> {
        let all = [Codec::Plain, Codec::Zstd, Codec::Text, Codec::Numbers, Codec::Prefixed];
        all.into_iter().find(|codec| codec.code() == code)
    }
}

impl Packer {
    /// Packs texts at a level of zstd.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Compression`].
    pub(crate) fn new(text_level: i32) -> Result<Packer, SegmentError> {
        let compressor = |level| Compressor::new(level).map_err(|_| SegmentError::Compression);
        Ok(Packer {
            index: compressor(INDEX_LEVEL)?,
            text: compressor(text_level)?,
            text_level,
            prefix: None,
            planes: Vec::new(),
            numbers: Vec::new(),
            payload: Vec::new(),
        })
    }

    /// Packs texts after a prefix from here on; readers know it by its number.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Compression`].
    pub(crate) fn set_prefix(&mut self, number: u16, content: &[u8]) -> Result<(), SegmentError> {
        self.text.set_dictionary(self.text_level, content).map_err(|_| SegmentError::Compression)?;
        self.prefix = Some(number);
        Ok(())
    }

    /// Packs a page.
    ///
    /// # Errors
    ///
    /// As for [`Packer::pack_into`].
    pub(crate) fn pack(&mut self, raw: &[u8], form: Form) -> Result<Packed, SegmentError> {
        let (codec, payload) = self.pack_into(raw, form)?;
        Ok(Packed { codec, raw_bytes: number(raw.len(), "bytes of a page")?, payload: payload.into() })
    }

    /// Packs a page; the payload is good until the next one.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] beyond [`RAW_BYTES_MAX`], [`SegmentError::Compression`].
    pub(crate) fn pack_into<'p>(&'p mut self, raw: &'p [u8], form: Form) -> Result<(Codec, &'p [u8]), SegmentError> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(SegmentError::TooLarge { what: "bytes of a page", max: RAW_BYTES_MAX as u64 });
        }
        self.payload.clear();
        let codec = match form {
            Form::Plain => return Ok((Codec::Plain, raw)),
            Form::Index => {
                frame(&mut self.index, raw, &mut self.payload)?;
                Codec::Zstd
            }
            Form::Text { random_bytes } => {
                let (text, random) = raw.split_at(raw.len().saturating_sub(random_bytes));
                self.payload.extend(self.prefix.into_iter().flat_map(u16::to_le_bytes));
                self.payload.extend_from_slice(&number(random.len(), "bytes of a page")?.to_le_bytes());
                self.payload.extend_from_slice(random);
                frame(&mut self.text, text, &mut self.payload)?;
                if self.prefix.is_some() { Codec::Prefixed } else { Codec::Text }
            }
            Form::Numbers(columns) => {
                if !planes_of(raw, columns, &mut self.planes, &mut self.numbers) {
                    return Ok((Codec::Plain, raw));
                }
                self.payload.push(u8::try_from(columns.len()).unwrap_or(u8::MAX));
                self.payload.extend(columns.iter().map(column_code));
                frame(&mut self.index, &self.planes, &mut self.payload)?;
                Codec::Numbers
            }
        };
        let small = self.payload.len() <= raw.len() - raw.len() / SAVED_PART && self.payload.len() < raw.len();
        Ok(if small { (codec, &self.payload) } else { (Codec::Plain, raw) })
    }
}

impl Packed {
    /// The same page where the numbers of prefixes begin later by so many; `None` if it was packed after none.
    pub(crate) fn prefixed_from(&self, begin: u16) -> Option<Packed> {
        let number = prefix_of(self.codec, &self.payload).ok()??.checked_add(begin)?;
        let rest = self.payload.get(PREFIX_NUMBER_BYTES..)?;
        let payload = number.to_le_bytes().iter().chain(rest).copied().collect();
        Some(Packed { payload, ..self.clone() })
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Packer").finish_non_exhaustive()
    }
}

/// The number of the prefix that a payload was packed after, if it was.
///
/// # Errors
///
/// What is wrong with the payload.
pub(crate) fn prefix_of(codec: Codec, payload: &[u8]) -> Result<Option<u16>, &'static str> {
    if codec != Codec::Prefixed {
        return Ok(None);
    }
    payload.first_chunk().map(|number| Some(u16::from_le_bytes(*number))).ok_or(SHORT)
}

/// Unpacks a page, with the prefix that it was packed after, if it was.
///
/// # Errors
///
/// What is wrong with the payload.
pub(crate) fn unpack(
    codec: Codec,
    raw_bytes: u32,
    payload: &[u8],
    prefix: Option<&[u8]>,
) -> Result<Arc<[u8]>, &'static str> {
    let raw_bytes = raw_bytes as usize;
    if raw_bytes > RAW_BYTES_MAX {
        return Err("it says that it is larger than any page");
    }
    if codec == Codec::Plain {
        return if payload.len() == raw_bytes { Ok(payload.into()) } else { Err("its length differs") };
    }
    UNPACKER.with_borrow_mut(|unpacker| {
        if unpacker.is_none() {
            let zstd = DCtx::try_create().ok_or("there is no memory to decompress it")?;
            *unpacker = Some(Unpacker { zstd, raw: Vec::new(), planes: Vec::new(), numbers: Vec::new() });
        }
        let unpacker = unpacker.as_mut().ok_or("there is no memory to decompress it")?;
        Ok(unpacker.unpack(codec, raw_bytes, payload, prefix)?.into())
    })
}

/// The columns of a payload of numbers.
fn columns_of(payload: &[u8]) -> Option<(Vec<Column>, &[u8])> {
    let (count, rest) = payload.split_first()?;
    let (codes, frame) = rest.split_at_checked(usize::from(*count))?;
    let columns = codes.iter().map(|code| Column { width: code & !NEAR, near: code & NEAR != 0 }).collect();
    Some((columns, frame))
}

impl Unpacker {
    fn unpack(
        &mut self,
        codec: Codec,
        raw_bytes: usize,
        payload: &[u8],
        prefix: Option<&[u8]>,
    ) -> Result<&[u8], &'static str> {
        let Unpacker { zstd, raw, planes, numbers } = self;
        match codec {
            Codec::Plain | Codec::Zstd => unframe(zstd, payload, &[], raw_bytes, raw)?,
            Codec::Text => untext(zstd, payload, &[], raw_bytes, raw)?,
            Codec::Prefixed => {
                let prefix = prefix.ok_or("the prefix that it was packed after is missing")?;
                let text = payload.get(PREFIX_NUMBER_BYTES..).ok_or(SHORT)?;
                untext(zstd, text, prefix, raw_bytes, raw)?;
                return raw.get(prefix.len()..).ok_or(SHORT);
            }
            Codec::Numbers => {
                let (columns, frame) = columns_of(payload).ok_or(SHORT)?;
                unframe(zstd, frame, &[], raw_bytes, planes)?;
                if !numbers_of(planes, &columns, raw, numbers) {
                    return Err("its columns do not fill it");
                }
            }
        }
        Ok(raw)
    }
}

/// Makes `out` a prefix and the content of a payload of text, which has so many bytes.
fn untext(zstd: &mut DCtx, payload: &[u8], prefix: &[u8], bytes: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let (random_bytes, rest) = payload.split_first_chunk().ok_or(SHORT)?;
    let (random, frame) = rest.split_at_checked(u32::from_le_bytes(*random_bytes) as usize).ok_or(SHORT)?;
    let text_bytes = bytes.checked_sub(random.len()).ok_or("its length differs")?;
    unframe(zstd, frame, prefix, text_bytes, out)?;
    out.extend_from_slice(random);
    Ok(())
}

/// Appends a frame.
fn frame(zstd: &mut Compressor, content: &[u8], out: &mut Vec<u8>) -> Result<(), SegmentError> {
    out.reserve(zstd::zstd_safe::compress_bound(content.len()));
    let mut end = std::io::Cursor::new(out);
    end.set_position(end.get_ref().len() as u64);
    zstd.compress_to_buffer(content, &mut end).map(|_| ()).map_err(|_| SegmentError::Compression)
}

/// Makes `out` a prefix and the content of the frame made after it, which has exactly so many bytes. Where
/// the one lies right before the other, zstd copies from both the fast way.
fn unframe(zstd: &mut DCtx, frame: &[u8], prefix: &[u8], bytes: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.clear();
    out.extend_from_slice(prefix);
    out.resize(prefix.len() + bytes, 0);
    let (prefix, content) = out.split_at_mut(prefix.len());
    match zstd.decompress_using_dict(content, frame, prefix) {
        Ok(written) if written == bytes => Ok(()),
        Ok(_) => Err("its length differs"),
        Err(_) => Err("it does not decompress"),
    }
}

fn column_code(column: &Column) -> u8 {
    column.width | if column.near { NEAR } else { 0 }
}

/// How many numbers each of some columns has, if they fill the content exactly.
fn rows_of(bytes: usize, columns: &[Column]) -> Option<usize> {
    let known = columns.iter().all(|column| matches!(column.width, 1 | 2 | 4 | 8));
    let row_bytes: usize = columns.iter().map(|column| usize::from(column.width)).sum();
    (known && row_bytes > 0 && columns.len() <= usize::from(u8::MAX) && bytes.is_multiple_of(row_bytes))
        .then(|| bytes / row_bytes)
}

/// Makes `out` the planes of some columns; whether they are such columns.
fn planes_of(raw: &[u8], columns: &[Column], out: &mut Vec<u8>, numbers: &mut Vec<u64>) -> bool {
    let Some(rows) = rows_of(raw.len(), columns) else { return false };
    out.clear();
    let mut from = raw;
    for column in columns {
        let width = usize::from(column.width);
        let (bytes, rest) = from.split_at(rows * width);
        from = rest;
        numbers.clear();
        numbers.extend(bytes.chunks_exact(width).map(widened));
        if column.near {
            let mut before = 0;
            for number in numbers.iter_mut() {
                let difference = number.wrapping_sub(before);
                before = std::mem::replace(number, turned(difference, width));
            }
        }
        for plane in 0..width {
            out.extend(numbers.iter().map(|number| lowest(number >> (8 * plane))));
        }
    }
    true
}

/// Makes `out` the numbers of some columns' planes; whether they are such columns.
fn numbers_of(planes: &[u8], columns: &[Column], out: &mut Vec<u8>, numbers: &mut Vec<u64>) -> bool {
    let Some(rows) = rows_of(planes.len(), columns) else { return false };
    out.clear();
    out.resize(planes.len(), 0);
    let (mut from, mut to) = (planes, out.as_mut_slice());
    for column in columns {
        let width = usize::from(column.width);
        let (planes, rest) = from.split_at(rows * width);
        let (bytes, rest_to) = std::mem::take(&mut to).split_at_mut(rows * width);
        (from, to) = (rest, rest_to);
        numbers.clear();
        numbers.resize(rows, 0);
        for (plane, bytes) in planes.chunks_exact(rows.max(1)).enumerate() {
            for (number, byte) in numbers.iter_mut().zip(bytes) {
                *number |= u64::from(*byte) << (8 * plane);
            }
        }
        if column.near {
            let mut before = 0_u64;
            for number in numbers.iter_mut() {
                before = before.wrapping_add(turned_back(*number));
                *number = before;
            }
        }
        match width {
            1 => narrow::<1>(numbers, bytes),
            2 => narrow::<2>(numbers, bytes),
            4 => narrow::<4>(numbers, bytes),
            _ => narrow::<8>(numbers, bytes),
        }
    }
    true
}

/// Writes the lowest bytes of numbers. The width is known when this is compiled, so that it takes a
/// fraction of the time.
fn narrow<const WIDTH: usize>(numbers: &[u64], out: &mut [u8]) {
    for (number, bytes) in numbers.iter().zip(out.as_chunks_mut::<WIDTH>().0) {
        if let Some(lowest) = number.to_le_bytes().first_chunk() {
            *bytes = *lowest;
        }
    }
}

fn lowest(number: u64) -> u8 {
    let [lowest, ..] = number.to_le_bytes();
    lowest
}

/// A number of up to eight bytes.
pub(crate) fn widened(bytes: &[u8]) -> u64 {
    if let Ok(bytes) = bytes.try_into() {
        return u64::from_le_bytes(bytes);
    }
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A difference that wraps in so many bytes, turned so that it is small if it is near 0.
fn turned(difference: u64, width: usize) -> u64 {
    let unused = 64 - 8 * width;
    let signed = (difference << unused).cast_signed() >> unused;
    (signed << 1 ^ signed >> 63).cast_unsigned()
}

/// The difference that was turned.
fn turned_back(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests;

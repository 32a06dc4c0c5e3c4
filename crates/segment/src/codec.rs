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
//! than [`RAW_BYTES_MAX`] for it, whatever the payload says.

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
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn packed(raw: &[u8], form: Form) -> Packed {
        Packer::new(TEXT_LEVEL).expect("memory").pack(raw, form).expect("small")
    }

    fn back(page: &Packed) -> Vec<u8> {
        unpack(page.codec, page.raw_bytes, &page.payload, None).expect("whole").to_vec()
    }

    /// Bytes that compress well, with some that don't.
    fn bytes(length: usize, random_bytes: usize) -> Vec<u8> {
        let text = (0..length).map(|at| b"resource.update "[at * at % 16]);
        let mut state = 0x9e37_79b9_u32;
        let random = (0..random_bytes).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        });
        text.chain(random).collect()
    }

    fn column() -> impl Strategy<Value = Column> {
        (prop::sample::select(vec![1, 2, 4, 8]), any::<bool>()).prop_map(|(width, near)| Column { width, near })
    }

    proptest! {
        #[test]
        fn every_page_comes_back_in_every_form(
            raw in vec(prop_oneof![Just(0_u8), Just(7), any::<u8>()], 0..3_000),
            random_bytes in 0_usize..4_000,
            columns in vec(column(), 0..5),
        ) {
            for form in [Form::Plain, Form::Index, Form::Text { random_bytes }, Form::Numbers(&columns)] {
                let page = packed(&raw, form);
                prop_assert_eq!(back(&page), raw.clone());
                prop_assert!(page.payload.len() <= raw.len());
            }
        }

        #[test]
        fn texts_come_back_with_their_prefix_and_no_other_way(
            prefix in vec(any::<u8>(), 64..3_000), from in any::<prop::sample::Index>(), number: u16, begin in 0_u16..9,
        ) {
            let raw = [&prefix[from.index(prefix.len() - 40)..], &[7; 100], b"salt"].concat();
            let mut packer = Packer::new(TEXT_LEVEL).expect("memory");
            packer.set_prefix(number, &prefix).expect("memory");
            let page = packer.pack(&raw, Form::Text { random_bytes: 4 }).expect("small");
            prop_assert_eq!(page.codec, Codec::Prefixed);
            prop_assert_eq!(prefix_of(page.codec, &page.payload), Ok(Some(number)));
            prop_assert!(page.payload.len() < 100, "{}", page.payload.len());
            let back = |page: &Packed, prefix| unpack(page.codec, page.raw_bytes, &page.payload, prefix);
            prop_assert_eq!(back(&page, Some(&prefix)), Ok(raw.as_slice().into()));
            prop_assert_eq!(back(&page, None), Err("the prefix that it was packed after is missing"));
            match page.prefixed_from(begin) {
                Some(moved) => {
                    prop_assert_eq!(prefix_of(moved.codec, &moved.payload), Ok(Some(number + begin)));
                    prop_assert_eq!(back(&moved, Some(&prefix)), Ok(raw.as_slice().into()));
                }
                None => prop_assert!(number.checked_add(begin).is_none()),
            }
        }

        #[test]
        fn columns_come_back_whatever_their_numbers(columns in vec(column(), 1..5), rows in 0_usize..600, step in any::<u64>()) {
            let mut raw = Vec::new();
            for column in &columns {
                for row in 0..rows as u64 {
                    // Far apart, near, and wrapping round.
                    let number = if row % 7 == 0 { row.wrapping_mul(step) } else { step.wrapping_add(row) };
                    raw.extend_from_slice(&number.to_le_bytes()[..usize::from(column.width)]);
                }
            }
            prop_assert_eq!(back(&packed(&raw, Form::Numbers(&columns))), raw);
        }

        #[test]
        fn a_payload_of_any_bytes_never_panics(
            code in 0_u8..6,
            prefix in prop::option::of(vec(any::<u8>(), 0..100)),
            raw_bytes in prop_oneof![0_u32..5_000, any::<u32>()],
            payload in vec(any::<u8>(), 0..300),
        ) {
            if let Some(codec) = Codec::of_code(code) {
                let raw = unpack(codec, raw_bytes, &payload, prefix.as_deref());
                prop_assert!(raw.is_err() || raw.is_ok_and(|raw| raw.len() == raw_bytes as usize));
            }
        }

        #[test]
        fn a_damaged_payload_never_panics(form in 0..3, at in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<bool>()) {
            let raw: Vec<u8> = (0_u64..900).flat_map(|n| (n * 5).to_le_bytes()).collect();
            let columns = [Column { width: 8, near: true }];
            let form = [Form::Index, Form::Text { random_bytes: 40 }, Form::Numbers(&columns)][usize::try_from(form).expect("small")];
            let page = packed(&raw, form);
            let mut payload = page.payload.to_vec();
            let at = at.index(payload.len());
            if cut { payload.truncate(at) } else { payload[at] ^= flip }
            let damaged = unpack(page.codec, page.raw_bytes, &payload, None);
            prop_assert!(damaged.is_err() || damaged.is_ok_and(|damaged| damaged.len() == raw.len()));
        }
    }

    #[test]
    fn what_hardly_gets_smaller_stays_as_it_is() {
        let raw = bytes(200, 4_000);
        for form in [Form::Index, Form::Text { random_bytes: 0 }, Form::Numbers(&[Column { width: 4, near: true }])] {
            assert_eq!(packed(&raw, form).codec, Codec::Plain);
        }
        let raw = bytes(8_000, 1_000);
        for (form, codec) in [
            (Form::Plain, Codec::Plain),
            (Form::Index, Codec::Zstd),
            (Form::Text { random_bytes: 1_000 }, Codec::Text),
            (Form::Numbers(&[Column { width: 1, near: false }]), Codec::Numbers),
        ] {
            assert_eq!(packed(&raw, form).codec, codec);
        }
    }

    #[test]
    fn no_page_is_larger_than_the_largest() {
        let raw = vec![0; RAW_BYTES_MAX + 1];
        let mut packer = Packer::new(TEXT_LEVEL).expect("memory");
        let error = packer.pack(&raw, Form::Plain).expect_err("too large");
        assert_eq!(error.to_string(), "a segment takes at most 1048576 bytes of a page: build several smaller ones");
        let page = packer.pack(&raw[1..], Form::Index).expect("the largest");
        assert_eq!(back(&page), raw[1..]);
        let larger = unpack(Codec::Zstd, page.raw_bytes + 1, &page.payload, None);
        assert_eq!(larger, Err("it says that it is larger than any page"));
        assert_eq!(unpack(Codec::Zstd, page.raw_bytes - 1, &page.payload, None), Err("it does not decompress"));
    }

    #[test]
    fn the_bytes_of_each_codec_stay_what_they_are() {
        assert_eq!([0, 1, 2, 3, 4].map(|code| Codec::of_code(code).map(Codec::code)), [0, 1, 2, 3, 4].map(Some));
        assert_eq!(Codec::of_code(5), None);
        let text = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 25, 0, 0, b'a', b'b', b'c'];
        let payload = [&[2, 0, 0, 0, b'y', b'z'], text.as_slice()].concat();
        assert_eq!(unpack(Codec::Text, 5, &payload, None), Ok(b"abcyz".as_slice().into()));
        let payload = [&[7, 0], payload.as_slice()].concat();
        assert_eq!(prefix_of(Codec::Prefixed, &payload), Ok(Some(7)));
        assert_eq!(unpack(Codec::Prefixed, 5, &payload, Some(b"any prefix")), Ok(b"abcyz".as_slice().into()));
        assert_eq!(unpack(Codec::Zstd, 3, &text, None), Ok(b"abc".as_slice().into()));
        // 300, 299, 301 as differences of two bytes, then 1, 2, 3 as they are.
        let planes = [0x58, 1, 4, 2, 0, 0, 1, 2, 3];
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 9, 73, 0, 0], planes.as_slice()].concat();
        let payload = [&[2, 0x82, 1], frame.as_slice()].concat();
        assert_eq!(unpack(Codec::Numbers, 9, &payload, None), Ok([44, 1, 43, 1, 45, 1, 1, 2, 3].as_slice().into()));
    }

    #[test]
    fn a_column_of_times_takes_a_part_of_its_bytes() {
        let raw: Vec<u8> = (0_u64..8_192).flat_map(|n| (n * 1_000 + n % 7).to_le_bytes()).collect();
        let page = packed(&raw, Form::Numbers(&[Column { width: 8, near: true }]));
        assert!(page.payload.len() * 20 < raw.len(), "{}", page.payload.len());
    }
}

//! A segment's pages in a file, or whatever else is written once from front to back and read by
//! ranges.
//!
//! # Format
//!
//! Version 2, to the byte; all numbers little-endian. In version 1 there are no prefixes and no
//! digest, all else is the same:
//!
//! ```text
//! file    = header, block…, footer block, trailer
//! header  = "ANNALSEG" (8), version (4), zeros (4), seed (8), checksum (8)
//! block   = codec (1), content's bytes (4), payload, checksum (8)      payload: see the codec's module
//! trailer = footer's offset (8), its block's bytes (4), version (4), its checksum (8), checksum (8), "ANNALSEG" (8)
//! ```
//!
//! A checksum is the xxh3 hash, of 64 bits, of what comes before it in its header, block or trailer. In
//! the header its seed is 0, elsewhere the segment's seed, each bit flipped that is set in the product
//! of [`OFFSET_FACTOR`] and the offset of what it is of, which wraps at 64 bits: so a block of another
//! segment, or from another place in this one, is damage. The segment's seed is any number that other
//! segments are unlikely to have.
//!
//! Every version begins with such a header, so that a newer one is told from a damaged one.
//!
//! **Invariant:** what is read is what was written at that place, or an error: no bit of the file is
//! without a checksum.

use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::codec::{Codec, PAYLOAD_BYTES_MAX, Packer, TEXT_LEVEL, prefix_of, unpack};
use crate::error::{ANY_PAGE, Cause, SegmentError, number};
use crate::page::{Form, Packed, PageRef, Prefixes, Sink, Source};

/// The version of the format that is written, and the newest one that is read.
const SEGMENT_VERSION: u32 = 2;
/// What a segment begins and ends with.
const MAGIC: [u8; 8] = *b"ANNALSEG";
const HEADER_BYTES: u32 = 32;
const TRAILER_BYTES: u32 = 40;
/// What a block takes besides its payload, in bytes.
const BLOCK_HEAD_BYTES: usize = 5;
const CHECKSUM_BYTES: usize = 8;
/// The largest block, in bytes.
const BLOCK_BYTES_MAX: usize = BLOCK_HEAD_BYTES + PAYLOAD_BYTES_MAX + CHECKSUM_BYTES;
/// Makes a seed of an offset. It is odd, so that different offsets give different ones.
const OFFSET_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// How much is gathered before it is written, in bytes.
const WRITE_BYTES: usize = 1024 * 1024;
/// How much of the end is read at first, in bytes: more than most footers.
const END_BYTES: u64 = 64 * 1024;

/// Writes a segment.
pub struct FileWriter<W> {
    write: W,
    seed: u64,
    packer: Packer,
    /// What was handed to `write`, in bytes.
    written: u64,
    waiting: Vec<u8>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The length of the file.
    pub bytes: u64,
    /// Where the footer lies.
    pub footer: PageRef,
    /// The checksum of the footer, which two segments are unlikely to share.
    pub checksum: u64,
}

/// Gives ranges of bytes of a segment.
pub trait Bytes: Send + Sync {
    /// The bytes of a range.
    ///
    /// # Errors
    ///
    /// Why they can't be had now.
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Cause>;
}

/// Reads the pages of a segment, each anew.
#[derive(Debug)]
pub(crate) struct FileSource<B> {
    bytes: B,
    seed: u64,
    /// Where blocks may lie.
    blocks: Range<u64>,
    /// The checksum of the footer.
    footer_checksum: u64,
}

impl<W> std::fmt::Debug for FileWriter<W> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("FileWriter").field("seed", &self.seed).field("written", &self.written).finish_non_exhaustive()
    }
}

impl<W: FnMut(&[u8]) -> Result<(), Cause>> FileWriter<W> {
    /// Begins a segment. What it is written with is handed pieces of about 1 MiB, in order.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Compression`].
    pub fn new(write: W, seed: u64) -> Result<FileWriter<W>, SegmentError> {
        let mut waiting = Vec::with_capacity(WRITE_BYTES + BLOCK_BYTES_MAX / 8);
        waiting.extend_from_slice(&MAGIC);
        waiting.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
        waiting.extend_from_slice(&[0; 4]);
        waiting.extend_from_slice(&seed.to_le_bytes());
        waiting.extend_from_slice(&xxh3_64_with_seed(&waiting, 0).to_le_bytes());
        Ok(FileWriter { write, seed, packer: Packer::new(TEXT_LEVEL)?, written: 0, waiting })
    }

    /// Ends the segment with its footer.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`], [`SegmentError::Compression`], or [`SegmentError::Unwritable`].
    pub fn finish(mut self, footer: &[u8]) -> Result<Written, SegmentError> {
        let footer = self.page(footer, Form::Index)?;
        let checksum = self.waiting.last_chunk().map_or(0, |checksum| u64::from_le_bytes(*checksum));
        let offset = self.bytes();
        let begin = self.waiting.len();
        self.waiting.extend_from_slice(&footer.offset.to_le_bytes());
        self.waiting.extend_from_slice(&footer.stored_bytes.to_le_bytes());
        self.waiting.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
        self.waiting.extend_from_slice(&checksum.to_le_bytes());
        let trailer = self.waiting.get(begin..).map_or(0, |before| checksum_of(before, self.seed, offset));
        self.waiting.extend_from_slice(&trailer.to_le_bytes());
        self.waiting.extend_from_slice(&MAGIC);
        self.flush()?;
        Ok(Written { bytes: self.bytes(), footer, checksum })
    }

    /// The length of the file so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    fn flush(&mut self) -> Result<(), SegmentError> {
        (self.write)(&self.waiting).map_err(|source| SegmentError::Unwritable { source })?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Makes room for a block.
    fn settle(&mut self) -> Result<(), SegmentError> {
        if self.waiting.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }
}

impl<W: FnMut(&[u8]) -> Result<(), Cause>> Sink for FileWriter<W> {
    fn page(&mut self, raw: &[u8], form: Form) -> Result<PageRef, SegmentError> {
        self.settle()?;
        let offset = self.bytes();
        let (codec, payload) = self.packer.pack_into(raw, form)?;
        put_block(&mut self.waiting, codec, number(raw.len(), "bytes of a page")?, payload, self.seed, offset)
    }

    fn takes_prefixes(&self) -> bool {
        true
    }

    fn set_prefix(&mut self, number: u16, content: &[u8]) -> Result<(), SegmentError> {
        self.packer.set_prefix(number, content)
    }

    fn adopt(&mut self, page: &Packed) -> Result<PageRef, SegmentError> {
        self.settle()?;
        let offset = self.bytes();
        put_block(&mut self.waiting, page.codec, page.raw_bytes, &page.payload, self.seed, offset)
    }
}

impl<B: Bytes> FileSource<B> {
    /// Opens a segment of so many bytes; with it comes its footer.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`], [`SegmentError::NewerVersion`], or [`SegmentError::Unreadable`].
    pub(crate) fn open(bytes: B, length: u64) -> Result<(FileSource<B>, Vec<u8>), SegmentError> {
        let at = PageRef { offset: 0, stored_bytes: HEADER_BYTES };
        let trailer_at = length.checked_sub(TRAILER_BYTES.into()).filter(|at| *at >= HEADER_BYTES.into());
        let trailer_at = trailer_at.ok_or(SegmentError::corrupt("the header", at, "there is not even room for it"))?;
        let header = read(&bytes, "the header", 0..u64::from(HEADER_BYTES))?;
        let (version, seed) = check_header(&header)?;
        let end_at = length.saturating_sub(END_BYTES).max(HEADER_BYTES.into());
        let end = read(&bytes, "the trailer", end_at..length)?;
        let (footer, checksum) = check_trailer(&end, version, seed, trailer_at)?;
        let blocks = u64::from(HEADER_BYTES)..trailer_at;
        let source = FileSource { bytes, seed, blocks, footer_checksum: checksum };
        let range = source.range(footer).map_err(|error| error.in_section("the footer"))?;
        let had = usize::try_from(range.start.wrapping_sub(end_at)).ok().and_then(|from| end.get(from..));
        let block = match had.and_then(|block| block.get(..footer.stored_bytes as usize)) {
            Some(block) => block.to_vec(),
            None => read(&source.bytes, "the footer", range)?,
        };
        let damaged = |what| SegmentError::corrupt("the footer", footer, what);
        let (codec, raw_bytes, payload) = check_block(&block, seed, footer.offset).map_err(damaged)?;
        if block.last_chunk() != Some(&checksum.to_le_bytes()) {
            return Err(damaged("its checksum differs from the trailer's"));
        }
        let raw = unpack(codec, raw_bytes, payload, None).map_err(damaged)?;
        Ok((source, raw.to_vec()))
    }

    /// The checksum of the footer, as [`Written::checksum`] told it.
    pub(crate) fn footer_checksum(&self) -> u64 {
        self.footer_checksum
    }

    /// Where a block lies, if it can.
    fn range(&self, at: PageRef) -> Result<Range<u64>, SegmentError> {
        let end = at.offset.checked_add(at.stored_bytes.into());
        let end = end.filter(|end| at.offset >= self.blocks.start && *end <= self.blocks.end);
        let end = end.filter(|_| at.stored_bytes as usize <= BLOCK_BYTES_MAX);
        let end = end.ok_or(SegmentError::corrupt(ANY_PAGE, at, "the segment has no such place"))?;
        Ok(at.offset..end)
    }
}

impl<B: Bytes> Source for FileSource<B> {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        let block = read(&self.bytes, ANY_PAGE, self.range(at)?)?;
        let raw = check_block(&block, self.seed, at.offset)
            .and_then(|(codec, raw, payload)| unpack(codec, raw, payload, None));
        raw.map_err(|what| SegmentError::corrupt(ANY_PAGE, at, what))
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        let block = read(&self.bytes, ANY_PAGE, self.range(at)?)?;
        let damaged = |what| SegmentError::corrupt(ANY_PAGE, at, what);
        let (codec, raw_bytes, payload) = check_block(&block, self.seed, at.offset).map_err(damaged)?;
        let number = prefix_of(codec, payload).map_err(damaged)?;
        let prefix = number.map(prefix).transpose()?;
        unpack(codec, raw_bytes, payload, prefix.as_deref()).map_err(damaged)
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        let block = read(&self.bytes, ANY_PAGE, self.range(at)?)?;
        let (codec, raw_bytes, payload) =
            check_block(&block, self.seed, at.offset).map_err(|what| SegmentError::corrupt(ANY_PAGE, at, what))?;
        Ok(Packed { codec, raw_bytes, payload: payload.into() })
    }
}

fn checksum_of(bytes: &[u8], seed: u64, offset: u64) -> u64 {
    xxh3_64_with_seed(bytes, seed ^ offset.wrapping_mul(OFFSET_FACTOR))
}

fn put_block(
    out: &mut Vec<u8>,
    codec: Codec,
    raw_bytes: u32,
    payload: &[u8],
    seed: u64,
    offset: u64,
) -> Result<PageRef, SegmentError> {
    let begin = out.len();
    out.push(codec.code());
    out.extend_from_slice(&raw_bytes.to_le_bytes());
    out.extend_from_slice(payload);
    let checksum = out.get(begin..).map_or(0, |block| checksum_of(block, seed, offset));
    out.extend_from_slice(&checksum.to_le_bytes());
    Ok(PageRef { offset, stored_bytes: number(out.len() - begin, "bytes of a page")? })
}

/// A block's codec, its content's size and its payload, if it is what was written.
fn check_block(block: &[u8], seed: u64, offset: u64) -> Result<(Codec, u32, &[u8]), &'static str> {
    const SHORT: &str = "it is too short";
    let (before, checksum) = block.split_last_chunk().ok_or(SHORT)?;
    if u64::from_le_bytes(*checksum) != checksum_of(before, seed, offset) {
        return Err("its checksum differs");
    }
    let (code, rest) = before.split_first().ok_or(SHORT)?;
    let (raw_bytes, payload) = rest.split_first_chunk().ok_or(SHORT)?;
    let codec = Codec::of_code(*code).ok_or("its codec is none that is known")?;
    Ok((codec, u32::from_le_bytes(*raw_bytes), payload))
}

/// The segment's version and seed.
fn check_header(header: &[u8]) -> Result<(u32, u64), SegmentError> {
    let at = PageRef { offset: 0, stored_bytes: HEADER_BYTES };
    let damaged = |what| SegmentError::corrupt("the header", at, what);
    let whole = header.split_last_chunk().filter(|(before, checksum)| {
        before.starts_with(&MAGIC) && u64::from_le_bytes(**checksum) == xxh3_64_with_seed(before, 0)
    });
    let (before, _) = whole.ok_or(damaged("it is not a segment's, or its checksum differs"))?;
    let fields = before.get(MAGIC.len()..).and_then(|fields| fields.split_first_chunk());
    let (version, rest) = fields.ok_or(damaged("it is too short"))?;
    let seed = rest.last_chunk().ok_or(damaged("it is too short"))?;
    match u32::from_le_bytes(*version) {
        version @ 1..=SEGMENT_VERSION => Ok((version, u64::from_le_bytes(*seed))),
        0 => Err(damaged("there is no such version")),
        found => Err(SegmentError::NewerVersion { found, known: SEGMENT_VERSION }),
    }
}

/// Where the footer lies, and its checksum.
fn check_trailer(end: &[u8], version: u32, seed: u64, offset: u64) -> Result<(PageRef, u64), SegmentError> {
    let at = PageRef { offset, stored_bytes: TRAILER_BYTES };
    let damaged = |what| SegmentError::corrupt("the trailer", at, what);
    let trailer = end.last_chunk::<{ TRAILER_BYTES as usize }>().ok_or(damaged("it is too short"))?;
    let whole = trailer.strip_suffix(&MAGIC).and_then(<[u8]>::split_last_chunk);
    let whole = whole.filter(|(before, checksum)| u64::from_le_bytes(**checksum) == checksum_of(before, seed, offset));
    let (before, _) = whole.ok_or(damaged("the segment is cut off, or its checksum differs"))?;
    let fields = before.split_first_chunk().and_then(|(offset, rest)| {
        let (stored, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        Some((offset, stored, u32::from_le_bytes(*version), rest.first_chunk()?))
    });
    match fields {
        Some((offset, stored, found, checksum)) if found == version => {
            let footer = PageRef { offset: u64::from_le_bytes(*offset), stored_bytes: u32::from_le_bytes(*stored) };
            Ok((footer, u64::from_le_bytes(*checksum)))
        }
        _ => Err(damaged("its version differs from the header's")),
    }
}

fn read(bytes: &impl Bytes, section: &'static str, range: Range<u64>) -> Result<Vec<u8>, SegmentError> {
    let length = range.end - range.start;
    let at = PageRef { offset: range.start, stored_bytes: u32::try_from(length).unwrap_or(u32::MAX) };
    let read = bytes.read(range).map_err(|source| SegmentError::Unreadable { source })?;
    if read.len() as u64 == length {
        Ok(read)
    } else {
        Err(SegmentError::corrupt(section, at, "the file is too short"))
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::testing::file;
    use super::*;
    use crate::page::Column;

    fn pages(sink: &mut dyn Sink) -> Vec<PageRef> {
        let raw: Vec<u8> = (0_u32..300).flat_map(u32::to_le_bytes).collect();
        let columns = [Column { width: 4, near: true }];
        let forms = [Form::Plain, Form::Index, Form::Text { random_bytes: 20 }, Form::Numbers(&columns)];
        forms.iter().map(|form| sink.page(&raw[..400], *form).expect("small")).collect()
    }

    /// Reads all there is of a file.
    fn read_all(bytes: &[u8], pages: &[PageRef]) -> Result<Vec<Vec<u8>>, SegmentError> {
        let (source, footer) = FileSource::open(Arc::<[u8]>::from(bytes), bytes.len() as u64)?;
        let mut all = vec![footer];
        for at in pages {
            all.push(source.page(*at)?.to_vec());
            source.packed(*at)?;
        }
        Ok(all)
    }

    #[test]
    fn any_flipped_bit_is_damage_that_says_where_it_is() {
        let (pages, bytes, written) = file(pages, b"what a footer says, which has to come back whole");
        assert_eq!(written.bytes, bytes.len() as u64);
        let whole = read_all(&bytes, &pages).expect("whole");
        assert_eq!(whole.len(), 5);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                match read_all(&damaged, &pages) {
                    Err(SegmentError::Corrupt { page, .. }) => {
                        let place = page.offset..page.offset + u64::from(page.stored_bytes);
                        assert!(place.contains(&(at as u64)), "bit {bit} of byte {at} was found at {place:?}");
                    }
                    other => panic!("bit {bit} of byte {at}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_off_or_goes_on_is_damage() {
        let (pages, bytes, _) = file(pages, b"footer");
        for length in 0..bytes.len() {
            let error = read_all(&bytes[..length], &pages).expect_err("cut off");
            assert!(matches!(error, SegmentError::Corrupt { .. }), "{length}: {error}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(read_all(&longer, &pages), Err(SegmentError::Corrupt { .. })));
        let end = bytes.len() as u64;
        let (source, _) = FileSource::open(Arc::<[u8]>::from(bytes), end).expect("whole");
        for (offset, stored_bytes) in [(0, 20), (32, u32::MAX), (u64::MAX, 20), (end - 40, 1), (32, 0)] {
            let error = source.page(PageRef { offset, stored_bytes }).expect_err("no such place");
            assert!(matches!(error, SegmentError::Corrupt { .. }), "{error}");
        }
    }

    #[test]
    fn a_page_of_another_place_or_another_segment_is_damage() {
        let raw = [7; 100];
        let two = |sink: &mut dyn Sink| [(); 2].map(|()| sink.page(&raw, Form::Plain).expect("small"));
        let ([first, second], bytes, _) = file(two, b"footer");
        let range = |at: PageRef| {
            let from = usize::try_from(at.offset).expect("small");
            from..from + at.stored_bytes as usize
        };
        let mut moved = bytes.clone();
        moved.copy_within(range(first), range(second).start);
        assert!(read_all(&moved, &[first]).is_ok());
        assert!(matches!(read_all(&moved, &[second]), Err(SegmentError::Corrupt { page, .. }) if page == second));

        let mut other = Vec::new();
        let write = |part: &[u8]| {
            other.extend_from_slice(part);
            Ok(())
        };
        let mut writer = FileWriter::new(write, 0x5eee).expect("memory");
        assert_eq!(two(&mut writer), [first, second]);
        writer.finish(b"footer").expect("memory");
        other[range(first)].copy_from_slice(&bytes[range(first)]);
        assert!(read_all(&other, &[second]).is_ok());
        assert!(matches!(read_all(&other, &[first]), Err(SegmentError::Corrupt { page, .. }) if page == first));
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let (_, mut bytes, _) = file(pages, b"footer");
        bytes[8] = 3;
        let checksum = xxh3_64_with_seed(&bytes[..24], 0);
        bytes[24..32].copy_from_slice(&checksum.to_le_bytes());
        let error = read_all(&bytes, &[]).expect_err("newer");
        assert!(matches!(error, SegmentError::NewerVersion { found: 3, known: 2 }), "{error}");
    }

    #[test]
    fn the_headers_and_trailers_of_all_versions_stay_what_they_are() {
        let ((), bytes, written) = file(|_| (), b"footer");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written.footer, PageRef { offset: 32, stored_bytes: 19 });
        assert_eq!(hex, GOLDEN.concat());
        let hex = GOLDEN_V1.concat();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        let version_1: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        assert_eq!(read_all(&version_1, &[]).expect("known"), [b"footer"]);
    }

    #[test]
    fn much_is_written_in_pieces_and_comes_back_with_a_large_footer() {
        let mut pieces = Vec::new();
        let mut bytes = Vec::new();
        let write = |part: &[u8]| {
            pieces.push(part.len());
            bytes.extend_from_slice(part);
            Ok(())
        };
        let raw: Vec<u8> = (0_u32..16_384).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        let mut writer = FileWriter::new(write, 3).expect("memory");
        let pages: Vec<PageRef> = (0..60).map(|_| writer.page(&raw, Form::Plain).expect("small")).collect();
        let footer: Vec<u8> = raw.iter().cycle().take(300_000).copied().collect();
        let written = writer.finish(&footer).expect("memory");
        assert_eq!(written.bytes, bytes.len() as u64);
        assert!(pieces.len() >= 4 && pieces.iter().all(|piece| *piece < WRITE_BYTES + BLOCK_BYTES_MAX), "{pieces:?}");
        let all = read_all(&bytes, &pages).expect("whole");
        assert_eq!(all[0], footer);
        assert!(all[1..].iter().all(|page| *page == raw));
    }

    #[test]
    fn what_fails_below_is_said() {
        let cause = || -> Cause { Arc::new(std::io::Error::other("the disk is full")) };
        let mut writer = FileWriter::new(|_: &[u8]| Err(cause()), 1).expect("memory");
        writer.page(b"waits", Form::Plain).expect("not yet written");
        assert!(matches!(writer.finish(b""), Err(SegmentError::Unwritable { .. })));

        struct Gone;
        impl Bytes for Gone {
            fn read(&self, _: Range<u64>) -> Result<Vec<u8>, Cause> {
                Err(Arc::new(std::io::Error::other("the disk is gone")))
            }
        }
        assert!(matches!(FileSource::open(Gone, 1_000), Err(SegmentError::Unreadable { .. })));
    }

    /// Header, footer's block, trailer.
    const GOLDEN: [&str; 3] = [
        "414e4e414c5345470200000000000000ed5e000000000000bc1c449e970ff146",
        "0006000000666f6f746572622719d1bfe780dc",
        "20000000000000001300000002000000622719d1bfe780dc02292f9dbf44327d414e4e414c534547",
    ];
    const GOLDEN_V1: [&str; 3] = [
        "414e4e414c5345470100000000000000ed5e000000000000526b1c74fbe07187",
        "0006000000666f6f746572622719d1bfe780dc",
        "20000000000000001300000001000000622719d1bfe780dc7731205a19d29d01414e4e414c534547",
    ];
}

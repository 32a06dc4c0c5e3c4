//! The events' texts and secrets, some events to a compressed block.
//!
//! A block is one zstd frame with a checksum. Within: how many rows, in four bytes; for each row the
//! length of its text and the length of its secret, in four bytes each, the lowest first; all texts;
//! all secrets.
//!
//! **Invariant:** rows lie in blocks in ascending order without gaps.
//! **Invariant:** a block that isn't what was written gives an error, never data.

use std::ops::Range;
use std::sync::Arc;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use crate::SegmentError;
use crate::columns::row_number;
use crate::error::number;

/// Text of one block, in bytes, from which on it is closed.
pub(crate) const BLOCK_TEXT_BYTES: usize = 16 * 1024;
/// Largest block, in bytes before compression, unless one event alone is larger.
pub(crate) const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// A fast level: higher ones save little on blocks of this size.
const LEVEL: i32 = 1;
/// What the head of a block takes per row, in bytes.
const HEAD_ROW_BYTES: usize = 8;

/// The blocks of a segment.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    blocks: Box<[Block]>,
    rows: u32,
}

/// A compressed block, shared by the segments that it was handed on to.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The first of its rows.
    first: u32,
    /// Its size before compression, in bytes.
    raw_bytes: u32,
    bytes: Arc<[u8]>,
}

/// A block, decompressed.
#[derive(Debug)]
pub(crate) struct Decoded {
    rows: Range<u32>,
    raw: Vec<u8>,
    /// Where each row's text and secret lie.
    parts: Vec<(Range<usize>, Range<usize>)>,
}

/// What decompresses blocks, one after the other.
pub(crate) struct Reader(Decompressor<'static>);

/// Blocks in the making.
pub(crate) struct BlocksBuilder {
    compressor: Compressor<'static>,
    blocks: Vec<Block>,
    rows: u32,
    /// The head, texts and secrets of the block that is open.
    head: Vec<u8>,
    texts: Vec<u8>,
    secrets: Vec<u8>,
}

impl BlocksBuilder {
    pub(crate) fn new() -> Result<BlocksBuilder, SegmentError> {
        let mut compressor = Compressor::new(LEVEL).map_err(|_| SegmentError::Compression)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true)).map_err(|_| SegmentError::Compression)?;
        Ok(BlocksBuilder {
            compressor,
            blocks: Vec::new(),
            rows: 0,
            head: Vec::new(),
            texts: Vec::new(),
            secrets: Vec::new(),
        })
    }

    /// Adds the next row. The block stays open until it is settled, or as large as one may be.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] if a length has more than 32 bits, [`SegmentError::Compression`].
    pub(crate) fn push(&mut self, text: &[u8], secret: &[u8]) -> Result<(), SegmentError> {
        let added = HEAD_ROW_BYTES + text.len() + secret.len();
        if self.open_bytes() + added > BLOCK_BYTES_MAX {
            self.close()?;
        }
        for part in [text, secret] {
            self.head.extend_from_slice(&number(part.len(), "bytes of one event")?.to_le_bytes());
        }
        self.texts.extend_from_slice(text);
        self.secrets.extend_from_slice(secret);
        self.rows += 1;
        Ok(())
    }

    /// Closes the open block if it holds enough text.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Compression`].
    pub(crate) fn settle(&mut self) -> Result<(), SegmentError> {
        if self.texts.len() >= BLOCK_TEXT_BYTES { self.close() } else { Ok(()) }
    }

    /// Takes over a block as it is, its rows becoming the next ones, if neither it nor the block that
    /// is open is so small that blocks would go to pieces.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Compression`] if the open block can't be closed.
    pub(crate) fn adopt(&mut self, block: &Block, rows: u32) -> Result<bool, SegmentError> {
        let open_is_small = !self.head.is_empty() && self.texts.len() < BLOCK_TEXT_BYTES / 2;
        if open_is_small || (block.raw_bytes as usize) < BLOCK_TEXT_BYTES / 2 {
            return Ok(false);
        }
        self.close()?;
        self.blocks.push(Block { first: self.rows, ..block.clone() });
        self.rows += rows;
        Ok(true)
    }

    pub(crate) fn finish(mut self) -> Result<Blocks, SegmentError> {
        self.close()?;
        Ok(Blocks { blocks: self.blocks.into(), rows: self.rows })
    }

    fn open_bytes(&self) -> usize {
        4 + self.head.len() + self.texts.len() + self.secrets.len()
    }

    fn close(&mut self) -> Result<(), SegmentError> {
        let rows = row_number(self.head.len() / HEAD_ROW_BYTES)?;
        if rows == 0 {
            return Ok(());
        }
        let raw = [&rows.to_le_bytes(), self.head.as_slice(), &self.texts, &self.secrets].concat();
        let bytes = self.compressor.compress(&raw).map_err(|_| SegmentError::Compression)?;
        self.blocks.push(Block {
            first: self.rows - rows,
            raw_bytes: number(raw.len(), "bytes of one event")?,
            bytes: bytes.into(),
        });
        self.head.clear();
        self.texts.clear();
        self.secrets.clear();
        Ok(())
    }
}

impl Blocks {
    /// The number of the block that a row lies in.
    pub(crate) fn block_of(&self, row: u32) -> Option<usize> {
        self.blocks.partition_point(|block| block.first <= row).checked_sub(1)
    }

    pub(crate) fn block(&self, number: usize) -> Option<&Block> {
        self.blocks.get(number)
    }

    /// The rows of a block.
    pub(crate) fn rows(&self, number: usize) -> Range<u32> {
        let first = |number: usize| self.blocks.get(number).map_or(self.rows, |block| block.first);
        first(number)..first(number + 1)
    }

    /// Decompresses a block.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] if it isn't what was written.
    pub(crate) fn decode(&self, number: usize, reader: &mut Reader) -> Result<Decoded, SegmentError> {
        let damaged = |what| SegmentError::Corrupt { block: u32::try_from(number).unwrap_or(u32::MAX), what };
        let block = self.block(number).ok_or_else(|| damaged("it is not there"))?;
        let raw = reader.0.decompress(&block.bytes, block.raw_bytes as usize);
        let raw = raw.map_err(|_| damaged("it does not decompress, or its checksum differs"))?;
        if raw.len() != block.raw_bytes as usize {
            return Err(damaged("its length differs"));
        }
        let rows = self.rows(number);
        let parts = parts_of(&raw, rows.len()).ok_or_else(|| damaged("its rows do not fill it"))?;
        Ok(Decoded { rows, raw, parts })
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        // Besides the bytes themselves, two counters of who shares them.
        self.blocks.iter().map(|block| block.bytes.len() + 16).sum::<usize>() + size_of_val(&*self.blocks)
    }
}

impl Reader {
    pub(crate) fn new() -> Result<Reader, SegmentError> {
        Decompressor::new().map(Reader).map_err(|_| SegmentError::Compression)
    }
}

impl Decoded {
    pub(crate) fn holds(&self, row: u32) -> bool {
        self.rows.contains(&row)
    }

    /// A row's text and secret.
    pub(crate) fn row(&self, row: u32) -> Option<(&[u8], &[u8])> {
        let (text, secret) = self.parts.get(row.checked_sub(self.rows.start)? as usize)?;
        Some((self.raw.get(text.clone())?, self.raw.get(secret.clone())?))
    }
}

/// Where the text and secret of each of so many rows lie, if they fill the block exactly.
fn parts_of(raw: &[u8], rows: usize) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let (count, rest) = raw.split_first_chunk()?;
    if u32::from_le_bytes(*count) as usize != rows {
        return None;
    }
    let head = rest.get(..rows.checked_mul(HEAD_ROW_BYTES)?)?;
    let lengths = |skip: usize| {
        let fields = head.chunks_exact(4).skip(skip).step_by(2);
        fields.filter_map(|field| field.try_into().ok()).map(|field| u32::from_le_bytes(field) as usize)
    };
    let texts_at = 4 + head.len();
    let secrets_at = texts_at + lengths(0).sum::<usize>();
    let (mut text_at, mut secret_at) = (texts_at, secrets_at);
    let parts = lengths(0).zip(lengths(1)).map(|(text, secret)| {
        let part = (text_at..text_at + text, secret_at..secret_at + secret);
        text_at += text;
        secret_at += secret;
        part
    });
    let parts = parts.collect();
    (secret_at == raw.len()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(texts: &[Vec<u8>]) -> Blocks {
        let mut builder = BlocksBuilder::new().expect("memory");
        for (at, text) in texts.iter().enumerate() {
            builder.push(text, &at.to_le_bytes()).expect("small");
            builder.settle().expect("memory");
        }
        builder.finish().expect("memory")
    }

    fn text(length: usize, salt: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from((at * 7 + salt) % 251).expect("below 251")).collect()
    }

    fn with_bytes(blocks: &Blocks, number: usize, bytes: Vec<u8>) -> Blocks {
        let mut changed = blocks.blocks.clone();
        changed[number].bytes = bytes.into();
        Blocks { blocks: changed, rows: blocks.rows }
    }

    #[test]
    fn every_row_comes_back_from_its_block() {
        let texts: Vec<Vec<u8>> = (0..200).map(|n| text(n * 11, n)).collect();
        let blocks = blocks(&texts);
        let mut reader = Reader::new().expect("memory");
        for (row, text) in (0..).zip(&texts) {
            let number = blocks.block_of(row).expect("there");
            let decoded = blocks.decode(number, &mut reader).expect("whole");
            assert!(decoded.holds(row));
            let secret = usize::try_from(row).expect("small").to_le_bytes();
            assert_eq!(decoded.row(row), Some((text.as_slice(), secret.as_slice())));
        }
    }

    #[test]
    fn a_block_is_small_unless_one_event_alone_is_larger() {
        let texts: Vec<Vec<u8>> = [10, 100_000, 16_000, 60_000, 10].map(|length| text(length, 0)).into();
        let sizes: Vec<u32> = blocks(&texts).blocks.iter().map(|block| block.raw_bytes).collect();
        let head = |rows: u32| 4 + 16 * rows;
        assert_eq!(sizes, [10 + head(1), 100_000 + head(1), 16_000 + head(1), 60_000 + head(1), 10 + head(1)]);
    }

    #[test]
    fn a_damaged_block_is_an_error_wherever_the_damage_is() {
        let texts: Vec<Vec<u8>> = (0..60).map(|n| text(700, n)).collect();
        let blocks = blocks(&texts);
        assert!(blocks.blocks.len() > 1);
        let mut reader = Reader::new().expect("memory");
        let good = blocks.blocks[1].bytes.to_vec();
        for at in 0..good.len() {
            for flip in [1, 0x80] {
                let mut bytes = good.clone();
                bytes[at] ^= flip;
                // A few bits of a frame mean nothing: then the data is still what was written.
                match with_bytes(&blocks, 1, bytes).decode(1, &mut reader) {
                    Err(error) => assert!(matches!(error, SegmentError::Corrupt { block: 1, .. }), "{error}"),
                    Ok(decoded) => assert_eq!(decoded.raw, blocks.decode(1, &mut reader).expect("whole").raw),
                }
            }
        }
        for length in 0..good.len() {
            let cut = with_bytes(&blocks, 1, good[..length].to_vec());
            assert!(cut.decode(1, &mut reader).is_err(), "cut at {length}");
        }
        assert!(blocks.decode(9, &mut reader).is_err());
    }

    #[test]
    fn a_whole_block_of_other_rows_is_an_error() {
        let blocks = blocks(&(0..61).map(|n| text(700, n)).collect::<Vec<_>>());
        let other = blocks.blocks.last().expect("there").bytes.to_vec();
        let mut reader = Reader::new().expect("memory");
        let swapped = with_bytes(&blocks, 0, other);
        let error = swapped.decode(0, &mut reader).expect_err("another block");
        assert_eq!(error, SegmentError::Corrupt { block: 0, what: "its length differs" });
    }
}

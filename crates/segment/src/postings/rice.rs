//! Blocks of ascending rows, as the gaps between them in Rice codes.
//!
//! The gap of a row is what lies between it and the row before, or the place where the block begins:
//! neighbours have a gap of 0. A block of `n` rows, 1 to 128, is:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | `k`, 0 to 26: how many low bits of each gap are written as they are |
//! | ⌈n·k / 8⌉ | the low bits of the gaps, one after the other, the lowest bit of the lowest byte first |
//! | as needed | per gap as many zero bits as its high part says, and a one bit, in the same order of bits |
//! | as needed | the gaps whose high part is 20 or more: whole, as LEB128 numbers |
//!
//! A gap that stands whole has 20 zero bits and low bits of 0 in the parts before. Bits that fill a byte
//! up are 0.

use crate::ROWS_MAX;

/// Rows of a block.
pub(super) const BLOCK_ROWS: usize = 128;
/// High parts from here on are not written bit by bit.
const ESCAPE: u32 = 20;
/// The most low bits: a row has no more.
const LOW_BITS_MAX: u32 = 26;
/// About what a gap that stands whole takes besides, in bits.
const ESCAPE_BITS: u32 = 24;

/// Room for the rows of a block.
pub(super) type Block = [u32; BLOCK_ROWS];

/// Appends rows, which ascend, from `from` on.
pub(super) fn write(rows: &[u32], mut from: u32, out: &mut Vec<u8>) {
    let mut gaps: Block = [0; BLOCK_ROWS];
    for block in rows.chunks(BLOCK_ROWS) {
        for (gap, row) in gaps.iter_mut().zip(block) {
            *gap = row.wrapping_sub(from);
            from = row.wrapping_add(1);
        }
        write_block(gaps.get(..block.len()).unwrap_or_default(), out);
    }
}

fn write_block(gaps: &[u32], out: &mut Vec<u8>) {
    let low_bits = choose(gaps);
    out.push(u8::try_from(low_bits).unwrap_or_default());
    let mask = (1_u32 << low_bits) - 1;
    let mut bits = Bits::default();
    if low_bits > 0 {
        for gap in gaps {
            let low = if gap >> low_bits < ESCAPE { gap & mask } else { 0 };
            bits.push(u64::from(low), low_bits, out);
        }
        bits.finish(out);
    }
    let mut escaped = false;
    for gap in gaps {
        let high = gap >> low_bits;
        escaped |= high >= ESCAPE;
        let high = high.min(ESCAPE);
        bits.push(1 << high, high + 1, out);
    }
    bits.finish(out);
    if escaped {
        for gap in gaps.iter().filter(|gap| **gap >> low_bits >= ESCAPE) {
            write_number(*gap, out);
        }
    }
}

/// How many low bits make a block the smallest, or nearly.
fn choose(gaps: &[u32]) -> u32 {
    let sum: u64 = gaps.iter().map(|gap| u64::from(*gap)).sum();
    let greatest = gaps.iter().copied().max().unwrap_or_default();
    let others = (gaps.len() as u64).saturating_sub(1).max(1);
    let all = descend(gaps, sum / (gaps.len() as u64).max(1));
    // The way into a cluster of rows is one far gap before many near ones: then also without it.
    let near = sum - u64::from(greatest);
    if near > sum / 2 { all.1 } else { all.min(descend(gaps, near / others)).1 }
}

/// The fewest bits, and for how many low bits, from those on that a mean gap has.
fn descend(gaps: &[u32], mean: u64) -> (u32, u32) {
    let mut low_bits = (64 - mean.leading_zeros()).min(LOW_BITS_MAX);
    let mut least = cost(gaps, low_bits);
    while let Some(fewer) = low_bits.checked_sub(1) {
        let bits = cost(gaps, fewer);
        if bits > least {
            break;
        }
        (low_bits, least) = (fewer, bits);
    }
    (least, low_bits)
}

/// The bits that a block takes.
fn cost(gaps: &[u32], low_bits: u32) -> u32 {
    let highs: u32 = gaps
        .iter()
        .map(|gap| {
            let high = gap >> low_bits;
            if high < ESCAPE { high } else { ESCAPE + ESCAPE_BITS }
        })
        .sum();
    highs + u32::try_from(gaps.len()).unwrap_or_default() * (low_bits + 1)
}

/// Reads a block of `count` rows, at most [`BLOCK_ROWS`], from `from` on, and gives what comes after it;
/// `None` if it isn't one.
pub(super) fn read<'b>(bytes: &'b [u8], count: usize, from: u32, rows: &mut Block) -> Option<&'b [u8]> {
    let rows = rows.get_mut(..count)?;
    let (low_bits, lows) = bytes.split_first()?;
    let low_bits = u32::from(*low_bits);
    if low_bits > LOW_BITS_MAX {
        return None;
    }
    let highs = lows.get((count * low_bits as usize).div_ceil(8)..)?;
    let (escaped, rest) = read_highs(highs, low_bits, rows)?;
    if low_bits > 0 {
        add_lows(lows, low_bits, rows);
    }
    let rest = if escaped { read_escaped(rest, low_bits, rows)? } else { rest };
    // Each gap is below 2^31 and there are few, so this sum is exact; with it, no row overflows below.
    let sum: u64 = rows.iter().map(|gap| u64::from(*gap)).sum();
    if u64::from(from) + sum + count as u64 > u64::from(ROWS_MAX) {
        return None;
    }
    let mut next = from;
    for row in rows {
        *row = row.wrapping_add(next);
        next = row.wrapping_add(1);
    }
    Some(rest)
}

/// Sets each number to a gap's high part in place; says whether one stands whole.
fn read_highs<'b>(bytes: &'b [u8], low_bits: u32, gaps: &mut [u32]) -> Option<(bool, &'b [u8])> {
    let mut gaps = gaps.iter_mut();
    let mut slot = gaps.next()?;
    // Bits up to the end of the last gap.
    let (mut done, mut greatest) = (0_u32, 0_u32);
    let mut first = 0_u32;
    let mut at = 0_usize;
    loop {
        let mut word = word_at(bytes, at)?;
        while word != 0 {
            let one = first + word.trailing_zeros();
            word &= word - 1;
            let high = one - done;
            greatest = greatest.max(high);
            *slot = high.wrapping_shl(low_bits);
            done = one + 1;
            let Some(next) = gaps.next() else {
                let rest = bytes.get(done.div_ceil(8) as usize..)?;
                return (greatest <= ESCAPE).then_some((greatest == ESCAPE, rest));
            };
            slot = next;
        }
        // More zeros than that are in no gap, and there would be no end to them.
        if first > done + 2 * ESCAPE + 64 {
            return None;
        }
        first += 64;
        at += 8;
    }
}

/// Eight bytes, with zeros past the end; `None` if there is not one byte.
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    if let Some(whole) = rest.first_chunk() {
        return Some(u64::from_le_bytes(*whole));
    }
    Some(rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}

fn add_lows(lows: &[u8], low_bits: u32, gaps: &mut [u32]) {
    let mask = (1_u64 << low_bits) - 1;
    let mut bit = 0_usize;
    for gap in gaps {
        let word = word_at(lows, bit / 8).unwrap_or_default();
        let low = word >> (bit % 8) & mask;
        // At most 26 bits are left, and those of the high part are above them.
        *gap |= u32::try_from(low).unwrap_or_default();
        bit += low_bits as usize;
    }
}

fn read_escaped<'b>(mut rest: &'b [u8], low_bits: u32, gaps: &mut [u32]) -> Option<&'b [u8]> {
    for gap in gaps.iter_mut().filter(|gap| **gap >> low_bits == ESCAPE) {
        (*gap, rest) = read_number(rest)?;
        if *gap >= ROWS_MAX {
            return None;
        }
    }
    Some(rest)
}

/// Appends a number in LEB128: seven bits to a byte, the lowest first; the top bit says that more follow.
pub(super) fn write_number(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

/// A number in LEB128, and what comes after it.
pub(super) fn read_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0_u32;
    let mut rest = bytes;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        number |= u32::from(byte & 0x7f).checked_mul(1 << shift)?;
        if *byte < 0x80 {
            return Some((number, rest));
        }
    }
    None
}

/// Bits on their way out.
#[derive(Default)]
struct Bits {
    word: u64,
    filled: u32,
}

impl Bits {
    /// Appends up to 32 bits.
    fn push(&mut self, bits: u64, count: u32, out: &mut Vec<u8>) {
        self.word |= bits << self.filled;
        self.filled += count;
        if self.filled >= 32 {
            let [a, b, c, d, ..] = self.word.to_le_bytes();
            out.extend_from_slice(&[a, b, c, d]);
            self.word >>= 32;
            self.filled -= 32;
        }
    }

    /// Fills the last byte up.
    fn finish(&mut self, out: &mut Vec<u8>) {
        let bytes = self.word.to_le_bytes();
        out.extend_from_slice(bytes.get(..self.filled.div_ceil(8) as usize).unwrap_or_default());
        *self = Bits::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8], count: usize, mut from: u32) -> Option<Vec<u32>> {
        let (mut rest, mut rows, mut block) = (bytes, Vec::new(), [0; BLOCK_ROWS]);
        while rows.len() < count {
            let of_block = BLOCK_ROWS.min(count - rows.len());
            rest = read(rest, of_block, from, &mut block)?;
            rows.extend_from_slice(&block[..of_block]);
            from = rows.last().map_or(from, |row| row + 1);
        }
        rest.is_empty().then_some(rows)
    }

    #[test]
    fn a_block_is_as_it_was_frozen() {
        let mut bytes = Vec::new();
        write(&[3, 4, 10, 4_000_000], 1, &mut bytes);
        // No low bits; gaps of 2, 0 and 5, and one that stands whole: 3,999,989.
        assert_eq!(bytes, [0, 0b0000_1100, 0b0000_0010, 0, 0b0100_0000, 0xf5, 0x91, 0xf4, 1]);
        bytes.clear();
        write(&[100, 205, 300], 0, &mut bytes);
        // Six low bits each, 36, 40 and 30; high parts of 1 each.
        assert_eq!(bytes, [6, 0x24, 0xea, 0x01, 0b0010_1010]);
    }

    proptest! {
        #[test]
        fn rows_come_back(
            gaps in prop::collection::vec(prop_oneof![4 => 0_u32..3, 4 => 0_u32..300, 1 => 0_u32..60_000], 1..600),
            from in 0_u32..1_000_000,
        ) {
            let rows: Vec<u32> = gaps
                .iter()
                .scan(from, |next, gap| {
                    let row = *next + gap;
                    *next = row + 1;
                    Some(row)
                })
                .collect();
            let mut bytes = Vec::new();
            write(&rows, from, &mut bytes);
            prop_assert_eq!(read_all(&bytes, rows.len(), from), Some(rows));
        }

        #[test]
        fn any_bytes_give_ascending_rows_or_nothing(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            count in 1_usize..=BLOCK_ROWS,
            from in 0_u32..ROWS_MAX,
        ) {
            let mut block = [0; BLOCK_ROWS];
            if read(&bytes, count, from, &mut block).is_some() {
                prop_assert!(block[..count].is_sorted_by(|a, b| a < b));
                prop_assert!(block[0] >= from && block[count - 1] < ROWS_MAX);
            }
        }
    }
}

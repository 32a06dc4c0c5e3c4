//! Collects values with their rows, in the order of rows, and sorts them into a dictionary.
//!
//! **Invariant:** a value that a row has several times is collected once.

use std::mem::take;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::SegmentError;
use crate::dictionary::{Dictionary, DictionaryBuilder};

/// No value.
const VACANT: u32 = u32::MAX;
/// So many values wait before they are looked up, one right after the other, so that the processor
/// waits for the memory of several at once.
const WAITING_MAX: usize = 512;

/// A dictionary in the making, from values as they come.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// What texts are hashed with, so that nobody can choose texts that collide.
    key: u64,
    /// A hash table with open addressing; its length is a power of two, or 0.
    slots: Vec<Slot>,
    /// The distinct values, in the order in which they first came.
    values: Vec<Value>,
    texts: String,
    /// The number of a value and a row that has it, in ascending order of rows.
    pairs: Vec<(u32, u32)>,
    waiting: Vec<Waiting>,
    waiting_texts: String,
}

/// A value that is yet to be looked up.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    row: u32,
    hash: u32,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    value: u32,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    start: usize,
    end: usize,
    hash: u32,
    /// How many rows have it.
    count: u32,
    /// The last of them.
    row_last: u32,
}

/// A value on its way into order: what is compared most often stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// The first bytes after what all values begin with.
    head: [u64; 2],
    value: u32,
}

impl Gather {
    pub(crate) fn new(key: u64) -> Gather {
        Gather { key, ..Gather::default() }
    }

    /// Notes that a row has a value. Rows must not descend.
    pub(crate) fn add(&mut self, row: u32, text: &str) {
        // The lower half of a good hash is a good hash.
        let hash =
            u32::try_from(xxh3_64_with_seed(text.as_bytes(), self.key) & u64::from(u32::MAX)).unwrap_or_default();
        let start = self.waiting_texts.len();
        self.waiting_texts.push_str(text);
        self.waiting.push(Waiting { row, hash, start, end: self.waiting_texts.len() });
        if self.waiting.len() >= WAITING_MAX {
            self.look_up();
        }
    }

    /// Looks up what waits.
    fn look_up(&mut self) {
        while (self.values.len() + self.waiting.len()) * 2 > self.slots.len() {
            self.grow();
        }
        let (mut waiting, mut texts) = (take(&mut self.waiting), take(&mut self.waiting_texts));
        for Waiting { row, hash, start, end } in waiting.drain(..) {
            let value = self.value_of(hash, texts.get(start..end).unwrap_or_default());
            if let Some(entry) = self.values.get_mut(value as usize)
                && (entry.count == 0 || entry.row_last != row)
            {
                entry.count += 1;
                entry.row_last = row;
                self.pairs.push((value, row));
            }
        }
        texts.clear();
        (self.waiting, self.waiting_texts) = (waiting, texts);
    }

    /// Sorts what came into a dictionary.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] if one dictionary can't hold it.
    pub(crate) fn finish(mut self) -> Result<Dictionary, SegmentError> {
        self.look_up();
        let sorted = self.sorted();
        let mut starts = vec![0_usize; self.values.len()];
        let mut total = 0;
        for value in &sorted {
            if let (Some(start), Some(entry)) = (starts.get_mut(*value as usize), self.values.get(*value as usize)) {
                *start = total;
                total += entry.count as usize;
            }
        }
        let mut rows = vec![0_u32; total];
        for (value, row) in &self.pairs {
            if let Some(start) = starts.get_mut(*value as usize)
                && let Some(slot) = rows.get_mut(*start)
            {
                *slot = *row;
                *start += 1;
            }
        }
        let mut dictionary = DictionaryBuilder::new(sorted.len(), self.texts.len());
        let mut rest = rows.as_slice();
        for value in sorted {
            let count = self.values.get(value as usize).map_or(0, |entry| entry.count as usize);
            let Some((of_value, others)) = rest.split_at_checked(count) else { break };
            dictionary.push(self.text(value), of_value)?;
            rest = others;
        }
        Ok(dictionary.finish())
    }

    /// The number of a value, a new one if it is new. A slot must be free.
    fn value_of(&mut self, hash: u32, text: &str) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get(at).filter(|slot| slot.value != VACANT) {
            if slot.hash == hash && self.text(slot.value) == text {
                return slot.value;
            }
            at = (at + 1) & mask;
        }
        // Beyond the number's range, `finish` refuses: a dictionary's texts have a smaller limit.
        let value = u32::try_from(self.values.len()).unwrap_or(VACANT);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { hash, value };
        }
        let start = self.texts.len();
        self.texts.push_str(text);
        self.values.push(Value { start, end: self.texts.len(), hash, count: 0, row_last: 0 });
        value
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 4).max(2 * WAITING_MAX);
        self.slots.clear();
        self.slots.resize(length, Slot { hash: 0, value: VACANT });
        for (value, entry) in (0_u32..).zip(&self.values) {
            let mut at = entry.hash as usize & (length - 1);
            while self.slots.get(at).is_some_and(|slot| slot.value != VACANT) {
                at = (at + 1) & (length - 1);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = Slot { hash: entry.hash, value };
            }
        }
    }

    fn text(&self, value: u32) -> &str {
        self.values.get(value as usize).and_then(|entry| self.texts.get(entry.start..entry.end)).unwrap_or_default()
    }

    /// The values in ascending order of their texts.
    fn sorted(&self) -> Vec<u32> {
        let numbers = 0..u32::try_from(self.values.len()).unwrap_or(VACANT);
        let first = self.text(0).as_bytes();
        let shared = numbers.clone().fold(first.len(), |shared, value| {
            let text = self.text(value).as_bytes();
            first.iter().zip(text).take(shared).take_while(|(a, b)| a == b).count()
        });
        let mut candidates: Vec<Candidate> = numbers
            .map(|value| {
                let rest = self.text(value).as_bytes().get(shared..).unwrap_or_default();
                Candidate { head: [head(rest), head(rest.get(8..).unwrap_or_default())], value }
            })
            .collect();
        candidates
            .sort_unstable_by(|a, b| a.head.cmp(&b.head).then_with(|| self.text(a.value).cmp(self.text(b.value))));
        candidates.into_iter().map(|candidate| candidate.value).collect()
    }
}

/// The first eight bytes as a number that compares as they do.
fn head(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    for (slot, byte) in padded.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    u64::from_be_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_sorted_with_each_row_once() {
        let mut gather = Gather::default();
        for (row, text) in [(0, "b"), (0, "b"), (1, "a"), (2, "b"), (2, ""), (3, "a\0"), (3, "same-same-same-same-x")] {
            gather.add(row, text);
        }
        let dictionary = gather.finish().expect("small");
        let got: Vec<(String, Vec<u32>)> = (0..dictionary.len())
            .map(|value| {
                let mut rows = Vec::new();
                dictionary.posting(value).each(|row| rows.push(row));
                (dictionary.text(value).to_owned(), rows)
            })
            .collect();
        let expect = [("", vec![2]), ("a", vec![1]), ("a\0", vec![3]), ("b", vec![0, 2])];
        let mut expect: Vec<(String, Vec<u32>)> = expect.map(|(text, rows)| (text.to_owned(), rows)).into();
        expect.push(("same-same-same-same-x".to_owned(), vec![3]));
        assert_eq!(got, expect);
    }

    #[test]
    fn many_values_are_told_apart() {
        let mut gather = Gather::default();
        for row in 0..10_000 {
            gather.add(row, &format!("prefix-that-all-share-{}", row % 5_000));
        }
        let dictionary = gather.finish().expect("small");
        assert_eq!(dictionary.len(), 5_000);
        let texts: Vec<&str> = (0..dictionary.len()).map(|value| dictionary.text(value)).collect();
        assert!(texts.is_sorted());
        assert!((0..dictionary.len()).all(|value| dictionary.posting(value).len() == 2));
    }
}

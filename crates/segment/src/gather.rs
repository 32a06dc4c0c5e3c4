//! Collects values with their rows, in the order of rows, and sorts them into a dictionary.
//!
//! **Invariant:** a value that a row has several times is collected once.

use std::hint::black_box;
use std::mem::take;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::SegmentError;
use crate::dictionary::{DictionaryTables, DictionaryWriter};
use crate::error::number;
use crate::page::Sink;

/// No value.
const VACANT: u32 = u32::MAX;
/// So many values wait before they are looked up, one right after the other, so that the processor
/// waits for the memory of several at once.
const WAITING_MAX: usize = 512;
/// What of a text is compared first: so many bytes, beside the value's number in 16.
const HEAD_BYTES: usize = 12;

/// A dictionary in the making, from values as they come.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// What texts are hashed with, so that nobody can choose texts that collide.
    key: u64,
    /// A hash table with open addressing; its length is a power of two, or 0.
    slots: Vec<Slot>,
    /// The distinct values, in the order in which they first came.
    values: Vec<Value>,
    /// Their texts, end to end.
    texts: String,
    /// The number of a value and a row that has it, in ascending order of rows.
    pairs: Vec<(u32, u32)>,
    waiting: Vec<Waiting>,
    waiting_texts: String,
}

/// A value that is yet to be looked up. Where several rows in turn have the same, they share its text.
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

/// A distinct value; small, since many are looked at in no order.
#[derive(Clone, Copy, Debug)]
struct Value {
    end: usize,
    /// How many rows have it.
    count: u32,
    /// The last of them.
    row_last: u32,
}

impl Gather {
    pub(crate) fn new(key: u64) -> Gather {
        Gather { key, ..Gather::default() }
    }

    /// Notes that a row has a value. Rows must not descend.
    pub(crate) fn add(&mut self, row: u32, text: &str) {
        if let Some(last) = self.waiting.last().copied()
            && self.waiting_texts.get(last.start..last.end) == Some(text)
        {
            self.waiting.push(Waiting { row, ..last });
            return self.look_up_if_full();
        }
        // The lower half of a good hash is a good hash.
        let hash =
            u32::try_from(xxh3_64_with_seed(text.as_bytes(), self.key) & u64::from(u32::MAX)).unwrap_or_default();
        let start = self.waiting_texts.len();
        self.waiting_texts.push_str(text);
        self.waiting.push(Waiting { row, hash, start, end: self.waiting_texts.len() });
        self.look_up_if_full();
    }

    fn look_up_if_full(&mut self) {
        if self.waiting.len() >= WAITING_MAX {
            self.look_up();
        }
    }

    /// Looks up what waits.
    fn look_up(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        while (self.values.len() + self.waiting.len()) * 2 > self.slots.len() {
            self.grow();
        }
        self.touch();
        let (mut waiting, mut texts) = (take(&mut self.waiting), take(&mut self.waiting_texts));
        let (mut last, mut value) = (None, VACANT);
        for Waiting { row, hash, start, end } in waiting.drain(..) {
            if last != Some((start, end)) {
                value = self.value_of(hash, texts.get(start..end).unwrap_or_default());
                last = Some((start, end));
            }
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

    /// Brings what the look-ups will want near, in a loop so short that many of its turns run at once.
    fn touch(&self) {
        let mask = self.slots.len() - 1;
        let mut touched = 0;
        for waiting in &self.waiting {
            if let Some(slot) = self.slots.get(waiting.hash as usize & mask)
                && let Some(value) = self.values.get(slot.value as usize)
            {
                touched ^= self.texts.as_bytes().get(value.end.wrapping_sub(1)).copied().unwrap_or_default();
            }
        }
        black_box(touched);
    }

    /// Sorts what came into a dictionary, whose sections have this name.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] if one dictionary can't hold it, and what the sink says.
    pub(crate) fn finish(
        mut self,
        section: &'static str,
        sink: &mut dyn Sink,
    ) -> Result<DictionaryTables, SegmentError> {
        self.look_up();
        // Beyond the range of numbers, values were taken together.
        number(self.values.len() + 1, "values")?;
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
        let mut dictionary = DictionaryWriter::new(section);
        let mut rest = rows.as_slice();
        for value in sorted {
            let count = self.values.get(value as usize).map_or(0, |entry| entry.count as usize);
            let Some((of_value, others)) = rest.split_at_checked(count) else { break };
            dictionary.push(sink, self.text(value), of_value)?;
            rest = others;
        }
        dictionary.finish(sink)
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
        let value = u32::try_from(self.values.len()).unwrap_or(VACANT);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { hash, value };
        }
        self.texts.push_str(text);
        self.values.push(Value { end: self.texts.len(), count: 0, row_last: 0 });
        value
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 4).max(2 * WAITING_MAX);
        let old = std::mem::replace(&mut self.slots, vec![Slot { hash: 0, value: VACANT }; length]);
        for slot in old.into_iter().filter(|slot| slot.value != VACANT) {
            let mut at = slot.hash as usize & (length - 1);
            while self.slots.get(at).is_some_and(|slot| slot.value != VACANT) {
                at = (at + 1) & (length - 1);
            }
            if let Some(to) = self.slots.get_mut(at) {
                *to = slot;
            }
        }
    }

    fn text(&self, value: u32) -> &str {
        let end_of = |value: u32| self.values.get(value as usize).map_or(0, |entry| entry.end);
        let start = value.checked_sub(1).map_or(0, end_of);
        self.texts.get(start..end_of(value)).unwrap_or_default()
    }

    /// The values in ascending order of their texts.
    fn sorted(&self) -> Vec<u32> {
        let numbers = 0..u32::try_from(self.values.len()).unwrap_or(VACANT);
        let first = self.text(0).as_bytes();
        let shared = numbers.clone().fold(first.len(), |shared, value| {
            let text = self.text(value).as_bytes();
            first.iter().zip(text).take(shared).take_while(|(a, b)| a == b).count()
        });
        // The first bytes after what all begin with, and the number: this sorts much faster than texts do.
        let mut candidates: Vec<u128> = numbers
            .map(|value| {
                let rest = self.text(value).as_bytes().get(shared..).unwrap_or_default();
                u128::from_be_bytes(head(rest)) | u128::from(value)
            })
            .collect();
        candidates.sort_unstable();
        let value_of = |candidate: &u128| u32::try_from(candidate & u128::from(u32::MAX)).unwrap_or(VACANT);
        let mut sorted: Vec<u32> = candidates.iter().map(value_of).collect();
        let mut rest = sorted.as_mut_slice();
        for alike in candidates.chunk_by(|a, b| a >> 32 == b >> 32) {
            let Some((values, others)) = take(&mut rest).split_at_mut_checked(alike.len()) else { break };
            if values.len() > 1 {
                values.sort_unstable_by(|a, b| self.text(*a).cmp(self.text(*b)));
            }
            rest = others;
        }
        sorted
    }
}

/// The first bytes as a big-endian number that compares as they do, above room for another number.
fn head(bytes: &[u8]) -> [u8; 16] {
    let mut padded = [0; 16];
    if let (Some(to), Some(first)) = (padded.first_chunk_mut(), bytes.first_chunk::<HEAD_BYTES>()) {
        *to = *first;
        return padded;
    }
    for (slot, byte) in padded.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    padded
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::dictionary::Dictionary;
    use crate::memory::MemoryPages;

    fn check(added: &[(u32, String)]) {
        let (mut gather, mut expect) = (Gather::new(7), BTreeMap::<&str, Vec<u32>>::new());
        for (row, text) in added {
            gather.add(*row, text);
            let rows = expect.entry(text).or_default();
            if rows.last() != Some(row) {
                rows.push(*row);
            }
        }
        let mut sink = MemoryPages::building(false).expect("zstd");
        let tables = gather.finish("words", &mut sink).expect("small");
        let source = sink.finish();
        let mut expect = expect.into_iter();
        let dictionary = Dictionary::new(&tables, &*source);
        dictionary
            .each(0..dictionary.len(), |_, text, mut rows| {
                let mut got = Vec::new();
                rows.append_to(&mut got)?;
                assert_eq!(Some((text, got)), expect.next());
                Ok(())
            })
            .expect("sound");
        assert_eq!(expect.next(), None);
    }

    #[test]
    fn values_come_out_sorted_with_each_row_once() {
        check(&[]);
        let added = [(0, "b"), (0, "b"), (1, "a"), (2, "b"), (2, ""), (3, "a\0"), (3, "same-same-same-same-x")];
        check(&added.map(|(row, text)| (row, text.to_owned())));
        let many = (0..60_000).map(|at| (at / 3, format!("a-common-beginning-{}", at * 7_919 % 9_973)));
        check(&many.collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn any_values_come_out_sorted(
            added in prop::collection::vec((0_u32..3, prop_oneof!["[ab]?", "(same-)?[ab\0é]{0,14}"]), 0..1_500),
        ) {
            let rows = added.iter().scan(0, |row, (step, _)| {
                *row += step;
                Some(*row)
            });
            let added: Vec<(u32, String)> = rows.zip(added.iter().map(|(_, text)| text.clone())).collect();
            check(&added);
        }
    }
}

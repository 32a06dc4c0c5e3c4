//! The distinct values of a field, or the distinct words, in ascending order, with their rows.
//!
//! **Invariant:** values ascend by their bytes and are distinct; a value's number is its place.

use std::borrow::Cow;
use std::ops::Range;

use annals_model::Pattern;
use roaring::{MultiOps, RoaringBitmap};

use crate::SegmentError;
use crate::columns::partition;
use crate::contains::scan;
use crate::error::number;
use crate::postings::{Posting, Postings, PostingsBuilder, bitmap_of, bitmap_of_any};

/// A sorted dictionary.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// All values, end to end.
    texts: Box<str>,
    /// Where each value ends.
    ends: Box<[u32]>,
    /// The values that are not ASCII, for which case is no matter of single bytes.
    not_ascii: Box<[u32]>,
    /// Whether an ASCII capital is among the values.
    has_upper: bool,
    postings: Postings,
}

/// A dictionary in the making.
#[derive(Debug, Default)]
pub(crate) struct DictionaryBuilder {
    texts: String,
    ends: Vec<u32>,
    not_ascii: Vec<u32>,
    postings: PostingsBuilder,
}

impl DictionaryBuilder {
    pub(crate) fn new(values: usize, bytes: usize) -> DictionaryBuilder {
        DictionaryBuilder {
            texts: String::with_capacity(bytes),
            ends: Vec::with_capacity(values),
            not_ascii: Vec::new(),
            postings: PostingsBuilder::new(values),
        }
    }

    /// Adds the next value with its rows, which ascend.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] if the values exceed what one dictionary can hold.
    pub(crate) fn push(&mut self, text: &str, rows: &[u32]) -> Result<(), SegmentError> {
        if !text.is_ascii() {
            self.not_ascii.push(number(self.ends.len(), "values of a field")?);
        }
        self.texts.push_str(text);
        self.ends.push(number(self.texts.len(), "bytes of distinct values of a field")?);
        self.postings.push(rows)
    }

    pub(crate) fn finish(self) -> Dictionary {
        Dictionary {
            has_upper: self.texts.bytes().any(|byte| byte.is_ascii_uppercase()),
            texts: self.texts.into(),
            ends: self.ends.into(),
            not_ascii: self.not_ascii.into(),
            postings: self.postings.finish(),
        }
    }
}

impl Dictionary {
    /// How many values there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// The bytes of all values.
    pub(crate) fn text_bytes(&self) -> usize {
        self.texts.len()
    }

    /// A value's text.
    pub(crate) fn text(&self, value: u32) -> &str {
        let end_of = |value: u32| self.ends.get(value as usize).map_or(0, |end| *end as usize);
        let start = value.checked_sub(1).map_or(0, end_of);
        self.texts.get(start..end_of(value)).unwrap_or_default()
    }

    /// The rows of a value.
    pub(crate) fn posting(&self, value: u32) -> Posting<'_> {
        self.postings.get(value)
    }

    /// The value that is this text.
    pub(crate) fn find_exact(&self, text: &str) -> Option<u32> {
        let value = self.first_past(0, |have| have < text);
        (value < self.len() && self.text(value) == text).then_some(value)
    }

    /// The values that begin with a prefix.
    pub(crate) fn find_prefix(&self, prefix: &str) -> Range<u32> {
        let start = self.first_past(0, |have| have < prefix);
        start..self.first_past(start, |have| have.starts_with(prefix))
    }

    /// The values that pass a pattern, as ranges in ascending order.
    pub(crate) fn find(&self, pattern: &Pattern) -> Vec<Range<u32>> {
        match pattern {
            Pattern::Exact(text) => self.find_exact(text).map(|value| value..value + 1).into_iter().collect(),
            Pattern::Glob(glob) => {
                let candidates = self.find_prefix(glob.prefix());
                if glob.is_prefix_only() {
                    return vec![candidates];
                }
                candidates.filter(|value| glob.matches(self.text(*value))).map(|value| value..value + 1).collect()
            }
            Pattern::Contains(part) => self.find_part(part, pattern),
        }
    }

    fn find_part(&self, part: &str, pattern: &Pattern) -> Vec<Range<u32>> {
        if part.is_empty() {
            let all = 0..self.len();
            return vec![all];
        }
        let mut values = Vec::new();
        // Another alphabet's text has no place in an ASCII one; and in one that is not ASCII, the scan
        // finds less than the pattern does: `k` is there as the Kelvin sign too.
        if part.is_ascii() {
            scan(self.texts.as_bytes(), &self.ends, self.has_upper, part.as_bytes(), |value| values.push(value));
        }
        if !self.not_ascii.is_empty() {
            values.extend(self.not_ascii.iter().copied().filter(|value| pattern.matches(self.text(*value))));
            values.sort_unstable();
            values.dedup();
        }
        values.into_iter().map(|value| value..value + 1).collect()
    }

    /// All rows of some values.
    pub(crate) fn rows_of(&self, values: &[Range<u32>]) -> Cow<'_, RoaringBitmap> {
        if let [one] = values
            && one.len() == 1
        {
            return match self.posting(one.start) {
                Posting::Row(row) => Cow::Owned(bitmap_of(&[row])),
                Posting::List(rows) => Cow::Owned(bitmap_of(rows)),
                Posting::Bitmap(bitmap) => Cow::Borrowed(bitmap),
            };
        }
        let (mut loose, mut bitmaps) = (Vec::new(), Vec::new());
        for value in values.iter().cloned().flatten() {
            match self.posting(value) {
                Posting::Row(row) => loose.push(row),
                Posting::List(rows) => loose.extend_from_slice(rows),
                Posting::Bitmap(bitmap) => bitmaps.push(bitmap),
            }
        }
        let mut rows = bitmap_of_any(loose);
        if !bitmaps.is_empty() {
            rows |= bitmaps.union();
        }
        Cow::Owned(rows)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.texts.len() + size_of_val(&*self.ends) + size_of_val(&*self.not_ascii) + self.postings.memory_bytes()
    }

    fn first_past(&self, from: u32, test: impl Fn(&str) -> bool) -> u32 {
        partition(&(from..self.len()), |value| test(self.text(value)))
    }
}

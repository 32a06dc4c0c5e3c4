//! Pages of values, and of the index of those.
//!
//! A text page, version 1, numbers little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `n`: how many values, at least 1 |
//! | 4 | how many bytes the texts take |
//! | 8 | the place from which those of the postings count |
//! | 1 | 1 if a text holds an ASCII capital, plus 2 if one is not ASCII |
//! | array of ⌈n/16⌉ | where the text of every 16th value begins |
//! | array of n | how many bytes each text takes |
//! | array of n | how many rows each value has |
//! | array of n | the row of a value that has one; else how far its posting is past the place above |
//! | the rest | the texts, end to end |
//!
//! An array is: 4 bytes, the least of its numbers; 1 byte, `w`, 0 to 4; then `w` times as many bytes as it
//! has numbers: the lowest byte of what each number is above the least, the second lowest of each, and so
//! on. Like this, a number is found at once, and yet the compressor finds like bytes beside each other.

/// The values between two whose text's begin stands in the page.
const GROUP: usize = 16;
/// Flags of a page.
const HAS_UPPER: u8 = 1;
const NOT_ASCII: u8 = 2;

/// A page of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextPage<'p> {
    values: usize,
    flags: u8,
    base: u64,
    starts: Array<'p>,
    lengths: Array<'p>,
    counts: Array<'p>,
    places: Array<'p>,
    texts: &'p [u8],
}

/// What a page says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// How many rows it has.
    pub(super) count: u32,
    /// The only row, or where the posting is.
    pub(super) place: u64,
}

/// Numbers of one kind.
#[derive(Clone, Copy, Debug)]
struct Array<'p> {
    least: u32,
    /// How many numbers there are.
    length: usize,
    /// The low bytes of all, then the next ones.
    planes: &'p [u8],
}

/// A page of values in the making.
#[derive(Debug, Default)]
pub(super) struct TextPageBuilder {
    lengths: Vec<u32>,
    counts: Vec<u32>,
    places: Vec<u32>,
    texts: Vec<u8>,
    base: Option<u64>,
}

impl<'p> TextPage<'p> {
    /// Reads a page's head; `None` if it is malformed.
    pub(super) fn parse(raw: &'p [u8]) -> Option<TextPage<'p>> {
        let (values, rest) = raw.split_first_chunk()?;
        let (text_bytes, rest) = rest.split_first_chunk()?;
        let (base, rest) = rest.split_first_chunk()?;
        let (flags, rest) = rest.split_first()?;
        let values = u32::from_le_bytes(*values) as usize;
        let text_bytes = u32::from_le_bytes(*text_bytes) as usize;
        // Values are distinct, so that only one is empty; this also bounds what follows.
        if values == 0 || values > text_bytes + 1 {
            return None;
        }
        let (starts, rest) = Array::parse(rest, values.div_ceil(GROUP))?;
        let (lengths, rest) = Array::parse(rest, values)?;
        let (counts, rest) = Array::parse(rest, values)?;
        let (places, texts) = Array::parse(rest, values)?;
        let page =
            TextPage { values, flags: *flags, base: u64::from_le_bytes(*base), starts, lengths, counts, places, texts };
        (texts.len() == text_bytes).then_some(page)
    }

    /// How many values there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.values).unwrap_or(u32::MAX)
    }

    /// All texts, end to end.
    pub(super) fn texts(&self) -> &'p [u8] {
        self.texts
    }

    pub(super) fn has_upper(&self) -> bool {
        self.flags & HAS_UPPER != 0
    }

    pub(super) fn is_ascii(&self) -> bool {
        self.flags & NOT_ASCII == 0
    }

    /// The text of a value, by its place in the page.
    pub(super) fn text(&self, at: usize) -> Option<&'p [u8]> {
        self.text_at(at, self.start(at)?)
    }

    /// The text of a value that begins at a byte of the texts.
    pub(super) fn text_at(&self, at: usize, start: usize) -> Option<&'p [u8]> {
        let length = self.lengths.get(at)? as usize;
        self.texts.get(start..start.checked_add(length)?)
    }

    /// The rows of a value, by its place in the page; a value without any is malformed.
    pub(super) fn value(&self, at: usize) -> Option<Value> {
        let count = self.counts.get(at).filter(|count| *count > 0)?;
        let place = u64::from(self.places.get(at)?);
        Some(Value { count, place: if count == 1 { place } else { place.checked_add(self.base)? } })
    }

    /// The texts from a place on, each with its place in the page.
    pub(super) fn texts_from(&self, at: usize) -> impl Iterator<Item = (usize, &'p [u8])> {
        let mut start = self.start(at).unwrap_or(usize::MAX);
        (at..self.values).map_while(move |at| {
            let text = self.text_at(at, start)?;
            start += text.len();
            Some((at, text))
        })
    }

    /// Where each text ends.
    pub(super) fn ends(&self, ends: &mut Vec<u32>) {
        ends.clear();
        let lengths = (0..self.values).map_while(|at| self.lengths.get(at));
        ends.extend(lengths.scan(0_u32, |end, length| {
            *end = end.saturating_add(length);
            Some(*end)
        }));
    }

    /// How many values are before a text.
    pub(super) fn before(&self, text: &[u8]) -> u32 {
        let is_before = |at: usize| self.text(at).is_some_and(|have| have < text);
        let (mut from, mut until) = (0, self.values);
        while from < until {
            let middle = from + (until - from) / 2;
            if is_before(middle) { from = middle + 1 } else { until = middle }
        }
        u32::try_from(from).unwrap_or(u32::MAX)
    }

    fn start(&self, at: usize) -> Option<usize> {
        let mut start = self.starts.get(at / GROUP)? as usize;
        for before in at - at % GROUP..at {
            start += self.lengths.get(before)? as usize;
        }
        Some(start)
    }
}

impl<'p> Array<'p> {
    fn parse(raw: &'p [u8], length: usize) -> Option<(Array<'p>, &'p [u8])> {
        let (least, rest) = raw.split_first_chunk()?;
        let (width, rest) = rest.split_first()?;
        if *width > 4 {
            return None;
        }
        let (planes, rest) = rest.split_at_checked(length.checked_mul(usize::from(*width))?)?;
        Some((Array { least: u32::from_le_bytes(*least), length, planes }, rest))
    }

    fn get(&self, at: usize) -> Option<u32> {
        if at >= self.length {
            return None;
        }
        let mut above = 0_u32;
        for (plane, byte) in self.planes.get(at..).unwrap_or_default().iter().step_by(self.length).enumerate() {
            above |= u32::from(*byte) << (8 * plane);
        }
        Some(self.least.wrapping_add(above))
    }

    fn write(numbers: &[u32], out: &mut Vec<u8>) {
        let least = numbers.iter().copied().min().unwrap_or_default();
        let most = numbers.iter().copied().max().unwrap_or_default() - least;
        let width = (32 - most.leading_zeros()).div_ceil(8);
        out.extend_from_slice(&least.to_le_bytes());
        out.push(u8::try_from(width).unwrap_or_default());
        for plane in 0..width {
            out.extend(numbers.iter().map(|number| {
                let [byte, ..] = ((number - least) >> (8 * plane)).to_le_bytes();
                byte
            }));
        }
    }
}

impl TextPageBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The last text.
    pub(super) fn last(&self) -> &[u8] {
        let length = self.lengths.last().map_or(0, |length| *length as usize);
        self.texts.get(self.texts.len() - length..).unwrap_or_default()
    }

    /// About what the page takes with a text of so many bytes more; never less than it does.
    pub(super) fn bytes_with(&self, text_bytes: usize) -> usize {
        // The head and those of four arrays; then per value three numbers of four bytes, and one in 16.
        const HEAD_BYTES: usize = 17 + 4 * 5;
        HEAD_BYTES + 4 + self.texts.len() + text_bytes + (self.lengths.len() + 1) * 13
    }

    /// Whether a posting at this place can be named in the page.
    pub(super) fn reaches(&self, place: u64) -> bool {
        place - self.base.unwrap_or(place) <= u64::from(u32::MAX)
    }

    /// Adds a value with its only row.
    pub(super) fn push_row(&mut self, text: &str, text_bytes: u32, row: u32) {
        self.push(text, text_bytes, 1, row);
    }

    /// Adds a value with a posting; the place has to be in [reach](Self::reaches).
    pub(super) fn push_posting(&mut self, text: &str, text_bytes: u32, count: u32, place: u64) {
        let base = *self.base.get_or_insert(place);
        self.push(text, text_bytes, count, u32::try_from(place - base).unwrap_or(u32::MAX));
    }

    fn push(&mut self, text: &str, text_bytes: u32, count: u32, place: u32) {
        self.lengths.push(text_bytes);
        self.counts.push(count);
        self.places.push(place);
        self.texts.extend_from_slice(text.as_bytes());
    }

    /// Writes the page, and begins the next one.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        let upper = if self.texts.iter().any(u8::is_ascii_uppercase) { HAS_UPPER } else { 0 };
        let not_ascii = if self.texts.is_ascii() { 0 } else { NOT_ASCII };
        out.extend_from_slice(&number(self.lengths.len()));
        out.extend_from_slice(&number(self.texts.len()));
        out.extend_from_slice(&self.base.unwrap_or_default().to_le_bytes());
        out.push(upper | not_ascii);
        let mut end = 0_u32;
        let starts: Vec<u32> = self
            .lengths
            .chunks(GROUP)
            .map(|group| {
                let start = end;
                end += group.iter().sum::<u32>();
                start
            })
            .collect();
        for numbers in [&starts, &self.lengths, &self.counts, &self.places] {
            Array::write(numbers, out);
        }
        out.extend_from_slice(&self.texts);
        self.lengths.clear();
        self.counts.clear();
        self.places.clear();
        self.texts.clear();
        self.base = None;
    }
}

/// Of an index page: the number of the first value of the last text page whose seam is not after a text;
/// `Some(None)` if all are; `None` if it is malformed.
pub(super) fn starts_before(raw: &[u8], text: &[u8]) -> Option<Option<u32>> {
    let (length, rest) = raw.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (firsts, rest) = rest.split_at_checked(length.checked_mul(4)?)?;
    let (ends, seams) = rest.split_at_checked(length * 4)?;
    let number = |numbers: &[u8], at: usize| {
        numbers.get(at * 4..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes))
    };
    let (mut from, mut until) = (0, length);
    while from < until {
        let middle = from + (until - from) / 2;
        let start = middle.checked_sub(1).map_or(Some(0), |before| number(ends, before))? as usize;
        let seam = seams.get(start..number(ends, middle)? as usize)?;
        if seam <= text { from = middle + 1 } else { until = middle }
    }
    Some(from.checked_sub(1).and_then(|at| number(firsts, at)))
}

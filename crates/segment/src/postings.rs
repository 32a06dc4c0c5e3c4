//! Which rows hold each value of a dictionary.
//!
//! **Invariant:** rows of a value ascend and are distinct, and every value has at least one.

use roaring::RoaringBitmap;

use crate::SegmentError;

/// Up to so many rows are kept as a plain list: a bitmap of fewer takes more memory.
const LIST_ROWS_MAX: usize = 64;

/// The two highest bits of a reference say what the others are: a row, …
const KIND_ROW: u32 = 0;
/// … where a list begins with its length, …
const KIND_LIST: u32 = 1 << 30;
/// … or the number of a bitmap.
const KIND_BITMAP: u32 = 2 << 30;
const KIND_MASK: u32 = 3 << 30;

/// The rows of every value of a dictionary.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    /// One per value.
    references: Box<[u32]>,
    /// Lists, each after its length.
    lists: Box<[u32]>,
    bitmaps: Box<[RoaringBitmap]>,
}

/// The rows of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Posting<'p> {
    Row(u32),
    List(&'p [u32]),
    Bitmap(&'p RoaringBitmap),
}

/// Postings in the making.
#[derive(Debug, Default)]
pub(crate) struct PostingsBuilder {
    references: Vec<u32>,
    lists: Vec<u32>,
    bitmaps: Vec<RoaringBitmap>,
}

impl PostingsBuilder {
    pub(crate) fn new(values: usize) -> PostingsBuilder {
        PostingsBuilder { references: Vec::with_capacity(values), ..PostingsBuilder::default() }
    }

    /// Adds the next value's rows, which ascend.
    ///
    /// # Errors
    ///
    /// [`SegmentError::TooLarge`] if there are more rows or values than references can name.
    pub(crate) fn push(&mut self, rows: &[u32]) -> Result<(), SegmentError> {
        let reference = |kind: u32, number: usize| {
            let number = u32::try_from(number).ok().filter(|number| *number < KIND_LIST);
            let number = number.ok_or(SegmentError::TooLarge { what: "postings", max: u64::from(KIND_LIST) })?;
            Ok(kind | number)
        };
        let reference = match rows {
            [row] => reference(KIND_ROW, *row as usize)?,
            rows if rows.len() <= LIST_ROWS_MAX && self.lists.len() < KIND_LIST as usize => {
                let start = self.lists.len();
                self.lists.push(u32::try_from(rows.len()).unwrap_or_default());
                self.lists.extend_from_slice(rows);
                reference(KIND_LIST, start)?
            }
            rows => {
                let mut bitmap = bitmap_of(rows);
                bitmap.optimize();
                self.bitmaps.push(bitmap);
                reference(KIND_BITMAP, self.bitmaps.len() - 1)?
            }
        };
        self.references.push(reference);
        Ok(())
    }

    pub(crate) fn finish(self) -> Postings {
        Postings { references: self.references.into(), lists: self.lists.into(), bitmaps: self.bitmaps.into() }
    }
}

impl Postings {
    /// The rows of a value.
    pub(crate) fn get(&self, value: u32) -> Posting<'_> {
        // Values come from the dictionary that this was built with, so the empty lists are never given.
        let Some(reference) = self.references.get(value as usize).copied() else {
            return Posting::List(&[]);
        };
        let number = (reference & !KIND_MASK) as usize;
        match reference & KIND_MASK {
            KIND_ROW => Posting::Row(reference),
            KIND_LIST => {
                let length = self.lists.get(number).copied().unwrap_or_default() as usize;
                Posting::List(self.lists.get(number + 1..number + 1 + length).unwrap_or_default())
            }
            _ => self.bitmaps.get(number).map_or(Posting::List(&[]), Posting::Bitmap),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        // A bitmap is a list of containers; each has some fixed part besides what would be stored.
        let bitmaps: usize = self.bitmaps.iter().map(RoaringBitmap::serialized_size).sum();
        size_of_val(&*self.references) + size_of_val(&*self.lists) + size_of_val(&*self.bitmaps) * 3 + bitmaps
    }
}

impl Posting<'_> {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Posting::Row(_) => 1,
            Posting::List(rows) => rows.len() as u64,
            Posting::Bitmap(bitmap) => bitmap.len(),
        }
    }

    pub(crate) fn each(&self, mut each: impl FnMut(u32)) {
        match self {
            Posting::Row(row) => each(*row),
            Posting::List(rows) => rows.iter().copied().for_each(each),
            Posting::Bitmap(bitmap) => bitmap.iter().for_each(each),
        }
    }
}

/// A bitmap of ascending rows.
pub(crate) fn bitmap_of(rows: &[u32]) -> RoaringBitmap {
    RoaringBitmap::from_sorted_iter(rows.iter().copied()).unwrap_or_else(|_| rows.iter().copied().collect())
}

/// A bitmap of rows in any order, also repeated ones.
pub(crate) fn bitmap_of_any(mut rows: Vec<u32>) -> RoaringBitmap {
    let max = rows.iter().copied().max().unwrap_or_default() as usize;
    if rows.len() > 1_024 && rows.len() > max / 64 {
        // Setting bits beats sorting where many are set.
        let mut bits = vec![0_u8; max / 8 + 1];
        for row in rows {
            if let Some(byte) = bits.get_mut(row as usize / 8) {
                *byte |= 1 << (row % 8);
            }
        }
        return RoaringBitmap::from_lsb0_bytes(0, &bits);
    }
    rows.sort_unstable();
    rows.dedup();
    bitmap_of(&rows)
}

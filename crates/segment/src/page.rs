//! Pages: the pieces in which a segment is written and read.
//!
//! **Invariant:** a page that a source gives is what was written at that place, or the source answers
//! an error.
//! **Invariant:** no page is larger than [`PAGE_BYTES_MAX`], unless one event alone is.

use std::sync::Arc;

use crate::SegmentError;

/// The largest page before compression, in bytes.
pub(crate) const PAGE_BYTES_MAX: usize = 64 * 1024;

/// Where a page lies in its segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageRef {
    /// Its first byte; for a segment in memory the number of the page.
    pub offset: u64,
    /// How many bytes it takes there.
    pub stored_bytes: u32,
}

/// How a page's content is best written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form<'f> {
    /// As it is: it would not get smaller.
    Plain,
    /// Compressed if that makes it smaller: dictionaries and the like.
    Index,
    /// Compressed: events. The last bytes are random ones and stay as they are.
    Text {
        /// How many bytes at the end are random.
        random_bytes: usize,
    },
    /// Arrays of little-endian unsigned numbers, one after the other, each with as many numbers as the
    /// others; nothing else is in the page.
    Numbers(&'f [Column]),
}

/// One array of numbers in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// The bytes of each number: 1, 2, 4 or 8.
    pub width: u8,
    /// Whether neighbours lie close together, so that their differences are written.
    pub near: bool,
}

/// Gives the prefix with a number.
pub type Prefixes<'p> = dyn Fn(u16) -> Result<Arc<[u8]>, SegmentError> + 'p;

/// Gives pages, from memory or from wherever the segment lies.
pub trait Source: Send + Sync {
    /// A page's content.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Corrupt`] if it is not what was written; [`SegmentError::Unreadable`] if it
    /// can't be had now; [`SegmentError::Late`] if the query's time is over.
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError>;

    /// The content of a page of events, which may have been packed after a prefix; `prefix` gives the one
    /// with a number.
    ///
    /// # Errors
    ///
    /// As for [`Source::page`], and those of `prefix`.
    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError>;

    /// A page as it is written, to be taken over into another segment: a codec and its payload.
    ///
    /// # Errors
    ///
    /// As for [`Source::page`].
    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError>;
}

/// Takes pages, one after the other.
pub(crate) trait Sink {
    /// Writes a page.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Compression`], or [`SegmentError::Unwritable`].
    fn page(&mut self, raw: &[u8], form: Form) -> Result<PageRef, SegmentError>;

    /// Whether it packs texts after prefixes.
    fn takes_prefixes(&self) -> bool;

    /// Packs texts after a prefix from here on, if it takes prefixes; readers know it by its number.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Compression`].
    fn set_prefix(&mut self, number: u16, content: &[u8]) -> Result<(), SegmentError>;

    /// Writes a page of another segment as it is.
    ///
    /// # Errors
    ///
    /// As for [`Sink::page`].
    fn adopt(&mut self, page: &Packed) -> Result<PageRef, SegmentError>;
}

/// A page as it is written, without what binds it to its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// How the payload was made.
    pub(crate) codec: crate::codec::Codec,
    /// The page's size before compression, in bytes.
    pub(crate) raw_bytes: u32,
    pub(crate) payload: Arc<[u8]>,
}

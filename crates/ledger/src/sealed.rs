//! Sealed segments: what the journal says of each, and reading them by page.
//!
//! **Invariant:** a blob is deleted only when the journal doesn't name it any more and nobody reads it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annals_segment::{Bytes, Cause, Packed, PageRef, Prefixes, Segment, SegmentError, Source, Written};
use annals_store::{Blobs, PageCache, PageKey};
use serde::{Deserialize, Serialize};

use crate::health::Trouble;

/// What the journal keeps of a sealed segment, under the name of its blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Descriptor {
    /// The blob's length in bytes.
    pub(crate) bytes: u64,
    /// The checksum of its footer, in hex: whether the blob is the one that was registered.
    pub(crate) footer: String,
    pub(crate) rows: u32,
    /// The first event's position.
    pub(crate) first: u64,
    /// The position after the last event's.
    pub(crate) end: u64,
}

/// A sealed segment.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) name: String,
    pub(crate) descriptor: Descriptor,
    /// Read through the cache.
    segment: Segment,
    /// The same without a cache, for whoever reads all of it once.
    whole: Segment,
    blob: u64,
}

/// Where sealed segments lie, and what was read of them last.
pub(crate) struct Shelf {
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) cache: Arc<PageCache>,
    next_blob: AtomicU64,
    /// The last segment in which damage was met.
    pub(crate) damage: Arc<Trouble>,
    /// Blobs that nobody names, and that are still to be deleted.
    discarded: Mutex<Vec<String>>,
}

impl Descriptor {
    pub(crate) fn of(written: &Written, segments: &[Segment]) -> Descriptor {
        Descriptor {
            bytes: written.bytes,
            footer: hex(written.checksum),
            rows: segments.iter().map(Segment::len).sum(),
            first: segments.first().map_or(0, |segment| segment.positions().start),
            end: segments.last().map_or(0, |segment| segment.positions().end),
        }
    }

    /// # Errors
    ///
    /// If it has another form than a descriptor has.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Descriptor, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Numbers and a text of hex digits always have a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Shelf {
    pub(crate) fn new(blobs: Arc<dyn Blobs>, cache_bytes: usize) -> Shelf {
        Shelf {
            blobs,
            cache: Arc::new(PageCache::new(cache_bytes)),
            next_blob: AtomicU64::new(0),
            damage: Arc::default(),
            discarded: Mutex::default(),
        }
    }

    /// Opens a sealed segment: reads its footer.
    ///
    /// # Errors
    ///
    /// As for all reading of segments; [`SegmentError::Corrupt`] too if the blob is another one than the
    /// descriptor says.
    pub(crate) fn open(&self, name: &str, descriptor: Descriptor) -> Result<Sealed, SegmentError> {
        let bytes = Blob { blobs: Arc::clone(&self.blobs), name: name.into() };
        let whole = Segment::open(bytes, descriptor.bytes)?;
        if whole.checksum().map(hex) != Some(descriptor.footer.clone())
            || whole.len() != descriptor.rows
            || whole.positions() != (descriptor.first..descriptor.end)
        {
            let page = PageRef { offset: descriptor.bytes, stored_bytes: 0 };
            let what = "it is another segment than the journal names";
            return Err(SegmentError::Corrupt { section: "the footer", page, what });
        }
        let blob = self.next_blob.fetch_add(1, Ordering::Relaxed);
        let cache = Arc::clone(&self.cache);
        let (name, damage) = (Arc::from(name), Arc::clone(&self.damage));
        let whole = whole.through(|inner| Arc::new(Watched { inner, name: Arc::clone(&name), damage }));
        let segment = whole.through(|inner| Arc::new(Cached { blob, inner, cache }));
        Ok(Sealed { name: name.to_string(), descriptor, segment, whole, blob })
    }

    /// Deletes a blob that nobody names; what can't be deleted now is tried again before the next one is
    /// written, so that no failing disk fills up with them.
    pub(crate) fn discard(&self, name: String) {
        self.lock_discarded().push(name);
        self.delete_discarded();
    }

    /// Deletes what could not be deleted before.
    pub(crate) fn delete_discarded(&self) {
        self.lock_discarded().retain(|name| {
            let deleted = self.blobs.delete(name);
            if let Err(error) = &deleted {
                let error = crate::sequencer::chain(error);
                tracing::warn!(blob = %name, %error, "a blob that nobody names can't be deleted: it is tried again");
            }
            deleted.is_err()
        });
    }

    fn lock_discarded(&self) -> MutexGuard<'_, Vec<String>> {
        self.discarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was read of a segment.
    pub(crate) fn forget(&self, sealed: &Sealed) {
        self.cache.forget(sealed.blob);
    }
}

impl Sealed {
    /// The segment, read through the cache.
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// The segment for whoever reads all of it once, through a cache of their own.
    pub(crate) fn whole(&self, cache: &Arc<PageCache>) -> Segment {
        let cache = Arc::clone(cache);
        self.whole.through(|inner| Arc::new(Cached { blob: self.blob, inner, cache }))
    }
}

/// The cache of whoever reads all of some segments once.
pub(crate) fn pages_read_once() -> Arc<PageCache> {
    Arc::new(PageCache::new(READ_ONCE_BYTES))
}

fn hex(checksum: u64) -> String {
    format!("{checksum:016x}")
}

/// The cache of whoever reads all of some segments once: enough for the pages that are read at the same time,
/// also where as many segments as are ever merged are.
const READ_ONCE_BYTES: usize = 16 * 1024 * 1024;

/// A blob as a segment reads it.
struct Blob {
    blobs: Arc<dyn Blobs>,
    name: Arc<str>,
}

impl Bytes for Blob {
    fn read(&self, range: std::ops::Range<u64>) -> Result<Vec<u8>, Cause> {
        self.blobs.read(&self.name, range).map_err(|error| Arc::new(error) as Cause)
    }
}

/// Pages of which damage is told, with the name of their segment.
struct Watched {
    inner: Arc<dyn Source>,
    name: Arc<str>,
    damage: Arc<Trouble>,
}

impl Watched {
    fn tell<T>(&self, read: Result<T, SegmentError>) -> Result<T, SegmentError> {
        if let Err(error @ SegmentError::Corrupt { .. }) = &read {
            let name = &self.name;
            tracing::error!(segment = %name, %error, "a segment is damaged: restore it from a backup");
            self.damage.set(Some(format!("segment {name} is damaged: restore it from a backup")));
        }
        read
    }
}

impl Source for Watched {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        self.tell(self.inner.page(at))
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        // The prefix was read through this too, and told of.
        let text = self.inner.text(at, prefix);
        if matches!(&text, Err(SegmentError::Corrupt { page, .. }) if *page != at) { text } else { self.tell(text) }
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.tell(self.inner.packed(at))
    }
}

/// Pages with a cache before them.
struct Cached {
    blob: u64,
    inner: Arc<dyn Source>,
    cache: Arc<PageCache>,
}

impl Source for Cached {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        self.cache.get_or_load(PageKey { blob: self.blob, offset: at.offset }, || self.inner.page(at))
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        // A prefix is a page that needs no other, so nobody waits for somebody who waits for them.
        self.cache.get_or_load(PageKey { blob: self.blob, offset: at.offset }, || self.inner.text(at, prefix))
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.inner.packed(at)
    }
}

//! The cache of pages that were read from blobs.
//!
//! **Invariant:** its values, with what is kept about them, never take more than its capacity.
//! **Invariant:** a load that failed is not remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// What the cache keeps about a page, beside it: key, counters, its place in queue and table.
const ENTRY_BYTES: usize = 128;
/// What a page has, about; a wrong guess costs some speed.
const PAGE_BYTES_USUAL: usize = 40 * 1024;
/// Parts that are locked apart from each other, at most; where pages are few, there are fewer.
const PARTS: usize = 16;

/// Pages in memory, the most useful ones.
#[derive(Debug)]
pub struct PageCache {
    pages: Cache<PageKey, Arc<[u8]>, Bytes>,
    hit_count: AtomicU64,
    miss_count: AtomicU64,
}

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// A number of the blob that no other one ever has.
    pub blob: u64,
    /// Where the page begins in the blob.
    pub offset: u64,
}

/// How the cache fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStats {
    /// Pages that were there, or were just being loaded by somebody else.
    pub hit_count: u64,
    /// Loads, those that failed included.
    pub miss_count: u64,
    /// What the cache holds now, with what it keeps about it.
    pub bytes: u64,
}

impl PageCache {
    /// An empty cache. A page that is larger than a sixteenth of the capacity may not be kept.
    #[must_use]
    pub fn new(capacity_bytes: usize) -> Self {
        let options = OptionsBuilder::new()
            .shards(PARTS)
            .estimated_items_capacity(capacity_bytes / PAGE_BYTES_USUAL)
            // A multiple, as each part rounds up.
            .weight_capacity((capacity_bytes / PARTS * PARTS) as u64)
            .build();
        let pages = match options {
            Ok(options) => {
                Cache::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
            }
            // Only where a number is missing above.
            Err(_) => Cache::with_weighter(0, 0, Bytes),
        };
        Self { pages, hit_count: AtomicU64::new(0), miss_count: AtomicU64::new(0) }
    }

    /// The page, from the cache or else from `load`, which must not ask for the same page again. Of
    /// several that ask for a page at the same time one loads it and the others wait.
    ///
    /// # Errors
    /// Those of `load`; the next one to ask loads again.
    pub fn get_or_load<E>(&self, key: PageKey, load: impl FnOnce() -> Result<Arc<[u8]>, E>) -> Result<Arc<[u8]>, E> {
        let mut is_hit = true;
        let page = self.pages.get_or_insert_with(&key, || {
            is_hit = false;
            load()
        });
        let count = if is_hit { &self.hit_count } else { &self.miss_count };
        count.fetch_add(1, Ordering::Relaxed);
        page
    }

    /// Lets go of all pages of a blob, such as one that was deleted. One that is just being loaded may
    /// still come in; since the number is never used again it only has to make place for others in time.
    pub fn forget(&self, blob: u64) {
        self.pages.retain(|key, _| key.blob != blob);
    }

    /// How the cache fares.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hit_count: self.hit_count.load(Ordering::Relaxed),
            miss_count: self.miss_count.load(Ordering::Relaxed),
            bytes: self.pages.weight(),
        }
    }
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<PageKey, Arc<[u8]>> for Bytes {
    fn weight(&self, _: &PageKey, page: &Arc<[u8]>) -> u64 {
        (page.len() + ENTRY_BYTES) as u64
    }
}

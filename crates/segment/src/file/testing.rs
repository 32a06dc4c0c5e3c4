//! A segment's pages in memory and in a file of bytes, for tests of what is written in them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::memory::MemoryPages;

/// Bytes in the place of a file.
impl Bytes for Arc<[u8]> {
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Cause> {
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).expect("small"));
        Ok(self[start..end.min(self.len())].to_vec())
    }
}

/// What is written by `build` and `footer`, as a file.
pub(crate) fn file<T>(build: impl FnOnce(&mut dyn Sink) -> T, footer: &[u8]) -> (T, Vec<u8>, Written) {
    let mut bytes = Vec::new();
    let write = |part: &[u8]| {
        bytes.extend_from_slice(part);
        Ok(())
    };
    let mut writer = FileWriter::new(write, 0x5eed).expect("memory");
    let built = build(&mut writer);
    let written = writer.finish(footer).expect("memory");
    (built, bytes, written)
}

/// What `build` writes: in memory, in memory with texts compressed, and in a file.
pub(crate) fn everywhere<T>(build: impl Fn(&mut dyn Sink) -> T) -> Vec<(T, Arc<dyn Source>)> {
    let mut all: Vec<(T, Arc<dyn Source>)> = Vec::new();
    for compress_text in [false, true] {
        let mut pages = MemoryPages::building(compress_text).expect("memory");
        let built = build(&mut pages);
        all.push((built, pages.finish()));
    }
    let (built, bytes, written) = file(build, b"footer");
    let (source, footer) = FileSource::open(Arc::<[u8]>::from(bytes), written.bytes).expect("whole");
    assert_eq!(footer, b"footer");
    all.push((built, Arc::new(source)));
    all
}

/// Any bytes in the place of every page.
pub(crate) struct Anything(pub(crate) Arc<[u8]>);

impl Source for Anything {
    fn page(&self, _: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        Ok(self.0.clone())
    }

    fn text(&self, at: PageRef, _: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        self.page(at)
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        Err(SegmentError::corrupt("a page", at, "there is none"))
    }
}

/// Counts how many pages are read.
pub(crate) struct Counting {
    inner: Arc<dyn Source>,
    pages: AtomicUsize,
}

impl Counting {
    pub(crate) fn new(inner: Arc<dyn Source>) -> Counting {
        Counting { inner, pages: AtomicUsize::new(0) }
    }

    /// How many were, so far.
    pub(crate) fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }

    fn inner(&self) -> &dyn Source {
        self.pages.fetch_add(1, Ordering::Relaxed);
        &*self.inner
    }
}

impl Source for Counting {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        self.inner().page(at)
    }

    fn text(&self, at: PageRef, prefix: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        self.inner().text(at, prefix)
    }

    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        self.inner().packed(at)
    }
}

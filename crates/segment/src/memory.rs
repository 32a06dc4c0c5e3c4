//! A segment's pages in memory.
//!
//! **Invariant:** a page in memory is never damaged: it is what was written, or there is none.

use std::sync::Arc;

use crate::SegmentError;
use crate::codec::{Codec, MEMORY_TEXT_LEVEL, Packer, unpack};
use crate::error::{ANY_PAGE, number};
use crate::page::{Form, Packed, PageRef, Prefixes, Sink, Source};

/// What a page takes beside its content, in bytes: two counters of who shares it.
const SHARE_BYTES: usize = 16;

/// Pages in memory.
#[derive(Debug)]
pub(crate) struct MemoryPages {
    pages: Box<[Page]>,
}

/// Pages in memory, in the making.
#[derive(Debug)]
pub(crate) struct MemoryBuilder {
    pages: Vec<Page>,
    /// Packs texts, if they are kept compressed.
    packer: Option<Packer>,
}

/// A page as it is kept.
#[derive(Clone, Debug)]
enum Page {
    Raw(Arc<[u8]>),
    Packed(Packed),
}

impl MemoryPages {
    /// Takes pages. Texts can be kept compressed: then they are decompressed on each read.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Compression`].
    pub(crate) fn building(compress_text: bool) -> Result<MemoryBuilder, SegmentError> {
        let packer = if compress_text { Some(Packer::new(MEMORY_TEXT_LEVEL)?) } else { None };
        Ok(MemoryBuilder { pages: Vec::new(), packer })
    }

    /// What the pages take, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let contents = self.pages.iter().map(|page| match page {
            Page::Raw(raw) => raw.len(),
            Page::Packed(packed) => packed.payload.len(),
        });
        contents.map(|bytes| bytes + SHARE_BYTES).sum::<usize>() + size_of_val(&*self.pages)
    }

    fn find(&self, at: PageRef) -> Result<&Page, SegmentError> {
        let number = usize::try_from(at.offset).ok();
        let page = number.and_then(|number| self.pages.get(number));
        page.ok_or_else(|| SegmentError::corrupt(ANY_PAGE, at, "there is no such page"))
    }
}

impl MemoryBuilder {
    /// The pages.
    pub(crate) fn finish(self) -> Arc<MemoryPages> {
        Arc::new(MemoryPages { pages: self.pages.into() })
    }

    fn push(&mut self, page: Page, bytes: usize) -> Result<PageRef, SegmentError> {
        let at = PageRef { offset: self.pages.len() as u64, stored_bytes: number(bytes, "bytes of a page")? };
        self.pages.push(page);
        Ok(at)
    }
}

impl Sink for MemoryBuilder {
    fn page(&mut self, raw: &[u8], form: Form) -> Result<PageRef, SegmentError> {
        if let (Form::Text { .. }, Some(packer)) = (form, &mut self.packer) {
            let packed = packer.pack(raw, form)?;
            return self.adopt(&packed);
        }
        self.push(Page::Raw(raw.into()), raw.len())
    }

    fn takes_prefixes(&self) -> bool {
        false
    }

    fn set_prefix(&mut self, _: u16, _: &[u8]) -> Result<(), SegmentError> {
        Ok(())
    }

    fn adopt(&mut self, page: &Packed) -> Result<PageRef, SegmentError> {
        if page.codec == Codec::Text {
            return self.push(Page::Packed(page.clone()), page.payload.len());
        }
        let raw = unpacked(page, PageRef::default())?;
        let bytes = raw.len();
        self.push(Page::Raw(raw), bytes)
    }
}

impl Source for MemoryPages {
    fn page(&self, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
        match self.find(at)? {
            Page::Raw(raw) => Ok(raw.clone()),
            Page::Packed(packed) => unpacked(packed, at),
        }
    }

    fn text(&self, at: PageRef, _: &Prefixes) -> Result<Arc<[u8]>, SegmentError> {
        self.page(at)
    }

    /// A page that is kept as it is comes as a plain one: whoever wants it smaller writes it anew.
    fn packed(&self, at: PageRef) -> Result<Packed, SegmentError> {
        match self.find(at)? {
            Page::Raw(raw) => {
                let raw_bytes = number(raw.len(), "bytes of a page")?;
                Ok(Packed { codec: Codec::Plain, raw_bytes, payload: raw.clone() })
            }
            Page::Packed(packed) => Ok(packed.clone()),
        }
    }
}

fn unpacked(page: &Packed, at: PageRef) -> Result<Arc<[u8]>, SegmentError> {
    let raw = unpack(page.codec, page.raw_bytes, &page.payload, None);
    raw.map_err(|what| SegmentError::corrupt(ANY_PAGE, at, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Column;

    #[test]
    fn pages_come_back_and_can_be_handed_on_in_every_form() {
        let raw: Vec<u8> = (0_u32..1_000).flat_map(|n| (n * 3).to_le_bytes()).collect();
        let columns = [Column { width: 4, near: true }];
        let forms = [Form::Plain, Form::Index, Form::Text { random_bytes: 12 }, Form::Numbers(&columns)];
        for compress_text in [false, true] {
            let mut builder = MemoryPages::building(compress_text).expect("memory");
            let mut handed_on = MemoryPages::building(compress_text).expect("memory");
            let mut at = forms.map(|form| builder.page(&raw, form).expect("small")).to_vec();
            let mut packer = Packer::new(MEMORY_TEXT_LEVEL).expect("memory");
            at.extend(forms.map(|form| builder.adopt(&packer.pack(&raw, form).expect("small")).expect("whole")));
            let pages = builder.finish();
            let again: Vec<PageRef> =
                at.iter().map(|at| handed_on.adopt(&pages.packed(*at).expect("there")).expect("whole")).collect();
            let handed_on = handed_on.finish();
            for (at, again) in at.into_iter().zip(again) {
                assert_eq!(*pages.page(at).expect("there"), *raw);
                assert_eq!(*handed_on.page(again).expect("there"), *raw);
                assert_eq!(pages.packed(at).expect("there"), handed_on.packed(again).expect("there"));
            }
            let error = pages.page(PageRef { offset: 8, stored_bytes: 0 }).expect_err("only eight");
            assert!(matches!(error, SegmentError::Corrupt { .. }), "{error}");
        }
    }

    #[test]
    fn texts_are_kept_compressed_where_that_is_asked_for() {
        let bytes = [false, true].map(|compress_text| {
            let mut builder = MemoryPages::building(compress_text).expect("memory");
            let at = builder.page(&[b'x'; 50_000], Form::Text { random_bytes: 0 }).expect("small");
            builder.page(&[b'x'; 1_000], Form::Index).expect("small");
            let pages = builder.finish();
            assert_eq!(*pages.page(at).expect("there"), [b'x'; 50_000]);
            pages.memory_bytes()
        });
        assert!((51_000..51_200).contains(&bytes[0]), "{}", bytes[0]);
        assert!((1_000..1_300).contains(&bytes[1]), "{}", bytes[1]);
    }
}

//! Finds the values that pass a pattern by looking through pages.

use std::ops::Range;

use annals_model::{Glob, Pattern};
use memchr::memmem;

use super::page::TextPage;
use super::{Dictionary, Loaded};
use crate::SegmentError;
use crate::contains::{Finder, scan};

/// Values that pass, as ranges.
#[derive(Default)]
struct Passed(Vec<Range<u32>>);

impl Dictionary<'_> {
    /// The values that hold a part, which is not empty; `pattern` says so of one text.
    pub(super) fn scan_part(&self, part: &str, pattern: &Pattern) -> Result<Vec<Range<u32>>, SegmentError> {
        let (mut passed, mut ends) = (Passed::default(), Vec::new());
        let mut finder: Option<Finder<'_>> = None;
        self.each_page(&(0..self.len()), |page, texts| {
            let finder = finder.get_or_insert_with(|| Finder::new(part.as_bytes(), texts.texts()));
            part_in(page, texts, finder, pattern, &mut ends, &mut passed);
        })?;
        Ok(passed.0)
    }

    /// The values among some that fit a glob.
    pub(super) fn scan_glob(&self, values: &Range<u32>, glob: &Glob) -> Result<Vec<Range<u32>>, SegmentError> {
        let (mut passed, mut ends) = (Passed::default(), Vec::new());
        let finder = memmem::Finder::new(glob.longest_part());
        self.each_page(values, |page, texts| glob_in(page, texts, &finder, glob, values, &mut ends, &mut passed))?;
        Ok(passed.0)
    }

    fn each_page(&self, values: &Range<u32>, mut each: impl FnMut(&Loaded, &TextPage<'_>)) -> Result<(), SegmentError> {
        let mut value = values.start;
        while value < values.end {
            let page = self.page_of(value)?;
            let texts = self.parse(&page)?;
            each(&page, &texts);
            let next = page.first.saturating_add(texts.len());
            if next <= value {
                return Err(self.corrupt(page.at, "a page ends before its values do"));
            }
            value = next;
        }
        Ok(())
    }
}

/// The values of a page that hold a part.
fn part_in(
    page: &Loaded,
    texts: &TextPage<'_>,
    finder: &Finder<'_>,
    pattern: &Pattern,
    ends: &mut Vec<u32>,
    passed: &mut Passed,
) {
    let mut hits: Vec<u32> = Vec::new();
    let find = |from: usize| finder.find(texts.texts(), texts.has_upper(), from);
    // Another alphabet's text has no place in an ASCII one; and in one that is not ASCII, the scan
    // finds less than the pattern does: `k` is there as the Kelvin sign too.
    if finder.part().is_ascii() && find(0).is_some() {
        texts.ends(ends);
        scan(ends, finder.part().len(), find, |at| hits.push(at));
    }
    if !texts.is_ascii() {
        for (at, text) in texts.texts_from(0).filter(|(_, text)| !text.is_ascii()) {
            if std::str::from_utf8(text).is_ok_and(|text| pattern.matches(text)) {
                hits.extend(u32::try_from(at));
            }
        }
        hits.sort_unstable();
        hits.dedup();
    }
    hits.into_iter().for_each(|at| passed.add(page.first.saturating_add(at)));
}

/// The values of a page that fit a glob, which has a text of some length somewhere.
fn glob_in(
    page: &Loaded,
    texts: &TextPage<'_>,
    finder: &memmem::Finder<'_>,
    glob: &Glob,
    wanted: &Range<u32>,
    ends: &mut Vec<u32>,
    passed: &mut Passed,
) {
    let find = |from: usize| finder.find(texts.texts().get(from..)?).map(|at| from + at);
    if find(0).is_none() {
        return;
    }
    texts.ends(ends);
    scan(ends, finder.needle().len(), find, |at| {
        let value = page.first.saturating_add(at);
        let text = texts.text(at as usize).and_then(|text| std::str::from_utf8(text).ok());
        if wanted.contains(&value) && text.is_some_and(|text| glob.matches(text)) {
            passed.add(value);
        }
    });
}

impl Passed {
    /// Adds a value, which is past all others.
    fn add(&mut self, value: u32) {
        match self.0.last_mut() {
            Some(last) if last.end == value => last.end = value + 1,
            _ => self.0.push(value..value + 1),
        }
    }
}

//! Which of many texts, laid end to end, hold a part, whatever the case of ASCII letters.
//!
//! **Invariant:** a hit lies within one text, never across the seam of two.

use memchr::memmem;

/// So many bytes of the texts tell which byte of the part is rare in them.
const SAMPLE_BYTES: usize = 4_096;

/// What finds a part in texts.
pub(crate) struct Finder<'p> {
    /// Finds it where case doesn't matter.
    plain: memmem::Finder<'p>,
    /// How it is found where case does matter, if it has letters.
    folded: Option<Folded>,
}

struct Folded {
    /// Where in the part its rarest byte stands.
    rare_at: usize,
    lower: u8,
    upper: u8,
}

/// Calls `hit` with the number of every text that holds a part of `length` bytes, in ascending order,
/// once each.
///
/// `ends` are the ends of the texts; `find` gives the first place of the part at or after another.
pub(crate) fn scan(ends: &[u32], length: usize, find: impl Fn(usize) -> Option<usize>, mut hit: impl FnMut(u32)) {
    let (mut value, mut from) = (0, 0);
    while let Some(at) = find(from) {
        value = advance(ends, value, at);
        let Some(end) = ends.get(value).map(|end| *end as usize) else { break };
        if at + length > end {
            from = at + 1;
            continue;
        }
        hit(u32::try_from(value).unwrap_or(u32::MAX));
        value += 1;
        from = end;
    }
}

/// The first text from `value` on that ends after `at`, by ever wider steps: hits lie close together.
fn advance(ends: &[u32], mut value: usize, at: usize) -> usize {
    let passed = |end: &u32| *end as usize <= at;
    let mut step = 1;
    while ends.get(value + step - 1).is_some_and(passed) {
        value += step;
        step *= 2;
    }
    let window = ends.get(value..ends.len().min(value + step)).unwrap_or_default();
    value + window.partition_point(passed)
}

impl<'p> Finder<'p> {
    /// Finds `part`, which is in lower case and not empty, in texts that are like `sample`.
    pub(crate) fn new(part: &'p [u8], sample: &[u8]) -> Finder<'p> {
        let plain = memmem::Finder::new(part);
        if !part.iter().any(u8::is_ascii_alphabetic) {
            return Finder { plain, folded: None };
        }
        let mut counts = [0_u32; 256];
        for byte in sample.iter().step_by(sample.len() / SAMPLE_BYTES + 1) {
            if let Some(count) = counts.get_mut(usize::from(byte.to_ascii_lowercase())) {
                *count += 1;
            }
        }
        let frequency = |byte: u8| counts.get(usize::from(byte.to_ascii_lowercase())).copied();
        let rare = part.iter().copied().enumerate().min_by_key(|(_, byte)| frequency(*byte));
        let (rare_at, rare) = rare.unwrap_or_default();
        let folded = Folded { rare_at, lower: rare.to_ascii_lowercase(), upper: rare.to_ascii_uppercase() };
        Finder { plain, folded: Some(folded) }
    }

    /// What it finds.
    pub(crate) fn part(&self) -> &[u8] {
        self.plain.needle()
    }

    /// Where the part first begins at `from` or later; `has_upper` says whether an ASCII capital is in
    /// the texts.
    pub(crate) fn find(&self, texts: &[u8], has_upper: bool, from: usize) -> Option<usize> {
        match &self.folded {
            Some(Folded { rare_at, lower, upper }) if has_upper => {
                let (part, rest) = (self.part(), texts.get(from + rare_at..)?);
                memchr::memchr2_iter(*lower, *upper, rest)
                    .map(|at| from + at)
                    .find(|at| texts.get(*at..at + part.len()).is_some_and(|have| have.eq_ignore_ascii_case(part)))
            }
            _ => self.plain.find(texts.get(from..)?).map(|at| from + at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], part: &str, expect: &[u32]) {
        let joined = texts.concat();
        let mut end = 0;
        let ends: Vec<u32> = texts
            .iter()
            .map(|text| {
                end += u32::try_from(text.len()).expect("short");
                end
            })
            .collect();
        let has_upper = joined.bytes().any(|byte| byte.is_ascii_uppercase());
        let mut hits = Vec::new();
        let finder = Finder::new(part.as_bytes(), joined.as_bytes());
        let find = |from| finder.find(joined.as_bytes(), has_upper, from);
        scan(&ends, part.len(), find, |value| hits.push(value));
        assert_eq!(hits, expect, "{part} in {texts:?}");
    }

    #[test]
    fn a_part_is_found_whatever_the_case() {
        check(&["GetBucket", "putbucket", "list", "BUCKET"], "bucket", &[0, 1, 3]);
        check(&["aaa", "b", "a"], "a", &[0, 2]);
        check(&["a-1", "A-1", "b-1"], "a-1", &[0, 1]);
        check(&["x1", "1x", "Y"], "1", &[0, 1]);
    }

    #[test]
    fn a_part_is_not_found_across_two_texts() {
        check(&["ab", "cd", "bc"], "bc", &[2]);
        check(&["AB", "Cd", "xBc"], "bc", &[2]);
        check(&["a", "", "", "a"], "aa", &[]);
        check(&["", "", "ab", ""], "ab", &[2]);
        check(&[], "a", &[]);
    }
}

//! Which of many texts, laid end to end, hold a part, whatever the case of ASCII letters.
//!
//! **Invariant:** a hit lies within one text, never across the seam of two.

use memchr::memmem;

/// So many bytes of the texts tell which byte of the part is rare in them.
const SAMPLE_BYTES: usize = 4_096;

/// Calls `hit` with the number of every text that holds `part`, in ascending order, once each.
///
/// `ends` are the ends of the texts in `texts`; `has_upper` says whether an ASCII capital is among
/// them. `part` is ASCII in lower case and not empty.
pub(crate) fn scan(texts: &[u8], ends: &[u32], has_upper: bool, part: &[u8], mut hit: impl FnMut(u32)) {
    let finder = Finder::new(texts, has_upper, part);
    let (mut value, mut from) = (0, 0);
    while let Some(at) = finder.find(texts, from) {
        value = advance(ends, value, at);
        let Some(end) = ends.get(value).map(|end| *end as usize) else { break };
        if at + part.len() > end {
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

enum Finder<'p> {
    /// Case doesn't matter: the part, or the texts, have one case only.
    Plain(Box<memmem::Finder<'p>>),
    Folded {
        part: &'p [u8],
        /// Where in the part its rarest byte stands.
        rare_at: usize,
        lower: u8,
        upper: u8,
    },
}

impl<'p> Finder<'p> {
    fn new(texts: &[u8], has_upper: bool, part: &'p [u8]) -> Finder<'p> {
        if !has_upper || !part.iter().any(u8::is_ascii_alphabetic) {
            return Finder::Plain(Box::new(memmem::Finder::new(part)));
        }
        let mut counts = [0_u32; 256];
        for byte in texts.iter().step_by(texts.len() / SAMPLE_BYTES + 1) {
            if let Some(count) = counts.get_mut(usize::from(byte.to_ascii_lowercase())) {
                *count += 1;
            }
        }
        let frequency = |byte: u8| counts.get(usize::from(byte.to_ascii_lowercase())).copied();
        let rare = part.iter().copied().enumerate().min_by_key(|(_, byte)| frequency(*byte));
        let (rare_at, rare) = rare.unwrap_or_default();
        Finder::Folded { part, rare_at, lower: rare.to_ascii_lowercase(), upper: rare.to_ascii_uppercase() }
    }

    /// Where the part first begins at `from` or later.
    fn find(&self, texts: &[u8], from: usize) -> Option<usize> {
        match self {
            Finder::Plain(finder) => finder.find(texts.get(from..)?).map(|at| from + at),
            Finder::Folded { part, rare_at, lower, upper } => {
                let rest = texts.get(from + rare_at..)?;
                memchr::memchr2_iter(*lower, *upper, rest)
                    .map(|at| from + at)
                    .find(|at| texts.get(*at..at + part.len()).is_some_and(|have| have.eq_ignore_ascii_case(part)))
            }
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
        scan(joined.as_bytes(), &ends, has_upper, part.as_bytes(), |value| hits.push(value));
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

//! What a filter's value asks of a text.

use crate::{Fault, limits};

/// A test of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The same text.
    Exact(String),
    /// Holds this text, which is in lower case, whatever the case.
    Contains(String),
    /// Fits a glob.
    Glob(Glob),
}

/// A text with gaps: `*` stands for any characters, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// What lies between the stars; always at least two, the first and the last may be empty.
    parts: Vec<String>,
}

impl Pattern {
    /// Reads a native filter value without its `!`: `~` contains, `=` exactly what follows, `*`
    /// makes it a glob.
    ///
    /// # Errors
    ///
    /// A limit fault if the value is too long.
    pub fn parse(text: &str) -> Result<Pattern, Fault> {
        if text.len() > limits::FILTER_VALUE_BYTES_MAX {
            return Err(Fault::limit("bytes of a filter value", limits::FILTER_VALUE_BYTES_MAX, text.len()));
        }
        Ok(if let Some(part) = text.strip_prefix('~') {
            Pattern::contains(part)
        } else if let Some(exact) = text.strip_prefix('=') {
            Pattern::Exact(exact.to_owned())
        } else if text.contains('*') {
            Pattern::Glob(Glob::parse(text))
        } else {
            Pattern::Exact(text.to_owned())
        })
    }

    /// Holds `part`, whatever the case.
    #[must_use]
    pub fn contains(part: &str) -> Pattern {
        Pattern::Contains(part.to_lowercase())
    }

    /// Begins with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &str) -> Pattern {
        Pattern::Glob(Glob { parts: vec![prefix.to_owned(), String::new()] })
    }

    /// Whether a text passes.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(exact) => exact == text,
            Pattern::Contains(part) => contains_lower(text, part),
            Pattern::Glob(glob) => glob.matches(text),
        }
    }

    /// An unambiguous text for fingerprints.
    pub(crate) fn describe(&self, out: &mut Vec<u8>) {
        let (kind, text) = match self {
            Pattern::Exact(text) => (b'=', text.clone()),
            Pattern::Contains(text) => (b'~', text.clone()),
            Pattern::Glob(glob) => (b'*', glob.parts.join("\u{0}*")),
        };
        out.push(kind);
        out.extend_from_slice(text.len().to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(text.as_bytes());
    }
}

impl Glob {
    /// Reads a glob; every `*` is a gap.
    #[must_use]
    pub fn parse(text: &str) -> Glob {
        let mut parts: Vec<String> = text.split('*').map(str::to_owned).collect();
        if parts.len() == 1 {
            parts.push(String::new());
        }
        Glob { parts }
    }

    /// What every text that fits begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    /// The longest text that every one that fits holds after the prefix.
    #[must_use]
    pub fn longest_part(&self) -> &str {
        self.parts.iter().skip(1).max_by_key(|part| part.len()).map_or("", String::as_str)
    }

    /// Whether every text with the prefix fits.
    #[must_use]
    pub fn is_prefix_only(&self) -> bool {
        self.parts.iter().skip(1).all(String::is_empty)
    }

    /// Whether a whole text fits, in time proportional to its length times the parts'.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some((last, parts)) = self.parts.split_last() else {
            return false;
        };
        let Some((first, middle)) = parts.split_first() else {
            return text == last;
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in middle {
            // The leftmost place leaves the most room for what follows, so no other need be tried.
            let Some(at) = rest.find(part.as_str()) else {
                return false;
            };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        rest.ends_with(last.as_str())
    }
}

/// Whether the lower-case form of `text` holds `part`, which is in lower case.
fn contains_lower(text: &str, part: &str) -> bool {
    if text.is_ascii() {
        if part.is_empty() {
            return true;
        }
        let part = part.as_bytes();
        return text.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    }
    text.to_lowercase().contains(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, text: &str, expect: bool) {
        assert_eq!(Pattern::parse(value).expect("short").matches(text), expect, "{value} on {text}");
    }

    #[test]
    fn a_plain_value_is_the_same_text() {
        check("a", "a", true);
        check("a", "A", false);
        check("", "", true);
        check("a", "ab", false);
    }

    #[test]
    fn a_tilde_means_contains_whatever_the_case() {
        check("~BUCKET", "GetBucketPolicy", true);
        check("~é", "CAFÉ", true);
        check("~k", "\u{212a}elvin", true);
        check("~a*b", "xa*by", true);
        check("~a*b", "xaby", false);
        check("~", "", true);
    }

    #[test]
    fn an_equals_sign_takes_what_follows_as_it_is() {
        check("=~a", "~a", true);
        check("=a*", "a*", true);
        check("=a*", "ab", false);
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (glob, text, expect) in [
            ("flag.*", "flag.update", true),
            ("flag.*", "flag", false),
            ("*", "", true),
            ("*.update", "flag.update", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXcXb", false),
            ("**", "x", true),
            ("*é*", "né!", true),
            ("Flag.*", "flag.update", false),
        ] {
            check(glob, text, expect);
        }
    }

    #[test]
    fn a_value_has_a_limit() {
        assert!(Pattern::parse(&"x".repeat(limits::FILTER_VALUE_BYTES_MAX)).is_ok());
        assert!(Pattern::parse(&"x".repeat(limits::FILTER_VALUE_BYTES_MAX + 1)).is_err());
    }
}

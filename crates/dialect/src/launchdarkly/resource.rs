//! Resource specifiers: how an event's targets are written as such, and what one says of its
//! last segment.
//!
//! # Source
//!
//! «About the resource specifier syntax»: `kind/name;tag,tag`, joined by `:`; `acct` alone.
//!
//! # Incomplete support
//!
//! Specifiers are shown, not matched.

use annals_model::Target;

/// The resource that is the whole account.
pub(crate) const ACCOUNT: &str = "acct";

/// What the last segment of a specifier names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'s> {
    /// Such as `flag`.
    pub(crate) kind: &'s str,
    /// Such as `new-checkout`; empty where the kind stands alone.
    pub(crate) name: &'s str,
}

/// A target as a specifier, if it has a type and an id, or at least a name.
pub(crate) fn of_target(target: &Target) -> Option<String> {
    let id = target.id.as_ref().filter(|id| !id.is_empty());
    let name = id.or(target.name.as_ref().filter(|name| !name.is_empty()))?;
    let kind = target.kind.as_ref().filter(|kind| !kind.is_empty())?;
    Some(format!("{}/{}", escape(kind), escape(name)))
}

/// The last segment of a specifier, without its tags.
pub(crate) fn last_segment(specifier: &str) -> Segment<'_> {
    // A `{property:value}` holds a colon that separates nothing.
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, byte) in specifier.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    let segment = specifier.get(start..).unwrap_or_default();
    let bare = segment.split_once(';').map_or(segment, |(bare, _)| bare);
    let (kind, name) = bare.split_once('/').unwrap_or((bare, ""));
    Segment { kind, name }
}

/// Percent-encodes what has a meaning in a specifier.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ':' => out.push_str("%3A"),
            ';' => out.push_str("%3B"),
            ',' => out.push_str("%2C"),
            '/' => out.push_str("%2F"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_its_type_and_its_id_or_name_with_separators_escaped() {
        let check = |parts: [Option<&str>; 3], expect: Option<&str>| {
            let [kind, id, name] = parts.map(|part| part.map(str::to_owned));
            assert_eq!(of_target(&Target { kind, id, name }).as_deref(), expect, "{parts:?}");
        };
        check([Some("flag"), Some("new"), Some("New")], Some("flag/new"));
        check([Some("flag"), None, Some("New one")], Some("flag/New one"));
        check([Some("flag"), Some(""), Some("New")], Some("flag/New"));
        check(
            [Some("AWS::S3::Bucket"), Some("arn:aws:s3:::b/k;v,é*"), None],
            Some("AWS%3A%3AS3%3A%3ABucket/arn%3Aaws%3As3%3A%3A%3Ab%2Fk%3Bv%2Cé*"),
        );
        check([Some("flag"), None, None], None);
        check([None, Some("new"), Some("New")], None);
    }

    #[test]
    fn the_last_segment_names_kind_and_name_without_tags() {
        for (specifier, kind, name) in [
            ("acct", "acct", ""),
            ("proj/web:env/production:flag/new-checkout;payments", "flag", "new-checkout"),
            ("proj/web:env/production;{critical:true}", "env", "production"),
            ("proj/web:env/{critical:true}", "env", "{critical:true}"),
            ("member/a%3Ab", "member", "a%3Ab"),
            ("proj/a/b", "proj", "a/b"),
            ("", "", ""),
            ("proj/a:", "", ""),
        ] {
            assert_eq!(last_segment(specifier), Segment { kind, name }, "{specifier}");
        }
    }
}

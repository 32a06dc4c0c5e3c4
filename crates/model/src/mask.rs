//! Masking of secrets, before anything is committed to or stored.
//!
//! **Invariant:** only `request.headers`, `request.query` and `request.body` are touched, and only
//! the values under the exact names of the list, whatever their case, at any depth.

use std::collections::BTreeSet;

use crate::{Content, Value};

const NAMES: [&str; 14] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-portkey-api-key",
    "password",
    "secret",
    "client_secret",
    "token",
    "access_token",
    "refresh_token",
    "api_key",
    "private_key",
];
const SHOWN_CHARS: usize = 2;
const WHOLE_BELOW_CHARS: usize = 12;
const MASKED: &str = "****";

/// The names whose values are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    names: BTreeSet<String>,
}

impl Default for Mask {
    fn default() -> Mask {
        Mask { names: NAMES.iter().map(|name| (*name).to_owned()).collect() }
    }
}

impl Mask {
    /// The built-in names and more.
    #[must_use]
    pub fn with(more: impl IntoIterator<Item = String>) -> Mask {
        let mut mask = Mask::default();
        mask.names.extend(more.into_iter().map(|name| name.to_lowercase()));
        mask
    }

    /// Masks an event's secrets in place.
    pub fn apply(&self, content: &mut Content) {
        let request = &mut content.request;
        for value in [&mut request.headers, &mut request.query, &mut request.body].into_iter().flatten() {
            self.within(value);
        }
    }

    fn within(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (name, value) in object.iter_mut() {
                    if self.names.contains(&name.to_lowercase()) {
                        hide(value);
                    } else {
                        self.within(value);
                    }
                }
            }
            Value::List(list) => list.iter_mut().for_each(|value| self.within(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }
}

/// Hides a value: of a long text the ends stay, of a list each element is hidden on its own.
fn hide(value: &mut Value) {
    match value {
        Value::Null => {}
        Value::Text(text) => *text = masked(text),
        Value::List(list) => list.iter_mut().for_each(hide),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => *value = Value::from(MASKED),
    }
}

fn masked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    // What was read back and is sent again stays the same event.
    let shown = chars
        .iter()
        .take(SHOWN_CHARS)
        .copied()
        .chain(MASKED.chars())
        .chain(chars.iter().rev().take(SHOWN_CHARS).rev().copied());
    if chars.len() == 2 * SHOWN_CHARS + MASKED.len() && shown.eq(chars.iter().copied()) {
        return text.to_owned();
    }
    if chars.len() < WHOLE_BELOW_CHARS {
        return MASKED.to_owned();
    }
    let start = chars.iter().take(SHOWN_CHARS);
    let end = chars.iter().skip(chars.len() - SHOWN_CHARS);
    start.copied().chain(MASKED.chars()).chain(end.copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mask: &Mask, headers: &str, expect: &str) {
        let mut content = Content::default();
        let value = Value::parse(headers.as_bytes()).expect("JSON");
        content.request.headers = Some(value.clone());
        content.request.query = Some(value.clone());
        content.request.body = Some(value.clone());
        content.data = Some(value.clone());
        mask.apply(&mut content);
        for masked in [content.request.headers, content.request.query, content.request.body] {
            assert_eq!(
                masked.map(|value| String::from_utf8(value.canonical()).expect("UTF-8")).as_deref(),
                Some(expect)
            );
        }
        assert_eq!(content.data, Some(value));
    }

    #[test]
    fn a_long_secret_keeps_two_characters_at_each_end_and_a_short_one_none() {
        check(
            &Mask::default(),
            r#"{"Authorization":"Bearer abcdef","token":"abcdefghijk","a":"abcdefghijkl"}"#,
            r#"{"Authorization":"Be****ef","a":"abcdefghijkl","token":"****"}"#,
        );
        check(&Mask::default(), r#"{"secret":"ééééééééééé"}"#, r#"{"secret":"****"}"#);
        check(&Mask::default(), r#"{"secret":"éaaaaaaaaaaé"}"#, r#"{"secret":"éa****aé"}"#);
    }

    #[test]
    fn names_are_exact_and_stand_at_any_depth() {
        check(
            &Mask::default(),
            r#"{"my_token":"abcdefghijkl","l":[{"password":"x"}],"cookie":["abcdefghijkl",1,{"a":2}]}"#,
            r#"{"cookie":["ab****kl","****","****"],"l":[{"password":"****"}],"my_token":"abcdefghijkl"}"#,
        );
        check(
            &Mask::default(),
            r#"{"password":null,"secret":{"a":1},"token":12345}"#,
            r#"{"password":null,"secret":"****","token":"****"}"#,
        );
    }

    #[test]
    fn what_is_masked_stays_as_it_is() {
        check(&Mask::default(), r#"{"cookie":"****","token":"ab****kl"}"#, r#"{"cookie":"****","token":"ab****kl"}"#);
        check(&Mask::default(), r#"{"cookie":"ab***kl","token":"ab****klm"}"#, r#"{"cookie":"****","token":"****"}"#);
    }

    #[test]
    fn more_names_can_be_given() {
        check(
            &Mask::with(["Session-ID".into()]),
            r#"{"session-id":"x","token":"y"}"#,
            r#"{"session-id":"****","token":"****"}"#,
        );
    }
}

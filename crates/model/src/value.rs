//! JSON values as events hold them, read strictly and written in canonical form.
//!
//! **Invariant:** an [`Object`]'s keys are unique and in the order of RFC 8785 (UTF-16 code
//! units), from reading on; so writing sorts nothing.
//! **Invariant:** a number is finite, and a whole one lies within ±(2^53 − 1).
//!
//! # Source
//!
//! RFC 8259 for reading, RFC 8785 (JCS) for writing.

mod list;
mod strict;

use std::cell::{Cell, RefCell};

use serde::de::DeserializeSeed;

use crate::limits;

pub use list::ListError;
use strict::{Bounds, Strict};

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number; all that are accepted fit a double exactly.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Object(Object),
}

/// A JSON object whose keys are unique and in canonical order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(String, Value)>);

/// Why a text is not a value that an event may hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    /// What kind of error it is.
    pub kind: JsonErrorKind,
    /// What is wrong: a sentence of its own, or for what our rules refuse, one about the member.
    pub message: String,
    /// Where in the value, such as `data.list.3`; empty at the top and for broken syntax.
    pub member: String,
    /// The line of the text, from 1.
    pub line: usize,
    /// The column of the text, from 1.
    pub column: usize,
}

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// It is no JSON.
    #[default]
    Broken,
    /// It is JSON that two readers could understand differently.
    Refused,
    /// It is nested deeper than [`limits::JSON_DEPTH_MAX`].
    TooDeep,
    /// It takes more than [`limits::EVENT_BYTES_MAX`].
    TooLarge,
}

/// What is remembered of the way to an error.
#[derive(Default)]
struct Trail {
    kind: Cell<JsonErrorKind>,
    /// The members it came through, innermost first.
    members: RefCell<Vec<String>>,
    /// What the canonical text of the value takes at least.
    bytes: Cell<usize>,
}

impl Object {
    /// An empty object.
    #[must_use]
    pub fn new() -> Object {
        Object::default()
    }

    /// The members in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a member, if it is there.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&Value> {
        let at = self.find(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Sets a member, in its place in the order.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) {
        let key = key.into();
        match self.find(&key) {
            Ok(at) => {
                if let Some(slot) = self.0.get_mut(at) {
                    slot.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// The members' values, to be changed in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value)> {
        self.0.iter_mut().map(|(key, value)| (key.as_str(), value))
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(have, _)| canonical_order(have, key))
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Object {
    /// Of a key that comes twice, the last value stays.
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(members: I) -> Object {
        let mut object = Object::new();
        for (key, value) in members {
            object.insert(key, value);
        }
        object
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Value {
        Value::Object(object)
    }
}

impl Value {
    /// Reads one JSON text strictly: duplicate keys, lone surrogates, whole numbers beyond
    /// ±(2^53 − 1) however written, nesting beyond [`limits::JSON_DEPTH_MAX`], and what takes more than
    /// [`limits::EVENT_BYTES_MAX`] are refused.
    ///
    /// # Errors
    ///
    /// [`JsonError`] with the place.
    pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
        Value::read(text, Bounds::HandedIn)
    }

    /// Reads what was stored: as strictly, but whatever the limits are by now.
    ///
    /// # Errors
    ///
    /// [`JsonError`] with the place.
    pub(crate) fn parse_stored(text: &[u8]) -> Result<Value, JsonError> {
        Value::read(text, Bounds::Stored)
    }

    fn read(text: &[u8], bounds: Bounds) -> Result<Value, JsonError> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let trail = Trail::default();
        let seed = Strict { depth: 0, bounds, trail: &trail };
        let read = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
        read.map_err(|error| JsonError::new(&error, trail))
    }

    /// How deep objects and lists are nested in it: 0 for what is neither.
    #[must_use]
    pub(crate) fn depth(&self) -> usize {
        match self {
            Value::List(list) => 1 + list.iter().map(Value::depth).max().unwrap_or(0),
            Value::Object(object) => 1 + object.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => 0,
        }
    }

    /// Whether the value is `null`, `{}` or `[]`.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self {
            Value::Null => true,
            Value::List(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => false,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// The object, if it is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    /// What kind of value it is, in a reader's words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }

    /// Appends the canonical text (RFC 8785).
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(number) => write_number(*number, out),
            Value::Text(text) => write_text(text, out),
            Value::List(list) => {
                out.push(b'[');
                for (at, value) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
            Value::Object(object) => {
                out.push(b'{');
                for (at, (key, value)) in object.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_text(key, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The canonical text (RFC 8785).
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

impl JsonError {
    fn new(error: &serde_json::Error, trail: Trail) -> JsonError {
        // serde_json ends its sentence with the place, which stands in fields of its own here.
        let said = error.to_string();
        let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(before, _)| before).to_owned();
        let member = trail.members.into_inner().iter().rev().map(String::as_str).collect::<Vec<_>>().join(".");
        JsonError { kind: trail.kind.get(), message, member, line: error.line(), column: error.column() }
    }
}

/// The order of keys that RFC 8785 §3.2.3 asks for.
fn canonical_order(a: &str, b: &str) -> std::cmp::Ordering {
    // Bytes and UTF-16 units order alike but where a surrogate pair meets U+E000 to U+FFFF.
    if a.is_ascii() || b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Appends a number in the form of ECMAScript (RFC 8785 §3.2.2.3).
fn write_number(number: f64, out: &mut Vec<u8>) {
    if number.fract() == 0.0 && number.abs() <= limits::INTEGER_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, as the line above says")]
        let whole = number as i64;
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else {
        out.extend_from_slice(ryu_js::Buffer::new().format(number).as_bytes());
    }
}

/// Appends a text with the escapes of RFC 8785 §3.2.2.2 and no others.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, after)) = special.split_first() {
            write_escape(*byte, out);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            let hex = |nibble: u8| {
                if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
            };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: &str) {
        let value = Value::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(String::from_utf8(value.canonical()).expect("UTF-8"), expect);
    }

    fn refused(text: &[u8], message: &str, member: &str) {
        let error = Value::parse(text).expect_err(&String::from_utf8_lossy(text));
        assert!(error.message.contains(message), "{error:?}");
        assert_eq!(error.member, member, "{error:?}");
    }

    #[test]
    fn keys_are_written_in_the_order_of_utf_16() {
        check(r#"{"b":1,"a":{"d":2,"c":3}}"#, r#"{"a":{"c":3,"d":2},"b":1}"#);
        check(
            "{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\u{20ac}\":3,\"\\r\":4,\"1\":5}",
            "{\"\\r\":4,\"1\":5,\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}",
        );
    }

    #[test]
    fn numbers_are_written_as_ecmascript_does() {
        for (text, expect) in [
            ("-0", "0"),
            ("-0.0", "0"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("0.1", "0.1"),
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("9007199254740991", "9007199254740991"),
            ("-9007199254740991", "-9007199254740991"),
            ("4.50", "4.5"),
            ("2e-3", "0.002"),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn whole_numbers_beyond_53_bits_are_refused_however_they_are_written() {
        for text in [
            "9007199254740992",
            "-9007199254740992",
            "9007199254740993",
            "1e20",
            "1e300",
            "9007199254740992.0",
            "18446744073709551616",
            "123456789012345678901234567890",
        ] {
            refused(format!(r#"{{"data":[0,{text}]}}"#).as_bytes(), "beyond 9007199254740991", "data.1");
        }
        refused(b"1e400", "number out of range", "");
    }

    #[test]
    fn the_largest_whole_number_is_taken_on_both_sides_of_zero() {
        for number in [limits::INTEGER_MAX, -limits::INTEGER_MAX] {
            assert_eq!(Value::parse(format!("{number}").as_bytes()).expect("reads"), Value::Number(number));
        }
    }

    #[test]
    fn a_duplicate_key_is_refused_by_name_wherever_it_stands() {
        refused(br#"{"a":1,"a":1}"#, "twice", "a");
        refused(br#"{"data":[{"x":1,"y":2,"x":3}]}"#, "twice", "data.0.x");
        refused(br#"{"a":1,"\u0061":2}"#, "twice", "a");
    }

    #[test]
    fn broken_texts_are_refused() {
        refused(br#"{"a":"\ud800"}"#, "hex escape", "a");
        refused(br#"{"a":"\udc00x"}"#, "surrogate", "a");
        refused(b"{\"a\":\"\xff\"}", "unicode", "a");
        refused(b"{\"a\":\"\x01\"}", "control character", "a");
        refused(br#"{"a":1"#, "EOF", "");
        refused(br#"{"a":1} x"#, "trailing", "");
        refused(b"", "EOF", "");
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |levels: usize| format!("{}0{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Value::parse(nested(limits::JSON_DEPTH_MAX).as_bytes()).is_ok());
        let error = Value::parse(nested(limits::JSON_DEPTH_MAX + 1).as_bytes()).expect_err("too deep");
        assert!(error.message.contains("32 levels"), "{error:?}");
        assert!(Value::parse(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn an_error_says_line_and_column() {
        let error = Value::parse(b"{\"a\":1,\n \"b\":tru}").expect_err("broken");
        assert_eq!((error.line, error.column > 0), (2, true));
    }

    #[test]
    fn members_can_be_set_found_and_taken_out() {
        let mut object: Object = [("b", Value::Null), ("a", Value::Bool(true))].into_iter().collect();
        object.insert("b", Value::from("x"));
        assert_eq!(Value::from(object.clone()).canonical(), br#"{"a":true,"b":"x"}"#);
        assert_eq!(object.remove("a"), Some(Value::Bool(true)));
        assert_eq!(object.member("a"), None);
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Into::into),
            any::<f64>()
                .prop_filter("whole and large ones are refused", |n| n.is_finite() && n.abs() < 1e15)
                .prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_that_of_an_independent_writer(value in any_value()) {
            let text = serde_json::to_vec(&value).expect("writes");
            let ours = Value::parse(&text).expect("reads").canonical();
            let theirs = serde_json_canonicalizer::to_vec(&value).expect("writes");
            prop_assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
        }

        #[test]
        fn the_canonical_form_of_the_canonical_form_is_itself(value in any_value()) {
            let once = Value::parse(&serde_json::to_vec(&value).expect("writes")).expect("reads").canonical();
            prop_assert_eq!(Value::parse(&once).expect("reads").canonical(), once);
        }
    }
}

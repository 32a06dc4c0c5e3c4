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

use serde::de::{DeserializeSeed, Deserializer};

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

    /// Reads a value that lies so deep in what is handed in, as strictly; where it is refused is not told.
    ///
    /// # Errors
    ///
    /// The deserializer's.
    pub(crate) fn read_nested<'de, D: Deserializer<'de>>(deserializer: D, depth: usize) -> Result<Value, D::Error> {
        Strict { depth, bounds: Bounds::HandedIn, trail: &Trail::default() }.deserialize(deserializer)
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
    pub fn depth(&self) -> usize {
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
        // What is too large is the whole.
        let members = if trail.kind.get() == JsonErrorKind::TooLarge { Vec::new() } else { trail.members.into_inner() };
        let member = members.iter().rev().map(String::as_str).collect::<Vec<_>>().join(".");
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
    while let Some(at) = first_escaped(rest) {
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

/// Where the first byte lies that can't stand for itself.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    let escaped = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    // Eight at a time, without a branch between them, which the compiler makes into a few instructions.
    let (chunks, _) = bytes.as_chunks::<8>();
    let plain = chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |any, byte| any | escaped(byte)));
    let skipped = 8 * plain.count();
    let rest = bytes.get(skipped..).unwrap_or_default();
    rest.iter().position(escaped).map(|at| skipped + at)
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
mod tests;

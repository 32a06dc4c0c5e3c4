//! From a vendor's JSON, as its API returns it, to events: one entry, a list of them, or the whole answer
//! that holds a list.
//!
//! **Invariant:** one entry at a time is in memory besides the body and the events.

use annals_dialect::Dialect;
use annals_model::{Fault, FaultKind, Location, NewEvent, limits};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::batch::too_many;
use crate::answer;

/// Reads a body.
///
/// # Errors
///
/// An invalid-request or limit fault with the place.
pub(super) fn read(body: &[u8], dialect: &'static dyn Dialect) -> Result<Vec<NewEvent>, Fault> {
    if body.trim_ascii_start().starts_with(b"[") {
        return list(body, dialect);
    }
    let held = dialect.entries().map(|member| answer::list_of(body, member)).transpose();
    match held.map_err(|error| broken(&error))?.flatten() {
        Some(entries) => list(entries.as_bytes(), dialect),
        None => Ok(vec![entry(body, dialect).map_err(|fault| fault.at_event(0))?]),
    }
}

fn list(text: &[u8], dialect: &'static dyn Dialect) -> Result<Vec<NewEvent>, Fault> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let mut listed = Listed { dialect, events: Vec::new(), count: 0, fault: None };
    let read = deserializer.deserialize_seq(&mut listed).and_then(|()| deserializer.end());
    match (listed.fault, read) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(broken(&error).at_event(listed.count)),
        (None, Ok(())) if listed.count > limits::BATCH_EVENTS_MAX => Err(too_many(listed.count)),
        (None, Ok(())) => Ok(listed.events),
    }
}

/// Entries of a list, read one after the other; beyond the limit they are counted.
struct Listed {
    dialect: &'static dyn Dialect,
    events: Vec<NewEvent>,
    count: usize,
    fault: Option<Fault>,
}

impl<'de> Visitor<'de> for &mut Listed {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(text) = list.next_element::<&RawValue>()? {
            if self.count < limits::BATCH_EVENTS_MAX {
                match entry(text.get().as_bytes(), self.dialect) {
                    Ok(event) => self.events.push(event),
                    Err(fault) => {
                        self.fault = Some(fault.at_event(self.count));
                        return Err(de::Error::custom("an entry can't be read"));
                    }
                }
            }
            self.count += 1;
        }
        Ok(())
    }
}

/// Reads the text of one entry.
///
/// # Errors
///
/// As for [`read`].
pub(super) fn entry(text: &[u8], dialect: &dyn Dialect) -> Result<NewEvent, Fault> {
    if text.len() > limits::EVENT_BYTES_MAX {
        return Err(Fault::new(
            FaultKind::TooLarge,
            format!("the entry has more than {} bytes", limits::EVENT_BYTES_MAX),
        ));
    }
    let Distinct(entry) = serde_json::from_slice(text).map_err(|error| broken(&error))?;
    dialect.read(entry)
}

/// A value in which no object has two members of one name, of which one would be lost.
struct Distinct(Value);

struct DistinctVisitor;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Distinct, D::Error> {
        deserializer.deserialize_any(DistinctVisitor).map(Distinct)
    }
}

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(bool.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Distinct(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Distinct(value))) = object.next_entry::<String, Distinct>()? {
            if members.contains_key(&name) {
                return Err(answer::twice(&name));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

fn broken(error: &serde_json::Error) -> Fault {
    let location = Location { column: Some(error.column()), line: Some(error.line()), ..Location::default() };
    Fault::invalid(answer::wrong(error)).at(location)
}

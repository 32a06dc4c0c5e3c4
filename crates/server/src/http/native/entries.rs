//! From a vendor's JSON, as its API returns it, to events: one entry, a list of them, or the whole answer
//! that holds a list.
//!
//! **Invariant:** one entry at a time is in memory besides the body and the events.

use annals_dialect::Dialect;
use annals_model::{Fault, FaultKind, Location, NewEvent, limits};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::batch::too_many;

/// Reads a body.
///
/// # Errors
///
/// An invalid-request or limit fault with the place.
pub(super) fn read(body: &[u8], name: &str) -> Result<Vec<NewEvent>, Fault> {
    let dialect = dialect(name)?;
    match body.trim_ascii_start().first() {
        Some(b'[') => list(body, dialect),
        _ => match held(body, dialect)? {
            Some(entries) => list(entries.as_bytes(), dialect),
            None => Ok(vec![entry(body, dialect).map_err(|fault| fault.at_event(0))?]),
        },
    }
}

/// Reads the text of one entry.
///
/// # Errors
///
/// As for [`read`].
pub(super) fn read_one(text: &[u8], name: &str) -> Result<NewEvent, Fault> {
    entry(text, dialect(name)?)
}

fn dialect(name: &str) -> Result<&'static dyn Dialect, Fault> {
    annals_dialect::of_name(name).ok_or_else(|| Fault::internal("a vendor that was there is not there any more"))
}

/// The list that an answer holds; none where the body is one entry.
fn held<'b>(body: &'b [u8], dialect: &dyn Dialect) -> Result<Option<&'b str>, Fault> {
    let Some(member) = dialect.entries() else { return Ok(None) };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let found = deserializer.deserialize_map(Member(member)).and_then(|found| deserializer.end().map(|()| found));
    Ok(match found.map_err(|error| broken(&error))?.map(RawValue::get) {
        // As some write a list of nothing.
        Some("null") => Some("[]"),
        found => found.filter(|list| list.starts_with('[')),
    })
}

/// Finds one member of an object, which must not be there twice, and keeps nothing else of it.
struct Member(&'static str);

impl<'de> Visitor<'de> for Member {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Option<&'de RawValue>, A::Error> {
        let mut found = None;
        while let Some(name) = object.next_key::<String>()? {
            if name != self.0 {
                object.next_value::<IgnoredAny>()?;
            } else if found.replace(object.next_value::<&RawValue>()?).is_some() {
                return Err(de::Error::custom(format_args!("the member {name:?} stands there twice")));
            }
        }
        Ok(found)
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

fn entry(text: &[u8], dialect: &dyn Dialect) -> Result<NewEvent, Fault> {
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
                return Err(de::Error::custom(format_args!("the member {name:?} stands there twice")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

fn broken(error: &serde_json::Error) -> Fault {
    // serde_json ends its sentence with the place, which stands in fields of its own here.
    let said = error.to_string();
    let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(before, _)| before);
    let location = Location { column: Some(error.column()), line: Some(error.line()), ..Location::default() };
    Fault::invalid(format!("not valid JSON: {what}")).at(location)
}

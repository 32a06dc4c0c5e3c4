//! Reads one value from JSON, and refuses what two readers could understand differently.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{JsonErrorKind, Object, Trail, Value, canonical_order};
use crate::limits;

/// What one event's text may take while it is read. Members that say nothing, and the organization,
/// count here but not in the canonical form, which has the limit; so there is some room for them.
const READ_BYTES_MAX: usize = limits::EVENT_BYTES_MAX + 4 * 1024;

/// Reads one value; the trail gathers the way to an error, and what the value takes.
#[derive(Clone, Copy)]
pub(super) struct Strict<'t> {
    pub(super) depth: usize,
    pub(super) bounds: Bounds,
    pub(super) trail: &'t Trail,
}

/// Whether limits hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    /// They do: somebody handed it in.
    HandedIn,
    /// They held when it was stored, whatever they are now.
    Stored,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.spend("[]".len())?;
        if self.depth >= limits::JSON_DEPTH_MAX && self.bounds == Bounds::HandedIn {
            self.trail.kind.set(JsonErrorKind::TooDeep);
            return Err(E::custom(format_args!("is nested deeper than {} levels", limits::JSON_DEPTH_MAX)));
        }
        Ok(Strict { depth: self.depth + 1, ..self })
    }

    /// Counts what the canonical text takes at least, so that a small text can't become a large
    /// value: a zero and a comma are two bytes of it, and sixteen times as much in memory.
    fn spend<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let spent = self.trail.bytes.get().saturating_add(bytes);
        self.trail.bytes.set(spent);
        if spent > READ_BYTES_MAX && self.bounds == Bounds::HandedIn {
            self.trail.kind.set(JsonErrorKind::TooLarge);
            return Err(E::custom(format_args!(
                "has more than {} bytes, and no more are taken",
                limits::EVENT_BYTES_MAX
            )));
        }
        Ok(())
    }

    fn through(&self, member: impl FnOnce() -> String) {
        self.trail.members.borrow_mut().push(member());
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.spend("null".len())?;
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.spend("true".len())?;
        Ok(Value::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "what would lose precision is refused by visit_f64")]
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "what would lose precision is refused by visit_f64")]
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.spend("0".len())?;
        if !value.is_finite() || (value.fract() == 0.0 && value.abs() > limits::INTEGER_MAX) {
            self.trail.kind.set(JsonErrorKind::Refused);
            return Err(E::custom(
                "is a whole number beyond 9007199254740991 (2^53 - 1), which readers of JSON round: send it as a text",
            ));
        }
        Ok(Value::Number(if value == 0.0 { 0.0 } else { value }))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.spend(text.len() + "\"\"".len())?;
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        loop {
            match access.next_element_seed(inner) {
                Ok(Some(value)) => {
                    // The comma before the next one.
                    self.spend(usize::from(!list.is_empty()))?;
                    list.push(value);
                }
                Ok(None) => return Ok(Value::List(list)),
                Err(error) => {
                    self.through(|| list.len().to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut ordered = true;
        while let Some(key) = access.next_key::<String>()? {
            self.spend(key.len() + "\"\":".len() + usize::from(!members.is_empty()))?;
            match access.next_value_seed(inner) {
                Ok(value) => {
                    ordered &= members.last().is_none_or(|(last, _)| canonical_order(last, &key).is_lt());
                    members.push((key, value));
                }
                Err(error) => {
                    self.through(|| key);
                    return Err(error);
                }
            }
        }
        if !ordered {
            members.sort_by(|(a, _), (b, _)| canonical_order(a, b));
            if let Some([(twice, _), _]) = members.array_windows().find(|[(a, _), (b, _)]| a == b) {
                self.through(|| twice.clone());
                self.trail.kind.set(JsonErrorKind::Refused);
                return Err(A::Error::custom("is given twice in one object"));
            }
        }
        Ok(Value::Object(Object(members)))
    }
}

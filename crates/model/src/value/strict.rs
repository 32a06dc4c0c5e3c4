//! Reads one value from JSON, and refuses what two readers could understand differently.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{JsonErrorKind, Object, Trail, Value, canonical_order};
use crate::limits;

/// Reads one value; `trail` gathers, innermost first, the members an error came through.
#[derive(Clone, Copy)]
pub(super) struct Strict<'t> {
    pub(super) depth: usize,
    pub(super) trail: &'t Trail,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= limits::JSON_DEPTH_MAX {
            self.trail.kind.set(JsonErrorKind::TooDeep);
            return Err(E::custom(format_args!("is nested deeper than {} levels", limits::JSON_DEPTH_MAX)));
        }
        Ok(Strict { depth: self.depth + 1, ..self })
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

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
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
        if !value.is_finite() || (value.fract() == 0.0 && value.abs() > limits::INTEGER_MAX) {
            self.trail.kind.set(JsonErrorKind::Refused);
            return Err(E::custom(
                "is a whole number beyond 9007199254740991 (2^53 - 1), which readers of JSON round: send it as a text",
            ));
        }
        Ok(Value::Number(if value == 0.0 { 0.0 } else { value }))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        loop {
            match access.next_element_seed(inner) {
                Ok(Some(value)) => list.push(value),
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

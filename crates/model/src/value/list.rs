//! Reads a text that is one value or a list of values, each as strictly as a value alone.
//!
//! **Invariant:** how deep a value is nested counts from the value, not from the list around it.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::strict::{Bounds, Strict};
use super::{JsonError, Trail, Value};

/// Why a text is not a list of values that events may hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is broken, or one of its values is.
    #[error("{error}")]
    Json {
        /// The value, from 0, where it is one value's fault.
        value: Option<usize>,
        /// What is wrong, with the place in the whole text; the member is that of the value.
        error: JsonError,
    },
    /// There are more values than are taken.
    #[error("the list has {count} values")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl Value {
    /// Reads one JSON text that is a list of at most `values_max` values, or one value that is no
    /// list, each as by [`Value::parse`].
    ///
    /// # Errors
    ///
    /// [`ListError`] with the place.
    pub fn parse_list(text: &[u8], values_max: usize) -> Result<Vec<Value>, ListError> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let trail = Trail::default();
        let at = Cell::new(None);
        let seed = Each { values_max, at: &at, trail: &trail };
        let read = deserializer.deserialize_any(seed).and_then(|list| deserializer.end().map(|()| list));
        match read {
            Ok(list) if list.count > values_max => Err(ListError::TooMany { count: list.count }),
            Ok(list) => Ok(list.values),
            Err(error) => Err(ListError::Json { value: at.get(), error: JsonError::new(&error, trail) }),
        }
    }
}

/// The values that were kept, and how many there were.
struct Counted {
    values: Vec<Value>,
    count: usize,
}

/// Reads the outermost level; `at` is the value that is being read.
struct Each<'t> {
    values_max: usize,
    at: &'t Cell<Option<usize>>,
    trail: &'t Trail,
}

impl<'t> Each<'t> {
    fn strict(&self) -> Strict<'t> {
        // Each value has the limits to itself.
        self.trail.bytes.set(0);
        Strict { depth: 0, bounds: Bounds::HandedIn, trail: self.trail }
    }

    fn one<E>(&self, read: Result<Value, E>) -> Result<Counted, E> {
        read.map(|value| Counted { values: vec![value], count: 1 })
    }
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = Counted;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value or a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Counted, A::Error> {
        let mut list = Counted { values: Vec::new(), count: 0 };
        while list.count < self.values_max {
            self.at.set(Some(list.count));
            let Some(value) = access.next_element_seed(self.strict())? else {
                self.at.set(None);
                return Ok(list);
            };
            list.values.push(value);
            list.count += 1;
        }
        // The rest is only counted, so that a long list of nothing takes no memory.
        self.at.set(None);
        while access.next_element::<IgnoredAny>()?.is_some() {
            list.count += 1;
        }
        Ok(list)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, access: A) -> Result<Counted, A::Error> {
        self.at.set(Some(0));
        self.one(self.strict().visit_map(access))
    }

    fn visit_unit<E>(self) -> Result<Counted, E> {
        self.one(Ok(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Counted, E> {
        self.one(Ok(Value::Bool(value)))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Counted, E> {
        self.one(self.strict().visit_i64(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Counted, E> {
        self.one(self.strict().visit_u64(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Counted, E> {
        self.one(self.strict().visit_f64(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Counted, E> {
        self.one(Ok(Value::from(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn check(text: &str, expect: &[&str]) {
        let values = Value::parse_list(text.as_bytes(), 3).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let got: Vec<String> = values.iter().map(|value| String::from_utf8_lossy(&value.canonical()).into()).collect();
        assert_eq!(got, expect, "{text}");
    }

    fn refused(text: &str, value: Option<usize>, message: &str, member: &str) {
        match Value::parse_list(text.as_bytes(), 3) {
            Err(ListError::Json { value: got, error }) => {
                assert_eq!((got, error.member.as_str()), (value, member), "{text}: {error:?}");
                assert!(error.message.contains(message), "{text}: {error:?}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_list_is_read_value_by_value_and_one_value_is_a_list_of_one() {
        check(" [ ] ", &[]);
        check(r#"[{"b":1,"a":2},[3],"x"]"#, &[r#"{"a":2,"b":1}"#, "[3]", "\"x\""]);
        check(r#"{"b":1,"a":2}"#, &[r#"{"a":2,"b":1}"#]);
        for value in ["null", "true", "-1", "1", "0.5", "\"x\\n\""] {
            check(value, &[value]);
        }
    }

    #[test]
    fn an_error_names_the_value_and_the_member_within_it() {
        refused(r#"[{"a":1},{"data":{"x":1,"x":2}}]"#, Some(1), "twice", "data.x");
        refused(r#"[{"a":1},{"a":tru}]"#, Some(1), "expected", "a");
        refused(r#"{"a":1e300}"#, Some(0), "beyond", "a");
        refused(r#"[1] x"#, None, "trailing", "");
        refused("", None, "EOF", "");
        let error = Value::parse_list(b"[{},\n {\"a\":tru}]", 3).expect_err("broken");
        assert!(matches!(error, ListError::Json { value: Some(1), error } if error.line == 2));
    }

    #[test]
    fn depth_counts_from_each_value() {
        let nested = |levels: usize| format!("[{}0{}]", "[".repeat(levels), "]".repeat(levels));
        assert!(Value::parse_list(nested(limits::JSON_DEPTH_MAX).as_bytes(), 1).is_ok());
        assert!(Value::parse_list(nested(limits::JSON_DEPTH_MAX + 1).as_bytes(), 1).is_err());
        assert!(Value::parse_list(nested(100_000).as_bytes(), 1).is_err());
    }

    #[test]
    fn too_many_values_are_counted_and_refused() {
        assert_eq!(Value::parse_list(b"[1,2,3,4,5]", 3), Err(ListError::TooMany { count: 5 }));
        assert_eq!(Value::parse_list(b"[1,2,3]", 3).map(|values| values.len()), Ok(3));
    }
}

//! What any event shows where a vendor's field has no member of its own: the derivations that
//! several dialects share, and the writing of JSON.
//!
//! **Invariant:** no vendor's name is in here, and what only one vendor needs is in its folder.

use std::net::{IpAddr, Ipv4Addr};

use annals_model::{Content, Fault, Value};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// What the vendors that know two kinds of actors call a person.
pub(crate) const USER: &str = "user";
/// What the vendors that know two kinds of actors call a key.
pub(crate) const API_KEY: &str = "api_key";

/// A value as serde writes it: whole numbers without a fraction.
pub(crate) struct Json<'v>(pub(crate) &'v Value);

/// The first of some texts that says something; `""` if none does.
pub(crate) fn first<'t>(texts: impl IntoIterator<Item = &'t Option<String>>) -> &'t str {
    texts.into_iter().flatten().map(String::as_str).find(|text| !text.is_empty()).unwrap_or_default()
}

/// What happened, for people to read.
pub(crate) fn readable(content: &Content) -> &str {
    first([&content.description, &content.summary, &content.title])
}

/// The actor's kind where there are but two: [`USER`] and [`API_KEY`].
pub(crate) fn user_type(content: &Content) -> &'static str {
    match content.actor.kind.as_deref() {
        Some("api_key" | "token" | "service") => API_KEY,
        _ => USER,
    }
}

/// The client's address where only IPv4 has a place: also one that is mapped into IPv6.
pub(crate) fn ipv4(content: &Content) -> Option<Ipv4Addr> {
    match content.request.client_ip.as_ref()?.parse().ok()? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(address) => address.to_ipv4_mapped(),
    }
}

/// A value as JSON in a text.
pub(crate) fn json_text(value: &Value) -> String {
    // What was read as UTF-8 is written as UTF-8, so nothing is lost.
    String::from_utf8_lossy(&value.canonical()).into_owned()
}

/// Appends a wire type's JSON.
///
/// # Errors
///
/// An internal fault for a map whose keys are no texts; wire types have none.
pub(crate) fn write(wire: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Fault> {
    serde_json::to_writer(out, wire).map_err(|error| Fault::internal(format!("the answer can't be written: {error}")))
}

/// A wire type's JSON as a body.
///
/// # Errors
///
/// As for [`write`].
pub(crate) fn body(wire: &impl Serialize) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    write(wire, &mut out)?;
    Ok(out)
}

/// What is answered to an outcome that does not belong to the call.
pub(crate) fn unexpected_outcome() -> Fault {
    Fault::internal("the outcome is not one of the call that was made")
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(bool) => serializer.serialize_bool(*bool),
            Value::Number(number) if number.fract() == 0.0 => {
                #[expect(clippy::cast_possible_truncation, reason = "a whole number of a value lies within 2^53")]
                let whole = *number as i64;
                serializer.serialize_i64(whole)
            }
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(list) => {
                let mut sequence = serializer.serialize_seq(Some(list.len()))?;
                for value in list {
                    sequence.serialize_element(&Json(value))?;
                }
                sequence.end()
            }
            Value::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.len()))?;
                for (key, value) in object.iter() {
                    map.serialize_entry(key, &Json(value))?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use annals_model::{Actor, Request};

    use super::*;

    #[test]
    fn an_empty_text_gives_way_to_the_next() {
        let check = |texts: [Option<&str>; 3], expect: &str| {
            assert_eq!(first(texts.map(|text| text.map(str::to_owned)).iter()), expect, "{texts:?}");
        };
        check([Some("a"), Some("b"), None], "a");
        check([Some(""), None, Some("c")], "c");
        check([None, None, None], "");
    }

    #[test]
    fn machines_are_keys_and_all_else_is_a_user() {
        for (kind, expect) in [
            (Some("api_key"), API_KEY),
            (Some("token"), API_KEY),
            (Some("service"), API_KEY),
            (Some("user"), USER),
            (Some("robot"), USER),
            (None, USER),
        ] {
            let actor = Actor { kind: kind.map(str::to_owned), ..Actor::default() };
            assert_eq!(user_type(&Content { actor, ..Content::default() }), expect, "{kind:?}");
        }
    }

    #[test]
    fn an_ipv4_address_is_found_within_ipv6() {
        for (address, expect) in [
            (Some("203.0.113.1"), Some("203.0.113.1")),
            (Some("::ffff:203.0.113.1"), Some("203.0.113.1")),
            (Some("::ffff:cb00:7101"), Some("203.0.113.1")),
            (Some("2001:db8::1"), None),
            (None, None),
        ] {
            let request = Request { client_ip: address.map(str::to_owned), ..Request::default() };
            let got = ipv4(&Content { request, ..Content::default() });
            assert_eq!(got.map(|address| address.to_string()).as_deref(), expect, "{address:?}");
        }
    }

    #[test]
    fn a_value_is_written_as_it_was_read() {
        let text = br#"{"a":[1,-2.5,true,null],"b":{"c":"\u00e9\n"},"d":9007199254740991}"#;
        let value = Value::parse(text).expect("JSON");
        let expect: serde_json::Value = serde_json::from_slice(text).expect("JSON");
        let got: serde_json::Value = serde_json::from_slice(&body(&Json(&value)).expect("writes")).expect("JSON");
        assert_eq!(got, expect);
        assert_eq!(json_text(&value), "{\"a\":[1,-2.5,true,null],\"b\":{\"c\":\"é\\n\"},\"d\":9007199254740991}");
    }
}

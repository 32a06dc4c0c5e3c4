//! The list of entries that the answer of a vendor's API holds, cut out of its text.

use serde::de::{self, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The list that is an object's member of this name; none where the object holds no list there, and so is an entry
/// itself. A `null` is a list of nothing, as some write it.
///
/// # Errors
///
/// If the text is no object of JSON, or has the member twice; [`wrong`] says which.
pub(crate) fn list_of<'t>(text: &'t [u8], member: &'static str) -> serde_json::Result<Option<&'t str>> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let found = deserializer.deserialize_map(Member(member))?;
    deserializer.end()?;
    Ok(match found.map(RawValue::get) {
        Some("null") => Some("[]"),
        found => found.filter(|list| list.starts_with('[')),
    })
}

/// What is wrong with a text, without the place.
pub(crate) fn wrong(error: &serde_json::Error) -> String {
    // serde_json ends its sentence with the place.
    let said = error.to_string();
    let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(before, _)| before);
    if error.is_data() { what.to_owned() } else { format!("not valid JSON: {what}") }
}

/// What is said of an object that has two members of one name, of which one would be lost.
pub(crate) fn twice<E: de::Error>(name: &str) -> E {
    de::Error::custom(format_args!("the member {name} stands there twice"))
}

/// Finds one member of an object, and keeps nothing else of it.
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
                return Err(twice(&name));
            }
        }
        Ok(found)
    }
}

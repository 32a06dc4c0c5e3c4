//! What a vendor's entry says that the members of its event can't rebuild: kept in `vendor` under the
//! vendor's name, and put back where the event is shown as an entry again.
//!
//! `vendor.<name>` has the form of the vendor's own entry. What stands in it stands in place of what would
//! be shown, object by object, so that it can be written by hand too. Under [`NOTES`] stands what has no
//! such form, by its path as a JSON pointer (RFC 6901): `absent` lists what the entry lacked although it
//! would be shown, `numbers` what is kept as a text since no event may hold such a number, `texts` what is
//! JSON in a text and stands in its member as that text, since it is spelled in another way.
//!
//! **Invariant:** [`Vendor::restore`] of what [`Vendor::keep`] found makes the entry again, if the vendor's
//! schema allows that entry.
//! **Invariant:** nothing is put back that the schema does not allow: any event reads, whatever its
//! `vendor` holds.
//! **Invariant:** what the members rebuild is not kept: an erased member is gone.

use std::net::Ipv4Addr;

use annals_model::{Content, Fault, Filter, Object, Time, Value, limits};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::shown;

/// The member of `vendor.<name>` that is none of the entry's.
const NOTES: &str = "annals";
/// What the entry lacked.
const ABSENT: &str = "absent";
/// What is kept as a text and was a number.
const NUMBERS: &str = "numbers";
/// What is JSON in a text, and a text in the event.
const TEXTS: &str = "texts";

/// What a vendor's schema says of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// A text that is none of the server's own actions.
    Action,
    /// An IPv4 address.
    Ipv4,
    /// A time in RFC 3339.
    Time,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Bool,
    /// An object of anything.
    Anything,
    /// An object with these members, and others.
    Object(&'static [Field]),
    /// An object in which each member is this.
    Each(&'static Shape),
    /// A list.
    List(&'static Shape),
    /// This, or `null`.
    OrNull(&'static Shape),
}

/// A member of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Whether an entry must have it.
    pub(crate) required: bool,
}

/// What is known of a vendor's entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vendor {
    /// The name, in `vendor`.
    pub(crate) name: &'static str,
    /// The member that tells whose log it is: that of whoever reads it, never kept.
    pub(crate) owner: Option<&'static str>,
    /// Members of which an entry has at least one, and those of others none or few.
    pub(crate) marks: [&'static str; 2],
    /// The members of an entry.
    pub(crate) fields: &'static [Field],
    /// Members that are kept but shown elsewhere.
    pub(crate) hidden: &'static [&'static str],
    /// Whether an entry may hold `null` where its schema says nothing.
    pub(crate) nulls: bool,
}

/// An entry as it is shown: from the members alone, or with what was kept.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Entry<W> {
    Shown(W),
    Restored(Map<String, Json>),
}

pub(crate) const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

pub(crate) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

impl Vendor {
    /// An entry of an event whose members show `wire`.
    ///
    /// # Errors
    ///
    /// As for [`shown::write`].
    pub(crate) fn entry<W: Serialize>(&self, content: &Content, wire: W) -> Result<Entry<W>, Fault> {
        match self.kept(content) {
            Some(kept) if !kept.is_empty() => Ok(Entry::Restored(self.restore(object(&wire)?, kept))),
            _ => Ok(Entry::Shown(wire)),
        }
    }

    /// Whether a member of an entry is JSON in a text that stands in the event as it is.
    pub(crate) fn is_text(&self, content: &Content, name: &str) -> bool {
        let kept = self.kept(content);
        kept.is_some_and(|kept| paths(kept, TEXTS).any(|path| path.strip_prefix('/') == Some(name)))
    }

    /// The paths of all of them.
    pub(crate) fn texts_of(&self, content: &Content) -> Vec<String> {
        self.kept(content).map_or_else(Vec::new, |kept| paths(kept, TEXTS).map(str::to_owned).collect())
    }

    /// An event's `vendor` in which some members of the entry are such texts.
    pub(crate) fn texts(&self, names: &[&str]) -> Option<Value> {
        let texts = (TEXTS, names.iter().map(|name| format!("/{name}")).collect());
        self.vendor(Object::new(), [texts])
    }

    /// An event's `vendor` with what is kept and noted; none for nothing.
    fn vendor<const N: usize>(&self, mut kept: Object, notes: [(&str, Vec<String>); N]) -> Option<Value> {
        let notes = notes.into_iter().filter(|(_, paths)| !paths.is_empty());
        let notes = notes.map(|(name, paths)| (name, Value::List(paths.into_iter().map(Value::from).collect())));
        let notes: Object = notes.collect();
        if !notes.is_empty() {
            kept.insert(NOTES, Value::Object(notes));
        }
        (!kept.is_empty()).then(|| Value::Object([(self.name, Value::Object(kept))].into_iter().collect()))
    }

    /// What was kept of an event's entry.
    pub(crate) fn kept<'c>(&self, content: &'c Content) -> Option<&'c Object> {
        let vendor = content.vendor.as_ref().and_then(Value::as_object)?;
        vendor.member(self.name).and_then(Value::as_object)
    }

    /// What of an entry has to be kept, as an event's `vendor`. The members show `shown` to somebody who knows
    /// nothing else, and `again` to somebody who knows all kinds of other things: what differs in the two
    /// is not theirs.
    ///
    /// # Errors
    ///
    /// An invalid-request fault if the entry can't be one of the vendor's, or has a member of the name that notes have.
    pub(crate) fn keep(
        &self,
        mut entry: Map<String, Json>,
        [mut shown, mut again]: [Map<String, Json>; 2],
        texts: Vec<String>,
    ) -> Result<Option<Value>, Fault> {
        if entry.contains_key(NOTES) {
            let what = format!("{NOTES} is a member that no entry of {} has", self.name);
            return Err(Fault::invalid(what).at_member(NOTES));
        }
        let [mark, other] = self.marks;
        if !self.marks.iter().any(|mark| entry.contains_key(*mark)) {
            return Err(Fault::invalid(format!(
                "this is no entry of {}: it has neither {mark} nor {other}",
                self.name
            )));
        }
        if let Some(owner) = self.owner {
            for object in [&mut entry, &mut shown, &mut again] {
                object.remove(owner);
            }
        }
        let mut notes = Notes::default();
        let kept = notes.differences(&entry, &shown, &again, &mut String::new()).unwrap_or_default();
        Ok(self.vendor(kept, [(ABSENT, notes.absent), (NUMBERS, notes.numbers), (TEXTS, texts)]))
    }

    /// The entry with what was kept.
    fn restore(&self, shown: Map<String, Json>, kept: &Object) -> Map<String, Json> {
        let mut whole = Json::Object(shown.clone());
        merge(&mut whole, kept.iter().filter(|(name, _)| *name != NOTES && Some(*name) != self.owner));
        for path in paths(kept, NUMBERS) {
            if let Some(value) = whole.pointer_mut(path)
                && let Some(number) = value.as_str().and_then(|text| serde_json::from_str(text).ok())
            {
                *value = Json::Number(number);
            }
        }
        for path in paths(kept, ABSENT) {
            remove(&mut whole, path);
        }
        let Json::Object(mut whole) = whole else { return shown };
        for field in self.fields {
            let there = whole.get_mut(field.name);
            let fits = there.map_or(!field.required, |value| fit(value, &field.shape, self.nulls));
            if !fits {
                match shown.get(field.name) {
                    Some(value) => drop(whole.insert(field.name.to_owned(), value.clone())),
                    None => drop(whole.remove(field.name)),
                }
            }
        }
        // It may have been noted as absent.
        if let Some((name, owner)) = self.owner.and_then(|name| shown.get_key_value(name)) {
            whole.insert(name.clone(), owner.clone());
        }
        whole.retain(|name, value| (self.nulls || !value.is_null()) && !self.hidden.contains(&name.as_str()));
        whole
    }
}

/// The paths of one kind of notes.
fn paths<'k>(kept: &'k Object, kind: &str) -> impl Iterator<Item = &'k str> {
    let paths = match kept.member(NOTES).and_then(Value::as_object).and_then(|notes| notes.member(kind)) {
        Some(Value::List(paths)) => paths.as_slice(),
        _ => &[],
    };
    paths.iter().filter_map(Value::as_text)
}

/// What has no form of its own, by path.
#[derive(Default)]
struct Notes {
    absent: Vec<String>,
    numbers: Vec<String>,
}

impl Notes {
    /// What has to be kept of an object.
    fn differences(
        &mut self,
        entry: &Map<String, Json>,
        shown: &Map<String, Json>,
        again: &Map<String, Json>,
        path: &mut String,
    ) -> Option<Object> {
        let mut kept = Object::new();
        for (name, value) in entry {
            let length = enter(path, name);
            match (value, shown.get(name), again.get(name)) {
                (Json::Object(entry), Some(Json::Object(shown)), Some(Json::Object(again))) => {
                    if let Some(inner) = self.differences(entry, shown, again, path) {
                        kept.insert(name.as_str(), Value::Object(inner));
                    }
                }
                (value, Some(shown), Some(again)) if same(value, shown) && same(value, again) => {}
                (value, ..) => kept.insert(name.as_str(), self.taken(value, path)),
            }
            path.truncate(length);
        }
        for name in shown.keys().chain(again.keys().filter(|name| !shown.contains_key(*name))) {
            if !entry.contains_key(name) {
                let length = enter(path, name);
                self.absent.push(path.clone());
                path.truncate(length);
            }
        }
        (!kept.is_empty()).then_some(kept)
    }

    /// A value as an event may hold it.
    fn taken(&mut self, value: &Json, path: &mut String) -> Value {
        match value {
            Json::Null => Value::Null,
            Json::Bool(bool) => Value::Bool(*bool),
            Json::Number(number) => match number.as_f64() {
                Some(whole) if whole.fract() != 0.0 || whole.abs() <= limits::INTEGER_MAX => Value::Number(whole),
                _ => {
                    self.numbers.push(path.clone());
                    Value::Text(number.to_string())
                }
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(list) => {
                let mut taken = Vec::with_capacity(list.len());
                for (at, value) in list.iter().enumerate() {
                    let length = enter(path, &at.to_string());
                    taken.push(self.taken(value, path));
                    path.truncate(length);
                }
                Value::List(taken)
            }
            Json::Object(object) => {
                let mut taken = Object::new();
                for (name, value) in object {
                    let length = enter(path, name);
                    taken.insert(name.as_str(), self.taken(value, path));
                    path.truncate(length);
                }
                Value::Object(taken)
            }
        }
    }
}

/// A value as an event may hold it, if it may.
pub(crate) fn plain(value: &Json) -> Option<Value> {
    let mut notes = Notes::default();
    let taken = notes.taken(value, &mut String::new());
    notes.numbers.is_empty().then_some(taken)
}

/// A wire type as an object.
///
/// # Errors
///
/// An internal fault for a wire type that is none.
pub(crate) fn object(wire: &impl Serialize) -> Result<Map<String, Json>, Fault> {
    match serde_json::to_value(wire) {
        Ok(Json::Object(object)) => Ok(object),
        _ => Err(shown::unexpected_outcome()),
    }
}

/// Appends a name to a path; gives the length it had.
fn enter(path: &mut String, name: &str) -> usize {
    let length = path.len();
    path.push('/');
    path.push_str(&name.replace('~', "~0").replace('/', "~1"));
    length
}

/// Whether two values are the same JSON; a number is, however it is written.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || (exact(a) && a.as_f64() == b.as_f64()),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Whether a number is the same as a double.
fn exact(number: &serde_json::Number) -> bool {
    number.is_f64() || number.as_f64().is_some_and(|double| double.abs() <= limits::INTEGER_MAX)
}

/// Puts members in place of those that are there, objects member by member.
fn merge<'m>(into: &mut Json, members: impl Iterator<Item = (&'m str, &'m Value)>) {
    let Json::Object(into) = into else { return };
    for (name, value) in members {
        match (into.get_mut(name), value) {
            (Some(there @ Json::Object(_)), Value::Object(object)) => merge(there, object.iter()),
            _ => drop(into.insert(name.to_owned(), json(value))),
        }
    }
}

fn json(value: &Value) -> Json {
    // A value has only what JSON has.
    serde_json::to_value(shown::Json(value)).unwrap_or_default()
}

/// Takes away what a path leads to.
fn remove(whole: &mut Json, path: &str) {
    let Some((parent, name)) = path.rsplit_once('/') else { return };
    if let Some(Json::Object(parent)) = whole.pointer_mut(parent) {
        parent.remove(&name.replace("~1", "/").replace("~0", "~"));
    }
}

/// Takes out of a value what a schema does not allow; whether it allows what is left.
fn fit(value: &mut Json, shape: &Shape, nulls: bool) -> bool {
    match (shape, value) {
        (Shape::OrNull(_), Json::Null) | (Shape::Text, Json::String(_)) | (Shape::Bool, Json::Bool(_)) => true,
        (Shape::OrNull(shape), value) => fit(value, shape, nulls),
        (Shape::Action, Json::String(text)) => !text.starts_with(Filter::OWN_ACTIONS),
        (Shape::Time, Json::String(text)) => Time::parse(text).is_ok(),
        (Shape::Ipv4, Json::String(text)) => text.parse::<Ipv4Addr>().is_ok(),
        (Shape::OneOf(texts), Json::String(text)) => texts.contains(&text.as_str()),
        (Shape::Integer, Json::Number(number)) => !number.is_f64(),
        (Shape::Anything, Json::Object(_)) => true,
        (Shape::Object(fields), Json::Object(object)) => {
            object.retain(|_, value| nulls || !value.is_null());
            fields.iter().all(|field| match object.get_mut(field.name).map(|value| fit(value, &field.shape, nulls)) {
                Some(true) => true,
                Some(false) => {
                    object.remove(field.name);
                    !field.required
                }
                None => !field.required,
            })
        }
        (Shape::Each(shape), Json::Object(object)) => {
            object.retain(|_, value| fit(value, shape, nulls));
            true
        }
        (Shape::List(shape), Json::Array(list)) => list.iter_mut().all(|value| fit(value, shape, nulls)),
        _ => false,
    }
}

//! From an entry to an event, listed or with its details.

use annals_model::{Access, Actor, Content, Fault, NewEvent, Object, Target, Time, Value};
use serde_json::Value as Json;

use super::wire::DETAILED;
use super::{encode, resource};
use crate::read::{self, Entry};
use crate::{kept, shown};

/// What there is of `changes`.
pub(crate) const BEFORE: &str = "before";
pub(crate) const AFTER: &str = "after";
pub(crate) const PATCH: &str = "patch";
/// What there is of `data`, under the vendor's own names.
pub(crate) const TRIGGER_BODY: &str = "triggerBody";
pub(crate) const MERGE: &str = "merge";
/// The type of an actor that is an access token.
const TOKEN: &str = "token";

pub(crate) fn entry(entry: Json) -> Result<NewEvent, Fault> {
    let entry = Entry::of(entry)?;
    let accesses = accesses(&entry).unwrap_or_default();
    let action = accesses.first().map(|access| access.action.clone());
    let content = Content {
        action: read::action(action).map_err(|fault| fault.at_member("accesses.0.action"))?,
        time_occurred: milliseconds(&entry),
        actor: actor(&entry),
        targets: targets(&entry, &accesses),
        accesses,
        title: entry.text("title"),
        description: entry.text("description"),
        summary: entry.text("shortDescription"),
        reason: entry.text("comment"),
        changes: parts(&entry, [(BEFORE, "previousVersion"), (AFTER, "currentVersion"), (PATCH, "delta")]),
        data: parts(&entry, [(TRIGGER_BODY, TRIGGER_BODY), (MERGE, MERGE)]),
        ..Content::default()
    };
    let id = entry.id("_id");
    entry.finish(&DETAILED, id, content, |stranger, content| {
        kept::object(&encode::detail(&stranger.context, stranger.recorded, content))
    })
}

fn milliseconds(entry: &Entry) -> Option<Time> {
    let ms = entry.integer("date")?;
    (Time::MIN.ms()..=Time::MAX.ms()).contains(&ms).then(|| Time::from_ms(ms))
}

/// All of them, or none.
fn accesses(entry: &Entry) -> Option<Vec<Access>> {
    let list = entry.get("accesses")?.as_array()?;
    let access = |access: &Json| {
        let text = |name| access.get(name).and_then(Json::as_str).map(str::to_owned);
        Some(Access { action: text("action")?, resource: text("resource")? })
    };
    list.iter().map(access).collect()
}

/// The member, else the token, else the subject by its name.
fn actor(entry: &Entry) -> Actor {
    if entry.get("member").is_some() {
        let kind = Some(shown::USER.to_owned());
        return Actor {
            kind,
            id: entry.part("member", "_id"),
            email: entry.part("member", "email"),
            name: entry.part("subject", "name"),
        };
    }
    if entry.get("token").is_some() {
        let kind = Some(TOKEN.to_owned());
        return Actor { kind, id: entry.part("token", "_id"), name: entry.part("token", "name"), email: None };
    }
    Actor { name: entry.part("subject", "name"), ..Actor::default() }
}

/// What the entry is about, and what that belongs to.
fn targets(entry: &Entry, accesses: &[Access]) -> Vec<Target> {
    let kind = entry.text("kind");
    let segment = accesses.first().map(|access| resource::last_segment(&access.resource));
    let same = segment.filter(|segment| kind.as_deref() == Some(segment.kind) && !segment.name.is_empty());
    let about = Target { id: same.map(|segment| segment.name.to_owned()), kind, name: entry.text("name") };
    let resource = entry.part("parent", "resource");
    let segment = resource.as_deref().map(resource::last_segment);
    let of = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let above = Target {
        kind: segment.and_then(|segment| of(segment.kind)),
        id: segment.and_then(|segment| of(segment.name)),
        name: entry.part("parent", "name"),
    };
    // One that says nothing would be refused, and the other must not take its place.
    [about, above].into_iter().take_while(|target| !target.is_empty()).collect()
}

/// An object of some members of the entry.
fn parts<const N: usize>(entry: &Entry, names: [(&str, &str); N]) -> Option<Value> {
    let parts = names.into_iter().filter_map(|(name, of)| Some((name, entry.get(of).and_then(kept::plain)?)));
    let parts: Object = parts.filter(|(_, part)| *part != Value::Null).collect();
    (!parts.is_empty()).then_some(Value::Object(parts))
}

//! From an entry to an event.

use annals_model::{Actor, Content, Fault, NewEvent, Request, Target};

use super::encode::{self, BY_KEY, NONE};
use super::wire::VENDOR;
use crate::read::Entry;
use crate::{kept, shown};

/// What stands for an address that isn't known.
const NO_ADDRESS: &str = "0.0.0.0";

pub(crate) fn entry(entry: serde_json::Value) -> Result<NewEvent, Fault> {
    let entry = Entry::of(entry)?;
    let (actor, origin) = actor(&entry);
    let content = Content {
        action: entry.action("action_string")?,
        time_occurred: entry.seconds("timestamp"),
        actor,
        targets: targets(&entry),
        request: Request {
            client_ip: entry.address("ip").filter(|address| address != NO_ADDRESS),
            ..Request::default()
        },
        origin,
        description: entry.text("readable_format"),
        reason: entry.text("reason"),
        notes: entry.text("notes"),
        time_expires: entry.seconds("ttl"),
        ..Content::default()
    };
    let id = entry.id("log_id");
    entry.finish(&VENDOR, id, content, |stranger, content| {
        kept::object(&encode::entry(&stranger.context, stranger.recorded, content))
    })
}

/// Who did it, and from where: the source names a key, or what was used without one.
fn actor(entry: &Entry) -> (Actor, Option<String>) {
    let (email, id) = match entry.text("actor") {
        Some(text) if text.contains('@') => (Some(text), None),
        text => (None, text),
    };
    let source = entry.text("source");
    match source.as_deref().and_then(|source| source.strip_prefix(BY_KEY)).filter(|name| !name.is_empty()) {
        Some(name) => (Actor { kind: Some(shown::API_KEY.to_owned()), id, name: Some(name.to_owned()), email }, None),
        None => (Actor { email, id, ..Actor::default() }, source),
    }
}

/// The entities up to the first that isn't there.
fn targets(entry: &Entry) -> Vec<Target> {
    let names = ["entity", "secondary_entity", "third_entity"].into_iter().map(|name| entry.text(name));
    let there = names.map_while(|name| name.filter(|name| name != NONE));
    there.map(|name| Target { name: Some(name), ..Target::default() }).collect()
}

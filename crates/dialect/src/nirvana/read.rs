//! From an entry to an event.

use annals_model::{Actor, Content, Fault, NewEvent, Request, Target};
use serde_json::Value as Json;

use super::encode;
use super::wire::VENDOR;
use crate::kept;
use crate::read::Entry;

pub(crate) fn entry(entry: Json) -> Result<NewEvent, Fault> {
    let entry = Entry::of(entry)?;
    let target = Target { kind: entry.part("target", "type"), id: entry.part("target", "id"), name: None };
    let content = Content {
        action: entry.action("action")?,
        time_occurred: entry.time("created_at"),
        actor: Actor {
            kind: entry.part("actor", "type"),
            id: entry.part("actor", "id"),
            name: entry.part("actor", "name"),
            email: None,
        },
        targets: if target.is_empty() { Vec::new() } else { vec![target] },
        request: Request {
            method: entry.text("method"),
            path: entry.text("path"),
            status: entry.status("status_code"),
            client_ip: entry.address("client_ip"),
            user_agent: entry.text("user_agent"),
            ..Request::default()
        },
        ..Content::default()
    };
    let id = entry.id("id");
    entry.finish(&VENDOR, id, content, |stranger, content| kept::object(&encode::entry(content, stranger.recorded)))
}

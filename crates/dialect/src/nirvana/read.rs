//! From an entry to an event.

use annals_model::{Actor, Content, Fault, NewEvent, Request, Target};
use serde_json::Value as Json;

use super::encode;
use super::wire::VENDOR;
use crate::kept;
use crate::read::{Entry, text};

pub(crate) fn entry(entry: Json) -> Result<NewEvent, Fault> {
    let entry = Entry::of(entry)?;
    let part = |whole: &str, name: &str| text(entry.get(whole).and_then(|whole| whole.get(name)));
    let target = Target { kind: part("target", "type"), id: part("target", "id"), name: None };
    let content = Content {
        action: entry.action("action")?,
        time_occurred: entry.time("created_at"),
        actor: Actor { kind: part("actor", "type"), id: part("actor", "id"), name: part("actor", "name"), email: None },
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

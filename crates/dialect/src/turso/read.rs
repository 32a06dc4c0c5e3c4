//! From an entry to an event.

use annals_model::{Actor, Content, Fault, NewEvent, Request, Value};

use super::encode;
use super::wire::VENDOR;
use crate::kept;
use crate::read::Entry;

pub(crate) fn entry(entry: serde_json::Value) -> Result<NewEvent, Fault> {
    let entry = Entry::of(entry)?;
    let content = Content {
        action: entry.action("code")?,
        time_occurred: entry.time("created_at"),
        actor: Actor { name: entry.text("author"), ..Actor::default() },
        request: Request {
            client_ip: entry.address("ip"),
            country: entry.text("country_code"),
            city: entry.text("city"),
            latitude: entry.text("latitude"),
            longitude: entry.text("longitude"),
            ..Request::default()
        },
        origin: entry.text("origin"),
        description: entry.text("message"),
        data: entry
            .get("data")
            .and_then(kept::plain)
            .filter(|data| matches!(data, Value::Object(_)) && !data.is_nothing()),
        ..Content::default()
    };
    // Entries have no id of their own.
    entry.finish(&VENDOR, None, content, |stranger, content| kept::object(&encode::entry(stranger.recorded, content)))
}

//! From a record to an event.

use annals_model::{Actor, Content, Fault, NewEvent, Request, Target, Value, limits};
use serde_json::Value as Json;

use super::encode;
use super::wire::VENDOR;
use crate::kept;
use crate::read::Entry;

pub(crate) fn record(record: Json) -> Result<NewEvent, Fault> {
    let record = Entry::of(record)?;
    let mut texts = Vec::new();
    let mut json = |name: &'static str| {
        let text = record.text(name)?;
        // It comes to lie two levels down.
        let fits = |value: &Value| value.depth() + 2 <= limits::JSON_DEPTH_MAX && value.canonical() == text.as_bytes();
        let value = Value::parse(text.as_bytes()).ok().filter(fits);
        if value.is_none() {
            texts.push(name);
        }
        // In another spelling it stays the text that it is.
        Some(value.unwrap_or(Value::Text(text)))
    };
    let (query, headers, body) = (json("query_params"), json("request_headers"), json("request_body"));
    let content = Content {
        action: record.action("action")?,
        time_occurred: record.time("timestamp"),
        actor: Actor { kind: record.text("user_type"), id: record.text("user_id"), ..Actor::default() },
        targets: record
            .text("resource_type")
            .map(|kind| Target { kind: Some(kind), ..Target::default() })
            .into_iter()
            .collect(),
        request: Request {
            id: record.text("request_id"),
            method: record.text("method"),
            path: record.text("uri"),
            query,
            headers,
            body,
            status: record.status("response_status_code"),
            client_ip: record.address("client_ip"),
            country: record.text("country"),
            ..Request::default()
        },
        workspace: record.text("workspace_id"),
        vendor: VENDOR.texts(&texts),
        ..Content::default()
    };
    // Records have no id of their own: that of a request may repeat.
    record.finish(&VENDOR, None, content, |stranger, content| {
        kept::object(&encode::record(&stranger.context, stranger.recorded, content))
    })
}

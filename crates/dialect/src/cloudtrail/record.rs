//! From an event to its record.

use annals_model::{Content, Object, Time, Value};

use super::{ABSENT, VENDOR, derive};

/// Rebuilds the record that [`super::read()`] made an event's content of, in canonical order. Of an
/// event with another history it is what its members say in a record's words.
#[must_use]
pub fn record(content: &Content) -> Value {
    let mut record = content.data.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    if !was_absent(content, "eventName") {
        put(&mut record, "eventName", Some(&content.action));
    }
    if !was_absent(content, "eventID") && !content.id.is_empty() {
        put(&mut record, "eventID", Some(&content.id));
    }
    put(&mut record, "eventTime", content.time_occurred.map(Time::format_short).as_ref());
    put(&mut record, "awsRegion", content.workspace.as_ref());
    put(&mut record, "requestID", content.request.id.as_ref());
    put(&mut record, "userAgent", content.request.user_agent.as_ref());
    put(&mut record, "errorMessage", content.description.as_ref());
    identity(content, &mut record);
    source(content, &mut record);
    resources(content, &mut record);
    Value::Object(record)
}

/// Whether the record didn't have what every event has.
fn was_absent(content: &Content, name: &str) -> bool {
    let notes = content.vendor.as_ref().and_then(Value::as_object).and_then(|vendor| vendor.member(VENDOR));
    match notes.and_then(Value::as_object).and_then(|notes| notes.member(ABSENT)) {
        Some(Value::List(absent)) => absent.iter().any(|have| have.as_text() == Some(name)),
        _ => false,
    }
}

/// Puts back what was taken out. What the record has kept was not.
fn put(record: &mut Object, name: &str, text: Option<&String>) {
    if let Some(text) = text
        && record.member(name).is_none()
    {
        record.insert(name, Value::Text(text.clone()));
    }
}

fn identity(content: &Content, record: &mut Object) {
    let mut identity = match record.remove("userIdentity") {
        Some(Value::Object(identity)) => identity,
        Some(other) => {
            record.insert("userIdentity", other);
            return;
        }
        None => return,
    };
    // What is left says the same exactly where nothing was taken out.
    if derive::actor_id(&identity) != content.actor.id.as_deref() {
        put(&mut identity, "arn", content.actor.id.as_ref());
    }
    if derive::actor_name(&identity) != content.actor.name.as_deref() {
        put(&mut identity, "userName", content.actor.name.as_ref());
    }
    record.insert("userIdentity", Value::Object(identity));
}

fn source(content: &Content, record: &mut Object) {
    let (client_ip, origin) = (content.request.client_ip.as_ref(), content.origin.as_ref());
    if client_ip.is_some() {
        put(record, "sourceIPAddress", client_ip);
        put(record, "eventSource", origin);
    } else if record.member("eventSource").is_some() {
        put(record, "sourceIPAddress", origin);
    } else if derive::text(record, "sourceIPAddress").is_none() {
        put(record, "eventSource", origin);
    }
}

fn resources(content: &Content, record: &mut Object) {
    let kept = !derive::resources(record).is_empty();
    if kept || content.targets == derive::service(record) {
        return;
    }
    let Some(Value::List(mut list)) = record.remove("resources") else {
        return;
    };
    if list.len() == content.targets.len() {
        for (resource, target) in list.iter_mut().zip(&content.targets) {
            if let Value::Object(resource) = resource {
                put(resource, "type", target.kind.as_ref());
                put(resource, "ARN", target.id.as_ref());
            }
        }
    }
    record.insert("resources", Value::List(list));
}

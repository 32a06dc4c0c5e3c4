//! From events to entries.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use annals_model::{Content, Event, Fault, Time};

use super::NAME;
use super::wire::{self, VENDOR};
use crate::{Context, Stream, shown};

/// The expiry of an entry that never expires: the last second of the year 9999.
const NEVER_S: i64 = 253_402_300_799;
/// What the source begins with where a key was used.
pub(crate) const BY_KEY: &str = "API_KEY - ";
/// What stands for a second entity that isn't there.
pub(crate) const NONE: &str = "NA";
const DAY_S: i64 = 24 * 3_600;

/// How a list is answered.
pub(crate) fn stream(context: &Context) -> Stream {
    let context = context.clone();
    Stream { head: b"[", each: Box::new(move |event, out| write(&context, event, out)), separator: b",", tail: b"]" }
}

/// The body of a refusal or failure.
pub(crate) fn fault(fault: &Fault) -> Vec<u8> {
    shown::body(&wire::Error { error: &fault.message }).unwrap_or_default()
}

fn write(context: &Context, event: &Event, out: &mut Vec<u8>) -> Result<(), Fault> {
    let content = event.content()?;
    shown::write(&VENDOR.entry(&content, entry(context, event.time_recorded, &content))?, out)
}

/// What an event's members show.
pub(crate) fn entry<'e>(context: &'e Context, recorded: Time, content: &'e Content) -> wire::AuditLog<'e> {
    let actor = &content.actor;
    let entity = |at: usize| content.targets.get(at).map_or("", |target| shown::first([&target.name, &target.id]));
    let second = entity(1);
    wire::AuditLog {
        log_id: &content.id,
        customer_id: context.organization_shown(NAME),
        actor: shown::first([&actor.email, &actor.id, &actor.name]),
        timestamp: content.time_shown(recorded).s(),
        // Every action has a number from when it is recorded, so 0 marks what was never recorded.
        action: (context.action_number)(&content.action).unwrap_or(0),
        action_string: &content.action,
        source: source(content),
        entity: entity(0),
        secondary_entity: if second.is_empty() { NONE } else { second },
        third_entity: entity(2),
        readable_format: shown::readable(content),
        ip: shown::ipv4(content).unwrap_or(Ipv4Addr::UNSPECIFIED),
        ttl: expires_s(context, recorded, content),
        reason: shown::first([&content.reason]),
        notes: shown::first([&content.notes]),
    }
}

fn source(content: &Content) -> Cow<'_, str> {
    let actor = &content.actor;
    match (shown::first([&content.origin]), shown::first([&actor.name])) {
        ("", name) if !name.is_empty() && actor.kind.as_deref() == Some(shown::API_KEY) => {
            Cow::Owned(format!("{BY_KEY}{name}"))
        }
        (origin, _) => Cow::Borrowed(origin),
    }
}

/// Informative: only the organization's retention removes events.
fn expires_s(context: &Context, recorded: Time, content: &Content) -> i64 {
    let retained = || {
        let days = context.organization.retention_days?;
        Some(recorded.s() + i64::from(days) * DAY_S)
    };
    content.time_expires.map(Time::s).or_else(retained).unwrap_or(NEVER_S).min(NEVER_S)
}

//! Reads events whose JSON is as it mostly is, straight into their members.
//!
//! **Invariant:** what is read here is read by [`crate::Value::parse`] and [`crate::parse_content`] to the
//! same event. What they refuse is not read here, nor all that they take; so they alone say what
//! is wrong with a text, and where.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::checked;
use crate::event::{Access, Actor, Content, NewEvent, Request, Target};
use crate::{Time, Value, limits};

/// Levels above a value at the top of an event, and of one in its request.
const TOP_DEPTH: usize = 1;
const REQUEST_DEPTH: usize = 2;

/// The shortest event there is: `{"action":"a"}`.
const EVENT_BYTES_MIN: usize = 14;

/// JSON's white space, RFC 8259 §2.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

impl NewEvent {
    /// Reads the one event that a text is, if it is plain; if not,
    /// [`Value::parse`] and [`crate::parse_content`] may still take it.
    #[must_use]
    pub fn parse_plain(text: &[u8]) -> Option<NewEvent> {
        let (event, rest) = first(std::str::from_utf8(text).ok()?)?;
        if rest.trim_start_matches(SPACE).is_empty() { checked(event.into()).ok() } else { None }
    }

    /// Reads a list of at most so many events, or one event that is no list, if all are plain; if not,
    /// [`Value::parse_list`] and [`crate::parse_content`] may still take it.
    #[must_use]
    pub fn parse_plain_list(text: &[u8], events_max: usize) -> Option<Vec<NewEvent>> {
        let all = std::str::from_utf8(text).ok()?;
        let Some(mut rest) = all.trim_start_matches(SPACE).strip_prefix('[') else {
            return NewEvent::parse_plain(text).map(|event| vec![event]);
        };
        let mut events = Vec::new();
        while events.len() < events_max {
            let (event, after) = first(rest)?;
            if events.is_empty() {
                // The first event tells how many there are likely to be.
                let events_likely = rest.len() / (rest.len() - after.len()).max(EVENT_BYTES_MIN) + 1;
                events.reserve_exact(events_likely.min(events_max));
            }
            events.push(checked(event.into()).ok()?);
            let after = after.trim_start_matches(SPACE);
            let Some(next) = after.strip_prefix(',') else {
                let end = after.strip_prefix(']')?;
                return if end.trim_start_matches(SPACE).is_empty() { Some(events) } else { None };
            };
            rest = next;
        }
        None
    }

    /// Reads at most so many events, each in a line, and the lines from 1 that they stood in, if all are
    /// plain; if not, [`Value::parse`] and [`crate::parse_content`] may still take them. Blank lines
    /// are no events.
    #[must_use]
    pub fn parse_plain_lines(text: &[u8], events_max: usize) -> Option<(Vec<NewEvent>, Vec<usize>)> {
        let ends = memchr::memchr_iter(b'\n', text);
        let events_likely = (ends.clone().count() + 1).min(text.len() / EVENT_BYTES_MIN).min(events_max);
        let (mut events, mut lines) = (Vec::with_capacity(events_likely), Vec::with_capacity(events_likely));
        let mut start = 0;
        for (line, end) in (1..).zip(ends.chain([text.len()])) {
            let line_text = text.get(start..end)?;
            start = end + 1;
            if line_text.trim_ascii().is_empty() {
                continue;
            }
            if events.len() == events_max {
                return None;
            }
            events.push(NewEvent::parse_plain(line_text)?);
            lines.push(line);
        }
        Some((events, lines))
    }
}

/// What a stored event says, if its text is plain.
pub(crate) fn stored(text: &[u8]) -> Option<Content> {
    let (event, rest) = first(std::str::from_utf8(text).ok()?)?;
    if !rest.is_empty() {
        return None;
    }
    let new = NewEvent::from(event);
    Some(Content { id: new.id.unwrap_or_default(), ..new.content })
}

/// The event that a text begins with, and what follows it.
fn first(text: &str) -> Option<(Plain, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Only<Plain>>();
    let Only(event) = values.next()?.ok()?;
    let (event_text, rest) = text.split_at_checked(values.byte_offset())?;
    // No value takes more than its text, so this one is within what may be read.
    if event_text.len() <= limits::EVENT_BYTES_MAX { Some((event, rest)) } else { None }
}

/// An event's members; of one that is given twice, or is unknown, there is no reading.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    organization: Option<String>,
    id: Option<String>,
    action: String,
    #[serde(default, deserialize_with = "time")]
    time_occurred: Option<Time>,
    #[serde(default)]
    actor: Only<Actor>,
    #[serde(default)]
    targets: Vec<Only<Target>>,
    #[serde(default)]
    accesses: Vec<Only<Access>>,
    #[serde(default)]
    request: Only<Request>,
    origin: Option<String>,
    workspace: Option<String>,
    title: Option<String>,
    description: Option<String>,
    summary: Option<String>,
    reason: Option<String>,
    notes: Option<String>,
    #[serde(default, deserialize_with = "value")]
    changes: Option<Value>,
    #[serde(default, deserialize_with = "time")]
    time_expires: Option<Time>,
    #[serde(default, deserialize_with = "value")]
    data: Option<Value>,
    #[serde(default, deserialize_with = "value")]
    vendor: Option<Value>,
}

impl From<Plain> for NewEvent {
    fn from(plain: Plain) -> NewEvent {
        NewEvent {
            organization: plain.organization,
            id: plain.id,
            content: Content {
                id: String::new(),
                action: plain.action,
                time_occurred: plain.time_occurred,
                actor: plain.actor.0,
                targets: plain.targets.into_iter().map(|Only(target)| target).collect(),
                accesses: plain.accesses.into_iter().map(|Only(access)| access).collect(),
                request: plain.request.0,
                origin: plain.origin,
                workspace: plain.workspace,
                title: plain.title,
                description: plain.description,
                summary: plain.summary,
                reason: plain.reason,
                notes: plain.notes,
                changes: plain.changes,
                time_expires: plain.time_expires,
                data: plain.data,
                vendor: plain.vendor,
            },
        }
    }
}

/// What comes as an object, and never as the list of its members' values, which serde takes too.
#[derive(Default)]
struct Only<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Only<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Only<T>, D::Error> {
        deserializer.deserialize_map(OnlyVisitor(PhantomData))
    }
}

struct OnlyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyVisitor<T> {
    type Value = Only<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Only<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(access)).map(Only)
    }
}

fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let value = Value::read_nested(deserializer, TOP_DEPTH)?;
    Ok(Some(value).filter(|value| !value.is_nothing()))
}

pub(crate) fn value_in_request<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let value = Value::read_nested(deserializer, REQUEST_DEPTH)?;
    Ok(Some(value).filter(|value| !value.is_nothing()))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    Time::deserialize(deserializer).map(Some)
}

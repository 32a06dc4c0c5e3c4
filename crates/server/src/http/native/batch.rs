//! From the body of an append to events: which content types there are, and where each event
//! stood.
//!
//! **Invariant:** a fault says which event it means, and in NDJSON which line.

use annals_dialect::{Dialect, cloudtrail};
use annals_model::{
    Fault, FaultKind, JsonError, JsonErrorKind, ListError, Location, NewEvent, Value, limits, parse_content,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{cloudevents, entries};

/// How events are laid out in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One value, or a list.
    Json,
    /// A value a line.
    Lines,
}

/// Whose words events are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Our own.
    Annals,
    /// CloudEvents 1.0.
    CloudEvents,
    /// Records of CloudTrail.
    CloudTrail,
    /// A vendor's entries, as its API returns them.
    Vendor(&'static dyn Dialect),
}

/// The format that is no vendor's API.
const CLOUDTRAIL: &str = "cloudtrail";

/// Events of one body.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch {
    /// The events.
    pub(crate) events: Vec<NewEvent>,
    /// The line, from 1, that each stood in.
    lines: Option<Vec<usize>>,
}

/// A file of CloudTrail as AWS delivers it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivered<'b> {
    #[serde(rename = "Records", borrow)]
    records: &'b RawValue,
}

/// The layout and the words that a content type and the parameter `format` ask for.
///
/// # Errors
///
/// An invalid-request fault that names what there is.
pub(crate) fn kind(content_type: Option<&str>, format: Option<&str>) -> Result<(Layout, Words), Fault> {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (layout, words) = match essence.as_str() {
        "application/json" => (Layout::Json, Words::Annals),
        "application/x-ndjson" => (Layout::Lines, Words::Annals),
        "application/cloudevents+json" | "application/cloudevents-batch+json" => (Layout::Json, Words::CloudEvents),
        _ => {
            return Err(Fault::invalid(
                "Content-Type must be application/json, application/x-ndjson, application/cloudevents+json or \
                 application/cloudevents-batch+json",
            ));
        }
    };
    let Some(format) = format else { return Ok((layout, words)) };
    let named = match format {
        CLOUDTRAIL => Words::CloudTrail,
        name => match annals_dialect::of_name(name) {
            Some(dialect) => Words::Vendor(dialect),
            None => {
                let names = annals_dialect::all().map(|dialect| dialect.name()).join(", ");
                let what = format!("format must be one of {CLOUDTRAIL}, {names}, or left away");
                return Err(Fault::invalid(what).at_member("format"));
            }
        },
    };
    match words {
        Words::Annals => Ok((layout, named)),
        _ => Err(Fault::invalid("with format, Content-Type must be application/json or application/x-ndjson")),
    }
}

impl Batch {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// An invalid-request or limit fault with the place.
    pub(crate) fn read(body: &[u8], layout: Layout, words: Words) -> Result<Batch, Fault> {
        match (layout, words) {
            (Layout::Json, Words::Vendor(dialect)) => Ok(Batch { events: entries::read(body, dialect)?, lines: None }),
            (Layout::Json, _) => {
                let values = values(delivered(body, words)).map_err(listed)?;
                let events = values.into_iter().enumerate().map(|(at, value)| {
                    let event = event(value, words);
                    event.map_err(|fault| fault.at_event(at))
                });
                Ok(Batch { events: events.collect::<Result<_, _>>()?, lines: None })
            }
            (Layout::Lines, _) => Batch::read_lines(body, words),
        }
    }

    fn read_lines(body: &[u8], words: Words) -> Result<Batch, Fault> {
        let lines = || body.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        let count = lines().count();
        if count > limits::BATCH_EVENTS_MAX {
            return Err(too_many(count));
        }
        let mut batch = Batch { events: Vec::with_capacity(count), lines: Some(Vec::with_capacity(count)) };
        for (at, (line_at, line)) in lines().enumerate() {
            let read = match words {
                Words::Vendor(dialect) => entries::entry(line, dialect),
                _ => Value::parse(line).map_err(|error| broken(&error)).and_then(|value| event(value, words)),
            };
            batch.lines.get_or_insert_default().push(line_at + 1);
            batch.events.push(read.map_err(|fault| batch.locate(fault.at_event(at)))?);
        }
        Ok(batch)
    }

    /// Adds the line to a fault that means an event.
    pub(crate) fn locate(&self, fault: Fault) -> Fault {
        locate(self.lines.as_deref(), fault)
    }

    /// Hands the events over, and keeps where they stood.
    pub(crate) fn into_parts(self) -> (Vec<NewEvent>, Option<Vec<usize>>) {
        (self.events, self.lines)
    }
}

/// Adds the line to a fault that means an event.
pub(crate) fn locate(lines: Option<&[usize]>, mut fault: Fault) -> Fault {
    if let Some(location) = &mut fault.location
        && let Some(line) = location.event.and_then(|event| lines?.get(event))
    {
        location.line = Some(*line);
    }
    fault
}

/// What of a body holds the events.
fn delivered(body: &[u8], words: Words) -> &[u8] {
    let wrapped = (words == Words::CloudTrail).then(|| serde_json::from_slice::<Delivered>(body).ok()).flatten();
    wrapped.map_or(body, |delivered| delivered.records.get().as_bytes())
}

fn values(body: &[u8]) -> Result<Vec<Value>, ListError> {
    Value::parse_list(body, limits::BATCH_EVENTS_MAX)
}

fn event(value: Value, words: Words) -> Result<NewEvent, Fault> {
    match words {
        Words::Annals => parse_content(value),
        Words::CloudEvents => cloudevents::read(value),
        Words::CloudTrail => cloudtrail::read(value),
        Words::Vendor(_) => Err(Fault::internal("entries of a vendor are read from their text")),
    }
}

pub(super) fn too_many(count: usize) -> Fault {
    Fault::limit("events of one request", limits::BATCH_EVENTS_MAX, count)
}

fn listed(error: ListError) -> Fault {
    match error {
        ListError::TooMany { count } => too_many(count),
        ListError::Json { value, error } => {
            let mut fault = broken(&error);
            let location = fault.location.get_or_insert_default();
            location.event = value;
            location.line = Some(error.line);
            fault
        }
    }
}

/// What is wrong with a JSON text; the line is left to those who know what it counts from.
pub(crate) fn broken(error: &JsonError) -> Fault {
    let JsonError { kind, message, member, column, .. } = error;
    let message = match (*kind != JsonErrorKind::Broken, member.is_empty()) {
        (true, true) => format!("the event {message}"),
        (true, false) => format!("{member} {message}"),
        (false, true) => format!("not valid JSON: {message}"),
        (false, false) => format!("not valid JSON at {member}: {message}"),
    };
    let member = Some(member.clone()).filter(|member| !member.is_empty());
    let location = Location { member, column: Some(*column), ..Location::default() };
    let kind = match kind {
        JsonErrorKind::Broken | JsonErrorKind::Refused => FaultKind::Invalid,
        JsonErrorKind::TooDeep => FaultKind::Limit,
        JsonErrorKind::TooLarge => FaultKind::TooLarge,
    };
    Fault::new(kind, message).at(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(body: &str, layout: Layout) -> Option<(Option<usize>, Option<usize>, Option<String>)> {
        let fault = Batch::read(body.as_bytes(), layout, Words::Annals).err()?;
        let location = fault.location.unwrap_or_default();
        Some((location.event, location.line, location.member))
    }

    fn check(body: &str, layout: Layout, event: usize, line: Option<usize>, member: Option<&str>) {
        assert_eq!(place(body, layout), Some((Some(event), line, member.map(str::to_owned))), "{body}");
    }

    #[test]
    fn a_fault_says_which_event_and_which_line() {
        check("[{\"action\":\"a\"},\n{\"action\":1}]", Layout::Json, 1, None, Some("action"));
        check("[{\"action\":\"a\"},\n{\"action\":tru}]", Layout::Json, 1, Some(2), Some("action"));
        check("{\"action\":\"a\",\"x\":1}", Layout::Json, 0, None, Some("x"));
        check("{\"action\":\"a\"}\n\n{\"action\":1}", Layout::Lines, 1, Some(3), Some("action"));
        check("{\"action\":\"a\"}\n\n{\"action\":}", Layout::Lines, 1, Some(3), Some("action"));
        check("\n{\"action\":\"a\",\"data\":{\"x\":1,\"x\":2}}", Layout::Lines, 0, Some(2), Some("data.x"));
        check("[3]", Layout::Json, 0, None, Some(""));
    }

    #[test]
    fn blank_lines_are_no_events() {
        let batch =
            Batch::read(b"\n {\"action\":\"a\"}\r\n\n{\"action\":\"b\"}", Layout::Lines, Words::Annals).expect("reads");
        assert_eq!((batch.events.len(), batch.lines), (2, Some(vec![2, 4])));
        assert_eq!(Batch::read(b"\n\n", Layout::Lines, Words::Annals).expect("reads").events, []);
    }

    #[test]
    fn a_batch_has_a_limit() {
        let json = |n: usize| format!("[{}]", vec!["{\"action\":\"a\"}"; n].join(","));
        let lines = |n: usize| "{\"action\":\"a\"}\n".repeat(n);
        let count = |body: &str, layout| {
            let read = Batch::read(body.as_bytes(), layout, Words::Annals);
            read.map(|batch| batch.events.len()).map_err(|fault| fault.message)
        };
        let most = limits::BATCH_EVENTS_MAX;
        let refused = Err(format!("events of one request: at most {most} are taken, {} came", most + 1));
        for (body, layout) in [(json as fn(usize) -> String, Layout::Json), (lines, Layout::Lines)] {
            assert_eq!(count(&body(most), layout), Ok(most));
            assert_eq!(count(&body(most + 1), layout), refused);
        }
    }

    #[test]
    fn a_content_type_is_known_or_refused() {
        let json = Ok((Layout::Json, Words::Annals));
        assert_eq!(kind(Some("application/json"), None), json);
        assert_eq!(kind(Some("Application/JSON ; charset=utf-8"), None), json);
        assert_eq!(kind(Some("application/x-ndjson"), Some("cloudtrail")), Ok((Layout::Lines, Words::CloudTrail)));
        assert_eq!(
            kind(Some("application/json"), Some("turso")),
            Ok((Layout::Json, Words::Vendor(annals_dialect::of_name("turso").expect("there"))))
        );
        assert_eq!(kind(Some("application/cloudevents-batch+json"), None), Ok((Layout::Json, Words::CloudEvents)));
        for (content_type, format) in [
            (None, None),
            (Some("text/plain"), None),
            (Some(""), None),
            (Some("application/json"), Some("acme")),
            (Some("application/json"), Some("")),
            (Some("application/cloudevents+json"), Some("cloudtrail")),
        ] {
            assert!(kind(content_type, format).is_err(), "{content_type:?} {format:?}");
        }
    }
}

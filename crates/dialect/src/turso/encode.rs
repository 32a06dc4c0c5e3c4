//! From events to entries.

use annals_model::{Content, Event, Fault, FaultKind, Object, Outcome, Time, Value};

use super::decode::Place;
use super::wire::{self, VENDOR};
use crate::{Answer, Request, shown};

pub(crate) const CLI: &str = "cli";
pub(crate) const WEB: &str = "web";
/// What the user agent of the vendor's command line begins with.
const CLI_AGENT: &str = "turso-cli/";
/// The expiry of a key that has none.
const NEVER: i64 = -1;
/// What the vendor's clients take for «your plan has no audit log».
const NOT_ENTITLED: &str = "feature_not_available_for_starter_plan";

/// How a page is answered.
pub(crate) fn list(request: &Request, outcome: &Outcome) -> Result<Answer, Fault> {
    let Outcome::Page(page) = outcome else {
        return Err(shown::unexpected_outcome());
    };
    let Place { page: number, page_size } = Place::of(request)?;
    let total_rows = page.total.ok_or_else(shown::unexpected_outcome)?;
    let contents = page.events.iter().map(Event::content).collect::<Result<Vec<Content>, Fault>>()?;
    let entries = page.events.iter().zip(&contents);
    let entries = entries.map(|(event, content)| VENDOR.entry(content, entry(event.time_recorded, content)));
    let body = wire::AuditLogs {
        audit_logs: entries.collect::<Result<_, Fault>>()?,
        pagination: wire::Pagination {
            page: number,
            page_size,
            total_pages: total_rows.div_ceil(page_size),
            total_rows,
        },
    };
    Ok(Answer { body: shown::body(&body)?, headers: Vec::new() })
}

/// How long a key is good.
pub(crate) fn validity(expires: Option<Time>) -> Result<Answer, Fault> {
    let body = wire::Validity { exp: expires.map_or(NEVER, Time::s) };
    Ok(Answer { body: shown::body(&body)?, headers: Vec::new() })
}

/// The body of a refusal or failure.
pub(crate) fn fault(fault: &Fault) -> Vec<u8> {
    let code = (fault.kind == FaultKind::NotEntitled).then_some(NOT_ENTITLED);
    shown::body(&wire::Error { error: &fault.message, code }).unwrap_or_default()
}

/// What an event's members show.
pub(crate) fn entry(recorded: Time, content: &Content) -> wire::AuditLog<'_> {
    let (actor, request) = (&content.actor, &content.request);
    wire::AuditLog {
        code: &content.action,
        message: shown::readable(content),
        origin: origin(content),
        author: shown::first([&actor.name, &actor.email, &actor.id]),
        created_at: content.time_shown(recorded).format_short(),
        data: data(content),
        ip: request.client_ip.as_deref(),
        country_code: request.country.as_deref(),
        city: request.city.as_deref(),
        latitude: request.latitude.as_deref(),
        longitude: request.longitude.as_deref(),
    }
}

fn origin(content: &Content) -> &'static str {
    match (content.origin.as_deref(), content.request.user_agent.as_deref()) {
        (Some(CLI), _) => CLI,
        (Some(WEB), _) => WEB,
        (_, Some(agent)) if agent.starts_with(CLI_AGENT) => CLI,
        _ => WEB,
    }
}

/// The vendor's clients take nothing but an object.
fn data(content: &Content) -> Object {
    match &content.data {
        None => Object::new(),
        Some(Value::Object(object)) => object.clone(),
        Some(other) => [("value", other.clone())].into_iter().collect(),
    }
}

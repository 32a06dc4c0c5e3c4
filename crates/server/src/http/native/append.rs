//! `POST /v1/events`: records events, all or none.

use std::collections::HashSet;
use std::sync::Arc;

use annals_ledger::{Masking, Prepared};
use annals_model::{Appended, Fault, NewEvent, SYSTEM_ORGANIZATION, Scope, Time, limits};
use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use super::batch::{self, Batch, Layout, Words};
use crate::http::auth::{self, Caller};
use crate::http::inbound::Inbound;
use crate::http::{App, body, status};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What the answer takes for one event beside its texts, unless they need escapes.
const PLACE_BYTES_MAX: usize = 120;

#[derive(Serialize)]
struct Answer<'a> {
    events: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    organization: &'a str,
    id: &'a str,
    index: u64,
    time_recorded: Time,
}

/// What stays the same for all events of a request.
struct Terms<'a> {
    caller: &'a Caller,
    /// The organization of events that name none.
    organization: Option<&'a str>,
    /// What events without an id are named after.
    name: Option<&'a str>,
}

pub(super) async fn append(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = app.caller(&auth::bearer(&inbound.headers)?)?;
    caller.require(Scope::Append)?;
    let [format, organization] = inbound.parameters(["format", "organization"])?;
    let organization = match organization {
        None => None,
        Some(_) => Some(caller.organization(&app, organization, None)?),
    };
    let organization = organization.as_ref().map(|organization| organization.id.as_str()).or(caller.bound_to());
    let (layout, words) = batch::kind(inbound.header(CONTENT_TYPE.as_str())?, format)?;
    let name = inbound.header(IDEMPOTENCY_KEY)?.map(checked_name).transpose()?.map(str::to_owned);
    let terms = Terms { caller: &caller, organization, name: name.as_deref() };
    let held = body::read(&app, &inbound.headers, inbound.body).await?;
    let (prepared, lines) = body::heavily(held.bytes.len(), || -> Result<_, Fault> {
        let (events, lines) = match plain(&held.bytes, layout, words) {
            Some(read) => read,
            None => Batch::read(&held.bytes, layout, words)?.into_parts(),
        };
        let prepared =
            prepare(&app, &terms, events, masking(words)).map_err(|fault| batch::locate(lines.as_deref(), fault))?;
        Ok((prepared, lines))
    })?;
    let appended = match prepared {
        Some(prepared) => app.ledger.append(prepared).await,
        None => Ok(Vec::new()),
    };
    let appended = appended.map_err(|fault| batch::locate(lines.as_deref(), fault))?;
    Ok(answer(&appended))
}

/// The events of a body, and in NDJSON their lines, if all are as most are. Whatever else there is, and
/// all that is wrong, is left to [`Batch::read`].
fn plain(body: &[u8], layout: Layout, words: Words) -> Option<(Vec<NewEvent>, Option<Vec<usize>>)> {
    if words != Words::Annals {
        return None;
    }
    if layout == Layout::Json {
        return NewEvent::parse_plain_list(body, limits::BATCH_EVENTS_MAX).map(|events| (events, None));
    }
    NewEvent::parse_plain_lines(body, limits::BATCH_EVENTS_MAX).map(|(events, lines)| (events, Some(lines)))
}

/// A name that leaves room for the number of every event of a request.
fn checked_name(name: &str) -> Result<&str, Fault> {
    // The last number of a full batch is the longest.
    let room = limits::ID_CHARS_MAX - ":".len() - (limits::BATCH_EVENTS_MAX - 1).to_string().len();
    if name.is_empty() {
        return Err(Fault::invalid("the header Idempotency-Key is empty"));
    }
    if name.len() > room {
        return Err(Fault::limit("characters of the header Idempotency-Key", room, name.len()));
    }
    Ok(name)
}

/// What a client says of itself is masked; what a source recorded was masked there.
fn masking(words: Words) -> Masking {
    match words {
        Words::Annals | Words::CloudEvents => Masking::Apply,
        Words::CloudTrail | Words::Vendor(_) => Masking::Done,
    }
}

/// Nothing, for no events.
fn prepare(app: &App, terms: &Terms, mut events: Vec<NewEvent>, masking: Masking) -> Result<Option<Prepared>, Fault> {
    let mut known: HashSet<String> = HashSet::new();
    for (at, event) in events.iter_mut().enumerate() {
        if let (None, Some(name)) = (&event.id, terms.name) {
            event.id = Some(format!("{name}:{at}"));
        }
        let organization = terms.organization_of(event).map_err(|fault| fault.at_event(at))?;
        if !known.contains(&organization) {
            terms.check(app, &organization).map_err(|fault| fault.at_event(at).at_member("organization"))?;
            known.insert(organization.clone());
        }
        event.organization = Some(organization);
    }
    if events.is_empty() { Ok(None) } else { app.ledger.prepare(events, masking).map(Some) }
}

impl Terms<'_> {
    fn organization_of(&self, event: &mut NewEvent) -> Result<String, Fault> {
        let named = event.organization.take().or_else(|| self.organization.map(str::to_owned));
        named.ok_or_else(|| {
            let what = "organization is required with a key for all organizations: in the event, or as a parameter";
            Fault::invalid(what).at_member("organization")
        })
    }

    fn check(&self, app: &App, organization: &str) -> Result<(), Fault> {
        if organization == SYSTEM_ORGANIZATION {
            return Err(Fault::forbidden("the server alone appends to its own log"));
        }
        self.caller.organization(app, Some(organization), None).map(|_| ())
    }
}

/// 201, or 200 when all were there before.
fn answer(appended: &[Appended]) -> Response {
    let events = appended.iter().map(|event| Place {
        organization: &event.organization,
        id: &event.id,
        index: event.index,
        time_recorded: event.time_recorded,
    });
    let repeated = appended.iter().all(|event| event.repeated);
    let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
    let texts_bytes = |event: &Appended| event.organization.len() + event.id.len();
    let mut body = Vec::with_capacity(appended.iter().map(|event| PLACE_BYTES_MAX + texts_bytes(event)).sum());
    // Texts and numbers can always be written.
    let _ = serde_json::to_writer(&mut body, &Answer { events: events.collect() });
    status::json(status, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leaves_room_for_every_number() {
        let longest = "k".repeat(limits::ID_CHARS_MAX - 5);
        assert!(checked_name(&longest).is_ok());
        assert!(checked_name(&format!("{longest}k")).is_err());
        assert!(checked_name("").is_err());
    }
}

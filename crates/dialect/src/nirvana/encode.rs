//! From events to entries.

use annals_model::{Actor, Content, Cursor, Event, Fault, FaultKind, Filter, Page, Target, Time};

use super::wire::{self, VENDOR};
use crate::{Answer, shown};

/// What is said of everything that isn't there: more would tell an entry that is kept back from
/// one that doesn't exist.
const NOT_FOUND: &str = "not found";

/// How a page is answered.
pub(crate) fn list(page: &Page) -> Result<Answer, Fault> {
    let contents = page.events.iter().map(Event::content).collect::<Result<Vec<Content>, Fault>>()?;
    // Clients stop at an empty page, whatever its cursor says; null says so to the others.
    let next = page.next.as_ref().filter(|_| !contents.is_empty());
    let events = page.events.iter().zip(&contents);
    let entries = events.map(|(event, content)| VENDOR.entry(content, entry(content, event.time_recorded)));
    let body = wire::AuditLogList {
        items: entries.collect::<Result<_, Fault>>()?,
        pagination: wire::Pagination {
            next_cursor: next.map(Cursor::format),
            previous_cursor: page.previous.as_ref().map(Cursor::format),
            total_count: page.total.ok_or_else(shown::unexpected_outcome)?,
        },
    };
    Ok(Answer { body: shown::body(&body)?, headers: Vec::new() })
}

/// How one entry is answered.
pub(crate) fn single(event: &Event) -> Result<Answer, Fault> {
    let content = event.content()?;
    if content.action.starts_with(Filter::OWN_ACTIONS) {
        return Err(Fault::not_found(NOT_FOUND));
    }
    let entry = VENDOR.entry(&content, entry(&content, event.time_recorded))?;
    Ok(Answer { body: shown::body(&entry)?, headers: Vec::new() })
}

/// The body of a refusal or failure.
pub(crate) fn fault(fault: &Fault) -> Vec<u8> {
    let message = if fault.kind == FaultKind::NotFound { NOT_FOUND } else { &fault.message };
    shown::body(&wire::Error { message }).unwrap_or_default()
}

/// What an event's members show.
pub(crate) fn entry(content: &Content, recorded: Time) -> wire::AuditLog<'_> {
    let request = &content.request;
    wire::AuditLog {
        id: &content.id,
        action: &content.action,
        actor: actor(content, &content.actor),
        client_ip: request.client_ip.as_deref().unwrap_or_default(),
        created_at: content.time_shown(recorded).format_short(),
        method: request.method.as_deref().unwrap_or_default(),
        path: request.path.as_deref().unwrap_or_default(),
        status_code: request.status.unwrap_or(0),
        user_agent: request.user_agent.as_deref().unwrap_or_default(),
        target: content.targets.first().map(target),
    }
}

fn actor<'e>(content: &Content, actor: &'e Actor) -> wire::AuditLogActor<'e> {
    wire::AuditLogActor {
        id: shown::first([&actor.id, &actor.email]),
        name: actor.name.as_deref(),
        kind: shown::user_type(content),
    }
}

fn target(target: &Target) -> wire::AuditLogTarget<'_> {
    wire::AuditLogTarget {
        id: target.id.as_deref().unwrap_or_default(),
        kind: target.kind.as_deref().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_page_has_no_next_cursor_whatever_comes_after_it() {
        let cursor = Cursor {
            fingerprint: 1,
            backward: false,
            snapshot: 1,
            total: Some(0),
            store: 0,
            place: None,
            time: Time::default(),
            status: 0,
        };
        let page = Page { events: Vec::new(), total: Some(0), next: Some(cursor), previous: None };
        let answer: serde_json::Value = serde_json::from_slice(&list(&page).expect("an answer").body).expect("JSON");
        assert_eq!(answer["pagination"]["next_cursor"], serde_json::Value::Null);
    }

    #[test]
    fn a_page_without_its_total_is_a_defect() {
        let page = Page { events: Vec::new(), total: None, next: None, previous: None };
        assert_eq!(list(&page).map_err(|fault| fault.kind), Err(FaultKind::Internal));
    }
}

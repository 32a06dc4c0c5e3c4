//! From events to records.

use std::borrow::Cow;

use annals_model::{Content, Event, Fault, FaultKind, Outcome, Time, Value};

use super::NAME;
use super::wire::{self, VENDOR};
use crate::{Answer, Context, shown};

/// What the vendor says that an answer is.
const OBJECT: &str = "analytics-graph";

pub(crate) const POST: &str = "POST";
pub(crate) const PUT: &str = "PUT";
pub(crate) const DELETE: &str = "DELETE";

/// How a page is answered.
pub(crate) fn list(context: &Context, outcome: &Outcome) -> Result<Answer, Fault> {
    let Outcome::Page(page) = outcome else {
        return Err(shown::unexpected_outcome());
    };
    let contents = page.events.iter().map(Event::content).collect::<Result<Vec<Content>, Fault>>()?;
    let records = page.events.iter().zip(&contents);
    let records = records.map(|(event, content)| VENDOR.entry(content, record(context, event.time_recorded, content)));
    let body = wire::AuditLogs {
        records: records.collect::<Result<_, Fault>>()?,
        total: page.total.ok_or_else(shown::unexpected_outcome)?,
        object: OBJECT,
    };
    Ok(Answer { body: shown::body(&body)?, headers: Vec::new() })
}

/// The body of a refusal or failure.
pub(crate) fn fault(fault: &Fault) -> Vec<u8> {
    let data = wire::ErrorData { message: &fault.message, error_code: code(fault.kind) };
    shown::body(&wire::Error { success: false, data }).unwrap_or_default()
}

/// The vendor's code for a kind of fault. There is none for what it does not document: a method
/// or a size is then a malformed request, a busy server a failure.
fn code(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Invalid | FaultKind::Limit | FaultKind::TooLarge | FaultKind::MethodNotAllowed => "AB01",
        FaultKind::NotFound => "AB02",
        FaultKind::Forbidden => "AB03",
        FaultKind::Internal | FaultKind::Unavailable | FaultKind::Deadline | FaultKind::Busy { .. } => "AB04",
        FaultKind::Unauthorized => "AB05",
        FaultKind::RateLimited { .. } => "AB06",
        FaultKind::Conflict => "AB07",
        FaultKind::NotEntitled => "AB09",
    }
}

/// What an event's members show.
pub(crate) fn record<'e>(context: &'e Context, recorded: Time, content: &'e Content) -> wire::AuditLog<'e> {
    let request = &content.request;
    let json = |name: &str, value: &'e Option<Value>| -> Option<Cow<'e, str>> {
        match value.as_ref()? {
            Value::Text(text) if VENDOR.is_text(content, name) => Some(Cow::Borrowed(text)),
            value => Some(Cow::Owned(shown::json_text(value))),
        }
    };
    wire::AuditLog {
        timestamp: content.time_shown(recorded).format_short(),
        method: method(content),
        uri: request.path.as_deref(),
        request_id: request.id.as_deref(),
        request_body: json("request_body", &request.body),
        query_params: json("query_params", &request.query),
        request_headers: json("request_headers", &request.headers),
        user_id: content.actor.id.as_deref(),
        user_type: shown::user_type(content),
        organisation_id: context.organization_shown(NAME),
        workspace_id: content.workspace.as_deref(),
        response_status_code: request.status,
        resource_type: content.targets.first().and_then(|target| target.kind.as_deref()),
        action: &content.action,
        client_ip: request.client_ip.as_deref(),
        country: request.country.as_deref(),
    }
}

/// The event's method where the API has it, else the nearest by the action's verb.
fn method(content: &Content) -> &'static str {
    let said = content.request.method.as_deref().unwrap_or_default();
    [POST, PUT, DELETE]
        .into_iter()
        .find(|method| said.eq_ignore_ascii_case(method))
        .unwrap_or_else(|| verb(&content.action))
}

fn verb(action: &str) -> &'static str {
    words(action)
        .find_map(|word| match word.to_ascii_lowercase().as_str() {
            "create" | "created" => Some(POST),
            "delete" | "deleted" => Some(DELETE),
            _ => None,
        })
        .unwrap_or(PUT)
}

/// The words of an action, which may be `flag.create`, `Create Flag`, `flag_created` or `createFlag`.
fn words(action: &str) -> impl Iterator<Item = &str> {
    let parts = action.split(|letter: char| !letter.is_alphanumeric());
    parts.flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            let ends = rest.char_indices().zip(rest.chars().skip(1));
            let end = ends.filter(|((_, before), after)| before.is_lowercase() && after.is_uppercase());
            let at = end.map(|((at, before), _)| at + before.len_utf8()).next().unwrap_or(rest.len());
            let (word, after) = rest.split_at(at);
            rest = after;
            (!word.is_empty()).then_some(word)
        })
    })
}

#[cfg(test)]
mod tests {
    use annals_model::Request;

    use super::*;

    fn check(said: Option<&str>, action: &str, expect: &str) {
        let request = Request { method: said.map(str::to_owned), ..Request::default() };
        let content = Content { action: action.to_owned(), request, ..Content::default() };
        assert_eq!(method(&content), expect, "{said:?} {action}");
    }

    #[test]
    fn a_method_that_the_api_has_is_shown() {
        check(Some("POST"), "x.delete", POST);
        check(Some("PUT"), "x.delete", PUT);
        check(Some("delete"), "x.create", DELETE);
    }

    #[test]
    fn any_other_method_gives_way_to_the_verb_of_the_action() {
        check(Some("PATCH"), "flag.create", POST);
        check(Some("GET"), "flag.read", PUT);
        for action in ["create", "db-create", "Create Team", "CreateTeam", "vm.created", "team_create"] {
            check(None, action, POST);
        }
        for action in ["delete", "db-delete", "Delete Team", "teamDelete", "vm.deleted"] {
            check(None, action, DELETE);
        }
        for action in ["update", "recreate", "undelete", "creation", "ééCÉ", "", "..."] {
            check(None, action, PUT);
        }
    }
}

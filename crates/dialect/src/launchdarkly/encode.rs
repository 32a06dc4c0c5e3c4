//! From events to entries.

use std::borrow::Cow;
use std::fmt::Write as _;

use annals_model::{Content, Cursor, Event, Fault, FaultKind, Filter, Page, Target, Time, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::decode::{self, Upper};
use super::wire::{self, DETAILED, LISTED};
use super::{LIST, NAME, read, resource};
use crate::{Answer, Context, Request, shown};

const JSON: &str = "application/json";
const HTML: &str = "text/html";
/// Where people look at the log.
const SITE: &str = "/";
/// What stands for itself in an address (RFC 3986, unreserved); all else is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a page is answered.
pub(crate) fn list(request: &Request, context: &Context, page: &Page) -> Result<Answer, Fault> {
    let contents = page.events.iter().map(Event::content).collect::<Result<Vec<Content>, Fault>>()?;
    let entries = page.events.iter().zip(&contents);
    let entries = entries.map(|(event, content)| LISTED.entry(content, entry(context, event.time_recorded, content)));
    let own = address(request.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let body = wire::AuditLogEntryListingRepCollection {
        items: entries.collect::<Result<_, Fault>>()?,
        links: wire::CollectionLinks { next: next(request, context, page)?, own: link(own, JSON) },
    };
    answer(request, &body)
}

/// How one entry is answered.
pub(crate) fn single(request: &Request, context: &Context, event: &Event) -> Result<Answer, Fault> {
    let content = event.content()?;
    if content.action.starts_with(Filter::OWN_ACTIONS) {
        return Err(Fault::not_found("there is no event by that id"));
    }
    answer(request, &DETAILED.entry(&content, detail(context, event.time_recorded, &content))?)
}

/// An answer in the version of the API that was asked for.
fn answer(request: &Request, body: &impl Serialize) -> Result<Answer, Fault> {
    let version = decode::version(request)?.map(|version| (decode::VERSION, version.to_owned()));
    Ok(Answer { body: shown::body(body)?, headers: version.into_iter().collect() })
}

/// The body of a refusal or failure.
pub(crate) fn fault(fault: &Fault) -> Vec<u8> {
    let said = fault.message.as_str();
    let (code, message) = match fault.kind {
        FaultKind::Invalid | FaultKind::Limit | FaultKind::TooLarge => ("invalid_request", said),
        FaultKind::Unauthorized => ("unauthorized", "Invalid access token"),
        FaultKind::NotEntitled | FaultKind::Forbidden => ("forbidden", said),
        FaultKind::NotFound => ("not_found", "Invalid resource identifier"),
        FaultKind::MethodNotAllowed => ("method_not_allowed", said),
        FaultKind::Conflict => ("optimistic_locking_error", said),
        FaultKind::RateLimited { .. } => ("rate_limited", said),
        FaultKind::Busy { .. } | FaultKind::Unavailable | FaultKind::Deadline | FaultKind::Internal => {
            ("service_unavailable", said)
        }
    };
    shown::body(&wire::Error { code, message }).unwrap_or_default()
}

/// The link to the page after this one.
///
/// It says the same as the request, but for where the page begins: `before` is the last entry's
/// millisecond, as the vendor's clients take it, and the cursor says where in it, which makes
/// `before` inclusive.
fn next(request: &Request, context: &Context, page: &Page) -> Result<Option<wire::Link>, Fault> {
    let Some(next) = page.next.as_ref().filter(|_| !page.events.is_empty()) else {
        return Ok(None);
    };
    let edge = next.time.ms();
    // All that follows lies within the narrower list too, so the place is the same in both.
    let narrower = decode::query(request, context, Upper::Through(edge))?;
    let cursor = Cursor { fingerprint: narrower.fingerprint(), total: None, ..*next }.format();
    let before = edge.to_string();
    let same = request.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let same = same.filter(|(name, _)| !["before", "offset", decode::CURSOR].contains(name));
    let place = [("before", before.as_str()), (decode::CURSOR, cursor.as_str())];
    Ok(Some(link(address(same.chain(place)), JSON)))
}

/// The list's address with some parameters.
fn address<'p>(parameters: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    let mut address = LIST.to_owned();
    for (at, (name, value)) in parameters.enumerate() {
        let (name, value) = (utf8_percent_encode(name, ESCAPED), utf8_percent_encode(value, ESCAPED));
        // Writing into a String can't fail.
        let _ = write!(address, "{}{name}={value}", if at == 0 { '?' } else { '&' });
    }
    address
}

fn link(href: impl Into<Cow<'static, str>>, kind: &'static str) -> wire::Link {
    wire::Link { href: href.into(), kind }
}

/// An entry with its details, as an event's members show it.
pub(crate) fn detail<'e>(context: &'e Context, recorded: Time, content: &'e Content) -> wire::AuditLogEntryRep<'e> {
    let part = |of: &'e Option<Value>, name| {
        let part = of.as_ref().and_then(Value::as_object).and_then(|object| object.member(name));
        part.filter(|part| **part != Value::Null).map(shown::Json)
    };
    wire::AuditLogEntryRep {
        listed: entry(context, recorded, content),
        delta: part(&content.changes, read::PATCH),
        trigger_body: part(&content.data, read::TRIGGER_BODY),
        merge: part(&content.data, read::MERGE),
        previous_version: part(&content.changes, read::BEFORE),
        current_version: part(&content.changes, read::AFTER),
    }
}

/// What an event's members show.
fn entry<'e>(context: &'e Context, recorded: Time, content: &'e Content) -> wire::AuditLogEntryListingRep<'e> {
    let target = content.targets.first();
    let segment = content.accesses.first().map(|access| resource::last_segment(&access.resource));
    let kind = target.map_or("", |target| shown::first([&target.kind]));
    let name = target.map_or("", |target| shown::first([&target.name, &target.id]));
    let description = shown::first([&content.description, &content.title, &content.summary]);
    wire::AuditLogEntryListingRep {
        links: wire::EntryLinks {
            parent: link(LIST, JSON),
            own: link(format!("{LIST}/{}", utf8_percent_encode(&content.id, ESCAPED)), JSON),
            site: link(SITE, HTML),
        },
        id: &content.id,
        account_id: context.organization_shown(NAME),
        date: content.time_shown(recorded).ms(),
        accesses: accesses(content),
        kind: or(kind, or(segment.map_or("", |segment| segment.kind), resource::ACCOUNT)),
        name: or(name, segment.map_or("", |segment| segment.name)),
        description: or(description, &content.action),
        short_description: shown::first([&content.summary]),
        comment: content.reason.as_deref(),
        member: member(content),
        token: token(content),
        title_verb: content.accesses.first().map(|access| words(&access.action)),
        title: content.title.as_deref(),
        target: target.map(|target| wire::TargetResourceRep {
            name: shown::first([&target.name, &target.id]),
            resources: resources(content, target),
        }),
        parent: content.targets.get(1).map(parent),
    }
}

/// A text, or another where it is empty.
fn or<'t>(text: &'t str, other: &'t str) -> &'t str {
    if text.is_empty() { other } else { text }
}

fn accesses(content: &Content) -> Vec<wire::ResourceAccess<'_>> {
    let own = content
        .accesses
        .iter()
        .map(|access| wire::ResourceAccess { action: &access.action, resource: access.resource.as_str().into() });
    let mut accesses: Vec<wire::ResourceAccess<'_>> = own.collect();
    let done_to = |resource| wire::ResourceAccess { action: &content.action, resource };
    if accesses.is_empty() {
        accesses.extend(content.targets.iter().filter_map(resource::of_target).map(Cow::Owned).map(done_to));
    }
    if accesses.is_empty() {
        accesses.push(done_to(Cow::Borrowed(resource::ACCOUNT)));
    }
    accesses
}

/// The resources that it was done to: those of the accesses, or the target itself.
fn resources<'e>(content: &'e Content, target: &'e Target) -> Vec<Cow<'e, str>> {
    let mut resources: Vec<Cow<'e, str>> = Vec::new();
    for access in &content.accesses {
        if !resources.iter().any(|have| *have == access.resource) {
            resources.push(Cow::Borrowed(&access.resource));
        }
    }
    if resources.is_empty() {
        resources.extend(resource::of_target(target).map(Cow::Owned));
    }
    resources
}

fn parent(target: &Target) -> wire::ParentResourceRep<'_> {
    wire::ParentResourceRep { name: shown::first([&target.name, &target.id]), resource: resource::of_target(target) }
}

/// The person who did it, if it was one of whom anything is known.
fn member(content: &Content) -> Option<wire::MemberDataRep<'_>> {
    if shown::user_type(content) != shown::USER {
        return None;
    }
    let member = wire::MemberDataRep { id: content.actor.id.as_deref(), email: content.actor.email.as_deref() };
    (member != wire::MemberDataRep::default()).then_some(member)
}

/// The key by which it was done, if it was one of which anything is known.
fn token(content: &Content) -> Option<wire::TokenSummary<'_>> {
    if shown::user_type(content) != shown::API_KEY {
        return None;
    }
    let token = wire::TokenSummary { id: content.actor.id.as_deref(), name: content.actor.name.as_deref() };
    (token != wire::TokenSummary::default()).then_some(token)
}

/// An action in words: `updateOn` is «update on», `flag.archive` «flag archive».
fn words(action: &str) -> String {
    let mut words = String::with_capacity(action.len() + 4);
    let mut after_lower = false;
    for character in action.chars() {
        if !character.is_alphanumeric() {
            after_lower = false;
            if !words.is_empty() && !words.ends_with(' ') {
                words.push(' ');
            }
            continue;
        }
        if character.is_uppercase() && after_lower {
            words.push(' ');
        }
        after_lower = !character.is_uppercase();
        words.extend(character.to_lowercase());
    }
    words.truncate(words.trim_end().len());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_put_in_words() {
        for (action, expect) in [
            ("updateOn", "update on"),
            ("flag.archive", "flag archive"),
            ("createAPIToken", "create apitoken"),
            ("db-token_create", "db token create"),
            ("Delete Team", "delete team"),
            ("..a..", "a"),
            ("*", ""),
        ] {
            assert_eq!(words(action), expect, "{action}");
        }
    }

    #[test]
    fn an_address_escapes_all_that_could_be_misread() {
        let parameters = [("limit", "5"), ("x&y", "a b+c/é%")];
        assert_eq!(address(parameters.into_iter()), "/api/v2/auditlog?limit=5&x%26y=a%20b%2Bc%2F%C3%A9%25");
        assert_eq!(address(std::iter::empty()), LIST);
    }
}

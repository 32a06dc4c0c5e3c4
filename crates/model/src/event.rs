//! What happened: an event as handed in, and the same event with its place in a log.
//!
//! **Invariant:** a [`Content`] holds nothing that the server assigned after acceptance; what it
//! holds is what commitments are made over.

use std::sync::Arc;

use serde::Deserialize;

use crate::parse::{parse_stored, plain};
use crate::{Canonical, Fault, Time, Value};

/// An event as handed in, before it has a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewEvent {
    /// The organization it is for, where the one who hands it in may choose.
    pub organization: Option<String>,
    /// The name the client gave it, if it gave one; else the server makes one.
    pub id: Option<String>,
    /// All else. Its own `id` is empty until the event is accepted.
    pub content: Content,
}

/// What an event says. Every part but `id` and `action` may be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// The event's name, unique in its log.
    pub id: String,
    /// What was done, such as `flag.update`.
    pub action: String,
    /// The client's word for when it happened.
    pub time_occurred: Option<Time>,
    /// Who did it.
    pub actor: Actor,
    /// What it was done to, the most important first.
    pub targets: Vec<Target>,
    /// What was done to which resource, in resource specifiers.
    pub accesses: Vec<Access>,
    /// The request by which it was done.
    pub request: Request,
    /// Where it was done from, such as `cli`.
    pub origin: Option<String>,
    /// A part of the organization.
    pub workspace: Option<String>,
    /// A headline.
    pub title: Option<String>,
    /// What happened, in a sentence.
    pub description: Option<String>,
    /// The same, shorter.
    pub summary: Option<String>,
    /// Why it was done.
    pub reason: Option<String>,
    /// Remarks.
    pub notes: Option<String>,
    /// What was there before and after.
    pub changes: Option<Value>,
    /// When the source lets the event expire; informative.
    pub time_expires: Option<Time>,
    /// Anything else.
    pub data: Option<Value>,
    /// What a source said that fits nowhere else, under the source's name.
    pub vendor: Option<Value>,
}

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// Such as `user`, `api_key` or `service` (`actor.type`).
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its e-mail address.
    pub email: Option<String>,
}

/// What something was done to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Such as `flag` (`targets.I.type`).
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// One action on one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The action, such as `updateOn`.
    pub action: String,
    /// The resource's specifier, such as `proj/web:env/production:flag/new-checkout`.
    pub resource: String,
}

/// The request by which it was done.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its id.
    pub id: Option<String>,
    /// Its HTTP method.
    pub method: Option<String>,
    /// Its path.
    pub path: Option<String>,
    /// Its query.
    #[serde(default, deserialize_with = "plain::value_in_request")]
    pub query: Option<Value>,
    /// Its headers.
    #[serde(default, deserialize_with = "plain::value_in_request")]
    pub headers: Option<Value>,
    /// Its body.
    #[serde(default, deserialize_with = "plain::value_in_request")]
    pub body: Option<Value>,
    /// The response's status.
    pub status: Option<u16>,
    /// The client's IPv4 or IPv6 address, spelled as it was handed in.
    pub client_ip: Option<String>,
    /// The client's program.
    pub user_agent: Option<String>,
    /// The country's code.
    pub country: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// Degrees north, as a text.
    pub latitude: Option<String>,
    /// Degrees east, as a text.
    pub longitude: Option<String>,
}

/// An event with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The organization whose log it is in.
    pub organization: Arc<str>,
    /// Its place in its log, from 0, without gaps.
    pub index: u64,
    /// Its place over all logs, in the order of commits.
    pub position: u64,
    /// The server's clock at its commit, never decreasing within a log.
    pub time_recorded: Time,
    /// Its canonical text.
    pub canonical: Arc<[u8]>,
}

impl Content {
    /// The instant that readers are shown: the client's word, or `time_recorded` without one.
    #[must_use]
    pub fn time_shown(&self, time_recorded: Time) -> Time {
        self.time_occurred.unwrap_or(time_recorded)
    }

    /// The canonical form and where each member lies in it.
    #[must_use]
    pub fn canonical(&self) -> Canonical {
        Canonical::of(self)
    }
}

impl Target {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kind.is_none() && self.id.is_none() && self.name.is_none()
    }
}

impl Event {
    /// What the event says.
    ///
    /// # Errors
    ///
    /// An internal fault if the stored text is not an event's; it was checked when it was
    /// accepted, so this means that the store is damaged.
    pub fn content(&self) -> Result<Content, Fault> {
        if let Some(content) = plain::stored(&self.canonical) {
            return Ok(content);
        }
        let value = Value::parse_stored(&self.canonical).map_err(|_| ());
        let content = value.and_then(|value| parse_stored(value).map_err(|_| ()));
        content.map_err(|()| Fault::internal(format!("the stored event at position {} can't be read", self.position)))
    }

    /// The event as the native API shows it: the canonical members with `index`, `organization`,
    /// `time_recorded`, and `time_occurred` where the client gave none.
    pub fn write_native(&self, out: &mut Vec<u8>) {
        let recorded = self.time_recorded.format();
        let members = self.canonical.strip_suffix(b"}").unwrap_or(&self.canonical);
        out.extend_from_slice(members);
        out.extend_from_slice(b",\"index\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.index).as_bytes());
        out.extend_from_slice(b",\"organization\":");
        crate::value::write_text(&self.organization, out);
        if !Canonical::has_time_occurred(&self.canonical) {
            out.extend_from_slice(b",\"time_occurred\":\"");
            out.extend_from_slice(recorded.as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(b",\"time_recorded\":\"");
        out.extend_from_slice(recorded.as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

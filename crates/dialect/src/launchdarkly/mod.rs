//! LaunchDarkly's audit log: pages of an account's events by time.
//!
//! **Invariant:** what is absent is omitted; a `null` fails the vendor's own clients.
//! **Invariant:** who follows `_links.next` sees every entry once, also where many share a
//! millisecond at a page's edge.
//!
//! # Source
//!
//! The REST API's OpenAPI 3.1 document, `get-audit-log-entries`, and for an entry's details the vendor's
//! `ld-openapi.json`, `getAuditLogEntry`; the versions of the API from its
//! overview, «Versioning».
//!
//! # Incomplete support
//!
//! - `q`, `spec`, `member` and `token` are refused.
//! - The search by statements and the counts are not served.
//! - All versions of the API are answered alike: the list is the same in all of them.

mod decode;
mod encode;
mod read;
mod resource;
mod wire;

use annals_model::{Call, Fault, NewEvent, Outcome};

use crate::{Answer, Context, Credential, Dialect, Request, Route, shown};

/// The path of the list, and what the path of an entry begins with.
const LIST: &str = "/api/v2/auditlog";
/// The path of one entry.
const ENTRY: &str = "/api/v2/auditlog/{id}";
/// The segment of the path that names an entry.
const ENTRY_ID: &str = "id";

/// The API.
pub(crate) struct LaunchDarkly;

/// The name, in paths and in `vendor`.
const NAME: &str = "launchdarkly";

impl Dialect for LaunchDarkly {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self) -> &'static [Route] {
        &[Route { method: "GET", path: LIST }, Route { method: "GET", path: ENTRY }]
    }

    fn credential(&self, request: &Request) -> Result<Credential, Fault> {
        decode::credential(request)
    }

    fn decode(&self, request: &Request, context: &Context) -> Result<Call, Fault> {
        decode::version(request)?;
        match request.segment(ENTRY_ID) {
            Some(id) => Ok(Call::Get { organization: context.organization.id.as_str().into(), id: id.to_owned() }),
            None => decode::list(request, context).map(Call::Page),
        }
    }

    fn encode(&self, request: &Request, context: &Context, outcome: &Outcome) -> Result<Answer, Fault> {
        match outcome {
            Outcome::Page(page) => encode::list(request, context, page),
            Outcome::Event(event) => encode::single(request, context, event),
            Outcome::Appended(_) => Err(shown::unexpected_outcome()),
        }
    }

    fn entries(&self) -> Option<&'static str> {
        Some("items")
    }

    fn read(&self, entry: serde_json::Value) -> Result<NewEvent, Fault> {
        read::entry(entry)
    }

    fn encode_fault(&self, fault: &Fault) -> Vec<u8> {
        encode::fault(fault)
    }
}

//! LaunchDarkly's audit log: pages of an account's events by time.
//!
//! **Invariant:** what is absent is omitted; a `null` fails the vendor's own clients.
//! **Invariant:** who follows `_links.next` sees every entry once, also where many share a
//! millisecond at a page's edge.
//!
//! # Source
//!
//! The REST API's OpenAPI 3.1 document, `get-audit-log-entries`; the versions of the API from its
//! overview, «Versioning».
//!
//! # Incomplete support
//!
//! - `q`, `spec`, `member` and `token` are refused.
//! - The search by statements, the counts and the entry with its details are not served.
//! - All versions of the API are answered alike: the list is the same in all of them.
//! - Entries of this API are not read into events yet.

mod decode;
mod encode;
mod resource;
mod wire;

use annals_model::{Call, Fault, Outcome};

use crate::{Answer, Context, Credential, Dialect, Request, Route, shown};

/// The path of the list, and what the path of an entry begins with.
const LIST: &str = "/api/v2/auditlog";

/// The API.
pub(crate) struct LaunchDarkly;

impl Dialect for LaunchDarkly {
    fn name(&self) -> &'static str {
        "launchdarkly"
    }

    fn routes(&self) -> &'static [Route] {
        &[Route { method: "GET", path: LIST }]
    }

    fn credential(&self, request: &Request) -> Result<Credential, Fault> {
        decode::credential(request)
    }

    fn decode(&self, request: &Request, context: &Context) -> Result<Call, Fault> {
        decode::version(request)?;
        decode::list(request, context).map(Call::Page)
    }

    fn encode(&self, request: &Request, context: &Context, outcome: &Outcome) -> Result<Answer, Fault> {
        let Outcome::Page(page) = outcome else {
            return Err(shown::unexpected_outcome());
        };
        encode::list(request, context, page)
    }

    fn encode_fault(&self, fault: &Fault) -> Vec<u8> {
        encode::fault(fault)
    }
}

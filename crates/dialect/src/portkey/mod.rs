//! Portkey's audit log: pages of an organization's events within a span of time.
//!
//! # Source
//!
//! The Portkey API 2.0.0, page «List Audit Logs» with its OpenAPI document; the codes of errors
//! are from the vendor's other documentation. `/audit-logs` is the path behind a base URL of one's own.
//!
//! # Incomplete support
//!
//! - The filters `method`, `user_type` and `resource_type` are refused: what they compare is
//!   derived, or belongs to the first of several targets.

mod decode;
mod encode;
mod read;
mod wire;

use annals_model::{Call, Fault, NewEvent, Outcome};

use crate::{Answer, Context, Credential, Dialect, Request, Route};

/// The API.
pub(crate) struct Portkey;

/// The name, also of an organization's alias.
const NAME: &str = "portkey";

impl Dialect for Portkey {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self) -> &'static [Route] {
        &[Route { method: "GET", path: "/v1/audit-logs" }, Route { method: "GET", path: "/audit-logs" }]
    }

    fn credential(&self, request: &Request) -> Result<Credential, Fault> {
        decode::credential(request)
    }

    fn organization<'r>(&self, request: &'r Request) -> Option<&'r str> {
        request.query("organisation_id").filter(|organization| !organization.is_empty())
    }

    fn decode(&self, request: &Request, context: &Context) -> Result<Call, Fault> {
        decode::list(request, context).map(Call::Page)
    }

    fn encode(&self, _request: &Request, context: &Context, outcome: &Outcome) -> Result<Answer, Fault> {
        encode::list(context, outcome)
    }

    fn entries(&self) -> Option<&'static str> {
        Some("records")
    }

    fn read(&self, entry: serde_json::Value) -> Result<NewEvent, Fault> {
        read::record(entry)
    }

    fn encode_fault(&self, fault: &Fault) -> Vec<u8> {
        encode::fault(fault)
    }
}

//! Turso's audit log: pages of an organization's events by number.
//!
//! # Source
//!
//! The Platform API 0.1.0, page «List Audit Logs» with its OpenAPI document. The addresses and places of an entry
//! (`ip`, `country_code`, `city`, `latitude`, `longitude`) are in the vendor's command line alone, and so is
//! `GET /v1/auth/validate`.
//!
//! # Incomplete support
//!
//! - Actions are shown as they are: there is no configuration yet that maps them to the vendor's
//!   codes.

mod decode;
mod encode;
mod read;
mod wire;

use annals_model::{Call, Fault, NewEvent, Outcome, Time};

use crate::{Answer, Context, Credential, Dialect, Request, Route, asked};

/// The API.
pub(crate) struct Turso;

/// Where the vendor's command line asks first whether its key is good.
const VALIDATE: &str = "/v1/auth/validate";
/// The name, in paths and in `vendor`.
const NAME: &str = "turso";

impl Dialect for Turso {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self) -> &'static [Route] {
        &[Route { method: "GET", path: "/v1/organizations/{slug}/audit-logs" }, Route { method: "GET", path: VALIDATE }]
    }

    fn credential(&self, request: &Request) -> Result<Credential, Fault> {
        asked::bearer(request)
    }

    fn about_key(&self, request: &Request, key_expires: Option<Time>) -> Result<Option<Answer>, Fault> {
        if request.path == VALIDATE { encode::validity(key_expires).map(Some) } else { Ok(None) }
    }

    fn organization<'r>(&self, request: &'r Request) -> Option<&'r str> {
        request.segment("slug")
    }

    fn decode(&self, request: &Request, context: &Context) -> Result<Call, Fault> {
        decode::list(request, context).map(Call::Page)
    }

    fn encode(&self, request: &Request, _context: &Context, outcome: &Outcome) -> Result<Answer, Fault> {
        encode::list(request, outcome)
    }

    fn entries(&self) -> Option<&'static str> {
        Some("audit_logs")
    }

    fn read(&self, entry: serde_json::Value) -> Result<NewEvent, Fault> {
        read::entry(entry)
    }

    fn encode_fault(&self, fault: &Fault) -> Vec<u8> {
        encode::fault(fault)
    }
}

//! Turso's audit log: pages of an organization's events by number.
//!
//! # Source
//!
//! The Platform API 0.1.0, page «List Audit Logs» with its OpenAPI document. The addresses and places of an entry
//! (`ip`, `country_code`, `city`, `latitude`, `longitude`) are in the vendor's command line alone.
//!
//! # Incomplete support
//!
//! - Actions are shown as they are: there is no configuration yet that maps them to the vendor's
//!   codes.
//! - Entries of this API are not read into events yet.
//! - `GET /v1/auth/validate`, which asks about the key and no log, is not in here.

mod decode;
mod encode;
mod wire;

use annals_model::{Call, Fault, Outcome};

use crate::{Answer, Context, Credential, Dialect, Request, Route, asked};

/// The API.
pub(crate) struct Turso;

impl Dialect for Turso {
    fn name(&self) -> &'static str {
        "turso"
    }

    fn routes(&self) -> &'static [Route] {
        &[Route { method: "GET", path: "/v1/organizations/{slug}/audit-logs" }]
    }

    fn credential(&self, request: &Request) -> Result<Credential, Fault> {
        asked::bearer(request)
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

    fn encode_fault(&self, fault: &Fault) -> Vec<u8> {
        encode::fault(fault)
    }
}

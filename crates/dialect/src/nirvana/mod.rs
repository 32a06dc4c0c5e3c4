//! The audit-log API of Nirvana Labs.
//!
//! **Invariant:** a list and an entry never show the server's own events, and a request for one
//! of those is answered as if there were none.
//!
//! # Source
//!
//! The vendor's reference of `GET /v1/audit_logs` and `GET /v1/audit_logs/{audit_log_id}`; query
//! parameters, `null` values and cursors from the vendor's client libraries.
//!
//! # Incomplete support
//!
//! - `actor_id`, `target_id` and `target_type` are refused: an entry shows the e-mail address for a
//!   missing actor id and the first target alone, and a filter can't tell yet.
//! - `method` and `client_ip` are refused when empty, which would mean the entries without one.
//! - `status_code_max` below 999 is refused without a `status_code_min` of 1 or more: an entry
//!   without a status shows 0.

mod decode;
mod encode;
mod read;
mod wire;

use annals_model::{Call, Fault, NewEvent, Outcome};

use crate::{Answer, Context, Credential, Dialect, Request, Route, asked, shown};

/// The path of the list.
const LIST: &str = "/v1/audit_logs";
/// The path of one entry.
const ENTRY: &str = "/v1/audit_logs/{audit_log_id}";
/// The segment of the path that names an entry.
const ENTRY_ID: &str = "audit_log_id";

/// The API of Nirvana Labs.
pub(crate) struct Nirvana;

/// The name, in paths and in `vendor`.
const NAME: &str = "nirvana";

impl Dialect for Nirvana {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self) -> &'static [Route] {
        &[Route { method: "GET", path: LIST }, Route { method: "GET", path: ENTRY }]
    }

    fn credential(&self, request: &Request) -> Result<Credential, Fault> {
        asked::bearer(request)
    }

    fn decode(&self, request: &Request, context: &Context) -> Result<Call, Fault> {
        match request.segment(ENTRY_ID) {
            Some(id) => Ok(Call::Get { organization: context.organization.id.as_str().into(), id: id.to_owned() }),
            None => decode::list(request, context).map(Call::Page),
        }
    }

    fn encode(&self, _request: &Request, _context: &Context, outcome: &Outcome) -> Result<Answer, Fault> {
        match outcome {
            Outcome::Page(page) => encode::list(page),
            Outcome::Event(event) => encode::single(event),
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

//! Upstash's audit log: every entry at once, without parameters or pages.
//!
//! **Invariant:** every field is in every entry; texts that there are none of are `""`.
//!
//! # Source
//!
//! The Developer API 1.0.0, page «List Audit Logs» with its OpenAPI document. `/auditlogs` is the path of
//! its OpenAPI document, `/v2/auditlogs` that of its examples. The body of an error is not
//! documented; the vendor's command line reads `error`.

mod decode;
mod encode;
mod read;
mod wire;

use annals_model::{Call, Fault, NewEvent, Outcome};

use crate::{Answer, Context, Credential, Dialect, Request, Route, Stream, shown};

/// The API.
pub(crate) struct Upstash;

/// The name, also of an organization's alias.
const NAME: &str = "upstash";

impl Dialect for Upstash {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self) -> &'static [Route] {
        &[Route { method: "GET", path: "/auditlogs" }, Route { method: "GET", path: "/v2/auditlogs" }]
    }

    fn credential(&self, request: &Request) -> Result<Credential, Fault> {
        decode::credential(request)
    }

    fn decode(&self, _request: &Request, context: &Context) -> Result<Call, Fault> {
        Ok(decode::list(context))
    }

    /// Lists are streamed, so there is no outcome to encode.
    fn encode(&self, _request: &Request, _context: &Context, _outcome: &Outcome) -> Result<Answer, Fault> {
        Err(shown::unexpected_outcome())
    }

    fn stream(&self, context: &Context) -> Option<Stream> {
        Some(encode::stream(context))
    }

    fn entries(&self) -> Option<&'static str> {
        None
    }

    fn read(&self, entry: serde_json::Value) -> Result<NewEvent, Fault> {
        read::entry(entry)
    }

    fn encode_fault(&self, fault: &Fault) -> Vec<u8> {
        encode::fault(fault)
    }
}

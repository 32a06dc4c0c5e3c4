//! The JSON of the API, in the vendor's words.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::NAME;
use crate::kept::{Shape, Vendor, required};

/// The vendor's entries; all members are always there.
pub(crate) const VENDOR: Vendor = Vendor {
    name: NAME,
    owner: Some("customer_id"),
    marks: ["action_string", "log_id"],
    fields: &[
        required("log_id", Shape::Text),
        required("actor", Shape::Text),
        required("timestamp", Shape::Integer),
        required("action", Shape::Integer),
        required("action_string", Shape::Action),
        required("source", Shape::Text),
        required("entity", Shape::Text),
        required("secondary_entity", Shape::Text),
        required("third_entity", Shape::Text),
        required("readable_format", Shape::Text),
        required("ip", Shape::Ipv4),
        required("ttl", Shape::Integer),
        required("reason", Shape::Text),
        required("notes", Shape::Text),
    ],
    hidden: &[],
    nulls: true,
};

/// An entry.
#[derive(Serialize)]
pub(crate) struct AuditLog<'e> {
    pub(crate) log_id: &'e str,
    pub(crate) customer_id: &'e str,
    pub(crate) actor: &'e str,
    /// Seconds since 1970.
    pub(crate) timestamp: i64,
    /// A number for `action_string`.
    pub(crate) action: u64,
    pub(crate) action_string: &'e str,
    pub(crate) source: Cow<'e, str>,
    pub(crate) entity: &'e str,
    /// `""` or `NA` where there is none, and so is the third.
    pub(crate) secondary_entity: &'e str,
    pub(crate) third_entity: &'e str,
    pub(crate) readable_format: &'e str,
    pub(crate) ip: Ipv4Addr,
    /// When the entry expires, in seconds since 1970.
    pub(crate) ttl: i64,
    pub(crate) reason: &'e str,
    pub(crate) notes: &'e str,
}

/// A refusal or failure.
#[derive(Serialize)]
pub(crate) struct Error<'f> {
    pub(crate) error: &'f str,
}

//! The JSON of the API, in the vendor's words.

use std::net::Ipv4Addr;

use serde::Serialize;

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
    pub(crate) source: &'e str,
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

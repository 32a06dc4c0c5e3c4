//! The JSON of the API, in the vendor's words.

use annals_model::Object;
use serde::{Serialize, Serializer};

use super::NAME;
use super::encode::{CLI, WEB};
use crate::kept::{Entry, Shape, Vendor, optional};
use crate::shown::Json;

/// The vendor's codes, as it spells them.
pub(crate) const CODES: [&str; 24] = [
    "user-signup",
    "db-create",
    "db-delete",
    "db-protect",
    "db-unprotect",
    "db-token-create",
    "group-token-create",
    "user-token-create",
    "instance-create",
    "instance-delete",
    "org-create",
    "org-delete",
    "org-member-add",
    "org-member-rm",
    "org-member-leave",
    "org-plan-update",
    "org-set-overages",
    "group-create",
    "group-delete",
    "group-unarchive",
    "group-protect",
    "group-unprotect",
    "db-aunrchive",
    "user-delete",
];

/// The vendor's entries. No member is required, and `data` is the one that may be null.
pub(crate) const VENDOR: Vendor = Vendor {
    name: NAME,
    owner: None,
    marks: ["code", "author"],
    fields: &[
        optional("code", Shape::OneOf(&CODES)),
        optional("message", Shape::Text),
        optional("origin", Shape::OneOf(&[CLI, WEB])),
        optional("author", Shape::Text),
        optional("created_at", Shape::Text),
        optional("data", Shape::OrNull(&Shape::Anything)),
        optional("ip", Shape::Text),
        optional("country_code", Shape::Text),
        optional("city", Shape::Text),
        optional("latitude", Shape::Text),
        optional("longitude", Shape::Text),
    ],
    hidden: &[],
    nulls: true,
};

/// A page.
#[derive(Serialize)]
pub(crate) struct AuditLogs<'e> {
    pub(crate) audit_logs: Vec<Entry<AuditLog<'e>>>,
    pub(crate) pagination: Pagination,
}

/// An entry.
#[derive(Serialize)]
pub(crate) struct AuditLog<'e> {
    pub(crate) code: &'e str,
    pub(crate) message: &'e str,
    /// `cli` or `web`.
    pub(crate) origin: &'static str,
    pub(crate) author: &'e str,
    /// RFC 3339, UTC.
    pub(crate) created_at: String,
    #[serde(serialize_with = "object")]
    pub(crate) data: Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) country_code: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) city: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latitude: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) longitude: Option<&'e str>,
}

/// Which page it is, and of how many.
#[derive(Serialize)]
pub(crate) struct Pagination {
    /// From 1.
    pub(crate) page: u64,
    pub(crate) page_size: u64,
    pub(crate) total_pages: u64,
    pub(crate) total_rows: u64,
}

/// How long a key is good.
#[derive(Serialize)]
pub(crate) struct Validity {
    /// Unix time in seconds.
    pub(crate) exp: i64,
}

/// A refusal or failure.
#[derive(Serialize)]
pub(crate) struct Error<'f> {
    pub(crate) error: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
}

fn object<S: Serializer>(object: &Object, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(object.iter().map(|(key, value)| (key, Json(value))))
}

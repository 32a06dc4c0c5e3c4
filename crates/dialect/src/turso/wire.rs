//! The JSON of the API, in the vendor's words.

use annals_model::Object;
use serde::{Serialize, Serializer};

use crate::shown::Json;

/// A page.
#[derive(Serialize)]
pub(crate) struct AuditLogs<'e> {
    pub(crate) audit_logs: Vec<AuditLog<'e>>,
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

//! The JSON of the API, in the vendor's words.

use serde::Serialize;

use super::NAME;
use crate::kept::{Entry, Shape, Vendor, required};
use crate::shown::{API_KEY, USER};

/// The vendor's entries; all members are always there, and two may be null.
pub(crate) const VENDOR: Vendor = Vendor {
    name: NAME,
    owner: None,
    marks: ["action", "actor"],
    fields: &[
        required("id", Shape::Text),
        required("action", Shape::Action),
        required(
            "actor",
            Shape::Object(&[
                required("id", Shape::Text),
                required("name", Shape::OrNull(&Shape::Text)),
                required("type", Shape::OneOf(&[USER, API_KEY])),
            ]),
        ),
        required("client_ip", Shape::Text),
        required("created_at", Shape::Time),
        required("method", Shape::Text),
        required("path", Shape::Text),
        required("status_code", Shape::Integer),
        required("user_agent", Shape::Text),
        required(
            "target",
            Shape::OrNull(&Shape::Object(&[required("id", Shape::Text), required("type", Shape::Text)])),
        ),
    ],
    hidden: &[],
    nulls: true,
};

/// A page of the list.
#[derive(Serialize)]
pub(crate) struct AuditLogList<'e> {
    /// The entries.
    pub(crate) items: Vec<Entry<AuditLog<'e>>>,
    /// Where the page lies.
    pub(crate) pagination: Pagination,
}

/// Where a page lies; all three are always there.
#[derive(Serialize)]
pub(crate) struct Pagination {
    /// The page after; clients stop where it is null.
    pub(crate) next_cursor: Option<String>,
    /// The page before.
    pub(crate) previous_cursor: Option<String>,
    /// How many entries there are on all pages.
    pub(crate) total_count: u64,
}

/// An entry.
#[derive(Serialize)]
pub(crate) struct AuditLog<'e> {
    /// Its id.
    pub(crate) id: &'e str,
    /// What was done.
    pub(crate) action: &'e str,
    /// Who did it.
    pub(crate) actor: AuditLogActor<'e>,
    /// The client's address.
    pub(crate) client_ip: &'e str,
    /// When, in RFC 3339.
    pub(crate) created_at: String,
    /// The request's HTTP method.
    pub(crate) method: &'e str,
    /// The request's path.
    pub(crate) path: &'e str,
    /// The response's HTTP status.
    pub(crate) status_code: u16,
    /// The client's program.
    pub(crate) user_agent: &'e str,
    /// What it was done to.
    pub(crate) target: Option<AuditLogTarget<'e>>,
}

/// Who did it.
#[derive(Serialize)]
pub(crate) struct AuditLogActor<'e> {
    /// Its id.
    pub(crate) id: &'e str,
    /// Its name.
    pub(crate) name: Option<&'e str>,
    /// `user` or `api_key`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

/// What it was done to.
#[derive(Serialize)]
pub(crate) struct AuditLogTarget<'e> {
    /// Its id.
    pub(crate) id: &'e str,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: &'e str,
}

/// A refusal or failure.
#[derive(Serialize)]
pub(crate) struct Error<'f> {
    /// What is wrong.
    pub(crate) message: &'f str,
}

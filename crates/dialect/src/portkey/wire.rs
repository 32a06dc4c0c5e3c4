//! The JSON of the API, in the vendor's words.

use std::borrow::Cow;

use serde::Serialize;

use super::NAME;
use super::encode::{DELETE, POST, PUT};
use crate::kept::{Entry, Shape, Vendor, optional};
use crate::shown::{API_KEY, USER};

/// The vendor's records; no member is required.
pub(crate) const VENDOR: Vendor = Vendor {
    name: NAME,
    owner: Some("organisation_id"),
    marks: ["action", "user_type"],
    fields: &[
        optional("timestamp", Shape::Text),
        optional("method", Shape::OneOf(&[POST, PUT, DELETE])),
        optional("uri", Shape::Text),
        optional("request_id", Shape::Text),
        optional("request_body", Shape::Text),
        optional("query_params", Shape::Text),
        optional("request_headers", Shape::Text),
        optional("user_id", Shape::Text),
        optional("user_type", Shape::OneOf(&[USER, API_KEY])),
        optional("workspace_id", Shape::Text),
        optional("response_status_code", Shape::Integer),
        optional("resource_type", Shape::Text),
        optional("action", Shape::Action),
        optional("client_ip", Shape::Text),
        optional("country", Shape::Text),
    ],
    hidden: &[],
    nulls: true,
};

/// A page.
#[derive(Serialize)]
pub(crate) struct AuditLogs<'e> {
    pub(crate) records: Vec<Entry<AuditLog<'e>>>,
    /// All that match.
    pub(crate) total: u64,
    /// A literal.
    pub(crate) object: &'static str,
}

/// A record.
#[derive(Serialize)]
pub(crate) struct AuditLog<'e> {
    /// RFC 3339, UTC.
    pub(crate) timestamp: String,
    /// `POST`, `PUT` or `DELETE`.
    pub(crate) method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uri: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<&'e str>,
    /// JSON in a text, and so are the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_body: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query_params: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_headers: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<&'e str>,
    /// `user` or `api_key`.
    pub(crate) user_type: &'static str,
    pub(crate) organisation_id: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workspace_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource_type: Option<&'e str>,
    pub(crate) action: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_ip: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) country: Option<&'e str>,
}

/// A refusal or failure.
#[derive(Serialize)]
pub(crate) struct Error<'f> {
    pub(crate) success: bool,
    pub(crate) data: ErrorData<'f>,
}

/// What is wrong.
#[derive(Serialize)]
pub(crate) struct ErrorData<'f> {
    pub(crate) message: &'f str,
    #[serde(rename = "errorCode")]
    pub(crate) error_code: &'static str,
}

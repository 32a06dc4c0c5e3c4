//! The JSON of the API, in the vendor's words.

use serde::Serialize;

/// A page.
#[derive(Serialize)]
pub(crate) struct AuditLogs<'e> {
    pub(crate) records: Vec<AuditLog<'e>>,
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
    pub(crate) request_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query_params: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_headers: Option<String>,
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

//! From a fault to a status: the one table, and the answer around it.

use annals_model::{Fault, FaultKind};
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::voice::Voice;

/// The content type of all answers but one.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A fault with what only HTTP needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) fault: Fault,
    /// The methods that the path has, where the method was wrong.
    pub(crate) allow: Option<Box<str>>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal { fault, allow: None }
    }
}

/// The status of a kind of fault, and its code in the native API.
pub(crate) fn of(kind: FaultKind) -> (StatusCode, &'static str) {
    match kind {
        FaultKind::Invalid => (StatusCode::BAD_REQUEST, "invalid_request"),
        FaultKind::Limit => (StatusCode::BAD_REQUEST, "limit_exceeded"),
        FaultKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "limit_exceeded"),
        FaultKind::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
        FaultKind::NotEntitled => (StatusCode::PAYMENT_REQUIRED, "not_entitled"),
        FaultKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
        FaultKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        FaultKind::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        FaultKind::Conflict => (StatusCode::CONFLICT, "conflict"),
        FaultKind::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        FaultKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        FaultKind::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        FaultKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        FaultKind::Deadline => (StatusCode::SERVICE_UNAVAILABLE, "deadline_exceeded"),
    }
}

/// The answer to a request that is refused or failed.
pub(crate) fn refuse(voice: Voice, refusal: &Refusal) -> Response {
    let (status, _) = of(refusal.fault.kind);
    let mut response = json(status, voice.encode_fault(&refusal.fault));
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.fault.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(methods) = refusal.allow.as_ref().and_then(|methods| methods.parse().ok()) {
        headers.insert(ALLOW, methods);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(voice.challenge()));
    }
    response
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: FaultKind, status: u16, retry_after: Option<&str>) {
        let response = refuse(Voice::Native, &Fault::new(kind, "x").into());
        assert_eq!(response.status().as_u16(), status, "{kind:?}");
        let have = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        assert_eq!(have, retry_after, "{kind:?}");
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
        assert_eq!(response.headers().get(CONTENT_TYPE), Some(&JSON));
    }

    #[test]
    fn each_kind_of_fault_has_its_status_and_says_when_to_try_again() {
        check(FaultKind::Invalid, 400, None);
        check(FaultKind::Limit, 400, None);
        check(FaultKind::TooLarge, 413, None);
        check(FaultKind::Unauthorized, 401, None);
        check(FaultKind::NotEntitled, 402, None);
        check(FaultKind::Forbidden, 403, None);
        check(FaultKind::NotFound, 404, None);
        check(FaultKind::MethodNotAllowed, 405, None);
        check(FaultKind::Conflict, 409, None);
        check(FaultKind::RateLimited { retry_after_s: 3 }, 429, Some("3"));
        check(FaultKind::Internal, 500, None);
        check(FaultKind::Busy { retry_after_s: 2 }, 503, Some("2"));
        check(FaultKind::Unavailable, 503, Some("1"));
        // The same query would take as long again.
        check(FaultKind::Deadline, 503, None);
    }
}

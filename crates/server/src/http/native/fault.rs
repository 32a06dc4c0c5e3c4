//! The body of a refusal in the native API.

use annals_model::{Fault, Location};
use serde::Serialize;

use crate::http::status;

#[derive(Serialize)]
struct Body<'f> {
    error: Error<'f>,
}

#[derive(Serialize)]
struct Error<'f> {
    code: &'static str,
    message: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

/// `{"error":{"code","message"}}`, with the place where there is one.
pub(crate) fn encode(fault: &Fault) -> Vec<u8> {
    let (_, code) = status::of(fault.kind);
    let none = Location::default();
    let Location { event, member, line, column } = fault.location.as_ref().unwrap_or(&none);
    let member = member.as_deref().filter(|member| !member.is_empty());
    let error = Error { code, message: &fault.message, event: *event, member, line: *line, column: *column };
    // Texts and numbers can always be written.
    serde_json::to_vec(&Body { error }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fault: &Fault, expect: &str) {
        assert_eq!(String::from_utf8_lossy(&encode(fault)), expect);
    }

    #[test]
    fn a_fault_is_shown_with_the_place_where_there_is_one() {
        check(&Fault::not_found("gone"), r#"{"error":{"code":"not_found","message":"gone"}}"#);
        let at = Location { event: Some(0), member: Some("data.x".into()), line: Some(2), column: Some(3) };
        check(
            &Fault::invalid("\"").at(at),
            r#"{"error":{"code":"invalid_request","message":"\"","event":0,"member":"data.x","line":2,"column":3}}"#,
        );
    }
}

//! What an event may say.

use annals_model::{FaultKind, Value, limits, parse_content};

fn refused(json: &str, kind: FaultKind, member: &str, message: &str) {
    let fault = parse_content(Value::parse(json.as_bytes()).expect("JSON")).expect_err(json);
    let at = fault.location.clone().and_then(|location| location.member).unwrap_or_default();
    assert_eq!((fault.kind, at.as_str()), (kind, member), "{json}: {fault}");
    assert!(fault.message.contains(message), "{json}: {fault}");
}

fn invalid(json: &str, member: &str, message: &str) {
    refused(json, FaultKind::Invalid, member, message);
}

#[test]
fn unknown_members_are_refused_by_name() {
    invalid(r#"{"action":"a","colour":1}"#, "colour", "not a member");
    invalid(r#"{"action":"a","index":1}"#, "index", "not a member");
    invalid(r#"{"action":"a","actor":{"id":"x","age":1}}"#, "actor.age", "not a member");
    invalid(r#"{"action":"a","request":{"ip":"1.2.3.4"}}"#, "request.ip", "not a member");
    invalid(r#"{"action":"a","targets":[{"id":"x"},{"id":"y","colour":"z"}]}"#, "targets.1.colour", "not a member");
    invalid(r#"{"action":"a","targets":[{"colour":"z"}]}"#, "targets.0.colour", "not a member");
    invalid(r#"{"action":"a","accesses":[{"action":"b","resource":"c","x":1}]}"#, "accesses.0.x", "not a member");
}

#[test]
fn wrong_types_are_refused_with_the_right_one() {
    invalid("[]", "", "must be an object, not a list");
    invalid(r#"{"action":1}"#, "action", "must be a text, not a number");
    invalid(r#"{"action":"a","actor":"iku"}"#, "actor", "must be an object, not a text");
    invalid(r#"{"action":"a","targets":{"id":"x"}}"#, "targets", "must be a list, not an object");
    invalid(r#"{"action":"a","targets":["x"]}"#, "targets.0", "must be an object, not a text");
    invalid(r#"{"action":"a","time_occurred":1700000000}"#, "time_occurred", "must be a text, not a number");
    invalid(r#"{"action":"a","time_occurred":"yesterday"}"#, "time_occurred", "is not a time such as");
    invalid(r#"{"action":"a","title":true}"#, "title", "must be a text, not true or false");
    invalid(
        r#"{"action":"a","request":{"client_ip":"localhost"}}"#,
        "request.client_ip",
        "is not an IPv4 or IPv6 address",
    );
    for status in ["-1", "1000", "200.5", "\"200\"", "true"] {
        invalid(
            &format!(r#"{{"action":"a","request":{{"status":{status}}}}}"#),
            "request.status",
            "whole number from 0 to 999",
        );
    }
}

#[test]
fn what_is_required_must_be_there() {
    invalid("{}", "action", "is required");
    invalid(r#"{"action":null}"#, "action", "is required");
    invalid(r#"{"action":""}"#, "action", "is empty");
    invalid(r#"{"action":"a","id":""}"#, "id", "is empty");
    invalid(r#"{"action":"a","targets":[{"id":"x"},{}]}"#, "targets.1", "is empty");
    invalid(r#"{"action":"a","targets":[{"id":null}]}"#, "targets.0", "is empty");
    invalid(r#"{"action":"a","accesses":[{"action":"b"}]}"#, "accesses.0.resource", "is required");
}

#[test]
fn action_id_and_targets_have_limits() {
    let event = |action: usize, id: usize, targets: usize| {
        let targets = vec![r#"{"id":"x"}"#; targets].join(",");
        format!(r#"{{"action":"{}","id":"{}","targets":[{targets}]}}"#, "é".repeat(action), "é".repeat(id))
    };
    let (action, id, targets) = (limits::ACTION_CHARS_MAX, limits::ID_CHARS_MAX, limits::TARGETS_MAX);
    assert!(parse_content(Value::parse(event(action, id, targets).as_bytes()).expect("JSON")).is_ok());
    refused(&event(action + 1, id, targets), FaultKind::Limit, "action", "at most 256 are taken, 257 came");
    refused(&event(action, id + 1, targets), FaultKind::Limit, "id", "at most 256 are taken, 257 came");
    refused(&event(action, id, targets + 1), FaultKind::Limit, "targets", "at most 32 are taken, 33 came");
}

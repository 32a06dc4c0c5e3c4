//! CloudEvents as events.
//!
//! | attribute | member |
//! | --- | --- |
//! | `source` and `id`, with a space between | `id`: both together are what tells two of them apart |
//! | `type` | `action` |
//! | `source` | `origin` |
//! | `subject` | `targets.0.id` |
//! | `time` | `time_occurred` |
//! | `data` | `data` |
//! | `organization` (extension) | `organization` |
//! | `authtype`, `authid` (extensions) | `actor.type`, `actor.id` |
//! | all others, `data_base64` | `vendor.cloudevents`, under their own names |
//!
//! **Invariant:** nothing of a CloudEvent is lost but `specversion`, which is always `1.0`, and
//! members that say nothing, such as `null`.
//!
//! # Source
//!
//! CloudEvents 1.0.2, JSON event format 1.0.2; the Auth Context extension for `authtype` and
//! `authid`.

use annals_model::{Fault, NewEvent, Object, Value, parse_content};

/// The attributes with a member of their own, and that member.
const NAMES: [(&str, &str); 5] = [
    ("type", "action"),
    ("source", "origin"),
    ("time", "time_occurred"),
    ("data", "data"),
    ("organization", "organization"),
];
const REQUIRED: [&str; 3] = ["id", "source", "type"];
const SUBJECT: (&str, &str) = ("subject", "targets.0.id");
const ACTOR: [(&str, &str); 2] = [("authtype", "type"), ("authid", "id")];

/// Reads one CloudEvent.
///
/// # Errors
///
/// An invalid-request or limit fault that names the attribute.
pub(crate) fn read(value: Value) -> Result<NewEvent, Fault> {
    let Value::Object(mut rest) = value else {
        return Err(Fault::invalid(format!("a CloudEvent must be an object, not {}", value.kind())));
    };
    match rest.remove("specversion") {
        Some(Value::Text(version)) if version == "1.0" => {}
        _ => return Err(Fault::invalid("specversion must be \"1.0\"").at_member("specversion")),
    }
    for name in REQUIRED {
        if rest.member(name).and_then(Value::as_text).is_none_or(str::is_empty) {
            return Err(Fault::invalid(format!("{name} is required by CloudEvents: a text")).at_member(name));
        }
    }
    for (name, value) in rest.iter().filter(|(name, _)| *name != "data") {
        if matches!(value, Value::List(_) | Value::Object(_)) {
            return Err(Fault::invalid(format!("{name} must be a text, a number, true or false in CloudEvents"))
                .at_member(name));
        }
    }
    let mut event = Object::new();
    let text = |name: &str| rest.member(name).and_then(Value::as_text).unwrap_or_default();
    event.insert("id", Value::Text(format!("{} {}", text("source"), text("id"))));
    rest.remove("id");
    for (attribute, member) in NAMES {
        if let Some(value) = rest.remove(attribute) {
            event.insert(member, value);
        }
    }
    if let Some(subject) = rest.remove(SUBJECT.0) {
        let target: Object = [("id", subject)].into_iter().collect();
        event.insert("targets", Value::List(vec![target.into()]));
    }
    let actor = ACTOR.into_iter().filter_map(|(attribute, member)| Some((member, rest.remove(attribute)?)));
    event.insert("actor", actor.collect::<Object>().into());
    if !rest.is_empty() {
        let vendor: Object = [("cloudevents", Value::Object(rest))].into_iter().collect();
        event.insert("vendor", vendor.into());
    }
    parse_content(event.into()).map_err(in_their_words)
}

/// A fault that names the attribute in place of the member.
fn in_their_words(mut fault: Fault) -> Fault {
    let Some(location) = &mut fault.location else {
        return fault;
    };
    let members = NAMES.into_iter().chain([SUBJECT]).map(|(attribute, member)| (attribute, member.to_owned()));
    let actor = ACTOR.into_iter().map(|(attribute, member)| (attribute, format!("actor.{member}")));
    let mut all = members.chain(actor);
    if let Some((attribute, member)) = all.find(|(_, member)| location.member.as_deref() == Some(member)) {
        fault.message = fault.message.replace(&member, attribute);
        location.member = Some(attribute.to_owned());
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<NewEvent, Fault> {
        read(Value::parse(json.as_bytes()).expect("JSON"))
    }

    fn refused(json: &str, member: &str) {
        let fault = parse(json).expect_err(json);
        assert!(fault.message.contains(member), "{fault:?}");
        assert_eq!(fault.location.and_then(|location| location.member).as_deref(), Some(member), "{json}");
    }

    #[test]
    fn attributes_have_their_members_and_the_rest_is_kept() {
        let event = parse(
            r#"{"specversion":"1.0","id":"1","type":"com.example.made","source":"/shop","subject":"cart/7",
                "time":"2026-11-20T09:46:08Z","datacontenttype":"application/json","dataschema":"urn:x",
                "data":{"n":1},"traceparent":"00-1","organization":"acme","authtype":"user","authid":"u1"}"#,
        )
        .expect("reads");
        assert_eq!((event.organization.as_deref(), event.id.as_deref()), (Some("acme"), Some("/shop 1")));
        let canonical = event.content.canonical().text;
        assert_eq!(
            String::from_utf8_lossy(&canonical),
            concat!(
                r#"{"action":"com.example.made","actor":{"id":"u1","type":"user"},"data":{"n":1},"id":"","#,
                r#""origin":"/shop","targets":[{"id":"cart/7"}],"time_occurred":"2026-11-20T09:46:08.000000Z","#,
                r#""vendor":{"cloudevents":{"datacontenttype":"application/json","dataschema":"urn:x","#,
                r#""traceparent":"00-1"}}}"#
            )
        );
    }

    #[test]
    fn binary_data_is_kept_as_it_came() {
        let event = parse(r#"{"specversion":"1.0","id":"1","type":"t","source":"s","data_base64":"AAE="}"#);
        let vendor = event.expect("reads").content.vendor.expect("kept");
        assert_eq!(vendor.canonical(), br#"{"cloudevents":{"data_base64":"AAE="}}"#);
    }

    #[test]
    fn what_is_no_cloudevent_is_refused_by_attribute() {
        refused(r#"{"id":"1","type":"t","source":"s"}"#, "specversion");
        refused(r#"{"specversion":"0.3","id":"1","type":"t","source":"s"}"#, "specversion");
        refused(r#"{"specversion":"1.0","id":"1","type":"t"}"#, "source");
        refused(r#"{"specversion":"1.0","id":1,"type":"t","source":"s"}"#, "id");
        refused(r#"{"specversion":"1.0","id":"1","type":"t","source":"s","time":"now"}"#, "time");
        refused(r#"{"specversion":"1.0","id":"1","type":"t","source":"s","subject":1}"#, "subject");
        refused(r#"{"specversion":"1.0","id":"1","type":"t","source":"s","ext":{"a":1}}"#, "ext");
        refused(r#"{"specversion":"1.0","id":"1","type":"t","source":"s","ext":[[0]]}"#, "ext");
        let long = format!(r#"{{"specversion":"1.0","id":"1","type":"{}","source":"s"}}"#, "t".repeat(257));
        refused(&long, "type");
        assert!(parse("[]").is_err());
    }
}

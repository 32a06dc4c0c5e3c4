//! What a record says of the members that have several sources.
//!
//! **Invariant:** these read a whole record and what is left of one alike; reading and rebuilding
//! both ask them, so that both decide the same.

use std::net::IpAddr;

use annals_model::{Object, Target, Value, limits};

/// A text that says something.
pub(super) fn text<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.member(name).and_then(Value::as_text).filter(|text| !text.is_empty())
}

fn object<'o>(object: &'o Object, name: &str) -> Option<&'o Object> {
    object.member(name).and_then(Value::as_object)
}

/// `actor.type`: what kind of identity `userIdentity.type` names.
pub(super) fn actor_type(identity: &Object) -> &'static str {
    match text(identity, "type") {
        Some("IAMUser" | "Root" | "FederatedUser" | "SAMLUser" | "WebIdentityUser" | "IdentityCenterUser") => "user",
        Some("AssumedRole" | "Role") => "role",
        Some("AWSService") => "service",
        Some("AWSAccount") => "account",
        _ => super::UNKNOWN,
    }
}

/// `actor.id`
pub(super) fn actor_id(identity: &Object) -> Option<&str> {
    ["arn", "invokedBy", "principalId"].into_iter().find_map(|name| text(identity, name))
}

/// `actor.name`
pub(super) fn actor_name(identity: &Object) -> Option<&str> {
    let issuer = || object(object(identity, "sessionContext")?, "sessionIssuer");
    text(identity, "userName").or_else(|| text(issuer()?, "userName"))
}

/// Whether a source address is an address, rather than a service's name.
pub(super) fn is_address(source: &str) -> bool {
    source.parse::<IpAddr>().is_ok()
}

/// The targets that the record's resources are, as many as an event may have.
pub(super) fn resources(record: &Object) -> Vec<Target> {
    let list = match record.member("resources") {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    list.iter().filter_map(resource).take(limits::TARGETS_MAX).collect()
}

/// The target that a resource is, if it says anything of one.
pub(super) fn resource(resource: &Value) -> Option<Target> {
    let resource = resource.as_object()?;
    let owned = |name| text(resource, name).map(str::to_owned);
    let target = Target { kind: owned("type"), id: owned("ARN"), name: None };
    (!target.is_empty()).then_some(target)
}

/// The targets of a record whose resources are none: the service.
pub(super) fn service(record: &Object) -> Vec<Target> {
    let id = text(record, "eventSource").map(str::to_owned);
    id.map(|id| Target { kind: Some("service".to_owned()), id: Some(id), name: None }).into_iter().collect()
}

//! From a record to an event.

use annals_model::{Actor, Content, Fault, Filter, NewEvent, Object, Request, Target, Time, Value, limits};

use super::{ABSENT, UNKNOWN, VENDOR, derive};

/// Reads one record.
///
/// # Errors
///
/// An invalid-request fault if the record is no object, is not CloudTrail's, or claims one of the server's own actions;
/// a limit fault if it is nested deeper than an event may be. Both name the record's member.
pub fn read(record: Value) -> Result<NewEvent, Fault> {
    let mut rest = match record {
        Value::Object(rest) => rest,
        other => return Err(Fault::invalid(format!("a record must be an object, not {}", other.kind()))),
    };
    if ["eventName", "eventSource"].iter().all(|name| rest.member(name).is_none()) {
        let what = "this is no record of CloudTrail: it has neither eventName nor eventSource";
        return Err(Fault::invalid(what).at_member("eventName"));
    }
    check_depth(&rest)?;
    let mut absent = Vec::new();
    let action = action(&mut rest, &mut absent)?;
    let id = id(&mut rest, &mut absent);
    let actor = actor(&mut rest);
    // Resources ask for the service, so they go before it is taken out.
    let targets = targets(&mut rest);
    let (client_ip, origin) = source(&mut rest);
    let request = Request {
        id: take_text(&mut rest, "requestID"),
        user_agent: take_text(&mut rest, "userAgent"),
        client_ip,
        ..Request::default()
    };
    let content = Content {
        id: String::new(),
        action,
        time_occurred: time(&mut rest),
        actor,
        targets,
        request,
        origin,
        workspace: take_text(&mut rest, "awsRegion"),
        description: take_text(&mut rest, "errorMessage"),
        data: (!rest.is_empty()).then_some(Value::Object(rest)),
        vendor: noted(absent),
        ..Content::default()
    };
    Ok(NewEvent { organization: None, id, content })
}

/// The record becomes a member of the event, one level further down.
fn check_depth(record: &Object) -> Result<(), Fault> {
    for (name, value) in record.iter() {
        let levels = 2 + value.depth();
        if levels > limits::JSON_DEPTH_MAX {
            let what = format!("levels of nesting, of the event and {name}");
            return Err(Fault::limit(&what, limits::JSON_DEPTH_MAX, levels).at_member(name));
        }
    }
    Ok(())
}

fn action(rest: &mut Object, absent: &mut Vec<Value>) -> Result<String, Fault> {
    if derive::text(rest, "eventName").is_some_and(|name| name.starts_with(Filter::OWN_ACTIONS)) {
        let what = format!("eventName begins with {}, as only the server's own events do", Filter::OWN_ACTIONS);
        return Err(Fault::invalid(what).at_member("eventName"));
    }
    note_if_absent(rest, "eventName", absent);
    Ok(take_name(rest, "eventName", limits::ACTION_CHARS_MAX).unwrap_or_else(|| UNKNOWN.to_owned()))
}

fn id(rest: &mut Object, absent: &mut Vec<Value>) -> Option<String> {
    // The server gives the event an id of its own, which was none of the record's.
    note_if_absent(rest, "eventID", absent);
    take_name(rest, "eventID", limits::ID_CHARS_MAX)
}

fn note_if_absent(rest: &Object, name: &str, absent: &mut Vec<Value>) {
    if rest.member(name).is_none() {
        absent.push(Value::from(name));
    }
}

fn noted(absent: Vec<Value>) -> Option<Value> {
    if absent.is_empty() {
        return None;
    }
    let notes: Object = [(ABSENT, Value::List(absent))].into_iter().collect();
    let vendor: Object = [(VENDOR, Value::Object(notes))].into_iter().collect();
    Some(Value::Object(vendor))
}

/// The time is taken out only if its text is the one that would be written for it.
fn time(rest: &mut Object) -> Option<Time> {
    let text = derive::text(rest, "eventTime")?;
    let time = Time::parse(text).ok()?;
    if time.format_short() == text {
        rest.remove("eventTime");
    }
    Some(time)
}

fn actor(rest: &mut Object) -> Actor {
    let nobody = || Actor { kind: Some(UNKNOWN.to_owned()), ..Actor::default() };
    let mut identity = match rest.remove("userIdentity") {
        Some(Value::Object(identity)) => identity,
        Some(other) => {
            rest.insert("userIdentity", other);
            return nobody();
        }
        None => return nobody(),
    };
    let actor = Actor {
        kind: Some(derive::actor_type(&identity).to_owned()),
        id: derive::actor_id(&identity).map(str::to_owned),
        name: derive::actor_name(&identity).map(str::to_owned),
        email: None,
    };
    take_first(&mut identity, "arn", derive::actor_id);
    take_first(&mut identity, "userName", derive::actor_name);
    // It stays also where nothing is left in it, or it would come to be absent.
    rest.insert("userIdentity", Value::Object(identity));
    actor
}

/// Takes out the first source of a member, unless what is left has the same value to offer: then
/// it couldn't be told that it was there.
fn take_first(identity: &mut Object, name: &str, member: fn(&Object) -> Option<&str>) {
    let Some(text) = take_text(identity, name) else {
        return;
    };
    if member(identity) == Some(text.as_str()) {
        identity.insert(name, Value::Text(text));
    }
}

fn targets(rest: &mut Object) -> Vec<Target> {
    let (targets, service) = (derive::resources(rest), derive::service(rest));
    if targets.is_empty() {
        return service;
    }
    // Each resource must be a target, or their places would shift; and what looks like a record
    // without resources couldn't be told from one.
    if let Some(Value::List(list)) = rest.member("resources")
        && list.len() == targets.len()
        && targets != service
        && let Some(Value::List(mut list)) = rest.remove("resources")
    {
        for resource in &mut list {
            if let Value::Object(resource) = resource {
                take_text(resource, "type");
                take_text(resource, "ARN");
            }
        }
        rest.insert("resources", Value::List(list));
    }
    targets
}

/// `request.client_ip` and `origin`.
fn source(rest: &mut Object) -> (Option<String>, Option<String>) {
    let address = derive::text(rest, "sourceIPAddress").map(derive::is_address);
    match address {
        Some(true) => (take_text(rest, "sourceIPAddress"), take_text(rest, "eventSource")),
        None => (None, take_text(rest, "eventSource")),
        // Where an event has an origin, no address, and its data a service of its own, the origin
        // was the source address. Without that service it has to stay.
        Some(false) if rest.member("eventSource").is_some() => (None, take_text(rest, "sourceIPAddress")),
        Some(false) => (None, derive::text(rest, "sourceIPAddress").map(str::to_owned)),
    }
}

/// Takes out a text that says something; anything else stays.
fn take_text(rest: &mut Object, name: &str) -> Option<String> {
    derive::text(rest, name)?;
    match rest.remove(name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// Takes out a text that is not too long for a name; anything else stays.
fn take_name(rest: &mut Object, name: &str, chars_max: usize) -> Option<String> {
    let fits = derive::text(rest, name)?.chars().count() <= chars_max;
    if fits { take_text(rest, name) } else { None }
}

//! The contract's table, row by row; and that nothing of a record is lost.

use annals_model::{Content, Fault, FaultKind, NewEvent, Object, Target, Time, Value, limits, parse_content};
use proptest::prelude::*;
use serde_json::json;

use super::{read, record};

fn value(json: &serde_json::Value) -> Value {
    Value::parse(json.to_string().as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn event(json: &serde_json::Value) -> NewEvent {
    read(value(json)).unwrap_or_else(|fault| panic!("{json}: {fault}"))
}

fn text(value: &Value) -> String {
    String::from_utf8(value.canonical()).expect("UTF-8")
}

/// The record that comes of an event after it was stored and read again. A server gives an event
/// without an id one of its own.
fn through_the_store(new: NewEvent) -> Value {
    let id = new.id.unwrap_or_else(|| "0190d3c6-0000-7000-8000-000000000000".to_owned());
    let content = Content { id, ..new.content };
    let stored = Value::parse(&content.canonical().text).expect("what is stored is JSON");
    let again = parse_content(stored).unwrap_or_else(|fault| panic!("{fault}"));
    let content = Content { id: again.id.unwrap_or_default(), ..again.content };
    record(&content)
}

/// Nothing is lost, and nothing is said twice.
fn survives(original: Value) {
    let before = text(&original);
    let known = original
        .as_object()
        .is_some_and(|record| ["eventName", "eventSource"].iter().any(|name| record.member(name).is_some()));
    if !known {
        assert!(read(original).is_err(), "{before}");
        return;
    }
    let new = read(original).unwrap_or_else(|fault| panic!("{fault}: {before}"));
    assert_eq!(text(&through_the_store(new)), before);
}

fn full() -> serde_json::Value {
    json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDA", "arn": "arn:aws:iam::1:user/benjamin", "accountId": "1",
            "invokedBy": "health.amazonaws.com", "userName": "benjamin",
            "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "issuer"}, "attributes": {}}
        },
        "eventTime": "2023-07-10T11:42:18Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetBucketPolicy",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "10.248.16.43",
        "userAgent": "[Boto3/1.26.165]",
        "errorCode": "NoSuchBucketPolicy",
        "errorMessage": "The bucket policy does not exist",
        "requestParameters": {"bucketName": "b", "policy": ""},
        "responseElements": null,
        "requestID": "GXKFXETF0Z1ANBT8",
        "eventID": "b69c41d9-ccc8-41d7-82f1-d3f27cb2fb3c",
        "readOnly": true,
        "resources": [
            {"accountId": "1", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"},
            {"accountId": "1", "ARN": "arn:aws:s3:::b/k"}
        ],
        "eventType": "AwsApiCall"
    })
}

/// The full record with one change.
fn with(pointer: &str, to: serde_json::Value) -> serde_json::Value {
    let mut record = full();
    let (holder, name) = pointer.rsplit_once('/').expect("a pointer");
    record.pointer_mut(holder).expect("there")[name] = to;
    record
}

fn without(pointer: &str) -> serde_json::Value {
    let mut record = full();
    let (holder, name) = pointer.rsplit_once('/').expect("a pointer");
    record.pointer_mut(holder).and_then(|holder| holder.as_object_mut()).expect("an object").remove(name);
    record
}

fn target(kind: Option<&str>, id: Option<&str>) -> Target {
    Target { kind: kind.map(str::to_owned), id: id.map(str::to_owned), name: None }
}

/// Checks a member of the event that comes of a record, and that the record survives.
fn check(record: &serde_json::Value, member: impl Fn(&NewEvent) -> Option<String>, expect: Option<&str>) {
    assert_eq!(member(&event(record)).as_deref(), expect, "{record}");
    survives(value(record));
}

#[test]
fn what_is_mapped_is_taken_out_and_all_else_stays_in_data_at_its_place() {
    let new = event(&full());
    let expect = json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDA", "accountId": "1", "invokedBy": "health.amazonaws.com",
            "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "issuer"}, "attributes": {}}
        },
        "errorCode": "NoSuchBucketPolicy",
        "requestParameters": {"bucketName": "b", "policy": ""},
        "responseElements": null,
        "readOnly": true,
        "resources": [{"accountId": "1"}, {"accountId": "1"}],
        "eventType": "AwsApiCall"
    });
    assert_eq!(new.content.data.as_ref().map(text), Some(text(&value(&expect))));
    assert_eq!(new.content.vendor, None);
    survives(value(&full()));
}

#[test]
fn the_id_is_the_event_id() {
    let id = |new: &NewEvent| new.id.clone();
    check(&full(), id, Some("b69c41d9-ccc8-41d7-82f1-d3f27cb2fb3c"));
    check(&without("/eventID"), id, None);
    for other in [json!(null), json!(""), json!(7), json!([]), json!("x".repeat(limits::ID_CHARS_MAX + 1))] {
        check(&with("/eventID", other), id, None);
    }
    let longest = "é".repeat(limits::ID_CHARS_MAX);
    check(&with("/eventID", json!(longest)), id, Some(&longest));
}

#[test]
fn the_time_is_taken_out_if_its_text_can_be_written_again() {
    let time = |new: &NewEvent| new.content.time_occurred.map(Time::format);
    check(&full(), time, Some("2023-07-10T11:42:18.000000Z"));
    check(&with("/eventTime", json!("2023-07-10T11:42:18.5Z")), time, Some("2023-07-10T11:42:18.500000Z"));
    check(&with("/eventTime", json!("2023-07-10T13:42:18+02:00")), time, Some("2023-07-10T11:42:18.000000Z"));
    check(&with("/eventTime", json!("2023-07-10T11:42:60Z")), time, Some("2023-07-10T11:42:59.000000Z"));
    check(&with("/eventTime", json!("yesterday")), time, None);
    check(&with("/eventTime", json!(1_688_989_338)), time, None);
    check(&without("/eventTime"), time, None);
    let kept = |record| event(&record).content.data.and_then(|data| data.as_object()?.member("eventTime").cloned());
    assert_eq!(kept(full()), None);
    assert_eq!(kept(with("/eventTime", json!("2023-07-10T11:42:18.5Z"))), Some(Value::from("2023-07-10T11:42:18.5Z")));
}

#[test]
fn the_action_is_the_event_name_or_unknown() {
    let action = |new: &NewEvent| Some(new.content.action.clone());
    check(&full(), action, Some("GetBucketPolicy"));
    check(&with("/eventName", json!("unknown")), action, Some("unknown"));
    check(&without("/eventName"), action, Some("unknown"));
    for other in [json!(null), json!(""), json!({}), json!("x".repeat(limits::ACTION_CHARS_MAX + 1))] {
        check(&with("/eventName", other), action, Some("unknown"));
    }
}

#[test]
fn the_actor_type_is_mapped() {
    let kind = |new: &NewEvent| new.content.actor.kind.clone();
    for (given, expect) in [
        ("IAMUser", "user"),
        ("Root", "user"),
        ("FederatedUser", "user"),
        ("SAMLUser", "user"),
        ("WebIdentityUser", "user"),
        ("IdentityCenterUser", "user"),
        ("AssumedRole", "role"),
        ("Role", "role"),
        ("AWSService", "service"),
        ("AWSAccount", "account"),
        ("Unknown", "unknown"),
        ("", "unknown"),
    ] {
        check(&with("/userIdentity/type", json!(given)), kind, Some(expect));
    }
    check(&with("/userIdentity/type", json!(1)), kind, Some("unknown"));
    check(&without("/userIdentity/type"), kind, Some("unknown"));
    check(&without("/userIdentity"), kind, Some("unknown"));
    for other in [json!(null), json!("root"), json!([]), json!({})] {
        check(&with("/userIdentity", other), kind, Some("unknown"));
    }
}

#[test]
fn the_actor_id_is_the_arn_then_who_invoked_then_the_principal() {
    let id = |new: &NewEvent| new.content.actor.id.clone();
    let identity = |json| with("/userIdentity", json);
    check(&identity(json!({"arn": "a", "invokedBy": "b", "principalId": "c"})), id, Some("a"));
    check(&identity(json!({"invokedBy": "b", "principalId": "c"})), id, Some("b"));
    check(&identity(json!({"principalId": "c"})), id, Some("c"));
    check(&identity(json!({"arn": "a"})), id, Some("a"));
    check(&identity(json!({"arn": "b", "invokedBy": "b"})), id, Some("b"));
    check(&identity(json!({"arn": "c", "invokedBy": "b", "principalId": "c"})), id, Some("c"));
    for other in [json!(null), json!(""), json!(5)] {
        check(&identity(json!({"arn": other, "principalId": "c"})), id, Some("c"));
    }
    check(&identity(json!({})), id, None);
}

#[test]
fn the_actor_name_is_the_users_or_that_of_who_issued_the_session() {
    let name = |new: &NewEvent| new.content.actor.name.clone();
    let identity = |json| with("/userIdentity", json);
    let session = json!({"sessionIssuer": {"userName": "i"}});
    check(&identity(json!({"userName": "n", "sessionContext": session})), name, Some("n"));
    check(&identity(json!({"userName": "i", "sessionContext": session})), name, Some("i"));
    check(&identity(json!({"sessionContext": session})), name, Some("i"));
    check(&identity(json!({"userName": null, "sessionContext": session})), name, Some("i"));
    check(&identity(json!({"userName": ""})), name, None);
    check(&identity(json!({"sessionContext": {"sessionIssuer": "i"}})), name, None);
}

#[test]
fn targets_are_the_resources_or_the_service() {
    let check = |record: serde_json::Value, expect: Vec<Target>| {
        assert_eq!(event(&record).content.targets, expect, "{record}");
        survives(value(&record));
    };
    let service = || vec![target(Some("service"), Some("s3.amazonaws.com"))];
    let resources = |json| with("/resources", json);
    let bucket = target(Some("AWS::S3::Bucket"), Some("arn:aws:s3:::b"));
    check(full(), vec![bucket, target(None, Some("arn:aws:s3:::b/k"))]);
    check(without("/resources"), service());
    for none in [json!(null), json!([]), json!("x"), json!({}), json!([{"accountId": "1"}]), json!([null]), json!([{}])]
    {
        check(resources(none), service());
    }
    check(resources(json!([{"accountId": "1"}, {"ARN": "a"}])), vec![target(None, Some("a"))]);
    check(
        resources(json!([{"type": "t", "ARN": 5}, {"type": "", "ARN": "a"}])),
        vec![target(Some("t"), None), target(None, Some("a"))],
    );
    check(resources(json!([{"type": "service", "ARN": "s3.amazonaws.com"}])), service());
    check(with("/eventSource", json!(null)), event(&full()).content.targets);
    let mut bare = without("/resources");
    bare["eventSource"] = json!("");
    check(bare, vec![]);
}

#[test]
fn resources_beyond_the_limit_on_targets_stay_in_data() {
    for count in [limits::TARGETS_MAX, limits::TARGETS_MAX + 1] {
        let list: Vec<_> = (0..count).map(|n| json!({"ARN": n.to_string()})).collect();
        let record = with("/resources", json!(list));
        assert_eq!(event(&record).content.targets.len(), limits::TARGETS_MAX);
        survives(value(&record));
    }
}

#[test]
fn the_client_address_is_the_source_where_it_is_one() {
    let client_ip = |new: &NewEvent| new.content.request.client_ip.clone();
    let origin = |new: &NewEvent| new.content.origin.clone();
    let source = |json| with("/sourceIPAddress", json);
    check(&full(), client_ip, Some("10.248.16.43"));
    check(&full(), origin, Some("s3.amazonaws.com"));
    check(&source(json!("2001:DB8::1")), client_ip, Some("2001:DB8::1"));
    for service in ["ec2.amazonaws.com", "AWS Internal", "s3.amazonaws.com"] {
        check(&source(json!(service)), client_ip, None);
        check(&source(json!(service)), origin, Some(service));
    }
    for other in [json!(null), json!(""), json!(10)] {
        check(&source(other.clone()), client_ip, None);
        check(&source(other), origin, Some("s3.amazonaws.com"));
    }
    let alone = |source: serde_json::Value| {
        let mut record = without("/eventSource");
        record["sourceIPAddress"] = source;
        record
    };
    check(&alone(json!("ec2.amazonaws.com")), origin, Some("ec2.amazonaws.com"));
    check(&alone(json!("10.0.0.1")), origin, None);
    check(&alone(json!(null)), origin, None);
}

#[test]
fn the_request_the_region_and_the_error_are_members() {
    for (pointer, member, expect) in [
        ("/requestID", (|new| new.content.request.id.clone()) as fn(&NewEvent) -> Option<String>, "GXKFXETF0Z1ANBT8"),
        ("/userAgent", |new| new.content.request.user_agent.clone(), "[Boto3/1.26.165]"),
        ("/awsRegion", |new| new.content.workspace.clone(), "us-east-1"),
        ("/errorMessage", |new| new.content.description.clone(), "The bucket policy does not exist"),
    ] {
        check(&full(), member, Some(expect));
        check(&without(pointer), member, None);
        for other in [json!(null), json!(""), json!(1), json!(["x"])] {
            check(&with(pointer, other), member, None);
        }
    }
}

#[test]
fn a_record_that_can_be_no_event_is_refused_by_its_member() {
    let refused = |record: &serde_json::Value| -> Fault { read(value(record)).expect_err("refused") };
    let member = |fault: Fault| fault.location.and_then(|location| location.member);
    assert_eq!(refused(&json!([])).kind, FaultKind::Invalid);
    assert_eq!(member(refused(&with("/eventName", json!("annals.export")))).as_deref(), Some("eventName"));
    let nested = |levels: usize| (0..levels).fold(json!(0), |inner, _| json!([inner]));
    survives(value(&with("/requestParameters", nested(limits::JSON_DEPTH_MAX - 2))));
    let deep = refused(&with("/requestParameters", nested(limits::JSON_DEPTH_MAX - 1)));
    assert_eq!(deep.kind, FaultKind::Limit);
    assert_eq!(member(deep).as_deref(), Some("requestParameters"));
}

#[test]
fn every_real_record_survives() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/cloudtrail/events.ndjson");
    let Ok(lines) = std::fs::read_to_string(file) else {
        eprintln!("SKIPPED: every_real_record_survives: there are no records at {file}");
        return;
    };
    for line in lines.lines() {
        survives(Value::parse(line.as_bytes()).expect("a record"));
    }
    assert_eq!(lines.lines().count(), 2_900);
}

/// Every place that is mapped or asked on the way.
const PLACES: [&str; 22] = [
    "/eventID",
    "/eventTime",
    "/eventName",
    "/awsRegion",
    "/requestID",
    "/userAgent",
    "/sourceIPAddress",
    "/errorMessage",
    "/eventSource",
    "/userIdentity",
    "/userIdentity/type",
    "/userIdentity/arn",
    "/userIdentity/invokedBy",
    "/userIdentity/principalId",
    "/userIdentity/userName",
    "/userIdentity/sessionContext",
    "/userIdentity/sessionContext/sessionIssuer/userName",
    "/resources",
    "/resources/0",
    "/resources/0/type",
    "/resources/0/ARN",
    "/resources/1/ARN",
];

fn any_leaf() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!("")),
        Just(json!([])),
        Just(json!({})),
        Just(json!(false)),
        (-3..3_i32).prop_map(|number| json!(number)),
        prop::sample::select(vec!["a", "b", "unknown", "service", "10.0.0.1", "::1", "s3.amazonaws.com"])
            .prop_map(|text| json!(text)),
        Just(json!("2023-07-10T11:42:18Z")),
        "\\PC{0,8}".prop_map(|text| json!(text)),
        Just(json!("x".repeat(300))),
        Just(json!([{"type": "service", "ARN": "s3.amazonaws.com"}])),
        Just(json!({"arn": "a", "invokedBy": "a", "userName": "b"})),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Remove(&'static str),
    Set(&'static str, serde_json::Value),
    Swap(&'static str, &'static str),
}

fn any_change() -> impl Strategy<Value = Change> {
    let place = || prop::sample::select(PLACES.to_vec());
    prop_oneof![
        place().prop_map(Change::Remove),
        (place(), any_leaf()).prop_map(|(place, to)| Change::Set(place, to)),
        (place(), place()).prop_map(|(one, other)| Change::Swap(one, other)),
    ]
}

/// Makes a change where there is something to change.
fn change(record: &mut serde_json::Value, change: Change) {
    match change {
        Change::Remove(place) => {
            let (holder, name) = place.rsplit_once('/').expect("a pointer");
            match record.pointer_mut(holder) {
                Some(serde_json::Value::Object(holder)) => drop(holder.remove(name)),
                Some(serde_json::Value::Array(holder)) if !holder.is_empty() => drop(holder.remove(0)),
                _ => {}
            }
        }
        Change::Set(place, to) => {
            if let Some(value) = record.pointer_mut(place) {
                *value = to;
            }
        }
        Change::Swap(one, other) => {
            let values = (record.pointer(one).cloned(), record.pointer(other).cloned());
            if let (Some(first), Some(second)) = values {
                change_all(record, [Change::Set(one, second), Change::Set(other, first)]);
            }
        }
    }
}

fn change_all(record: &mut serde_json::Value, changes: impl IntoIterator<Item = Change>) {
    for one in changes {
        change(record, one);
    }
}

fn any_record() -> impl Strategy<Value = Value> {
    let names = ["eventID", "eventTime", "eventName", "sourceIPAddress", "eventSource", "userIdentity", "resources"];
    let name = prop_oneof![prop::sample::select(names.to_vec()).prop_map(str::to_owned), "[a-z]{1,3}"];
    prop::collection::vec((name, any_leaf()), 0..9).prop_map(|members| {
        Value::Object(members.iter().map(|(name, to)| (name.as_str(), value(to))).collect::<Object>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_changed_record_survives(changes in prop::collection::vec(any_change(), 1..8)) {
        let mut record = full();
        change_all(&mut record, changes);
        survives(value(&record));
    }

    #[test]
    fn every_made_up_record_survives(record in any_record()) {
        survives(record);
    }
}

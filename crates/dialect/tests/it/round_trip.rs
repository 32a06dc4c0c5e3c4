//! What a vendor's API returned, read into an event and shown again, is the same JSON.

use std::sync::LazyLock;

use annals_dialect::{Context, Dialect, Request};
use annals_model::{Content, Time, Value as Stored};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::any_event::answer;
use crate::case::valid_requests;
use crate::log::event;

/// A dialect as its lists show an entry.
struct Vendor {
    dialect: &'static dyn Dialect,
    /// Where the first entry of a list is.
    entry: &'static str,
    /// Whose log it is.
    owner: &'static str,
    request: Request,
    context: Context,
}

static VENDORS: LazyLock<Vec<Vendor>> = LazyLock::new(|| {
    let places = [
        ("upstash", "/0", "customer_id"),
        ("nirvana", "/items/0", ""),
        ("turso", "/audit_logs/0", ""),
        ("portkey", "/records/0", "organisation_id"),
        ("launchdarkly", "/items/0", "_accountId"),
    ];
    let vendor = |(name, entry, owner)| {
        let dialect = annals_dialect::of_name(name).expect("a vendor");
        let (_, request, context) = valid_requests(dialect).into_iter().next().expect("a list");
        Vendor { dialect, entry, owner, request, context }
    };
    places.map(vendor).into()
});

impl Vendor {
    fn of(name: &str) -> &'static Vendor {
        VENDORS.iter().find(|vendor| vendor.dialect.name() == name).expect("a vendor")
    }

    /// An event as an entry of a list, without whose it is.
    fn shown(&self, content: &Content, recorded: Time) -> Value {
        let event = event(&self.context.organization.id, 0, recorded, content);
        let body = answer(self.dialect, &self.request, &self.context, event).expect("any event reads");
        let list: Value = serde_json::from_slice(&body).expect("JSON");
        let entry = list.pointer(self.entry).unwrap_or_else(|| panic!("no entry in {list}"));
        self.disowned(entry)
    }

    fn disowned(&self, entry: &Value) -> Value {
        let mut entry = entry.as_object().expect("an object").clone();
        entry.remove(self.owner);
        Value::Object(entry)
    }

    /// The event that an entry becomes, as it is stored.
    fn read(&self, entry: &Value) -> Content {
        let new = self.dialect.read(entry.clone()).unwrap_or_else(|fault| panic!("{entry}: {fault}"));
        let id = new.id.unwrap_or_else(|| "made by the server".to_owned());
        let content = Content { id, ..new.content };
        content.check().unwrap_or_else(|fault| panic!("{entry}: {fault}"));
        content
    }

    fn check(&self, entry: &Value) {
        let content = self.read(entry);
        let shown = self.shown(&content, Time::from_s(1_900_000_000));
        let text = String::from_utf8_lossy(&content.canonical().text).into_owned();
        assert_eq!(normal(&shown), normal(&self.disowned(entry)), "{}: by way of {text}", self.dialect.name());
    }
}

/// The same JSON: whole numbers are written without a fraction.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(double) if number.is_f64() && double.fract() == 0.0 && double.abs() < 9e15 => {
                #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
                let whole = double as i64;
                json!(whole)
            }
            _ => value.clone(),
        },
        Value::Array(list) => list.iter().map(normal).collect(),
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), normal(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn an_entry_of_another_kind_is_refused() {
    for vendor in &*VENDORS {
        for entry in [json!(null), json!([]), json!("x"), json!({}), json!({"x": 1})] {
            assert!(vendor.dialect.read(entry.clone()).is_err(), "{}: {entry}", vendor.dialect.name());
        }
    }
}

#[test]
fn a_member_that_would_be_taken_for_notes_is_refused() {
    for vendor in &*VENDORS {
        let mut entry = json!({"code": "x", "action": "x", "action_string": "x", "accesses": []});
        assert!(vendor.dialect.read(entry.clone()).is_ok(), "{}", vendor.dialect.name());
        entry["annals"] = json!({});
        assert!(vendor.dialect.read(entry).is_err(), "{}", vendor.dialect.name());
    }
}

#[test]
fn the_servers_own_actions_are_refused() {
    for (vendor, entry) in [
        ("upstash", json!({"action_string": "annals.redact"})),
        ("nirvana", json!({"action": "annals.redact"})),
        ("turso", json!({"code": "annals.redact"})),
        ("portkey", json!({"action": "annals.redact"})),
        ("launchdarkly", json!({"accesses": [{"action": "annals.redact", "resource": "acct"}]})),
    ] {
        assert!(Vendor::of(vendor).dialect.read(entry).is_err(), "{vendor}");
    }
}

#[test]
fn what_members_rebuild_is_kept_in_them_alone() {
    let content = Vendor::of("turso").read(&json!({
        "code": "db-create", "message": "", "origin": "cli", "author": "iku", "created_at": "2023-12-20T09:46:08Z", "data": {},
    }));
    assert_eq!(content.vendor, None);
    assert_eq!(content.actor.name.as_deref(), Some("iku"));
    let content = Vendor::of("nirvana").read(&json!({
        "id": "5f0f2c52-0b6c-4d6e-9d9c-0e6b1a5b7f11", "action": "vm.created",
        "actor": {"type": "user", "id": "u1", "name": "Iku"},
        "client_ip": "203.0.113.1", "created_at": "2026-11-20T09:46:08Z", "method": "POST",
        "path": "/v1/compute/vms", "status_code": 201, "user_agent": "curl", "target": {"type": "vm", "id": "vm1"},
    }));
    assert_eq!(content.vendor, None);
    // The number of an action is the vendor's own.
    let content = Vendor::of("upstash").read(&json!({
        "log_id": "ab9744ed", "customer_id": "example@example.com", "actor": "example@example.com",
        "timestamp": 1_764_587_058, "action": 13, "action_string": "Delete Team", "source": "API_KEY - system_tests",
        "entity": "test_team", "secondary_entity": "NA", "third_entity": "", "readable_format": "", "ip": "1.2.3.4",
        "ttl": 1_780_311_858, "reason": "", "notes": "",
    }));
    let vendor = String::from_utf8(content.vendor.as_ref().map(Stored::canonical).unwrap_or_default()).expect("UTF-8");
    assert_eq!(vendor, r#"{"upstash":{"action":13}}"#);
    assert_eq!(content.actor.kind.as_deref(), Some("api_key"));
}

#[test]
fn json_in_a_text_may_be_nested_as_deep_as_in_an_event_and_deeper() {
    for levels in [1, 29, 30, 31, 32, 33, 100] {
        let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        Vendor::of("portkey").check(&json!({"action": "x", "request_body": text, "query_params": text}));
    }
}

/// What is handed in by hand under the vendor's name is shown where the vendor's schema allows it.
#[test]
fn what_a_schema_does_not_allow_is_not_shown() {
    let content = |vendor: &str| Content {
        id: "1".into(),
        action: "x".into(),
        vendor: Some(Stored::parse(vendor.as_bytes()).expect("JSON")),
        ..Content::default()
    };
    let shown = |name: &str, vendor: &str| Vendor::of(name).shown(&content(vendor), Time::from_s(0));
    let entry = shown(
        "launchdarkly",
        r#"{"launchdarkly":{"app":{"name":"CI","isScim":1},"subject":{"name":"Iku"},"date":"now","comment":null,"x":null,
            "annals":{"absent":["/kind","/name"]},"delta":[]}}"#,
    );
    assert_eq!(entry["subject"]["name"], "Iku");
    assert_eq!(entry["date"], 0);
    assert_eq!(entry["kind"], "acct");
    assert_eq!(entry["app"], json!({"name": "CI"}));
    for name in ["comment", "x", "delta"] {
        assert_eq!(entry.get(name), None, "{name}");
    }
    let entry = shown(
        "nirvana",
        r#"{"nirvana":{"action":"annals.redact","actor":{"type":"robot"},"annals":{"absent":["/method","/target"]}}}"#,
    );
    assert_eq!(entry["actor"]["type"], "user");
    assert_eq!(entry["action"], "x");
    assert_eq!((&entry["method"], &entry["target"]), (&json!(""), &json!(null)));
}

#[test]
fn every_real_record_comes_back_from_every_dialect() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/cloudtrail/events.ndjson");
    let Ok(text) = std::fs::read_to_string(file) else {
        eprintln!("skipped: {file} is not there");
        return;
    };
    for (at, line) in text.lines().enumerate() {
        let record = Stored::parse(line.as_bytes()).expect("JSON");
        let new = annals_dialect::cloudtrail::read(record).expect("a record");
        let content = Content { id: new.id.unwrap_or_else(|| at.to_string()), ..new.content };
        for vendor in &*VENDORS {
            vendor.check(&vendor.shown(&content, Time::from_s(1_800_000_000)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_entry_of_upstash_comes_back(entry in object(vec![
        ("log_id", Some(id())), ("actor", Some(text())), ("timestamp", Some(integer())),
        ("action", Some(integer())), ("action_string", Some(text())), ("source", Some(text())),
        ("entity", Some(text())), ("secondary_entity", Some(text())), ("third_entity", Some(text())),
        ("readable_format", Some(text())), ("ip", Some(ipv4())), ("ttl", Some(integer())),
        ("reason", Some(text())), ("notes", Some(text())), ("customer_id", Some(text())),
    ])) {
        Vendor::of("upstash").check(&entry);
    }

    #[test]
    fn an_entry_of_nirvana_comes_back(entry in object(vec![
        ("id", Some(id())), ("action", Some(text())), ("client_ip", Some(address())), ("created_at", Some(rfc_3339())),
        ("method", Some(text())), ("path", Some(text())), ("status_code", Some(integer())),
        ("user_agent", Some(text())),
        ("target", Some(or_null(object(vec![("type", Some(text())), ("id", Some(text()))])))),
        ("actor", Some(object(vec![
            ("type", Some(either(&["user", "api_key"]))), ("id", Some(text())), ("name", Some(or_null(text()))),
        ]))),
    ])) {
        Vendor::of("nirvana").check(&entry);
    }

    #[test]
    fn an_entry_of_turso_comes_back(entry in object(vec![
        ("code", Some(code())), ("message", Some(text())), ("origin", Some(either(&["cli", "web"]))),
        ("author", Some(text())), ("created_at", Some(time())),
        ("data", Some(or_null(any_object()))), ("ip", Some(address())),
        ("country_code", Some(text())), ("city", Some(text())), ("latitude", Some(text())), ("longitude", Some(text())),
    ]), missing in missing()) {
        let entry = without(&entry, &missing);
        prop_assume!(entry.get("code").is_some() || entry.get("author").is_some());
        Vendor::of("turso").check(&entry);
    }

    #[test]
    fn a_record_of_portkey_comes_back(record in object(vec![
        ("timestamp", Some(time())), ("method", Some(either(&["POST", "PUT", "DELETE"]))), ("uri", Some(text())),
        ("request_id", Some(text())), ("request_body", Some(json_text())), ("query_params", Some(json_text())),
        ("request_headers", Some(json_text())), ("user_id", Some(text())),
        ("user_type", Some(either(&["user", "api_key"]))), ("organisation_id", Some(text())),
        ("workspace_id", Some(text())), ("response_status_code", Some(integer())), ("resource_type", Some(text())),
        ("action", Some(text())), ("client_ip", Some(address())), ("country", Some(text())),
    ]), missing in missing()) {
        let record = without(&record, &missing);
        prop_assume!(record.get("action").is_some() || record.get("user_type").is_some());
        Vendor::of("portkey").check(&record);
    }

    #[test]
    fn an_entry_of_launchdarkly_comes_back(
        needed in object(vec![
            ("_links", Some(links())), ("_id", Some(id())), ("_accountId", Some(text())), ("date", Some(integer())),
            ("accesses", Some(accesses())), ("kind", Some(text())), ("name", Some(text())),
            ("description", Some(text())), ("shortDescription", Some(text())),
        ]),
        more in object(vec![
            ("comment", Some(text())), ("titleVerb", Some(text())), ("title", Some(text())),
            ("subject", Some(object(vec![("_links", Some(links())), ("name", Some(text())), ("avatarUrl", Some(text()))]))),
            ("member", Some(object(vec![
                ("_links", Some(links())), ("_id", Some(text())), ("email", Some(text())),
                ("firstName", Some(text())), ("lastName", Some(text())),
            ]))),
            ("token", Some(object(vec![
                ("_id", Some(text())), ("name", Some(text())), ("ending", Some(text())),
                ("serviceToken", Some(any::<bool>().prop_map(Value::from).boxed())),
            ]))),
            ("target", Some(object(vec![("name", Some(text())), ("resources", Some(specifiers()))]))),
            ("parent", Some(object(vec![("name", Some(text())), ("resource", Some(specifier()))]))),
            ("relatedFlag", Some(any_object())),
        ]),
        missing in missing(),
    ) {
        let mut entry = needed.as_object().expect("an object").clone();
        entry.extend(without(&more, &missing).as_object().expect("an object").clone());
        Vendor::of("launchdarkly").check(&Value::Object(entry));
    }
}

/// An object of these members; one without a strategy is null.
fn object(members: Vec<(&'static str, Option<BoxedStrategy<Value>>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let values: Vec<BoxedStrategy<Value>> =
        values.into_iter().map(|value| value.unwrap_or_else(|| Just(Value::Null).boxed())).collect();
    values
        .prop_map(move |values| names.iter().map(|name| (*name).to_owned()).zip(values).collect::<Map<_, _>>().into())
        .boxed()
}

/// Which members an entry lacks.
fn missing() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(prop::bool::weighted(0.25), 20)
}

fn without(entry: &Value, missing: &[bool]) -> Value {
    let members = entry.as_object().expect("an object").iter().zip(missing);
    members.filter(|(_, missing)| !**missing).map(|((name, value), _)| (name.clone(), value.clone())).collect()
}

fn text() -> BoxedStrategy<Value> {
    let known = ["", "NA", "cli", "iku", "iku@example.com", "API_KEY - ", "API_KEY - tests", "db-create", "acct", "0"];
    prop_oneof![2 => either(&known), 1 => any::<String>().prop_map(Value::from), 2 => "[a-zA-Z.]{1,12}".prop_map(Value::from)]
        .boxed()
}

/// One of the vendor's, or one that it has added since.
fn code() -> BoxedStrategy<Value> {
    text().prop_filter("a code", |code| code != "").boxed()
}

fn either(texts: &[&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(texts.to_vec()).prop_map(Value::from).boxed()
}

fn or_null(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    of(value).prop_map(Option::unwrap_or_default).boxed()
}

fn id() -> BoxedStrategy<Value> {
    prop_oneof![4 => "[a-f0-9-]{1,36}".prop_map(Value::from), 1 => text(), 1 => "[a-z]{1000,1100}".prop_map(Value::from)]
        .boxed()
}

fn integer() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => (0..2_000_000_000_000_i64).prop_map(Value::from),
        2 => (0..1_100_i64).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => either_number(),
    ]
    .boxed()
}

fn either_number() -> BoxedStrategy<Value> {
    prop::sample::select(vec![253_402_300_799_i64, 253_402_207_200, 9_007_199_254_740_993, 0, -1])
        .prop_map(Value::from)
        .boxed()
}

fn time() -> BoxedStrategy<Value> {
    let known = [
        "2026-11-20T09:46:08Z",
        "2026-11-20T09:46:08.5Z",
        "2026-11-20T09:46:08.123456789Z",
        "2026-11-20T09:46:08+01:00",
        "2026-11-20 09:46:08",
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:01Z",
        "",
        "now",
    ];
    let any = (-62_000_000_000..250_000_000_000_i64).prop_map(|s| Value::from(Time::from_s(s).format_short()));
    prop_oneof![1 => either(&known), 1 => any].boxed()
}

fn rfc_3339() -> BoxedStrategy<Value> {
    time().prop_filter("RFC 3339", |time| time.as_str().is_some_and(|text| text.contains('T'))).boxed()
}

fn address() -> BoxedStrategy<Value> {
    let any = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
    ];
    prop_oneof![1 => either(&["", "0.0.0.0", "::ffff:1.2.3.4", "::FFFF:1.2.3.4", "unknown"]), 2 => any.prop_map(Value::from)]
        .boxed()
}

fn ipv4() -> BoxedStrategy<Value> {
    prop_oneof![either(&["0.0.0.0"]), any::<std::net::Ipv4Addr>().prop_map(|address| Value::from(address.to_string()))]
        .boxed()
}

fn json_text() -> BoxedStrategy<Value> {
    let known =
        ["", "{}", "null", r#"{"a":1}"#, r#"{"b":1,"a":[1.0]}"#, r#"{ "a": 1 }"#, "{", r#""x""#, r#"{"a":1,"a":2}"#];
    prop_oneof![1 => either(&known), 1 => any_json().prop_map(|value| Value::from(value.to_string()))].boxed()
}

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300_f64).prop_map(Value::from),
        (-1e3..1e3_f64).prop_map(Value::from),
        text(),
    ];
    let nested = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(("[a-z~/]{0,3}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    nested.boxed()
}

fn any_object() -> BoxedStrategy<Value> {
    let members = prop::collection::vec(("[a-z~/]{0,3}|value", any_json()), 0..4);
    members.prop_map(|members| Value::Object(members.into_iter().collect())).boxed()
}

fn specifier() -> BoxedStrategy<Value> {
    either(&["proj/web", "proj/web:env/production:flag/new;a,b", "acct", "member/x", "", "proj/*"])
}

fn specifiers() -> BoxedStrategy<Value> {
    prop::collection::vec(specifier(), 0..3).prop_map(Value::Array).boxed()
}

fn accesses() -> BoxedStrategy<Value> {
    let access =
        object(vec![("action", Some(either(&["updateOn", "", "createFlag"]))), ("resource", Some(specifier()))]);
    prop::collection::vec(access, 0..3).prop_map(Value::Array).boxed()
}

fn links() -> BoxedStrategy<Value> {
    let link = || object(vec![("href", Some(text())), ("type", Some(either(&["application/json", "text/html"])))]);
    prop_oneof![
        Just(json!({})),
        object(vec![("self", Some(link())), ("parent", Some(link())), ("canonical", Some(link()))]),
    ]
    .boxed()
}

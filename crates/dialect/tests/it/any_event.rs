//! Any event reads in every dialect, whatever it holds and lacks.

use std::sync::LazyLock;

use annals_dialect::{Context, Dialect, Request, Route};
use annals_model::{Access, Actor, Call, Content, Event, Fault, Object, Outcome, Page, Target, Time, Value};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::case::{streamed, valid_requests};
use crate::log::event;
use crate::schema::{Coverage, Schema};

/// A dialect with a valid request for each of its routes.
struct Reader {
    dialect: &'static dyn Dialect,
    schema: Schema,
    requests: Vec<(Route, Request, Context)>,
}

static READERS: LazyLock<Vec<Reader>> = LazyLock::new(|| {
    let served = annals_dialect::all().into_iter().filter(|dialect| !dialect.routes().is_empty());
    served.map(Reader::of).collect()
});

impl Reader {
    fn of(dialect: &'static dyn Dialect) -> Reader {
        let requests = valid_requests(dialect);
        for route in dialect.routes() {
            let there = requests.iter().any(|(have, _, _)| have == route);
            assert!(there, "{}: no golden case is a valid request for {route:?}", dialect.name());
        }
        Reader { dialect, schema: Schema::read(dialect.name()), requests }
    }

    /// What is wrong with the answers that show an event.
    fn complaints(&self, content: &Content, recorded: Time) -> Vec<String> {
        let mut complaints = Vec::new();
        for (route, request, context) in &self.requests {
            let event = event(&context.organization.id, 0, recorded, content);
            let answer = answer(self.dialect, request, context, event);
            let answer = answer.unwrap_or_else(|fault| panic!("{}: {fault}", self.dialect.name()));
            let json = serde_json::from_slice(&answer).expect("JSON");
            // An id that is no UUID is shown as it is.
            let lifted = ["uuid"];
            let found = self.schema.check(*route, &json, &[&content.action], &lifted, &mut Coverage::default());
            complaints.extend(found.into_iter().map(|found| format!("{}: {found}", self.dialect.name())));
        }
        complaints
    }
}

/// The answer that shows an event.
pub(crate) fn answer(
    dialect: &dyn Dialect,
    request: &Request,
    context: &Context,
    event: Event,
) -> Result<Vec<u8>, Fault> {
    if let Some(answer) = dialect.about_key(request, None)? {
        return Ok(answer.body);
    }
    let outcome = match dialect.decode(request, context)? {
        Call::Append(_) => panic!("no dialect appends"),
        Call::Page(_) => Outcome::Page(Page { events: vec![event], total: Some(1), next: None, previous: None }),
        Call::Get { .. } => Outcome::Event(event),
        Call::Export(_) => return Ok(streamed(dialect, context, &[event])?.body),
    };
    Ok(dialect.encode(request, context, &outcome)?.body)
}

#[test]
fn an_event_of_nothing_but_an_action_reads_in_every_dialect() {
    let content = Content { id: "1".into(), action: "x".into(), ..Content::default() };
    for reader in &*READERS {
        assert_eq!(reader.complaints(&content, Time::from_s(0)), [""; 0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_event_reads_in_every_dialect(content in any_content(), recorded in any_time()) {
        for reader in &*READERS {
            prop_assert_eq!(reader.complaints(&content, recorded), Vec::<String>::new());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_event_reads_whatever_stands_under_a_vendors_name(
        content in any_content(),
        recorded in any_time(),
        vendor in any_vendor(),
    ) {
        let content = Content { vendor: Some(vendor), ..content };
        for reader in &*READERS {
            // What a vendor has added since its document was written is shown too, and what an entry lacked is
            // left out unless the document requires it.
            // The vendor's command line takes a null there, which its document does not know.
            let own = |complaint: &String| {
                complaint.ends_with("but the vendor has no such field")
                    || complaint.ends_with(" is missing")
                    || complaint == "turso: /audit_logs/0/data: null is not of type \"object\""
            };
            let mut complaints = reader.complaints(&content, recorded);
            complaints.retain(|complaint| !own(complaint));
            prop_assert_eq!(complaints, Vec::<String>::new());
        }
    }
}

/// What somebody may hand in under a vendor's name: its own members with anything in them, and notes.
fn any_vendor() -> impl Strategy<Value = Value> {
    let members: [(&str, &[&str]); 5] = [
        ("upstash", &["log_id", "timestamp", "action", "ip", "ttl", "notes"]),
        ("nirvana", &["id", "actor", "created_at", "status_code", "target"]),
        ("turso", &["code", "origin", "created_at", "data", "ip"]),
        ("portkey", &["timestamp", "method", "user_type", "request_body", "response_status_code"]),
        ("launchdarkly", &["_id", "_links", "date", "accesses", "kind", "member", "token", "target", "delta"]),
    ];
    prop::sample::select(members.to_vec()).prop_flat_map(|(name, members)| {
        let paths =
            || vec(prop::sample::select(members.to_vec()).prop_map(|name| Value::from(format!("/{name}"))), 0..3);
        let notes = (paths(), paths(), paths()).prop_map(|(absent, numbers, texts)| {
            let notes = [("absent", absent), ("numbers", numbers), ("texts", texts)];
            Value::Object(notes.into_iter().map(|(name, paths)| (name, Value::List(paths))).collect::<Object>())
        });
        let number = prop_oneof![any_text(), (0..3_000_u32).prop_map(|number| number.to_string())];
        let value = prop_oneof![
            any_value(),
            number.prop_map(Value::from),
            of(any_value()).prop_map(|value| { Value::List(value.into_iter().collect()) })
        ];
        let kept = (vec((prop::sample::select(members.to_vec()), value), 0..4), of(notes));
        kept.prop_map(move |(members, notes)| {
            let notes = notes.map(|notes| ("annals", notes));
            let kept: Object = members.into_iter().chain(notes).collect();
            Value::Object([(name, Value::Object(kept))].into_iter().collect::<Object>())
        })
    })
}

fn any_content() -> impl Strategy<Value = Content> {
    let texts = || vec(of(any_text()), 8);
    let times = (of(any_time()), of(any_time()));
    let values = (of(any_value()), of(any_value()), of(any_value()));
    let lists = (vec(any_target(), 0..4), vec(any_access(), 0..3));
    ("\\PC{1,12}", any_action(), times, any_actor(), lists, any_request(), texts(), values).prop_map(
        |(id, action, (time_occurred, time_expires), actor, (targets, accesses), request, texts, values)| {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().flatten();
            Content {
                id,
                action,
                time_occurred,
                actor,
                targets,
                accesses,
                request,
                origin: text(),
                workspace: text(),
                title: text(),
                description: text(),
                summary: text(),
                reason: text(),
                notes: text(),
                time_expires,
                changes: values.0,
                data: values.1,
                vendor: values.2,
            }
        },
    )
}

fn any_action() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("db-create".to_owned()),
        Just("db-aunrchive".to_owned()),
        Just("Delete Team".to_owned()),
        Just("workspaces.delete".to_owned()),
        "[a-zA-Z._ -]{1,12}",
        "\\PC{1,12}",
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("cli".to_owned()), "[a-z:;,/*@%]{1,8}", any::<String>()]
}

fn any_time() -> impl Strategy<Value = Time> {
    let all = Time::MIN.us()..=Time::MAX.us();
    prop_oneof![all.prop_map(Time::from_us), (0..4_000_000_000_i64).prop_map(Time::from_s)]
}

fn any_actor() -> impl Strategy<Value = Actor> {
    let kind = prop_oneof![
        Just("user".to_owned()),
        Just("api_key".to_owned()),
        Just("token".to_owned()),
        Just("service".to_owned()),
        any_text()
    ];
    (of(kind), of(any_text()), of(any_text()), of(any_text())).prop_map(|(kind, id, name, email)| Actor {
        kind,
        id,
        name,
        email,
    })
}

fn any_target() -> impl Strategy<Value = Target> {
    let target = (of(any_text()), of(any_text()), of(any_text()));
    target
        .prop_map(|(kind, id, name)| Target { kind, id, name })
        .prop_filter("an empty target is none", |target| !target.is_empty())
}

fn any_access() -> impl Strategy<Value = Access> {
    (any_text(), any_text()).prop_map(|(action, resource)| Access { action, resource })
}

fn any_request() -> impl Strategy<Value = annals_model::Request> {
    let address = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_ipv6_mapped().to_string()),
    ];
    let values = (of(any_value()), of(any_value()), of(any_value()));
    (vec(of(any_text()), 8), values, of(0..=999_u16), of(address)).prop_map(|(texts, values, status, client_ip)| {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().flatten();
        annals_model::Request {
            id: text(),
            method: text(),
            path: text(),
            query: values.0,
            headers: values.1,
            body: values.2,
            status,
            client_ip,
            user_agent: text(),
            country: text(),
            city: text(),
            latitude: text(),
            longitude: text(),
        }
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(|number| {
            #[expect(clippy::cast_precision_loss, reason = "within 2^53")]
            let number = number as f64;
            Value::Number(number)
        }),
        any_text().prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            vec((any_text(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect::<Object>())),
        ]
    })
}

//! Events at random.

use annals_model::{Access, Actor, Content, Object, Request, Target, Time, Value};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![".{0,8}", any::<String>(), Just(String::new())])
}

/// A value as `data` may hold it.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(|n| Value::Number(f64::from(n))),
        (-1.0e12..1.0e12).prop_map(Value::Number),
        any::<String>().prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::vec((".{0,6}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Object>())),
        ]
    })
}

fn something() -> impl Strategy<Value = Option<Value>> {
    prop::option::of(value().prop_filter("says something", |value| !value.is_nothing()))
}

fn time() -> impl Strategy<Value = Option<Time>> {
    prop::option::of((Time::MIN.us()..=Time::MAX.us()).prop_map(Time::from_us))
}

fn actor() -> impl Strategy<Value = Actor> {
    (text(), text(), text(), text()).prop_map(|(kind, id, name, email)| Actor { kind, id, name, email })
}

fn target() -> impl Strategy<Value = Target> {
    (text(), text(), text())
        .prop_map(|(kind, id, name)| Target { kind, id, name })
        .prop_filter("says something", |target| !target.is_empty())
}

fn request() -> impl Strategy<Value = Request> {
    let ip = prop::option::of(prop_oneof![Just("203.0.113.1".to_owned()), Just("2001:db8::1".to_owned())]);
    let places = (text(), text(), text(), text());
    (text(), text(), text(), something(), something(), something(), prop::option::of(0_u16..1_000), ip, text(), places)
        .prop_map(
            |(
                id,
                method,
                path,
                query,
                headers,
                body,
                status,
                client_ip,
                user_agent,
                (country, city, latitude, longitude),
            )| Request {
                id,
                method,
                path,
                query,
                headers,
                body,
                status,
                client_ip,
                user_agent,
                country,
                city,
                latitude,
                longitude,
            },
        )
}

/// Any event that may be handed in.
pub(crate) fn content() -> impl Strategy<Value = Content> {
    let access = (any::<String>(), any::<String>()).prop_map(|(action, resource)| Access { action, resource });
    let lists = (prop::collection::vec(target(), 0..14), prop::collection::vec(access, 0..3));
    let texts = (text(), text(), text(), text(), text(), text(), text());
    let values = (something(), something(), something());
    ("[a-z.:-]{1,20}", "[A-Za-z.]{1,20}", time(), time(), actor(), lists, request(), texts, values).prop_map(
        |(
            id,
            action,
            time_occurred,
            time_expires,
            actor,
            (targets, accesses),
            request,
            texts,
            (changes, data, vendor),
        )| {
            let (origin, workspace, title, description, summary, reason, notes) = texts;
            Content {
                id,
                action,
                time_occurred,
                actor,
                targets,
                accesses,
                request,
                origin,
                workspace,
                title,
                description,
                summary,
                reason,
                notes,
                changes,
                time_expires,
                data,
                vendor,
            }
        },
    )
}

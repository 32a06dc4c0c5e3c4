//! `GET /v1/facets` and `GET /v1/histogram`.

use std::collections::BTreeMap;

use annals_model::{Field, Time, limits};
use annals_store::Blobs;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{OPERATOR, Server, get, post};

const EVENTS: u64 = 2_500;

/// A server with sealed segments, frozen ones and fresh events, whose times are out of order.
async fn many() -> Server {
    let server = Server::sealing(500).await;
    for batch in 0..5 {
        let events: Vec<Value> = (batch * EVENTS / 5..(batch + 1) * EVENTS / 5).map(event).collect();
        server.append(Value::Array(events)).await.expect(StatusCode::CREATED);
    }
    server
}

fn event(at: u64) -> Value {
    // The product goes once around, so neighbours lie far apart in time.
    let occurred = Time::from_s(1_790_000_000 + i64::try_from(at * 7_919 % EVENTS * 60).expect("fits"));
    let mut event = json!({
        "id": format!("e{at}"),
        "action": format!("thing.{}", at % 7),
        "actor": {"id": format!("u{}", at * at % 100), "email": format!("u{}@example.com", at * at % 100)},
        "targets": [{"type": "flag", "id": format!("t{}", at % 3)}, {"type": "flag", "id": "t0"}],
        "request": {"method": "PUT", "status": 200 + at % 5},
    });
    if !at.is_multiple_of(10) {
        event["time_occurred"] = json!(occurred.format());
    }
    event
}

/// All events that a query finds.
async fn listed(server: &Server, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/events?limit=1000&total=none&{query}{cursor}");
        let page = server.send(get(&path).key(&server.reader)).await.expect(StatusCode::OK).json();
        all.extend(page["events"].as_array().expect("events").iter().cloned());
        assert!(page.get("total").is_none(), "no total was wanted");
        let Some(next) = page["next_cursor"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

async fn ask(server: &Server, path: &str) -> Value {
    server.send(get(path).key(&server.reader)).await.expect(StatusCode::OK).json()
}

/// The values of a field of an event as it is shown, each once.
fn values(event: &Value, field: Field) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let of_targets = |name: &str| {
        let targets = event["targets"].as_array().into_iter().flatten();
        targets.filter_map(|target| text(&target[name])).collect::<Vec<_>>()
    };
    let mut values = match field {
        Field::Action => text(&event["action"]).into_iter().collect(),
        Field::ActorEmail => text(&event["actor"]["email"]).into_iter().collect(),
        Field::TargetId => of_targets("id"),
        Field::TargetType => of_targets("type"),
        Field::Status => event["request"]["status"].as_u64().map(|status| status.to_string()).into_iter().collect(),
        Field::Country => text(&event["request"]["country"]).into_iter().collect(),
        other => panic!("{other:?}"),
    };
    values.sort();
    values.dedup();
    values
}

const FILTERS: [&str; 6] = [
    "",
    "action=thing.3",
    "actor_id=!u1&status_min=202",
    "target_id=t1&q=update",
    "time_from=2026-09-22T00:00:00Z&time_until=2026-09-22T12:00:00Z",
    "action=none",
];

#[tokio::test]
async fn facets_are_what_counting_the_listed_events_gives() {
    let server = many().await;
    for filter in FILTERS {
        let events = listed(&server, filter).await;
        for field in
            [Field::Action, Field::ActorEmail, Field::TargetId, Field::TargetType, Field::Status, Field::Country]
        {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for value in events.iter().flat_map(|event| values(event, field)) {
                *counts.entry(value).or_default() += 1;
            }
            let mut expect: Vec<(String, u64)> = counts.into_iter().collect();
            expect.sort_by(|(a, count_a), (b, count_b)| count_b.cmp(count_a).then_with(|| a.cmp(b)));
            for limit in [1, 20, 1_000] {
                let (shown, rest) = expect.split_at(limit.min(expect.len()));
                let values: Vec<Value> =
                    shown.iter().map(|(value, count)| json!({"value": value, "count": count})).collect();
                let other: u64 = rest.iter().map(|(_, count)| count).sum();
                let path = format!("/v1/facets?field={}&limit={limit}&{filter}", field.name());
                let expect = json!({"field": field.name(), "values": values, "other": other});
                assert_eq!(ask(&server, &path).await, expect, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_histogram_is_what_counting_the_listed_events_gives() {
    let server = many().await;
    for filter in FILTERS {
        let mut times: Vec<Time> = listed(&server, filter).await.iter().map(occurred).collect();
        times.sort();
        for most in [1, 2, 60, 1_000] {
            let path = format!("/v1/histogram?buckets={most}&{filter}");
            let answer = ask(&server, &path).await;
            let interval_us = i64::try_from(answer["interval_ms"].as_u64().expect("a length")).expect("fits") * 1_000;
            let buckets = answer["buckets"].as_array().expect("buckets");
            assert!(buckets.len() <= most, "{path}: {}", buckets.len());
            let mut counted = 0;
            let mut before: Option<Time> = None;
            for bucket in buckets {
                let time = Time::parse(bucket["time"].as_str().expect("a time")).expect("RFC 3339");
                assert!(before.is_none_or(|before| before.plus_us(interval_us) == time), "{path}: a gap at {bucket}");
                before = Some(time);
                let inside = |at: &&Time| (time..time.plus_us(interval_us)).contains(*at);
                let count = times.iter().filter(inside).count();
                assert_eq!(bucket["count"].as_u64(), Some(count as u64), "{path}: {bucket}");
                counted += count;
            }
            assert_eq!(counted, times.len(), "{path}: each event is in a bucket");
        }
    }
}

fn occurred(event: &Value) -> Time {
    Time::parse(event["time_occurred"].as_str().expect("a time")).expect("RFC 3339")
}

#[tokio::test]
async fn counts_are_of_what_the_key_may_read() {
    let server = Server::start().await;
    server.append(json!({"id":"a","action":"acme.only"})).await.expect(StatusCode::CREATED);
    let globex = json!({"id":"g","action":"globex.only","organization":"globex"});
    server.send(post("/v1/events", globex).key(&server.writer_of_all)).await.expect(StatusCode::CREATED);
    for route in ["/v1/facets?field=action", "/v1/histogram?buckets=1"] {
        let of = async |key: &str, more: &str| {
            let reply = server.send(get(&format!("{route}{more}")).key(key)).await;
            let count = |list: &Value| -> u64 {
                list.as_array().into_iter().flatten().filter_map(|one| one["count"].as_u64()).sum()
            };
            (reply.status, count(&reply.json()["values"]) + count(&reply.json()["buckets"]))
        };
        assert_eq!(of(&server.reader, "").await, (200, 1), "{route}");
        assert_eq!(of(&server.reader, "&organization=acme").await, (200, 1), "{route}");
        assert_eq!(of(&server.reader, "&organization=globex").await.0, 403, "{route}");
        assert_eq!(of(&server.reader_of_all, "").await, (200, 2), "{route}");
        assert_eq!(of(&server.reader_of_all, "&organization=globex").await, (200, 1), "{route}");
        assert_eq!(of(&server.reader_of_all, "&organization=nobody").await.0, 404, "{route}");
        assert_eq!(of(&server.reader_of_all, "&organization=_system").await.0, 403, "{route}");
        assert_eq!(of(OPERATOR, "&organization=_system").await.0, 200, "{route}");
        for key in [&server.writer, &server.admin] {
            assert_eq!(of(key, "").await.0, 403, "{route}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_by_name() {
    let server = Server::start().await;
    for (path, member) in [
        ("/v1/facets", "field"),
        ("/v1/facets?field=colour", "field"),
        ("/v1/facets?field=action&limit=1001", "limit"),
        ("/v1/facets?field=action&cursor=x", "cursor"),
        ("/v1/histogram?buckets=0", "buckets"),
        ("/v1/histogram?buckets=1001", "buckets"),
        ("/v1/histogram?bucket=1", "bucket"),
    ] {
        let refused = server.send(get(path).key(&server.reader)).await;
        assert_eq!((refused.status, refused.error().1.as_deref()), (400, Some(member)), "{path}");
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_given_up_and_says_so() {
    let server = many().await;
    while server.blobs.list().expect("lists").is_empty() {
        std::thread::yield_now();
    }
    // Every look at the clock is as far from the one before as a query may take, and a little more.
    server.clock.hurry(limits::QUERY_TIME_MS_MAX * 1_000 + 1);
    for path in ["/v1/events?q=update", "/v1/facets?field=id", "/v1/histogram"] {
        let refused = server.send(get(path).key(&server.reader)).await;
        assert_eq!((refused.status, refused.error().0.as_str()), (503, "deadline_exceeded"), "{path}");
        assert_eq!(refused.header("retry-after"), None, "the same query would take as long again");
    }
    server.clock.hurry(0);
    server.send(get("/v1/events?q=update").key(&server.reader)).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_with_more_values_than_are_counted_is_refused() {
    let server = Server::start().await;
    let mut next = 0;
    while next < limits::FACET_DISTINCT_MAX {
        let room = (limits::FACET_DISTINCT_MAX - next).div_ceil(limits::TARGETS_MAX).min(limits::BATCH_EVENTS_MAX);
        let events: Vec<Value> = (0..room)
            .map(|at| {
                let first = next + at * limits::TARGETS_MAX;
                let last = (first + limits::TARGETS_MAX).min(limits::FACET_DISTINCT_MAX);
                let targets: Vec<Value> = (first..last).map(|id| json!({"id": id.to_string()})).collect();
                json!({"action": "a", "targets": targets})
            })
            .collect();
        server.append(Value::Array(events)).await.expect(StatusCode::CREATED);
        next += room * limits::TARGETS_MAX;
    }
    let path = "/v1/facets?field=target_id&limit=1";
    let most = ask(&server, path).await;
    assert_eq!(most["other"].as_u64(), Some(limits::FACET_DISTINCT_MAX as u64 - 1));
    server.append(json!({"action":"a","targets":[{"id":"one more"}]})).await.expect(StatusCode::CREATED);
    let refused = server.send(get(path).key(&server.reader)).await;
    assert_eq!((refused.status, refused.error()), (400, ("limit_exceeded".to_owned(), Some("field".to_owned()))));
}

//! `POST /v1/events`.

use std::io::Write;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Ask, OPERATOR, Reply, Server, get, post, raw};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("writes");
    encoder.finish().expect("ends")
}

fn ids(reply: &Reply) -> Vec<String> {
    let events = reply.json()["events"].as_array().expect("events").clone();
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

async fn read(server: &Server, id: &str) -> Value {
    server.send(get(&format!("/v1/events/{id}")).key(&server.reader)).await.expect(StatusCode::OK).json()
}

#[tokio::test]
async fn an_event_that_was_answered_is_in_the_very_next_read() {
    let server = Server::start().await;
    let reply = server.append(json!({"id":"e1","action":"flag.update","data":{"n":1}})).await;
    let at = "2026-11-20T09:46:08.000000Z";
    let place = json!({"organization":"acme","id":"e1","index":0,"time_recorded":at});
    assert_eq!(reply.expect(StatusCode::CREATED).json(), json!({ "events": [place] }));
    let event = json!({"organization":"acme","id":"e1","action":"flag.update","data":{"n":1},"index":0,
        "time_occurred":at,"time_recorded":at});
    assert_eq!(read(&server, "e1").await, event);
    let page = server.send(get("/v1/events").key(&server.reader)).await.json();
    assert_eq!(page, json!({"events":[event],"next_cursor":null,"total":1}));
}

#[tokio::test]
async fn all_layouts_and_encodings_say_the_same() {
    let server = Server::start().await;
    let lines = "{\"action\":\"a\",\"id\":\"ID0\"}\n\n{\"action\":\"a\",\"id\":\"ID1\"}\n";
    let list = r#"[{"action":"a","id":"ID0"},{"action":"a","id":"ID1"}]"#;
    let clouds = r#"[{"specversion":"1.0","type":"a","id":"ID0","source":"s"},{"specversion":"1.0","type":"a","id":"ID1","source":"s"}]"#;
    let cases = [
        ("application/json", list),
        ("application/json; charset=UTF-8", list),
        ("application/x-ndjson", lines),
        ("application/cloudevents-batch+json", clouds),
    ];
    for (n, (content_type, body)) in cases.into_iter().enumerate() {
        for (m, encoding) in ["identity", "gzip", "zstd"].into_iter().enumerate() {
            let body = body.replace("ID", &format!("{n}-{m}-")).into_bytes();
            let body = match encoding {
                "gzip" => gzip(&body),
                "zstd" => zstd::encode_all(&*body, 1).expect("encodes"),
                _ => body,
            };
            let ask = raw("/v1/events", content_type, body).header("content-encoding", encoding).key(&server.writer);
            let reply = server.send(ask).await;
            reply.expect(StatusCode::CREATED);
            // A CloudEvent is told from others by its source and id together.
            let source = if content_type.contains("cloudevents") { "s " } else { "" };
            let expect = [0, 1].map(|at| format!("{source}{n}-{m}-{at}"));
            assert_eq!(ids(&reply), expect, "{content_type} {encoding}");
        }
    }
    assert_eq!(server.counts().await[0], 24);
    let one = raw(
        "/v1/events",
        "application/cloudevents+json",
        r#"{"specversion":"1.0","type":"t","id":"one","source":"/s","subject":"x","time":"2026-11-19T00:00:00Z","data":{"k":1},"ext":"y"}"#,
    );
    server.send(one.key(&server.writer)).await.expect(StatusCode::CREATED);
    let event = read(&server, "%2Fs%20one").await;
    assert_eq!(event["origin"], "/s");
    assert_eq!(event["targets"][0]["id"], "x");
    assert_eq!(event["vendor"]["cloudevents"]["ext"], "y");
}

#[tokio::test]
async fn records_of_cloudtrail_are_read_however_they_are_delivered() {
    let server = Server::start().await;
    let record = |n: u32| {
        json!({"eventID":format!("id-{n}"),"eventName":"GetBucketPolicy","eventTime":"2026-11-19T00:00:00Z",
        "eventSource":"s3.amazonaws.com","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.1"})
    };
    let json = "application/json";
    for (n, (content_type, body)) in [
        (json, json!({"Records":[record(0)]}).to_string()),
        (json, json!([record(1)]).to_string()),
        (json, record(2).to_string()),
        ("application/x-ndjson", record(3).to_string()),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = server.send(raw("/v1/events?format=cloudtrail", content_type, body).key(&server.writer)).await;
        reply.expect(StatusCode::CREATED);
        assert_eq!(ids(&reply), [format!("id-{n}")]);
    }
    assert_eq!(read(&server, "id-0").await["action"], "GetBucketPolicy");
    let all = raw("/v1/events?format=cloudtrail&organization=globex", json, record(0).to_string());
    server.send(all.key(&server.writer_of_all)).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn the_same_request_again_is_answered_as_before_and_stores_nothing() {
    let server = Server::start().await;
    let events = json!([{"action":"a"},{"action":"b","id":"own"},{"action":"c"}]);
    let ask = || post("/v1/events", events.clone()).header("idempotency-key", "k").key(&server.writer);
    let first = server.send(ask()).await;
    first.expect(StatusCode::CREATED);
    assert_eq!(ids(&first), ["k:0", "own", "k:2"]);
    server.clock.pass(60);
    let again = server.send(ask()).await;
    assert_eq!(again.expect(StatusCode::OK).json(), first.json());
    let more = json!([{"action":"a"},{"action":"b","id":"own"},{"action":"c"},{"action":"d"}]);
    let more = server.send(post("/v1/events", more).header("idempotency-key", "k").key(&server.writer)).await;
    assert_eq!(ids(more.expect(StatusCode::CREATED)), ["k:0", "own", "k:2", "k:3"]);
    assert_eq!(server.counts().await[0], 4);
    let other = json!([{"action":"new"},{"action":"OTHER","id":"own"}]);
    let conflict = server.append(other).await;
    assert_eq!(conflict.expect(StatusCode::CONFLICT).error().0, "conflict");
    assert_eq!(conflict.json()["error"]["event"], 1);
    assert_eq!(server.counts().await[0], 4);
}

#[tokio::test]
async fn no_events_are_nothing_to_do() {
    let server = Server::start().await;
    let none = json!({ "events": [] });
    assert_eq!(server.append(json!([])).await.expect(StatusCode::OK).json(), none);
    let lines = server.send(raw("/v1/events", "application/x-ndjson", "\n").key(&server.writer)).await;
    assert_eq!(lines.expect(StatusCode::OK).json(), none);
}

#[tokio::test]
async fn an_organization_is_the_keys_or_is_named() {
    let server = Server::start().await;
    let event = |organization: Option<&str>| match organization {
        Some(organization) => json!({"action":"a","organization":organization}),
        None => json!({"action":"a"}),
    };
    let (writer, all) = (server.writer.as_str(), server.writer_of_all.as_str());
    for (key, query, organization, status, member) in [
        (writer, "", None, 201, None),
        (writer, "", Some("acme"), 201, None),
        (writer, "?organization=acme", None, 201, None),
        (writer, "", Some("globex"), 403, Some("organization")),
        (writer, "", Some("nobody"), 403, Some("organization")),
        (writer, "?organization=globex", None, 403, None),
        (all, "", Some("globex"), 201, None),
        (all, "?organization=globex", None, 201, None),
        (all, "?organization=globex", Some("acme"), 201, None),
        (all, "", None, 400, Some("organization")),
        (all, "", Some("nobody"), 404, Some("organization")),
        (all, "?organization=nobody", None, 404, Some("organization")),
        (all, "", Some("_system"), 403, Some("organization")),
        (OPERATOR, "", Some("_system"), 403, Some("organization")),
    ] {
        let before = server.counts().await;
        let ask: Ask = post(&format!("/v1/events{query}"), event(organization)).key(key);
        let reply = server.send(ask).await;
        assert_eq!(reply.status, status, "{query} {organization:?}: {}", reply.text());
        if status != 201 {
            assert_eq!(reply.error().1.as_deref(), member, "{query} {organization:?}");
            assert_eq!(server.counts().await, before);
        }
    }
    let counts = server.counts().await;
    assert_eq!((counts[0], counts[1]), (4, 2));
}

#[tokio::test]
async fn secrets_in_a_request_are_masked() {
    let server = Server::start().await;
    let request = json!({"headers":{"Authorization":"Bearer abcdefgh"},"body":{"password":"x"}});
    server.append(json!({"id":"m","action":"a","request":request})).await.expect(StatusCode::CREATED);
    let shown = &read(&server, "m").await["request"];
    assert_eq!(*shown, json!({"headers":{"Authorization":"Be****gh"},"body":{"password":"****"}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_taken_whole() {
    let server = Server::start().await;
    let events: Vec<Value> = (0..10_000).map(|n| json!({"action":"load","data":{"n":n}})).collect();
    let reply = server.append(Value::Array(events)).await;
    let reply = reply.expect(StatusCode::CREATED).json();
    let indexes: Vec<u64> =
        reply["events"].as_array().expect("events").iter().filter_map(|event| event["index"].as_u64()).collect();
    assert_eq!(indexes, (0..10_000).collect::<Vec<u64>>());
    assert_eq!(server.counts().await[0], 10_000);
}

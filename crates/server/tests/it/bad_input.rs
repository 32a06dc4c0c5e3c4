//! What is refused: with a clear error, and nothing stored.

use std::io::Write;

use annals_model::limits;
use serde_json::json;

use crate::support::{Ask, OPERATOR, Server, ask, get, post, raw};

/// What is refused, for whom, and how: status, code, member, and a part of the message.
struct Case<'a>(Ask, u16, &'static str, Option<&'a str>, &'static str);

async fn check(server: &Server, cases: Vec<Case<'_>>) {
    let before = server.counts().await;
    for (at, Case(ask, status, code, member, part)) in cases.into_iter().enumerate() {
        let reply = server.send(ask).await;
        assert_eq!(reply.status, status, "case {at}: {}", reply.text());
        let (have, have_member) = reply.error();
        assert_eq!((have.as_str(), have_member.as_deref()), (code, member), "case {at}: {}", reply.text());
        let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(part), "case {at}: {message}");
        assert_eq!(server.counts().await, before, "case {at} stored something: {}", reply.text());
    }
}

const JSON: &str = "application/json";
const INVALID: &str = "invalid_request";
const LIMIT: &str = "limit_exceeded";

#[tokio::test]
async fn an_event_beyond_a_limit_is_refused_by_the_name_of_the_limit() {
    let server = Server::start().await;
    let send = |body: serde_json::Value| post("/v1/events", body).key(&server.writer);
    let text = |chars: usize| "é".repeat(chars);
    let targets = vec![json!({"id":"t"}); limits::TARGETS_MAX + 1];
    let nested = format!("{}0{}", "[".repeat(limits::JSON_DEPTH_MAX), "]".repeat(limits::JSON_DEPTH_MAX));
    let deep = raw("/v1/events", JSON, format!(r#"[{{"action":"a","data":{nested}}}]"#)).key(&server.writer);
    let innermost = format!("data{}", ".0".repeat(limits::JSON_DEPTH_MAX - 1));
    let many = vec![json!({"action":"a"}); limits::BATCH_EVENTS_MAX + 1];
    let large = "x".repeat(limits::EVENT_BYTES_MAX);
    check(
        &server,
        vec![
            Case(send(json!({"action":text(limits::ACTION_CHARS_MAX + 1)})), 400, LIMIT, Some("action"), "257"),
            Case(send(json!({"action":"a","id":text(limits::ID_CHARS_MAX + 1)})), 400, LIMIT, Some("id"), "256"),
            Case(send(json!({"action":"a","targets":targets})), 400, LIMIT, Some("targets"), "33"),
            Case(deep, 400, LIMIT, Some(innermost.as_str()), "32 levels"),
            Case(send(json!(many)), 400, LIMIT, None, "10001"),
            Case(send(json!({"action":"a","data":large})), 413, LIMIT, None, "262144"),
            Case(
                send(json!({"action":"a","time_occurred":"2026-11-21T09:46:08.000001Z"})),
                400,
                LIMIT,
                Some("time_occurred"),
                "24",
            ),
            Case(
                raw("/v1/events", JSON, vec![b' '; limits::BODY_BYTES_MAX + 1]).key(&server.writer),
                413,
                LIMIT,
                None,
                "16777216",
            ),
        ],
    )
    .await;
    let just = json!({"action":text(limits::ACTION_CHARS_MAX),"id":text(limits::ID_CHARS_MAX),
        "targets":&targets[1..],"time_occurred":"2026-11-21T09:46:08Z"});
    assert_eq!(server.append(just).await.status, 201);
}

#[tokio::test]
async fn what_is_no_event_is_refused_by_member() {
    let server = Server::start().await;
    let send = |body: &str| raw("/v1/events", JSON, body).key(&server.writer);
    let case = |body: &str, member, part| Case(send(body), 400, INVALID, member, part);
    check(
        &server,
        vec![
            case(r#"{}"#, Some("action"), "required"),
            case(r#"{"action":""}"#, Some("action"), "empty"),
            case(r#"{"action":1}"#, Some("action"), "number"),
            case(r#"{"action":"a","colour":1}"#, Some("colour"), "not a member"),
            case(r#"{"action":"a","actor":{"nick":"x"}}"#, Some("actor.nick"), "not a member"),
            case(r#"{"action":"a","actor":"x"}"#, Some("actor"), "object"),
            case(r#"{"action":"a","targets":[{"id":"t"},{"x":1}]}"#, Some("targets.1.x"), "not a member"),
            case(r#"{"action":"a","request":{"status":1000}}"#, Some("request.status"), "999"),
            case(r#"{"action":"a","request":{"status":200.5}}"#, Some("request.status"), "whole"),
            case(r#"{"action":"a","request":{"client_ip":"localhost"}}"#, Some("request.client_ip"), "IPv4"),
            case(r#"{"action":"a","time_occurred":"yesterday"}"#, Some("time_occurred"), "not a time"),
            case(r#"{"action":"a","index":1}"#, Some("index"), "not a member"),
            case(r#"{"action":"annals.key.create"}"#, Some("action"), "annals."),
            case(r#"{"action":"a","action":"b"}"#, Some("action"), "twice"),
            case(r#"{"action":"a","data":{"x":{"y":1,"y":2}}}"#, Some("data.x.y"), "twice"),
            case(r#"{"action":"a","data":9007199254740993}"#, Some("data"), "9007199254740991"),
            case(r#"{"action":"a","data":1e999}"#, Some("data"), "number out of range"),
            case(r#"{"action":"a","data":"\ud800"}"#, Some("data"), "not valid JSON"),
            case(r#"{"action":"a""#, None, "not valid JSON"),
            case(r#"{"action":"a"} {}"#, None, "not valid JSON"),
            case("", None, "not valid JSON"),
            case("3", None, "object"),
            case(r#"[{"action":"a"},[]]"#, None, "object"),
            Case(
                raw("/v1/events", JSON, b"{\"action\":\"\xff\"}".to_vec()).key(&server.writer),
                400,
                INVALID,
                Some("action"),
                "unicode",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn one_bad_event_refuses_the_whole_request_and_is_named() {
    let server = Server::start().await;
    let before = server.counts().await;
    let lines = "{\"action\":\"a\"}\n\n{\"action\":\"b\",\n";
    let reply = server.send(raw("/v1/events", "application/x-ndjson", lines).key(&server.writer)).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["event"], &error["line"]), (400, &json!(1), &json!(3)), "{error}");
    assert!(error["column"].is_u64(), "{error}");
    let lines = "{\"action\":\"a\"}\n{\"action\":\"annals.x\"}\n";
    let reply = server.send(raw("/v1/events", "application/x-ndjson", lines).key(&server.writer)).await;
    let error = &reply.json()["error"];
    assert_eq!(
        (&error["event"], &error["line"], &error["member"]),
        (&json!(1), &json!(2), &json!("action")),
        "{error}"
    );
    let reply = server.append(json!([{"action":"a"},{"action":"b"},{"action":"c","id":""}])).await;
    let error = &reply.json()["error"];
    assert_eq!((&error["event"], &error["member"]), (&json!(2), &json!("id")), "{error}");
    assert_eq!(server.counts().await, before);
}

#[tokio::test]
async fn a_request_that_is_not_as_agreed_is_refused() {
    let server = Server::start().await;
    let event = r#"{"action":"a"}"#;
    let send = |content_type: &str, body: &[u8]| raw("/v1/events", content_type, body).key(&server.writer);
    let named = |key: &str| send(JSON, event.as_bytes()).header("idempotency-key", key);
    let encoded = |encoding: &str, body: &[u8]| send(JSON, body).header("content-encoding", encoding);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![b' '; 1024 * 1024];
    for _ in 0..100 {
        bomb.write_all(&zeros).expect("writes");
    }
    let bomb = bomb.finish().expect("ends");
    assert!(bomb.len() < limits::BODY_BYTES_MAX / 100);
    let zstd_bomb = zstd::encode_all(&vec![b' '; limits::BODY_BYTES_MAX + 1][..], 1).expect("encodes");
    let format = |format: &str| raw(&format!("/v1/events?format={format}"), JSON, event).key(&server.writer);
    check(
        &server,
        vec![
            Case(send("text/plain", event.as_bytes()), 400, INVALID, None, "application/cloudevents-batch+json"),
            Case(ask("POST", "/v1/events").body(event).key(&server.writer), 400, INVALID, None, "application/x-ndjson"),
            Case(format("turso"), 400, INVALID, None, "no entry of turso"),
            Case(format("xml"), 400, INVALID, Some("format"), "cloudtrail, upstash"),
            Case(raw("/v1/events?mode=fast", JSON, event).key(&server.writer), 400, INVALID, Some("mode"), "mode"),
            Case(named(""), 400, INVALID, None, "Idempotency-Key"),
            Case(named(&"k".repeat(252)), 400, LIMIT, None, "252"),
            Case(named("k").header("idempotency-key", "l"), 400, INVALID, None, "twice"),
            Case(encoded("br", event.as_bytes()), 400, INVALID, None, "gzip, zstd"),
            Case(encoded("gzip", event.as_bytes()), 400, INVALID, None, "not valid gzip"),
            Case(encoded("zstd", event.as_bytes()), 400, INVALID, None, "not valid zstd"),
            Case(encoded("gzip", &bomb), 413, LIMIT, None, "after decompression"),
            Case(encoded("zstd", &zstd_bomb), 413, LIMIT, None, "after decompression"),
            Case(
                send("application/cloudevents+json", br#"{"specversion":"1.0","type":"a","id":"1"}"#),
                400,
                INVALID,
                Some("source"),
                "CloudEvents",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let server = Server::start().await;
    let event = || post("/v1/events", json!({"action":"a"}));
    let expired = server
        .make_key(json!({"organization":"acme","name":"old","scopes":["append"],"expires":"2026-11-20T09:46:09Z"}));
    let expired = expired.await;
    server.clock.pass(2);
    let unauthorized = |ask, part| Case(ask, 401, "unauthorized", None, part);
    let forbidden = |ask, part| Case(ask, 403, "forbidden", None, part);
    check(
        &server,
        vec![
            unauthorized(event(), "no key"),
            unauthorized(event().key(""), "no key"),
            unauthorized(event().header("authorization", "Basic YTpi"), "no key"),
            unauthorized(event().header("authorization", OPERATOR), "no key"),
            unauthorized(event().key("nobody"), "not known"),
            unauthorized(event().key(&format!("{OPERATOR}x")), "not known"),
            unauthorized(event().key(&expired), "expired"),
            forbidden(event().key(&server.reader), "append"),
            forbidden(event().key(&server.admin), "append"),
            forbidden(get("/v1/events").key(&server.writer), "read"),
            forbidden(get("/v1/keys").key(&server.reader), "admin"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_list_that_is_asked_for_wrongly_is_refused_by_parameter() {
    let server = Server::start().await;
    for n in 0..3 {
        server.append(json!({"action":"a","id":n.to_string()})).await;
    }
    let page = server.send(get("/v1/events?limit=1").key(&server.reader)).await.json();
    let cursor = page["next_cursor"].as_str().expect("more").to_owned();
    let keys = server.send(get("/v1/keys?limit=1").key(OPERATOR)).await.json();
    let key_cursor = keys["next_cursor"].as_str().expect("more").to_owned();
    let case = |query: &str, member, part| {
        Case(get(&format!("/v1/events?{query}")).key(&server.reader), 400, INVALID, Some(member), part)
    };
    let long = "x".repeat(limits::FILTER_VALUE_BYTES_MAX + 1);
    let many = "action=a&".repeat(limits::FILTER_VALUES_MAX + 1);
    let beyond = |query: &str, member, part| {
        Case(get(&format!("/v1/events?{query}")).key(&server.reader), 400, LIMIT, Some(member), part)
    };
    check(
        &server,
        vec![
            case("limit=0", "limit", "1 to 1000"),
            case("limit=1001", "limit", "1 to 1000"),
            case("limit=ten", "limit", "1 to 1000"),
            case("limit=1&limit=1", "limit", "twice"),
            case("offset=-1", "offset", "whole"),
            case(&format!("offset=1&cursor={cursor}"), "offset", "exclude"),
            case("cursor=AAAA", "cursor", "cursor"),
            case(&format!("action=b&cursor={cursor}"), "cursor", "another"),
            case(&format!("order=oldest&cursor={cursor}"), "cursor", "another"),
            case(&format!("cursor={key_cursor}"), "cursor", "cursor"),
            case("order=sideways", "order", "newest"),
            case("total=some", "total", "none"),
            case("resource=proj%2Fx", "resource", "not supported yet"),
            case("colour=red", "colour", "colour"),
            case("time_from=now", "time_from", "not a time"),
            case("status_min=-1", "status_min", "whole"),
            case("q=%21", "q", "no word"),
            beyond(&format!("action={long}"), "action", "4097"),
            beyond(&many, "action", "101"),
            Case(
                get(&format!("/v1/events?organization=globex&cursor={cursor}")).key(&server.reader_of_all),
                400,
                INVALID,
                Some("cursor"),
                "another",
            ),
            Case(get("/v1/events/0?limit=1").key(&server.reader), 400, INVALID, Some("limit"), "limit"),
            Case(get("/v1/events/9").key(&server.reader), 404, "not_found", None, ""),
            Case(get(&format!("/v1/keys?cursor={cursor}")).key(OPERATOR), 400, INVALID, Some("cursor"), "cursor"),
            Case(
                get(&format!("/v1/organizations?cursor={key_cursor}")).key(OPERATOR),
                400,
                INVALID,
                Some("cursor"),
                "cursor",
            ),
            Case(get("/v1/keys?limit=0").key(OPERATOR), 400, INVALID, Some("limit"), "1 to 1000"),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_organization_that_is_asked_for_wrongly_is_refused_by_member() {
    let server = Server::start().await;
    let organization = |body: serde_json::Value| post("/v1/organizations", body).key(OPERATOR);
    let patch = |body: &str| ask("PATCH", "/v1/organizations/acme").body(body).key(OPERATOR);
    let long = "n".repeat(limits::NAME_CHARS_MAX + 1);
    check(
        &server,
        vec![
            Case(organization(json!({})), 400, INVALID, Some("id"), "id"),
            Case(organization(json!({"id":"Not An Id"})), 400, INVALID, Some("id"), "id"),
            Case(organization(json!({"id":"_system"})), 400, INVALID, Some("id"), "id"),
            Case(
                organization(json!({"id":"x".repeat(limits::ORGANIZATION_ID_CHARS_MAX + 1)})),
                400,
                INVALID,
                Some("id"),
                "63",
            ),
            Case(organization(json!({"id":"x","name":long})), 400, LIMIT, Some("name"), "256"),
            Case(organization(json!({"id":"x","retention_days":0})), 400, INVALID, Some("retention_days"), "36525"),
            Case(
                organization(json!({"id":"x","aliases":{"splunk":"y"}})),
                400,
                INVALID,
                Some("aliases.splunk"),
                "turso",
            ),
            Case(organization(json!({"id":"x","colour":"y"})), 400, INVALID, None, "colour"),
            Case(organization(json!({"id":1})), 400, INVALID, None, "string"),
            Case(raw("/v1/organizations", JSON, "{").key(OPERATOR), 400, INVALID, None, "not valid JSON"),
            Case(
                raw("/v1/organizations", JSON, r#"{"id":"x","aliases":{"turso":"a","turso":"b"}}"#).key(OPERATOR),
                400,
                INVALID,
                Some("aliases.turso"),
                "twice",
            ),
            Case(patch(r#"{"aliases":{"splunk":null}}"#), 400, INVALID, Some("aliases.splunk"), "turso"),
            Case(patch(r#"{"id":"other"}"#), 400, INVALID, None, "id"),
            Case(patch(r#"{"legal_hold":"yes"}"#), 400, INVALID, None, "bool"),
            Case(
                ask("PATCH", "/v1/organizations/nobody").body("{}").key(OPERATOR),
                404,
                "not_found",
                None,
                "organization",
            ),
            Case(
                raw("/v1/organizations", JSON, vec![b' '; limits::BODY_BYTES_MAX + 1]).key(OPERATOR),
                413,
                LIMIT,
                None,
                "16777216",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_key_that_is_asked_for_wrongly_is_refused_by_member() {
    let server = Server::start().await;
    let key = |body: serde_json::Value| post("/v1/keys", body).key(OPERATOR);
    check(
        &server,
        vec![
            Case(key(json!({"scopes":["read"]})), 400, INVALID, Some("name"), "name"),
            Case(key(json!({"name":"k"})), 400, INVALID, Some("scopes"), "scopes"),
            Case(key(json!({"name":"k","scopes":["write"]})), 400, INVALID, None, "write"),
            Case(key(json!({"name":"k","scopes":["read"],"rate_per_s":0})), 400, INVALID, Some("rate_per_s"), "1"),
            Case(
                key(json!({"name":"k","scopes":["read"],"rate_per_s":limits::RATE_PER_S_MAX + 1})),
                400,
                INVALID,
                Some("rate_per_s"),
                "1000000",
            ),
            Case(key(json!({"name":"k","scopes":["read"],"expires":"soon"})), 400, INVALID, None, "not a time"),
            Case(
                key(json!({"name":"k","scopes":["read"],"expires":"2026-11-20T09:46:08Z"})),
                400,
                INVALID,
                Some("expires"),
                "past",
            ),
            Case(key(json!({"name":"k","scopes":["read"],"email":"x"})), 400, INVALID, Some("email"), "e-mail"),
            Case(
                key(json!({"name":"k","scopes":["read"],"organization":"nobody"})),
                404,
                "not_found",
                Some("organization"),
                "organization",
            ),
            Case(ask("DELETE", "/v1/keys/nothing").key(OPERATOR), 404, "not_found", None, "key"),
        ],
    )
    .await;
}

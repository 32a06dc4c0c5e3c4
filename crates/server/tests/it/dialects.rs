//! The vendors' APIs, as far as they are the server's: who may ask, and in whose form it answers.

use annals_model::limits;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Ask, OPERATOR, Reply, Server, ask, get};

/// For each vendor: a route of a list, and one that it doesn't know.
const LISTS: [(&str, &str, &str); 5] = [
    ("upstash", "/auditlogs", "/nothing"),
    ("nirvana", "/v1/audit_logs", "/v1/nothing"),
    ("turso", "/v1/organizations/acme/audit-logs", "/v1/nothing"),
    (
        "portkey",
        "/v1/audit-logs?start_time=2026-01-01T00:00:00Z&end_time=2027-01-01T00:00:00Z&organisation_id=acme",
        "/v1/nothing",
    ),
    ("launchdarkly", "/api/v2/auditlog", "/api/v2/nothing"),
];

/// Sends a key as a vendor's clients do.
fn with_key(vendor: &str, ask: Ask, key: &str) -> Ask {
    match vendor {
        "upstash" => {
            let pair = BASE64_STANDARD.encode(format!("iku@example.com:{key}"));
            ask.header("authorization", &format!("Basic {pair}"))
        }
        "portkey" => ask.header("x-portkey-api-key", key),
        "launchdarkly" => ask.header("authorization", key),
        _ => ask.key(key),
    }
}

/// Whether a refusal is in a vendor's form.
fn in_form(vendor: &str, reply: &Reply) -> bool {
    let body = reply.json();
    let has = |name: &str| body.get(name).is_some_and(Value::is_string);
    reply.header("content-type") == Some("application/json")
        && match vendor {
            "upstash" | "turso" => has("error"),
            "nirvana" => has("message") && body.get("error").is_none(),
            "portkey" => body["success"] == json!(false) && body["data"]["errorCode"].is_string(),
            _ => has("code") && has("message"),
        }
}

#[tokio::test]
async fn every_dialect_answers_at_its_own_paths_and_under_its_name() {
    let server = Server::start().await;
    server.append(json!({"id":"e1","action":"db-create"})).await.expect(StatusCode::CREATED);
    for (vendor, list, _) in LISTS {
        for mount in [String::new(), format!("/{vendor}")] {
            let reply = server.send(with_key(vendor, get(&format!("{mount}{list}")), &server.reader)).await;
            assert_eq!(reply.status, 200, "{mount}{list}: {}", reply.text());
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert!(reply.text().contains("db-create"), "{mount}{list}: {}", reply.text());
        }
    }
}

/// For each vendor: an answer as its documentation shows it, where the entries of one stand, and whose log it is.
fn documented() -> [(&'static str, &'static str, &'static str, Value); 5] {
    [
        (
            "upstash",
            "",
            "customer_id",
            json!([{"log_id":"ab9744ed-f51c-4z58-a3cj-e3bs756154du","customer_id":"example@example.com",
                "actor":"example@example.com","timestamp":1_764_587_058,"action":13,"action_string":"Delete Team",
                "source":"API_KEY - system_tests","entity":"test_team","secondary_entity":"NA","third_entity":"",
                "readable_format":"","ip":"1.2.3.4","ttl":1_780_311_858,"reason":"","notes":""}]),
        ),
        (
            "nirvana",
            "/items",
            "",
            json!({"items":[{"id":"123e4567-e89b-12d3-a456-426614174000","action":"vm.created",
                "actor":{"id":"123e4567-e89b-12d3-a456-426614174001","name":null,"type":"user"},
                "client_ip":"203.0.113.1","created_at":"2025-01-01T00:00:00Z","method":"POST",
                "path":"/v1/compute/vms","status_code":200,"user_agent":"curl/8","target":{"id":"vm1","type":"vm"}}],
                "pagination":{"next_cursor":null,"previous_cursor":null,"total_count":1}}),
        ),
        (
            "turso",
            "/audit_logs",
            "",
            json!({"audit_logs":[{"code":"db-create","message":"","origin":"cli","author":"iku",
                "created_at":"2023-12-20T09:46:08Z","data":{}}],
                "pagination":{"page":1,"page_size":10,"total_pages":1,"total_rows":1}}),
        ),
        (
            "portkey",
            "/records",
            "organisation_id",
            json!({"records":[{"timestamp":"2026-11-20T09:46:08.000+00:00","method":"PUT","uri":"/v1/api-keys/x",
                "request_id":"r1","request_body":"{\"name\":\"k\",\"limit\":9007199254740993}",
                "request_headers":"{\"authorization\":\"Be****ey\"}","user_id":"u1","user_type":"user",
                "organisation_id":"472d2804-d054-4226-b4ae-9d4e2e61e69e","response_status_code":200,
                "resource_type":"api keys","action":"update","client_ip":"203.0.113.1","country":"JP"}],
                "total":1,"object":"analytics-graph"}),
        ),
        (
            "launchdarkly",
            "/items",
            "_accountId",
            json!({"_links":{"self":{"href":"/api/v2/auditlog","type":"application/json"}},"items":[{
                "_links":{"canonical":{"href":"/api/v2/projects/p","type":"application/json"},
                    "parent":{"href":"/api/v2/auditlog","type":"application/json"},
                    "self":{"href":"/api/v2/auditlog/1234a56b7c89d012345e678f","type":"application/json"},
                    "site":{"href":"/settings","type":"text/html"}},
                "_id":"1234a56b7c89d012345e678f","_accountId":"5d0a","date":1_764_587_058_123_i64,
                "accesses":[{"action":"updateOn","resource":"proj/web:env/production:flag/new;payments"}],
                "kind":"flag","name":"New checkout","description":"turned **on**","shortDescription":"",
                "comment":"","member":{"_links":{},"_id":"m1","email":"iku@example.com","firstName":"Iku",
                    "lastName":"Ito"},
                "titleVerb":"turned on the flag","title":"Iku turned on the flag",
                "target":{"_links":{},"name":"New checkout",
                    "resources":["proj/web:env/production:flag/new;payments"]}}]}),
        ),
    ]
}

#[tokio::test]
async fn what_a_vendors_api_returned_is_taken_and_shown_again_as_it_was() {
    let server = Server::start().await;
    for (vendor, entries, owner, answer) in documented() {
        let entry = answer.pointer(entries).and_then(|entries| entries.get(0)).expect("an entry");
        // The answer as it came, one entry of it, and a line.
        for (content_type, body, events) in [
            ("application/json", answer.to_string(), 1),
            ("application/json", entry.to_string(), 1),
            ("application/x-ndjson", format!("{entry}\n{entry}\n"), 2),
        ] {
            let ask = ask("POST", &format!("/v1/events?format={vendor}")).header("content-type", content_type);
            let reply = server.send(ask.body(body).key(&server.writer)).await;
            assert!(reply.status == 201 || reply.status == 200, "{vendor}: {}", reply.text());
            assert_eq!(reply.json()["events"].as_array().map(Vec::len), Some(events), "{vendor}");
        }
        let list = LISTS.iter().find(|(name, ..)| *name == vendor).expect("a vendor").1;
        let list = server.send(with_key(vendor, get(&list.replace("2026-01-01", "2020-01-01")), &server.reader)).await;
        let shown = list.expect(StatusCode::OK).json();
        let same = |have: &Value| {
            let without = |entry: &Value| {
                let mut entry = entry.as_object().cloned().unwrap_or_default();
                entry.remove(owner);
                entry
            };
            without(have) == without(entry)
        };
        let shown = shown.pointer(entries).and_then(Value::as_array).expect("entries");
        assert!(shown.iter().any(same), "{vendor}: {entry} is none of {shown:?}");
    }
}

#[tokio::test]
async fn an_entry_that_is_none_is_refused_with_its_place() {
    let server = Server::start().await;
    for (vendor, entries, _, answer) in documented() {
        let entry = answer.pointer(entries).and_then(|entries| entries.get(0)).expect("an entry");
        for (body, event) in [
            (format!("[{entry},7]"), 1),
            (format!("[{entry},{{\"x\":1}}]"), 1),
            (format!("[{entry},"), 1),
            (format!("[{}]", entry.to_string().replacen('{', "{\"a\":{\"x\":1,\"x\":2},", 1)), 0),
            ("nonsense".to_owned(), 0),
            (format!("{{\"{0}\":[{entry}],\"{0}\":[]}}", entries.trim_start_matches('/')), 0),
        ] {
            let path = format!("/v1/events?format={vendor}");
            let ask = ask("POST", &path).header("content-type", "application/json").body(body.clone());
            let reply = server.send(ask.key(&server.writer)).await;
            assert_eq!(reply.status, 400, "{vendor}: {body}: {}", reply.text());
            let place = &reply.json()["error"]["event"];
            assert!(*place == event || place.is_null(), "{vendor}: {body}: {}", reply.text());
        }
    }
    assert_eq!(server.counts().await[0], 0);
}

#[tokio::test]
async fn a_refusal_is_in_the_form_of_the_api_that_the_path_belongs_to() {
    let server = Server::start().await;
    for (vendor, list, unknown) in LISTS {
        let path = list.split('?').next().expect("a path");
        for (ask, status) in [
            (ask("GET", list), 401),
            (with_key(vendor, get(list), "nobody"), 401),
            (with_key(vendor, get(list), &server.writer), 403),
            (with_key(vendor, ask("DELETE", path), &server.reader), 405),
            (with_key(vendor, get(&format!("/{vendor}{unknown}")), &server.reader), 404),
            (with_key(vendor, get(&format!("/{vendor}")), &server.reader), 404),
            (with_key(vendor, get(&format!("{path}?x=%zz")), &server.reader), 400),
            (with_key(vendor, get(&format!("{path}?x=%ff")), &server.reader), 400),
        ] {
            let reply = server.send(ask).await;
            assert_eq!(reply.status, status, "{vendor}: {}", reply.text());
            assert!(in_form(vendor, &reply), "{vendor} {status}: {}", reply.text());
            assert_eq!(reply.header("allow").is_some(), status == 405, "{vendor}");
            assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{vendor}");
        }
    }
}

#[tokio::test]
async fn limits_are_refused_in_the_form_of_the_api_too() {
    let server = Server::start().await;
    for (vendor, list, _) in LISTS {
        let new = json!({"organization":"acme","name":"slow","scopes":["read"],"rate_per_s":1});
        let slow = server.make_key(new).await;
        let path = list.split('?').next().expect("a path");
        let ask = || with_key(vendor, get(list), &slow);
        assert_eq!(server.send(ask()).await.status, 200, "{vendor}");
        let limited = server.send(ask()).await;
        assert_eq!((limited.status, limited.header("retry-after")), (429, Some("1")), "{vendor}");
        assert!(in_form(vendor, &limited), "{vendor}: {}", limited.text());
        let large = with_key(vendor, get(path), &server.reader).body(vec![b' '; limits::BODY_BYTES_MAX + 1]);
        let large = server.send(large).await;
        assert_eq!(large.status, 413, "{vendor}");
        assert!(in_form(vendor, &large), "{vendor}: {}", large.text());
    }
}

#[tokio::test]
async fn tursos_paths_end_where_our_own_begin() {
    let server = Server::start().await;
    assert!(in_form("turso", &server.send(get("/v1/auth/nothing")).await));
    assert!(in_form("turso", &server.send(get("/v1/organizations/acme/audit-logs")).await));
    let native = server.send(get("/v1/organizations/acme")).await;
    assert_eq!(native.error().0, "unauthorized");
    assert_eq!(server.send(get("/v1/organizations/acme/nothing").key(OPERATOR)).await.error().0, "not_found");
}

#[tokio::test]
async fn an_organization_goes_by_its_id_or_alias_and_anothers_is_forbidden() {
    let server = Server::start().await;
    let patch = ask("PATCH", "/v1/organizations/acme").json(json!({"aliases":{"turso":"acme-inc"}})).key(OPERATOR);
    server.send(patch).await.expect(StatusCode::OK);
    let path = |slug: &str| format!("/v1/organizations/{slug}/audit-logs");
    let (one, all) = (server.reader.as_str(), server.reader_of_all.as_str());
    for (slug, key, status) in [
        ("acme", one, 200),
        ("acme-inc", one, 200),
        ("globex", one, 403),
        ("nobody", one, 403),
        ("acme", all, 200),
        ("acme-inc", all, 200),
        ("globex", all, 200),
        ("nobody", all, 404),
        ("_system", all, 403),
        ("_system", OPERATOR, 200),
    ] {
        let reply = server.send(get(&path(slug)).key(key)).await;
        assert_eq!(reply.status, status, "{slug}: {}", reply.text());
    }
    for (vendor, list, _) in LISTS.iter().filter(|(vendor, ..)| !["turso", "portkey"].contains(vendor)) {
        for (query, status) in [("", 403), ("?organization=acme", 200), ("?organization=nobody", 404)] {
            let reply = server.send(with_key(vendor, get(&format!("{list}{query}")), all)).await;
            assert_eq!(reply.status, status, "{vendor} {query}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn the_email_must_be_the_key_owners_where_the_key_has_one() {
    let server = Server::start().await;
    let own = |email: &str| json!({"organization":"acme","name":"k","scopes":["read"],"email":email});
    let (right, wrong) = (server.make_key(own("Iku@example.com")).await, server.make_key(own("x@example.com")).await);
    let status = async |key: &str| server.send(with_key("upstash", get("/auditlogs"), key)).await.status;
    assert_eq!(status(&right).await, 200);
    assert_eq!(status(&wrong).await, 401);
    assert_eq!(status(&server.reader).await, 200);
}

#[tokio::test]
async fn a_long_answer_is_streamed_whole() {
    let server = Server::start().await;
    for batch in 0..3 {
        let events: Vec<Value> = (0..1_000).map(|n| json!({"id":format!("{batch}-{n}"),"action":"a"})).collect();
        server.append(Value::Array(events)).await.expect(StatusCode::CREATED);
    }
    let reply = server.send(with_key("upstash", get("/auditlogs"), &server.reader)).await;
    let entries = reply.expect(StatusCode::OK).json();
    let ids: Vec<&str> =
        entries.as_array().expect("an array").iter().filter_map(|entry| entry["log_id"].as_str()).collect();
    assert_eq!((ids.len(), ids.first(), ids.last()), (3_000, Some(&"2-999"), Some(&"0-0")));
    let none = server.send(with_key("upstash", get("/auditlogs"), &server.foreigner)).await;
    assert_eq!(none.text(), "[]");
}

#[tokio::test]
async fn a_dialect_leaves_the_servers_own_events_out() {
    let server = Server::start().await;
    let reply = server.send(with_key("nirvana", get("/v1/audit_logs?organization=_system"), OPERATOR)).await;
    assert_eq!(reply.expect(StatusCode::OK).json()["items"], json!([]));
}

//! `/v1/organizations` and `/v1/keys`.

use annals_model::limits;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{OPERATOR, Server, ask, get, post};

#[tokio::test]
async fn an_organization_is_made_shown_and_changed() {
    let server = Server::start().await;
    let new = json!({"id":"initech","name":"Initech","plan":"free","retention_days":30,"aliases":{"portkey":"p-1"}});
    let made = server.send(post("/v1/organizations", new).key(OPERATOR)).await;
    let expect = json!({"id":"initech","name":"Initech","plan":"free","retention_days":30,"legal_hold":false,
        "public_proofs":false,"audit_reads":false,"aliases":{"portkey":"p-1"},
        "time_created":"2026-11-20T09:46:08.000000Z"});
    assert_eq!(made.expect(StatusCode::CREATED).json(), expect);
    let path = "/v1/organizations/initech";
    let shown = |mut organization: Value| {
        organization["events"] = 0.into();
        organization["bytes"] = 0.into();
        organization
    };
    assert_eq!(server.send(get(path).key(OPERATOR)).await.json(), shown(expect));
    let patch = json!({"plan":null,"legal_hold":true,"aliases":{"portkey":null,"turso":"it"}});
    let changed = server.send(ask("PATCH", path).json(patch).key(OPERATOR)).await;
    let changed = changed.expect(StatusCode::OK).json();
    assert_eq!((changed.get("plan"), &changed["legal_hold"]), (None, &json!(true)));
    assert_eq!(changed["aliases"], json!({"turso":"it"}));
    assert_eq!(server.send(get(path).key(OPERATOR)).await.json(), shown(changed));
    let event = server.last_of_system().await;
    assert_eq!(event["changes"]["before"]["plan"], "free");
}

#[tokio::test]
async fn an_id_or_alias_that_is_taken_is_a_conflict() {
    let server = Server::start().await;
    let make = async |new: Value| server.send(post("/v1/organizations", new).key(OPERATOR)).await;
    assert_eq!(make(json!({"id":"acme"})).await.expect(StatusCode::CONFLICT).error().0, "conflict");
    make(json!({"id":"one","aliases":{"turso":"same"}})).await.expect(StatusCode::CREATED);
    make(json!({"id":"two","aliases":{"turso":"same"}})).await.expect(StatusCode::CONFLICT);
    make(json!({"id":"two","aliases":{"portkey":"same"}})).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn lists_go_page_by_page_to_the_end() {
    let server = Server::start().await;
    for (path, count) in [("/v1/organizations", 2), ("/v1/keys", 6)] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = server.send(get(&format!("{path}?limit=1{cursor}")).key(OPERATOR)).await;
            let page = page.expect(StatusCode::OK).json();
            all.extend(page["items"].as_array().expect("items").iter().map(|item| item["id"].clone()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(all.len(), count, "{path}");
        let whole = server.send(get(path).key(OPERATOR)).await.json();
        assert_eq!(whole["items"].as_array().map(Vec::len), Some(count), "{path}");
        assert!(whole["next_cursor"].is_null());
    }
}

#[tokio::test]
async fn a_list_of_organizations_says_what_each_holds() {
    let server = Server::start().await;
    let held = async || {
        let list = server.send(get("/v1/organizations").key(OPERATOR)).await.expect(StatusCode::OK).json();
        let items = list["items"].as_array().expect("items").iter();
        let held = items.map(|item| (item["events"].as_u64().expect("events"), item["bytes"].as_u64().expect("bytes")));
        held.collect::<Vec<_>>()
    };
    assert_eq!(held().await, [(0, 0), (0, 0)]);
    let events = json!([{"action":"a","data":{"text":"x".repeat(1_000)}}, {"action":"b"}]);
    server.append(events).await.expect(StatusCode::CREATED);
    let [acme, globex] = held().await[..] else { panic!("two organizations") };
    assert!(acme.0 == 2 && acme.1 > 1_000, "{acme:?}");
    assert_eq!(globex, (0, 0));
    for (path, held) in [("/v1/organizations/acme", acme), ("/v1/organizations/globex", globex)] {
        let one = server.send(get(path).key(OPERATOR)).await.expect(StatusCode::OK).json();
        assert_eq!((one["events"].as_u64(), one["bytes"].as_u64()), (Some(held.0), Some(held.1)), "{path}");
    }
}

#[tokio::test]
async fn organizations_are_shown_without_what_they_hold_when_that_takes_too_long_to_add_up() {
    let server = Server::start().await;
    server.append(json!({"action":"a"})).await.expect(StatusCode::CREATED);
    let shown = async |path: &str| server.send(get(path).key(OPERATOR)).await.expect(StatusCode::OK).json();
    let with = (shown("/v1/organizations").await, shown("/v1/organizations/acme").await);
    // Every look at the clock is as far from the one before as a query may take, and a little more.
    server.clock.hurry(limits::QUERY_TIME_MS_MAX * 1_000 + 1);
    let without = (shown("/v1/organizations").await, shown("/v1/organizations/acme").await);
    server.clock.hurry(0);
    let without_held = |mut organization: Value| {
        for name in ["events", "bytes"] {
            assert!(organization.as_object_mut().expect("an object").remove(name).is_some(), "{organization}");
        }
        organization
    };
    assert_eq!(without.1, without_held(with.1));
    let items = |list: Value| list["items"].as_array().expect("items").clone();
    assert_eq!(items(without.0), items(with.0).into_iter().map(without_held).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_key_is_shown_once_and_its_hash_never() {
    let server = Server::start().await;
    let new = json!({"organization":"acme","name":"ci","scopes":["read","append","read"],"email":"a@b.c",
        "expires":"2027-01-01T00:00:00Z","rate_per_s":5});
    let made = server.send(post("/v1/keys", new).key(OPERATOR)).await;
    let mut made = made.expect(StatusCode::CREATED).json();
    let key = made["key"].take();
    let key = key.as_str().expect("a key");
    assert!(key.starts_with("annals_") && key.len() == "annals_".len() + 43, "{key}");
    made.as_object_mut().expect("an object").remove("key");
    assert_eq!(made["scopes"], json!(["append", "read"]));
    assert_eq!(made["expires"], "2027-01-01T00:00:00.000000Z");
    let listed = server.send(get("/v1/keys").key(OPERATOR)).await;
    assert!(listed.json()["items"].as_array().expect("items").contains(&made), "{}", listed.text());
    for shown in [listed.text(), server.last_of_system().await.to_string(), made.to_string()] {
        assert!(!shown.contains(key) && !shown.contains("hash"), "{shown}");
    }
    assert_eq!(server.send(get("/v1/events").key(key)).await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_is_refused_from_then_on() {
    let server = Server::start().await;
    let made = post("/v1/keys", json!({"organization":"acme","name":"k","scopes":["read"]})).key(OPERATOR);
    let made = server.send(made).await.json();
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    assert_eq!(server.send(get("/v1/events").key(key)).await.status, 200);
    let path = format!("/v1/keys/{id}");
    let gone = server.send(ask("DELETE", &path).key(OPERATOR)).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(server.send(get("/v1/events").key(key)).await.error().0, "unauthorized");
    assert_eq!(server.send(ask("DELETE", &path).key(OPERATOR)).await.error().0, "not_found");
}

#[tokio::test]
async fn a_key_is_good_until_it_expires() {
    let server = Server::start().await;
    let new = json!({"organization":"acme","name":"k","scopes":["read"],"expires":"2026-11-20T09:46:18Z"});
    let key = server.make_key(new).await;
    server.clock.pass(9);
    assert_eq!(server.send(get("/v1/events").key(&key)).await.status, 200);
    server.clock.pass(1);
    let refused = server.send(get("/v1/events").key(&key)).await;
    assert_eq!((refused.status, refused.error().0.as_str()), (401, "unauthorized"));
}

#[tokio::test]
async fn a_keys_rate_is_enforced_and_refills() {
    let server = Server::start().await;
    let key = server.make_key(json!({"organization":"acme","name":"k","scopes":["read"],"rate_per_s":2})).await;
    let ask = async || server.send(get("/v1/events?limit=1").key(&key)).await;
    assert_eq!([ask().await.status, ask().await.status], [200, 200]);
    let refused = ask().await;
    assert_eq!((refused.status, refused.error().0.as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.clock.pass(1);
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn an_administrator_of_one_organization_manages_its_keys_alone() {
    let server = Server::start().await;
    let admin = server.admin.as_str();
    let make = async |organization: Value| {
        let new = json!({"organization":organization,"name":"k","scopes":["read"]});
        server.send(post("/v1/keys", new).key(admin)).await.status
    };
    assert_eq!(make(json!("acme")).await, 201);
    for other in [json!("globex"), json!("nobody"), json!("_system"), Value::Null] {
        assert_eq!(make(other.clone()).await, 403, "{other}");
    }
    let listed = server.send(get("/v1/keys").key(admin)).await.json();
    let organizations: Vec<&Value> =
        listed["items"].as_array().expect("items").iter().map(|key| &key["organization"]).collect();
    assert_eq!(organizations, [&json!("acme"); 4]);
    let of = |name: &str| {
        let keys = server.ledger.keys();
        let key = keys.iter().find(|key| key.name == name).expect("a key");
        format!("/v1/keys/{}", key.id)
    };
    let before = server.counts().await;
    for path in [of("foreigner"), of("reads all"), "/v1/keys/nothing".to_owned()] {
        assert_eq!(server.send(ask("DELETE", &path).key(admin)).await.status, 404, "{path}");
    }
    assert_eq!(server.counts().await, before);
    assert_eq!(server.send(ask("DELETE", &of("reader")).key(admin)).await.status, 204);
    for request in [
        get("/v1/organizations"),
        get("/v1/organizations/acme"),
        post("/v1/organizations", json!({"id":"x"})),
        ask("PATCH", "/v1/organizations/acme").json(json!({"plan":"pro"})),
    ] {
        assert_eq!(server.send(request.key(admin)).await.error().0, "forbidden");
    }
}

#[tokio::test]
async fn no_key_is_made_for_the_servers_own_log_and_it_is_not_managed() {
    let server = Server::start().await;
    let new = json!({"organization":"_system","name":"k","scopes":["read"]});
    assert_eq!(server.send(post("/v1/keys", new).key(OPERATOR)).await.status, 403);
    let path = "/v1/organizations/_system";
    assert_eq!(server.send(get(path).key(OPERATOR)).await.status, 404);
    let patch = ask("PATCH", path).json(json!({"audit_reads":true})).key(OPERATOR);
    assert_eq!(server.send(patch).await.status, 404);
    let listed = server.send(get("/v1/organizations").key(OPERATOR)).await;
    assert!(!listed.text().contains("_system"));
}

#[tokio::test]
async fn each_scope_opens_its_own_routes_alone() {
    let server = Server::start().await;
    let requests = || {
        [
            ("append", post("/v1/events", json!({"action":"a"})), 201),
            ("read", get("/v1/events"), 200),
            ("read", get("/v1/events/x"), 404),
            ("admin", get("/v1/keys"), 200),
        ]
    };
    for (scope, key) in [("append", &server.writer), ("read", &server.reader), ("admin", &server.admin)] {
        for (needed, request, status) in requests() {
            let reply = server.send(request.key(key)).await;
            assert_eq!(reply.status, if needed == scope { status } else { 403 }, "{scope}: {}", reply.text());
        }
    }
}

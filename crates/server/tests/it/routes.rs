//! What holds for every route.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{OPERATOR, Reply, Server, ask, get, post};

/// Routes that answer without a key, and why.
const OPEN: [(&str, &str, &str); 4] = [
    ("GET", "/", "says what this is to whoever finds it"),
    ("GET", "/healthz", "for supervisors, which have no key; tells nothing else"),
    ("GET", "/readyz", "the same"),
    ("GET", "/openapi.json", "the description is public"),
];

/// Routes that are not GET but leave no event of the administration, and why.
const UNRECORDED: [(&str, &str, &str); 1] =
    [("POST", "/v1/events", "the events that it records are in their organization's log")];

/// Method and path of every route that is described.
fn described() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&annals::http::openapi()).expect("JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    routes
}

fn listed(routes: &[(&str, &str, &str)]) -> BTreeSet<(String, String)> {
    routes.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect()
}

/// The path with something in place of each named segment.
fn filled(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so whether samples are rewritten")]
fn the_description_is_the_one_that_is_checked_in() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let made = annals::http::openapi();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &made).expect("writes");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(made == kept, "openapi.json is out of date: run the tests with UPDATE_GOLDEN=1 and look at what changed");
    let document: Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn every_shape_that_the_description_refers_to_is_there() {
    let text = annals::http::openapi();
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let used: BTreeSet<&str> =
        text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for name in used {
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
    for (method, path) in described() {
        let requirements = document["paths"][&path][method.to_lowercase()]["security"].as_array();
        for name in requirements.into_iter().flatten().filter_map(Value::as_object).flat_map(|all| all.keys()) {
            assert!(document["components"]["securitySchemes"].get(name).is_some(), "{name}");
        }
    }
}

#[tokio::test]
async fn every_route_refuses_whoever_has_no_key() {
    let server = Server::start().await;
    let mut stale = listed(&OPEN);
    for (method, path) in described() {
        let open = stale.remove(&(method.clone(), path.clone()));
        let reply = server.send(ask(&method, &filled(&path))).await;
        assert_eq!(reply.status, if open { 200 } else { 401 }, "{method} {path}: {}", reply.text());
        assert_eq!(reply.header("www-authenticate").is_some(), !open, "{method} {path}");
        let unknown =
            server.send(ask(&method, &filled(&path)).key("nobody").header("x-portkey-api-key", "nobody")).await;
        assert_eq!(unknown.status, if open { 200 } else { 401 }, "{method} {path}: {}", unknown.text());
    }
    assert!(stale.is_empty(), "listed as open, but there is no such route: {stale:?}");
}

#[tokio::test]
async fn every_route_that_changes_something_leaves_an_event_in_the_servers_own_log() {
    let server = Server::start().await;
    let mut stale = listed(&UNRECORDED);
    for (method, path) in described() {
        if method == "GET" {
            continue;
        }
        if stale.remove(&(method.clone(), path.clone())) {
            continue;
        }
        let (reply, action) = change(&server, &method, &path).await;
        assert!((200..300).contains(&reply.status), "{method} {path}: {}", reply.text());
        let event = server.last_of_system().await;
        assert_eq!(event["action"], action, "{method} {path}");
        assert_eq!(event["actor"]["name"], "ANNALS_ADMIN_KEY", "{method} {path}");
    }
    assert!(stale.is_empty(), "listed as unrecorded, but there is no such route: {stale:?}");
}

/// Uses a route so that it changes something, and says what event that should leave.
async fn change(server: &Server, method: &str, path: &str) -> (Reply, &'static str) {
    let (request, action) = match (method, path) {
        ("POST", "/v1/organizations") => (post(path, json!({"id":"made"})), "annals.organization.create"),
        ("PATCH", "/v1/organizations/{id}") => {
            (ask("PATCH", "/v1/organizations/acme").json(json!({"plan":"pro"})), "annals.organization.change")
        }
        ("POST", "/v1/keys") => (post(path, json!({"name":"k","scopes":["read"]})), "annals.key.create"),
        ("DELETE", "/v1/keys/{id}") => {
            let id = server.ledger.keys()[0].id.clone();
            (ask("DELETE", &format!("/v1/keys/{id}")), "annals.key.revoke")
        }
        _ => panic!("{method} {path} changes something: say here how to use it and what event that leaves"),
    };
    (server.send(request.key(OPERATOR)).await, action)
}

#[tokio::test]
async fn a_refusal_is_json_whatever_is_asked() {
    let server = Server::start().await;
    for (method, path, status, code) in [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/events/", 404, "not_found"),
        ("GET", "//", 404, "not_found"),
        ("GET", "/v1/%zz", 404, "not_found"),
        ("PUT", "/v1/events", 405, "method_not_allowed"),
        ("BREW", "/v1/keys", 405, "method_not_allowed"),
        ("GET", "/v1/events/%zz", 400, "invalid_request"),
        ("GET", "/v1/events/%ff", 400, "invalid_request"),
        ("GET", "/v1/events?action=%", 400, "invalid_request"),
        ("GET", "/v1/events?%ff=1", 400, "invalid_request"),
    ] {
        let reply = server.send(ask(method, path).key(OPERATOR)).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (status, code), "{method} {path}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{method} {path}");
    }
    let allow = server.send(ask("PUT", "/v1/events").key(OPERATOR)).await;
    assert_eq!(allow.header("allow"), Some("GET, POST"));
}

#[tokio::test]
async fn whoever_finds_the_server_is_told_what_it_is() {
    let server = Server::start().await;
    let index = server.send(get("/")).await;
    assert!(index.text().contains("/openapi.json"));
    assert!(index.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let description = server.send(get("/openapi.json")).await;
    assert_eq!(description.text(), annals::http::openapi());
    assert_eq!(server.send(get("/healthz")).await.json(), json!({"status":"ok"}));
    assert_eq!(server.send(get("/readyz")).await.json(), json!({"ready":true,"detail":"ok"}));
    assert_eq!(server.send(ask("HEAD", "/healthz")).await.status, 200);
}

#[tokio::test]
async fn a_server_that_takes_no_events_is_not_ready() {
    let server = Server::start().await;
    server.ledger.close();
    let ready = server.send(get("/readyz")).await;
    assert_eq!((ready.status, ready.json()["ready"].clone()), (503, json!(false)));
    assert_eq!(server.send(get("/healthz")).await.status, 200);
    let refused = server.append(json!({"action":"a"})).await;
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{}", refused.text());
}

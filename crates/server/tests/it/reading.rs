//! `GET /v1/events` and `GET /v1/events/{id}`.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{OPERATOR, Server, get, post};

/// Seven events, one a second; `time_occurred` runs backwards.
async fn seven() -> Server {
    let server = Server::start().await;
    for n in 0..7 {
        let occurred = format!("2026-11-20T09:00:0{}Z", 7 - n);
        let status = 200 + n;
        let event = json!({"id":format!("e{n}"),"action":if n % 2 == 0 { "even" } else { "odd" },"time_occurred":occurred,
            "actor":{"name":"Iku Ito"},"targets":[{"id":format!("t{n}")}],"request":{"status":status}});
        server.append(event).await.expect(StatusCode::CREATED);
        server.clock.pass(1);
    }
    server
}

fn ids(page: &Value) -> Vec<String> {
    let events = page["events"].as_array().expect("events");
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

async fn page(server: &Server, query: &str) -> Value {
    server.send(get(&format!("/v1/events?{query}")).key(&server.reader)).await.expect(StatusCode::OK).json()
}

#[tokio::test]
async fn paging_to_the_end_gives_every_event_once_in_each_order() {
    let server = seven().await;
    let up: Vec<String> = (0..7).map(|n| format!("e{n}")).collect();
    let down: Vec<String> = up.iter().rev().cloned().collect();
    for (order, expect) in [("newest", &down), ("oldest", &up), ("occurred", &up)] {
        let (mut got, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = page(&server, &format!("order={order}&limit=3{cursor}")).await;
            assert_eq!(page["total"], 7, "{order}");
            let events = ids(&page);
            pages += 1;
            if events.is_empty() || page["next_cursor"].is_null() {
                got.extend(events);
                break;
            }
            got.extend(events);
            cursor = format!("&cursor={}", page["next_cursor"].as_str().expect("a cursor"));
        }
        assert_eq!(&got, expect, "{order}");
        assert!(pages <= 4, "{order}");
    }
}

#[tokio::test]
async fn a_poller_goes_on_from_its_cursor_whatever_comes() {
    let server = seven().await;
    let first = page(&server, "order=oldest&limit=100").await;
    assert_eq!(ids(&first).len(), 7);
    let cursor = |page: &Value| page["next_cursor"].as_str().expect("always a cursor").to_owned();
    let idle = page(&server, &format!("order=oldest&cursor={}", cursor(&first))).await;
    assert!(ids(&idle).is_empty());
    server.append(json!({"id":"late","action":"a"})).await.expect(StatusCode::CREATED);
    let next = page(&server, &format!("order=oldest&cursor={}", cursor(&idle))).await;
    assert_eq!(ids(&next), ["late"]);
    let nobody = page(&server, "order=oldest&action=none").await;
    assert!(ids(&nobody).is_empty() && nobody["next_cursor"].is_string());
}

#[tokio::test]
async fn a_list_does_not_move_under_its_cursor() {
    let server = seven().await;
    let first = page(&server, "limit=3").await;
    server.append(json!({"id":"late","action":"a"})).await.expect(StatusCode::CREATED);
    let cursor = first["next_cursor"].as_str().expect("more");
    let second = page(&server, &format!("limit=3&cursor={cursor}")).await;
    assert_eq!(ids(&second), ["e3", "e2", "e1"]);
    assert_eq!(second["total"], 7);
}

#[tokio::test]
async fn filters_choose_what_is_shown_and_counted() {
    let server = seven().await;
    for (query, expect) in [
        ("action=even", vec!["e6", "e4", "e2", "e0"]),
        ("action=!even", vec!["e5", "e3", "e1"]),
        ("action=o*", vec!["e5", "e3", "e1"]),
        ("action=~VE", vec!["e6", "e4", "e2", "e0"]),
        ("action==even&limit=1", vec!["e6"]),
        ("target_id=t1&target_id=t2", vec!["e2", "e1"]),
        ("id=e3", vec!["e3"]),
        ("status_min=204&status_max=205", vec!["e5", "e4"]),
        ("status=206", vec!["e6"]),
        ("time_from=2026-11-20T09:00:02Z&time_until=2026-11-20T09:00:04Z", vec!["e5", "e4"]),
        ("time_from=2026-11-20T10:00:06%2B01:00", vec!["e1", "e0"]),
        ("recorded_from=2026-11-20T09:46:13Z", vec!["e6", "e5"]),
        ("recorded_until=2026-11-20T09:46:09Z", vec!["e0"]),
        ("q=iku+EVEN", vec!["e6", "e4", "e2", "e0"]),
        ("q=nobody", vec![]),
        ("offset=5", vec!["e1", "e0"]),
        ("offset=18446744073709551615", vec![]),
    ] {
        assert_eq!(ids(&page(&server, query).await), expect, "{query}");
    }
    assert_eq!(page(&server, "action=even&limit=1").await["total"], 4);
    assert_eq!(page(&server, "offset=5").await["total"], 7);
    assert!(page(&server, "total=none").await.get("total").is_none());
}

#[tokio::test]
async fn a_key_for_all_reads_one_organization_or_all_of_them() {
    let server = seven().await;
    let globex = json!({"id":"g","action":"a","organization":"globex"});
    server.send(post("/v1/events", globex).key(&server.writer_of_all)).await.expect(StatusCode::CREATED);
    let of = async |query: &str| server.send(get(&format!("/v1/events{query}")).key(&server.reader_of_all)).await;
    let all = of("").await.expect(StatusCode::OK).json();
    assert_eq!(all["events"][0]["organization"], "globex");
    assert_eq!(ids(&of("?organization=globex").await.json()), ["g"]);
    assert_eq!(of("?organization=nobody").await.status, 404);
    assert_eq!(of("?organization=_system").await.status, 403);
    assert_eq!(of("/g").await.status, 400);
    assert_eq!(of("/g?organization=globex").await.status, 200);
    assert_eq!(of("/g?organization=acme").await.status, 404);
}

#[tokio::test]
async fn reading_all_organizations_leaves_the_servers_own_log_out() {
    let server = seven().await;
    let all = server.send(get("/v1/events").key(&server.reader_of_all)).await.expect(StatusCode::OK).json();
    assert_eq!((ids(&all).len(), &all["total"]), (7, &json!(7)));
}

#[tokio::test]
async fn the_servers_own_log_is_for_administrators_of_all() {
    let server = Server::start().await;
    let admin_of_all = server.make_key(json!({"name":"admin of all","scopes":["admin"]})).await;
    for (key, status) in [
        (OPERATOR, 200),
        (admin_of_all.as_str(), 200),
        (server.reader_of_all.as_str(), 403),
        (server.admin.as_str(), 403),
        (server.reader.as_str(), 403),
    ] {
        let reply = server.send(get("/v1/events?organization=_system").key(key)).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[tokio::test]
async fn an_organization_sees_its_own_events_alone() {
    let server = seven().await;
    let of = async |path: &str| server.send(get(path).key(&server.foreigner)).await;
    assert_eq!(of("/v1/events").await.json()["total"], 0);
    assert_eq!(of("/v1/events?organization=acme").await.error().0, "forbidden");
    assert_eq!(of("/v1/events?organization=nobody").await.error().0, "forbidden");
    assert_eq!(of("/v1/events/e1").await.error().0, "not_found");
    assert_eq!(of("/v1/events/e1?organization=acme").await.error().0, "forbidden");
}

#[tokio::test]
async fn an_id_may_hold_anything() {
    let server = Server::start().await;
    server.append(json!({"id":"a/b ?é+","action":"a"})).await.expect(StatusCode::CREATED);
    let reply = server.send(get("/v1/events/a%2Fb%20%3F%C3%A9+").key(&server.reader)).await;
    assert_eq!(reply.expect(StatusCode::OK).json()["id"], "a/b ?é+");
}

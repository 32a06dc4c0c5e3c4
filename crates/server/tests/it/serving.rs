//! A server on a socket, over a folder.

use annals::config::{AdminKey, Config};
use annals::serve::{Running, start};
use serde_json::{Value, json};

const KEY: &str = "the-operators-key-of-some-length";

fn config(folder: &std::path::Path) -> Config {
    Config {
        listen: "127.0.0.1:0".into(),
        data: folder.join("data"),
        admin_key: Some(AdminKey::new(KEY).expect("long enough")),
        ..Config::default()
    }
}

async fn ask(running: &Running, method: &'static str, path: &str, body: Option<Value>) -> (u16, Value) {
    let url = format!("{}{path}", running.url());
    let blocking = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let bearer = format!("Bearer {KEY}");
        let mut response = match (method, body) {
            ("POST", Some(body)) => agent.post(&url).header("authorization", &bearer).send_json(body),
            _ => agent.get(&url).header("authorization", &bearer).call(),
        }
        .expect("answers");
        (response.status().as_u16(), response.body_mut().read_json().expect("JSON"))
    });
    blocking.await.expect("runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(config(folder.path())).await.expect("starts");
    assert_eq!(ask(&running, "POST", "/v1/organizations", Some(json!({"id":"acme"}))).await.0, 201);
    let event = json!({"organization":"acme","id":"e1","action":"a"});
    assert_eq!(ask(&running, "POST", "/v1/events", Some(event.clone())).await.0, 201);
    running.stop().await;
    let running = start(config(folder.path())).await.expect("starts again");
    let (status, shown) = ask(&running, "GET", "/v1/events/e1?organization=acme", None).await;
    assert_eq!((status, &shown["action"]), (200, &json!("a")));
    assert_eq!(ask(&running, "POST", "/v1/events", Some(event)).await.0, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(config(folder.path())).await.expect("starts");
    let refused = start(config(folder.path())).await.err().expect("is refused");
    assert!(format!("{refused:#}").contains("another annals server"), "{refused:#}");
    running.stop().await;
    start(config(folder.path())).await.expect("the folder is free again").stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_fixed_at_the_first_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = |name: &str| Config { name: Some(name.into()), ..config(folder.path()) };
    start(named("one.example.com")).await.expect("starts").stop().await;
    start(config(folder.path())).await.expect("no name is the same name").stop().await;
    start(named("one.example.com")).await.expect("the same name").stop().await;
    let refused = start(named("two.example.com")).await.err().expect("is refused");
    assert!(format!("{refused:#}").contains("one.example.com"), "{refused:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let data = config.data.clone();
    start(config).await.expect("starts").stop().await;
    let mode = std::fs::metadata(data).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let running = start(config(one.path())).await.expect("starts");
    let taken = Config { listen: running.address.to_string(), ..config(two.path()) };
    let refused = start(taken).await.err().expect("is refused");
    assert!(format!("{refused:#}").contains(&running.address.to_string()), "{refused:#}");
    running.stop().await;
}

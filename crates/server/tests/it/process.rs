//! The real binary: starting, stopping, appending from files, and the demo.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::binary::{Server, annals, cloudtrail, free_port, stop, succeeded};

fn total(server: &Server, organization: &str) -> u64 {
    let (status, page) = server.get(&format!("/v1/events?organization={organization}&limit=1"));
    assert_eq!(status, 200, "{page}");
    page["total"].as_u64().expect("a total")
}

fn with_organization(id: &str) -> (Server, tempfile::TempDir) {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    server.run(&["organization", "create", id]);
    (server, data)
}

#[test]
fn the_server_stops_on_a_signal_with_status_0_and_keeps_what_it_took() {
    for signal in ["TERM", "INT"] {
        let (server, data) = with_organization("acme");
        let (status, _) = server.post("/v1/events", r#"{"organization":"acme","action":"a"}"#).expect("answers");
        assert_eq!(status, 201);
        assert_eq!(server.stop(signal), Some(0), "{signal}");
        assert_eq!(total(&Server::start(data.path()), "acme"), 1, "{signal}");
    }
}

#[test]
fn a_second_server_on_the_same_data_refuses_to_start() {
    let data = tempfile::tempdir().expect("a folder");
    let _first = Server::start(data.path());
    let second = annals()
        .arg("serve")
        .arg("--data")
        .arg(data.path())
        .arg("--listen")
        .arg(format!("127.0.0.1:{}", free_port()))
        .output()
        .expect("runs");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another annals server"), "{said}");
}

#[test]
fn a_server_does_not_start_with_a_key_that_could_be_guessed() {
    let data = tempfile::tempdir().expect("a folder");
    let serve = |key: &str| {
        let mut command = annals();
        command.arg("serve").arg("--data").arg(data.path()).args(["--listen", "no address"]);
        let output = command.env("ANNALS_ADMIN_KEY", key).output().expect("runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = serve("sesame-open");
    let names = ["ANNALS_ADMIN_KEY", "32", "openssl rand -hex 32"];
    assert!(names.iter().all(|name| said.contains(name)) && !said.contains("sesame"), "{said}");
    assert!(serve(&"k".repeat(31)).contains("ANNALS_ADMIN_KEY"));
    // With a long one, or none, it gets as far as the address.
    for key in [&*"k".repeat(32), ""] {
        assert!(serve(key).contains("no address"));
    }
    // What needs no key does not mind it.
    let mut check = annals();
    check.arg("fsck").arg("--data").arg(data.path()).env("ANNALS_ADMIN_KEY", "sesame-open");
    assert!(!String::from_utf8_lossy(&check.output().expect("runs").stderr).contains("ANNALS_ADMIN_KEY"));
}

#[test]
fn wrong_usage_and_unknown_settings_are_explained() {
    for (arguments, status, said) in [
        (&["serve", "--no-such-flag"][..], 2, "--no-such-flag"),
        (&["frobnicate"], 2, "frobnicate"),
        (&["list", "--url", "http://127.0.0.1:1"], 1, "127.0.0.1:1"),
    ] {
        let output = annals().args(arguments).env("ANNALS_KEY", "k").output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("annals.toml");
    std::fs::write(&config, "lisen = \"127.0.0.1:1\"\n").expect("written");
    let output = annals()
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .arg("--data")
        .arg(folder.path().join("data"))
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("lisen"), "{text}");
}

#[test]
fn all_real_records_are_appended_once_however_often_the_command_is_run() {
    let Some(records) = cloudtrail() else { return };
    let (server, _data) = with_organization("initech");
    let lines = std::fs::read_to_string(&records).expect("records").lines().count() as u64;
    for run in 0..2 {
        server.run(&[
            "append",
            "--format",
            "cloudtrail",
            "--organization",
            "initech",
            records.to_str().expect("a path"),
        ]);
        assert_eq!(total(&server, "initech"), lines, "after run {run}");
    }
    let (_, page) = server.get("/v1/events?organization=initech&action=StopLogging");
    assert!(page["total"].as_u64().is_some_and(|total| total > 0), "{page}");
}

#[test]
fn files_may_be_compressed_lists_or_pipes_and_are_appended_once() {
    let (server, data) = with_organization("acme");
    let events: Vec<String> =
        (0..250).map(|at| format!(r#"{{"action":"a{at}","actor":{{"id":"u{}"}}}}"#, at % 5)).collect();
    let ndjson = events.join("\n");
    let list = format!("[{}]", events.join(","));
    let gz = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(ndjson.as_bytes()).expect("compressed");
        encoder.finish().expect("compressed")
    };
    let zst = zstd::encode_all(ndjson.as_bytes(), 1).expect("compressed");
    for (name, bytes) in [("plain", ndjson.as_bytes()), ("gz", &gz), ("zst", &zst)] {
        let path = data.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        // The same lines get the same ids, so the other files add nothing.
        server.run(&["append", "--organization", "acme", path.to_str().expect("a path")]);
        assert_eq!(total(&server, "acme"), 250, "{name}");
    }
    let mut child = server
        .client(&["append", "--organization", "acme", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    child.stdin.take().expect("a pipe").write_all(list.replace(r#":"a"#, r#":"b"#).as_bytes()).expect("written");
    succeeded(&child.wait_with_output().expect("ends"), &["append -"]);
    assert_eq!(total(&server, "acme"), 500);
}

#[test]
fn a_bad_line_is_named_and_stops_the_append() {
    let (server, data) = with_organization("acme");
    let path = data.path().join("events.ndjson");
    std::fs::write(&path, "{\"action\":\"a\"}\n{\"action\":\"b\",\"colour\":1}\n").expect("written");
    let output =
        server.client(&["append", "--organization", "acme", path.to_str().expect("a path")]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("events.ndjson:2") && text.contains("colour"), "{text}");
    assert_eq!(total(&server, "acme"), 0);
}

#[test]
fn events_are_listed_filtered_and_shown_from_the_command_line() {
    let (server, _data) = with_organization("acme");
    let body = r#"[{"organization":"acme","id":"e1","action":"flag.update","actor":{"name":"Iku"}},{"organization":"acme","id":"e2","action":"flag.delete"}]"#;
    assert_eq!(server.post("/v1/events", body).expect("answers").0, 201);
    let table = server.run(&["list", "--organization", "acme"]);
    assert!(table.contains("flag.update") && table.contains("Iku"), "{table}");
    assert!(table.starts_with("recorded "), "{table}");
    let table = server.run(&["list", "--organization", "acme", "--order", "occurred"]);
    assert!(table.starts_with("occurred "), "{table}");
    let json = server.run(&["list", "--organization", "acme", "--action", "!flag.update", "--json"]);
    assert!(json.contains("\"e2\"") && !json.contains("\"e1\""), "{json}");
    let event: serde_json::Value =
        serde_json::from_str(&server.run(&["get", "e1", "--organization", "acme"])).expect("JSON");
    assert_eq!(event["actor"]["name"], "Iku");
    let output = server.client(&["get", "nope", "--organization", "acme"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn keys_work_until_they_are_revoked() {
    let (server, _data) = with_organization("acme");
    let created: serde_json::Value = serde_json::from_str(&server.run(&[
        "key",
        "create",
        "--organization",
        "acme",
        "--name",
        "ci",
        "--scope",
        "read",
        "--json",
    ]))
    .expect("JSON");
    let (id, key) = (created["id"].as_str().expect("an id"), created["key"].as_str().expect("a key"));
    let list = || annals().args(["list", "--url", &server.url, "--key", key]).output().expect("runs");
    assert!(list().status.success());
    assert!(!server.run(&["key", "list"]).contains(key), "a key is shown once");
    server.run(&["key", "revoke", id]);
    let refused = list();
    assert_eq!(refused.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&refused.stderr).contains(key), "a key is in no message");
}

#[test]
fn every_curl_line_that_the_demo_prints_answers_with_events() {
    let mut child = annals()
        .args(["demo", "--listen", &format!("127.0.0.1:{}", free_port())])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut curls = Vec::new();
    while curls.len() < 6 {
        let line = lines.next().expect("the demo prints six curl lines").expect("UTF-8");
        if line.trim_start().starts_with("curl ") {
            curls.push(line.trim().to_owned());
        }
    }
    for vendor in ["auditlogs", "/v1/audit_logs", "/audit-logs", "x-portkey-api-key", "/api/v2/auditlog", "/v1/events"]
    {
        assert!(curls.iter().any(|curl| curl.contains(vendor)), "no line for {vendor}: {curls:?}");
    }
    for curl in &curls {
        let output = Command::new("sh").arg("-c").arg(curl).output().expect("runs");
        let answer: serde_json::Value =
            serde_json::from_str(&succeeded(&output, &[curl])).unwrap_or_else(|error| panic!("{curl}: {error}"));
        let list =
            ["items", "audit_logs", "records", "events"].iter().find_map(|name| answer.get(name)).unwrap_or(&answer);
        assert!(list.as_array().is_some_and(|list| !list.is_empty()), "{curl}: {answer}");
    }
    assert_eq!(stop(&mut child, "INT"), Some(0));
}

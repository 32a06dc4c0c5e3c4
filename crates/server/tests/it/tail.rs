//! `annals tail`, as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{Server, free_port, stop};

/// How long an event may take to be printed, and the command to end.
const PATIENCE: Duration = Duration::from_secs(60);

struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    fn start(server: &Server, arguments: &[&str]) -> Tail {
        let mut command = server.client(&[&["tail", "--organization", "acme"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Tail { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    /// The id of the next event in JSON.
    fn id(&self) -> String {
        let line = self.line();
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        event["id"].as_str().expect("an id").to_owned()
    }
}

fn append(server: &Server, id: &str, action: &str) {
    let body = format!(r#"{{"organization":"acme","id":"{id}","action":"{action}","actor":{{"name":"Iku"}}}}"#);
    assert_eq!(server.post("/v1/events", &body).expect("answers").0, 201);
}

fn started(data: &std::path::Path) -> (Server, u16) {
    let port = free_port();
    let server = Server::start_with(data, port, &[]).expect("starts");
    server.run(&["organization", "create", "acme"]);
    (server, port)
}

#[test]
fn tail_prints_the_last_events_and_each_that_comes_also_after_a_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, port) = started(data.path());
    for id in ["e1", "e2", "e3"] {
        append(&server, id, "a");
    }
    let mut tail = Tail::start(&server, &["--json", "-n", "2"]);
    assert_eq!((tail.id(), tail.id()), ("e2".to_owned(), "e3".to_owned()));
    append(&server, "e4", "a");
    assert_eq!(tail.id(), "e4");
    assert_eq!(server.stop("TERM"), Some(0));
    let server = Server::start_with(data.path(), port, &[]).expect("starts again");
    for id in ["e5", "e6"] {
        append(&server, id, "a");
    }
    assert_eq!((tail.id(), tail.id()), ("e5".to_owned(), "e6".to_owned()));
    assert_eq!(stop(&mut tail.child, "INT"), Some(0));
    assert!(tail.lines.recv_timeout(PATIENCE).is_err(), "nothing came twice");
}

#[test]
fn tail_prints_what_list_prints_and_what_filters_choose() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, _) = started(data.path());
    for (id, action) in [("e1", "flag.update"), ("e2", "flag.delete"), ("e3", "flag.update")] {
        append(&server, id, action);
    }
    let listed = server.run(&["list", "--organization", "acme", "--order", "oldest", "--action", "flag.update"]);
    let mut tail = Tail::start(&server, &["--action", "flag.update"]);
    for line in listed.lines() {
        assert_eq!(tail.line(), line);
    }
    append(&server, "e4", "flag.delete");
    append(&server, "e5", "flag.update");
    assert!(tail.line().ends_with("e5"));
    assert_eq!(stop(&mut tail.child, "TERM"), Some(0));
}

#[test]
fn tail_ends_quietly_when_nobody_reads_it_and_says_why_it_can_not_begin() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, _) = started(data.path());
    append(&server, "e1", "a");
    let mut command = server.client(&["tail", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut first).expect("a line");
    assert!(first.contains("e1"), "{first}");
    // And nothing comes any more.
    drop(output);
    let begun = Instant::now();
    while child.try_wait().expect("waits").is_none() {
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let ended = child.wait_with_output().expect("ends");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));

    let refused = server.client(&["tail", "--key", "nobody"]).output().expect("runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("unauthorized"), "{said}");
}

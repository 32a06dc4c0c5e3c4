//! `annals tail`, as a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{Server, annals, free_port, stop};

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

#[test]
fn tail_begins_in_the_middle_of_a_commit_and_behind_the_last_event() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, _) = started(data.path());
    let batch = |begin: usize, end: usize| {
        let event = |at| format!(r#"{{"organization":"acme","id":"e{at}","action":"a"}}"#);
        let body = (begin..end).map(event).collect::<Vec<_>>().join(",");
        assert_eq!(server.post("/v1/events", &format!("[{body}]")).expect("answers").0, 201);
    };
    batch(0, 1_500);
    batch(1_500, 2_400);
    let start = |lines: &str| Tail::start(&server, &["--json", "-n", lines]);
    let mut tails = [("0", 2_400), ("3", 2_397), ("900", 1_500), ("1001", 1_399), ("2100", 300), ("5000", 0)]
        .map(|(lines, first)| (start(lines), first));
    for (tail, first) in &tails {
        for at in *first..2_400 {
            assert_eq!(tail.id(), format!("e{at}"), "from {first} on");
        }
    }
    // When it has begun is not to be seen from outside, unless something was printed.
    let (behind, others) = tails.split_first_mut().expect("some");
    batch(2_400, 2_402);
    for (tail, _) in others {
        assert_eq!((tail.id(), tail.id()), ("e2400".to_owned(), "e2401".to_owned()));
        assert_eq!(stop(&mut tail.child, "TERM"), Some(0));
    }
    let mut next = 2_402;
    let first = loop {
        batch(next, next + 1);
        next += 1;
        assert!(next < 4_000, "nothing is printed");
        if let Ok(line) = behind.0.lines.recv_timeout(Duration::from_millis(100)) {
            break line;
        }
    };
    let event: Value = serde_json::from_str(&first).expect("JSON");
    let first = event["index"].as_u64().expect("an index");
    assert!(first >= 2_400, "nothing that was there before it began");
    batch(next, next + 1);
    for at in first + 1..=next as u64 {
        assert_eq!(behind.0.id(), format!("e{at}"));
    }
    assert_eq!(stop(&mut behind.0.child, "TERM"), Some(0));
}

/// Answers one request after the other, the same to all that come behind; gives the address, and what was
/// asked for.
fn answering(answers: Vec<(u16, &'static str)>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("connects");
            let mut lines = BufReader::new(stream.try_clone().expect("clones")).lines();
            let first = lines.next().expect("a line").expect("reads");
            assert!(lines.any(|line| line.expect("reads").is_empty()), "the head ends");
            let (status, body) = answers[at.min(answers.len() - 1)];
            let head = format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {}", body.len());
            write!(stream, "{head}\r\n\r\n{body}").expect("writes");
            if sender.send(first).is_err() {
                return;
            }
        }
    });
    (url, asked)
}

#[test]
fn tail_tries_again_what_passes_from_its_first_request_on_ends_with_a_defect_and_counts_nothing() {
    const BUSY: &str = r#"{"error":{"code":"busy","message":"later"}}"#;
    const LIMITED: &str = r#"{"error":{"code":"rate_limited","message":"slower"}}"#;
    const DEFECT: &str = r#"{"error":{"code":"internal","message":"a defect"}}"#;
    const NONE: &str = r#"{"events":[],"next_cursor":null}"#;
    const ONE: &str = r#"{"events":[{"organization":"acme","index":0,"id":"e0","action":"a",
        "time_recorded":"2026-11-20T09:46:08.000000Z"}],"next_cursor":"c1"}"#;
    let answers = vec![(503, BUSY), (429, LIMITED), (200, NONE), (503, BUSY), (200, ONE), (500, DEFECT)];
    let count = answers.len();
    let (url, asked) = answering(answers);
    let output = annals().args(["tail", "--json", "--url", &url, "--key", "k"]).output().expect("runs");
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(out.contains("e0") && error.contains("a defect (internal)"), "{out}{error}");
    for said in ["later (busy); trying again", "slower (rate_limited); trying again"] {
        assert!(error.contains(said), "{error}");
    }
    let asked: Vec<String> = asked.try_iter().collect();
    assert_eq!(asked.len(), count, "{asked:?}");
    assert!(asked.iter().all(|line| line.contains("total=none")), "{asked:?}");
}

//! A server on a disk that is really full: a file system of some MiB in memory, in a name space of its own,
//! which needs no more rights than most systems give everybody.
//!
//! The test starts this binary once more, inside, with that file system as its working folder, to run what
//! needs the small disk; elsewhere that does nothing.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::binary::{Server, check_sound, free_port, status};

/// Lies on the small disk, and nowhere else.
const MARK: &str = "this-disk-is-small";
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn on_a_full_disk_appends_are_refused_and_reads_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!("mount -t tmpfs -o size=24m small \"$1\" && cd \"$1\" && touch {MARK} && exec \"$2\" \"$3\"");
    let run = |test: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(folder.path());
        command.arg(std::env::current_exe().expect("a path")).arg(test).output()
    };
    // A name that no test has: whether the disk can be made at all.
    if !run("no such test").is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no small disk can be made here (unshare, user name spaces)");
        return;
    }
    let output = run("full_disk::small_disk").expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("test result: ok. 1 passed"), "{text}");
}

/// What was acknowledged, and what was said of a batch that was not.
fn append(server: &Server, batch: usize) -> Result<usize, (u16, String)> {
    let pad = "x".repeat(200);
    let events: Vec<String> = (0..100)
        .map(|at| format!(r#"{{"organization":"acme","id":"b{batch}-{at}","action":"load","data":{{"pad":"{pad}"}}}}"#))
        .collect();
    let (status, answer) = server.post("/v1/events", &format!("[{}]", events.join(","))).expect("answers");
    if matches!(status, 200 | 201) { Ok(events.len()) } else { Err((status, answer.to_string())) }
}

fn total(server: &Server) -> usize {
    let (status, page) = server.get("/v1/events?organization=acme&limit=10&q=load&action=load");
    assert_eq!((status, page["events"].as_array().map(Vec::len)), (200, Some(10)), "{page}");
    let (status, facets) = server.get("/v1/facets?organization=acme&field=action");
    assert_eq!((status, &facets["values"][0]["count"]), (200, &page["total"]));
    usize::try_from(page["total"].as_u64().expect("a total")).expect("fits")
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn small_disk_fills_up_under_a_server_and_empties_again() {
    if !Path::new(MARK).exists() {
        return;
    }
    let data = Path::new("data");
    let server = Server::start_with(data, free_port(), &[("ANNALS_SEAL_EVENTS", "500")]).expect("starts");
    server.run(&["organization", "create", "acme"]);
    let ready = || status(&format!("{}/readyz", server.url));
    let (mut acknowledged, mut next) = (0, 0);
    for _ in 0..3 {
        for _ in 0..7 {
            acknowledged += append(&server, next).expect("there is room");
            next += 1;
        }
        let mut ballast = File::create("ballast").expect("makes");
        while ballast.write_all(&[7; 4096]).is_ok() {}
        // What was set aside before may still take some.
        let (code, said) = loop {
            match append(&server, next) {
                Ok(more) => acknowledged += more,
                Err(refused) => break refused,
            }
            next += 1;
        };
        assert_eq!(code, 503, "{said}");
        assert!(said.contains("unavailable") && said.contains("nothing was stored"), "{said}");
        until("readiness goes", || ready() == Some(503));
        let (_, answer) = server.get("/readyz");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("full")), "{answer}");
        assert_eq!(total(&server), acknowledged);
        drop(ballast);
        std::fs::remove_file("ballast").expect("removes");
        until("readiness comes back", || ready() == Some(200));
        // The batch that was refused, under the same ids.
        acknowledged += append(&server, next).expect("there is room again");
        next += 1;
        assert_eq!(total(&server), acknowledged);
    }
    assert_eq!(server.stop("TERM"), Some(0));
    check_sound(data);
}

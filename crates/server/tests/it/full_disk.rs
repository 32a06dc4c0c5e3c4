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
/// How long it is watched that readiness stays away, a few times what the server waits before it looks again.
const OBSERVED: Duration = Duration::from_secs(4);

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
    assert!(text.contains("test result: ok. 3 passed"), "{text}");
}

/// Runs on the small disk, and nowhere else; in a folder of its own.
fn on_small_disk(check: impl FnOnce(&Path)) {
    if !Path::new(MARK).exists() {
        return;
    }
    // The tests run at the same time, and each wants all of the disk: the lock is the system's.
    let lock = File::open(MARK).expect("opens");
    lock.lock().expect("locks");
    let folder = tempfile::tempdir_in(".").expect("a folder");
    check(folder.path());
}

/// Takes all space, but so much.
fn fill_up(folder: &Path, left_bytes: u64) {
    let mut ballast = File::create(folder.join("ballast")).expect("makes");
    while ballast.write_all(&[7; 4096]).is_ok() {}
    let bytes = ballast.metadata().expect("there").len();
    ballast.set_len(bytes - left_bytes).expect("gives back");
}

fn make_room(folder: &Path) {
    std::fs::remove_file(folder.join("ballast")).expect("removes");
}

/// What was acknowledged, and what was said of a batch that was not.
fn append(server: &Server, batch: usize) -> Result<usize, (u16, String)> {
    let pad = "x".repeat(200);
    append_events(server, batch, |_| pad.clone())
}

/// Digits that can't be packed into much less than half, 16 for each word; others for each number.
fn noise(number: usize, words: usize) -> String {
    let word = |at: usize| format!("{:016x}", (number * words + at).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..words).map(word).collect()
}

fn append_events(server: &Server, batch: usize, pad: impl Fn(usize) -> String) -> Result<usize, (u16, String)> {
    let event = |at| {
        let pad = pad(at);
        format!(r#"{{"organization":"acme","id":"b{batch}-{at}","action":"load","data":{{"pad":"{pad}"}}}}"#)
    };
    let events: Vec<String> = (0..100).map(event).collect();
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

fn ready(server: &Server) -> Option<u16> {
    status(&format!("{}/readyz", server.url))
}

#[test]
fn small_disk_fills_up_under_a_server_and_empties_again() {
    on_small_disk(|folder| {
        let data = &folder.join("data");
        let server = Server::start_with(data, free_port(), &[("ANNALS_SEAL_EVENTS", "500")]).expect("starts");
        server.run(&["organization", "create", "acme"]);
        let (mut acknowledged, mut next) = (0, 0);
        for _ in 0..3 {
            for _ in 0..7 {
                acknowledged += append(&server, next).expect("there is room");
                next += 1;
            }
            fill_up(folder, 0);
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
            until("readiness goes", || ready(&server) == Some(503));
            let (_, answer) = server.get("/readyz");
            assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("full")), "{answer}");
            assert_eq!(total(&server), acknowledged);
            make_room(folder);
            until("readiness comes back", || ready(&server) == Some(200));
            // The batch that was refused, under the same ids.
            acknowledged += append(&server, next).expect("there is room again");
            next += 1;
            assert_eq!(total(&server), acknowledged);
        }
        assert_eq!(server.stop("TERM"), Some(0));
        check_sound(data);
    });
}

#[test]
fn small_disk_keeps_readiness_away_while_what_was_refused_finds_no_room() {
    on_small_disk(|folder| {
        let data = &folder.join("data");
        // It seals nothing meanwhile, which would take room and give it back.
        let server = Server::start(data);
        server.run(&["organization", "create", "acme"]);
        let mut acknowledged = append(&server, 0).expect("there is room");
        // Room for small commits, and not for one of digits that can't be packed into it.
        fill_up(folder, 100 * 4096);
        let large = || append_events(&server, 1, |at| noise(at, 1_000));
        let (code, said) = large().expect_err("there is no room");
        assert_eq!(code, 503, "{said}");
        for batch in 2..7 {
            acknowledged += append(&server, batch).expect("there is room for little");
            let begun = Instant::now();
            while begun.elapsed() < OBSERVED / 5 {
                assert_eq!(ready(&server), Some(503));
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        let (_, answer) = server.get("/readyz");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("full")), "{answer}");
        assert_eq!(total(&server), acknowledged);
        make_room(folder);
        until("readiness comes back", || ready(&server) == Some(200));
        acknowledged += large().expect("there is room again");
        assert_eq!(total(&server), acknowledged);
        assert_eq!(server.stop("TERM"), Some(0));
        check_sound(data);
    });
}

#[test]
fn small_disk_has_no_room_to_seal_until_it_has_and_then_it_is_made_up_for() {
    on_small_disk(|folder| {
        let data = &folder.join("data");
        let server = Server::start_with(data, free_port(), &[("ANNALS_SEAL_EVENTS", "2000")]).expect("starts");
        server.run(&["organization", "create", "acme"]);
        // Some two kilobytes each.
        let large = |batch: usize| append_events(&server, batch, |at| noise(100 * batch + at, 128));
        let segments = || {
            let entries = std::fs::read_dir(data.join("segments")).expect("reads").map(|entry| entry.expect("reads"));
            // What is being written has another name.
            entries.filter(|entry| !entry.file_name().to_string_lossy().contains('#')).count()
        };
        let detail = || server.get("/readyz").1["detail"].as_str().expect("a text").to_owned();
        let mut acknowledged = 0;
        for batch in 0..19 {
            acknowledged += large(batch).expect("there is room");
        }
        assert_eq!((segments(), detail().as_str()), (0, "ok"), "nothing is due yet");
        // Room for one more batch, with which it is, and far too little for what is to be sealed.
        fill_up(folder, 256 * 4096);
        acknowledged += large(19).expect("there is room for a batch");
        until("it is said that sealing fails", || detail().contains("sealing fails"));
        assert_eq!(segments(), 0);
        assert_eq!(total(&server), acknowledged);
        make_room(folder);
        until("it is sealed", || segments() > 0);
        until("all is well again", || ready(&server) == Some(200) && detail() == "ok");
        acknowledged += append(&server, 20).expect("there is room again");
        assert_eq!(total(&server), acknowledged);
        assert_eq!(server.stop("TERM"), Some(0));
        assert_eq!(segments(), 1);
        check_sound(data);
    });
}

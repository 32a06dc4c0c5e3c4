//! `annals backup`, beside a server that goes on.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;

use crate::binary::{Server, annals, check_sound, free_port, fsck};

fn backup(data: &Path, to: &Path) -> Output {
    annals().arg("backup").arg(to).arg("--data").arg(data).output().expect("runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn sealing(data: &Path) -> Server {
    Server::start_with(data, free_port(), &[("ANNALS_SEAL_EVENTS", "200")]).expect("starts")
}

fn append(server: &Server, batch: u64) {
    let events: Vec<String> = (0..50)
        .map(|at| format!(r#"{{"organization":"acme","id":"b{batch}-{at}","action":"a.{}"}}"#, at % 7))
        .collect();
    let (status, answer) = server.post("/v1/events", &format!("[{}]", events.join(","))).expect("answers");
    assert_eq!(status, 201, "{answer}");
}

/// All events of a server, as it shows them.
fn listed(server: &Server) -> Vec<Value> {
    let lines = server.run(&["list", "--organization", "acme", "--order", "oldest", "--all", "--json"]);
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_backup_beside_running_appends_is_sound_and_shows_the_same_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = sealing(&data);
    server.run(&["organization", "create", "acme"]);
    let (stop, batches) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut copies = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                append(&server, batches.load(Relaxed));
                batches.fetch_add(1, Relaxed);
            }
        });
        // Before the first seal, between seals, and between merges.
        for after in [1, 40, 80, 120] {
            while batches.load(Relaxed) < after {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            let acknowledged = batches.load(Relaxed) * 50;
            let to = folder.path().join(format!("copies/{after}"));
            let output = backup(&data, &to);
            assert!(output.status.success(), "{}", said(&output));
            copies.push((to, acknowledged));
        }
        stop.store(true, Relaxed);
    });
    let all = listed(&server);
    assert_eq!(server.stop("TERM"), Some(0));
    check_sound(&data);
    for (copy, acknowledged) in copies {
        check_sound(&copy);
        let restored = Server::start(&copy);
        let there = listed(&restored);
        assert!(there.len() as u64 >= acknowledged, "{} of {acknowledged}", there.len());
        assert_eq!(there, all[..there.len()], "{}", copy.display());
        let (status, answer) = restored.post("/v1/events", r#"{"organization":"acme","action":"b"}"#).expect("answers");
        assert_eq!((status, answer["events"][0]["index"].as_u64()), (201, Some(there.len() as u64)));
    }
}

#[test]
fn a_backup_that_is_cut_short_is_taken_by_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = sealing(&data);
    server.run(&["organization", "create", "acme"]);
    (0..30).for_each(|batch| append(&server, batch));
    let to = folder.path().join("copy");
    let mut child = annals().arg("backup").arg(&to).arg("--data").arg(&data).spawn().expect("starts");
    while !to.join("partial").exists() && child.try_wait().expect("waits").is_none() {
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    if to.join("partial").exists() {
        let serve = annals().arg("serve").arg("--data").arg(&to).args(["--listen", "127.0.0.1:0"]).output();
        let serve = serve.expect("runs");
        assert!(serve.status.code() == Some(1) && said(&serve).contains("not finished"), "{}", said(&serve));
        let (status, text) = fsck(&to);
        assert!(status == Some(2) && text.contains("not finished"), "{text}");
        let copy = backup(&to, &folder.path().join("other"));
        assert!(copy.status.code() == Some(1) && said(&copy).contains("not finished"), "{}", said(&copy));
    } else {
        // It was faster than the signal.
        check_sound(&to);
    }
    let again = backup(&data, &to);
    assert!(again.status.code() == Some(1) && said(&again).contains("empty"), "{}", said(&again));
}

#[test]
fn a_backup_needs_a_data_folder_and_an_empty_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, to) = (folder.path().join("data"), folder.path().join("copy"));
    let missing = backup(&data, &to);
    assert!(missing.status.code() == Some(1) && said(&missing).contains("no data folder"), "{}", said(&missing));
    std::fs::create_dir(&data).expect("makes");
    let empty = backup(&data, &to);
    assert!(empty.status.code() == Some(1) && !to.exists(), "{}", said(&empty));
    drop(Server::start(&data));
    std::fs::create_dir(&to).expect("makes");
    std::fs::write(to.join("mine"), "x").expect("writes");
    let taken = backup(&data, &to);
    assert!(taken.status.code() == Some(1) && said(&taken).contains("empty"), "{}", said(&taken));
    std::fs::remove_file(to.join("mine")).expect("removes");
    let copied = backup(&data, &to);
    assert!(copied.status.success(), "{}", said(&copied));
    let summary = String::from_utf8_lossy(&copied.stdout).into_owned();
    assert!(summary.ends_with(&format!("check it: annals fsck --data {}\n", to.display())), "{summary}");
    check_sound(&to);
}

#[test]
fn a_backup_is_never_made_inside_what_it_copies_nor_around_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("in/data");
    drop(Server::start(&data));
    std::os::unix::fs::symlink(&data, folder.path().join("link")).expect("links");
    let before = paths(folder.path());
    for (to, how) in [
        ("in/data", "is the data folder"),
        ("link", "is the data folder"),
        ("in/data/copy", "is inside"),
        ("in/data/segments/new/copy", "is inside"),
        ("link/copy", "is inside"),
        ("new/../link/copy", "is inside"),
        ("in", "contains"),
        ("", "contains"),
    ] {
        let to = folder.path().join(to);
        let output = backup(&data, &to);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{}", to.display());
        let names = [how, &to.display().to_string(), &data.display().to_string()];
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
    }
    assert_eq!(paths(folder.path()), before);
    let beside = backup(&data, &folder.path().join("in/data-copy"));
    assert!(beside.status.success(), "{}", said(&beside));
}

/// All that is below a folder.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).expect("reads") {
        let entry = entry.expect("reads");
        if entry.file_type().expect("reads").is_dir() {
            paths.extend(self::paths(&entry.path()));
        }
        paths.push(entry.path());
    }
    paths.sort();
    paths
}

#[test]
fn the_summary_of_a_backup_is_json_if_that_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, to) = (folder.path().join("data"), folder.path().join("copy"));
    let server = sealing(&data);
    server.run(&["organization", "create", "acme"]);
    (0..10).for_each(|batch| append(&server, batch));
    let output = annals().args(["backup", "--json"]).arg(&to).arg("--data").arg(&data).output().expect("runs");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let checked = annals().args(["fsck", "--json", "--data"]).arg(&to).output().expect("runs");
    let checked: Value = serde_json::from_slice(&checked.stdout).expect("one object");
    // The server's own log says that it and the organization were made.
    assert_eq!((&summary["events"], summary["events"].as_u64()), (&checked["events"], Some(502)));
    assert_eq!(summary["segments"], checked["segments"]);
    assert_eq!(summary["folder"].as_str(), to.to_str());
    let files = paths(&to).into_iter().filter(|path| path.is_file() && !path.ends_with("lock"));
    let bytes: u64 = files.map(|path| path.metadata().expect("is there").len()).sum();
    assert_eq!(summary["bytes"].as_u64(), Some(bytes));
}

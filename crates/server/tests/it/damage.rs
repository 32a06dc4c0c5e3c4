//! Damaged data folders: what `annals fsck` says of them, and what a server shows.

use std::path::{Path, PathBuf};

use annals_store::{Journal, ReadOnlyJournal, StateKind};
use serde_json::Value;

use crate::binary::{Server, annals, check_sound, free_port, fsck};

const EVENTS: usize = 1_000;

/// A stopped server's folder with one sealed segment or more.
fn sealed() -> (tempfile::TempDir, Vec<PathBuf>) {
    let data = tempfile::tempdir().expect("a folder");
    let start = || Server::start_with(data.path(), free_port(), &[("ANNALS_SEAL_EVENTS", "300")]).expect("starts");
    let server = start();
    server.run(&["organization", "create", "acme"]);
    for batch in 0..EVENTS / 100 {
        let events: Vec<String> = (batch * 100..batch * 100 + 100).map(event).collect();
        assert_eq!(server.post("/v1/events", &format!("[{}]", events.join(","))).expect("answers").0, 201);
    }
    assert_eq!(server.stop("TERM"), Some(0));
    // A start goes on with the sealing that a stop broke off.
    while segments(data.path()).is_empty() {
        assert_eq!(start().stop("TERM"), Some(0));
    }
    let segments = segments(data.path());
    (data, segments)
}

fn event(at: usize) -> String {
    format!(
        r#"{{"organization":"acme","id":"e{at}","action":"flag.{}","actor":{{"name":"Iku {}"}},"request":{{"id":"r{at}","status":{}}}}}"#,
        at % 7,
        at % 13,
        200 + at % 9
    )
}

/// The segments that the journal of a stopped server names.
fn segments(data: &Path) -> Vec<PathBuf> {
    let journal = ReadOnlyJournal::open(data).expect("opens");
    let named = journal.state(StateKind::Segment).expect("reads");
    named.into_iter().map(|(name, _)| data.join("segments").join(name)).collect()
}

/// Changes one byte of a file, and gives the file as it was.
fn flip(path: &Path, at: usize) -> Vec<u8> {
    let whole = std::fs::read(path).expect("reads");
    let mut damaged = whole.clone();
    damaged[at] ^= 0x10;
    std::fs::write(path, damaged).expect("writes");
    whole
}

/// The place in a segment that a finding names.
fn named(said: &str, segment: &str) -> Option<std::ops::Range<usize>> {
    let of_segment = said.lines().find(|line| line.contains(segment))?;
    let (_, place) = of_segment.split_once(" is damaged at byte ")?;
    let mut numbers = place.split([' ', '(']).filter_map(|word| word.parse::<usize>().ok());
    let (begin, bytes) = (numbers.next()?, numbers.next()?);
    Some(begin..begin + bytes)
}

#[test]
fn a_flipped_byte_is_found_and_its_place_is_named() {
    let (data, segments) = sealed();
    check_sound(data.path());
    let segment = segments.first().expect("a segment");
    let name = segment.file_name().expect("a name").to_string_lossy().into_owned();
    let bytes = std::fs::read(segment).expect("reads").len();
    // All over the file, its first and last bytes among them.
    for at in (0..bytes).step_by(bytes / 14).chain([bytes - 1]) {
        let whole = flip(segment, at);
        let (status, said) = fsck(data.path());
        let place = named(&said, &name);
        assert!(status == Some(1) && place.is_some_and(|place| place.contains(&at)), "byte {at} of {bytes}: {said}");
        std::fs::write(segment, whole).expect("writes");
    }
    check_sound(data.path());
}

#[test]
fn findings_and_the_summary_are_json_if_that_is_asked() {
    let (data, segments) = sealed();
    let segment = segments.first().expect("a segment");
    let run = || {
        let output = annals().args(["fsck", "--json", "--data"]).arg(data.path()).output().expect("runs");
        let lines = String::from_utf8(output.stdout).expect("UTF-8");
        let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        (output.status.code(), lines.collect::<Vec<Value>>())
    };
    let (status, lines) = run();
    assert_eq!((status, lines.len(), lines[0]["findings"].as_u64()), (Some(0), 1, Some(0)));
    // The server's own log says that it and the organization were made.
    assert_eq!(lines[0]["events"].as_u64(), Some(EVENTS as u64 + 2), "{lines:?}");
    flip(segment, 5_000);
    let (status, lines) = run();
    let (summary, findings) = lines.split_last().expect("a summary");
    assert_eq!((status, summary["findings"].as_u64()), (Some(1), Some(findings.len() as u64)));
    assert!(findings.iter().all(|finding| finding["finding"].is_string()), "{findings:?}");
}

#[test]
fn a_missing_segment_is_found() {
    let (data, segments) = sealed();
    std::fs::remove_file(segments.first().expect("a segment")).expect("removes");
    let (status, said) = fsck(data.path());
    assert_eq!(status, Some(1), "{said}");
}

#[test]
fn a_damaged_or_lost_journal_is_something_wrong() {
    let (data, _) = sealed();
    let journal = data.path().join("journal.sqlite");
    let whole = std::fs::read(&journal).expect("reads");
    let damage = [vec![0; whole.len()], whole[..whole.len() / 2].to_vec(), b"no journal".repeat(1_000), Vec::new()];
    for damaged in damage {
        std::fs::write(&journal, damaged).expect("writes");
        let (status, said) = fsck(data.path());
        assert!(status == Some(1) && said.contains("journal"), "{said}");
    }
    std::fs::remove_file(&journal).expect("removes");
    let (status, said) = fsck(data.path());
    assert!(status == Some(1) && said.contains("journal"), "{said}");
}

#[test]
fn findings_are_no_success_though_nobody_reads_them() {
    let (data, segments) = sealed();
    flip(segments.first().expect("a segment"), 5_000);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = annals();
    command.arg("fsck").arg("--data").arg(data.path()).stdout(writer).stderr(std::process::Stdio::null());
    assert_eq!(command.status().expect("runs").code(), Some(1));
}

#[test]
fn damage_is_never_answered_as_data() {
    let (data, segments) = sealed();
    let list = |server: &Server| {
        let query = "/v1/events?organization=acme&order=oldest&limit=1000&action=flag.3&q=iku";
        server.get(query)
    };
    let expect = list(&Server::start(data.path()));
    assert_eq!(
        (expect.0, expect.1["total"].as_u64()),
        (200, Some((0..EVENTS).filter(|at| at % 7 == 3).count() as u64))
    );
    let segment = segments.first().expect("a segment");
    let bytes = std::fs::read(segment).expect("reads").len();
    for at in (100..bytes).step_by(bytes / 6) {
        let whole = flip(segment, at);
        // A server may refuse to start on it.
        if let Some(server) = Server::start_with(data.path(), free_port(), &[]) {
            let (status, page) = list(&server);
            let is_refused = status == 500 && page["error"]["code"] == "internal";
            assert!(is_refused || (status, &page) == (200, &expect.1), "byte {at} of {bytes}: {page}");
        }
        std::fs::write(segment, whole).expect("writes");
    }
}

#[test]
fn what_a_server_is_using_is_not_checked() {
    let data = tempfile::tempdir().expect("a folder");
    let _server = Server::start(data.path());
    let (status, said) = fsck(data.path());
    assert!(status == Some(2) && said.contains("annals backup"), "{said}");
}

#[test]
fn segments_without_their_journal_start_no_server_and_get_no_new_journal() {
    let (data, _) = sealed();
    let journal = data.path().join("journal.sqlite");
    let kept = std::fs::read(&journal).expect("reads");
    for damage in ["gone", "empty"] {
        std::fs::remove_file(&journal).expect("removes");
        if damage == "empty" {
            std::fs::write(&journal, "").expect("writes");
        }
        let output = annals().args(["serve", "--data"]).arg(data.path()).args(["--listen", "127.0.0.1:0"]).output();
        let output = output.expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("its segments are there"), "{damage}: {said}");
        let (status, said) = fsck(data.path());
        assert!(status == Some(1) && said.contains("empty or gone"), "{damage}: {said}");
        assert_eq!(journal.exists(), damage == "empty", "{damage}: a journal was made");
        std::fs::write(&journal, &kept).expect("writes");
    }
    check_sound(data.path());
}

#[test]
fn a_changed_organization_is_found() {
    let (data, _) = sealed();
    let journal = data.path().join("journal.sqlite");
    let whole = std::fs::read(&journal).expect("reads");
    // Nothing else holds the name of an organization in this form.
    let name = br#"{"id":"acme""#;
    let at = whole.windows(name.len()).rposition(|part| part == name).expect("is there");
    let mut damaged = whole.clone();
    damaged[at + 9] ^= 1;
    std::fs::write(&journal, damaged).expect("writes");
    let (status, said) = fsck(data.path());
    assert!(status == Some(1) && said.contains("the entry acme of its organizations"), "{said}");
    std::fs::write(&journal, whole).expect("writes");
    check_sound(data.path());
}

#[test]
fn what_is_no_data_folder_is_said_to_be_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let (status, said) = fsck(&folder.path().join("nothing"));
    assert!(status == Some(2) && said.contains("no data folder"), "{said}");
    let (status, said) = fsck(folder.path());
    assert!(status == Some(2) && said.contains("no journal"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 0, "something was made in it");
    let file = folder.path().join("file");
    std::fs::write(&file, "x").expect("writes");
    let (status, said) = fsck(&file);
    assert!(status == Some(2) && said.contains("is a file"), "{said}");
    let output = annals().args(["fsck", "--json", "--data", "/nowhere"]).output().expect("runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(output.status.code(), Some(2));
    assert!(said["error"].as_str().is_some_and(|error| error.contains("no data folder")), "{said}");
}

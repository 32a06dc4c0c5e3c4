//! A disk that is really full: a file system of some MiB in memory, in a name space of its own, which
//! needs no more rights than most systems give everybody.
//!
//! The test starts this binary once more, inside, with that file system as its working folder, to run
//! what needs the small disk; elsewhere that does nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use annals_store::{
    BlobError, Blobs, Commit, Journal, JournalError, ObjectBlobs, Reason, SqliteJournal, StateKind, copy_journal,
};

use crate::support::commit;

/// Lies on the small disk, and nowhere else.
const MARK: &str = "this-disk-is-small";

#[test]
fn on_a_full_disk_nothing_is_half_stored() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o size=8m small \"$1\" && cd \"$1\" && touch {MARK} && exec \"$2\" \"$3\"");
    let run = |test: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(folder.path());
        command.arg(std::env::current_exe().unwrap()).arg(test).output()
    };
    // A name that no test has: whether the disk can be made at all.
    if !run("no such test").is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: no small disk can be made here (unshare, user name spaces)");
        return;
    }
    let output = run("full_disk::small_disk").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("test result: ok. 6 passed"), "{text}");
}

fn on_small_disk(check: impl FnOnce(&Path)) {
    if !Path::new(MARK).exists() {
        return;
    }
    // The tests run at the same time, and each wants all of the disk: the lock is the system's.
    let lock = File::open(MARK).unwrap();
    lock.lock().unwrap();
    let folder = tempfile::tempdir_in(".").unwrap();
    check(folder.path());
}

/// Takes all space, but so much.
fn fill_up(folder: &Path, left_bytes: u64) {
    let path = folder.join("ballast");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    let bytes = file.metadata().unwrap().len();
    file.set_len(bytes - left_bytes).unwrap();
}

fn make_room(folder: &Path) {
    fs::remove_file(folder.join("ballast")).unwrap();
}

#[track_caller]
fn check_holds(journal: &dyn Journal, floor: u64, last: u64) {
    assert_eq!((journal.floor().unwrap(), journal.last().unwrap()), (floor, last));
    let rows = journal.rows(0, usize::MAX).unwrap();
    assert!(rows.iter().map(|row| row.sequence).eq(floor + 1..=last));
    assert!(rows.iter().all(|row| row.payload.iter().all(|byte| *byte == row.sequence as u8)));
    let state = journal.state(StateKind::Setting).unwrap();
    assert_eq!(state, [("last".to_owned(), last.to_string().into_bytes())]);
}

#[track_caller]
fn check_full(result: Result<(), JournalError>) {
    match result {
        Err(JournalError::Unavailable { reason: Reason::FullDisk, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_full_blob<T>(result: Result<T, BlobError>) {
    match result.map(drop) {
        Err(BlobError::Unavailable { reason: Reason::FullDisk, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn small_disk_refuses_a_commit_and_takes_it_once_there_is_room() {
    on_small_disk(|folder| {
        let journal = SqliteJournal::open(folder).unwrap();
        journal.commit(&commit(1, 1000)).unwrap();
        for left_bytes in [0, 4096, 20 * 4096] {
            fill_up(folder, left_bytes);
            check_full(journal.commit(&Commit { trim: Some(1), ..commit(2, 200_000) }));
            check_holds(&journal, 0, 1);
            make_room(folder);
        }
        journal.commit(&commit(2, 200_000)).unwrap();
        check_holds(&journal, 0, 2);
        drop(journal);
        check_holds(&SqliteJournal::open(folder).unwrap(), 0, 2);
    });
}

/// What a journal's folder has, but for SQLite's own files.
fn others(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"].contains(&&**name)).collect()
}

#[test]
fn small_disk_has_room_only_for_what_a_commit_would_find_room_for() {
    on_small_disk(|folder| {
        let mut found = [0, 0];
        for left_pages in 0..90 {
            let data = folder.join("data");
            fs::create_dir(&data).unwrap();
            let journal = SqliteJournal::open(&data).unwrap();
            journal.commit(&commit(1, 1000)).unwrap();
            fill_up(folder, left_pages * 4096);
            let large = commit(2, 200_000);
            let room = journal.require_room(large.bytes_max());
            assert_eq!(others(&data), [""; 0]);
            found[usize::from(room.is_ok())] += 1;
            if room.is_ok() {
                journal.commit(&large).unwrap();
                check_holds(&journal, 0, 2);
            } else {
                check_full(room);
                check_holds(&journal, 0, 1);
            }
            make_room(folder);
            fs::remove_dir_all(&data).unwrap();
        }
        assert!(found[0] >= 200_000 / 4096 && found[1] > 0, "{found:?}");
    });
}

#[test]
fn small_disk_gets_back_what_a_crash_left_of_looking_for_room() {
    on_small_disk(|folder| {
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        drop(SqliteJournal::open(&data).unwrap());
        fs::write(data.join("journal.sqlite.room"), vec![7; 1_000_000]).unwrap();
        fill_up(folder, 0);
        let journal = SqliteJournal::open(&data).unwrap();
        assert_eq!(others(&data), [""; 0]);
        journal.commit(&commit(1, 200_000)).unwrap();
        check_holds(&journal, 0, 1);
    });
}

#[test]
fn small_disk_holds_up_a_trim_which_goes_on_once_there_is_room() {
    on_small_disk(|folder| {
        let journal = SqliteJournal::open(folder).unwrap();
        for sequence in 1..=10 {
            journal.commit(&commit(sequence, 100_000)).unwrap();
        }
        // Room for the commit that trims, and not for the pages that are wiped.
        fill_up(folder, 20 * 4096);
        journal.commit(&Commit { trim: Some(10), ..commit(11, 10) }).unwrap();
        while journal.checkpoint_status().trim_failure.is_none() {
            std::thread::yield_now();
        }
        let status = journal.checkpoint_status();
        assert!(status.trim_is_due && status.trim_failure.unwrap().contains("full"));
        check_holds(&journal, 10, 11);
        make_room(folder);
        journal.commit(&commit(12, 100_000)).unwrap();
        while journal.checkpoint_status().trim_is_due {
            std::thread::yield_now();
        }
        assert_eq!(journal.checkpoint_status().trim_failure, None);
        check_holds(&journal, 10, 12);
    });
}

#[test]
fn small_disk_refuses_a_blob_and_leaves_nothing_of_it() {
    on_small_disk(|folder| {
        let blobs = ObjectBlobs::local(&folder.join("segments")).unwrap();
        fill_up(folder, 16 * 4096);
        // In the middle of the parts, and with the last one, which is handed over by `finish`.
        let mut writer = blobs.create("one").unwrap();
        check_full_blob(writer.write(&vec![7; 8 * 1024 * 1024]));
        assert_eq!(fs::read_dir(folder.join("segments")).unwrap().count(), 0, "its space is free at once");
        drop(writer);
        check_full_blob(blobs.create("two").and_then(|mut writer| {
            writer.write(&vec![7; 1024 * 1024]).unwrap();
            writer.finish()
        }));
        assert_eq!(fs::read_dir(folder.join("segments")).unwrap().count(), 0);
        assert_eq!(blobs.list().unwrap(), []);
        make_room(folder);
        let mut writer = blobs.create("one").unwrap();
        writer.write(&vec![7; 1024 * 1024]).unwrap();
        assert_eq!(writer.finish().unwrap(), 1024 * 1024);
    });
}

#[test]
fn small_disk_refuses_a_copy_and_leaves_nothing_of_it() {
    on_small_disk(|folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir(&from).unwrap();
        let journal = SqliteJournal::open(&from).unwrap();
        journal.commit(&commit(1, 1_000_000)).unwrap();
        fill_up(folder, 50 * 4096);
        check_full(copy_journal(&from, &to));
        assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
        make_room(folder);
        copy_journal(&from, &to).unwrap();
        check_holds(&journal, 0, 1);
    });
}

//! Stores of blobs: the rules of all, the failures of the one in memory, and what the local one leaves.

use std::path::Path;
use std::process::Command;

use annals_store::conformance::blob::{Place, RULES};
use annals_store::{BlobError, BlobFault, Blobs, MemoryBlobs, ObjectBlobs, Reason};
use tempfile::TempDir;

struct Memory(MemoryBlobs);

impl Place for Memory {
    fn open(&self) -> Result<Box<dyn Blobs>, BlobError> {
        Ok(Box::new(self.0.reopen()))
    }
}

struct Folder(TempDir);

impl Place for Folder {
    fn open(&self) -> Result<Box<dyn Blobs>, BlobError> {
        Ok(Box::new(ObjectBlobs::local(&self.0.path().join("segments"))?))
    }
}

fn check(make: impl Fn() -> Box<dyn Place>) {
    for (name, rule) in RULES {
        println!("{name}");
        rule(&*make());
    }
}

fn keep_every_rule_in_a_folder() {
    check(|| Box::new(Folder(tempfile::tempdir().unwrap())));
}

#[test]
fn blobs_in_memory_keep_every_rule() {
    check(|| Box::new(Memory(MemoryBlobs::new())));
}

#[test]
fn blobs_in_a_folder_keep_every_rule() {
    keep_every_rule_in_a_folder();
}

#[test]
fn blobs_may_be_used_from_any_thread_of_a_runtime() {
    // One thread of each kind, so that a call that waits for either would never end.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).max_blocking_threads(1).build().unwrap();
    runtime.block_on(async { tokio::spawn(async { keep_every_rule_in_a_folder() }).await }).unwrap();
    runtime.block_on(async { tokio::task::spawn_blocking(keep_every_rule_in_a_folder).await }).unwrap();
    runtime.block_on(async { keep_every_rule_in_a_folder() });
    let single = tokio::runtime::Builder::new_current_thread().build().unwrap();
    single.block_on(async { keep_every_rule_in_a_folder() });
}

fn write(blobs: &dyn Blobs, name: &str, content: &[u8]) -> Result<u64, BlobError> {
    let mut writer = blobs.create(name)?;
    writer.write(content)?;
    writer.finish()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_a_crash_cut_short_is_removed_by_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = ObjectBlobs::local(folder.path()).unwrap();
    let mut writer = blobs.create("cut-short").unwrap();
    writer.write(&vec![7; 9 * 1024 * 1024]).unwrap();
    std::mem::forget(writer);
    assert_eq!(names(folder.path()), ["cut-short#1"], "the file of a blob that is being written");
    std::fs::write(folder.path().join("notes#"), "not ours").unwrap();
    assert_eq!(blobs.list().unwrap(), []);
    // Who only reads changes nothing.
    assert_eq!(ObjectBlobs::local_read_only(folder.path()).unwrap().list().unwrap(), []);
    assert_eq!(names(folder.path()), ["cut-short#1", "notes#"]);
    let blobs = ObjectBlobs::local(folder.path()).unwrap();
    assert_eq!(names(folder.path()), ["notes#"]);
    write(&blobs, "cut-short", b"whole").unwrap();
    assert_eq!(names(folder.path()), ["cut-short", "notes#"]);
}

#[test]
fn a_blob_that_is_given_up_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = ObjectBlobs::local(folder.path()).unwrap();
    let mut writer = blobs.create("one").unwrap();
    writer.write(&vec![7; 9 * 1024 * 1024]).unwrap();
    drop(writer);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn who_only_reads_may_neither_write_nor_delete() {
    let folder = tempfile::tempdir().unwrap();
    write(&ObjectBlobs::local(folder.path()).unwrap(), "one", b"x").unwrap();
    let blobs = ObjectBlobs::local_read_only(folder.path()).unwrap();
    check_unavailable(blobs.create("two").map(drop), Reason::ReadOnly);
    check_unavailable(blobs.delete("one"), Reason::ReadOnly);
    assert_eq!(blobs.read("one", 0..1).unwrap(), b"x");
    assert!(ObjectBlobs::local_read_only(&folder.path().join("absent")).is_err());
    assert!(!folder.path().join("absent").exists());
}

/// Every file system call that matters for durability, as the system saw it.
fn trace(path: &Path) -> Option<String> {
    let me = std::env::current_exe().unwrap();
    let output = Command::new("strace")
        .args(["-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat", "-o"])
        .arg(path)
        .arg(me)
        .args(["--exact", "blob::one_blob_is_written_and_deleted"])
        .output()
        .ok()?;
    output.status.success().then(|| std::fs::read_to_string(path).unwrap())
}

#[test]
fn one_blob_is_written_and_deleted() {
    let folder = tempfile::Builder::new().prefix("traced-").tempdir().unwrap();
    let blobs = ObjectBlobs::local(&folder.path().join("segments")).unwrap();
    write(&blobs, "one", &vec![7; 9 * 1024 * 1024]).unwrap();
    blobs.delete("one").unwrap();
}

#[test]
fn a_blob_and_then_its_folder_are_synced() {
    let folder = tempfile::tempdir().unwrap();
    let Some(trace) = trace(&folder.path().join("trace")) else {
        println!("SKIPPED: strace is not there, or may not trace");
        return;
    };
    // A call that another thread interrupts is on two lines; its end says nothing new.
    let calls: Vec<_> = trace.lines().filter(|line| line.contains("traced-") && !line.contains("resumed")).collect();
    let expect: [(&str, &[&str]); 6] = [
        ("the new folder's name", &["fsync("]),
        ("the folder, once leftovers are removed", &["fsync(", "/segments>"]),
        ("the blob", &["fsync(", "/one#1>"]),
        ("its name", &["rename(", "/one#1\"", "/one\""]),
        ("the folder", &["fsync(", "/segments>"]),
        ("the blob's end", &["unlink", "/one\""]),
    ];
    for ((what, parts), call) in expect.iter().zip(&calls) {
        assert!(parts.iter().all(|part| call.contains(part)), "{what}: {call}\nin\n{trace}");
    }
    let last = calls.get(expect.len()).expect("the folder is synced after a deletion");
    assert!(last.contains("fsync(") && last.contains("/segments>"), "{last}");
}

#[track_caller]
fn check_unavailable<T>(result: Result<T, BlobError>, expect: Reason) {
    match result.map(drop) {
        Err(BlobError::Unavailable { reason, .. }) => assert_eq!(reason, expect),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_unknown<T>(result: Result<T, BlobError>) {
    match result.map(drop) {
        Err(BlobError::Unknown { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_holds(blobs: &MemoryBlobs, expect: &[&str]) {
    for blobs in [&blobs.reopen(), blobs] {
        let found: Vec<_> = blobs.list().unwrap().into_iter().map(|blob| blob.name).collect();
        assert_eq!(found, expect);
    }
}

#[test]
fn what_fails_plainly_has_not_happened_and_can_be_tried_again() {
    let blobs = MemoryBlobs::new();
    for fault in [BlobFault::CreateFails, BlobFault::WriteFails, BlobFault::FinishFails] {
        blobs.fail_next(fault);
        check_unavailable(write(&blobs, "one", b"x"), Reason::Storage);
        check_holds(&blobs, &[]);
    }
    write(&blobs, "one", b"x").unwrap();
    blobs.fail_next(BlobFault::DeleteFails);
    blobs.fail_next(BlobFault::ReadFails);
    blobs.fail_next(BlobFault::ListFails);
    check_unavailable(blobs.delete("one"), Reason::Storage);
    check_unavailable(blobs.read("one", 0..1), Reason::Storage);
    check_unavailable(blobs.list(), Reason::Storage);
    assert_eq!(blobs.read("one", 0..1).unwrap(), b"x");
    blobs.delete("one").unwrap();
    check_holds(&blobs, &[]);
}

#[test]
fn what_is_unknown_has_happened_or_not() {
    for (fault, expect) in
        [(BlobFault::FinishUnknownPersisted, &["one"][..]), (BlobFault::FinishUnknownNotPersisted, &[])]
    {
        let blobs = MemoryBlobs::new();
        blobs.fail_next(fault);
        check_unknown(write(&blobs, "one", b"x"));
        check_holds(&blobs, expect);
        blobs.delete("one").unwrap();
        write(&blobs, "one", b"y").unwrap();
    }
    for (fault, expect) in
        [(BlobFault::DeleteUnknownPersisted, &[][..]), (BlobFault::DeleteUnknownNotPersisted, &["one"])]
    {
        let blobs = MemoryBlobs::new();
        write(&blobs, "one", b"x").unwrap();
        blobs.fail_next(fault);
        check_unknown(blobs.delete("one"));
        check_holds(&blobs, expect);
        blobs.delete("one").unwrap();
        check_holds(&blobs, &[]);
    }
}

#[test]
fn a_write_that_failed_gives_the_blob_up() {
    let blobs = MemoryBlobs::new();
    let mut writer = blobs.create("one").unwrap();
    writer.write(b"x").unwrap();
    blobs.fail_next(BlobFault::WriteFails);
    check_unavailable(writer.write(b"y"), Reason::Storage);
    check_unavailable(writer.finish(), Reason::Storage);
    check_holds(&blobs, &[]);
}

#[test]
fn a_flipped_bit_shows() {
    let blobs = MemoryBlobs::new();
    write(&blobs, "one", b"abc").unwrap();
    blobs.flip("one", 1);
    assert_eq!(blobs.reopen().read("one", 0..3).unwrap(), b"acc");
}

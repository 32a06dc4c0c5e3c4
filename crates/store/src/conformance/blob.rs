//! What every store of blobs must do, as rules that each one's tests run.

use std::thread;

use crate::blob::{BLOB_NAME_BYTES_MAX, BlobError, BlobInfo, Blobs};
use crate::journal::Reason;

/// Where one store's blobs are kept.
pub trait Place: Sync {
    /// A new handle on the blobs, as a starting process gets it. The one before is in use no longer.
    ///
    /// # Errors
    /// Those of the store's opening.
    fn open(&self) -> Result<Box<dyn Blobs>, BlobError>;
}

/// One rule: it panics where the store in that place breaks it.
pub type Rule = fn(&dyn Place);

macro_rules! rules {
    ($($rule:ident),* $(,)?) => { &[$((stringify!($rule), $rule as Rule)),*] };
}

/// All rules, with their names.
pub const RULES: &[(&str, Rule)] = rules![
    an_empty_store_lists_nothing,
    a_blob_is_read_as_it_was_written,
    a_blob_may_be_empty,
    a_blob_is_written_in_pieces_of_any_size,
    exactly_the_range_is_read_or_nothing,
    a_range_that_no_memory_holds_is_refused,
    what_is_being_written_is_not_shown,
    what_was_not_finished_leaves_nothing,
    a_name_that_is_taken_is_refused,
    of_two_that_race_for_a_name_one_gets_it,
    a_list_is_ordered_and_tells_lengths,
    a_deleted_blob_is_gone_and_its_name_free,
    deleting_what_is_absent_is_no_error,
    a_finished_blob_is_there_after_a_restart,
    names_beyond_the_rule_are_refused,
    several_threads_read_the_same_blob,
];

fn an_empty_store_lists_nothing(place: &dyn Place) {
    let blobs = open(place);
    assert_eq!(blobs.list().unwrap(), []);
    check_not_found(&*blobs, "absent");
}

fn a_blob_is_read_as_it_was_written(place: &dyn Place) {
    let blobs = open(place);
    let content = pattern(100_000);
    write(&*blobs, "one", &content);
    write(&*blobs, "two", b"other");
    assert!(blobs.read("one", 0..100_000).unwrap() == content, "the blob has changed");
    assert_eq!(blobs.read("one", 70_000..70_010).unwrap(), content[70_000..70_010]);
    assert_eq!(blobs.read("two", 0..5).unwrap(), b"other");
}

fn a_blob_may_be_empty(place: &dyn Place) {
    let blobs = open(place);
    assert_eq!(blobs.create("empty").unwrap().finish().unwrap(), 0);
    assert_eq!(blobs.read("empty", 0..0).unwrap(), b"");
    assert_eq!(blobs.list().unwrap(), [info("empty", 0)]);
    check_corrupt(&*blobs, "empty", 0..1);
}

fn a_blob_is_written_in_pieces_of_any_size(place: &dyn Place) {
    const PART: usize = 8 * 1024 * 1024;
    let blobs = open(place);
    let content = pattern(2 * PART + 17);
    let mut writer = blobs.create("large").unwrap();
    let mut rest = content.as_slice();
    for bytes in [0, 1, 4095, PART - 4096, PART + 1, 15] {
        writer.write(&rest[..bytes]).unwrap();
        rest = &rest[bytes..];
    }
    writer.write(rest).unwrap();
    assert_eq!(writer.finish().unwrap(), content.len() as u64);
    assert!(blobs.read("large", 0..content.len() as u64).unwrap() == content, "the blob has changed");
    let (from, to) = (PART as u64 - 3, PART as u64 + 3);
    assert_eq!(blobs.read("large", from..to).unwrap(), content[PART - 3..PART + 3]);
}

fn exactly_the_range_is_read_or_nothing(place: &dyn Place) {
    let blobs = open(place);
    write(&*blobs, "ten", b"0123456789");
    assert_eq!(blobs.read("ten", 9..10).unwrap(), b"9");
    assert_eq!(blobs.read("ten", 10..10).unwrap(), b"");
    for range in [9..11, 10..11, 11..11, 11..12, 0..u64::MAX] {
        check_corrupt(&*blobs, "ten", range);
    }
}

fn a_range_that_no_memory_holds_is_refused(place: &dyn Place) {
    let blobs = open(place);
    write(&*blobs, "ten", b"0123456789");
    check_corrupt(&*blobs, "ten", 5..u64::MAX);
    check_corrupt(&*blobs, "ten", u64::MAX - 1..u64::MAX);
}

fn what_is_being_written_is_not_shown(place: &dyn Place) {
    let blobs = open(place);
    let mut writer = blobs.create("one").unwrap();
    writer.write(&pattern(9 * 1024 * 1024)).unwrap();
    assert_eq!(blobs.list().unwrap(), []);
    check_not_found(&*blobs, "one");
    writer.finish().unwrap();
    assert_eq!(blobs.list().unwrap(), [info("one", 9 * 1024 * 1024)]);
}

fn what_was_not_finished_leaves_nothing(place: &dyn Place) {
    let blobs = open(place);
    let mut writer = blobs.create("one").unwrap();
    writer.write(&pattern(9 * 1024 * 1024)).unwrap();
    drop(writer);
    drop(blobs.create("two").unwrap());
    assert_eq!(blobs.list().unwrap(), []);
    check_not_found(&*blobs, "one");
    write(&*blobs, "one", b"anew");
    assert_eq!(blobs.read("one", 0..4).unwrap(), b"anew");
}

fn a_name_that_is_taken_is_refused(place: &dyn Place) {
    let blobs = open(place);
    let writer = blobs.create("one").unwrap();
    check_exists(&*blobs, "one");
    writer.finish().unwrap();
    check_exists(&*blobs, "one");
    drop(blobs);
    check_exists(&*open(place), "one");
}

fn of_two_that_race_for_a_name_one_gets_it(place: &dyn Place) {
    let blobs = open(place);
    for round in 0..10 {
        let name = round.to_string();
        let write = |text: &str| {
            let mut writer = blobs.create(&name).ok()?;
            writer.write(text.as_bytes()).unwrap();
            writer.finish().ok()
        };
        let won = thread::scope(|scope| {
            let racers = ["a", "b"].map(|text| scope.spawn(move || write(text)));
            racers.map(|racer| racer.join().unwrap().is_some())
        });
        assert_ne!(won[0], won[1], "exactly one writes blob {name}");
        assert_eq!(blobs.read(&name, 0..1).unwrap(), if won[0] { b"a" } else { b"b" });
    }
}

fn a_list_is_ordered_and_tells_lengths(place: &dyn Place) {
    let blobs = open(place);
    for (name, bytes) in [("b", 2), ("a.seg", 3), ("00-9", 0), ("a-1_x", 5), ("10", 1)] {
        write(&*blobs, name, &pattern(bytes));
    }
    let expect = [info("00-9", 0), info("10", 1), info("a-1_x", 5), info("a.seg", 3), info("b", 2)];
    assert_eq!(blobs.list().unwrap(), expect);
}

fn a_deleted_blob_is_gone_and_its_name_free(place: &dyn Place) {
    let blobs = open(place);
    write(&*blobs, "one", b"old");
    write(&*blobs, "two", b"kept");
    assert_eq!(blobs.read("one", 0..3).unwrap(), b"old");
    blobs.delete("one").unwrap();
    check_not_found(&*blobs, "one");
    assert_eq!(blobs.list().unwrap(), [info("two", 4)]);
    write(&*blobs, "one", b"new");
    assert_eq!(blobs.read("one", 0..3).unwrap(), b"new");
    blobs.delete("one").unwrap();
    drop(blobs);
    assert_eq!(open(place).list().unwrap(), [info("two", 4)]);
}

fn deleting_what_is_absent_is_no_error(place: &dyn Place) {
    let blobs = open(place);
    blobs.delete("absent").unwrap();
    write(&*blobs, "one", b"x");
    blobs.delete("one").unwrap();
    blobs.delete("one").unwrap();
}

fn a_finished_blob_is_there_after_a_restart(place: &dyn Place) {
    for round in 0..4_u64 {
        let blobs = open(place);
        assert_eq!(blobs.list().unwrap().len() as u64, round);
        write(&*blobs, &round.to_string(), &pattern(5_000));
        // Neither is what a crash cuts short.
        std::mem::forget(blobs.create("cut-short").unwrap());
        drop(blobs);
        let blobs = open(place);
        assert!(blobs.read(&round.to_string(), 0..5_000).unwrap() == pattern(5_000), "blob {round} has changed");
    }
}

fn names_beyond_the_rule_are_refused(place: &dyn Place) {
    let blobs = open(place);
    let longest = "a".repeat(BLOB_NAME_BYTES_MAX);
    write(&*blobs, &longest, b"x");
    blobs.delete(&longest).unwrap();
    let long = format!("{longest}a");
    for name in ["", ".", "..", "../up", "a/b", "/a", ".hidden", "-a", "A", "a#1", "a b", "é", "a\0", &long] {
        check_bad_name(blobs.create(name), name);
        check_bad_name(blobs.read(name, 0..1), name);
        check_bad_name(blobs.delete(name), name);
    }
    assert_eq!(blobs.list().unwrap(), []);
}

fn several_threads_read_the_same_blob(place: &dyn Place) {
    let blobs = open(place);
    let content = pattern(1_000_000);
    write(&*blobs, "one", &content);
    thread::scope(|scope| {
        for first in 0..4_usize {
            let (blobs, content) = (&blobs, &content);
            scope.spawn(move || {
                for start in (first * 1_000..990_000).step_by(37_000) {
                    let found = blobs.read("one", start as u64..start as u64 + 9_000).unwrap();
                    assert!(found == content[start..start + 9_000], "bytes from {start} on");
                }
            });
        }
    });
}

fn open(place: &dyn Place) -> Box<dyn Blobs> {
    place.open().unwrap()
}

fn write(blobs: &dyn Blobs, name: &str, content: &[u8]) {
    let mut writer = blobs.create(name).unwrap();
    writer.write(content).unwrap();
    assert_eq!(writer.finish().unwrap(), content.len() as u64);
}

/// Different in every block.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|place| (place ^ (place >> 8) ^ (place >> 16)).to_le_bytes()[0]).collect()
}

fn info(name: &str, bytes: u64) -> BlobInfo {
    BlobInfo { name: name.to_owned(), bytes }
}

fn check_not_found(blobs: &dyn Blobs, name: &str) {
    match blobs.read(name, 0..1) {
        Err(BlobError::NotFound { name: found }) => assert_eq!(found, name),
        other => panic!("{other:?}"),
    }
}

fn check_corrupt(blobs: &dyn Blobs, name: &str, range: std::ops::Range<u64>) {
    match blobs.read(name, range.clone()) {
        Err(BlobError::Corrupt { name: found, .. }) => assert_eq!(found, name),
        other => panic!("{range:?}: {other:?}"),
    }
}

fn check_exists(blobs: &dyn Blobs, name: &str) {
    match blobs.create(name).map(drop) {
        Err(BlobError::Exists { name: found }) => assert_eq!(found, name),
        other => panic!("{other:?}"),
    }
}

fn check_bad_name<T>(result: Result<T, BlobError>, name: &str) {
    match result.map(drop) {
        Err(BlobError::Unavailable { reason: Reason::BadName { .. }, .. }) => {}
        other => panic!("{name:?}: {other:?}"),
    }
}

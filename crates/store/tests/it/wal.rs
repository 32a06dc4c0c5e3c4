//! Damaged write-ahead logs are told from those that a crash cut short.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use annals_store::{Journal, JournalError, ReadOnlyJournal, Reason, SqliteJournal};
use proptest::prelude::*;
use rusqlite::Connection;

use crate::support;
use crate::wal_image::{
    FILE, FRAME_HEADER_BYTES, HEADER_BYTES, Image, SECTOR_BYTES, WAL, big_endian, commit, crash, history, image,
    number, of_single_frames, step,
};

/// Changes one byte, and checks that no commit is lost without a word but those that have to be.
#[track_caller]
fn check_changed(image: &Image, place: usize, change: impl Fn(u8) -> u8) {
    let mut changed = image.clone();
    changed.wal[place] = change(changed.wal[place]);
    if changed.wal[place] == image.wal[place] {
        return;
    }
    let commits = image.commits();
    let count = commits.len();
    // Without its header nothing of the log is taken in.
    let hit = commits.iter().position(|commit| commit.contains(&place)).unwrap_or(0);
    let mark = image.mark(hit);
    // A change of the salts alone leaves the frame's checksum right.
    let spans_sectors = mark % SECTOR_BYTES > SECTOR_BYTES - FRAME_HEADER_BYTES;
    let is_mark_lost =
        place >= mark && (number(&changed.wal, mark + 4) == 0 || (spans_sectors && !(8..16).contains(&(place - mark))));
    let may_lose = hit + 1 == count || (hit + 2 == count && is_mark_lost);
    match changed.refusal() {
        Some(said) => assert_eq!(said, image.said_of(place)),
        None => {
            assert!(may_lose, "the byte at {place} of commit {hit} of {count}");
            assert_eq!(changed.shown(), image.last - (count - hit) as u64, "{place}");
        }
    }
}

#[test]
fn a_changed_byte_loses_no_commit_without_a_word_but_the_last() {
    for count in [1, 2, 5, 8, 9] {
        let image = image(4096, count);
        let changes: [fn(u8) -> u8; 3] = [|byte| byte ^ 1, |byte| byte ^ 0x80, |_| 0];
        let frames = (HEADER_BYTES..image.wal.len()).step_by(image.frame_bytes());
        let in_frame = |frame| (frame..frame + FRAME_HEADER_BYTES).chain([frame + 24, frame + 2_000, frame + 4_119]);
        for place in (0..HEADER_BYTES).chain(frames.flat_map(in_frame)) {
            check_changed(&image, place, changes[place % 3]);
        }
    }
}

#[test]
fn the_frame_is_named() {
    let image = image(4096, 5);
    let mut damaged = image.clone();
    let place = image.commits()[2].start + 100;
    damaged.wal[place] ^= 1;
    let folder = damaged.put();
    let error = SqliteJournal::open(folder.path()).unwrap_err();
    let path = folder.path().canonicalize().unwrap().join(WAL);
    let before = (place - HEADER_BYTES) / image.frame_bytes();
    assert_eq!(
        error.to_string(),
        format!(
            "the journal is damaged (frame {}, at byte {}, of {} is not what was written, and commits behind it were \
             acknowledged): stop, keep a copy of its files, and restore a backup",
            before + 1,
            HEADER_BYTES + before * image.frame_bytes(),
            path.display()
        )
    );
}

#[test]
fn a_log_of_any_page_size_is_checked() {
    for page_bytes in [512, 1024, 65536] {
        let image = image(page_bytes, 9);
        assert_eq!((image.refusal(), image.started()), (None, 9));
        for place in [0, 3, 8, 10, 17, 31, image.commits()[0].start + 17, image.mark(6) + 24, image.mark(7) + 9] {
            check_changed(&image, place, |byte| byte ^ 1);
        }
    }
}

#[test]
fn a_log_of_either_byte_order_is_checked() {
    let image = big_endian(&image(4096, 9));
    assert_eq!((image.refusal(), image.started()), (None, 9));
    for place in [0, 3, 9, 17, 31, image.commits()[0].start + 17, image.mark(6) + 24, image.mark(7) + 9] {
        check_changed(&image, place, |byte| byte ^ 1);
    }
}

#[test]
fn a_log_that_was_cut_off_anywhere_shows_all_commits_up_to_there() {
    let image = image(4096, 9);
    let ends: Vec<_> = image.commits().iter().map(|commit| commit.end).collect();
    let frames = (HEADER_BYTES..image.wal.len()).step_by(image.frame_bytes());
    for bytes in
        (0..=HEADER_BYTES).chain(frames.flat_map(|frame| [frame - 1, frame, frame + 1, frame + 24, frame + 2_000]))
    {
        let cut = Image { wal: image.wal[..bytes].to_vec(), ..image.clone() };
        assert_eq!(cut.refusal(), None, "{bytes}");
        assert_eq!(cut.shown(), ends.iter().filter(|end| **end <= bytes).count() as u64, "{bytes}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_power_loss_leaves_is_never_refused_and_shows_all_but_the_last_commit(
        steps in prop::collection::vec(step(), 0..20),
        payload_bytes in prop_oneof![Just(1_usize), 1_usize..40_000],
        written in prop::collection::vec(prop::collection::vec(any::<bool>(), 1..40), 8),
    ) {
        let (before, after) = history(&steps, payload_bytes);
        let last = after.started();
        prop_assert_eq!(last, after.last);
        prop_assert_eq!(after.refusal(), None);
        prop_assert_eq!(before.refusal(), None);
        prop_assert_eq!(before.started(), last - 1);
        for written in written {
            let mut written = written.into_iter().cycle();
            let crashed = crash(&before, &after, || written.next().unwrap());
            prop_assert_eq!(crashed.refusal(), None);
            let shown = crashed.shown();
            prop_assert!(shown == last || shown == last - 1, "{} of {}", shown, last);
        }
    }

    #[test]
    fn after_any_history_a_changed_byte_loses_no_commit_without_a_word_but_the_last(
        steps in prop::collection::vec(step(), 0..20),
        places in prop::collection::vec((any::<prop::sample::Index>(), 1..=u8::MAX), 30),
    ) {
        let (_, image) = history(&steps, 1);
        let end = image.commits().last().unwrap().end;
        for (place, flipped) in places {
            check_changed(&image, place.index(end), |byte| byte ^ flipped);
        }
    }

    #[test]
    fn damage_of_any_length_is_told_unless_it_reaches_the_commit_frame_of_the_last_but_one(
        count in 2_usize..=9,
        from in any::<prop::sample::Index>(),
        bytes in 1_usize..30_000,
        fill in any::<u8>(),
    ) {
        let image = image(4096, count);
        let reach = image.mark(count - 2);
        let mut damaged = image.clone();
        let from = from.index(reach.max(1));
        damaged.wal[from..reach.min(from + bytes)].fill(fill);
        if damaged.wal != image.wal {
            let first = (0..).zip(&damaged.wal).find(|(at, byte)| **byte != image.wal[*at]).unwrap().0;
            prop_assert_eq!(damaged.refusal(), Some(image.said_of(first)));
        }
    }
}

#[test]
fn wherever_a_frame_lies_a_changed_byte_loses_no_commit_without_a_word_but_the_last() {
    let (folder, _journal) = of_single_frames(66);
    let image = Image::of(folder.path(), 66);
    let ends: Vec<_> = image.commits().iter().map(|commit| commit.end).collect();
    assert_eq!(ends.len(), 66);
    let mut spanning = 0;
    for (last, end) in (1..).zip(ends).skip(1) {
        let image = Image { wal: image.wal[..end].to_vec(), last, ..image.clone() };
        let mark = image.mark(image.commits().len() - 2);
        spanning += usize::from(mark % SECTOR_BYTES > SECTOR_BYTES - FRAME_HEADER_BYTES);
        for place in [0, 7, 8, 15, 16, 23, 24, 4_000] {
            check_changed(&image, mark + place, |byte| byte ^ 0x10);
        }
    }
    assert_eq!(spanning, 2, "one in 32");
}

#[test]
fn a_sector_of_an_older_commit_within_the_last_one_is_no_damage() {
    let (folder, journal) = of_single_frames(130);
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    other.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    // Over frames that each bear a mark.
    let before = Image::of(folder.path(), 130);
    journal.commit(&commit(131, 420_000)).unwrap();
    let after = Image::of(folder.path(), 131);
    let [commit] = &after.commits()[..] else { panic!("one commit") };
    assert!(commit.len() / after.frame_bytes() > 100);
    for frame in commit.clone().step_by(after.frame_bytes()) {
        for sector in [frame / SECTOR_BYTES, frame / SECTOR_BYTES + 1] {
            let mut written = 0..;
            let lost = sector + 1;
            let crashed = crash(&before, &after, || written.next() != Some(lost));
            assert_eq!(crashed.refusal(), None, "sector {sector}");
        }
    }
}

#[test]
fn an_older_commit_frame_that_shares_a_sector_with_the_last_one_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteJournal::open(folder.path()).unwrap());
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    // Of three frames each, always of the same three pages; a round's first has fewer.
    let append = |sequences: Range<u64>, changes: usize| {
        for sequence in sequences {
            let mut commit = support::commit(sequence, 1);
            commit.changes.truncate(changes);
            journal.commit(&commit).unwrap();
        }
    };
    append(1..2, 0);
    append(2..61, 1);
    other.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    append(61..62, 0);
    append(62..103, 1);
    let before = Image::of(folder.path(), 102);
    append(103..104, 1);
    let after = Image::of(folder.path(), 103);
    let mark = after.mark(42);
    assert_eq!(mark % SECTOR_BYTES, SECTOR_BYTES - 16, "its checksum lies in the next sector");
    assert_eq!(after.wal[mark..mark + 8], before.wal[mark..mark + 8], "and they differ in salts and checksum alone");
    let mut written = 0..;
    let crashed = crash(&before, &after, || written.next() == Some(mark / SECTOR_BYTES + 1));
    assert_eq!((crashed.refusal(), crashed.shown()), (None, 102));
}

#[test]
fn a_header_that_was_torn_off_before_its_first_frame_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    journal.recover().unwrap();
    journal.commit(&commit(1, 1)).unwrap();
    let image = Image::of(folder.path(), 1);
    for bytes in 0..=HEADER_BYTES {
        for rest in [0, 4_000] {
            let mut wal = image.wal[..bytes].to_vec();
            wal.resize(HEADER_BYTES + rest, 0);
            let crashed = Image { wal, ..image.clone() };
            assert_eq!((crashed.refusal(), crashed.shown()), (None, 0), "{bytes}");
        }
    }
}

#[test]
fn a_log_that_is_being_written_to_is_never_refused() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    journal.commit(&commit(1, 1)).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let other = Connection::open(folder.path().join(FILE)).unwrap();
            for sequence in 2..=400 {
                journal.commit(&commit(sequence, 100_000)).unwrap();
                if sequence.is_multiple_of(20) {
                    other.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
                }
            }
            stop.store(true, Ordering::SeqCst);
        });
        while !stop.load(Ordering::SeqCst) {
            match ReadOnlyJournal::open(folder.path()) {
                Err(JournalError::Unavailable { reason: Reason::Unclean, .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    });
}

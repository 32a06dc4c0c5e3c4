//! A journal's files as they are at one moment, or as a crash leaves them: made from those of a journal that
//! is open, right before and right after a commit.

use std::fs;
use std::ops::Range;
use std::path::Path;

use annals_store::{Commit, Journal, JournalError, ReadOnlyJournal, Reason, SqliteJournal, copy_journal};
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tempfile::TempDir;

use crate::support;

pub(crate) const FILE: &str = "journal.sqlite";
pub(crate) const WAL: &str = "journal.sqlite-wal";
pub(crate) const HEADER_BYTES: usize = 32;
pub(crate) const FRAME_HEADER_BYTES: usize = 24;
/// What a disk writes as a whole.
pub(crate) const SECTOR_BYTES: usize = 512;

/// A journal's files at one moment.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) file: Vec<u8>,
    pub(crate) wal: Vec<u8>,
    /// How many commits a start is to show.
    pub(crate) last: u64,
}

impl Image {
    pub(crate) fn of(folder: &Path, last: u64) -> Image {
        Image { file: fs::read(folder.join(FILE)).unwrap(), wal: fs::read(folder.join(WAL)).unwrap(), last }
    }

    pub(crate) fn put(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), &self.file).unwrap();
        fs::write(folder.path().join(WAL), &self.wal).unwrap();
        folder
    }

    pub(crate) fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + number(&self.wal, 8) as usize
    }

    /// The commits that SQLite takes in, each with where its frames lie.
    pub(crate) fn commits(&self) -> Vec<Range<usize>> {
        let (mut commits, mut begin) = (Vec::new(), HEADER_BYTES);
        let mut sums = Sums::of(&self.wal);
        for at in (HEADER_BYTES..self.wal.len()).step_by(self.frame_bytes()) {
            let Some(frame) = self.wal.get(at..at + self.frame_bytes()) else { break };
            if frame[8..16] != self.wal[16..24] || sums.add_frame(frame) != frame[16..24] {
                break;
            }
            if number(frame, 4) != 0 {
                commits.push(begin..at + frame.len());
                begin = at + frame.len();
            }
        }
        commits
    }

    /// Where the commit frame of one of them begins.
    pub(crate) fn mark(&self, commit: usize) -> usize {
        self.commits()[commit].end - self.frame_bytes()
    }

    /// How many commits SQLite shows, and syncs nothing for it.
    #[track_caller]
    pub(crate) fn shown(&self) -> u64 {
        let folder = self.put();
        let connection = Connection::open(folder.path().join(FILE)).unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        let sql = "SELECT count(*), coalesce(min(sequence), 1), coalesce(max(sequence), 0) FROM journal_row";
        let [count, first, last]: [i64; 3] =
            connection.query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).unwrap();
        assert_eq!((count, first), (last, 1), "no gap");
        last.cast_unsigned()
    }

    /// How many a start shows.
    #[track_caller]
    pub(crate) fn started(&self) -> u64 {
        let folder = self.put();
        SqliteJournal::open(folder.path()).unwrap().last().unwrap()
    }

    /// What is said of it, if it is refused: by each that opens it the same.
    #[track_caller]
    pub(crate) fn refusal(&self) -> Option<String> {
        let (folder, to) = (self.put(), tempfile::tempdir().unwrap());
        let what = |result: Result<(), JournalError>| match result {
            Err(JournalError::Corrupt { what, .. }) => Some(what),
            Ok(()) | Err(JournalError::Unavailable { reason: Reason::Unclean, .. }) => None,
            other => panic!("{other:?}"),
        };
        let refusal = what(ReadOnlyJournal::open(folder.path()).map(drop))?;
        assert_eq!(what(copy_journal(folder.path(), to.path())).as_ref(), Some(&refusal));
        assert_eq!(what(SqliteJournal::open(folder.path()).map(drop)).as_ref(), Some(&refusal));
        assert!(fs::read(folder.path().join(WAL)).unwrap() == self.wal, "the log has changed");
        Some(refusal.replace(folder.path().canonicalize().unwrap().to_str().unwrap(), "DATA"))
    }

    pub(crate) fn said_of(&self, place: usize) -> String {
        let what = "of DATA/journal.sqlite-wal is not what was written, and commits behind it were acknowledged";
        let Some(behind) = place.checked_sub(HEADER_BYTES) else { return format!("the header, at byte 0, {what}") };
        let before = behind / self.frame_bytes();
        format!("frame {}, at byte {}, {what}", before + 1, HEADER_BYTES + before * self.frame_bytes())
    }
}

pub(crate) fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A checksum of the log.
pub(crate) struct Sums {
    is_big_endian: bool,
    sums: (u32, u32),
}

impl Sums {
    /// Of the header.
    pub(crate) fn of(wal: &[u8]) -> Sums {
        let mut sums = Sums { is_big_endian: wal[3] & 1 == 1, sums: (0, 0) };
        sums.add(&wal[..24]);
        sums
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> Vec<u8> {
        let word = |at| if self.is_big_endian { number(bytes, at) } else { number(bytes, at).swap_bytes() };
        for at in (0..bytes.len()).step_by(8) {
            self.sums.0 = self.sums.0.wrapping_add(word(at)).wrapping_add(self.sums.1);
            self.sums.1 = self.sums.1.wrapping_add(word(at + 4)).wrapping_add(self.sums.0);
        }
        [self.sums.0.to_be_bytes(), self.sums.1.to_be_bytes()].concat()
    }

    pub(crate) fn add_frame(&mut self, frame: &[u8]) -> Vec<u8> {
        self.add(&frame[..8]);
        self.add(&frame[FRAME_HEADER_BYTES..])
    }
}

/// Some of one page, some of many.
pub(crate) fn commit(sequence: u64, payload_bytes: usize) -> Commit {
    let commit = support::commit(sequence, payload_bytes);
    if sequence.is_multiple_of(3) { commit } else { Commit { changes: Vec::new(), ..commit } }
}

pub(crate) const PAYLOADS_BYTES: [usize; 9] = [1, 3_000, 20_000, 1, 9_000, 1, 500, 4_000, 1];

/// A log of so many commits, in pages of a size.
pub(crate) fn image(page_bytes: usize, count: usize) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    connection.execute_batch(&format!("PRAGMA page_size = {page_bytes}; PRAGMA journal_mode = WAL; VACUUM")).unwrap();
    drop(connection);
    drop(SqliteJournal::open(folder.path()).unwrap());
    let journal = SqliteJournal::open(folder.path()).unwrap();
    for (sequence, bytes) in (1..).zip(PAYLOADS_BYTES.into_iter().take(count)) {
        journal.commit(&commit(sequence, bytes)).unwrap();
    }
    let image = Image::of(folder.path(), count as u64);
    assert_eq!((image.commits().len(), image.frame_bytes()), (count, FRAME_HEADER_BYTES + page_bytes));
    image
}

/// A journal whose log holds so many commits of one frame.
pub(crate) fn of_single_frames(count: u64) -> (TempDir, SqliteJournal) {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteJournal::open(folder.path()).unwrap());
    let journal = SqliteJournal::open(folder.path()).unwrap();
    for sequence in 1..=count {
        journal.commit(&Commit { changes: Vec::new(), ..commit(sequence, 1) }).unwrap();
    }
    (folder, journal)
}

/// The same log as a machine of the other byte order writes it.
pub(crate) fn big_endian(image: &Image) -> Image {
    let mut image = image.clone();
    let frame_bytes = image.frame_bytes();
    image.wal[3] ^= 1;
    let mut sums = Sums::of(&image.wal);
    image.wal[24..32].copy_from_slice(&sums.add(&[]));
    for frame in image.wal[HEADER_BYTES..].chunks_exact_mut(frame_bytes) {
        let sums = sums.add_frame(frame);
        frame[16..24].copy_from_slice(&sums);
    }
    image
}

/// What happens to a journal before its last commit.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Commit {
        payload_bytes: usize,
    },
    /// The log begins anew at its front, and what lies there is written over bit by bit.
    Restart,
    /// A transaction that is given up when some of its frames are written.
    Fail {
        payload_bytes: u32,
    },
    /// A commit that is never synced, since the disk is full when its last frame is half written.
    Full {
        payload_bytes: usize,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let payload_bytes = || prop_oneof![Just(1_usize), 1_usize..40_000];
    prop_oneof![
        6 => payload_bytes().prop_map(|payload_bytes| Step::Commit { payload_bytes }),
        1 => Just(Step::Restart),
        1 => (20_000_u32..200_000).prop_map(|payload_bytes| Step::Fail { payload_bytes }),
        1 => payload_bytes().prop_map(|payload_bytes| Step::Full { payload_bytes }),
    ]
}

/// A journal after some steps: before and after its last commit.
pub(crate) fn history(steps: &[Step], payload_bytes: usize) -> (Image, Image) {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteJournal::open(folder.path()).unwrap());
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 1; PRAGMA cache_spill = 1").unwrap();
    let mut sequence = 0;
    for step in steps.iter().chain([&Step::Commit { payload_bytes: 1 }]) {
        match step {
            Step::Commit { payload_bytes } => {
                sequence += 1;
                journal.commit(&commit(sequence, *payload_bytes)).unwrap();
            }
            Step::Restart => {
                let sql = "PRAGMA wal_checkpoint(RESTART)";
                assert_eq!(other.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
            }
            Step::Fail { payload_bytes } => {
                other.execute_batch("BEGIN").unwrap();
                for _ in 0..3 {
                    let sql = "INSERT INTO journal_state VALUES ('setting', hex(randomblob(8)), randomblob(?1))";
                    other.execute(sql, [payload_bytes]).unwrap();
                }
                other.execute_batch("ROLLBACK").unwrap();
            }
            Step::Full { payload_bytes } => fail_half_way(folder.path(), &commit(sequence + 1, *payload_bytes)),
        }
    }
    let before = Image::of(folder.path(), sequence);
    journal.commit(&commit(sequence + 1, payload_bytes)).unwrap();
    (before, Image::of(folder.path(), sequence + 1))
}

/// Puts into a log what a commit leaves that finds no room for the second half of its last frame.
pub(crate) fn fail_half_way(folder: &Path, commit: &Commit) {
    let mut wal = fs::read(folder.join(WAL)).unwrap();
    if wal.is_empty() {
        return;
    }
    // Another process on a copy writes what this one would.
    let scratch = Image::of(folder, 0).put();
    let journal = Connection::open(scratch.path().join(FILE)).unwrap();
    let sql = "INSERT INTO journal_row VALUES (?1, 1, 1, 1, ?2)";
    journal.execute(sql, (commit.position.cast_signed(), &commit.payload)).unwrap();
    let after = Image::of(scratch.path(), 0);
    let end = (0..after.wal.len()).rfind(|at| wal.get(*at) != Some(&after.wal[*at])).unwrap();
    let half = end - after.frame_bytes() / 2;
    wal.resize(wal.len().max(half), 0);
    wal[..half].copy_from_slice(&after.wal[..half]);
    fs::write(folder.join(WAL), wal).unwrap();
}

/// What power loss leaves of the last commit: the sectors that `is_written` tells, of a file that may have
/// grown already. The header, if a round begins with it, was synced before.
pub(crate) fn crash(before: &Image, after: &Image, mut is_written: impl FnMut() -> bool) -> Image {
    let mut wal = before.wal.clone();
    wal.resize(wal.len().max(HEADER_BYTES), 0);
    wal[..HEADER_BYTES].copy_from_slice(&after.wal[..HEADER_BYTES]);
    if is_written() {
        wal.resize(wal.len().max(after.wal.len()), 0);
    }
    for (at, sector) in (0..).step_by(SECTOR_BYTES).zip(after.wal.chunks(SECTOR_BYTES)) {
        if is_written() && wal.len() >= at + sector.len() {
            wal[at..at + sector.len()].copy_from_slice(sector);
        }
    }
    Image { wal, ..after.clone() }
}

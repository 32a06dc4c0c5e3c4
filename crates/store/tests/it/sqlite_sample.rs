//! Journals of each schema version, as they are on the disks of those who use them. The present
//! version's is rewritten like the sample of a row; earlier ones were written by earlier releases.

use annals_store::{Change, Commit, Journal, ReadOnlyJournal, Row, SqliteJournal, StateKind};
use tempfile::TempDir;

use crate::row_sample::{STORED, is_update, sample_path};

const FILE_1: &str = "journal-v1/journal.sqlite";
const FILE_2: &str = "journal-v2/journal.sqlite";

/// Row 1 is the stored row, as another release of the compressor may make other bytes.
fn rows() -> Vec<Row> {
    let row = |sequence, position, event_count, payload: Vec<u8>| Row {
        sequence,
        position,
        event_count,
        time_recorded_us: 1_700_000_000_000_000 + sequence,
        payload,
    };
    vec![
        row(1, 0, 3, STORED.clone()),
        row(2, 3, 0, Vec::new()),
        row(3, 3, 10_000, (0..6_000_u32).map(|number| (number % 251) as u8).collect()),
    ]
}

fn state(kind: StateKind) -> Vec<(String, Vec<u8>)> {
    let value = |text: &str| text.as_bytes().to_vec();
    match kind {
        StateKind::Organization => {
            vec![("acme".to_owned(), value("{\"plan\":\"free\"}")), ("bücher".to_owned(), value("{}"))]
        }
        StateKind::Key => vec![("key_1".to_owned(), (0..=255).collect())],
        StateKind::Action => vec![("flag.update".to_owned(), value("1"))],
        StateKind::Setting => vec![("retention_days".to_owned(), Vec::new())],
        // Version 2 alone.
        StateKind::Segment => vec![("00000001".to_owned(), value("{}"))],
        StateKind::Head => vec![("acme".to_owned(), vec![7; 32])],
    }
}

/// Of version 2: row 1 is trimmed.
fn write_sample() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let mut changes: Vec<_> = StateKind::ALL
        .into_iter()
        .flat_map(|kind| state(kind).into_iter().map(move |(key, value)| (kind, key, value)))
        .map(|(kind, key, value)| Change::Put { kind, key, value })
        .collect();
    for row in rows() {
        let commit = Commit {
            sequence: row.sequence,
            position: row.position,
            event_count: row.event_count,
            time_recorded_us: row.time_recorded_us,
            payload: row.payload,
            changes: std::mem::take(&mut changes),
            trim: (row.sequence == 3).then_some(1),
        };
        journal.commit(&commit).unwrap();
    }
    // Which leaves nothing in the WAL.
    drop(journal);
    let path = sample_path(FILE_2);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::copy(folder.path().join("journal.sqlite"), path).unwrap();
}

fn copied(file: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(sample_path(file), folder.path().join("journal.sqlite")).unwrap();
    folder
}

#[track_caller]
fn check_holds(journal: &dyn Journal, floor: usize, kinds: &[StateKind]) {
    assert_eq!(journal.last().unwrap(), 3);
    assert_eq!(journal.floor().unwrap(), floor as u64);
    assert_eq!(journal.rows(0, usize::MAX).unwrap(), rows()[floor..]);
    for kind in StateKind::ALL {
        let expect = if kinds.contains(&kind) { state(kind) } else { Vec::new() };
        assert_eq!(journal.state(kind).unwrap(), expect, "{kind:?}");
    }
}

#[track_caller]
fn check(file: &str, floor: usize, kinds: &[StateKind]) {
    let folder = copied(file);
    check_holds(&ReadOnlyJournal::open(folder.path()).unwrap(), floor, kinds);
    // Again, as what was migrated before a crash is found by the next start.
    for _ in 0..2 {
        check_holds(&SqliteJournal::open(folder.path()).unwrap(), floor, kinds);
    }
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let next = Commit {
        sequence: 4,
        position: 10_003,
        event_count: 1,
        time_recorded_us: 1_700_000_000_000_004,
        payload: b"next".to_vec(),
        changes: Vec::new(),
        trim: Some(2),
    };
    journal.commit(&next).unwrap();
    assert_eq!((journal.last().unwrap(), journal.floor().unwrap()), (4, 2));
    assert_eq!(journal.rows(0, usize::MAX).unwrap().len(), 2);
}

#[test]
fn a_journal_of_schema_version_1_is_read_as_ever_and_can_be_trimmed() {
    check(FILE_1, 0, &StateKind::ALL[..4]);
}

#[test]
fn a_journal_of_schema_version_2_is_read_as_ever() {
    if is_update() {
        write_sample();
    }
    check(FILE_2, 1, &StateKind::ALL);
}

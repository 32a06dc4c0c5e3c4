//! A journal of schema version 1, as it is on the disks of those who use it; rewritten like the
//! sample of a row.

use annals_store::{Change, Commit, Journal, Row, SqliteJournal, StateKind};

use crate::row_sample::{STORED, is_update, sample_path};

const FILE: &str = "journal-v1/journal.sqlite";

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
    }
}

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
        };
        journal.commit(&commit).unwrap();
    }
    // Which leaves nothing in the WAL.
    drop(journal);
    let path = sample_path(FILE);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::copy(folder.path().join("journal.sqlite"), path).unwrap();
}

#[test]
fn a_journal_of_schema_version_1_is_read_as_ever() {
    if is_update() {
        write_sample();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(sample_path(FILE), folder.path().join("journal.sqlite")).unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.last().unwrap(), 3);
    assert_eq!(journal.rows(0, usize::MAX).unwrap(), rows());
    for kind in StateKind::ALL {
        assert_eq!(journal.state(kind).unwrap(), state(kind), "{kind:?}");
    }
    let next = Commit {
        sequence: 4,
        position: 10_003,
        event_count: 1,
        time_recorded_us: 1_700_000_000_000_004,
        payload: b"next".to_vec(),
        changes: Vec::new(),
    };
    journal.commit(&next).unwrap();
    assert_eq!(journal.last().unwrap(), 4);
}

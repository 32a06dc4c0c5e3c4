//! Journals with commits in them.

use std::path::Path;

use annals_store::{Change, Commit, Journal, SqliteJournal, StateKind};

/// A commit of one event, that also says in a setting which it is.
pub(crate) fn commit(sequence: u64, payload_bytes: usize) -> Commit {
    Commit {
        sequence,
        position: sequence,
        event_count: 1,
        time_recorded_us: sequence,
        payload: vec![sequence as u8; payload_bytes],
        changes: vec![Change::Put {
            kind: StateKind::Setting,
            key: "last".to_owned(),
            value: sequence.to_string().into_bytes(),
        }],
        trim: None,
    }
}

/// A journal in a folder, with so many commits.
pub(crate) fn filled(folder: &Path, last: u64, commit: fn(u64) -> Commit) -> SqliteJournal {
    let journal = SqliteJournal::open(folder).unwrap();
    for sequence in 1..=last {
        journal.commit(&commit(sequence)).unwrap();
    }
    journal
}

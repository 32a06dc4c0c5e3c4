//! The rules of every journal, run by each; and both against each other.

use std::path::Path;

use annals_store::conformance::{Place, RULES};
use annals_store::{Change, Commit, Journal, JournalError, MemoryJournal, SqliteJournal, StateKind};
use proptest::prelude::*;
use tempfile::TempDir;

struct Memory(MemoryJournal);

impl Place for Memory {
    fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        Ok(Box::new(self.0.reopen()))
    }
}

struct Folder(TempDir);

impl Place for Folder {
    fn open(&self) -> Result<Box<dyn Journal>, JournalError> {
        open_sqlite(self.0.path())
    }
}

fn open_sqlite(folder: &Path) -> Result<Box<dyn Journal>, JournalError> {
    Ok(Box::new(SqliteJournal::open(folder)?))
}

fn check(make: impl Fn() -> Box<dyn Place>) {
    for (name, rule) in RULES {
        println!("{name}");
        rule(&*make());
    }
}

#[test]
fn the_journal_in_memory_keeps_every_rule() {
    check(|| Box::new(Memory(MemoryJournal::new())));
}

#[test]
fn the_sqlite_journal_keeps_every_rule() {
    check(|| Box::new(Folder(tempfile::tempdir().unwrap())));
}

#[derive(Debug, Clone)]
enum Step {
    Commit { sequence_offset: u64, payload: Vec<u8>, changes: Vec<Change>, trim: Option<u64> },
    Reopen,
    Recover,
}

fn change() -> impl Strategy<Value = Change> {
    let kind = prop::sample::select(StateKind::ALL.as_slice());
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    (kind, "[ab\0é]{0,2}", value).prop_map(|(kind, key, value)| match value {
        Some(value) => Change::Put { kind, key, value },
        None => Change::Delete { kind, key },
    })
}

fn step() -> impl Strategy<Value = Step> {
    let commit = (
        prop_oneof![9 => Just(1_u64), 1 => 0_u64..4],
        prop::collection::vec(any::<u8>(), 0..6_000),
        prop::collection::vec(change(), 0..4),
        prop_oneof![3 => Just(None), 1 => (0_u64..12).prop_map(Some)],
    );
    prop_oneof![
        8 => commit.prop_map(|(sequence_offset, payload, changes, trim)| {
            Step::Commit { sequence_offset, payload, changes, trim }
        }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Recover),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn both_journals_answer_alike(
        steps in prop::collection::vec(step(), 1..30),
        bytes_max in 0_usize..20_000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let memory = MemoryJournal::new();
        let mut sqlite = open_sqlite(folder.path()).unwrap();
        for step in steps {
            match step {
                Step::Commit { sequence_offset, payload, changes, trim } => {
                    let sequence = memory.last().unwrap() + sequence_offset;
                    let commit = Commit {
                        sequence,
                        position: sequence * 3,
                        event_count: 3,
                        time_recorded_us: sequence,
                        payload,
                        changes,
                        trim,
                    };
                    let (expect, found) = (memory.commit(&commit), sqlite.commit(&commit));
                    prop_assert_eq!(format!("{expect:?}"), format!("{found:?}"));
                }
                Step::Reopen => {
                    drop(sqlite);
                    sqlite = open_sqlite(folder.path()).unwrap();
                }
                Step::Recover => sqlite.recover().unwrap(),
            }
            prop_assert_eq!(sqlite.last().unwrap(), memory.last().unwrap());
            prop_assert_eq!(sqlite.floor().unwrap(), memory.floor().unwrap());
        }
        for after in 0..=memory.last().unwrap() {
            let expect = memory.rows(after, bytes_max).unwrap();
            prop_assert_eq!(sqlite.rows(after, bytes_max).unwrap(), expect);
        }
        for kind in StateKind::ALL {
            prop_assert_eq!(sqlite.state(kind).unwrap(), memory.state(kind).unwrap());
        }
    }
}

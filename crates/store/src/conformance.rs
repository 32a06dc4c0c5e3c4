//! What every journal must do, as rules that each journal's tests run; and every store of [`blob`]s.
//!
//! **Invariant:** a rule uses the contract alone, so that it holds for journals not yet written; a
//! change of the contract is made here first.
//! **Invariant:** each rule begins with an empty place of its own, and waits for nothing but threads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests: a broken rule ends in a panic that names it"
)]

pub mod blob;
mod trim;

use std::thread;

use trim::{
    a_new_journal_is_trimmed_nowhere, a_trim_below_an_earlier_one_changes_nothing,
    a_trim_is_one_with_its_row_and_state, a_trim_that_reaches_its_own_commit_is_refused,
    a_trimmed_row_is_never_shown_again, readers_see_no_gap_while_rows_are_trimmed, the_last_sequence_outlives_a_trim,
};

use crate::journal::{
    Change, Commit, Journal, JournalError, PAYLOAD_BYTES_MAX, Reason, Row, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX,
    StateKind,
};

/// Where one journal's content is kept.
pub trait Place: Sync {
    /// A new handle on the content, as a starting process gets it; others may be in use.
    ///
    /// # Errors
    /// Those of the journal's opening.
    fn open(&self) -> Result<Box<dyn Journal>, JournalError>;
}

/// One rule: it panics where the journal in that place breaks it.
pub type Rule = fn(&dyn Place);

macro_rules! rules {
    ($($rule:ident),* $(,)?) => { &[$((stringify!($rule), $rule as Rule)),*] };
}

/// All rules, with their names.
pub const RULES: &[(&str, Rule)] = rules![
    empty_journal_has_no_rows,
    sequence_must_be_dense,
    a_refused_commit_leaves_neither_row_nor_state,
    second_writer_conflicts,
    of_two_writers_that_race_one_wins,
    a_row_is_read_as_it_was_written,
    rows_come_in_order_and_bounded,
    large_payloads_are_kept,
    numbers_up_to_63_bits_are_kept_and_beyond_refused,
    what_is_beyond_a_limit_is_refused,
    state_and_row_are_one,
    state_is_ordered_by_the_bytes_of_its_keys,
    kinds_of_state_are_apart,
    changes_apply_in_their_order,
    delete_of_absent_key_is_no_error,
    an_acknowledged_commit_is_seen_by_the_very_next_read,
    readers_never_see_a_part_of_a_commit,
    a_reopened_journal_shows_all_that_was_acknowledged,
    recovering_a_healthy_journal_changes_nothing,
    asking_for_room_changes_nothing,
    a_commit_that_there_is_room_for_is_taken,
    a_new_journal_is_trimmed_nowhere,
    a_trimmed_row_is_never_shown_again,
    the_last_sequence_outlives_a_trim,
    a_trim_is_one_with_its_row_and_state,
    a_trim_below_an_earlier_one_changes_nothing,
    a_trim_that_reaches_its_own_commit_is_refused,
    readers_see_no_gap_while_rows_are_trimmed,
];

/// Runs every rule, each in a place that `make` makes, which must be empty.
///
/// # Panics
/// At the first rule that is broken.
pub fn run(make: impl Fn() -> Box<dyn Place>) {
    for (_, rule) in RULES {
        rule(&*make());
    }
}

fn empty_journal_has_no_rows(place: &dyn Place) {
    let journal = open(place);
    assert_eq!(journal.last().unwrap(), 0);
    assert_eq!(rows_after(&*journal, 0), []);
    for kind in StateKind::ALL {
        assert_eq!(journal.state(kind).unwrap(), []);
    }
}

fn sequence_must_be_dense(place: &dyn Place) {
    let journal = open(place);
    for wrong in [0, 2, u64::from(u32::MAX)] {
        check_conflict(&*journal, &commit(wrong, "x"), 0);
    }
    journal.commit(&commit(1, "a")).unwrap();
    for wrong in [0, 1, 3] {
        check_conflict(&*journal, &commit(wrong, "x"), 1);
    }
    journal.commit(&commit(2, "b")).unwrap();
    assert_eq!(payloads(&rows_after(&*journal, 0)), ["a", "b"]);
}

fn a_refused_commit_leaves_neither_row_nor_state(place: &dyn Place) {
    let journal = open(place);
    journal.commit(&with_changes(commit(1, "a"), [put("kept", "old")])).unwrap();
    let changes = [put("kept", "new"), put("other", "new")];
    check_conflict(&*journal, &with_changes(commit(3, "x"), changes.clone()), 1);
    check_conflict(&*journal, &with_changes(commit(1, "x"), changes), 1);
    assert_eq!(settings(&*journal), [entry("kept", "old")]);
    assert_eq!(payloads(&rows_after(&*journal, 0)), ["a"]);
}

fn second_writer_conflicts(place: &dyn Place) {
    let (first, second) = (open(place), open(place));
    first.commit(&commit(1, "first")).unwrap();
    check_conflict(&*second, &with_changes(commit(1, "second"), [put("who", "second")]), 1);
    assert_eq!(second.last().unwrap(), 1);
    second.commit(&commit(2, "second")).unwrap();
    check_conflict(&*first, &commit(2, "first"), 2);
    assert_eq!(payloads(&rows_after(&*first, 0)), ["first", "second"]);
    assert_eq!(settings(&*first), []);
}

fn of_two_writers_that_race_one_wins(place: &dyn Place) {
    const ROUNDS: u64 = 20;
    let writers = [open(place), open(place)];
    for sequence in 1..=ROUNDS {
        let won = thread::scope(|scope| {
            let racers = writers.each_ref().map(|journal| scope.spawn(move || journal.commit(&commit(sequence, "x"))));
            racers.map(|racer| match racer.join().unwrap() {
                Ok(()) => true,
                Err(JournalError::Conflict { refused, last }) => {
                    assert_eq!((refused, last), (sequence, sequence));
                    false
                }
                Err(error) => panic!("neither won nor lost: {error:?}"),
            })
        });
        assert_ne!(won[0], won[1], "exactly one writes sequence {sequence}");
    }
    assert_eq!(writers[0].last().unwrap(), ROUNDS);
}

fn a_row_is_read_as_it_was_written(place: &dyn Place) {
    let journal = open(place);
    let payload = vec![0, 1, 0x7f, 0x80, 0xff, 0];
    let rows = [
        Row { sequence: 1, position: 0, event_count: 3, time_recorded_us: 17, payload },
        Row { sequence: 2, position: 3, event_count: 0, time_recorded_us: 17, payload: Vec::new() },
        Row {
            sequence: 3,
            position: 3,
            event_count: u32::MAX,
            time_recorded_us: 1_700_000_000_000_000,
            payload: b"{}".to_vec(),
        },
    ];
    for row in &rows {
        journal.commit(&commit_of(row.clone())).unwrap();
    }
    assert_eq!(rows_after(&*journal, 0), rows);
}

fn rows_come_in_order_and_bounded(place: &dyn Place) {
    let journal = open(place);
    for (sequence, payload) in (1..).zip(["four", "four", "12 chars now", "", "four"]) {
        journal.commit(&commit(sequence, payload)).unwrap();
    }
    let check = |after, bytes_max, expect: &[u64]| {
        let rows = journal.rows(after, bytes_max).unwrap();
        let found: Vec<_> = rows.iter().map(|row| row.sequence).collect();
        assert_eq!(found, expect, "after {after}, at most {bytes_max} bytes");
    };
    check(0, usize::MAX, &[1, 2, 3, 4, 5]);
    check(2, usize::MAX, &[3, 4, 5]);
    check(0, 8, &[1, 2]);
    check(0, 7, &[1]);
    check(0, 19, &[1, 2]);
    check(0, 20, &[1, 2, 3, 4]);
    // At least one, or nobody would ever get past it.
    check(2, 0, &[3]);
    check(2, 12, &[3, 4]);
    check(3, 0, &[4]);
    check(5, usize::MAX, &[]);
    check(6, usize::MAX, &[]);
    check(u64::MAX, usize::MAX, &[]);
}

fn large_payloads_are_kept(place: &dyn Place) {
    const BYTES: usize = 9 * 1024 * 1024 + 1;
    let journal = open(place);
    // Not compressible, and different in every block.
    let mut number = 1_u64;
    let payload: Vec<u8> = std::iter::repeat_with(|| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        number.to_be_bytes()[0]
    })
    .take(BYTES)
    .collect();
    let large = Commit { payload, ..commit(1, "") };
    journal.commit(&large).unwrap();
    journal.commit(&commit(2, "small")).unwrap();
    drop(journal);
    let rows = rows_after(&*open(place), 0);
    assert_eq!(rows.len(), 2);
    assert!(rows[0].payload == large.payload, "the large payload has changed");
}

fn numbers_up_to_63_bits_are_kept_and_beyond_refused(place: &dyn Place) {
    const LARGEST: u64 = i64::MAX.unsigned_abs();
    let journal = open(place);
    let position = Commit { position: LARGEST, event_count: 1, ..commit(1, "x") };
    check_too_large(&*journal, &position);
    check_too_large(&*journal, &Commit { time_recorded_us: LARGEST + 1, ..commit(1, "x") });
    check_too_large(&*journal, &Commit { position: u64::MAX, ..commit(1, "x") });
    let fits = Commit { position: LARGEST - 1, event_count: 1, time_recorded_us: LARGEST, ..commit(1, "x") };
    journal.commit(&fits).unwrap();
    let rows = rows_after(&*journal, 0);
    assert_eq!((rows[0].position, rows[0].time_recorded_us), (LARGEST - 1, LARGEST));
}

fn what_is_beyond_a_limit_is_refused(place: &dyn Place) {
    let journal = open(place);
    let put = |key: String, value| Change::Put { kind: StateKind::Setting, key, value };
    let long_key = "k".repeat(STATE_KEY_BYTES_MAX + 1);
    let long_value = vec![0; STATE_VALUE_BYTES_MAX + 1];
    check_too_large(&*journal, &Commit { payload: vec![0; PAYLOAD_BYTES_MAX + 1], ..commit(1, "") });
    check_too_large(&*journal, &with_changes(commit(1, "x"), [put(long_key.clone(), vec![])]));
    check_too_large(&*journal, &with_changes(commit(1, "x"), [put(String::new(), long_value)]));
    let delete = Change::Delete { kind: StateKind::Setting, key: long_key };
    check_too_large(&*journal, &with_changes(commit(1, "x"), [delete]));
    assert_eq!(journal.last().unwrap(), 0);

    let longest = put("k".repeat(STATE_KEY_BYTES_MAX), vec![7; STATE_VALUE_BYTES_MAX]);
    journal.commit(&with_changes(commit(1, "x"), [longest])).unwrap();
    let (key, value) = settings(&*journal).remove(0);
    assert_eq!((key.len(), value.len()), (STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX));
}

fn state_and_row_are_one(place: &dyn Place) {
    let journal = open(place);
    journal.commit(&with_changes(commit(1, "a"), [put("one", "1"), put("two", "2")])).unwrap();
    let changes = [put("two", "II"), delete("one"), put("empty", "")];
    journal.commit(&with_changes(commit(2, "b"), changes)).unwrap();
    for journal in [journal, open(place)] {
        assert_eq!(payloads(&rows_after(&*journal, 0)), ["a", "b"]);
        assert_eq!(settings(&*journal), [entry("empty", ""), entry("two", "II")]);
    }
}

fn state_is_ordered_by_the_bytes_of_its_keys(place: &dyn Place) {
    let ordered = ["", "\0", "\0a", "A", "a", "a\0", "a\0b", "aa", "b", "é", "日本", "\u{10ffff}"];
    let journal = open(place);
    let changes: Vec<_> = ordered.iter().rev().map(|key| put(key, "x")).collect();
    journal.commit(&with_changes(commit(1, "x"), changes)).unwrap();
    let found: Vec<_> = settings(&*journal).into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, ordered);
}

fn kinds_of_state_are_apart(place: &dyn Place) {
    let journal = open(place);
    let value = |kind: StateKind| kind.name().as_bytes().to_vec();
    let changes = StateKind::ALL.map(|kind| Change::Put { kind, key: "same".to_owned(), value: value(kind) });
    journal.commit(&with_changes(commit(1, "x"), changes)).unwrap();
    for kind in StateKind::ALL {
        assert_eq!(journal.state(kind).unwrap(), [("same".to_owned(), value(kind))]);
    }
    journal.commit(&with_changes(commit(2, "x"), [delete("same")])).unwrap();
    for kind in StateKind::ALL {
        let left = usize::from(kind != StateKind::Setting);
        assert_eq!(journal.state(kind).unwrap().len(), left, "{kind:?}");
    }
}

fn changes_apply_in_their_order(place: &dyn Place) {
    let journal = open(place);
    let changes =
        [put("last", "1"), put("last", "2"), put("gone", "1"), delete("gone"), delete("back"), put("back", "1")];
    journal.commit(&with_changes(commit(1, "x"), changes)).unwrap();
    assert_eq!(settings(&*journal), [entry("back", "1"), entry("last", "2")]);
}

fn delete_of_absent_key_is_no_error(place: &dyn Place) {
    let journal = open(place);
    journal.commit(&with_changes(commit(1, "x"), [delete("never there")])).unwrap();
    assert_eq!(journal.last().unwrap(), 1);
    assert_eq!(settings(&*journal), []);
}

fn an_acknowledged_commit_is_seen_by_the_very_next_read(place: &dyn Place) {
    let (journal, other) = (open(place), open(place));
    for sequence in 1..=20 {
        let text = sequence.to_string();
        journal.commit(&with_changes(commit(sequence, &text), [put("last", &text)])).unwrap();
        for journal in [&journal, &other] {
            assert_eq!(journal.last().unwrap(), sequence);
            assert_eq!(payloads(&rows_after(&**journal, sequence - 1)), [&*text]);
            assert_eq!(settings(&**journal), [entry("last", &text)]);
        }
    }
}

fn readers_never_see_a_part_of_a_commit(place: &dyn Place) {
    const LAST: u64 = 60;
    let journal = open(place);
    thread::scope(|scope| {
        scope.spawn(|| {
            for sequence in 1..=LAST {
                let text = sequence.to_string();
                let commit = with_changes(commit(sequence, &text), [put("last", &text)]);
                journal.commit(&commit).unwrap();
            }
        });
        let state =
            || settings(&*journal).first().map_or(0, |(_, value)| String::from_utf8_lossy(value).parse().unwrap());
        let mut seen = 0_u64;
        while seen < LAST {
            // The state was read before the rows, and so cannot be ahead of them; then after.
            let earlier = state();
            let rows = rows_after(&*journal, 0);
            let later: u64 = state();
            let last = rows.last().map_or(0, |row| row.sequence);
            assert!(earlier <= last && last <= later, "state {earlier}, rows {last}, state {later}");
            assert!(rows.iter().map(|row| row.sequence).eq(1..=last), "a gap below {last}");
            assert!(last >= seen, "row {seen} was there and has gone");
            seen = last;
        }
    });
}

fn a_reopened_journal_shows_all_that_was_acknowledged(place: &dyn Place) {
    let mut expect = Vec::new();
    for sequence in 1..=12 {
        let journal = open(place);
        assert_eq!(journal.last().unwrap(), sequence - 1);
        let text = sequence.to_string();
        let changes = [put(&text, &text), delete(&(sequence - 1).to_string())];
        journal.commit(&with_changes(commit(sequence, &text), changes)).unwrap();
        expect.push(text.clone());
        drop(journal);
        let journal = open(place);
        assert_eq!(payloads(&rows_after(&*journal, 0)), expect);
        assert_eq!(settings(&*journal), [entry(&text, &text)]);
    }
}

fn recovering_a_healthy_journal_changes_nothing(place: &dyn Place) {
    let journal = open(place);
    journal.recover().unwrap();
    assert_eq!(journal.last().unwrap(), 0);
    journal.commit(&with_changes(commit(1, "a"), [put("one", "1")])).unwrap();
    journal.recover().unwrap();
    assert_eq!(payloads(&rows_after(&*journal, 0)), ["a"]);
    assert_eq!(settings(&*journal), [entry("one", "1")]);
    journal.commit(&commit(2, "b")).unwrap();
    assert_eq!(payloads(&rows_after(&*journal, 0)), ["a", "b"]);
}

fn asking_for_room_changes_nothing(place: &dyn Place) {
    let (journal, other) = (open(place), open(place));
    let ask = || [0, 1, 1_000_000, 0].into_iter().for_each(|bytes| journal.require_room(bytes).unwrap());
    ask();
    assert_eq!(journal.last().unwrap(), 0);
    journal.commit(&with_changes(commit(1, "a"), [put("one", "1")])).unwrap();
    ask();
    for journal in [&journal, &other, &open(place)] {
        assert_eq!(payloads(&rows_after(&**journal, 0)), ["a"]);
        assert_eq!(settings(&**journal), [entry("one", "1")]);
    }
    other.commit(&commit(2, "b")).unwrap();
    ask();
    assert_eq!(payloads(&rows_after(&*journal, 0)), ["a", "b"]);
}

fn a_commit_that_there_is_room_for_is_taken(place: &dyn Place) {
    let journal = open(place);
    for (sequence, bytes) in (1..).zip([0, 1, 5_000, 300_000, 3_000_000]) {
        let commit = with_changes(Commit { payload: vec![7; bytes], ..commit(sequence, "") }, [put("last", "x")]);
        assert!(commit.bytes_max() >= bytes as u64);
        journal.require_room(commit.bytes_max()).unwrap();
        journal.commit(&commit).unwrap();
    }
}

fn open(place: &dyn Place) -> Box<dyn Journal> {
    place.open().unwrap()
}

fn commit(sequence: u64, payload: &str) -> Commit {
    Commit {
        sequence,
        position: sequence * 10,
        event_count: 10,
        time_recorded_us: 1_700_000_000_000_000,
        payload: payload.as_bytes().to_vec(),
        changes: Vec::new(),
        trim: None,
    }
}

fn commit_of(row: Row) -> Commit {
    Commit {
        sequence: row.sequence,
        position: row.position,
        event_count: row.event_count,
        time_recorded_us: row.time_recorded_us,
        payload: row.payload,
        changes: Vec::new(),
        trim: None,
    }
}

fn with_changes(commit: Commit, changes: impl Into<Vec<Change>>) -> Commit {
    Commit { changes: changes.into(), ..commit }
}

fn put(key: &str, value: &str) -> Change {
    let (key, value) = entry(key, value);
    Change::Put { kind: StateKind::Setting, key, value }
}

fn delete(key: &str) -> Change {
    Change::Delete { kind: StateKind::Setting, key: key.to_owned() }
}

fn entry(key: &str, value: &str) -> (String, Vec<u8>) {
    (key.to_owned(), value.as_bytes().to_vec())
}

fn settings(journal: &dyn Journal) -> Vec<(String, Vec<u8>)> {
    journal.state(StateKind::Setting).unwrap()
}

fn rows_after(journal: &dyn Journal, after_sequence: u64) -> Vec<Row> {
    journal.rows(after_sequence, usize::MAX).unwrap()
}

fn payloads(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| std::str::from_utf8(&row.payload).unwrap()).collect()
}

fn check_conflict(journal: &dyn Journal, commit: &Commit, expect_last: u64) {
    match journal.commit(commit) {
        Err(JournalError::Conflict { refused, last }) => {
            assert_eq!((refused, last), (commit.sequence, expect_last));
        }
        other => panic!("no conflict for sequence {}: {other:?}", commit.sequence),
    }
}

fn check_too_large(journal: &dyn Journal, commit: &Commit) {
    match journal.commit(commit) {
        Err(JournalError::Unavailable { reason: Reason::TooLarge { .. }, .. }) => {}
        other => panic!("not refused as too large: {other:?}"),
    }
}

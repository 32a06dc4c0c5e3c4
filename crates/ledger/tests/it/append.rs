//! What an append promises.

use annals_ledger::Masking;
use annals_model::{Content, Fault, FaultKind, Filter, NewEvent, Order, Request, Target, Value, limits};

use super::{SEAL_EVENTS, ledger};
use crate::support::{Hands, all, append, append_json, create, event, ids, of, open_over, page, query};

fn total(ledger: &annals_ledger::Ledger, organization: &str) -> u64 {
    page(ledger, &query(of(organization), Filter::default(), Order::newest(), 0)).total.expect("asked for")
}

#[test]
fn an_acknowledged_event_is_in_the_very_next_read() {
    let (ledger, ..) = ledger();
    for at in 0..50 {
        let appended = append_json(&ledger, "acme", &[&format!(r#"{{"action":"a","id":"e{at}"}}"#)]).expect("appended");
        assert_eq!(appended[0].index, at);
        assert_eq!(total(&ledger, "acme"), at + 1);
        assert_eq!(ledger.event("acme", &format!("e{at}")).expect("there").index, at);
    }
    assert_eq!(total(&ledger, "globex"), 0);
}

#[test]
fn indexes_are_dense_in_each_log_and_positions_over_all() {
    let (ledger, ..) = ledger();
    for _ in 0..3 {
        append(
            &ledger,
            vec![
                event("acme", r#"{"action":"a"}"#),
                event("globex", r#"{"action":"b"}"#),
                event("acme", r#"{"action":"c"}"#),
            ],
        )
        .expect("appended");
    }
    let acme = all(&ledger, of("acme"), 4);
    assert_eq!(acme.iter().map(|event| event.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    let everything = all(&ledger, annals_model::Reach::All, 5);
    let positions: Vec<u64> = everything.iter().map(|event| event.position).collect();
    let own = all(&ledger, of("_system"), 5).len() as u64;
    assert_eq!(positions, (own..own + 9).collect::<Vec<_>>());
}

#[test]
fn the_same_id_with_the_same_content_is_stored_once_and_answered_alike() {
    let (ledger, ..) = ledger();
    let json = r#"{"action":"a","id":"x","actor":{"name":"Iku"},"request":{"headers":{"authorization":"Bearer abcdefghijkl"}}}"#;
    let first = append_json(&ledger, "acme", &[json]).expect("appended");
    let again = append_json(&ledger, "acme", &[r#"{"action":"b"}"#, json]).expect("appended");
    assert_eq!(
        (again[1].index, again[1].time_recorded, again[1].repeated),
        (first[0].index, first[0].time_recorded, true)
    );
    assert_eq!(total(&ledger, "acme"), 2);
    assert!(append_json(&ledger, "globex", &[json]).is_ok(), "ids are per log");
}

#[test]
fn the_same_id_with_other_content_is_a_conflict_and_stores_nothing_of_the_request() {
    let (ledger, ..) = ledger();
    append_json(&ledger, "acme", &[r#"{"action":"a","id":"x"}"#]).expect("appended");
    for other in [
        r#"{"action":"b","id":"x"}"#,
        r#"{"action":"a","id":"x","notes":""}"#,
        r#"{"action":"a","id":"x","time_occurred":"2023-01-01T00:00:00Z"}"#,
    ] {
        let fault = append_json(&ledger, "acme", &[r#"{"action":"new"}"#, other]).expect_err(other);
        assert_eq!(fault.kind, FaultKind::Conflict, "{other}");
        assert_eq!(fault.location.and_then(|location| location.event), Some(1));
    }
    assert_eq!(total(&ledger, "acme"), 1);
}

#[test]
fn repetitions_within_one_request_follow_the_same_rule() {
    let (ledger, ..) = ledger();
    let appended =
        append_json(&ledger, "acme", &[r#"{"action":"a","id":"x"}"#, r#"{"id":"x","action":"a"}"#]).expect("appended");
    assert_eq!((appended[0].index, appended[1].index), (0, 0));
    assert_eq!((appended[0].repeated, appended[1].repeated), (false, true));
    let fault = append_json(&ledger, "acme", &[r#"{"action":"a","id":"y"}"#, r#"{"action":"b","id":"y"}"#])
        .expect_err("conflict");
    assert_eq!(fault.kind, FaultKind::Conflict);
    assert_eq!(total(&ledger, "acme"), 1);
}

#[test]
fn an_id_prepared_twice_before_either_is_committed_is_stored_once() {
    let (ledger, ..) = ledger();
    let prepare = |action: &str| {
        ledger
            .prepare(vec![event("acme", &format!(r#"{{"action":"{action}","id":"x"}}"#))], Masking::Apply)
            .expect("prepared")
    };
    let (first, same, other) = (prepare("a"), prepare("a"), prepare("b"));
    assert!(!crate::support::wait(ledger.append(first)).expect("appended")[0].repeated);
    assert!(crate::support::wait(ledger.append(same)).expect("appended")[0].repeated);
    assert_eq!(crate::support::wait(ledger.append(other)).expect_err("conflict").kind, FaultKind::Conflict);
    assert_eq!(total(&ledger, "acme"), 1);
}

#[test]
fn concurrent_appends_of_the_same_ids_store_each_once() {
    let (ledger, ..) = ledger();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for at in 0..200 {
                    append_json(&ledger, "acme", &[&format!(r#"{{"action":"a","id":"{at}"}}"#)]).expect("appended");
                }
            });
        }
    });
    let mut stored = ids(&all(&ledger, of("acme"), 1_000));
    stored.sort();
    stored.dedup();
    assert_eq!((stored.len(), total(&ledger, "acme")), (200, 200));
}

#[test]
fn ids_are_known_after_they_were_frozen_and_merged() {
    let (ledger, ..) = ledger();
    let batch = |from: usize| {
        (from..from + 1_000).map(|at| event("acme", &format!(r#"{{"action":"a","id":"id-{at}"}}"#))).collect::<Vec<_>>()
    };
    for from in (0..12_000).step_by(1_000) {
        append(&ledger, batch(from)).expect("appended");
    }
    for from in (0..12_000).step_by(1_000) {
        assert!(
            append(&ledger, batch(from))
                .expect("appended")
                .iter()
                .enumerate()
                .all(|(at, appended)| appended.repeated && appended.index == (from + at) as u64)
        );
    }
    assert_eq!(total(&ledger, "acme"), 12_000);
}

fn refused(json: &str, kind: FaultKind, member: &str) {
    let (ledger, ..) = ledger();
    let fault: Fault =
        append_json(&ledger, "acme", &[r#"{"action":"fine"}"#, json]).expect_err(&json[..json.len().min(80)]);
    let location = fault.location.clone().unwrap_or_default();
    assert_eq!((fault.kind, location.event), (kind, Some(1)), "{fault}");
    assert_eq!(location.member.unwrap_or_default(), member);
    assert_eq!(total(&ledger, "acme"), 0);
}

#[test]
fn what_may_not_be_stored_is_refused_with_its_place_and_nothing_is_stored() {
    refused(r#"{"action":"annals.key.create"}"#, FaultKind::Invalid, "action");
    refused(r#"{"action":"a","time_occurred":"2023-11-15T22:13:20.000001Z"}"#, FaultKind::Limit, "time_occurred");
    refused(&format!(r#"{{"action":"a","data":"{}"}}"#, "x".repeat(limits::EVENT_BYTES_MAX)), FaultKind::TooLarge, "");
}

#[test]
fn a_time_24_hours_ahead_and_an_event_of_full_size_are_stored() {
    let (ledger, ..) = ledger();
    append_json(&ledger, "acme", &[r#"{"action":"a","time_occurred":"2023-11-15T22:13:20Z"}"#]).expect("appended");
    let around = r#"{"action":"a","data":"","id":"i"}"#.len();
    let json = format!(r#"{{"action":"a","data":"{}","id":"i"}}"#, "x".repeat(limits::EVENT_BYTES_MAX - around));
    append_json(&ledger, "acme", &[&json]).expect("appended");
    assert_eq!(ledger.event("acme", "i").expect("there").canonical.len(), limits::EVENT_BYTES_MAX);
}

#[test]
fn organizations_must_exist_and_batches_have_a_size() {
    let (ledger, ..) = ledger();
    for organization in ["nobody", "_system", ""] {
        let fault = append_json(&ledger, organization, &[r#"{"action":"a"}"#]).expect_err(organization);
        assert_eq!(fault.kind, FaultKind::NotFound);
    }
    let batch = |count: usize| (0..count).map(|_| event("acme", r#"{"action":"a"}"#)).collect::<Vec<_>>();
    assert_eq!(ledger.prepare(Vec::new(), Masking::Apply).map(|_| ()).expect_err("empty").kind, FaultKind::Invalid);
    assert_eq!(
        ledger.prepare(batch(limits::BATCH_EVENTS_MAX + 1), Masking::Apply).map(|_| ()).expect_err("large").kind,
        FaultKind::Limit
    );
    assert_eq!(append(&ledger, batch(limits::BATCH_EVENTS_MAX)).expect("appended").len(), limits::BATCH_EVENTS_MAX);
}

#[test]
fn secrets_of_the_request_are_masked_before_they_are_stored() {
    let (ledger, store) = ledger();
    append_json(&ledger, "acme", &[r#"{"action":"a","id":"x","request":{"headers":{"Cookie":"sesame-open-now"},"body":{"deep":[{"password":"hunter2hunter2"}]}}}"#]).expect("appended");
    let text = String::from_utf8(ledger.event("acme", "x").expect("there").canonical.to_vec()).expect("UTF-8");
    assert!(text.contains("se****ow") && text.contains("hu****r2"), "{text}");
    let rows = annals_store::Journal::rows(&*store.journal, 0, usize::MAX).expect("rows");
    for row in rows {
        let body = annals_store::row::decode(&row.payload).expect("a row");
        assert!(body.events.iter().all(|event| !String::from_utf8_lossy(&event.canonical).contains("sesame")));
    }
}

#[test]
fn an_event_that_another_reader_made_is_held_to_the_same_limits_and_so_can_be_read_back() {
    let (ledger, store) = ledger();
    let nested = |levels: usize| {
        Value::parse(format!("{}0{}", "[".repeat(levels), "]".repeat(levels)).as_bytes()).expect("JSON")
    };
    let with = |content: Content| NewEvent {
        organization: Some("acme".into()),
        id: None,
        content: Content { action: "a".into(), ..content },
    };
    let deep = |levels| with(Content { vendor: Some(nested(levels)), ..Content::default() });
    let headers = |levels| {
        with(Content { request: Request { headers: Some(nested(levels)), ..Request::default() }, ..Content::default() })
    };
    for (event, member) in [
        (deep(limits::JSON_DEPTH_MAX), "vendor"),
        (headers(limits::JSON_DEPTH_MAX - 1), "request.headers"),
        (with(Content { targets: vec![Target::default()], ..Content::default() }), "targets.0"),
        (
            with(Content {
                targets: vec![Target { id: Some("t".into()), ..Target::default() }; limits::TARGETS_MAX + 1],
                ..Content::default()
            }),
            "targets",
        ),
        (
            with(Content {
                request: Request { status: Some(limits::STATUS_MAX + 1), ..Request::default() },
                ..Content::default()
            }),
            "request.status",
        ),
        (
            with(Content {
                request: Request { client_ip: Some("localhost".into()), ..Request::default() },
                ..Content::default()
            }),
            "request.client_ip",
        ),
        (NewEvent { id: Some("x".repeat(limits::ID_CHARS_MAX + 1)), ..with(Content::default()) }, "id"),
        (NewEvent { content: Content::default(), ..with(Content::default()) }, "action"),
    ] {
        let fault = append(&ledger, vec![event]).expect_err(member);
        assert_eq!(fault.location.and_then(|location| location.member).as_deref(), Some(member));
    }
    append(&ledger, vec![deep(limits::JSON_DEPTH_MAX - 1), headers(limits::JSON_DEPTH_MAX - 2)]).expect("appended");
    ledger.close();
    let reopened = store.reopen().open();
    assert!(all(&reopened, of("acme"), 10).iter().all(|event| event.content().is_ok()));
}

/// A journal whose commits wait until they are let go.
struct Slow {
    inner: annals_store::MemoryJournal,
    gate: std::sync::Mutex<bool>,
    opened: std::sync::Condvar,
}

impl annals_store::Journal for Slow {
    fn commit(&self, commit: &annals_store::Commit) -> Result<(), annals_store::JournalError> {
        drop(self.opened.wait_while(self.gate.lock().expect("no panic"), |open| !*open).expect("no panic"));
        self.inner.commit(commit)
    }
    fn rows(&self, after: u64, bytes_max: usize) -> Result<Vec<annals_store::Row>, annals_store::JournalError> {
        self.inner.rows(after, bytes_max)
    }
    fn state(&self, kind: annals_store::StateKind) -> Result<Vec<(String, Vec<u8>)>, annals_store::JournalError> {
        self.inner.state(kind)
    }
    fn last(&self) -> Result<u64, annals_store::JournalError> {
        self.inner.last()
    }
    fn floor(&self) -> Result<u64, annals_store::JournalError> {
        self.inner.floor()
    }
    fn require_room(&self, bytes: u64) -> Result<(), annals_store::JournalError> {
        self.inner.require_room(bytes)
    }
    fn recover(&self) -> Result<(), annals_store::JournalError> {
        self.inner.recover()
    }
}

#[test]
fn more_than_the_queue_holds_is_busy_at_once_and_what_was_taken_is_stored() {
    let slow = std::sync::Arc::new(Slow {
        inner: annals_store::MemoryJournal::new(),
        gate: true.into(),
        opened: std::sync::Condvar::new(),
    });
    let ledger = open_over(slow.clone(), Hands::new(), SEAL_EVENTS);
    create(&ledger, "acme");
    *slow.gate.lock().expect("no panic") = false;
    // Large events, so that the bound in bytes is met by few.
    let json = format!(r#"{{"action":"a","data":"{}"}}"#, "x".repeat(limits::EVENT_BYTES_MAX - 1_000));
    let prepare = || ledger.prepare((0..64).map(|_| event("acme", &json)).collect(), Masking::Apply).expect("prepared");
    let most = limits::QUEUE_BYTES_MAX / (64 * (limits::EVENT_BYTES_MAX - 1_000));
    let (busy, stored) = std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..most + 3)
            .map(|_| {
                let prepared = prepare();
                let ledger = &ledger;
                scope.spawn(move || crate::support::wait(ledger.append(prepared)))
            })
            .collect();
        // All that fit wait by now or soon; the rest were refused without waiting.
        while waiting.iter().filter(|thread| thread.is_finished()).count() == 0 {
            std::thread::yield_now();
        }
        *slow.gate.lock().expect("no panic") = true;
        slow.opened.notify_all();
        let answers: Vec<_> = waiting.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        let busy =
            answers.iter().filter(|answer| matches!(answer, Err(Fault { kind: FaultKind::Busy { .. }, .. }))).count();
        (busy, answers.iter().filter(|answer| answer.is_ok()).count())
    });
    assert!(busy >= 1, "{busy} were refused");
    assert_eq!(busy + stored, most + 3);
    assert_eq!(total(&ledger, "acme"), 64 * stored as u64);
}

#[test]
fn a_defect_in_the_sequencer_is_told_and_nobody_waits_for_it() {
    struct Broken(annals_store::MemoryJournal, std::sync::atomic::AtomicBool);
    impl annals_store::Journal for Broken {
        fn commit(&self, commit: &annals_store::Commit) -> Result<(), annals_store::JournalError> {
            assert!(!self.1.load(std::sync::atomic::Ordering::Relaxed), "a defect, on purpose");
            self.0.commit(commit)
        }
        fn rows(&self, after: u64, bytes_max: usize) -> Result<Vec<annals_store::Row>, annals_store::JournalError> {
            self.0.rows(after, bytes_max)
        }
        fn state(&self, kind: annals_store::StateKind) -> Result<Vec<(String, Vec<u8>)>, annals_store::JournalError> {
            self.0.state(kind)
        }
        fn last(&self) -> Result<u64, annals_store::JournalError> {
            self.0.last()
        }
        fn floor(&self) -> Result<u64, annals_store::JournalError> {
            self.0.floor()
        }
        fn require_room(&self, bytes: u64) -> Result<(), annals_store::JournalError> {
            self.0.require_room(bytes)
        }
        fn recover(&self) -> Result<(), annals_store::JournalError> {
            self.0.recover()
        }
    }
    let broken = std::sync::Arc::new(Broken(annals_store::MemoryJournal::new(), false.into()));
    let ledger = open_over(broken.clone(), Hands::new(), SEAL_EVENTS);
    create(&ledger, "acme");
    broken.1.store(true, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..3 {
        let fault = append_json(&ledger, "acme", &[r#"{"action":"a"}"#]).expect_err("refused");
        assert_eq!(fault.kind, FaultKind::Unavailable);
    }
    let health = ledger.health();
    assert!(!health.ready && health.detail.contains("defect"), "{health:?}");
}

#[test]
fn what_was_read_from_a_source_is_not_masked_again() {
    let (ledger, ..) = ledger();
    let json = r#"{"action":"a","id":"x","request":{"headers":{"token":"se****ow"}}}"#;
    let prepared = ledger.prepare(vec![event("acme", json)], Masking::Done).expect("prepared");
    crate::support::wait(ledger.append(prepared)).expect("appended");
    let stored = ledger.event("acme", "x").expect("there");
    assert_eq!(
        String::from_utf8_lossy(&stored.canonical),
        r#"{"action":"a","id":"x","request":{"headers":{"token":"se****ow"}}}"#
    );
}

#[test]
fn an_event_without_an_id_gets_a_uuid_of_version_7() {
    let (ledger, ..) = ledger();
    let appended = append_json(&ledger, "acme", &[r#"{"action":"a"}"#, r#"{"action":"a"}"#]).expect("appended");
    assert_ne!(appended[0].id, appended[1].id);
    for appended in appended {
        assert_eq!((appended.id.len(), appended.id.as_bytes()[14]), (36, b'7'), "{}", appended.id);
        let value = Value::parse(&ledger.event("acme", &appended.id).expect("there").canonical).expect("JSON");
        assert_eq!(value.as_object().and_then(|object| object.member("id")), Some(&Value::from(appended.id)));
    }
}

#[test]
fn every_action_has_a_number_that_stays() {
    let (ledger, store) = ledger();
    append_json(
        &ledger,
        "acme",
        &[r#"{"action":"a"}"#, r#"{"action":"b"}"#, r#"{"action":"a"}"#, r#"{"action":"Delete Team"}"#],
    )
    .expect("appended");
    append_json(&ledger, "globex", &[r#"{"action":"c"}"#, r#"{"action":"b"}"#]).expect("appended");
    let numbers = |ledger: &annals_ledger::Ledger| {
        ["a", "b", "c", "Delete Team", "d", "annals.organization.create"].map(|action| ledger.action_number(action))
    };
    assert_eq!(numbers(&ledger), [Some(14), Some(15), Some(16), Some(13), None, None]);
    ledger.close();
    assert_eq!(numbers(&store.reopen().open()), [Some(14), Some(15), Some(16), Some(13), None, None]);
}

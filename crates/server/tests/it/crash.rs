//! The real binary, killed in the middle of a load, while events are sealed and segments merged.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use annals_ledger::POINTS;
use annals_store::{Journal, SqliteJournal, StateKind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::binary::{Server, check_sound, free_port};

const KILLS: u64 = 8;
/// The longest time from when something was acknowledged to the kill, in milliseconds.
const KILL_MS_MAX: u64 = 1_500;
/// What the times of the kills are made from, unless `ANNALS_KILL_SEED` says otherwise.
const KILL_SEED: u64 = 1;
const WRITERS: u64 = 4;
const BATCH_EVENTS_MAX: u64 = 40;
/// Small, so that there is a lot of sealing and merging.
const SEAL_EVENTS: (&str, &str) = ("ANNALS_SEAL_EVENTS", "100");
/// A seal ends with the commit that makes it due, which has at most one batch of each writer, and the event
/// that the organization was made: what is longer was merged.
const SEALED_EVENTS_MAX: u64 = 100 + WRITERS * BATCH_EVENTS_MAX + 1;
/// How long a point may take to be reached.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent, and what came back.
#[derive(Default)]
struct Load {
    told: Mutex<Told>,
    batches: AtomicU64,
    acknowledged: AtomicU64,
}

/// What the writers were told.
#[derive(Default)]
struct Told {
    /// Of acknowledged events: the id, and the index.
    acknowledged: HashMap<String, u64>,
    /// Of all batches that were sent: the ids.
    sent: Vec<Vec<String>>,
}

impl Load {
    /// A folder with an organization, and a load for it.
    fn begin() -> (tempfile::TempDir, Load) {
        let data = tempfile::tempdir().expect("a folder");
        let server = Server::start(data.path());
        let (status, _) = server.post("/v1/organizations", r#"{"id":"acme"}"#).expect("answers");
        assert_eq!(status, 201);
        assert_eq!(server.stop("TERM"), Some(0));
        (data, Load::default())
    }

    /// Sends batches from several threads until the server is gone, while something else is done.
    fn run(&self, server: &Server, meanwhile: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    let mut there = true;
                    while there && !stop.load(Relaxed) {
                        there = self.send_next(server);
                    }
                });
            }
            meanwhile();
            stop.store(true, Relaxed);
        });
    }

    /// Whether the server is still there.
    fn send_next(&self, server: &Server) -> bool {
        let batch = self.batches.fetch_add(1, Relaxed);
        let ids: Vec<String> = (0..batch % BATCH_EVENTS_MAX + 1).map(|at| format!("b{batch}-{at}")).collect();
        self.told.lock().expect("no panic").sent.push(ids.clone());
        self.send(server, &ids)
    }

    /// Sends a batch; whether it was answered.
    fn send(&self, server: &Server, ids: &[String]) -> bool {
        let pad = "x".repeat(300);
        let event =
            |id: &String| format!(r#"{{"organization":"acme","id":"{id}","action":"load","data":{{"pad":"{pad}"}}}}"#);
        let events: Vec<String> = ids.iter().map(event).collect();
        let Ok((status, answer)) = server.post("/v1/events", &format!("[{}]", events.join(","))) else { return false };
        assert!(matches!(status, 200 | 201), "{answer}");
        let mut told = self.told.lock().expect("no panic");
        for event in answer["events"].as_array().expect("events") {
            let (id, index) = (event["id"].as_str().expect("an id"), event["index"].as_u64().expect("an index"));
            let before = told.acknowledged.insert(id.to_owned(), index);
            assert!(before.is_none_or(|before| before == index), "{id} has moved from {before:?} to {index}");
            self.acknowledged.fetch_add(1, Relaxed);
        }
        true
    }

    /// Lets a server be stopped at a point that it reaches for the n-th time under load.
    fn stop_at(&self, data: &Path, point: &str, time: u64) {
        let stop_at = format!("{point}:{time}");
        let settings = [SEAL_EVENTS, ("ANNALS_STOP_AT", stop_at.as_str())];
        // It may get there while it starts.
        let Some(server) = Server::start_with(data, free_port(), &settings) else { return };
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    while self.send_next(&server) {
                        assert!(begun.elapsed() < PATIENCE, "{stop_at} is not reached");
                    }
                });
            }
        });
        server.ended();
    }

    /// What was acknowledged is there, once, and nothing of a batch without the rest of it; what was not
    /// can be sent again. Returns how many events there are.
    fn check(self, data: &Path) -> u64 {
        let server = Server::start_with(data, free_port(), &[SEAL_EVENTS]).expect("starts");
        let stored = read_all(&server);
        let sent = {
            let told = self.told.lock().expect("no panic");
            for (id, index) in &told.acknowledged {
                assert_eq!(stored.get(id), Some(index), "{id} was acknowledged");
            }
            told.sent.clone()
        };
        for batch in &sent {
            let there = batch.iter().filter(|id| stored.contains_key(*id)).count();
            assert!(there == 0 || there == batch.len(), "{there} of {} events of a batch are there", batch.len());
            let is_known = batch.iter().all(|id| self.told.lock().expect("no panic").acknowledged.contains_key(id));
            assert!(is_known || self.send(&server, batch), "the server has gone");
        }
        let stored = read_all(&server);
        assert_eq!(stored.len(), sent.iter().map(Vec::len).sum::<usize>(), "each event that was sent is there once");
        let mut indexes: Vec<u64> = stored.values().copied().collect();
        indexes.sort_unstable();
        assert_eq!(indexes, (0..stored.len() as u64).collect::<Vec<_>>(), "indexes are dense");
        until("all that was merged is deleted", || is_tidy(data));
        assert_eq!(server.stop("TERM"), Some(0));
        check_sound(data);
        stored.len() as u64
    }
}

/// The segments in the folder of a data folder; not those that are being written.
fn stored_segments(data: &Path) -> BTreeSet<String> {
    let folder = data.join("segments");
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    let names = entries.map(|entry| entry.expect("reads").file_name().into_string().expect("a name"));
    names.filter(|name| !name.contains('#')).collect()
}

/// The segments that the journal names, which a server may be using: a copy is looked at.
fn named_segments(data: &Path) -> BTreeSet<String> {
    let copy = tempfile::tempdir().expect("a folder");
    let folder = copy.path().join("journal");
    annals_store::copy_journal(data, &folder).expect("copies");
    let named = SqliteJournal::open(&folder).expect("opens").state(StateKind::Segment).expect("reads");
    named.into_iter().map(|(name, _)| name).collect()
}

/// Whether there is a segment for each name in the journal, and no other.
fn is_tidy(data: &Path) -> bool {
    stored_segments(data) == named_segments(data)
}

/// Of segments, those that were merged.
fn merged(segments: &BTreeSet<String>) -> usize {
    let events = |name: &String| {
        let mut positions = name.split('-').map(|part| part.parse::<u64>().expect("a position"));
        let mut next = || positions.next().expect("two positions");
        let first = next();
        next() - first
    };
    segments.iter().filter(|name| events(name) > SEALED_EVENTS_MAX).count()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never came that {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// What a crash has left is sound; and the next start removes the segments that nobody names, and no
/// other. Gives how many there were.
fn check_start(data: &Path) -> usize {
    check_sound(data);
    let named = named_segments(data);
    let left = stored_segments(data);
    assert!(named.is_subset(&left), "{named:?} are named, and {left:?} are there");
    let server = Server::start_with(data, free_port(), &[SEAL_EVENTS]).expect("starts");
    let orphans: Vec<&String> = left.difference(&named).collect();
    let there = stored_segments(data);
    assert!(orphans.iter().all(|orphan| !there.contains(*orphan)), "of {orphans:?} some are still among {there:?}");
    until("the segments are those that the journal names", || is_tidy(data));
    assert_eq!(server.stop("TERM"), Some(0));
    orphans.len()
}

#[test]
fn no_acknowledged_event_is_lost_when_the_server_is_killed_and_no_batch_is_halved() {
    let seed = kill_seed();
    eprintln!("ANNALS_KILL_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (data, load) = Load::begin();
    let mut orphans = 0;
    for round in 1..=KILLS {
        let server = Server::start_with(data.path(), free_port(), &[SEAL_EVENTS]).expect("starts");
        let before = load.acknowledged.load(Relaxed);
        let time = Duration::from_millis(random.random_range(0..=KILL_MS_MAX));
        load.run(&server, || {
            until("an event is acknowledged", || load.acknowledged.load(Relaxed) > before);
            if round == KILLS {
                // However slow this machine is.
                until("segments are merged", || merged(&stored_segments(data.path())) > 0);
            }
            // While requests are under way.
            pause(time);
            kill(&server);
        });
        server.kill();
        orphans += check_start(data.path());
    }
    let acknowledged = load.acknowledged.load(Relaxed);
    let stored = load.check(data.path());
    let segments = named_segments(data.path());
    assert!(merged(&segments) > 0, "of {segments:?} none was merged");
    let count = segments.len();
    eprintln!("{acknowledged} events acknowledged, {stored} stored in {count} segments and the journal");
    eprintln!("{KILLS} kills, which left {orphans} segments that nobody names");
}

#[test]
fn no_acknowledged_event_is_lost_wherever_the_server_stops() {
    let (data, load) = Load::begin();
    for point in POINTS {
        load.stop_at(data.path(), point, 1);
        load.stop_at(data.path(), point, 2);
        // As the crash has left it.
        check_sound(data.path());
    }
    let stored = load.check(data.path());
    eprintln!("{stored} events stored, stopped twice at each of {} points", POINTS.len());
}

#[test]
fn a_soak_as_long_as_is_asked_for_loses_nothing() {
    let Some(seconds) = soak_s() else { return };
    let (data, load) = Load::begin();
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        // The multiplier goes through all points, and to later and later times of each.
        let point = POINTS[usize::try_from(rounds * 5 % 8).expect("fits")];
        load.stop_at(data.path(), point, 1 + rounds * 7 % 11);
        rounds += 1;
    }
    let stored = load.check(data.path());
    eprintln!("{stored} events stored, {rounds} stops in {seconds} s");
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says how long the soak is")]
fn soak_s() -> Option<u64> {
    let seconds = std::env::var("ANNALS_SOAK_S").ok()?;
    Some(seconds.parse().expect("ANNALS_SOAK_S is a number of seconds"))
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says which times they are")]
fn kill_seed() -> u64 {
    let given = std::env::var("ANNALS_KILL_SEED").ok();
    given.map_or(KILL_SEED, |seed| seed.parse().expect("ANNALS_KILL_SEED is a number"))
}

fn pause(duration: Duration) {
    let begun = Instant::now();
    // Parking may end early, for no reason.
    while let Some(left) = duration.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

fn kill(server: &Server) {
    let killed = std::process::Command::new("kill").arg("-9").arg(server.id().to_string()).status();
    assert!(killed.expect("kills").success());
}

/// All events by their ids, with their indexes.
fn read_all(server: &Server) -> HashMap<String, u64> {
    let mut stored = HashMap::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = server.get(&format!("/v1/events?organization=acme&order=oldest&limit=1000{cursor}"));
        assert_eq!(status, 200, "{page}");
        let events = page["events"].as_array().expect("events");
        if events.is_empty() {
            assert_eq!(page["total"].as_u64(), Some(stored.len() as u64));
            return stored;
        }
        for event in events {
            assert_eq!(
                (&event["action"], event["data"]["pad"].as_str().map(str::len)),
                (&"load".into(), Some(300)),
                "{event}"
            );
            let before = stored
                .insert(event["id"].as_str().expect("an id").to_owned(), event["index"].as_u64().expect("an index"));
            assert_eq!(before, None, "an event came twice");
        }
        cursor = format!("&cursor={}", page["next_cursor"].as_str().expect("it goes on"));
    }
}

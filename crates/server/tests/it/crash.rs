//! The real binary, killed in the middle of a load.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

use crate::binary::Server;

const KILLS: u64 = 5;
const WRITERS: u64 = 4;

/// What the writers were told.
#[derive(Default)]
struct Told {
    /// Of acknowledged events: the id, and the index.
    acknowledged: HashMap<String, u64>,
    /// Of all batches that were sent: the ids.
    sent: Vec<Vec<String>>,
}

#[test]
fn no_acknowledged_event_is_lost_when_the_server_is_killed_and_no_batch_is_halved() {
    let data = tempfile::tempdir().expect("a folder");
    let told = Mutex::new(Told::default());
    let batches = AtomicU64::new(0);
    for round in 0..KILLS {
        let server = Server::start(data.path());
        if round == 0 {
            let (status, _) = server.post("/v1/organizations", r#"{"id":"acme"}"#).expect("answers");
            assert_eq!(status, 201);
        }
        let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| write(&server, &told, &batches, &stop, &acknowledged));
            }
            // Killed while requests are under way: after some hundred milliseconds, another time each round.
            let (_keep, timer) = mpsc::channel::<()>();
            let _ = timer.recv_timeout(Duration::from_millis(150 + 173 * round));
            while acknowledged.load(Relaxed) == 0 {
                let _ = timer.recv_timeout(Duration::from_millis(10));
            }
            kill(&server);
            stop.store(true, Relaxed);
        });
        server.kill();
    }
    let server = Server::start(data.path());
    let stored = read_all(&server);
    let told = told.into_inner().expect("no panic");
    assert!(told.acknowledged.len() > 100, "only {} were acknowledged", told.acknowledged.len());
    for (id, index) in &told.acknowledged {
        assert_eq!(stored.get(id), Some(index), "{id} was acknowledged");
    }
    for batch in &told.sent {
        let there = batch.iter().filter(|id| stored.contains_key(*id)).count();
        assert!(there == 0 || there == batch.len(), "{there} of {} events of a batch are there", batch.len());
    }
    let mut indexes: Vec<u64> = stored.values().copied().collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..stored.len() as u64).collect::<Vec<_>>(), "indexes are dense, each event is there once");
    eprintln!("{} events acknowledged, {} stored, {KILLS} kills", told.acknowledged.len(), stored.len());
}

/// Sends batches until the server is gone.
fn write(server: &Server, told: &Mutex<Told>, batches: &AtomicU64, stop: &AtomicBool, acknowledged: &AtomicU64) {
    while !stop.load(Relaxed) {
        let batch = batches.fetch_add(1, Relaxed);
        let ids: Vec<String> = (0..batch % 40 + 1).map(|at| format!("b{batch}-{at}")).collect();
        let events: Vec<String> = ids
            .iter()
            .map(|id| {
                format!(
                    r#"{{"organization":"acme","id":"{id}","action":"load","data":{{"pad":"{}"}}}}"#,
                    "x".repeat(300)
                )
            })
            .collect();
        told.lock().expect("no panic").sent.push(ids);
        let Ok((status, answer)) = server.post("/v1/events", &format!("[{}]", events.join(","))) else { return };
        assert_eq!(status, 201, "{answer}");
        let mut told = told.lock().expect("no panic");
        for event in answer["events"].as_array().expect("events") {
            told.acknowledged
                .insert(event["id"].as_str().expect("an id").to_owned(), event["index"].as_u64().expect("an index"));
            acknowledged.fetch_add(1, Relaxed);
        }
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

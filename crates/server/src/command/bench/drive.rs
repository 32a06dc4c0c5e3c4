//! Sends prepared requests over many connections, each waiting for its answer before the next.
//!
//! **Invariant:** every answer is checked; a wrong one ends the benchmark with an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::StatusCode;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::connection::{Connection, Sent, Target};

/// A request and the answer that it must get.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The request.
    pub(crate) sent: Sent,
    /// The answer.
    pub(crate) expect: Expect,
}

/// What an answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// So many events were not there before and are stored now.
    Stored(u64),
    /// A page with so many events, of a list that so many match.
    Page {
        /// On the page.
        events: usize,
        /// On all pages.
        total: u64,
    },
    /// Counts, by value or by time, that are so many together.
    Counts(u64),
    /// The event with this id.
    Event(String),
}

/// When a run is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// Every job was sent once; else they are sent again from the first on.
    pub(crate) when_done: bool,
    /// So much time has passed.
    pub(crate) after: Option<Duration>,
}

/// What a run has come to.
pub(crate) struct Tally {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Events stored.
    pub(crate) stored: u64,
    /// Answers that asked to come again later.
    pub(crate) busy: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// In microseconds.
    pub(crate) latency: Histogram<u64>,
}

/// The longest latency that is told apart, in microseconds: two minutes.
const LATENCY_US_MAX: u64 = 120_000_000;
/// How long a refused request waits, and how often.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
const BUSY_MAX: u32 = 3_000;

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> anyhow::Result<Tally> {
        let latency = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).context("no histogram")?;
        Ok(Tally { requests: 0, stored: 0, busy: 0, elapsed: Duration::ZERO, latency })
    }

    /// Adds what came at the same time.
    fn join(&mut self, other: &Tally) -> anyhow::Result<()> {
        self.requests += other.requests;
        self.stored += other.stored;
        self.busy += other.busy;
        self.latency.add(&other.latency).context("no histogram")
    }

    /// Adds what came after.
    pub(crate) fn follow(&mut self, other: &Tally) -> anyhow::Result<()> {
        self.elapsed += other.elapsed;
        self.join(other)
    }
}

/// Sends the jobs over so many connections.
pub(crate) async fn drive(target: &Target, connections: usize, jobs: Vec<Job>, ends: Ends) -> anyhow::Result<Tally> {
    ensure!(!jobs.is_empty(), "there is nothing to send");
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target).await?);
    }
    let jobs = Arc::new(jobs);
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for connection in open {
        let worker = Worker { connection, jobs: Arc::clone(&jobs), next: Arc::clone(&next), tally: Tally::new()? };
        tasks.spawn(worker.run(ends, begun));
    }
    let mut tally = Tally::new()?;
    while let Some(worker) = tasks.join_next().await {
        tally.join(&worker.context("a connection's task failed")??)?;
    }
    tally.elapsed = begun.elapsed();
    Ok(tally)
}

struct Worker {
    connection: Connection,
    jobs: Arc<Vec<Job>>,
    next: Arc<AtomicUsize>,
    tally: Tally,
}

impl Worker {
    async fn run(mut self, ends: Ends, begun: Instant) -> anyhow::Result<Tally> {
        loop {
            // Before a job is taken: one that is taken is sent, so that those sent are the first.
            if ends.after.is_some_and(|after| begun.elapsed() >= after) {
                return Ok(self.tally);
            }
            let mut at = self.next.fetch_add(1, Ordering::Relaxed);
            if !ends.when_done {
                at %= self.jobs.len();
            }
            let Some(job) = self.jobs.get(at) else {
                return Ok(self.tally);
            };
            let sent = Instant::now();
            let mut busy = 0;
            let (status, body) = loop {
                let (status, body) = self.connection.send(&job.sent).await?;
                if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                    break (status, body);
                }
                busy += 1;
                ensure!(busy <= BUSY_MAX, "the server stays busy: {}", String::from_utf8_lossy(&body));
                tokio::time::sleep(BUSY_PAUSE).await;
            };
            let latency_us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(LATENCY_US_MAX);
            self.tally.latency.saturating_record(latency_us);
            check(&job.expect, status, &body).with_context(|| format!("{} {}", job.sent.method, job.sent.uri))?;
            self.tally.requests += 1;
            self.tally.busy += u64::from(busy);
            if let Expect::Stored(events) = job.expect {
                self.tally.stored += events;
            }
        }
    }
}

fn check(expect: &Expect, status: StatusCode, body: &Bytes) -> anyhow::Result<()> {
    let wanted = if matches!(expect, Expect::Stored(_)) { StatusCode::CREATED } else { StatusCode::OK };
    if status != wanted {
        bail!("{status} instead of {wanted}: {}", String::from_utf8_lossy(body));
    }
    match expect {
        Expect::Stored(events) => {
            let named = memchr::memmem::find_iter(body, b"\"time_recorded\"").count();
            ensure!(u64::try_from(named) == Ok(*events), "{events} events were sent and {named} are acknowledged");
        }
        Expect::Page { events, total } => {
            let said = number_of(body, b"\"total\":");
            ensure!(said == Some(*total), "the total is {said:?}, and {total} events match");
            let held = memchr::memmem::find_iter(body, b"\"time_recorded\"").count();
            ensure!(held == *events, "the page has {held} events, and {events} are due");
        }
        Expect::Counts(total) => {
            let counted = serde_json::from_slice::<Counts>(body).context("the answer has no counts")?.sum();
            ensure!(counted == *total, "{counted} events are counted, and {total} match");
        }
        Expect::Event(id) => {
            let named = format!("\"id\":\"{id}\"");
            ensure!(memchr::memmem::find(body, named.as_bytes()).is_some(), "the answer is not the event {id}");
        }
    }
    Ok(())
}

/// The counts of facets, or of a histogram.
#[derive(Deserialize)]
struct Counts {
    #[serde(alias = "buckets")]
    values: Vec<Count>,
    #[serde(default)]
    other: u64,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

impl Counts {
    fn sum(&self) -> u64 {
        self.values.iter().map(|value| value.count).sum::<u64>() + self.other
    }
}

/// The number behind the last occurrence of a name.
pub(crate) fn number_of(body: &[u8], name: &[u8]) -> Option<u64> {
    let at = memchr::memmem::rfind(body, name)? + name.len();
    let rest = body.get(at..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(expect: &Expect, status: u16, body: &str) -> bool {
        check(expect, StatusCode::from_u16(status).expect("a status"), &Bytes::from(body.to_owned())).is_err()
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        let stored = r#"{"events":[{"time_recorded":"a"},{"time_recorded":"b"}]}"#;
        assert!(!refused(&Expect::Stored(2), 201, stored));
        assert!(refused(&Expect::Stored(2), 200, stored));
        assert!(refused(&Expect::Stored(3), 201, stored));

        let page = r#"{"events":[{"data":{"total":9},"time_recorded":"a"}],"next_cursor":null,"total":12}"#;
        assert!(!refused(&Expect::Page { events: 1, total: 12 }, 200, page));
        assert!(refused(&Expect::Page { events: 1, total: 9 }, 200, page));
        assert!(refused(&Expect::Page { events: 2, total: 12 }, 200, page));
        assert!(refused(&Expect::Page { events: 0, total: 0 }, 200, r#"{"events":[]}"#));

        let facets = r#"{"field":"action","values":[{"value":"a","count":3},{"value":"b","count":2}],"other":4}"#;
        assert!(!refused(&Expect::Counts(9), 200, facets));
        assert!(refused(&Expect::Counts(5), 200, facets));
        let histogram = r#"{"buckets":[{"time":"t","count":3},{"time":"u","count":2}],"interval_ms":60000}"#;
        assert!(!refused(&Expect::Counts(5), 200, histogram));
        assert!(refused(&Expect::Counts(3), 200, histogram));
        assert!(refused(&Expect::Counts(0), 200, r#"{"events":[]}"#));

        let event = r#"{"action":"a","id":"e1"}"#;
        assert!(!refused(&Expect::Event("e1".into()), 200, event));
        assert!(refused(&Expect::Event("e2".into()), 200, event));
        assert!(refused(&Expect::Event("e1".into()), 404, event));
    }
}

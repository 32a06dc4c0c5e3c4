//! `annals bench read`: how fast events are read, with exact totals.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::super::client::query;
use super::super::output::{Output, note, terminal_columns, thousands};
use super::connection::{Connection, Sent};
use super::drive::{Ends, Job, drive, number_of};
use super::footprint::MemoryWatch;
use super::load::Corpus;
use super::measure::{Figures, Meter, round, table};
use super::queries::{PAGE_EVENTS, Workload, page_of, workloads};
use super::server::Ending;
use super::{Common, Footprint, Machine, Server};

/// Store generated events, then read: pages with totals, filters, words, ids, deep pages, counts
///
/// A server that was started for it is at last ended twice, in good order and at once, and each time
/// started again on what is there. One that is named by --against must hold no events: what is read
/// over all organizations is checked as well.
#[derive(clap::Args)]
#[command(after_help = "Example:
  annals bench read --events 100000 --seconds 2
  annals bench read --connections 1,8,64 --json")]
pub(crate) struct Read {
    #[command(flatten)]
    pub(super) common: Common,
    /// Events to store first
    #[arg(long, default_value_t = 500_000, value_parser = super::parse_count)]
    events: usize,
    /// How long each kind of read is repeated
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections; each number is measured
    #[arg(long, default_values_t = [1, 8], value_delimiter = ',', value_parser = super::parse_count)]
    connections: Vec<usize>,
}

#[derive(Serialize)]
struct Report {
    bench: &'static str,
    machine: Machine,
    seed: u16,
    events: u64,
    parts: Vec<Figures>,
    #[serde(flatten)]
    footprint: Option<Footprint>,
    #[serde(flatten)]
    starts: Option<Starts>,
}

/// From the start of a server until it says that it is ready, in seconds.
#[derive(Serialize)]
struct Starts {
    start_s_after_stop: f64,
    start_s_after_kill: f64,
}

/// Pages of one organization that are walked, and from which on a page counts as deep.
const PAGES_MAX: usize = 200;
const PAGES_DEEP: usize = 10;
/// Organizations that are walked: the largest.
const WALKED: u16 = 5;

impl Read {
    pub(super) async fn run(&self, out: &mut Output) -> anyhow::Result<()> {
        let mut server = Server::of(&self.common).await?;
        let seed = self.common.seed()?;
        ensure_empty(&server).await?;
        let mut corpus = Corpus::begin(server.target(), seed).await?;
        let events = u64::try_from(self.events).unwrap_or(u64::MAX);
        note(&format!("storing {} events …", thousands(events)));
        let meter = Meter::begin(server.process());
        corpus.append(server.target(), self.events, 500, 4).await?;
        meter.settle().await;
        let mut footprint = server.footprint(events);
        let read_back = corpus.check(server.target()).await?;
        ensure!(read_back == events, "{events} were sent and {read_back} are there");

        let mut kinds = workloads(&corpus, seed)?;
        let deep = deep_pages(&server, &corpus).await?;
        if !deep.is_empty() {
            kinds.push(Workload { name: "a deep page by its cursor".to_owned(), jobs: deep });
        }
        let watch = server.process().map(MemoryWatch::begin);
        let parts = self.measure(&server, &kinds).await?;
        if let Some((footprint, watch)) = footprint.as_mut().zip(watch) {
            footprint.resident_bytes_max_reading = watch.end();
        }
        let starts = starts(&mut server, &corpus).await?;
        let report = Report { bench: "read", machine: Machine::this(), seed, events, parts, footprint, starts };
        self.print(&report, out)
    }

    /// Repeats each kind of read over each number of connections.
    async fn measure(&self, server: &Server, kinds: &[Workload]) -> anyhow::Result<Vec<Figures>> {
        let mut parts = Vec::new();
        for kind in kinds {
            for &connections in &self.connections {
                note(&format!("{}, {connections} at a time …", kind.name));
                let ends = Ends { when_done: false, after: Some(Duration::from_secs(self.seconds)) };
                let meter = Meter::begin(server.process());
                let tally = drive(server.target(), connections, kind.jobs.clone(), ends).await?;
                parts.push(meter.figures(kind.name.as_str(), connections, None, &tally));
            }
        }
        Ok(parts)
    }

    fn print(&self, report: &Report, out: &mut Output) -> anyhow::Result<()> {
        if self.common.json {
            return out.json(report);
        }
        out.line(&report.machine.sentence())?;
        table(&report.parts).print(terminal_columns(), out)?;
        out.line("µs are processor time for one request. Every answer was checked: totals against what was")?;
        out.line("stored, events by their ids, pages by their length, counts by their sum.")?;
        if let Some(footprint) = &report.footprint {
            footprint.print(out)?;
        }
        if let Some(Starts { start_s_after_stop, start_s_after_kill }) = &report.starts {
            out.line(&format!(
                "from start to ready: {start_s_after_stop:.3} s after a stop in good order, {start_s_after_kill:.3} s \
                 after a kill"
            ))?;
        }
        Ok(())
    }
}

/// Sees to it that what is read over all organizations is what was stored here.
async fn ensure_empty(server: &Server) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.target()).await?;
    let (status, body) = connection.send(&Sent::get("/v1/events?limit=1")?).await?;
    let total = number_of(&body, b"\"total\":").with_context(|| format!("{status} instead of a total"))?;
    ensure!(total == 0, "the server holds {} events already: begin with an empty data folder", thousands(total));
    Ok(())
}

/// Ends the server if it was started for this, in good order and at once, and starts it again.
///
/// # Errors
///
/// If a start fails, or an event is missing after it.
async fn starts(server: &mut Server, corpus: &Corpus) -> anyhow::Result<Option<Starts>> {
    let Server::Own(own) = server else {
        return Ok(None);
    };
    let mut seconds = [0.0; 2];
    for (ending, seconds) in [Ending::InGoodOrder, Ending::Killed].into_iter().zip(&mut seconds) {
        note("ending the server and starting it again …");
        *seconds = round(own.restart(ending).await?.as_secs_f64());
        corpus.check(own.target()).await?;
    }
    let [start_s_after_stop, start_s_after_kill] = seconds;
    Ok(Some(Starts { start_s_after_stop, start_s_after_kill }))
}

/// Walks the largest organizations from page to page, and remembers the deep ones.
///
/// # Errors
///
/// If an event comes twice, or is missing at the end.
async fn deep_pages(server: &Server, corpus: &Corpus) -> anyhow::Result<Vec<Job>> {
    #[derive(Deserialize)]
    struct Page {
        events: Vec<Seen>,
        next_cursor: Option<String>,
    }
    #[derive(Deserialize)]
    struct Seen {
        id: String,
    }
    let mut connection = Connection::open(server.target()).await?;
    let mut deep = Vec::new();
    for (number, facts) in (0..WALKED).zip(&corpus.facts) {
        let organization = corpus.generator.organization_id(number);
        let limit = PAGE_EVENTS.to_string();
        let mut cursor: Option<String> = None;
        let mut seen = HashSet::new();
        for page in 0..PAGES_MAX {
            let parameters = [("organization", organization.as_str()), ("limit", limit.as_str())];
            let next = cursor.as_deref().map(|cursor| ("cursor", cursor));
            let sent = Sent::get(&format!("/v1/events?{}", query(parameters.into_iter().chain(next))))?;
            let (status, body) = connection.send(&sent).await?;
            ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
            let Page { events, next_cursor } = serde_json::from_slice(&body)?;
            let due = PAGE_EVENTS.min(facts.len() - seen.len());
            ensure!(events.len() == due, "{organization}: page {page} has {} events, {due} are due", events.len());
            if page >= PAGES_DEEP {
                deep.push(Job { sent, expect: page_of(facts.len(), seen.len()) });
            }
            for event in events {
                ensure!(seen.insert(event.id.clone()), "{organization}: event {} comes twice", event.id);
            }
            let is_end = next_cursor.is_none() || seen.len() == facts.len();
            if is_end {
                ensure!(seen.len() == facts.len(), "{organization}: {} of {} came", seen.len(), facts.len());
                break;
            }
            cursor = next_cursor;
        }
    }
    Ok(deep)
}

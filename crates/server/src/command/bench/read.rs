//! `annals bench read`: how fast events are read, with exact totals.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::ensure;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::super::client::query;
use super::super::output::{Output, note, terminal_columns, thousands};
use super::connection::{Connection, Sent};
use super::drive::{Ends, Expect, Job, drive};
use super::load::Corpus;
use super::measure::{Figures, Meter, table};
use super::queries::{Workload, workloads};
use super::{Common, Machine, Server};

/// Store generated events, then read: pages with totals, filters, words, one by id, deep pages
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
    server_resident_bytes: Option<u64>,
    data_bytes: Option<u64>,
}

/// Events of one page.
const PAGE_EVENTS: usize = 100;
/// Pages of one organization that are walked, and from which on a page counts as deep.
const PAGES_MAX: usize = 200;
const PAGES_DEEP: usize = 10;
/// Organizations that are walked: the largest.
const WALKED: u16 = 5;

impl Read {
    pub(super) async fn run(&self, out: &mut Output) -> anyhow::Result<()> {
        let server = Server::of(&self.common).await?;
        let seed = self.common.seed()?;
        let mut corpus = Corpus::begin(server.target(), seed).await?;
        let events = u64::try_from(self.events).unwrap_or(u64::MAX);
        note(&format!("storing {} events …", thousands(events)));
        let meter = Meter::begin(server.process());
        corpus.append(server.target(), self.events, 500, 4).await?;
        meter.settle().await;
        let read_back = corpus.check(server.target()).await?;
        ensure!(read_back == events, "{events} were sent and {read_back} are there");

        let mut kinds = workloads(&corpus, seed)?;
        let deep = deep_pages(&server, &corpus).await?;
        if !deep.is_empty() {
            kinds.push(Workload { name: "a deep page by its cursor", jobs: deep });
        }
        let mut parts = Vec::new();
        for kind in &kinds {
            for &connections in &self.connections {
                note(&format!("{}, {connections} at a time …", kind.name));
                let ends = Ends { when_done: false, after: Some(Duration::from_secs(self.seconds)) };
                let meter = Meter::begin(server.process());
                let tally = drive(server.target(), connections, kind.jobs.clone(), ends).await?;
                parts.push(meter.figures(kind.name, connections, None, &tally));
            }
        }
        let report = Report {
            bench: "read",
            machine: Machine::this(),
            seed,
            events,
            parts,
            server_resident_bytes: server.resident_bytes(),
            data_bytes: server.data_bytes(),
        };
        self.print(&report, out)
    }

    fn print(&self, report: &Report, out: &mut Output) -> anyhow::Result<()> {
        if self.common.json {
            return out.json(report);
        }
        out.line(&report.machine.sentence())?;
        table(&report.parts).print(terminal_columns(), out)?;
        out.line("µs are processor time for one request. Every answer was checked: totals against what was")?;
        out.line("stored, events by their ids, pages by their length.")?;
        super::print_server(report.server_resident_bytes, report.data_bytes, report.events, out)
    }
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
                deep.push(Job { sent, expect: Expect::Page(due) });
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

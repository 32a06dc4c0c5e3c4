//! `annals bench append`: how fast events are stored, in batches and one by one.

use std::time::Duration;

use serde::Serialize;

use super::super::output::{Output, note, terminal_columns, thousands};
use super::drive::{Ends, drive};
use super::load::Corpus;
use super::measure::{Figures, Meter, table};
use super::{Common, Footprint, Machine, Server};

/// Store generated events: in batches, then one by one
#[derive(clap::Args)]
#[command(after_help = "Example:
  annals bench append --events 100000 --singles 20000
  annals bench append --against http://127.0.0.1:8080 --key \"$ANNALS_KEY\" --json")]
pub(crate) struct Append {
    #[command(flatten)]
    pub(super) common: Common,
    /// Events in the first part
    #[arg(long, default_value_t = 500_000)]
    events: usize,
    /// Events of one request in the first part
    #[arg(long, default_value_t = 500, value_parser = super::parse_count)]
    batch: usize,
    /// Connections in the first part
    #[arg(long, default_value_t = 4, value_parser = super::parse_count)]
    connections: usize,
    /// Events in the second part, where every request has one
    #[arg(long, default_value_t = 100_000)]
    singles: usize,
    /// Connections in the second part
    #[arg(long, default_value_t = 64, value_parser = super::parse_count)]
    single_connections: usize,
    /// The second part ends after so many seconds, if it has not before
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Serialize)]
struct Report {
    bench: &'static str,
    machine: Machine,
    seed: u16,
    parts: Vec<Figures>,
    #[serde(flatten)]
    footprint: Option<Footprint>,
    events_acknowledged: u64,
    events_read_back: u64,
}

impl Append {
    pub(super) async fn run(&self, out: &mut Output) -> anyhow::Result<()> {
        let server = Server::of(&self.common).await?;
        let seed = self.common.seed()?;
        let mut corpus = Corpus::begin(server.target(), seed).await?;
        let mut parts = Vec::new();
        if self.events > 0 {
            note(&format!("{} events in batches of {} …", thousands_of(self.events), self.batch));
            let meter = Meter::begin(server.process());
            let tally = corpus.append(server.target(), self.events, self.batch, self.connections).await?;
            meter.settle().await;
            parts.push(meter.figures("append batches", self.connections, Some(self.batch), &tally));
        }
        if self.singles > 0 {
            note(&format!("{} events one by one …", thousands_of(self.singles)));
            parts.push(self.singles(&server, &mut corpus).await?);
        }
        note("reading back …");
        let footprint = server.footprint(corpus.count());
        let events_read_back = corpus.check(server.target()).await?;
        let report = Report {
            bench: "append",
            machine: Machine::this(),
            seed,
            parts,
            footprint,
            events_acknowledged: corpus.count(),
            events_read_back,
        };
        self.print(&report, out)
    }

    /// Posts of one event each.
    async fn singles(&self, server: &Server, corpus: &mut Corpus) -> anyhow::Result<Figures> {
        let ends = Ends { when_done: true, after: self.seconds.map(Duration::from_secs) };
        let meter = Meter::begin(server.process());
        let (jobs, mut facts) = corpus.jobs(self.singles, 1);
        let tally = drive(server.target(), self.single_connections, jobs, ends).await?;
        meter.settle().await;
        // Those that were sent are the first.
        facts.truncate(usize::try_from(tally.stored).unwrap_or(usize::MAX));
        corpus.remember(facts);
        Ok(meter.figures("append one by one", self.single_connections, Some(1), &tally))
    }

    fn print(&self, report: &Report, out: &mut Output) -> anyhow::Result<()> {
        if self.common.json {
            return out.json(report);
        }
        out.line(&report.machine.sentence())?;
        table(&report.parts).print(terminal_columns(), out)?;
        out.line("µs are processor time for one event: the server's with its work in the background,")?;
        out.line("the client's with making the events; latencies are those of requests.")?;
        if let Some(footprint) = &report.footprint {
            footprint.print(out)?;
        }
        let read_back = thousands(report.events_read_back);
        out.line(&format!("{} events acknowledged, {read_back} read back", thousands(report.events_acknowledged)))
    }
}

fn thousands_of(number: usize) -> String {
    thousands(u64::try_from(number).unwrap_or(u64::MAX))
}

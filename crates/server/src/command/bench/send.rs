//! `annals bench send`: how fast the events of a file are stored.
//!
//! **Invariant:** memory does not grow with the file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use serde::Serialize;

use super::super::output::{Output, terminal_columns};
use super::connection::Sent;
use super::drive::{Ends, Expect, Job, Tally, drive};
use super::load::Corpus;
use super::measure::{Figures, Meter, table};
use super::{Common, Footprint, Machine, Server};

/// Store the events of a file, in batches
///
/// The file holds events as `annals bench events` writes them for the same seed. Reading it is not
/// part of the time that is told.
#[derive(clap::Args)]
#[command(after_help = "Example:
  annals bench send events.ndjson
  annals bench send events.ndjson --against http://127.0.0.1:8080 --key \"$ANNALS_KEY\" --seed 1 --json")]
pub(crate) struct Send {
    #[command(flatten)]
    pub(super) common: Common,
    /// The file, NDJSON
    file: PathBuf,
    /// Events of one request
    #[arg(long, default_value_t = 500, value_parser = super::parse_count)]
    batch: usize,
    /// Connections
    #[arg(long, default_value_t = 4, value_parser = super::parse_count)]
    connections: usize,
}

/// Batches that are read ahead of being sent.
const ROUND_BATCHES: usize = 400;

#[derive(Serialize)]
struct Report {
    bench: &'static str,
    machine: Machine,
    seed: u16,
    parts: Vec<Figures>,
    #[serde(flatten)]
    footprint: Option<Footprint>,
}

/// Reads a file's lines in batches.
struct Batches<R> {
    input: R,
    events: usize,
}

impl Send {
    pub(super) async fn run(&self, out: &mut Output) -> anyhow::Result<()> {
        let mut batches = Batches::open(&self.file, self.batch)?;
        let server = Server::of(&self.common).await?;
        let seed = self.common.seed()?;
        let corpus = Corpus::begin(server.target(), seed).await?;
        let meter = Meter::begin(server.process());
        let ends = Ends { when_done: true, after: None };
        let mut tally = Tally::new()?;
        loop {
            let jobs = batches.by_ref().take(ROUND_BATCHES).collect::<anyhow::Result<Vec<Job>>>()?;
            if jobs.is_empty() {
                break;
            }
            tally.follow(&drive(server.target(), self.connections, jobs, ends).await?)?;
        }
        meter.settle().await;
        let footprint = server.footprint(tally.stored);
        let counted = corpus.count_stored(server.target()).await?;
        ensure!(counted == tally.stored, "{} events were acknowledged, {counted} are there", tally.stored);
        let report = Report {
            bench: "send",
            machine: Machine::this(),
            seed,
            parts: vec![meter.figures("send batches", self.connections, Some(self.batch), &tally)],
            footprint,
        };
        if self.common.json {
            return out.json(&report);
        }
        out.line(&report.machine.sentence())?;
        table(&report.parts).print(terminal_columns(), out)?;
        report.footprint.as_ref().map_or(Ok(()), |footprint| footprint.print(out))
    }
}

impl Batches<BufReader<File>> {
    fn open(path: &Path, events: usize) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
        Ok(Batches { input: BufReader::with_capacity(1 << 20, file), events })
    }
}

impl<R: BufRead> Batches<R> {
    fn batch(&mut self) -> anyhow::Result<Option<Job>> {
        let mut body = Vec::with_capacity(self.events * 700);
        let mut events = 0;
        while events < self.events as u64 {
            if self.input.read_until(b'\n', &mut body).context("can't read the events")? == 0 {
                break;
            }
            if body.last() != Some(&b'\n') {
                bail!("the last line has no end: the file was cut");
            }
            events += 1;
        }
        let sent = Sent::post("/v1/events", "application/x-ndjson", Bytes::from(body));
        Ok((events > 0).then_some(Job { sent, expect: Expect::Stored(events) }))
    }
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = anyhow::Result<Job>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_into_batches_and_the_last_is_smaller() {
        let batches = Batches { input: &b"a\nb\nc\n"[..], events: 2 };
        let jobs: Vec<Job> = batches.collect::<anyhow::Result<_>>().expect("reads");
        let bodies: Vec<&[u8]> = jobs.iter().map(|job| &*job.sent.body).collect();
        assert_eq!(bodies, [&b"a\nb\n"[..], b"c\n"]);
        assert_eq!(jobs[0].expect, Expect::Stored(2));
        assert_eq!(jobs[1].expect, Expect::Stored(1));
    }

    #[test]
    fn a_file_that_was_cut_is_refused() {
        let mut batches = Batches { input: &b"a\nb"[..], events: 2 };
        assert!(batches.next().is_some_and(|batch| batch.is_err()));
    }
}

//! `annals bench events`: the events of a benchmark as NDJSON, for whatever else is to be measured with them.
//!
//! **Invariant:** the lines are those that `annals bench append` sends for the same seed, byte for byte.
//! **Invariant:** memory does not grow with the number of events.

use std::path::PathBuf;

use super::super::output::Output;
use super::generator::Generator;
use super::repeat::Repeater;

/// Write the events of a benchmark as NDJSON, to measure other programs with them
#[derive(clap::Args)]
#[command(after_help = "Example:
  annals bench events --events 1000000 > events.ndjson
  annals bench events --events 1000000 --repeat cloudtrail.ndjson > events.ndjson")]
pub(crate) struct Events {
    /// How many
    #[arg(long, default_value_t = 500_000, value_parser = super::parse_count)]
    events: usize,
    /// What the events are made from
    #[arg(long, default_value_t = 1)]
    seed: u16,
    /// CloudTrail records, one on each line, to be repeated in place of made-up events: with new
    /// ids, request ids and times, over the same organizations
    #[arg(long, value_name = "FILE")]
    repeat: Option<PathBuf>,
}

impl Events {
    pub(super) fn run(&self, out: &mut Output) -> anyhow::Result<()> {
        let mut generator = Generator::new(self.seed);
        let mut repeater = self.repeat.as_deref().map(Repeater::open).transpose()?;
        let mut line = Vec::with_capacity(4_096);
        for _ in 0..self.events {
            line.clear();
            match &mut repeater {
                Some(repeater) => repeater.write(&mut generator, &mut line)?,
                None => {
                    generator.write(&mut line);
                }
            }
            out.bytes(&line)?;
        }
        Ok(())
    }
}

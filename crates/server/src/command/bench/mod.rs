//! `annals bench`: seeded load on a server of its own or on a running one, and what it costs.
//!
//! **Invariant:** a benchmark whose answers are wrong, or whose events are not all there
//! afterwards, fails.

mod append;
mod connection;
mod drive;
mod events;
mod footprint;
mod generator;
mod load;
mod measure;
mod queries;
mod read;
mod repeat;
mod send;
mod server;
mod usage;

use serde::Serialize;

use super::client::{parse_key, parse_url};
use super::output::Output;
use connection::Target;
use footprint::Footprint;
use server::OwnServer;

/// Measure a server under a seeded load
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    Append(append::Append),
    Read(read::Read),
    Send(send::Send),
    Events(events::Events),
}

/// What all benchmarks are told.
#[derive(clap::Args)]
struct Common {
    /// A running server, with a key for all organizations; without it, a server is started in a
    /// temporary folder (TMPDIR says where)
    #[arg(long, value_name = "URL", value_parser = parse_url, requires = "key")]
    against: Option<String>,
    /// The key for --against
    #[arg(long, env = "ANNALS_KEY", hide_env_values = true, value_parser = parse_key)]
    key: Option<String>,
    /// What the events are made from; each seed has organizations of its own [default: 1, or with
    /// --against a random one]
    #[arg(long)]
    seed: Option<u16>,
    /// The figures as one JSON object
    #[arg(long)]
    json: bool,
}

/// The server under load.
enum Server {
    /// Started for it.
    Own(OwnServer),
    /// Running already.
    Running(Target),
}

/// What was measured on.
#[derive(Debug, Serialize)]
struct Machine {
    processor: Option<String>,
    cores: usize,
    version: &'static str,
    is_debug_build: bool,
}

/// Reads a count of at least one.
fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("must be a whole number of at least 1".to_owned()),
    }
}

impl Bench {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Bench::Append(append) => until_stopped(append.run(out)),
            Bench::Read(read) => until_stopped(read.run(out)),
            Bench::Send(send) => until_stopped(send.run(out)),
            Bench::Events(events) => events.run(out),
        }
    }
}

/// Runs a load until it is done, or the process is asked to end.
fn until_stopped(load: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    super::runtime()?.block_on(async {
        let stop = super::stop_signal()?;
        tokio::select! {
            result = load => result,
            // The server that was started goes with the load, and its folder too.
            () = stop => anyhow::bail!("stopped"),
        }
    })
}

impl Common {
    fn seed(&self) -> anyhow::Result<u16> {
        match (self.seed, &self.against) {
            (Some(seed), _) => Ok(seed),
            (None, None) => Ok(1),
            (None, Some(_)) => {
                let mut bytes = [0; 2];
                getrandom::fill(&mut bytes)?;
                Ok(u16::from_be_bytes(bytes))
            }
        }
    }
}

impl Server {
    async fn of(common: &Common) -> anyhow::Result<Server> {
        match (&common.against, &common.key) {
            (Some(url), Some(key)) => Ok(Server::Running(Target::of_url(url, key)?)),
            _ => Ok(Server::Own(OwnServer::start().await?)),
        }
    }

    fn target(&self) -> &Target {
        match self {
            Server::Own(server) => server.target(),
            Server::Running(target) => target,
        }
    }

    fn process(&self) -> Option<u32> {
        match self {
            Server::Own(server) => Some(server.process()),
            Server::Running(_) => None,
        }
    }

    /// What it takes now that it has appended so many events and come to rest, if it was started for it.
    fn footprint(&self, events: u64) -> Option<Footprint> {
        match self {
            Server::Own(server) => Some(Footprint::of(server.process(), &server.data(), events)),
            Server::Running(_) => None,
        }
    }
}

impl Machine {
    fn this() -> Machine {
        Machine {
            processor: usage::processor_name(),
            cores: usage::cores(),
            version: env!("CARGO_PKG_VERSION"),
            is_debug_build: cfg!(debug_assertions),
        }
    }

    fn sentence(&self) -> String {
        let processor = self.processor.as_deref().unwrap_or("unknown processor");
        let build = if self.is_debug_build { " (a debug build: its figures mean nothing)" } else { "" };
        format!("annals {}{build}, {processor}, {} cores, shared by server and load", self.version, self.cores)
    }
}

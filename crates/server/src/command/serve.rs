//! `annals serve`: runs the server.

use std::path::PathBuf;

use crate::config::{Config, Overrides, SEAL_EVENTS_MAX};

/// Run the server until SIGTERM or SIGINT
///
/// Then it finishes the requests it has, commits, and ends. ANNALS_ADMIN_KEY in the environment, at
/// least 32 characters, is accepted as a key for all organizations with all scopes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Serve {
    /// The folder that holds everything; made if it isn't there [default: ./annals-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The name in the origins of logs, fixed at the first start [default: the listen address]
    #[arg(long, value_name = "SERVER")]
    name: Option<String>,
    /// Memory that is kept for what was read of sealed events, in MiB, on top of all else: the more of what
    /// is asked for fits in, the less is read from disk [default: 256]
    #[arg(long, value_name = "MIB")]
    cache_mib: Option<usize>,
    /// Events after which what was recorded moves from the journal into a sealed segment; fewer need less
    /// memory and a shorter start, and more merging; at most 524288 [default: 262144]
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..=SEAL_EVENTS_MAX))]
    seal_events: Option<u64>,
    /// A file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const EXAMPLE: &str = "Example:
  ANNALS_ADMIN_KEY=\"$(openssl rand -hex 32)\" \\
    annals serve --data ./annals-data --name log.example.com";

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Serve { data, listen, name, cache_mib, seal_events, config } = self;
        let overrides = Overrides { data, listen, name, cache_mib, seal_events, config };
        let config = Config::load(&overrides)?;
        super::runtime()?.block_on(crate::serve::run_until_signal(config))
    }
}

//! `annals serve`: runs the server.

use std::path::PathBuf;

use crate::config::{Config, Overrides};

/// Run the server until SIGTERM or SIGINT
///
/// Then it finishes the requests it has, commits, and ends. ANNALS_ADMIN_KEY in the environment
/// is accepted as a key for all organizations with all scopes.
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
    /// A file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const EXAMPLE: &str = "Example:
  ANNALS_ADMIN_KEY=\"$(openssl rand -hex 32)\" \\
    annals serve --data ./annals-data --name log.example.com";

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let overrides = Overrides { data: self.data, listen: self.listen, name: self.name, config: self.config };
        let config = Config::load(&overrides)?;
        super::runtime()?.block_on(crate::serve::run_until_signal(config))
    }
}

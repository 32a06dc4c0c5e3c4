//! The commands of the `annals` binary, one file each, and what they share.
//!
//! **Invariant:** results go to standard output, everything else to standard error; the exit
//! status is 0 for success, 1 for a failure and 2 for wrong usage, or a check that could not be made.
//! **Invariant:** a reader that closes the pipe early, such as `head`, ends a command quietly.

mod append;
mod backup;
mod batch;
mod bench;
mod client;
mod demo;
mod events;
mod filters;
mod frame;
mod fsck;
mod get;
mod key;
mod list;
mod organization;
mod output;
mod retry;
mod serve;
mod table;
mod tail;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use output::{ClosedPipe, Output};

/// An audit-log server: records who did what, and reads it back through its own API and through
/// the audit-log APIs of five vendors.
#[derive(Parser)]
#[command(name = "annals", version, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = "Example:
  annals demo                      try it with sample events
  annals serve --data ./annals-data";

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Append(append::Append),
    List(list::List),
    Get(get::Get),
    Tail(tail::Tail),
    Fsck(fsck::Fsck),
    Backup(backup::Backup),
    #[command(subcommand, after_help = "Example:\n  annals key list")]
    Key(key::Key),
    #[command(subcommand, after_help = "Example:\n  annals organization list")]
    Organization(organization::Organization),
    #[command(subcommand, after_help = "Example:\n  annals bench append")]
    Bench(bench::Bench),
}

impl Command {
    fn run(self, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Command::Serve(serve) => serve.run(),
            Command::Demo(demo) => demo.run(out),
            Command::Append(append) => append.run(out),
            Command::List(list) => list.run(out),
            Command::Get(get) => get.run(out),
            Command::Tail(tail) => tail.run(out),
            Command::Fsck(fsck) => fsck.run(out),
            Command::Backup(backup) => backup.run(out),
            Command::Key(key) => key.run(out),
            Command::Organization(organization) => organization.run(out),
            Command::Bench(bench) => bench.run(out),
        }
    }
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads to its end is not a failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut out = Output::stdout();
    match cli.command.run(&mut out).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ClosedPipe>() => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("annals: {error:#}"));
            if error.is::<fsck::Unchecked>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Ends when the process is asked to, by SIGTERM or SIGINT; asked for from the call on.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("can't wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't wait for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The runtime of the commands that serve, or load a server over many connections.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start the runtime")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_has_an_example_in_its_help() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has no example", command.get_name());
            command.get_subcommands().for_each(check);
        }
        let cli = Cli::command();
        cli.clone().debug_assert();
        check(&cli);
    }

    #[test]
    fn the_key_in_the_environment_is_not_shown_by_help() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments().filter(|argument| argument.get_id() == "key") {
                assert!(argument.is_hide_env_values_set(), "{} shows the key", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}

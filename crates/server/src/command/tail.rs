//! `annals tail`: the last events, and then each as it comes.
//!
//! **Invariant:** every event that matches is printed once, in the order of the log, whatever becomes of
//! the connection meanwhile: what is asked for next goes on where the last answer ended.

use std::time::Duration;

use annals_model::limits;
use anyhow::Context;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::client::{Answer, Client, Connection, is_broken_connection, query};
use super::events::{Events, OrderedBy};
use super::filters::{Filters, VALUES};
use super::output::{self, Output, note};
use super::retry::pause;

/// Print the last events, and then each as it comes
///
/// Ends with Ctrl-C, or when nobody reads its output any more. It goes on where it was when the server
/// can't be reached for a while. In the order of the log, the newest last; without --organization over all
/// that the key may read.
#[derive(clap::Args)]
#[command(after_help = format!("{VALUES}\n\n{EXAMPLE}"))]
pub(crate) struct Tail {
    #[command(flatten)]
    connection: Connection,
    /// The organization whose events are followed; without it, all that the key may read
    #[arg(long)]
    organization: Option<String>,
    /// How many of the events that are there already are printed first
    #[arg(short = 'n', long = "lines", value_name = "EVENTS", default_value_t = 10)]
    lines: u64,
    /// One event a line, as the server gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

const EXAMPLE: &str = "Example:
  annals tail --organization acme --action 'flag.*'
  annals tail -n 0 --json | while read -r event; do echo \"$event\"; done";

/// How long to wait before asking for more.
const INTERVAL: Duration = Duration::from_millis(500);
/// The longest wait while the server does not answer as it should.
const INTERVAL_MAX: Duration = Duration::from_secs(15);
/// How many events one answer has at most.
const PAGE_EVENTS: usize = limits::PAGE_EVENTS_MAX;

#[derive(Deserialize)]
struct Page {
    events: Vec<Box<RawValue>>,
    total: Option<u64>,
    next_cursor: Option<String>,
}

/// Asks for one page after the other.
struct Follower {
    client: Client,
    /// What every request says.
    parameters: Vec<(&'static str, String)>,
    /// Where the next page begins.
    place: (&'static str, String),
}

impl Tail {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        super::runtime()?.block_on(async {
            let stop = super::stop_signal()?;
            let closed = output::closed()?;
            let mut events = Events::new(self.json, self.organization.is_none(), OrderedBy::Recorded);
            let (pages, mut coming) = mpsc::channel(1);
            // Not awaited: it may be in the middle of a request when this ends.
            std::thread::Builder::new()
                .name("annals-tail".to_owned())
                .spawn(move || self.follow(&pages))
                .context("can't start a thread")?;
            let print = async {
                while let Some(page) = coming.recv().await {
                    events.print(&page?, out)?;
                    out.flush()?;
                }
                Ok(())
            };
            tokio::select! {
                printed = print => printed,
                () = stop => Ok(()),
                closed = closed => closed,
            }
        })
    }

    /// Sends events until there is nobody who takes them, or the server refuses.
    fn follow(self, pages: &mpsc::Sender<anyhow::Result<Vec<Box<RawValue>>>>) {
        let mut follower = match self.begin() {
            Ok(follower) => follower,
            // Whoever would be told has gone.
            Err(error) => return drop(pages.blocking_send(Err(error))),
        };
        loop {
            let page = follower.next();
            let failed = page.is_err();
            let was_all = page.as_ref().is_ok_and(|page| page.len() < PAGE_EVENTS);
            if pages.blocking_send(page).is_err() || failed {
                return;
            }
            if was_all {
                pause(INTERVAL);
            }
        }
    }

    /// Finds where the last events begin. What fails here was never right, so it is not tried again.
    fn begin(self) -> anyhow::Result<Follower> {
        let organization = self.organization.map(|id| ("organization", id));
        let order = ("order", "oldest".to_owned());
        let parameters = organization.into_iter().chain(self.filters.pairs).chain([order]).collect();
        let client = Client::new(&self.connection);
        let mut follower = Follower { client, parameters, place: ("offset", "0".to_owned()) };
        let first: Page = follower.client.get(&follower.path(&[("limit", "1")]))?.accepted()?.json()?;
        let total = first.total.context("the server's answer has no total")?;
        follower.place.1 = total.saturating_sub(self.lines).to_string();
        Ok(follower)
    }
}

impl Follower {
    fn path(&self, more: &[(&str, &str)]) -> String {
        let pairs = self.parameters.iter().chain([&self.place]).map(|(name, value)| (*name, value.as_str()));
        format!("/v1/events?{}", query(pairs.chain(more.iter().copied())))
    }

    /// The events that come next, if there are any by now. Asks until it is answered.
    fn next(&mut self) -> anyhow::Result<Vec<Box<RawValue>>> {
        let path = self.path(&[("limit", &PAGE_EVENTS.to_string()), ("total", "none")]);
        let mut wait = INTERVAL;
        loop {
            let answer = self.client.get(&path);
            let why = match &answer {
                Ok(answer) if is_passing(answer) => answer.refusal().to_string(),
                Err(error) if is_broken_connection(error) => format!("{error:#}"),
                _ => {
                    let page: Page = answer?.accepted()?.json()?;
                    let next = page.next_cursor.context("the server's answer has no cursor")?;
                    self.place = ("cursor", next);
                    return Ok(page.events);
                }
            };
            let asked_for = answer.ok().and_then(|answer| answer.retry_after).unwrap_or_default();
            let waits = wait.max(asked_for).min(INTERVAL_MAX);
            note(&format!("{why}; trying again in {} s", waits.as_secs_f32()));
            pause(waits);
            wait = wait.saturating_mul(2);
        }
    }
}

/// Whether the same request may be answered another time.
fn is_passing(answer: &Answer) -> bool {
    answer.status == 429 || answer.status >= 500
}

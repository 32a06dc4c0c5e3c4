//! `annals list`: one page of events, or all of them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Client, Connection, query};
use super::events::{Events, OrderedBy};
use super::filters::{Filters, VALUES};
use super::output::{Output, counted, note, thousands};

/// List events
///
/// The time that they are ordered by comes first: when each was recorded, or when it occurred. Where the
/// other one differs by more than a second it stands beside it: its time on the same day, else its day.
#[derive(clap::Args)]
#[command(after_help = format!("{VALUES}\n\n{EXAMPLE}"))]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
    /// The organization whose events are listed; without it, all that the key may read
    #[arg(long)]
    organization: Option<String>,
    /// Which come first
    #[arg(long, value_enum, default_value_t = Order::Newest)]
    order: Order,
    /// How many events a page has [default: 100; 1000 with --all]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: Option<u16>,
    /// Go on where a former page ended; the filters must be the same
    #[arg(long)]
    cursor: Option<String>,
    /// All pages
    #[arg(long)]
    all: bool,
    /// One event a line, as the server gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

const EXAMPLE: &str = "Example:
  annals list --organization acme --action 'flag.*' --actor_email '!ci@acme.example'
  annals list --organization acme --q 'checkout' --all --json > checkout.ndjson";

#[derive(Clone, Copy, clap::ValueEnum)]
enum Order {
    /// The last recorded first
    Newest,
    /// The first recorded first
    Oldest,
    /// The last to have occurred first
    Occurred,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Box<RawValue>>,
    total: Option<u64>,
    next_cursor: Option<String>,
}

impl List {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let client = Client::new(&self.connection);
        let mut printed = 0;
        let ordered_by = match self.order {
            Order::Newest | Order::Oldest => OrderedBy::Recorded,
            Order::Occurred => OrderedBy::Occurred,
        };
        let mut events = Events::new(self.json, self.organization.is_none(), ordered_by);
        let mut cursor = self.cursor.clone();
        loop {
            let path = format!("/v1/events?{}", self.parameters(cursor.as_deref()));
            let page: Page = client.get(&path)?.accepted()?.json()?;
            let count = u64::try_from(page.events.len()).unwrap_or(u64::MAX);
            printed += count;
            events.print(&page.events, out)?;
            out.flush()?;
            // The end of a list by the oldest has a cursor too, to ask for what comes next.
            let is_end = page.next_cursor.is_none() || count == 0;
            if !self.all || is_end {
                tell(printed, &page, self.all);
                return Ok(());
            }
            cursor = page.next_cursor;
        }
    }

    fn parameters(&self, cursor: Option<&str>) -> String {
        let limit = self.limit.unwrap_or(if self.all { 1_000 } else { 100 }).to_string();
        let order = match self.order {
            Order::Newest => "newest",
            Order::Oldest => "oldest",
            Order::Occurred => "occurred",
        };
        let organization = self.organization.as_deref().map(|id| ("organization", id));
        let filters = self.filters.pairs.iter().map(|(name, value)| (*name, value.as_str()));
        let place = [("order", order), ("limit", limit.as_str())];
        let cursor = cursor.map(|cursor| ("cursor", cursor));
        query(organization.into_iter().chain(filters).chain(place).chain(cursor))
    }
}

fn tell(printed: u64, page: &Page, all: bool) {
    let is_whole = all || page.events.is_empty() || page.total == Some(printed);
    let of = page.total.map(|total| format!(" of {}", thousands(total))).unwrap_or_default();
    let next = page.next_cursor.as_ref().filter(|_| !is_whole);
    let hint = next.map(|cursor| format!("; next page: --cursor {cursor} (or --all)")).unwrap_or_default();
    note(&format!("{}{of}{hint}", counted(printed, "event")));
}

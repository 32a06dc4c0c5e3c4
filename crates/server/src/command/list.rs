//! `annals list`: one page of events, or all of them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Client, Connection, query};
use super::filters::{Filters, VALUES};
use super::output::{Output, counted, note, terminal_columns, thousands};
use super::table::Table;

/// List events
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

/// What the table shows of an event; an erased member is absent.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    organization: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    time_occurred: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    actor: Part,
    #[serde(default)]
    targets: Vec<Part>,
    #[serde(default)]
    request: Part,
}

/// What the table shows of an actor, a target or a request.
#[derive(Default, Deserialize)]
struct Part {
    r#type: Option<String>,
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    status: Option<u16>,
}

impl List {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let client = Client::new(&self.connection);
        let mut printed = 0;
        let mut table: Option<(Table, bool)> = None;
        let mut cursor = self.cursor.clone();
        loop {
            let path = format!("/v1/events?{}", self.parameters(cursor.as_deref()));
            let page: Page = client.get(&path)?.accepted()?.json()?;
            let events = u64::try_from(page.events.len()).unwrap_or(u64::MAX);
            printed += events;
            if self.json {
                for event in &page.events {
                    out.line(event.get())?;
                }
            } else {
                self.print(&page, &mut table, out)?;
            }
            out.flush()?;
            // The end of a list by the oldest has a cursor too, to ask for what comes next.
            let is_end = page.next_cursor.is_none() || events == 0;
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

    fn print(&self, page: &Page, table: &mut Option<(Table, bool)>, out: &mut Output) -> anyhow::Result<()> {
        let events: Vec<Shown> =
            page.events.iter().map(|event| serde_json::from_str(event.get())).collect::<Result<_, _>>()?;
        let is_first = table.is_none();
        let (table, over_all) = table.get_or_insert_with(|| {
            let over_all = self.organization.is_none();
            let header = ["time", "organization", "actor", "action", "target", "status", "id"];
            (Table::new(header.into_iter().filter(|name| over_all || *name != "organization")), over_all)
        });
        for event in &events {
            table.row(cells(event, *over_all));
        }
        let columns = terminal_columns();
        if is_first && !events.is_empty() {
            out.line(&table.header(columns))?;
        }
        table.lines(columns).iter().try_for_each(|line| out.line(line))
    }
}

fn cells(event: &Shown, over_all: bool) -> impl Iterator<Item = String> {
    let actor = [&event.actor.email, &event.actor.name, &event.actor.id].into_iter().flatten().next();
    let status = event.request.status.map(|status| status.to_string());
    [
        Some(moment(&event.time_occurred)),
        over_all.then(|| event.organization.clone()),
        Some(actor.cloned().unwrap_or_default()),
        Some(event.action.clone()),
        Some(targets(&event.targets)),
        Some(status.unwrap_or_default()),
        Some(event.id.clone()),
    ]
    .into_iter()
    .flatten()
}

/// A time to the second, as people read it.
fn moment(time: &str) -> String {
    let seconds: String = time.chars().take("2026-11-20T09:46:08".len()).collect();
    format!("{}Z", seconds.replace('T', " "))
}

/// The first target, and how many more there are.
fn targets(targets: &[Part]) -> String {
    let Some((first, more)) = targets.split_first() else {
        return String::new();
    };
    let name = first.name.as_ref().or(first.id.as_ref());
    let mut text = [first.r#type.as_ref(), name].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    if !more.is_empty() {
        text.push_str(&format!(" +{}", more.len()));
    }
    text
}

fn tell(printed: u64, page: &Page, all: bool) {
    let of = page.total.map(|total| format!(" of {}", thousands(total))).unwrap_or_default();
    let next = page.next_cursor.as_ref().filter(|_| !all && !page.events.is_empty());
    let hint = next.map(|cursor| format!("; next page: --cursor {cursor} (or --all)")).unwrap_or_default();
    note(&format!("{}{of}{hint}", counted(printed, "event")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, over_all: bool, expect: &[&str]) {
        let event: Shown = serde_json::from_str(event).expect("an event");
        assert_eq!(cells(&event, over_all).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_row_shows_the_best_there_is() {
        let full = r#"{"organization":"acme","id":"e1","action":"flag.update","time_occurred":"2026-11-20T09:46:08.123456Z",
            "actor":{"type":"user","id":"usr_1","name":"Iku","email":"iku@example.com"},
            "targets":[{"type":"flag","id":"new-checkout","name":"New checkout"},{"id":"b"}],
            "request":{"method":"PUT","status":200}}"#;
        let rest = ["iku@example.com", "flag.update", "flag New checkout +1", "200", "e1"];
        check(full, false, &[&["2026-11-20 09:46:08Z"], &rest[..]].concat());
        check(full, true, &[&["2026-11-20 09:46:08Z", "acme"], &rest[..]].concat());
        let least = r#"{"action":"a","time_occurred":"2026-11-20T09:46:08.000000Z"}"#;
        check(least, false, &["2026-11-20 09:46:08Z", "", "a", "", "", ""]);
    }
}

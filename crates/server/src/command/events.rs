//! Events as commands print them: a line of a table, or JSON as the server gives it.

use annals_model::Time;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::output::{Output, terminal_columns};
use super::table::Table;

/// Prints events, page after page.
pub(crate) struct Events {
    json: bool,
    over_all: bool,
    ordered_by: OrderedBy,
    /// Whether the other time is shown too, of events where it is another.
    both_times: bool,
    table: Table,
    begun: bool,
}

/// The time that events are in the order of, which is the one that is shown first.
#[derive(Clone, Copy)]
pub(crate) enum OrderedBy {
    /// When the server recorded them.
    Recorded,
    /// When they occurred.
    Occurred,
}

/// What the table shows of an event; an erased member is absent.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    organization: String,
    #[serde(default)]
    id: String,
    time_recorded: Time,
    time_occurred: Option<Time>,
    #[serde(default)]
    action: String,
    #[serde(default)]
    actor: Part,
    #[serde(default)]
    targets: Vec<Part>,
    #[serde(default)]
    request: Part,
}

/// Times that differ by no more are shown as one.
const SAME_US: u64 = 1_000_000;

/// What the table shows of an actor, a target or a request.
#[derive(Default, Deserialize)]
struct Part {
    r#type: Option<String>,
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    status: Option<u16>,
}

impl Events {
    /// Prints JSON, or a table, which names the organization where events are `over_all`.
    pub(crate) fn new(json: bool, over_all: bool, ordered_by: OrderedBy) -> Events {
        let table = table(over_all, ordered_by, false);
        Events { json, over_all, ordered_by, both_times: false, table, begun: false }
    }

    /// Prints the next events, one a line, under a header before the first. The first page with an event
    /// that was recorded at another time than it occurred has a header of its own, and both times from
    /// there on.
    pub(crate) fn print(&mut self, events: &[Box<RawValue>], out: &mut Output) -> anyhow::Result<()> {
        if self.json {
            return events.iter().try_for_each(|event| out.line(event.get()));
        }
        let shown: Vec<Shown> =
            events.iter().map(|event| serde_json::from_str(event.get())).collect::<Result<_, _>>()?;
        if !self.both_times && shown.iter().any(Shown::has_two_times) {
            self.both_times = true;
            self.table = table(self.over_all, self.ordered_by, true);
            self.begun = false;
        }
        for event in &shown {
            self.table.row(self.cells(event));
        }
        let columns = terminal_columns();
        if !self.begun && !events.is_empty() {
            out.line(&self.table.header(columns))?;
            self.begun = true;
        }
        self.table.lines(columns).iter().try_for_each(|line| out.line(line))
    }

    fn cells(&self, event: &Shown) -> Vec<String> {
        let actor = [&event.actor.email, &event.actor.name, &event.actor.id].into_iter().flatten().next();
        let status = event.request.status.map(|status| status.to_string());
        let recorded = moment(event.time_recorded);
        let occurred = event.time_occurred.map_or_else(|| recorded.clone(), moment);
        let (first, second) = match self.ordered_by {
            OrderedBy::Recorded => (&recorded, &occurred),
            OrderedBy::Occurred => (&occurred, &recorded),
        };
        let second = if event.has_two_times() { beside(first, second) } else { "" };
        let times = [Some(first.clone()), self.both_times.then(|| second.to_owned())];
        let rest = [
            self.over_all.then(|| event.organization.clone()),
            Some(actor.cloned().unwrap_or_default()),
            Some(event.action.clone()),
            Some(targets(&event.targets)),
            Some(status.unwrap_or_default()),
            Some(event.id.clone()),
        ];
        times.into_iter().chain(rest).flatten().collect()
    }
}

impl Shown {
    fn has_two_times(&self) -> bool {
        self.time_occurred.is_some_and(|occurred| occurred.us().abs_diff(self.time_recorded.us()) > SAME_US)
    }
}

fn table(over_all: bool, ordered_by: OrderedBy, both_times: bool) -> Table {
    let times = match ordered_by {
        OrderedBy::Recorded => ["recorded", "occurred"],
        OrderedBy::Occurred => ["occurred", "recorded"],
    };
    let times = times.into_iter().take(if both_times { 2 } else { 1 });
    let organization = over_all.then_some("organization");
    let rest = ["actor", "action", "target", "status", "id"];
    Table::new(times.clone().chain(organization).chain(rest)).whole(times.len())
}

/// A time to the second, as people read it.
fn moment(time: Time) -> String {
    let seconds: String = time.format().chars().take("2026-11-20T09:46:08".len()).collect();
    format!("{}Z", seconds.replace('T', " "))
}

/// As much of a moment as says how it differs from another: the time on the same day, else the day.
fn beside<'m>(other: &str, moment: &'m str) -> &'m str {
    let (day, time) = moment.split_once(' ').unwrap_or((moment, ""));
    if other.starts_with(day) { time } else { day }
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    const OCCURRED: &str = "2026-11-20 09:46:08Z";

    fn check(event: &str, events: &Events, expect: &[&str]) {
        let event: Shown = serde_json::from_str(event).expect("an event");
        assert_eq!(events.cells(&event), expect);
    }

    #[test]
    fn a_row_shows_the_best_there_is() {
        let full = r#"{"organization":"acme","id":"e1","action":"flag.update","time_occurred":"2026-11-20T09:46:08.123456Z",
            "time_recorded":"2026-11-20T09:46:09.000000Z",
            "actor":{"type":"user","id":"usr_1","name":"Iku","email":"iku@example.com"},
            "targets":[{"type":"flag","id":"new-checkout","name":"New checkout"},{"id":"b"}],
            "request":{"method":"PUT","status":200}}"#;
        let rest = ["iku@example.com", "flag.update", "flag New checkout +1", "200", "e1"];
        let recorded = "2026-11-20 09:46:09Z";
        check(full, &Events::new(false, false, OrderedBy::Recorded), &[&[recorded], &rest[..]].concat());
        check(full, &Events::new(false, true, OrderedBy::Occurred), &[&[OCCURRED, "acme"], &rest[..]].concat());
        let least = r#"{"action":"a","time_recorded":"2026-11-20T09:46:09.000000Z"}"#;
        check(least, &Events::new(false, false, OrderedBy::Recorded), &[recorded, "", "a", "", "", ""]);
    }

    /// What is printed of events with these times recorded and occurred, page after page.
    fn printed(ordered_by: OrderedBy, pages: &[&[(&str, &str)]]) -> String {
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut out = Output::to(Box::new(Written(Arc::clone(&written))));
        let mut events = Events::new(false, false, ordered_by);
        for page in pages {
            let event = |(recorded, occurred): &(&str, &str)| {
                let text = format!(
                    r#"{{"action":"a","time_recorded":"2026-11-{recorded}Z","time_occurred":"2026-11-{occurred}Z"}}"#
                );
                RawValue::from_string(text).expect("JSON")
            };
            events.print(&page.iter().map(event).collect::<Vec<_>>(), &mut out).expect("prints");
        }
        out.flush().expect("prints");
        String::from_utf8(written.lock().expect("no panic").clone()).expect("UTF-8")
    }

    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_time_of_the_order_is_shown_and_the_other_where_it_differs() {
        let near: &[_] = &[("20T09:46:08.9", "20T09:46:07.9"), ("20T09:46:09", "20T09:46:09")];
        let far: &[_] = &[("20T23:59:10.000001", "20T23:59:09"), ("21T00:00:00", "20T23:59:58"), near[1]];
        let one = [
            "recorded              actor  action  target  status  id",
            "2026-11-20 09:46:08Z         a",
            "2026-11-20 09:46:09Z         a",
        ];
        let both = [
            "recorded              occurred    actor  action  target  status  id",
            "2026-11-20 23:59:10Z  23:59:09Z          a",
            "2026-11-21 00:00:00Z  2026-11-20         a",
            "2026-11-20 09:46:09Z                     a",
        ];
        let occurred = [
            "occurred              recorded    actor  action  target  status  id",
            "2026-11-20 23:59:09Z  23:59:10Z          a",
            "2026-11-20 23:59:58Z  2026-11-21         a",
            "2026-11-20 09:46:09Z                     a",
        ];
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(printed(OrderedBy::Recorded, &[near])), one);
        assert_eq!(lines(printed(OrderedBy::Occurred, &[far])), occurred);
        // A later page needs the other time, and those after it keep its place.
        let pages = lines(printed(OrderedBy::Recorded, &[near, &[], far, &near[1..]]));
        assert_eq!(pages, [&one[..], &both[..], &both[3..]].concat());
    }
}

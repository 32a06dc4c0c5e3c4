//! Events as commands print them: a line of a table, or JSON as the server gives it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::output::{Output, terminal_columns};
use super::table::Table;

/// Prints events, page after page.
pub(crate) struct Events {
    json: bool,
    over_all: bool,
    table: Table,
    begun: bool,
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

impl Events {
    /// Prints JSON, or a table, which names the organization where events are `over_all`.
    pub(crate) fn new(json: bool, over_all: bool) -> Events {
        let header = ["time", "organization", "actor", "action", "target", "status", "id"];
        let table = Table::new(header.into_iter().filter(|name| over_all || *name != "organization"));
        Events { json, over_all, table, begun: false }
    }

    /// Prints the next events, one a line, under a header before the first.
    pub(crate) fn print(&mut self, events: &[Box<RawValue>], out: &mut Output) -> anyhow::Result<()> {
        if self.json {
            return events.iter().try_for_each(|event| out.line(event.get()));
        }
        for event in events {
            self.table.row(cells(&serde_json::from_str(event.get())?, self.over_all));
        }
        let columns = terminal_columns();
        if !self.begun && !events.is_empty() {
            out.line(&self.table.header(columns))?;
            self.begun = true;
        }
        self.table.lines(columns).iter().try_for_each(|line| out.line(line))
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

//! A log in memory that answers calls by the filter's own meaning: slow, and plainly right.

use std::cmp::Ordering;
use std::sync::Arc;

use annals_model::{
    Call, Content, Cursor, Direction, Event, Fault, Filter, Order, OrderField, Outcome, Page, PageQuery, Reach, Start,
    Time, Value, parse_content,
};

/// Some events and what they say.
pub(crate) struct Log(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    event: Event,
    content: Content,
}

/// What a call comes to.
pub(crate) enum Answered {
    /// An outcome.
    Outcome(Outcome),
    /// All events of an export.
    Export(Vec<Event>),
}

/// The event that holds a content.
pub(crate) fn event(organization: &str, index: u64, time_recorded: Time, content: &Content) -> Event {
    Event {
        organization: Arc::from(organization),
        index,
        position: index,
        time_recorded,
        canonical: content.canonical().text.into(),
    }
}

impl Log {
    /// Reads an `events.ndjson`.
    pub(crate) fn parse(organization: &str, text: &str) -> Log {
        Log(text.lines().map(|line| Entry::parse(organization, line)).collect())
    }

    /// The actions of all events.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| entry.content.action.as_str())
    }

    /// What a call comes to.
    pub(crate) fn answer(&self, call: &Call) -> Result<Answered, Fault> {
        match call {
            Call::Append(_) => panic!("the golden log is read only"),
            Call::Page(query) => Ok(Answered::Outcome(Outcome::Page(self.page(query)))),
            Call::Get { organization, id } => self
                .0
                .iter()
                .find(|entry| entry.event.organization == *organization && entry.content.id == *id)
                .map(|entry| Answered::Outcome(Outcome::Event(entry.event.clone())))
                .ok_or_else(|| Fault::not_found("there is no event by that id")),
            Call::Export(export) => {
                let found = self.find(&export.reach, &export.filter, &export.order);
                Ok(Answered::Export(found.into_iter().map(|entry| entry.event).collect()))
            }
        }
    }

    fn find(&self, reach: &Reach, filter: &Filter, order: &Order) -> Vec<Entry> {
        let reached = |entry: &&Entry| match reach {
            Reach::Organization(organization) => entry.event.organization == *organization,
            Reach::All => true,
        };
        let wanted = |entry: &&Entry| filter.matches(&entry.content, entry.event.time_recorded);
        let mut found: Vec<Entry> = self.0.iter().filter(reached).filter(wanted).cloned().collect();
        found.sort_by(|a, b| compare(a, b, order));
        found
    }

    fn page(&self, query: &PageQuery) -> Page {
        let found = self.find(&query.reach, &query.filter, &query.order);
        let total = found.len() as u64;
        let place = |position| found.iter().position(|entry| Some(entry.event.position) == position);
        let from = match query.start {
            Start::Offset(offset) => usize::try_from(offset).unwrap_or(usize::MAX).min(found.len()),
            Start::Cursor(cursor) if cursor.backward => {
                place(cursor.place).map_or(0, |edge| edge.saturating_sub(query.limit))
            }
            Start::Cursor(cursor) => place(cursor.place).map_or(0, |edge| edge + 1),
        };
        let until = match query.start {
            Start::Cursor(cursor) if cursor.backward => place(cursor.place).unwrap_or(0),
            _ => from.saturating_add(query.limit).min(found.len()),
        };
        let shown = &found[from..until];
        let cursor = |backward: bool, edge: Option<&Entry>| {
            edge.map(|entry| Cursor {
                fingerprint: query.fingerprint(),
                backward,
                snapshot: self.0.len() as u64,
                total: query.total.then_some(total),
                store: 0,
                place: Some(entry.event.position),
                time: entry.content.time_shown(entry.event.time_recorded),
                status: entry.content.request.status.unwrap_or(0),
            })
        };
        Page {
            events: shown.iter().map(|entry| entry.event.clone()).collect(),
            total: query.total.then_some(total),
            next: if until < found.len() { cursor(false, shown.last()) } else { None },
            previous: if from > 0 { cursor(true, shown.first()) } else { None },
        }
    }
}

impl Entry {
    fn parse(organization: &str, line: &str) -> Entry {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let number = |name: &str| line[name].as_u64().unwrap_or_else(|| panic!("{name} is a number in {line}"));
        let recorded = line["time_recorded"].as_str().expect("time_recorded is a text");
        let value = Value::parse(line["event"].to_string().as_bytes()).expect("an event's JSON");
        let new = parse_content(value).unwrap_or_else(|fault| panic!("{fault}: {line}"));
        let content = Content { id: new.id.expect("a stored event has an id"), ..new.content };
        let event = Event {
            position: number("position"),
            ..event(organization, number("index"), Time::parse(recorded).expect("a time"), &content)
        };
        Entry { event, content }
    }
}

fn compare(a: &Entry, b: &Entry, order: &Order) -> Ordering {
    let key = |entry: &Entry, field| match field {
        OrderField::Place => i128::from(entry.event.position),
        OrderField::TimeOccurred => i128::from(entry.content.time_shown(entry.event.time_recorded).us()),
        OrderField::Status => i128::from(entry.content.request.status.unwrap_or(0)),
    };
    let each = |(field, direction): (OrderField, Direction)| match direction {
        Direction::Ascending => key(a, field).cmp(&key(b, field)),
        Direction::Descending => key(b, field).cmp(&key(a, field)),
    };
    order.whole().into_iter().map(each).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

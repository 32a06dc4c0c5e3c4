//! A ledger to test with: a clock that is set by hand, and short ways to append and to read.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use annals_ledger::{Clock, Ledger, Masking, OpenError, Options};
use annals_model::{
    Actor, Appended, Event, Fault, Filter, NewEvent, NewOrganization, Order, Page, PageQuery, Reach, Start, Time,
    Value, parse_content,
};
use annals_store::{Journal, MemoryJournal};

/// A clock that stands still until it is set; both of its hands move together.
pub(crate) struct Hands(AtomicI64);

pub(crate) const START_S: i64 = 1_700_000_000;

impl Hands {
    pub(crate) fn new() -> Arc<Hands> {
        Arc::new(Hands(AtomicI64::new(START_S * 1_000_000)))
    }

    pub(crate) fn forward_us(&self, us: i64) {
        self.0.fetch_add(us, Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_us(self.0.load(Relaxed))
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.0.load(Relaxed)).expect("after 1970")
    }
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

pub(crate) fn try_open(journal: Arc<dyn Journal>, clock: Arc<Hands>) -> Result<Ledger, OpenError> {
    Ledger::open(journal, clock, Options { default_name: "annals.example".into(), ..Options::default() })
}

pub(crate) fn open(journal: Arc<dyn Journal>, clock: Arc<Hands>) -> Ledger {
    try_open(journal, clock).unwrap_or_else(|error| panic!("{error:?}"))
}

/// A ledger in memory with the organizations `acme` and `globex`.
pub(crate) fn ledger() -> (Ledger, Arc<MemoryJournal>, Arc<Hands>) {
    let (journal, clock) = (Arc::new(MemoryJournal::new()), Hands::new());
    let ledger = open(Arc::clone(&journal) as Arc<dyn Journal>, Arc::clone(&clock));
    for id in ["acme", "globex"] {
        create(&ledger, id);
    }
    (ledger, journal, clock)
}

pub(crate) fn create(ledger: &Ledger, id: &str) {
    let new = NewOrganization { id: id.into(), ..NewOrganization::default() };
    wait(ledger.create_organization(new, Actor::default())).expect("created");
}

pub(crate) fn event(organization: &str, json: &str) -> NewEvent {
    let value = Value::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
    let new = parse_content(value).unwrap_or_else(|error| panic!("{json}: {error}"));
    NewEvent { organization: Some(organization.into()), ..new }
}

pub(crate) fn append(ledger: &Ledger, events: Vec<NewEvent>) -> Result<Vec<Appended>, Fault> {
    let prepared = ledger.prepare(events, Masking::Apply)?;
    wait(ledger.append(prepared))
}

pub(crate) fn append_json(ledger: &Ledger, organization: &str, json: &[&str]) -> Result<Vec<Appended>, Fault> {
    append(ledger, json.iter().map(|json| event(organization, json)).collect())
}

pub(crate) fn query(reach: Reach, filter: Filter, order: Order, limit: usize) -> PageQuery {
    PageQuery { reach, filter, order, start: Start::Offset(0), limit, total: true }
}

pub(crate) fn of(organization: &str) -> Reach {
    Reach::Organization(organization.into())
}

pub(crate) fn page(ledger: &Ledger, query: &PageQuery) -> Page {
    ledger.page(query).unwrap_or_else(|fault| panic!("{query:?}: {fault}"))
}

/// All events of a reach, the first committed first, read by pages of a size.
pub(crate) fn all(ledger: &Ledger, reach: Reach, limit: usize) -> Vec<Event> {
    let mut query = query(reach, Filter::default(), Order::oldest(), limit);
    let mut events = Vec::new();
    loop {
        let page = page(ledger, &query);
        if page.events.is_empty() {
            return events;
        }
        events.extend(page.events);
        query.start = Start::Cursor(page.next.expect("a list with the oldest first goes on"));
    }
}

pub(crate) fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.content().expect("readable").id).collect()
}

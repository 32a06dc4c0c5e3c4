//! A ledger to test with: a clock that is set by hand, and short ways to append and to read.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use annals_ledger::{Clock, Ledger, Masking, OpenError, Options, fsck};
use annals_model::{
    Actor, Appended, Event, Fault, Filter, NewEvent, NewOrganization, Order, Page, PageQuery, Reach, Start, Time,
    Value, parse_content,
};
use annals_store::{Blobs, Journal, MemoryBlobs, MemoryJournal, StateKind};

/// A clock that stands still until it is set; both of its hands move together.
pub(crate) struct Hands {
    us: AtomicI64,
    /// How far it goes on by itself whenever it is asked for the time that passed.
    step_us: AtomicI64,
}

pub(crate) const START_S: i64 = 1_700_000_000;
/// After so many events nothing is sealed.
pub(crate) const NEVER: u64 = u64::MAX;
/// Neighbouring sealed segments that are merged.
pub(crate) const MERGE_FAN: usize = 16;
/// Nothing here takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

impl Hands {
    pub(crate) fn new() -> Arc<Hands> {
        Arc::new(Hands { us: AtomicI64::new(START_S * 1_000_000), step_us: AtomicI64::new(0) })
    }

    pub(crate) fn forward_us(&self, us: i64) {
        self.us.fetch_add(us, Relaxed);
    }

    /// From now on it goes on by so much whenever it is looked at.
    pub(crate) fn step_us(&self, us: i64) {
        self.step_us.store(us, Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_us(self.us.load(Relaxed))
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.us.fetch_add(self.step_us.load(Relaxed), Relaxed)).expect("after 1970")
    }
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Looks again and again until it is so.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "it never came that {what}");
        // Leaves the processors to whoever is waited for.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// What a ledger is opened with: the clock, what is durable, and the options.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) blobs: Arc<MemoryBlobs>,
    pub(crate) clock: Arc<Hands>,
    pub(crate) options: Options,
}

impl Store {
    pub(crate) fn new(seal_events: u64) -> Store {
        Store {
            journal: Arc::new(MemoryJournal::new()),
            blobs: Arc::new(MemoryBlobs::new()),
            clock: Hands::new(),
            options: options(seal_events),
        }
    }

    pub(crate) fn try_open(&self) -> Result<Ledger, OpenError> {
        let (journal, blobs, clock) = (self.journal.clone(), self.blobs.clone(), self.clock.clone());
        Ledger::open(journal, blobs, clock, self.options.clone())
    }

    pub(crate) fn open(&self) -> Ledger {
        self.try_open().unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// The same durable content, without faults to come.
    pub(crate) fn reopen(&self) -> Store {
        let (journal, blobs) = (Arc::new(self.journal.reopen()), Arc::new(self.blobs.reopen()));
        Store { journal, blobs, ..self.clone() }
    }

    /// The same durable content for itself: what a crash at this moment would leave.
    pub(crate) fn snapshot(&self) -> Store {
        loop {
            let journal = self.journal.snapshot();
            let blobs = self.blobs.snapshot();
            // If nothing was committed meanwhile, both are of the moment when the blobs were looked at.
            let last = |journal: MemoryJournal| journal.last().expect("settled");
            if journal.last().expect("settled") == last(self.journal.snapshot()) {
                return Store { journal: Arc::new(journal), blobs: Arc::new(blobs), ..self.clone() };
            }
        }
    }

    /// The sealed segments that the journal names, in the order of positions.
    pub(crate) fn segments(&self) -> Vec<(String, std::ops::Range<u64>)> {
        let named = self.journal.reopen().state(StateKind::Segment).expect("readable");
        let mut segments: Vec<_> = named.into_iter().map(|(name, _)| (name.clone(), positions(&name))).collect();
        segments.sort_by_key(|(_, positions)| positions.start);
        segments
    }

    /// Waits until all that is to be sealed and merged is.
    pub(crate) fn settle(&self, ledger: &Ledger) {
        until("all is sealed and merged", || {
            let segments = self.segments();
            let sealed = segments.last().map_or(0, |(_, positions)| positions.end);
            let unsealed = ledger.health().events - sealed;
            unsealed < self.options.seal_events && segments.len() < MERGE_FAN
        });
    }

    /// What is durable holds together.
    pub(crate) fn check(&self) {
        let blobs: Arc<dyn Blobs> = Arc::new(self.blobs.reopen());
        let mut findings = Vec::new();
        let mut report = |finding: annals_ledger::Finding| findings.push(finding.what);
        let summary = fsck(&self.journal.reopen(), &blobs, &mut report, &mut |_| {}).expect("readable");
        assert_eq!((findings, summary.findings), (Vec::new(), 0));
    }

    /// Whether there is a blob for each name in the journal, and no other.
    pub(crate) fn is_tidy(&self) -> bool {
        let mut blobs: Vec<String> = self.blobs.list().expect("listed").into_iter().map(|blob| blob.name).collect();
        let mut named: Vec<String> = self.segments().into_iter().map(|(name, _)| name).collect();
        blobs.sort();
        named.sort();
        blobs == named
    }
}

/// The positions of a sealed segment, as its blob's name tells them.
pub(crate) fn positions(blob: &str) -> std::ops::Range<u64> {
    let mut parts = blob.split('-').map(str::parse::<u64>);
    let mut next = || parts.next().expect("two numbers").expect("a number");
    next()..next()
}

pub(crate) fn options(seal_events: u64) -> Options {
    Options { default_name: "annals.example".into(), seal_events, ..Options::default() }
}

/// Opens a ledger over a journal of another kind, with blobs in memory.
pub(crate) fn open_over(journal: Arc<dyn Journal>, clock: Arc<Hands>, seal_events: u64) -> Ledger {
    let opened = Ledger::open(journal, Arc::new(MemoryBlobs::new()), clock, options(seal_events));
    opened.unwrap_or_else(|error| panic!("{error:?}"))
}

/// A ledger in memory with the organizations `acme` and `globex`.
pub(crate) fn ledger(seal_events: u64) -> (Ledger, Store) {
    let store = Store::new(seal_events);
    let ledger = store.open();
    for id in ["acme", "globex"] {
        create(&ledger, id);
    }
    (ledger, store)
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

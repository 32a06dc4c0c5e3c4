//! The tail: committed events, indexed in memory.
//!
//! A view is what a reader searches: sealed segments, whose pages lie in blobs; frozen ones in memory;
//! then fresh events, that are scanned. Fresh events lie in buffers whose slots are filled once, in the
//! order of positions. The freezer replaces full buffers by a frozen segment with the same events, and
//! neighbouring frozen ones by one; the sealer replaces frozen ones by a sealed one, and neighbouring
//! sealed ones by one.
//!
//! ```text
//! t0  the commit is durable
//! t1  its events fill slots; a view with a further buffer is published where one was needed
//! t2  `committed` is raised (release)
//! t3  the append is answered
//! ```
//!
//! A reader takes `committed` first (acquire) and the view after it, and looks at nothing at or
//! beyond what it took: so it finds whole every commit up to there (t1 comes before t2), and of a
//! later one nothing. The other way round a view could lack what `committed` promises.
//!
//! **Invariant:** a view's parts follow each other in the order of positions, without gap or
//! overlap, whatever freezer and sealer do.
//! **Invariant:** no buffer and no frozen segment reaches over a mark, where sealing will cut.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use annals_model::Content;
use annals_segment::{EventId, Key, Row, Segment};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::pointers::Pointers;
use crate::sealed::Sealed;

/// Slots of a buffer; a larger commit gets a larger buffer.
pub(crate) const FRESH_ROWS: usize = 1_024;

pub(crate) struct Tail {
    committed: AtomicU64,
    view: RwLock<Arc<View>>,
    pub(crate) logs: Logs,
    pub(crate) signal: Signal,
    /// The secret that ids are hashed with.
    pub(crate) hash_seed: u64,
}

/// What a reader searches, oldest first.
#[derive(Clone, Default)]
pub(crate) struct View {
    pub(crate) sealed: Vec<Arc<Sealed>>,
    pub(crate) frozen: Vec<Segment>,
    pub(crate) fresh: Vec<Arc<Fresh>>,
}

/// A buffer of fresh events.
pub(crate) struct Fresh {
    /// The position of its first row.
    first: u64,
    slots: Box<[OnceLock<FreshRow>]>,
    filled: AtomicUsize,
    ids_span: IdsSpan,
    /// From the hash of log and id to slots.
    ids: RwLock<Pointers>,
}

/// The least and the greatest time that ids carry, and whether some carry none: what may be in a buffer.
struct IdsSpan {
    min_ms: AtomicU64,
    max_ms: AtomicU64,
    others: AtomicBool,
}

impl Default for IdsSpan {
    fn default() -> IdsSpan {
        IdsSpan { min_ms: AtomicU64::new(u64::MAX), max_ms: AtomicU64::new(0), others: AtomicBool::new(false) }
    }
}

impl IdsSpan {
    // Whoever looks has seen `committed` raised after these were, so the weakest order is enough.

    fn add(&self, id: &EventId) {
        match id.carried_ms() {
            Some(ms) => {
                self.min_ms.fetch_min(ms, Ordering::Relaxed);
                self.max_ms.fetch_max(ms, Ordering::Relaxed);
            }
            None => self.others.store(true, Ordering::Relaxed),
        }
    }

    fn may_hold(&self, id: &EventId) -> bool {
        match id.carried_ms() {
            Some(ms) => self.min_ms.load(Ordering::Relaxed) <= ms && ms <= self.max_ms.load(Ordering::Relaxed),
            None => self.others.load(Ordering::Relaxed),
        }
    }
}

/// A fresh event.
pub(crate) struct FreshRow {
    pub(crate) row: Row,
    pub(crate) content: Arc<Content>,
}

impl FreshRow {
    pub(crate) fn key(&self) -> Key {
        Key {
            time: self.content.time_shown(self.row.time_recorded),
            status: self.content.request.status.unwrap_or(0),
            position: self.row.position,
        }
    }
}

impl Tail {
    pub(crate) fn new(hash_seed: u64) -> Tail {
        Tail {
            committed: AtomicU64::new(0),
            view: RwLock::default(),
            logs: Logs::default(),
            signal: Signal::default(),
            hash_seed,
        }
    }

    /// How many events are committed and can be read, over all logs.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// The view; take [`Tail::committed`] first.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the view by what `change` makes of it. Sequencer and freezer both do, so the change
    /// is made under the lock.
    pub(crate) fn publish(&self, change: impl FnOnce(&View) -> View) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let changed = Arc::new(change(&view));
        *view = changed;
    }

    /// Shows the events of one durable commit, in the order of positions.
    pub(crate) fn push(&self, rows: Vec<FreshRow>) {
        let count = rows.len() as u64;
        let mut rows = rows.into_iter();
        if let Some(last) = self.view().fresh.last() {
            let free = last.slots.len() - last.filled.load(Ordering::Relaxed);
            rows.by_ref().take(free).for_each(|row| last.push(row, self));
        }
        if let Some(first) = rows.as_slice().first() {
            let fresh = Arc::new(Fresh::new(first.row.position, rows.len().max(FRESH_ROWS)));
            rows.for_each(|row| fresh.push(row, self));
            self.add_buffer(fresh);
        }
        self.committed.fetch_add(count, Ordering::Release);
    }

    /// Begins a new buffer, so that what was pushed so far can be frozen and sealed on its own. Only the
    /// sequencer calls this.
    pub(crate) fn cut(&self) {
        self.add_buffer(Arc::new(Fresh::new(self.committed(), FRESH_ROWS)));
    }

    fn add_buffer(&self, fresh: Arc<Fresh>) {
        self.publish(|view| {
            let mut view = view.clone();
            view.fresh.push(fresh);
            view
        });
        self.signal.notify();
    }

    /// Begins after what is sealed.
    pub(crate) fn begin(&self, sealed: Vec<Arc<Sealed>>, position: u64) {
        self.publish(|_| View { sealed, ..View::default() });
        self.committed.store(position, Ordering::Release);
    }

    pub(crate) fn id_hash(&self, log: u32, id: &str) -> u64 {
        xxh3_64_with_seed(id.as_bytes(), self.hash_seed ^ u64::from(log))
    }
}

impl View {
    /// Rows that wait to be frozen: those of all buffers but the last, which is still being filled.
    pub(crate) fn backlog(&self) -> usize {
        let full = self.fresh.len().saturating_sub(1);
        self.fresh.iter().take(full).map(|fresh| fresh.filled.load(Ordering::Acquire).max(1)).sum()
    }

    /// All segments, oldest first.
    pub(crate) fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.sealed.iter().map(|sealed| sealed.segment()).chain(&self.frozen)
    }

    /// The position from which on nothing is frozen.
    pub(crate) fn frozen_until(&self) -> u64 {
        self.fresh.first().map_or(u64::MAX, |fresh| fresh.first)
    }

    /// The position from which on nothing is sealed.
    pub(crate) fn sealed_until(&self) -> u64 {
        self.sealed.last().map_or(0, |sealed| sealed.segment().positions().end)
    }
}

impl Fresh {
    fn new(first: u64, slots: usize) -> Fresh {
        let slots = (0..slots).map(|_| OnceLock::new()).collect();
        Fresh { first, slots, filled: AtomicUsize::new(0), ids_span: IdsSpan::default(), ids: RwLock::default() }
    }

    /// Only the sequencer calls this.
    fn push(&self, row: FreshRow, tail: &Tail) {
        let at = self.filled.load(Ordering::Relaxed);
        let hash = tail.id_hash(row.row.log, &row.content.id);
        self.ids_span.add(&EventId::new(&row.content.id));
        if let Some(slot) = self.slots.get(at) {
            // A slot is empty until here, since only the sequencer fills them, in order.
            let _ = slot.set(row);
        }
        self.ids.write().unwrap_or_else(PoisonError::into_inner).add(hash, at);
        self.filled.store(at + 1, Ordering::Release);
    }

    /// Its rows with positions in a range, in the order of positions.
    pub(crate) fn rows(&self, positions: Range<u64>) -> impl Iterator<Item = &FreshRow> {
        let filled = self.filled.load(Ordering::Acquire);
        let within = |bound: u64| usize::try_from(bound.saturating_sub(self.first)).unwrap_or(usize::MAX).min(filled);
        let wanted = within(positions.start)..within(positions.end);
        self.slots.get(wanted).unwrap_or_default().iter().filter_map(OnceLock::get)
    }

    /// The position of its first row.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The position after its last row.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.filled.load(Ordering::Acquire) as u64
    }

    /// The row with this id in a log; `hash` is that of both.
    pub(crate) fn find_id(&self, hash: u64, log: u32, id: &EventId) -> Option<&FreshRow> {
        if !self.ids_span.may_hold(id) {
            return None;
        }
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows = ids.items(hash).filter_map(|slot| self.slots.get(slot)?.get());
        rows.find(|row| row.row.log == log && row.content.id == id.text())
    }
}

/// The numbers of logs, which are the same after a restart for all that is sealed.
#[derive(Default)]
pub(crate) struct Logs(RwLock<LogNames>);

#[derive(Default)]
struct LogNames {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Logs {
    /// The number of an organization's log, if it has events.
    pub(crate) fn number(&self, organization: &str) -> Option<u32> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).numbers.get(organization).copied()
    }

    /// The organization of a log.
    pub(crate) fn name(&self, log: u32) -> Arc<str> {
        let logs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let name = usize::try_from(log).ok().and_then(|log| logs.names.get(log));
        // Rows carry only numbers that were given out here.
        name.cloned().unwrap_or_default()
    }

    /// Gives a log the number that it had before, at start.
    pub(crate) fn restore(&self, organization: &Arc<str>, number: u32) {
        let mut logs = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if logs.names.len() <= at {
            logs.names.resize(at + 1, Arc::default());
        }
        if let Some(name) = logs.names.get_mut(at) {
            *name = Arc::clone(organization);
        }
        logs.numbers.insert(Arc::clone(organization), number);
    }

    /// The number of an organization's log, a new one if it has none.
    pub(crate) fn ensure(&self, organization: &Arc<str>) -> u32 {
        if let Some(number) = self.number(organization) {
            return number;
        }
        let mut logs = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(logs.names.len()).unwrap_or(u32::MAX);
        logs.names.push(Arc::clone(organization));
        logs.numbers.insert(Arc::clone(organization), number);
        number
    }
}

/// By which sequencer and freezer wait for each other.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Default)]
struct SignalState {
    ticks: u64,
    closed: bool,
}

impl Signal {
    /// Says that the view has changed.
    pub(crate) fn notify(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ticks += 1;
        self.changed.notify_all();
    }

    /// Says that nothing more will change.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }

    /// Waits for a while. False if nothing more will change.
    pub(crate) fn pause(&self, duration: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, duration, |state| !state.closed);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Whether nothing more will change.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Waits until `done`, looking anew after each change. False if it was closed before.
    pub(crate) fn wait_until(&self, mut done: impl FnMut() -> bool) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // A change between this look and the wait below needs the lock, which is held.
            if done() {
                return true;
            }
            if state.closed {
                return false;
            }
            let ticks = state.ticks;
            while state.ticks == ticks && !state.closed {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

//! A journal and blobs that fail at a chosen step, and wait where a test wants them to.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use annals_ledger::{Ledger, OpenError};
use annals_store::{
    BlobError, BlobFault, BlobInfo, BlobWriter, Blobs, Change, Commit, Fault, Journal, JournalError, Reason, Row,
    StateKind,
};

use crate::support::{Store, positions};

/// The name of threads whose reads can be held.
pub(crate) const HELD: &str = "held";

/// One kind of call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The commit of an append.
    CommitAppend,
    /// The commit that registers what was sealed and trims.
    CommitSeal,
    /// The commit that registers what was merged.
    CommitMerge,
    Create(Of),
    Write(Of),
    Finish(Of),
    Read(Of),
    /// What was merged, or is not to be kept.
    Delete,
    /// What there is, at the start.
    List,
}

/// Which blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Seal,
    Merge,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Journal(&'static [Fault]),
    /// A commit's result is unknown, and what would tell it is refused some times.
    Unsettled(Fault, Asked),
    Blob(&'static [BlobFault]),
}

/// By what an unknown result is found out, once the journal is recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Last,
    Rows,
}

/// How often it is refused: by the commit itself, by the next one, and when it is tried without anybody asking.
const REFUSALS: usize = 4;

/// What goes wrong, at which steps.
#[derive(Clone, Debug)]
pub(crate) struct Disturbance {
    pub(crate) step: Step,
    /// The ordinals of the calls that fail.
    pub(crate) at: Range<usize>,
    pub(crate) failure: Failure,
}

/// A store whose calls are watched.
#[derive(Clone)]
pub(crate) struct Disturbed {
    pub(crate) store: Store,
    inner: Arc<Inner>,
}

struct Inner {
    disturbance: Mutex<Option<Disturbance>>,
    /// What of the journal is refused, and how often still.
    refused: Mutex<Option<(Asked, usize)>>,
    seen: AtomicUsize,
    /// How many events were acknowledged so far.
    acknowledged: AtomicUsize,
    /// What a crash would leave right before and right after each failure, with how many events were
    /// acknowledged before it.
    snapshots: Mutex<Vec<(usize, Store)>>,
    /// Whether reads of blobs wait, by threads called [`HELD`].
    held: Mutex<bool>,
    released: Condvar,
    waiting: AtomicUsize,
}

/// Reads wait.
pub(crate) struct Held<'d>(&'d Inner);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.released.notify_all();
    }
}

impl Disturbed {
    pub(crate) fn new(store: Store) -> Disturbed {
        let inner = Inner {
            disturbance: Mutex::new(None),
            refused: Mutex::new(None),
            seen: AtomicUsize::new(0),
            acknowledged: AtomicUsize::new(0),
            snapshots: Mutex::default(),
            held: Mutex::new(false),
            released: Condvar::new(),
            waiting: AtomicUsize::new(0),
        };
        Disturbed { store, inner: Arc::new(inner) }
    }

    pub(crate) fn open(&self) -> Ledger {
        self.try_open().expect("opens")
    }

    pub(crate) fn try_open(&self) -> Result<Ledger, OpenError> {
        let (journal, blobs) = (Arc::new(self.clone()), Arc::new(self.clone()));
        Ledger::open(journal, blobs, self.store.clock.clone(), self.store.options.clone())
    }

    /// From now on calls are counted and fail.
    pub(crate) fn begin(&self, disturbance: Disturbance) {
        self.inner.seen.store(0, SeqCst);
        *self.inner.disturbance.lock().expect("no panic") = Some(disturbance);
    }

    /// From now on nothing fails.
    pub(crate) fn end(&self) {
        *self.inner.disturbance.lock().expect("no panic") = None;
    }

    pub(crate) fn acknowledge(&self, count: usize) {
        self.inner.acknowledged.store(count, SeqCst);
    }

    /// Whether something failed by now.
    pub(crate) fn has_failed(&self) -> bool {
        !self.inner.snapshots.lock().expect("no panic").is_empty()
    }

    pub(crate) fn snapshots(&self) -> Vec<(usize, Store)> {
        std::mem::take(&mut *self.inner.snapshots.lock().expect("no panic"))
    }

    /// Lets reads of blobs wait, by threads called [`HELD`], until what this gives is dropped.
    pub(crate) fn hold(&self) -> Held<'_> {
        *self.inner.held.lock().expect("no panic") = true;
        Held(&self.inner)
    }

    /// How many reads have waited.
    pub(crate) fn waiting(&self) -> usize {
        self.inner.waiting.load(SeqCst)
    }

    /// Makes a call, which fails if it is one of the chosen.
    fn call<T>(&self, step: Step, call: impl FnOnce() -> T) -> T {
        let chosen = self.inner.disturbance.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(Disturbance { at, failure, .. }) = chosen.filter(|chosen| chosen.step == step) else { return call() };
        if !at.contains(&self.inner.seen.fetch_add(1, SeqCst)) {
            return call();
        }
        self.snapshot();
        match failure {
            Failure::Journal(faults) => faults.iter().for_each(|fault| self.store.journal.fail_next(*fault)),
            Failure::Unsettled(fault, asked) => {
                self.store.journal.fail_next(fault);
                *self.inner.refused.lock().expect("no panic") = Some((asked, REFUSALS));
            }
            Failure::Blob(faults) => faults.iter().for_each(|fault| self.store.blobs.fail_next(*fault)),
        }
        let answer = call();
        self.snapshot();
        answer
    }

    /// Refuses what is to be refused now.
    fn refuse(&self, asked: Asked) -> Result<(), JournalError> {
        let mut refused = self.inner.refused.lock().expect("no panic");
        match &mut *refused {
            Some((of, left)) if *of == asked && *left > 0 => {
                *left -= 1;
                Err(JournalError::Unavailable { reason: Reason::Storage, source: None })
            }
            _ => Ok(()),
        }
    }

    /// Whether all that was to be refused was.
    pub(crate) fn has_refused(&self) -> bool {
        self.inner.refused.lock().expect("no panic").is_none_or(|(_, left)| left == 0)
    }

    fn snapshot(&self) {
        let mut snapshots = self.inner.snapshots.lock().expect("no panic");
        // More are alike.
        if snapshots.len() < 4 {
            let acknowledged = self.inner.acknowledged.load(SeqCst);
            snapshots.push((acknowledged, self.store.snapshot()));
        }
    }
}

/// What a blob is, by its name: what is merged is longer than what any test seals at once.
fn of(name: &str, store: &Store) -> Of {
    let positions = positions(name);
    if positions.end - positions.start >= store.options.seal_events.saturating_mul(8) { Of::Merge } else { Of::Seal }
}

impl Journal for Disturbed {
    fn commit(&self, commit: &Commit) -> Result<(), JournalError> {
        let merges = |change: &Change| matches!(change, Change::Delete { kind: StateKind::Segment, .. });
        let step = match commit.trim {
            Some(_) => Step::CommitSeal,
            None if commit.changes.iter().any(merges) => Step::CommitMerge,
            None => Step::CommitAppend,
        };
        self.call(step, || self.store.journal.commit(commit))
    }

    fn rows(&self, after: u64, bytes_max: usize) -> Result<Vec<Row>, JournalError> {
        self.refuse(Asked::Rows)?;
        self.store.journal.rows(after, bytes_max)
    }

    fn state(&self, kind: StateKind) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        self.store.journal.state(kind)
    }

    fn last(&self) -> Result<u64, JournalError> {
        self.refuse(Asked::Last)?;
        self.store.journal.last()
    }

    fn floor(&self) -> Result<u64, JournalError> {
        self.store.journal.floor()
    }

    fn require_room(&self, bytes: u64) -> Result<(), JournalError> {
        self.store.journal.require_room(bytes)
    }

    fn recover(&self) -> Result<(), JournalError> {
        self.store.journal.recover()
    }
}

impl Blobs for Disturbed {
    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter>, BlobError> {
        let of = of(name, &self.store);
        let writer = self.call(Step::Create(of), || self.store.blobs.create(name))?;
        Ok(Box::new(Writer { disturbed: self.clone(), of, writer }))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
        if std::thread::current().name() == Some(HELD) {
            let held = self.inner.held.lock().expect("no panic");
            self.inner.waiting.fetch_add(usize::from(*held), SeqCst);
            drop(self.inner.released.wait_while(held, |held| *held).expect("no panic"));
        }
        self.call(Step::Read(of(name, &self.store)), || self.store.blobs.read(name, range))
    }

    fn list(&self) -> Result<Vec<BlobInfo>, BlobError> {
        self.call(Step::List, || self.store.blobs.list())
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        self.call(Step::Delete, || self.store.blobs.delete(name))
    }
}

struct Writer {
    disturbed: Disturbed,
    of: Of,
    writer: Box<dyn BlobWriter>,
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let Writer { disturbed, of, writer } = self;
        disturbed.call(Step::Write(*of), || writer.write(bytes))
    }

    fn finish(self: Box<Self>) -> Result<u64, BlobError> {
        let Writer { disturbed, of, writer } = *self;
        disturbed.call(Step::Finish(of), || writer.finish())
    }
}

/// Does something for each of many, some at the same time: most of the time they wait. Whatever panics
/// does so in a thread that is called as it is.
pub(crate) fn at_once<T: Sync>(of: &[T], name: impl Fn(&T) -> String + Sync, each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some(one) = of.get(next.fetch_add(1, SeqCst)) {
                    std::thread::scope(|scope| {
                        let thread = std::thread::Builder::new().name(name(one));
                        thread.spawn_scoped(scope, || each(one)).expect("a thread");
                    });
                }
            });
        }
    });
}

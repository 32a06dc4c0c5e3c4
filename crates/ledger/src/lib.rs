//! The logs: append, sequence, page, read whole, administer, recover.
//!
//! ```text
//! append: caller's thread              sequencer's thread             freezer's thread
//!         prepare (prepare.rs)
//!           limits, mask, canonical
//!           form, seed, root, repeats
//!         queue (queue.rs) ─────────▶  stage: places, leaves, heads
//!                                      Journal::commit  ◀ commit point
//!                                      apply: tail, heads, state ───▶ freeze, merge (freeze.rs)
//!         answer ◀───────────────────  answer
//!                                      mark ────────────────────────▶ seal, merge: blobs (seal.rs)
//!                                      Journal::commit  ◀ register, trim ──┘
//!
//! page:   committed ─▶ view ─▶ search each part ─▶ select ─▶ events (page.rs)
//! ```
//!
//! **Invariant:** an answer to an append goes out only after its commit is durable and in the tail,
//! so the very next read shows it.
//! **Invariant:** the sequencer is the only writer: of logs, heads, the catalogue, and the small
//! state.
//! **Invariant:** no HTTP, no vendor, and no concrete journal in here; the clock is an argument.

mod administer;
mod clock;
mod count;
mod export;
mod freeze;
mod fsck;
mod heads;
mod health;
mod lookup;
mod numbers;
mod page;
mod pointers;
mod prepare;
mod queue;
mod recover;
mod scene;
mod seal;
mod sealed;
mod search;
mod sequencer;
mod stage;
mod state;
mod tail;
mod usage;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use annals_model::{ApiKey, Appended, Fault, FaultKind, Mask, Organization, limits};
use annals_store::{Blobs, Journal};

pub use clock::Clock;
pub use export::Reader;
pub use fsck::{Finding, Progress, Summary, fsck};
pub use health::Health;
pub use prepare::{Masking, Prepared};
pub use recover::OpenError;
pub use usage::Usage;

use health::Trouble;
use queue::{Job, Queue};
use seal::Marks;
use sealed::Shelf;
use state::State;
use tail::Tail;

/// What the operator decides.
#[derive(Clone)]
pub struct Options {
    /// What is masked.
    pub mask: Mask,
    /// The server's name as the operator gave it; it is fixed at the first start.
    pub server_name: Option<String>,
    /// The server's name if the first start is without one.
    pub default_name: String,
    /// Bytes of segments' pages that stay in memory.
    pub cache_bytes: usize,
    /// Events after which what is in the tail is sealed.
    pub seal_events: u64,
    /// Called at named points of appending, sealing and merging, so that a test can stop there.
    pub reach: Option<Reach>,
}

/// What is called at named points.
pub type Reach = Arc<dyn Fn(&'static str) + Send + Sync>;

/// The named points, in the order in which they are reached.
pub const POINTS: [&str; 8] = [
    "commit.begin",
    "commit.done",
    "blob.written",
    "seal.written",
    "seal.registered",
    "merge.written",
    "merge.registered",
    "merge.deleting",
];

/// Rows that are sealed together, if whole commits have as many.
const SEAL_ROWS: usize = 262_144;
/// Events after which what is in the tail is sealed.
pub const SEAL_EVENTS: u64 = SEAL_ROWS as u64;
/// Bytes of segments' pages that stay in memory.
pub const CACHE_BYTES: usize = 256 * 1024 * 1024;

impl Default for Options {
    fn default() -> Options {
        Options {
            mask: Mask::default(),
            server_name: None,
            default_name: String::new(),
            cache_bytes: CACHE_BYTES,
            seal_events: SEAL_EVENTS,
            reach: None,
        }
    }
}

/// The logs of all organizations. Clones are the same ledger.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// What the callers' threads, the sequencer and the freezer share.
struct Shared {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    mask: Mask,
    server_name: String,
    /// What tells this store's cursors from others'.
    store: u32,
    queue: Queue,
    tail: Tail,
    /// What ids and values are hashed with in all segments.
    hash_key: u64,
    shelf: Shelf,
    marks: Marks,
    seal_events: u64,
    state: State,
    trouble: Trouble,
    /// What keeps sealing from being done.
    sealing_trouble: Trouble,
    /// What keeps merging from being done.
    merging_trouble: Trouble,
    /// What ended a thread of the background.
    defect: Trouble,
    /// The bytes of the events that are not sealed.
    unsealed_bytes: AtomicU64,
    reach: Option<Reach>,
}

impl Shared {
    /// A named point.
    fn reach(&self, point: &'static str) {
        debug_assert!(POINTS.contains(&point), "{point} is none of the points");
        if let Some(reach) = &self.reach {
            reach(point);
        }
    }

    /// Why no event is taken, if too many wait to be sealed.
    fn sealing_is_behind(&self) -> Option<Fault> {
        let events = self.tail.committed().saturating_sub(self.tail.view().sealed_until());
        behind(events, self.unsealed_bytes.load(Ordering::Relaxed))
    }
}

/// Why no event is taken while so many events, of so many bytes, wait to be sealed, if that is too many.
fn behind(events: u64, bytes: u64) -> Option<Fault> {
    if events <= limits::UNSEALED_EVENTS_MAX && bytes <= limits::UNSEALED_BYTES_MAX {
        return None;
    }
    let kind = FaultKind::Busy { retry_after_s: BUSY_RETRY_AFTER_S };
    Some(Fault::new(kind, "more events wait to be sealed than the server takes: send them again later"))
}

/// After how long it is worth trying again while sealing is behind, in seconds.
const BUSY_RETRY_AFTER_S: u32 = 5;

impl Ledger {
    /// Opens the ledger over a journal and the blobs that it names: deletes blobs that it does not name,
    /// reads back and checks the journal's rows, and starts the threads. Blocks until it is ready.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing was written but, at the very first start, the server's name.
    pub fn open(
        journal: Arc<dyn Journal>,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Ledger, OpenError> {
        let (shared, threads) = recover::open(journal, blobs, clock, options)?;
        Ok(Ledger { shared, threads: Arc::new(Mutex::new(threads)) })
    }

    /// The name that origins begin with.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.shared.server_name
    }

    /// Queues prepared events and waits for their commit.
    ///
    /// # Errors
    ///
    /// Busy if more is waiting than is taken, a conflict if an id was taken in the meantime by
    /// other content, unavailable if the journal can't be written to. Nothing was stored, unless an
    /// unavailable fault says that it isn't known: then the same events, with the same ids, can be
    /// handed in again.
    pub async fn append(&self, prepared: Prepared) -> Result<Vec<Appended>, Fault> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.shared.queue.push(Job::Append { prepared, reply })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// An organization; also the server's own.
    #[must_use]
    pub fn organization(&self, id: &str) -> Option<Arc<Organization>> {
        self.shared.state.organization(id)
    }

    /// The organization that goes by this name in a dialect.
    #[must_use]
    pub fn organization_by_alias(&self, dialect: &str, alias: &str) -> Option<Arc<Organization>> {
        self.shared.state.organization_by_alias(dialect, alias)
    }

    /// All organizations but the server's own, ascending by id.
    #[must_use]
    pub fn organizations(&self) -> Vec<Arc<Organization>> {
        self.shared.state.organizations()
    }

    /// All keys, ascending by id.
    #[must_use]
    pub fn keys(&self) -> Vec<Arc<ApiKey>> {
        self.shared.state.keys()
    }

    /// The key with this SHA-256, in lower-case hex.
    #[must_use]
    pub fn key_by_hash(&self, hash_hex: &str) -> Option<Arc<ApiKey>> {
        self.shared.state.key_by_hash(hash_hex)
    }

    /// The catalogue number of an action; every action that a client recorded has one.
    #[must_use]
    pub fn action_number(&self, action: &str) -> Option<u64> {
        self.shared.state.action_number(action)
    }

    /// How it is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Takes no more appends, commits what waits, and stops the threads. Blocks until that is done.
    pub fn close(&self) {
        self.shared.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has said so already; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// The answer to whoever comes too late.
fn stopped() -> Fault {
    Fault::new(
        FaultKind::Unavailable,
        "the server is stopping: send the request again, with the same ids, when it is back",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_refused_as_busy_while_too_many_wait_to_be_sealed() {
        assert_eq!(behind(0, 0), None);
        assert_eq!(behind(limits::UNSEALED_EVENTS_MAX, limits::UNSEALED_BYTES_MAX), None);
        assert!(behind(0, limits::UNSEALED_BYTES_MAX + 1).is_some());
        let kind = behind(limits::UNSEALED_EVENTS_MAX + 1, 0).map(|fault| fault.kind);
        assert_eq!(kind, Some(FaultKind::Busy { retry_after_s: BUSY_RETRY_AFTER_S }));
    }
}

//! Sealing: what was frozen becomes a segment in a blob, and its rows leave the journal; and merging:
//! neighbouring sealed segments become one.
//!
//! ```text
//! t0  the sequencer sets a mark: what lies before it is sealed together
//! t1  the freezer has frozen everything up to the mark
//! t2  the blob is written and synced
//! t3  one commit: the segment is registered, the logs' heads at the mark are kept, and the rows up to
//!     the mark are trimmed                                         ◀ the segment counts from here on
//! t4  readers get the sealed segment in place of the frozen ones
//! ```
//!
//! A crash before t3 leaves a blob that nobody names: the next start deletes it, and reads the rows. A
//! crash after t3 loses nothing: the next start opens the segment and reads the rows behind the mark.
//! If the result of t3 is unknown the same commit is asked for again: it says the same twice.
//!
//! Merging has the same steps without t0, t1 and the trimming. The blobs of the merged segments are
//! deleted when nobody reads them any more; until then, or after a crash, nobody names them.
//!
//! **Invariant:** what is registered was written, synced, and read back: every page, and of the events the same
//! digest as was made when they were frozen.
//! **Invariant:** of each size class fewer than [`MERGE_FAN`] sealed segments stay, but for the largest.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annals_merkle::Frontier;
use annals_model::{Fault, Time, limits};
use annals_segment::{Cause, FileWriter, Segment, SegmentError};
use annals_store::{BlobError, Change, StateKind};
use tokio::sync::oneshot;

use crate::administer::HASH_KEY;
use crate::freeze::{Guard, run_to_merge};
use crate::health::Trouble;
use crate::queue::Job;
use crate::sealed::{Descriptor, Sealed};
use crate::{SEAL_ROWS, Shared, heads, sealed};

/// Neighbours of one size class that are merged into one of the next.
const MERGE_FAN: usize = 16;
/// Rows of the largest segment that merging makes: as many as so many seals have, each of which ends
/// after a whole commit.
const MERGE_ROWS_MAX: usize = MERGE_FAN * (SEAL_ROWS + limits::COMMIT_EVENTS_MAX);
/// How long a failed attempt is left alone before the next one; then twice as long each time, …
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// … up to this. Merging may fail for want of space that appends could use, so it is left alone longer.
const SEAL_RETRY_AFTER_MAX: Duration = Duration::from_secs(8);
const MERGE_RETRY_AFTER_MAX: Duration = Duration::from_secs(512);
/// How often it is looked whether merged segments are still read.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Where sealing will cut: after a commit, with everything that has to be known there.
pub(crate) struct Mark {
    /// The last commit before it.
    pub(crate) sequence: u64,
    /// The position of the first event after it.
    pub(crate) position: u64,
    /// The time of that commit.
    pub(crate) time: Time,
    /// The heads of the logs that changed since the mark before.
    pub(crate) heads: Vec<(u32, Arc<str>, Frontier)>,
    /// The bytes of the events' texts since the mark before.
    pub(crate) bytes: u64,
}

/// The marks that are not sealed yet.
#[derive(Default)]
pub(crate) struct Marks(Mutex<VecDeque<Arc<Mark>>>);

impl Marks {
    pub(crate) fn push(&self, mark: Mark) {
        self.lock().push_back(Arc::new(mark));
    }

    fn first(&self) -> Option<Arc<Mark>> {
        self.lock().front().cloned()
    }

    fn done(&self) {
        self.lock().pop_front();
    }

    /// The first mark behind a position.
    pub(crate) fn next_after(&self, position: u64) -> Option<u64> {
        self.lock().iter().map(|mark| mark.position).find(|mark| *mark > position)
    }

    /// Where the last mark is.
    pub(crate) fn last_position(&self) -> Option<u64> {
        self.lock().back().map(|mark| mark.position)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Mark>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why sealing or merging did not come to its end; nothing has changed.
#[derive(Debug, thiserror::Error)]
enum SealError {
    #[error("the segment can't be written")]
    Segment(#[from] SegmentError),
    #[error("the blob can't be written")]
    Blob(#[from] BlobError),
    #[error("the segment can't be registered: {0}")]
    Register(Fault),
    #[error("there is no randomness: {0}")]
    Random(Fault),
    #[error("what is frozen reaches from position {from} to {until}, and what is to be sealed from {begin} to {end}")]
    Cut { from: u64, until: u64, begin: u64, end: u64 },
    #[error("the server is stopping")]
    Stopping,
}

impl Shared {
    /// The sealer's thread.
    pub(crate) fn seal_until_closed(&self) {
        let _guard = Guard { shared: self, thread: "sealer" };
        loop {
            let mut mark = None;
            let ready = self.tail.signal.wait_until(|| {
                mark = self.marks.first().filter(|mark| self.tail.view().frozen_until() >= mark.position);
                mark.is_some()
            });
            let Some(mark) = mark.filter(|_| ready) else { return };
            let (mut pause, mut failed) = (RETRY_AFTER, false);
            while let Err(error) = self.seal(&mark) {
                let chain = crate::sequencer::chain(&error);
                if !failed {
                    tracing::error!(error = %chain, "sealing failed, and is tried again");
                }
                failed = true;
                self.sealing_trouble.set(Some(format!("sealing fails: {chain}")));
                if matches!(error, SealError::Stopping) || !self.tail.signal.pause(pause) {
                    return;
                }
                pause = (2 * pause).min(SEAL_RETRY_AFTER_MAX);
            }
            if failed {
                tracing::info!("sealing works again");
            }
            self.sealing_trouble.set(None);
            self.unsealed_bytes.fetch_sub(mark.bytes, Ordering::Relaxed);
            self.marks.done();
            self.tail.signal.notify();
        }
    }

    /// The merger's thread.
    pub(crate) fn merge_until_closed(&self) {
        let _guard = Guard { shared: self, thread: "merger" };
        let mut retired: Vec<Arc<Sealed>> = Vec::new();
        // Segments that can't be merged.
        let mut aside: Vec<String> = Vec::new();
        let mut pause = RETRY_AFTER;
        loop {
            self.delete_unread(&mut retired);
            let mut run = None;
            let ready = self.tail.signal.wait_until(|| {
                let size = |sealed: &Arc<Sealed>| {
                    if aside.contains(&sealed.name) { usize::MAX } else { sealed.descriptor.rows as usize }
                };
                let sizes = self.tail.view().sealed.iter().map(size).collect::<Vec<_>>();
                run = run_to_merge(&sizes, MERGE_FAN, MERGE_ROWS_MAX);
                run.is_some() || !retired.is_empty()
            });
            if !ready {
                return;
            }
            let Some(run) = run else {
                // A reader that ends tells nobody.
                if !self.tail.signal.pause(LOOK_AFTER) {
                    return;
                }
                continue;
            };
            match self.merge_sealed(run.clone()) {
                Ok(merged) => {
                    retired.extend(merged);
                    pause = RETRY_AFTER;
                    if aside.is_empty() {
                        self.merging_trouble.set(None);
                    }
                    self.tail.signal.notify();
                }
                Err(SealError::Stopping) => return,
                Err(error) => {
                    let chain = crate::sequencer::chain(&error);
                    tracing::error!(error = %chain, "merging sealed segments failed");
                    self.merging_trouble.set(Some(format!("merging fails: {chain}")));
                    if matches!(error, SealError::Segment(SegmentError::Corrupt { .. })) {
                        aside.extend(self.unmergeable(run));
                    } else if !self.tail.signal.pause(pause) {
                        return;
                    }
                    pause = (2 * pause).min(MERGE_RETRY_AFTER_MAX);
                }
            }
        }
    }

    /// Which of a run of sealed segments are not merged again before the next start: those that are damaged, so
    /// that the others are merged without them; or all, if each is whole by itself.
    fn unmergeable(&self, run: Range<usize>) -> Vec<String> {
        let run = self.sealed(run);
        let pages = sealed::pages_read_once();
        // Where one is damaged is told by its source.
        let is_damaged =
            |sealed: &&Arc<Sealed>| matches!(sealed.whole(&pages).verify(), Err(SegmentError::Corrupt { .. }));
        let damaged: Vec<String> = run.iter().filter(is_damaged).map(|sealed| sealed.name.clone()).collect();
        if damaged.is_empty() { run.iter().map(|sealed| sealed.name.clone()).collect() } else { damaged }
    }

    /// Some of the sealed segments, and nothing else of the view: all of it would keep fresh and frozen events in
    /// memory for as long as merging takes.
    fn sealed(&self, run: Range<usize>) -> Vec<Arc<Sealed>> {
        self.tail.view().sealed.get(run).unwrap_or_default().to_vec()
    }

    fn seal(&self, mark: &Mark) -> Result<(), SealError> {
        let (begin, frozen) = {
            let view = self.tail.view();
            let before = view.frozen.iter().take_while(|segment| segment.positions().end <= mark.position);
            (view.sealed_until(), before.cloned().collect::<Vec<Segment>>())
        };
        let from = frozen.first().map_or(mark.position, |segment| segment.positions().start);
        let until = frozen.last().map_or(begin, |segment| segment.positions().end);
        // What is trimmed is what was sealed: nothing else has a copy of it.
        if (from, until) != (begin, mark.position) && !(frozen.is_empty() && begin == mark.position) {
            return Err(SealError::Cut { from, until, begin, end: mark.position });
        }
        let sealed = if frozen.is_empty() { None } else { Some(self.write(&frozen)?) };
        self.reach("seal.written");
        let mut changes = Vec::new();
        if let Some(sealed) = &sealed {
            changes.push(put(StateKind::Segment, &sealed.name, sealed.descriptor.to_bytes()));
        }
        for (log, organization, head) in &mark.heads {
            changes.push(put(StateKind::Head, organization, heads::to_bytes(*log, head)));
        }
        changes.push(put(StateKind::Setting, HASH_KEY, self.hash_key.to_string().into_bytes()));
        changes.push(put(StateKind::Setting, heads::FLOOR, heads::Floor::of(mark).to_bytes()));
        self.register(&changes, Some(mark.sequence), &self.sealing_trouble)?;
        self.reach("seal.registered");
        self.tail.publish(|view| {
            let mut view = view.clone();
            // By their place: the freezer may have merged some of them meanwhile.
            view.frozen.retain(|segment| segment.positions().start >= mark.position);
            view.sealed.extend(sealed.map(Arc::new));
            view
        });
        tracing::info!(events = frozen.iter().map(|segment| u64::from(segment.len())).sum::<u64>(), "sealed");
        Ok(())
    }

    /// Merges neighbours; gives those that were.
    fn merge_sealed(&self, run: Range<usize>) -> Result<Vec<Arc<Sealed>>, SealError> {
        let neighbours = self.sealed(run.clone());
        let pages = sealed::pages_read_once();
        let whole: Vec<Segment> = neighbours.iter().map(|sealed| sealed.whole(&pages)).collect();
        let merged = self.write(&whole)?;
        self.reach("merge.written");
        let mut changes = vec![put(StateKind::Segment, &merged.name, merged.descriptor.to_bytes())];
        let delete = |sealed: &Arc<Sealed>| Change::Delete { kind: StateKind::Segment, key: sealed.name.clone() };
        changes.extend(neighbours.iter().map(delete));
        self.register(&changes, None, &self.merging_trouble)?;
        self.reach("merge.registered");
        let merged = Arc::new(merged);
        // The sealer adds at the other end only.
        self.tail.publish(|view| {
            let mut view = view.clone();
            view.sealed.splice(run, [merged]);
            view
        });
        tracing::info!(segments = neighbours.len(), "merged sealed segments");
        Ok(neighbours)
    }

    /// t2: writes segments into one blob, opens it, and reads it back.
    fn write(&self, segments: &[Segment]) -> Result<Sealed, SealError> {
        let (first, end) = (segments.first(), segments.last());
        let first = first.map_or(0, |segment| segment.positions().start);
        let end = end.map_or(0, |segment| segment.positions().end);
        let random = crate::prepare::random(1).map_err(SealError::Random)?;
        let seed = random.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let name = format!("{first:020}-{end:020}-{:08x}", seed >> 32);
        self.shelf.delete_discarded();
        let mut blob = self.shelf.blobs.create(&name)?;
        let written = {
            let mut stopped = false;
            let mut write = |bytes: &[u8]| -> Result<(), Cause> {
                if self.tail.signal.is_closed() {
                    stopped = true;
                    return Err(Arc::new(SealError::Stopping));
                }
                blob.write(bytes).map_err(|error| Arc::new(error) as Cause)
            };
            let written = FileWriter::new(&mut write, seed).and_then(|file| Segment::write(segments, file));
            if stopped {
                return Err(SealError::Stopping);
            }
            written?
        };
        self.reach("blob.written");
        if let Err(error) = blob.finish() {
            // It may be there all the same.
            self.shelf.discard(name);
            return Err(error.into());
        }
        let descriptor = Descriptor::of(&written, segments);
        let pages = sealed::pages_read_once();
        let opened =
            self.shelf.open(&name, descriptor).and_then(|opened| opened.whole(&pages).verify().map(|()| opened));
        if opened.is_err() {
            self.shelf.discard(name);
        }
        Ok(opened?)
    }

    /// t3: until its result is known.
    fn register(&self, changes: &[Change], trim: Option<u64>, trouble: &Trouble) -> Result<(), SealError> {
        let mut failed = false;
        loop {
            let (reply, answer) = oneshot::channel();
            let job = Job::Register { changes: changes.to_vec(), trim, reply };
            if self.queue.push(job).is_err() {
                return Err(SealError::Stopping);
            }
            match answer.blocking_recv() {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(fault)) => {
                    // Even a refusal may come after a commit that was written, so the blob stays, and the same is
                    // asked for again.
                    if !failed {
                        let error = SealError::Register(fault);
                        tracing::error!(%error, "what is sealed waits for the journal");
                        trouble.set(Some(error.to_string()));
                    }
                    failed = true;
                    if !self.tail.signal.pause(RETRY_AFTER) {
                        return Err(SealError::Stopping);
                    }
                }
                Err(_) => return Err(SealError::Stopping),
            }
        }
    }

    /// Deletes the blobs of merged segments that nobody reads any more.
    fn delete_unread(&self, retired: &mut Vec<Arc<Sealed>>) {
        retired.retain(|sealed| {
            if Arc::strong_count(sealed) > 1 {
                return true;
            }
            self.shelf.forget(sealed);
            self.reach("merge.deleting");
            self.shelf.discard(sealed.name.clone());
            false
        });
    }
}

fn put(kind: StateKind, key: &str, value: Vec<u8>) -> Change {
    Change::Put { kind, key: key.to_owned(), value }
}

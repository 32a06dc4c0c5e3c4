//! The sequencer: the only writer. It takes what waits, gives places, commits, and answers.
//!
//! ```text
//! t0  jobs are taken and staged: nothing is changed yet
//! t1  Journal::commit: one row with its changes of state, synced   ◀ commit point
//! t2  heads, state and tail follow
//! t3  every waiting caller is answered
//! ```
//!
//! A crash before t1 loses only what nobody was told of. A crash after it loses nothing: recovery
//! reads the row and does t2 with the same code. A caller who got no answer asks again with the
//! same ids, and gets the first answer.
//!
//! **Invariant:** an unknown commit result is settled before anything else is committed: the
//! journal is recovered and asked; nothing is guessed.
//! **Invariant:** after a commit failed, readiness comes back only when one as large would succeed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_model::{Appended, Fault, FaultKind, SYSTEM_ORGANIZATION, Time};
use annals_store::row::RowEncoder;
use annals_store::{Change as StoredChange, JournalError, Reason};
use tokio::sync::oneshot;

use crate::clock::Timekeeper;
use crate::prepare::{Ready, random, ready};
use crate::queue::{Job, Taken};
use crate::seal::Mark;
use crate::stage::{Heads, Stage, Staged};
use crate::{Shared, stopped};

/// How often an unknown result is asked for before the callers are told that it isn't known.
const SETTLE_TRIES: usize = 3;
/// Events of so many bytes are sealed, though they are few.
const SEAL_BYTES: u64 = 256 * 1024 * 1024;
/// Events that wait so long are sealed, though they are few, in microseconds: 15 minutes.
const SEAL_AGE_US: u64 = 15 * 60 * 1_000_000;
/// How often it is looked whether they do.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// How long the journal is left alone before it is tried again without anybody asking, in microseconds.
const PROBE_AFTER_US: u64 = 1_000_000;

pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    /// The last sequence that is committed.
    sequence: u64,
    /// The position of the next event.
    position: u64,
    heads: Heads,
    time: Timekeeper,
    encoder: RowEncoder,
    /// A commit whose result is unknown.
    unsettled: Option<Staged>,
    /// The largest commit that failed since the journal last worked, in bytes; 0 without one.
    failed_bytes: u64,
    /// When the journal is asked again whether it has room for that one, by the clock of time passed.
    ask_room_us: u64,
    /// What the journal last warned of.
    warning: Option<String>,
    /// Why nothing can be committed any more, if that is so.
    broken: Option<Fault>,
    unmarked: Unmarked,
}

/// What came since the last mark.
#[derive(Default)]
struct Unmarked {
    events: u64,
    bytes: u64,
    logs: BTreeSet<u32>,
    /// When the first of it came, by the clock of time passed.
    since_us: u64,
}

/// Ends what waits for the sequencer when its thread ends, also by a defect.
struct Guard {
    shared: Arc<Shared>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let shared = &self.shared;
        if std::thread::panicking() {
            tracing::error!("the sequencer stopped by a defect: restart the server");
            shared.trouble.set(Some("the sequencer stopped by a defect: restart the server".to_owned()));
        }
        shared.queue.close();
        while let Taken::Jobs(jobs) = shared.queue.take(None) {
            jobs.into_iter().for_each(|job| job.refuse(stopped()));
        }
        shared.tail.signal.close();
    }
}

/// What is to be answered once a commit is durable.
enum Answer {
    Appended(oneshot::Sender<Result<Vec<Appended>, Fault>>, Vec<Appended>),
    Done(oneshot::Sender<Result<(), Fault>>),
}

impl Answer {
    fn give(self, fault: Option<&Fault>) {
        // Whoever asked may have gone; the commit stands all the same.
        match (self, fault) {
            (Answer::Appended(reply, _), Some(fault)) => drop(reply.send(Err(fault.clone()))),
            (Answer::Appended(reply, appended), None) => drop(reply.send(Ok(appended))),
            (Answer::Done(reply), fault) => drop(reply.send(fault.cloned().map_or(Ok(()), Err))),
        }
    }
}

impl Sequencer {
    pub(crate) fn new(shared: Arc<Shared>, time: Timekeeper, encoder: RowEncoder) -> Sequencer {
        Sequencer {
            shared,
            sequence: 0,
            position: 0,
            heads: Heads::default(),
            time,
            encoder,
            unsettled: None,
            failed_bytes: 0,
            ask_room_us: 0,
            warning: None,
            broken: None,
            unmarked: Unmarked::default(),
        }
    }

    /// Begins after what is sealed.
    pub(crate) fn begin(&mut self, sequence: u64, position: u64, time: Time, heads: Heads) {
        (self.sequence, self.position, self.heads) = (sequence, position, heads);
        self.time.committed(time);
    }

    /// The sequencer's thread: until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let _guard = Guard { shared: Arc::clone(&self.shared) };
        loop {
            let patience = self.shared.trouble.what().map(|_| Duration::from_micros(PROBE_AFTER_US));
            let patience = patience.or_else(|| (self.unmarked.events > 0).then_some(LOOK_AFTER));
            match self.shared.queue.take(patience) {
                Taken::Jobs(jobs) => self.serve(jobs),
                Taken::Nothing if self.shared.trouble.what().is_some() => self.probe(),
                Taken::Nothing => {}
                Taken::Closed => break,
            }
            let age_us = self.shared.clock.elapsed_us().saturating_sub(self.unmarked.since_us);
            if self.unmarked.events > 0 && age_us >= SEAL_AGE_US {
                self.mark();
            }
        }
    }

    /// Commits what a set of jobs asks for, and answers them.
    fn serve(&mut self, jobs: Vec<Job>) {
        self.shared.wait_for_freezer();
        let time = match self.may_commit().and_then(|()| self.time()) {
            Ok(time) => time,
            Err(fault) => return jobs.into_iter().for_each(|job| job.refuse(fault.clone())),
        };
        let shared = Arc::clone(&self.shared);
        let mut stage = Stage::new(&shared, &self.heads, time, self.position);
        let mut answers = Vec::with_capacity(jobs.len());
        let full = shared.sealing_is_behind();
        for job in jobs {
            match job {
                Job::Append { reply, .. } if full.is_some() => {
                    drop(reply.send(full.clone().map_or(Ok(Vec::new()), Err)))
                }
                Job::Register { changes, trim, reply } => {
                    stage.register(changes, trim);
                    answers.push(Answer::Done(reply));
                }
                Job::Append { prepared, reply } => match stage.append(prepared) {
                    Ok(appended) => answers.push(Answer::Appended(reply, appended)),
                    Err(fault) => drop(reply.send(Err(fault))),
                },
                Job::Administer { change, reply } => {
                    let staged = change
                        .stage(&shared.state)
                        .and_then(|(change, event)| Ok((change, own_event(&shared, event)?)));
                    match staged {
                        Ok((change, event)) => {
                            stage.change([change], event);
                            answers.push(Answer::Done(reply));
                        }
                        Err(fault) => drop(reply.send(Err(fault))),
                    }
                }
            }
        }
        // Repetitions alone need no commit.
        let staged = if stage.is_empty() { None } else { Some(finish(stage, self.sequence + 1, &mut self.encoder)) };
        let fault = staged.and_then(|staged| staged.and_then(|staged| self.commit(staged)).err());
        answers.into_iter().for_each(|answer| answer.give(fault.as_ref()));
    }

    /// Commits an event of the server's own with its changes of state.
    ///
    /// # Errors
    ///
    /// As for any commit.
    pub(crate) fn record(&mut self, changes: Vec<StoredChange>, event: annals_model::Content) -> Result<(), Fault> {
        let time = self.time()?;
        let shared = Arc::clone(&self.shared);
        let event = own_event(&shared, event)?;
        let mut stage = Stage::new(&shared, &self.heads, time, self.position);
        stage.change(changes, event);
        let staged = finish(stage, self.sequence + 1, &mut self.encoder)?;
        self.commit(staged)
    }

    /// Tries whether the journal works again: whether it has room for what failed, and then with a commit of
    /// nothing, which would find room where that does not.
    fn probe(&mut self) {
        if self.may_commit().is_err() || !self.has_room() {
            return;
        }
        let Ok(time) = self.time() else { return };
        let shared = Arc::clone(&self.shared);
        let nothing =
            finish(Stage::new(&shared, &self.heads, time, self.position), self.sequence + 1, &mut self.encoder);
        // Why it still fails is in the log already.
        let _ = nothing.and_then(|nothing| self.commit(nothing));
    }

    /// t1 and t2.
    fn commit(&mut self, staged: Staged) -> Result<(), Fault> {
        self.shared.reach("commit.begin");
        let bytes = staged.commit.bytes_max();
        let outcome = self.shared.journal.commit(&staged.commit);
        if outcome.is_err() {
            self.failed_bytes = self.failed_bytes.max(bytes);
        }
        match outcome {
            Ok(()) => {
                self.shared.reach("commit.done");
                self.worked(bytes);
                self.apply(staged);
                self.warn();
                Ok(())
            }
            Err(error @ JournalError::Unknown { .. }) => {
                self.trouble(&error);
                self.unsettled = Some(staged);
                for _ in 0..SETTLE_TRIES {
                    if let Ok(written) = self.settle() {
                        return if written { Ok(()) } else { Err(unavailable("nothing was stored")) };
                    }
                }
                Err(unavailable(
                    "it is not known whether the events were stored; with the same ids they are not stored twice",
                ))
            }
            Err(error @ JournalError::Unavailable { .. }) => {
                self.trouble(&error);
                if let JournalError::Unavailable { reason: Reason::Unsettled, .. } = error
                    && let Err(error) = self.shared.journal.recover()
                {
                    // The next attempt begins here again.
                    self.trouble(&error);
                }
                Err(unavailable("nothing was stored"))
            }
            Err(error) => {
                self.trouble(&error);
                let fault = unavailable("nothing was stored, and the server must be looked after: its log says more");
                self.broken = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// Ends the trouble after a commit of so many bytes, unless a larger one that failed would fail again.
    fn worked(&mut self, bytes: u64) {
        if self.shared.trouble.what().is_none() {
            return;
        }
        // Asking takes all the room that there is, for a moment.
        let may_ask = self.shared.clock.elapsed_us() >= self.ask_room_us;
        if bytes >= self.failed_bytes || (may_ask && self.has_room()) {
            tracing::info!("the journal can be written to again");
            self.failed_bytes = 0;
            self.shared.trouble.set(None);
        }
    }

    /// Whether the journal has room for the largest commit that failed; if not, that is the trouble.
    fn has_room(&mut self) -> bool {
        if self.failed_bytes == 0 {
            return true;
        }
        match self.shared.journal.require_room(self.failed_bytes) {
            Ok(()) => {
                self.ask_room_us = 0;
                true
            }
            // The log has it already, from the commit.
            Err(error) => {
                self.ask_room_us = self.shared.clock.elapsed_us().saturating_add(PROBE_AFTER_US);
                self.shared.trouble.set(Some(error.to_string()));
                false
            }
        }
    }

    /// Follows a durable commit; recovery does the same for each row that it reads.
    pub(crate) fn apply(&mut self, staged: Staged) {
        self.sequence = staged.commit.sequence;
        self.position = staged.commit.position_end();
        self.time.committed(staged.time);
        self.heads.follow(staged.heads);
        for change in &staged.commit.changes {
            if let Err(error) = self.shared.state.apply(change) {
                tracing::error!(%error, "a change of state could not be followed: restart the server");
            }
        }
        let bytes = staged.rows.iter().map(|row| row.row.canonical.len() as u64).sum();
        self.unmarked.note(&staged.rows, bytes, self.shared.clock.elapsed_us());
        self.shared.unsealed_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Last, so that whoever sees an event finds its action in the catalogue.
        self.shared.tail.push(staged.rows);
        if self.unmarked.events >= self.shared.seal_events || self.unmarked.bytes >= SEAL_BYTES {
            self.mark();
        }
    }

    /// Sets a mark: what came since the last one is sealed together.
    fn mark(&mut self) {
        let unmarked = std::mem::take(&mut self.unmarked);
        let head = |log| (log, self.shared.tail.logs.name(log), self.heads.of(log));
        self.shared.marks.push(Mark {
            sequence: self.sequence,
            position: self.position,
            time: self.time.last(),
            heads: unmarked.logs.into_iter().map(head).collect(),
            bytes: unmarked.bytes,
        });
        self.shared.tail.cut();
    }

    /// Where the next commit goes: its sequence, its position, and the heads it builds on.
    pub(crate) fn next(&self) -> (u64, u64, &Heads) {
        (self.sequence + 1, self.position, &self.heads)
    }

    /// The time of the next commit; while the clock can't be believed, that is the trouble.
    fn time(&mut self) -> Result<Time, Fault> {
        let time = self.time.next(&*self.shared.clock);
        time.inspect_err(|fault| self.shared.trouble.set(Some(fault.message.clone())))
    }

    /// Refuses while the journal is broken or an earlier result is unknown.
    fn may_commit(&mut self) -> Result<(), Fault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        if self.unsettled.is_some() && self.settle().is_err() {
            return Err(unavailable("nothing was stored"));
        }
        Ok(())
    }

    /// Finds out whether the unsettled commit was written, and follows it if it was.
    ///
    /// # Errors
    ///
    /// If that can't be found out now.
    fn settle(&mut self) -> Result<bool, JournalError> {
        let Some(staged) = self.unsettled.take() else { return Ok(false) };
        match written(&*self.shared.journal, &staged) {
            Ok(written) => {
                tracing::info!(written, "a commit's unknown result is known now");
                self.worked(if written { staged.commit.bytes_max() } else { 0 });
                if written {
                    self.apply(staged);
                }
                Ok(written)
            }
            Err(error) => {
                self.trouble(&error);
                self.unsettled = Some(staged);
                Err(error)
            }
        }
    }

    /// Passes on what the journal warns of, once.
    fn warn(&mut self) {
        let warning = self.shared.journal.warning();
        if warning != self.warning {
            if let Some(warning) = &warning {
                tracing::error!(%warning, "the journal needs to be looked after");
            }
            self.warning = warning;
        }
    }

    fn trouble(&self, error: &JournalError) {
        let chain = chain(error);
        tracing::error!(error = %chain, "the journal refused a commit");
        self.shared.trouble.set(Some(error.to_string()));
    }
}

impl Unmarked {
    fn note(&mut self, rows: &[crate::tail::FreshRow], bytes: u64, now_us: u64) {
        if self.events == 0 {
            self.since_us = now_us;
        }
        self.events += rows.len() as u64;
        self.bytes += bytes;
        self.logs.extend(rows.iter().map(|row| row.row.log));
    }
}

fn finish(stage: Stage, sequence: u64, encoder: &mut RowEncoder) -> Result<Staged, Fault> {
    stage.finish(sequence, encoder).map_err(|error| Fault::internal(format!("the commit can't be written: {error}")))
}

/// Whether the journal holds a commit, asked after it was recovered.
fn written(journal: &dyn annals_store::Journal, staged: &Staged) -> Result<bool, JournalError> {
    journal.recover()?;
    if journal.last()? != staged.commit.sequence {
        return Ok(false);
    }
    let row = journal.rows(staged.commit.sequence - 1, 0)?.into_iter().next();
    if row.is_some_and(|row| row.payload == staged.commit.payload) {
        return Ok(true);
    }
    // Somebody else has written there: nothing more may be.
    Err(JournalError::Conflict { refused: staged.commit.sequence, last: staged.commit.sequence })
}

fn own_event(shared: &Shared, content: annals_model::Content) -> Result<Ready, Fault> {
    ready(SYSTEM_ORGANIZATION.into(), None, content, shared.clock.now(), &random(1)?)
}

fn unavailable(what: &str) -> Fault {
    Fault::new(FaultKind::Unavailable, format!("the journal can't be written to now: {what}; try again later"))
}

/// An error with all its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

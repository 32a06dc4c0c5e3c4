//! The queue before the sequencer, bounded in events and in bytes.
//!
//! **Invariant:** what is refused is refused at once: the queue never grows beyond its bounds.
//! **Invariant:** jobs are taken in the order they came.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annals_model::{Appended, Fault, FaultKind, limits};
use tokio::sync::oneshot;

use crate::administer::Change;
use crate::{Prepared, stopped};

const BUSY_RETRY_AFTER_S: u32 = 1;

/// What the sequencer is asked to do.
pub(crate) enum Job {
    /// Record events, all or none.
    Append { prepared: Prepared, reply: oneshot::Sender<Result<Vec<Appended>, Fault>> },
    /// Change the small state, and record that.
    Administer { change: Box<Change>, reply: oneshot::Sender<Result<(), Fault>> },
    /// Register what was sealed, and trim the journal.
    Register { changes: Vec<annals_store::Change>, trim: Option<u64>, reply: oneshot::Sender<Result<(), Fault>> },
}

impl Job {
    fn size(&self) -> (usize, usize) {
        match self {
            Job::Append { prepared, .. } => (prepared.len(), prepared.bytes()),
            Job::Administer { .. } => (1, 0),
            // There is always room for what makes room, and at most two of them wait.
            Job::Register { .. } => (0, 0),
        }
    }

    /// Answers that it was not done.
    pub(crate) fn refuse(self, fault: Fault) {
        // Whoever asked may have gone; then nobody needs the answer.
        match self {
            Job::Append { reply, .. } => drop(reply.send(Err(fault))),
            Job::Administer { reply, .. } | Job::Register { reply, .. } => drop(reply.send(Err(fault))),
        }
    }
}

/// What was taken.
pub(crate) enum Taken {
    /// Jobs for one commit.
    Jobs(Vec<Job>),
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    came: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    events: usize,
    bytes: usize,
    closed: bool,
}

impl Queue {
    /// Takes a job in.
    ///
    /// # Errors
    ///
    /// Busy if it does not fit, unavailable after [`Queue::close`]; the job was not taken.
    pub(crate) fn push(&self, job: Job) -> Result<(), Fault> {
        let (events, bytes) = job.size();
        let mut inner = self.lock();
        if inner.closed {
            return Err(stopped());
        }
        // What was sealed makes room for the rest, and there is one of it at a time.
        let fits = matches!(job, Job::Register { .. })
            || inner.events + events <= limits::QUEUE_EVENTS_MAX && inner.bytes + bytes <= limits::QUEUE_BYTES_MAX;
        if !fits {
            let kind = FaultKind::Busy { retry_after_s: BUSY_RETRY_AFTER_S };
            return Err(Fault::new(kind, "more events are waiting than the server takes: send them again in a moment"));
        }
        inner.events += events;
        inner.bytes += bytes;
        inner.jobs.push_back(job);
        drop(inner);
        self.came.notify_one();
        Ok(())
    }

    /// Waits for jobs, not longer than `patience` if there is a bound, and takes what goes into one
    /// commit: all that wait up to the commit's limits, a change of state always alone.
    pub(crate) fn take(&self, patience: Option<Duration>) -> Taken {
        let mut inner = self.lock();
        while inner.jobs.is_empty() {
            if inner.closed {
                return Taken::Closed;
            }
            let Some(patience) = patience else {
                inner = self.came.wait(inner).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (woken, waited) = self.came.wait_timeout(inner, patience).unwrap_or_else(PoisonError::into_inner);
            inner = woken;
            if waited.timed_out() && inner.jobs.is_empty() {
                return Taken::Nothing;
            }
        }
        let mut taken = Vec::new();
        let (mut events, mut bytes) = (0, 0);
        while let Some(job) = inner.jobs.front() {
            let (job_events, job_bytes) = job.size();
            let alone = !matches!(job, Job::Append { .. });
            let over = events + job_events > limits::COMMIT_EVENTS_MAX || bytes + job_bytes > limits::COMMIT_BYTES_MAX;
            if !taken.is_empty() && (alone || over) {
                break;
            }
            events += job_events;
            bytes += job_bytes;
            taken.extend(inner.jobs.pop_front());
            if alone {
                break;
            }
        }
        inner.events -= events;
        inner.bytes -= bytes;
        Taken::Jobs(taken)
    }

    /// Takes no more jobs in; what waits is still taken out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_all();
    }

    /// Events and bytes that wait, and whether more are taken.
    pub(crate) fn waiting(&self) -> (usize, usize, bool) {
        let inner = self.lock();
        (inner.events, inner.bytes, !inner.closed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(events: usize, bytes_each: usize) -> (Job, oneshot::Receiver<Result<Vec<Appended>, Fault>>) {
        let (reply, answer) = oneshot::channel();
        (Job::Append { prepared: Prepared::of_size(events, bytes_each), reply }, answer)
    }

    /// How many jobs go into the next commit; 0 if none came.
    fn taken(queue: &Queue) -> usize {
        if let Taken::Jobs(jobs) = queue.take(Some(Duration::ZERO)) { jobs.len() } else { 0 }
    }

    #[test]
    fn a_full_queue_is_busy_and_takes_again_when_there_is_room() {
        for (events, bytes_each, fit) in [
            (10_000, 0, limits::QUEUE_EVENTS_MAX / 10_000),
            (100, 256 * 1024, limits::QUEUE_BYTES_MAX / (100 * 256 * 1024)),
        ] {
            let queue = Queue::default();
            for _ in 0..fit {
                assert_eq!(queue.push(job(events, bytes_each).0), Ok(()));
            }
            let refused = queue.push(job(events, bytes_each).0).map_err(|fault| fault.kind);
            assert_eq!(refused, Err(FaultKind::Busy { retry_after_s: BUSY_RETRY_AFTER_S }));
            assert!(taken(&queue) > 0);
            assert_eq!(queue.push(job(events, bytes_each).0), Ok(()));
        }
    }

    #[test]
    fn what_was_sealed_is_registered_however_full_the_queue_is() {
        let queue = Queue::default();
        while queue.push(job(10_000, 1).0).is_ok() {}
        assert_eq!(queue.waiting().0, limits::QUEUE_EVENTS_MAX);
        let (reply, _answer) = oneshot::channel();
        assert_eq!(queue.push(Job::Register { changes: Vec::new(), trim: None, reply }), Ok(()));
        while taken(&queue) > 0 {}
        assert_eq!(queue.waiting(), (0, 0, true));
    }

    #[test]
    fn what_was_sealed_is_taken_by_a_full_queue() {
        let queue = Queue::default();
        for _ in 0..limits::QUEUE_EVENTS_MAX / 10_000 {
            assert_eq!(queue.push(job(10_000, 0).0), Ok(()));
        }
        assert!(queue.push(job(1, 0).0).is_err());
        let (reply, _answer) = oneshot::channel();
        assert_eq!(queue.push(Job::Register { changes: Vec::new(), trim: None, reply }), Ok(()));
    }

    #[test]
    fn a_commit_keeps_to_its_limits_but_takes_one_job_whole() {
        let queue = Queue::default();
        for _ in 0..5 {
            assert_eq!(queue.push(job(limits::COMMIT_EVENTS_MAX / 2, 0).0), Ok(()));
        }
        let all: Vec<usize> = std::iter::from_fn(|| (queue.waiting().0 > 0).then(|| taken(&queue))).collect();
        assert_eq!(all, [2, 2, 1]);
        assert_eq!(queue.push(job(1, limits::COMMIT_BYTES_MAX + 1).0), Ok(()));
        assert_eq!(taken(&queue), 1);
        assert_eq!(queue.waiting(), (0, 0, true));
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_no_more() {
        let queue = Queue::default();
        assert_eq!(queue.push(job(1, 1).0), Ok(()));
        queue.close();
        assert!(queue.push(job(1, 1).0).is_err());
        assert_eq!(taken(&queue), 1);
        assert!(matches!(queue.take(None), Taken::Closed), "closed");
    }
}

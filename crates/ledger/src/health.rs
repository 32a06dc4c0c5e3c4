//! How the ledger is: what readiness tells.

use std::sync::{Mutex, PoisonError};

use crate::Shared;

/// How the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether events are taken; after a commit failed, whether one as large would be.
    pub ready: bool,
    /// Why not, or `ok`, or what has to be looked after though events are taken.
    pub detail: String,
    /// Events that wait for their commit.
    pub queue_events: usize,
    /// Their bytes.
    pub queue_bytes: usize,
    /// Committed events, over all logs.
    pub events: u64,
}

/// What keeps the sequencer from committing, if anything does.
#[derive(Default)]
pub(crate) struct Trouble(Mutex<Option<String>>);

impl Trouble {
    pub(crate) fn set(&self, what: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    pub(crate) fn what(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    pub(crate) fn health(&self) -> Health {
        let (queue_events, queue_bytes, open) = self.queue.waiting();
        let behind = || {
            let behind = self.sealing_is_behind()?;
            Some(self.sealing_trouble.what().map_or(behind.message, |why| format!("events are refused, since {why}")))
        };
        let trouble = self.trouble.what().or_else(|| self.defect.what()).or_else(behind);
        let trouble = trouble.or_else(|| (!open).then(|| "stopping".to_owned()));
        Health {
            ready: trouble.is_none(),
            detail: trouble
                .or_else(|| self.sealing_trouble.what())
                .or_else(|| self.shelf.damage.what())
                .or_else(|| self.merging_trouble.what())
                .or_else(|| self.journal.warning())
                .unwrap_or_else(|| "ok".to_owned()),
            queue_events,
            queue_bytes,
            events: self.tail.committed(),
        }
    }
}

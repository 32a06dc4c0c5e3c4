//! What each organization takes on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_model::Fault;
use annals_segment::{LogRange, Segment, SegmentError};

use crate::Ledger;
use crate::scene::unread;
use crate::sequencer::chain;

/// What an organization takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The organization.
    pub organization: Arc<str>,
    /// Its events.
    pub events: u64,
    /// Bytes on disk: of what is sealed, its events' and, by their number, its share of what is indexed;
    /// of what is not, the events' texts before they are compressed.
    pub bytes: u64,
}

impl Ledger {
    /// What each organization that has events takes on disk, ascending by id. What lies in a part of the
    /// history that can't be read or is damaged is not counted, with a warning in the log.
    ///
    /// # Errors
    ///
    /// Past its deadline if it took too long.
    pub fn usage(&self) -> Result<Vec<Usage>, Fault> {
        let shared = &self.shared;
        let committed = shared.tail.committed();
        let (view, deadline) = (shared.tail.view(), shared.deadline());
        let mut usage: BTreeMap<Arc<str>, (u64, u64)> = BTreeMap::new();
        let mut add = |organization: Arc<str>, events: u64, bytes: u64| {
            let entry = usage.entry(organization).or_default();
            *entry = (entry.0 + events, entry.1 + bytes);
        };
        for sealed in &view.sealed {
            let logs = logs(&deadline.over(sealed.segment()))?;
            let texts: u64 = logs.iter().map(|log| log.text_bytes).sum();
            let rest = u128::from(sealed.descriptor.bytes.saturating_sub(texts));
            let rows = u128::from(sealed.descriptor.rows.max(1));
            for log in logs {
                let events = u64::from(log.rows.end - log.rows.start);
                let share = u64::try_from(rest * u128::from(events) / rows).unwrap_or(u64::MAX);
                add(log.organization, events, log.text_bytes + share);
            }
        }
        for segment in &view.frozen {
            for log in logs(&deadline.over(segment))? {
                add(log.organization, u64::from(log.rows.end - log.rows.start), log.text_bytes);
            }
        }
        for fresh in &view.fresh {
            deadline.check().map_err(unread)?;
            for row in fresh.rows(0..committed) {
                add(shared.tail.logs.name(row.row.log), 1, row.row.canonical.len() as u64);
            }
        }
        let of = |(organization, (events, bytes))| Usage { organization, events, bytes };
        Ok(usage.into_iter().map(of).collect())
    }
}

/// What a segment holds of each log; nothing if that can't be read.
fn logs(segment: &Segment) -> Result<Vec<LogRange>, Fault> {
    match segment.logs() {
        Err(SegmentError::Late) => Err(unread(SegmentError::Late)),
        Err(error) => {
            let positions = segment.positions();
            tracing::warn!(
                error = %chain(&error),
                from = positions.start,
                until = positions.end,
                "what organizations take is told without the events of a segment that can't be read"
            );
            Ok(Vec::new())
        }
        logs => logs.map_err(unread),
    }
}

//! That no log has an id twice.
//!
//! **Invariant:** memory is bounded: sealed ids are compared a part of their hashes at a time, and of rows
//! there are only as many as are not sealed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use annals_segment::{EventId, Row, SegmentError};

use super::Check;
use crate::sealed::Sealed;

/// About so many ids of sealed events are compared at once.
const IDS_AT_ONCE: u64 = 1024 * 1024;

/// A sealed segment that could be opened.
pub(super) struct Shelved {
    pub(super) sealed: Sealed,
    /// Nothing was told of it so far.
    pub(super) sound: bool,
}

impl Shelved {
    /// The index of the event of a log that carries an id.
    fn index_of(&self, log: u32, id: &EventId) -> Result<Option<u64>, SegmentError> {
        let segment = self.sealed.segment();
        for row in segment.find_id_of(log, id)? {
            let row = segment.row(row)?;
            if id_of(&row).as_deref() == Some(id.text()) {
                return Ok(Some(row.index));
            }
        }
        Ok(None)
    }
}

/// The id of a sealed event, if it can be read.
fn id_of(row: &Row) -> Option<String> {
    row.content().ok().map(|content| content.id)
}

/// An id by its hash: the hash, the log, the place of the segment, the row.
type Hashed = (u64, u32, usize, u32);

/// The ids of the rows, each with its log: of each two hashes with secrets of this run, and the index.
#[derive(Default)]
pub(super) struct Ids {
    hashers: (RandomState, RandomState),
    seen: HashMap<(u64, u64), u64>,
}

impl Ids {
    /// The index of the event of the log that had the id before.
    pub(super) fn insert(&mut self, organization: &str, id: &str, index: u64) -> Option<u64> {
        let (one, other) = &self.hashers;
        let hashes = (one.hash_one((organization, id)), other.hash_one((organization, id)));
        match self.seen.entry(hashes) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(entry) => {
                entry.insert(index);
                None
            }
        }
    }
}

/// What is said of an id that two events of a log carry.
pub(super) fn twice(organization: &str, first: u64, index: u64) -> String {
    format!("the id of event {index} occurs twice in the log of {organization}: it is that of event {first}")
}

impl Check<'_> {
    /// That no log has an id twice in all sealed segments. All have their ids in the order of hashes, so one
    /// part of the hashes after the other is compared, and an event is read only where a hash repeats.
    pub(super) fn sealed_ids(&mut self) {
        let mut shelved = std::mem::take(&mut self.shelved);
        let events: u64 = shelved.iter().map(|shelved| u64::from(shelved.sealed.segment().len())).sum();
        let parts = u16::try_from(events / IDS_AT_ONCE + 1).unwrap_or(u16::MAX);
        let mut ids: Vec<Hashed> = Vec::new();
        for part in 0..parts {
            ids.clear();
            for (at, shelved) in shelved.iter_mut().enumerate() {
                let mut add = |hash, log, row| ids.push((hash, log, at, row));
                if let Err(error) = shelved.sealed.segment().each_id_hash(part, parts, &mut add) {
                    self.find_once(shelved, &error);
                }
            }
            ids.sort_unstable();
            for same in ids.chunk_by(|(hash, log, ..), (other, other_log, ..)| (hash, log) == (other, other_log)) {
                if same.len() > 1 {
                    self.same_hash(same, &mut shelved);
                }
            }
        }
        self.shelved = shelved;
    }

    /// Reads the events of a log whose ids have the same hash, and compares the ids themselves.
    fn same_hash(&mut self, same: &[Hashed], shelved: &mut [Shelved]) {
        let mut seen: HashMap<String, u64> = HashMap::new();
        for (_, log, at, row) in same {
            let Some(shelved) = shelved.get_mut(*at) else { continue };
            let row = match shelved.sealed.segment().row(*row) {
                Ok(row) => row,
                Err(error) => {
                    self.find_once(shelved, &error);
                    continue;
                }
            };
            // What can't be read was told of already.
            let Some(id) = id_of(&row) else { continue };
            match seen.entry(id) {
                Entry::Occupied(first) => {
                    let known = self.logs.iter().find(|(_, known)| known.number == Some(*log));
                    let organization = known.map_or_else(Arc::default, |(organization, _)| Arc::clone(organization));
                    let name = &shelved.sealed.name;
                    self.find(format!("segment {name}: {}", twice(&organization, *first.get(), row.index)));
                }
                Entry::Vacant(entry) => {
                    entry.insert(row.index);
                }
            }
        }
    }

    /// The index of the sealed event of a log that carries an id.
    pub(super) fn sealed_with(&mut self, organization: &str, id: &str) -> Option<u64> {
        let log = self.logs.get(organization)?.number?;
        let id = EventId::new(id);
        let mut shelved = std::mem::take(&mut self.shelved);
        let found = shelved.iter_mut().find_map(|shelved| match shelved.index_of(log, &id) {
            Ok(index) => index,
            Err(error) => {
                self.find_once(shelved, &error);
                None
            }
        });
        self.shelved = shelved;
        found
    }

    /// What an error of a segment says, unless something was told of the segment before.
    fn find_once(&mut self, shelved: &mut Shelved, error: &SegmentError) {
        if std::mem::replace(&mut shelved.sound, false) {
            self.find_in(&shelved.sealed.name, error);
        }
    }
}

//! What one commit will hold: events with their places and leaves, heads, and changes of state.
//!
//! **Invariant:** the live path and the recovery build it with the same code, so what is read back
//! is checked by making it anew.
//! **Invariant:** building it changes nothing: it is dropped if the commit fails.

use std::collections::HashMap;
use std::sync::Arc;

use annals_merkle::{Frontier, Hash, Leaf, Seed};
use annals_model::{Appended, Content, Fault, FaultKind, Time};
use annals_segment::Row;
use annals_store::row::{HeadChange, RowEncoder, RowError, RowEventRef, SecretRef};
use annals_store::{Change, Commit};

use crate::Shared;
use crate::administer::new_action;
use crate::lookup::{Finder, same_content};
use crate::pointers::{Pointers, Spread};
use crate::prepare::{Prepared, Ready};
use crate::tail::FreshRow;

/// The heads of all logs, by their numbers.
#[derive(Default)]
pub(crate) struct Heads(Vec<Frontier>);

impl Heads {
    pub(crate) fn of(&self, log: u32) -> Frontier {
        usize::try_from(log).ok().and_then(|log| self.0.get(log)).cloned().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, log: u32, head: Frontier) {
        let Ok(at) = usize::try_from(log) else { return };
        if self.0.len() <= at {
            self.0.resize(at + 1, Frontier::new());
        }
        if let Some(slot) = self.0.get_mut(at) {
            *slot = head;
        }
    }
}

/// What one commit will hold.
pub(crate) struct Stage<'s> {
    shared: &'s Shared,
    heads: &'s Heads,
    time: Time,
    position: u64,
    rows: Vec<FreshRow>,
    seeds: Vec<Seed>,
    /// The logs that change, in the order they first do.
    changed: Vec<ChangedLog>,
    /// Which of them each event is in.
    head_of: Vec<u32>,
    changed_by_log: HashMap<u32, u32, Spread>,
    /// Rows by the hash of log and id.
    ids: Pointers,
    /// What was committed before.
    finder: Finder<'s>,
    actions: HashMap<String, u64>,
    changes: Vec<Change>,
    trim: Option<u64>,
}

struct ChangedLog {
    log: u32,
    organization: Arc<str>,
    first_index: u64,
    head: Frontier,
}

/// A commit that was put together, and what follows from it once it is durable.
pub(crate) struct Staged {
    pub(crate) commit: Commit,
    pub(crate) rows: Vec<FreshRow>,
    pub(crate) heads: Vec<(u32, Frontier)>,
    pub(crate) time: Time,
}

impl<'s> Stage<'s> {
    pub(crate) fn new(shared: &'s Shared, heads: &'s Heads, time: Time, position: u64) -> Stage<'s> {
        Stage {
            shared,
            heads,
            time,
            position,
            rows: Vec::new(),
            seeds: Vec::new(),
            changed: Vec::new(),
            head_of: Vec::new(),
            changed_by_log: HashMap::default(),
            ids: Pointers::default(),
            finder: shared.finder(),
            actions: HashMap::new(),
            changes: Vec::new(),
            trim: None,
        }
    }

    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.changes.is_empty()
    }

    /// Adds an append, whole or not at all; its answer holds once the commit is durable.
    ///
    /// # Errors
    ///
    /// A conflict for an id that was used meanwhile for other content; nothing was added.
    pub(crate) fn append(&mut self, prepared: Prepared) -> Result<Vec<Appended>, Fault> {
        let mut own = Pointers::default();
        self.rows.reserve(prepared.events.len());
        self.seeds.reserve(prepared.events.len());
        self.head_of.reserve(prepared.events.len());
        let mut answers: Vec<Result<Appended, usize>> = Vec::with_capacity(prepared.events.len());
        for (at, ready) in prepared.events.iter().enumerate() {
            let answer = match self.repeated(ready, prepared.snapshot).map_err(|fault| fault.at_event(at))? {
                Some(appended) => Ok(appended),
                None if ready.named => {
                    let hash = self.shared.tail.id_hash(0, &ready.content.id);
                    let earlier = own.items(hash).find(|first| {
                        prepared.events.get(*first).is_some_and(|earlier| {
                            earlier.content.id == ready.content.id && earlier.organization == ready.organization
                        })
                    });
                    let first = earlier.unwrap_or(at);
                    if first == at {
                        own.add(hash, at);
                    }
                    if let Some(earlier) = prepared.events.get(first).filter(|_| first != at) {
                        same_content(&earlier.row(), &ready.content)
                            .map_err(|fault| conflict_within(fault, first, at))?;
                    }
                    Err(first)
                }
                None => Err(at),
            };
            answers.push(answer);
        }
        // Nothing fails from here on.
        let mut places: Vec<Option<Appended>> = Vec::with_capacity(answers.len());
        for ((at, ready), answer) in prepared.events.into_iter().enumerate().zip(answers) {
            let place = match answer {
                Ok(appended) => Some(appended),
                Err(first) if first == at => Some(self.push(ready)),
                Err(first) => places.get(first).cloned().flatten().map(|place| Appended { repeated: true, ..place }),
            };
            places.push(place);
        }
        Ok(places.into_iter().flatten().collect())
    }

    /// Adds changes of state with the event that records them.
    pub(crate) fn change(&mut self, changes: impl IntoIterator<Item = Change>, event: Ready) {
        self.changes.extend(changes);
        self.push(event);
    }

    /// Adds changes of state that no event records, and what they make superfluous in the journal.
    pub(crate) fn register(&mut self, changes: Vec<Change>, trim: Option<u64>) {
        self.changes.extend(changes);
        self.trim = trim;
    }

    /// Where an event is already: found when it was prepared, committed since, or in this commit.
    fn repeated(&self, ready: &Ready, snapshot: u64) -> Result<Option<Appended>, Fault> {
        if ready.repeated.is_some() || !ready.named {
            return Ok(ready.repeated.clone());
        }
        if self.position > snapshot
            && let Some(found) = self.finder.find(&ready.organization, &ready.content.id, snapshot)?
        {
            same_content(&found.row, &ready.content)?;
            return Ok(Some(found.appended(&ready.organization, &ready.content.id)));
        }
        let Some(log) = self.shared.tail.logs.number(&ready.organization) else { return Ok(None) };
        let staged = self.ids.items(self.shared.tail.id_hash(log, &ready.content.id));
        for row in staged.filter_map(|at| self.rows.get(at)) {
            if row.row.log == log && row.content.id == ready.content.id {
                same_content(&row.row, &ready.content)?;
                return Ok(Some(self.appended(&ready.organization, row, true)));
            }
        }
        Ok(None)
    }

    /// Gives an event its place.
    pub(crate) fn push(&mut self, ready: Ready) -> Appended {
        self.catalogue(&ready.content);
        let log = self.shared.tail.logs.ensure(&ready.organization);
        let leaf = Leaf { time_recorded_us: time_of(self.time), root: ready.root };
        let (head, index) = self.extend(log, &ready.organization, leaf.hash());
        let row = Row {
            log,
            index,
            position: self.position + self.rows.len() as u64,
            time_recorded: self.time,
            ..ready.row()
        };
        if ready.named {
            let hash = self.shared.tail.id_hash(log, &ready.content.id);
            self.ids.add(hash, self.rows.len());
        }
        let row = FreshRow { row, content: ready.content };
        let appended = self.appended(&ready.organization, &row, false);
        self.head_of.push(head);
        self.seeds.push(ready.seed);
        self.rows.push(row);
        appended
    }

    /// Appends a leaf to a log's tree: which of the changed logs it is, and the leaf's index.
    fn extend(&mut self, log: u32, organization: &Arc<str>, leaf: Hash) -> (u32, u64) {
        let next = u32::try_from(self.changed.len()).unwrap_or(u32::MAX);
        let number = *self.changed_by_log.entry(log).or_insert(next);
        if number == next {
            let head = self.heads.of(log);
            self.changed.push(ChangedLog {
                log,
                organization: Arc::clone(organization),
                first_index: head.size(),
                head,
            });
        }
        let changed = usize::try_from(number).ok().and_then(|number| self.changed.get_mut(number));
        let index = changed.map_or(0, |changed| {
            changed.head.push(leaf);
            changed.head.size() - 1
        });
        (number, index)
    }

    /// Gives an action that is new to the catalogue the next number.
    fn catalogue(&mut self, content: &Content) {
        let action = &content.action;
        let own = action.starts_with(annals_model::Filter::OWN_ACTIONS);
        if own || self.shared.state.action_number(action).is_some() || self.actions.contains_key(action) {
            return;
        }
        let number = self.shared.state.action_number_last() + 1 + self.actions.len() as u64;
        self.actions.insert(action.clone(), number);
        self.changes.push(new_action(action, number));
    }

    fn appended(&self, organization: &Arc<str>, row: &FreshRow, repeated: bool) -> Appended {
        Appended {
            organization: Arc::clone(organization),
            id: row.content.id.clone(),
            index: row.row.index,
            time_recorded: self.time,
            repeated,
        }
    }

    /// The logs that change, as they are kept with the row.
    pub(crate) fn head_changes(&self) -> Vec<HeadChange> {
        let changed = self.changed.iter().map(|changed| HeadChange {
            organization: changed.organization.to_string(),
            first_index: changed.first_index,
            count: u32::try_from(changed.head.size() - changed.first_index).unwrap_or(u32::MAX),
            root: changed.head.root(),
        });
        changed.collect()
    }

    /// The commit, put together for the journal.
    ///
    /// # Errors
    ///
    /// If the row can't be written.
    pub(crate) fn finish(self, sequence: u64, encoder: &mut RowEncoder) -> Result<Staged, RowError> {
        let events = self.rows.iter().zip(&self.seeds).zip(&self.head_of);
        let events = events.map(|((row, seed), head)| RowEventRef {
            head: *head,
            secret: SecretRef::Seed(seed),
            canonical: &row.row.canonical,
        });
        let payload = encoder.encode(&self.head_changes(), &events.collect::<Vec<_>>())?;
        Ok(self.staged(sequence, payload))
    }

    /// What follows once the commit is durable.
    pub(crate) fn staged(self, sequence: u64, payload: Vec<u8>) -> Staged {
        let commit = Commit {
            sequence,
            position: self.position,
            event_count: u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
            time_recorded_us: time_of(self.time),
            payload,
            changes: self.changes,
            trim: self.trim,
        };
        let heads = self.changed.into_iter().map(|changed| (changed.log, changed.head)).collect();
        Staged { commit, rows: self.rows, heads, time: self.time }
    }
}

/// A time as leaves and commits hold it: no clock of the server lies before 1970.
fn time_of(time: Time) -> u64 {
    u64::try_from(time.us()).unwrap_or_default()
}

/// A conflict between two events of one request, neither of which is stored.
fn conflict_within(fault: Fault, first: usize, second: usize) -> Fault {
    if fault.kind != FaultKind::Conflict {
        return fault.at_event(second);
    }
    let what = format!("events {first} and {second} of the request have the same id and say different things");
    Fault::conflict(what).at_member("id").at_event(second)
}

impl Heads {
    /// Follows a durable commit.
    pub(crate) fn follow(&mut self, heads: Vec<(u32, Frontier)>) {
        for (log, head) in heads {
            self.set(log, head);
        }
    }
}

impl Ready {
    /// As a row without a place.
    fn row(&self) -> Row {
        Row {
            log: 0,
            index: 0,
            position: 0,
            time_recorded: Time::default(),
            canonical: Arc::clone(&self.canonical),
            secret: Arc::from(self.seed.as_slice()),
        }
    }
}

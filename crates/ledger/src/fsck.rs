//! Reads and checks a whole data folder: sealed segments, the journal's rows, and that both together are
//! what was committed to.
//!
//! **Invariant:** it changes nothing.
//! **Invariant:** what it passes has every event of every log once, each under the root that its commit
//! stated, and an index that says the same as the events.

mod ids;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use annals_merkle::{Frontier, Hash, Leaf};
use annals_model::{Content, Time};
use annals_segment::{Row, Segment, SegmentError};
use annals_store::row::RowDecoder;
use annals_store::{BlobError, Blobs, Change, Journal, StateKind};

use crate::administer::{HASH_KEY, SERVER_NAME, STORE};
use crate::heads::{self, Floor};
use crate::prepare::root;
use crate::recover::{Held, OpenError, READ_BYTES_MAX, Read, kept_head, number, read};
use crate::sealed::{Descriptor, Shelf};
use crate::state::State;
use ids::{Ids, Shelved, twice};

/// The cache that segments are read through.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
/// After so many events progress is told.
const PROGRESS_EVENTS: u64 = 4_096;

/// Something that is wrong, or could not be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What, in which segment or row, in which section, and where.
    pub what: String,
    /// It could not be read now: whether it is as it was written is not known.
    pub unread: bool,
}

/// How far the check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events that were checked.
    pub events: u64,
    /// Events that there are.
    pub of: u64,
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sealed segments.
    pub segments: u64,
    /// Rows of the journal.
    pub rows: u64,
    /// Events in both.
    pub events: u64,
    /// What is wrong.
    pub findings: u64,
    /// What could not be read, and so was not checked.
    pub unread: u64,
}

/// A log as far as it was read.
#[derive(Default)]
struct Log {
    /// As sealed segments tell it.
    number: Option<u32>,
    head: Frontier,
    last_recorded: Time,
    /// Events are missing before those that were read last, so its tree can't be told.
    broken: bool,
}

/// Where and when an event is.
struct Placed {
    organization: Arc<str>,
    index: u64,
    time_recorded: Time,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the event at index {} of {}", self.index, self.organization)
    }
}

struct Check<'c> {
    report: &'c mut dyn FnMut(Finding),
    progress: &'c mut dyn FnMut(Progress),
    summary: Summary,
    of: u64,
    /// By the organization.
    logs: HashMap<Arc<str>, Log>,
    /// Whether all sealed events could be read so far.
    whole: bool,
    /// Where the sealed segments that were read end.
    position: u64,
    /// The sealed segments that could be opened, by position.
    shelved: Vec<Shelved>,
    ids: Ids,
}

/// Reads and checks everything that a journal and its blobs hold. `report` gets each thing that is wrong
/// or could not be read, `progress` how far it has come, now and then.
///
/// # Errors
///
/// [`OpenError`] if the journal can't be read to its end, or the blobs can't be listed.
pub fn fsck(
    journal: &dyn Journal,
    blobs: &Arc<dyn Blobs>,
    report: &mut dyn FnMut(Finding),
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, OpenError> {
    let mut check = Check {
        report,
        progress,
        summary: Summary::default(),
        of: 0,
        logs: HashMap::new(),
        whole: true,
        position: 0,
        shelved: Vec::new(),
        ids: Ids::default(),
    };
    let settings = journal.state(StateKind::Setting)?;
    let floor = settings.iter().find(|(key, _)| key == heads::FLOOR);
    let floor = floor.map(|(_, value)| Floor::of_bytes(value));
    let floor = match floor {
        Some(None) => {
            check.find("the setting floor can't be read".to_owned());
            Floor::default()
        }
        Some(Some(floor)) => floor,
        None => Floor::default(),
    };
    check.state(journal)?;
    check.segments(journal, blobs, floor)?;
    check.sealed_ids();
    check.heads(journal)?;
    let end = check.rows(journal, floor)?;
    check.settings(&settings);
    check.blobs(journal, &**blobs, Held { floor: floor.position, end })?;
    Ok(check.summary)
}

impl Check<'_> {
    fn find(&mut self, what: String) {
        self.summary.findings += 1;
        (self.report)(Finding { what, unread: false });
    }

    /// What an error of a segment says: that it is damaged, or can't be read now.
    fn find_in(&mut self, segment: &str, error: &SegmentError) {
        self.whole = false;
        let what = format!("segment {segment}: {}", crate::sequencer::chain(error));
        if is_passing(error) {
            self.summary.unread += 1;
            (self.report)(Finding { what, unread: true });
        } else {
            self.find(what);
        }
    }

    /// Organizations, keys and actions can be read.
    fn state(&mut self, journal: &dyn Journal) -> Result<(), OpenError> {
        let state = State::default();
        for kind in [StateKind::Organization, StateKind::Key, StateKind::Action] {
            for (key, value) in journal.state(kind)? {
                if let Err(error) = state.apply(&Change::Put { kind, key, value }) {
                    self.find(error.to_string());
                }
            }
        }
        Ok(())
    }

    /// What the first start has fixed is there, if there was one.
    fn settings(&mut self, settings: &[(String, Vec<u8>)]) {
        let (any_event, any_segment) = (self.summary.events > 0, self.summary.segments > 0);
        for (name, is_fixed) in [(SERVER_NAME, any_event), (STORE, any_event), (HASH_KEY, any_segment)] {
            if is_fixed && settings.iter().all(|(key, _)| key != name) {
                self.find(format!("the setting {name} is missing"));
            }
        }
        if let Err(error) = number::<u32>(settings, STORE) {
            self.find(error.to_string());
        }
        match number::<u64>(settings, HASH_KEY) {
            Ok(Some(key)) => {
                let others = self.shelved.iter().filter(|shelved| shelved.sealed.segment().hash_key() != key);
                let names: Vec<String> = others.map(|shelved| shelved.sealed.name.clone()).collect();
                for name in names {
                    self.find(format!(
                        "segment {name}: its ids are hashed with another key than the setting {HASH_KEY}"
                    ));
                }
            }
            Ok(None) => {}
            Err(error) => self.find(error.to_string()),
        }
    }

    /// Of the blobs that nobody names all are what a crash left: the next start deletes them.
    fn blobs(&mut self, journal: &dyn Journal, blobs: &dyn Blobs, held: Held) -> Result<(), OpenError> {
        let named: HashSet<String> = journal.state(StateKind::Segment)?.into_iter().map(|(name, _)| name).collect();
        for blob in blobs.list()? {
            if !named.contains(&blob.name) && !held.is_orphan(&blob.name) {
                self.find(OpenError::Stray { name: blob.name, end: held.end }.to_string());
            }
        }
        Ok(())
    }

    fn segments(&mut self, journal: &dyn Journal, blobs: &Arc<dyn Blobs>, floor: Floor) -> Result<(), OpenError> {
        let shelf = Shelf::new(Arc::clone(blobs), CACHE_BYTES);
        let mut descriptors = Vec::new();
        for (name, value) in journal.state(StateKind::Segment)? {
            match Descriptor::of_bytes(&value) {
                Ok(descriptor) => descriptors.push((name, descriptor)),
                Err(error) => {
                    self.whole = false;
                    self.find(format!("segment {name}: what the journal says of it can't be read: {error}"));
                }
            }
        }
        descriptors.sort_by_key(|(_, descriptor)| descriptor.first);
        self.of = floor.position + journal_events(journal)?;
        let stored = blobs.list()?;
        for (name, descriptor) in descriptors {
            self.summary.segments += 1;
            if descriptor.first != self.position {
                let (from, until) = (self.position, descriptor.first);
                self.whole = false;
                self.find(format!("segment {name} begins at position {until}, and what is before it ends at {from}"));
            }
            self.position = descriptor.end;
            if let Some(blob) = stored.iter().find(|blob| blob.name == name)
                && blob.bytes != descriptor.bytes
            {
                self.find(format!(
                    "segment {name} has {} bytes, and was written with {}",
                    blob.bytes, descriptor.bytes
                ));
            }
            match shelf.open(&name, descriptor) {
                Ok(sealed) => {
                    let sound = self.segment(&name, sealed.segment());
                    self.shelved.push(Shelved { sealed, sound });
                }
                Err(error) => self.find_in(&name, &error),
            }
        }
        if self.position != floor.position {
            let (from, until) = (self.position, floor.position);
            self.whole = false;
            self.find(format!("sealed segments end at position {from}, and the journal was trimmed up to {until}"));
        }
        Ok(())
    }

    /// Whether it can be read, and its index says the same as its events.
    fn segment(&mut self, name: &str, segment: &Segment) -> bool {
        let before = self.summary.events;
        let mut damage = Vec::new();
        // If they can't be read there are no events either, and the check tells why.
        let logs = segment.logs().unwrap_or_default();
        let organizations: HashMap<u32, Arc<str>> = logs.into_iter().map(|log| (log.log, log.organization)).collect();
        let mut wrong: Option<String> = None;
        for (log, organization) in &organizations {
            let known = *self.logs.entry(Arc::clone(organization)).or_default().number.get_or_insert(*log);
            if known != *log {
                wrong.get_or_insert(format!("the log of {organization} has number {log}, and {known} before"));
            }
        }
        segment.check(
            &mut |row, content| {
                let Some(organization) = organizations.get(&row.log).cloned() else { return };
                if let Err(what) = self.sealed_event(organization, row, content) {
                    wrong.get_or_insert(what);
                }
            },
            &mut |error| damage.push(error),
        );
        if let Some(what) = wrong {
            self.find(format!("segment {name}: {what}"));
        }
        if self.summary.events - before != u64::from(segment.len()) {
            self.whole = false;
        }
        damage.iter().for_each(|error| self.find_in(name, error));
        damage.is_empty()
    }

    /// Follows one sealed event.
    fn sealed_event(&mut self, organization: Arc<str>, row: &Row, content: &Content) -> Result<(), String> {
        self.count();
        let place = Placed { organization, index: row.index, time_recorded: row.time_recorded };
        let seed = (*row.secret).try_into().map_err(|_| format!("{place}: its seed can't be read"))?;
        let root = root(&content.canonical(), &seed).map_err(|fault| format!("{place}: {fault}"))?;
        self.event(place, content, &row.canonical, root)
    }

    /// One event more, whatever is wrong with it.
    fn count(&mut self) {
        self.summary.events += 1;
        if self.summary.events.is_multiple_of(PROGRESS_EVENTS) {
            (self.progress)(Progress { events: self.summary.events, of: self.of });
        }
    }

    /// Follows one event: its place, its time, and its leaf.
    fn event(&mut self, place: Placed, content: &Content, canonical: &[u8], root: Hash) -> Result<(), String> {
        let log = self.logs.entry(Arc::clone(&place.organization)).or_default();
        if !log.broken && log.head.size() != place.index {
            log.broken = true;
            // What could not be read was told of already.
            if self.whole {
                return Err(format!("{place}: index {} was expected", log.head.size()));
            }
        }
        if place.time_recorded < log.last_recorded {
            return Err(format!("{place}: it was recorded before the one before it"));
        }
        log.last_recorded = place.time_recorded;
        if *content.canonical().text != *canonical {
            return Err(format!("{place}: its text is not in canonical form"));
        }
        let time_recorded_us = u64::try_from(place.time_recorded.us()).unwrap_or_default();
        if !log.broken {
            log.head.push(Leaf { time_recorded_us, root }.hash());
        }
        Ok(())
    }

    /// Compares the heads that were kept at the last seal with those of the segments.
    fn heads(&mut self, journal: &dyn Journal) -> Result<(), OpenError> {
        let mut numbers: BTreeMap<u32, String> = BTreeMap::new();
        let mut without: HashSet<Arc<str>> = self.logs.keys().cloned().collect();
        for (organization, value) in journal.state(StateKind::Head)? {
            without.remove(organization.as_str());
            let (number, kept) = match kept_head(&organization, &value) {
                Ok(kept) => kept,
                Err(error) => {
                    self.find(error.to_string());
                    continue;
                }
            };
            let log = self.logs.entry(organization.as_str().into()).or_default();
            let (size, kept_size) = (log.head.size(), kept.size());
            // Some of its events may be among those that could not be read.
            let is_told = !log.broken && (self.whole || size >= kept_size);
            let differs = is_told && log.head != kept;
            let other = log.number.filter(|other| *other != number);
            // From here on rows are compared on top of what was kept.
            (log.head, log.broken) = (kept, false);
            if differs {
                self.find(format!(
                    "the log of {organization}: {size} sealed events give another root than the {kept_size} that were committed to"
                ));
            }
            if let Some(other) = other {
                self.find(format!("the log of {organization} has number {other} in segments, and its head {number}"));
            }
            if let Some(other) = numbers.insert(number, organization.clone()) {
                self.find(format!("the heads of {other} and {organization} have the same number, {number}"));
            }
        }
        let mut without: Vec<Arc<str>> = without.into_iter().collect();
        without.sort();
        for organization in without {
            self.find(format!("the log of {organization} has sealed events, and no head was kept of it"));
        }
        Ok(())
    }

    /// Follows the rows; gives the position after the last event.
    fn rows(&mut self, journal: &dyn Journal, floor: Floor) -> Result<u64, OpenError> {
        let mut decoder = RowDecoder::new().map_err(OpenError::Codec)?;
        let (mut last, mut position) = (journal.floor()?, floor.position);
        loop {
            let rows = journal.rows(last, READ_BYTES_MAX)?;
            let Some(row) = rows.last() else { return Ok(position) };
            let following = last + 1..;
            last = row.sequence;
            for (row, sequence) in rows.into_iter().zip(following) {
                self.summary.rows += 1;
                if row.sequence != sequence {
                    self.find(format!("row {} is where {sequence} was expected", row.sequence));
                }
                if row.position != position {
                    let sequence = row.sequence;
                    self.find(format!("row {sequence} begins at position {}, not at {position}", row.position));
                }
                position = row.position + u64::from(row.event_count);
                match read(&row, &mut decoder) {
                    Ok(read) => {
                        if let Err(what) = self.row(&row, read) {
                            self.find(format!("row {}: {what}", row.sequence));
                        }
                    }
                    Err(error) => self.find(crate::sequencer::chain(&error)),
                }
            }
        }
    }

    /// Follows what was read of a row.
    fn row(&mut self, row: &annals_store::Row, read: Read) -> Result<(), String> {
        if read.events.len() as u64 != u64::from(row.event_count) {
            return Err(format!("it holds {} events, and says {}", read.events.len(), row.event_count));
        }
        let time_recorded =
            i64::try_from(row.time_recorded_us).map(Time::from_us).map_err(|_| "its time".to_owned())?;
        for event in read.events {
            let index = self.logs.get(&event.organization).map_or(0, |log| log.head.size());
            let organization = event.organization;
            let place = Placed { organization: Arc::clone(&organization), index, time_recorded };
            self.count();
            self.event(place, &event.content, &event.canonical, event.root)?;
            let id = &event.content.id;
            let first = self.ids.insert(&organization, id, index).or_else(|| self.sealed_with(&organization, id));
            if let Some(first) = first {
                self.find(format!("row {}: {}", row.sequence, twice(&organization, first, index)));
            }
        }
        for head in read.heads {
            let log = self.logs.get(head.organization.as_str());
            let (size, root) = log.map(|log| (log.head.size(), log.head.root())).unwrap_or_default();
            if (size, root) != (head.first_index + u64::from(head.count), head.root) {
                return Err(format!("its events do not give the root that it states for {}", head.organization));
            }
        }
        Ok(())
    }
}

/// Whether the same may be read another time: no permission, a disk that fails, no memory.
fn is_passing(error: &SegmentError) -> bool {
    match error {
        SegmentError::Unreadable { source } => {
            !matches!(source.downcast_ref(), Some(BlobError::NotFound { .. } | BlobError::Corrupt { .. }))
        }
        SegmentError::Compression => true,
        _ => false,
    }
}

/// How many events the journal's rows hold.
fn journal_events(journal: &dyn Journal) -> Result<u64, OpenError> {
    let (mut last, mut events) = (journal.floor()?, 0);
    loop {
        let rows = journal.rows(last, READ_BYTES_MAX)?;
        let Some(row) = rows.last() else { return Ok(events) };
        last = row.sequence;
        events += rows.iter().map(|row| u64::from(row.event_count)).sum::<u64>();
    }
}

//! Opening the ledger: sealed segments are opened, and what is in the journal's rows is read back and
//! checked by making it anew.
//!
//! **Invariant:** the recovery puts rows together with the code of the live path, and believes a
//! row only if the heads it gets are the ones that were committed.
//! **Invariant:** sealed segments and rows together hold every position once: what lacks one, or has one
//! twice, is refused.
//! **Invariant:** sealed segments and the kept heads tell of the same logs with the same sizes, or it is
//! refused: a log never begins anew over events that it has.
//! **Invariant:** no blob is deleted but one that a crash left: the journal does not name it, and other
//! segments or checked rows hold all of its positions. Any other blob refuses the start.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

use annals_merkle::Frontier;
use annals_model::{Event, Fault, Time};
use annals_store::row::{HeadChange, RowBody, RowDecoder, RowEncoder, RowError, Secret};
use annals_store::{BlobError, BlobInfo, Blobs, Journal, JournalError, Row, StateKind};

use crate::administer::{HASH_KEY, SERVER_NAME, STORE, first_start};
use crate::clock::{Clock, Timekeeper};
use crate::heads::{self, Floor};
use crate::health::Trouble;
use crate::prepare::{Ready, root};
use crate::queue::Queue;
use crate::seal::Marks;
use crate::sealed::{Descriptor, Sealed, Shelf};
use crate::sequencer::Sequencer;
use crate::stage::{Heads, Stage};
use crate::state::State;
use crate::tail::Tail;
use crate::{Options, Shared};

/// Rows that are read at once, in bytes.
pub(crate) const READ_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Numbers of logs are below this: memory is taken up to the greatest one, so a damaged one could take all.
pub(crate) const LOG_NUMBERS_MAX: u32 = 1 << 24;

/// Why the ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal refuses.
    #[error("the journal can't be read")]
    Journal(#[from] JournalError),
    /// A row is damaged or of a newer form.
    #[error("row {sequence} of the journal can't be read: restore a backup, or start the annals that wrote it")]
    Row {
        /// Which row.
        sequence: u64,
        /// What is wrong with it.
        source: RowError,
    },
    /// The codec of rows can't be set up.
    #[error("the codec of the journal's rows can't be set up")]
    Codec(#[source] RowError),
    /// A row's events are not what was committed to.
    #[error(
        "row {sequence} of the journal is not what was committed ({what}): it was changed or damaged; restore a backup"
    )]
    Changed {
        /// Which row.
        sequence: u64,
        /// What differs.
        what: String,
    },
    /// An entry of the small state can't be read.
    #[error("the journal's entry {entry} can't be read: restore a backup, or start the annals that wrote it")]
    State {
        /// Which entry; of an action only that it is one, since it is what events say.
        entry: String,
    },
    /// A sealed segment can't be opened.
    #[error("the segment {name} can't be opened: restore it from a backup")]
    Segment {
        /// Its blob.
        name: String,
        /// What is wrong with it.
        source: annals_segment::SegmentError,
    },
    /// Sealed segments and rows don't follow each other.
    #[error("the events from position {from} on are neither sealed nor in the journal up to {until}: restore a backup")]
    Gap {
        /// Where the gap begins.
        from: u64,
        /// What comes next.
        until: u64,
    },
    /// A log's kept head and its sealed events differ.
    #[error(
        "the journal knows of {kept} sealed events in the log of {organization}, and {sealed} are there: journal and segments don't belong together, or were changed; restore a backup"
    )]
    Head {
        /// Whose log it is.
        organization: String,
        /// The size of the kept head; 0 without one.
        kept: u64,
        /// The events in sealed segments.
        sealed: u64,
    },
    /// There is a blob that this journal has not left.
    #[error(
        "the segment {name} is none of this journal's, which ends at position {end}: the journal is older than the segments, or another one; restore the journal that belongs to them, or move the file away; nothing was deleted"
    )]
    Stray {
        /// The blob.
        name: String,
        /// The position after the last event that the journal knows of.
        end: u64,
    },
    /// The blobs can't be listed, or what a crash left can't be deleted.
    #[error("the folder of sealed segments can't be used")]
    Blobs(#[from] BlobError),
    /// The name was fixed at the first start.
    #[error(
        "the server's name is {fixed} since its first start and goes into proofs: start it without --name, or with that one, not {given}"
    )]
    Name {
        /// The name that is fixed.
        fixed: String,
        /// The name that was given.
        given: String,
    },
    /// The name can't stand in an origin.
    #[error("{name:?} can't be a server's name: it has 1 to 255 bytes, no space, no + and no control character")]
    BadName {
        /// The name that was given.
        name: String,
    },
    /// The first start could not be recorded.
    #[error("the first start can't be recorded: {0}")]
    FirstStart(Fault),
    /// A thread could not be started.
    #[error("a thread can't be started")]
    Thread(#[source] std::io::Error),
}

/// Reads everything back and starts the threads.
pub(crate) fn open(
    journal: Arc<dyn Journal>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    options: Options,
) -> Result<(Arc<Shared>, Vec<JoinHandle<()>>), OpenError> {
    let settings = journal.state(StateKind::Setting)?;
    let (server_name, first) = server_name(&settings, &options)?;
    let random = crate::prepare::random(1).map_err(OpenError::FirstStart)?;
    let hash_seed = random.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let fresh = random.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let store =
        if first { fresh } else { number(&settings, STORE)?.ok_or(OpenError::State { entry: STORE.to_owned() })? };
    let shared = Arc::new(Shared {
        state: State::load(&*journal)?,
        journal,
        clock,
        mask: options.mask,
        server_name,
        store,
        queue: Queue::default(),
        tail: Tail::new(hash_seed),
        hash_key: number(&settings, HASH_KEY)?.unwrap_or(hash_seed),
        shelf: Shelf::new(blobs, options.cache_bytes),
        marks: Marks::default(),
        seal_events: options.seal_events.max(1),
        trouble: Trouble::default(),
        unsealed_bytes: AtomicU64::new(0),
        sealing_trouble: Trouble::default(),
        merging_trouble: Trouble::default(),
        defect: Trouble::default(),
        reach: options.reach,
    });
    let floor = settings.iter().find(|(key, _)| key == heads::FLOOR);
    let floor = floor.map(|(key, value)| Floor::of_bytes(value).ok_or(OpenError::State { entry: key.clone() }));
    let floor = floor.transpose()?.unwrap_or_default();
    let sealed = open_sealed(&shared, floor)?;
    shared.tail.begin(sealed, floor.position);
    let start = |name: &str, run: fn(&Shared)| {
        let shared = Arc::clone(&shared);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared)).map_err(OpenError::Thread)
    };
    let mut threads = vec![start("annals-freezer", Shared::freeze_until_closed)?];
    let mut begin = || -> Result<(), OpenError> {
        let mut sequencer = read_back(&shared, floor)?;
        let (_, end, _) = sequencer.next();
        // Before the first start nothing can have been left.
        let held = if first { Held::default() } else { Held { floor: floor.position, end } };
        delete_orphans(&shared, held)?;
        if first {
            let (changes, event) = first_start(&shared.server_name, store);
            sequencer.record(changes, event).map_err(OpenError::FirstStart)?;
        }
        threads.push(start("annals-sealer", Shared::seal_until_closed)?);
        threads.push(start("annals-merger", Shared::merge_until_closed)?);
        let sequencer = std::thread::Builder::new().name("annals-sequencer".to_owned()).spawn(move || sequencer.run());
        threads.push(sequencer.map_err(OpenError::Thread)?);
        Ok(())
    };
    // Without a sequencer nobody else would end the others.
    begin().inspect_err(|_| shared.tail.signal.close())?;
    Ok((shared, threads))
}

/// Opens the sealed segments.
fn open_sealed(shared: &Shared, floor: Floor) -> Result<Vec<Arc<Sealed>>, OpenError> {
    let mut sealed = Vec::new();
    for (name, value) in shared.journal.state(StateKind::Segment)? {
        let descriptor =
            Descriptor::of_bytes(&value).map_err(|_| OpenError::State { entry: format!("of the segment {name}") })?;
        let opened = shared.shelf.open(&name, descriptor);
        sealed.push(Arc::new(opened.map_err(|source| OpenError::Segment { name, source })?));
    }
    sealed.sort_by_key(|sealed| sealed.descriptor.first);
    let mut end = 0;
    for Sealed { descriptor, .. } in sealed.iter().map(|sealed| &**sealed) {
        if descriptor.first != end {
            return Err(OpenError::Gap { from: end, until: descriptor.first });
        }
        end = descriptor.end;
    }
    if end != floor.position {
        return Err(OpenError::Gap { from: end, until: floor.position });
    }
    Ok(sealed)
}

/// The positions that are held without a blob that nobody names.
#[derive(Clone, Copy, Default)]
pub(crate) struct Held {
    /// Up to here by sealed segments.
    pub(crate) floor: u64,
    /// From there up to here by rows.
    pub(crate) end: u64,
}

impl Held {
    /// Whether a blob that nobody names is one that a crash left: of segments that were merged, or of a merge
    /// or a seal that was not registered.
    pub(crate) fn is_orphan(self, blob: &str) -> bool {
        positions(blob).is_some_and(|blob| blob.end <= self.floor || (blob.start >= self.floor && blob.end <= self.end))
    }
}

/// The positions of a sealed segment, as its blob's name tells them.
fn positions(blob: &str) -> Option<Range<u64>> {
    let mut parts = blob.split('-');
    let mut digits = |length: usize| parts.next().filter(|part| part.len() == length);
    let (first, end, seed) = (digits(20)?, digits(20)?, digits(8)?);
    let (first, end): (u64, u64) = (first.parse().ok()?, end.parse().ok()?);
    let seed = u32::from_str_radix(seed, 16).ok()?;
    (first < end && blob == format!("{first:020}-{end:020}-{seed:08x}")).then_some(first..end)
}

/// Deletes the blobs that a crash left, if there are no others that nobody names.
fn delete_orphans(shared: &Shared, held: Held) -> Result<(), OpenError> {
    let view = shared.tail.view();
    let named: HashSet<&str> = view.sealed.iter().map(|sealed| sealed.name.as_str()).collect();
    let stored = shared.shelf.blobs.list()?;
    let unnamed: Vec<BlobInfo> = stored.into_iter().filter(|blob| !named.contains(blob.name.as_str())).collect();
    if let Some(stray) = unnamed.iter().find(|blob| !held.is_orphan(&blob.name)) {
        return Err(OpenError::Stray { name: stray.name.clone(), end: held.end });
    }
    for BlobInfo { name, bytes } in unnamed {
        tracing::info!(blob = %name, bytes, "deleting a segment that was never registered, or was merged");
        shared.shelf.blobs.delete(&name)?;
    }
    Ok(())
}

/// The server's name, and whether it is still to be recorded.
fn server_name(settings: &[(String, Vec<u8>)], options: &Options) -> Result<(String, bool), OpenError> {
    let fixed = settings.iter().find(|(key, _)| key == SERVER_NAME);
    let Some((key, value)) = fixed else {
        let name = options.server_name.clone().unwrap_or_else(|| options.default_name.clone());
        let bad = name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
        if name.is_empty() || name.len() > annals_model::limits::SERVER_NAME_BYTES_MAX || bad {
            return Err(OpenError::BadName { name });
        }
        return Ok((name, true));
    };
    let fixed = String::from_utf8(value.clone()).map_err(|_| OpenError::State { entry: key.clone() })?;
    match &options.server_name {
        Some(given) if *given != fixed => Err(OpenError::Name { fixed, given: given.clone() }),
        _ => Ok((fixed, false)),
    }
}

/// A setting that is a number.
pub(crate) fn number<T: std::str::FromStr>(settings: &[(String, Vec<u8>)], name: &str) -> Result<Option<T>, OpenError> {
    let Some((_, value)) = settings.iter().find(|(key, _)| key == name) else { return Ok(None) };
    let value = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    value.map(Some).ok_or_else(|| OpenError::State { entry: name.to_owned() })
}

/// Restores the heads, reads all rows and follows them.
fn read_back(shared: &Arc<Shared>, floor: Floor) -> Result<Sequencer, OpenError> {
    let encoder = RowEncoder::new().map_err(OpenError::Codec)?;
    let time = Timekeeper::new(&*shared.clock, Time::from_us(0));
    let mut sequencer = Sequencer::new(Arc::clone(shared), time, encoder);
    let restored = restore_heads(shared, floor)?;
    sequencer.begin(shared.journal.floor()?, floor.position, floor.time(), restored);
    let mut rows = shared.journal.rows(0, READ_BYTES_MAX)?;
    while let Some(last) = rows.last().map(|row| row.sequence) {
        for (row, read) in read_rows(rows)? {
            follow(shared, &mut sequencer, row, read)?;
            shared.wait_for_freezer();
        }
        rows = shared.journal.rows(last, READ_BYTES_MAX)?;
    }
    Ok(sequencer)
}

/// A log's number and head, as the journal keeps them for an organization.
pub(crate) fn kept_head(organization: &str, value: &[u8]) -> Result<(u32, Frontier), OpenError> {
    let kept = heads::of_bytes(value).filter(|(log, _)| *log < LOG_NUMBERS_MAX);
    kept.ok_or_else(|| OpenError::State { entry: format!("of the log of {organization}") })
}

/// Gives the logs the numbers and heads that were kept at the last seal.
fn restore_heads(shared: &Shared, floor: Floor) -> Result<Heads, OpenError> {
    let (mut restored, mut kept) = (Heads::default(), BTreeMap::new());
    for (organization, value) in shared.journal.state(StateKind::Head)? {
        let (log, head) = kept_head(&organization, &value)?;
        let organization: Arc<str> = organization.into();
        if kept.insert(log, (Arc::clone(&organization), head.size())).is_some() {
            return Err(OpenError::State { entry: format!("of the log of {organization}") });
        }
        shared.tail.logs.restore(&organization, log);
        restored.set(log, head);
    }
    check_heads(&shared.tail.view().sealed, floor, &kept)?;
    Ok(restored)
}

/// Compares the kept heads with the sealed segments, from the newest on until all sealed events are
/// accounted for: every log ends in the last segment that holds some of it.
fn check_heads(sealed: &[Arc<Sealed>], floor: Floor, kept: &BTreeMap<u32, (Arc<str>, u64)>) -> Result<(), OpenError> {
    let (mut met, mut events) = (HashSet::new(), 0);
    for sealed in sealed.iter().rev() {
        if events == floor.position {
            break;
        }
        let unreadable = |source| OpenError::Segment { name: sealed.name.clone(), source };
        for log in sealed.segment().logs().map_err(unreadable)? {
            if !met.insert(log.log) {
                continue;
            }
            let sealed = log.indexes.end;
            let named = kept.get(&log.log).filter(|(organization, _)| *organization == log.organization);
            let kept = named.map_or(0, |(_, size)| *size);
            if kept != sealed {
                return Err(OpenError::Head { organization: log.organization.to_string(), kept, sealed });
            }
            events += sealed;
        }
    }
    match kept.iter().find(|(log, (_, size))| *size > 0 && !met.contains(log)) {
        Some((_, (organization, kept))) => {
            Err(OpenError::Head { organization: organization.to_string(), kept: *kept, sealed: 0 })
        }
        None => Ok(()),
    }
}

/// A row's content, read and committed to anew.
pub(crate) struct Read {
    pub(crate) heads: Vec<HeadChange>,
    pub(crate) events: Vec<Ready>,
}

/// Reads rows, with all processors: this is nearly all the work of a start.
fn read_rows(rows: Vec<Row>) -> Result<Vec<(Row, Read)>, OpenError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(rows.len()).max(1);
    let mut shares: Vec<Vec<(usize, Row)>> = (0..threads).map(|_| Vec::new()).collect();
    for (at, row) in rows.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(at % threads) {
            share.push((at, row));
        }
    }
    let read_share = |share: Vec<(usize, Row)>| -> Result<Vec<(usize, Row, Read)>, OpenError> {
        let mut decoder = RowDecoder::new().map_err(OpenError::Codec)?;
        share.into_iter().map(|(at, row)| read(&row, &mut decoder).map(|read| (at, row, read))).collect()
    };
    let read = std::thread::scope(|scope| {
        let readers: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || read_share(share))).collect();
        let joined = readers.into_iter().map(|reader| match reader.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<_>, OpenError>>()
    });
    let mut read: Vec<(usize, Row, Read)> = read?.into_iter().flatten().collect();
    read.sort_by_key(|(at, ..)| *at);
    Ok(read.into_iter().map(|(_, row, read)| (row, read)).collect())
}

/// Reads a row, and commits to its events anew.
///
/// # Errors
///
/// [`OpenError::Row`] or [`OpenError::Changed`] if it can't be read.
pub(crate) fn read(row: &Row, decoder: &mut RowDecoder) -> Result<Read, OpenError> {
    let sequence = row.sequence;
    let changed = |what: &str| OpenError::Changed { sequence, what: what.to_owned() };
    let RowBody { heads, events } =
        decoder.decode(&row.payload).map_err(|source| OpenError::Row { sequence, source })?;
    let organizations: Vec<Arc<str>> = heads.iter().map(|head| head.organization.as_str().into()).collect();
    let mut ready = Vec::with_capacity(events.len());
    for event in events {
        let organization = usize::try_from(event.head).ok().and_then(|head| organizations.get(head)).cloned();
        let organization = organization.ok_or_else(|| changed("an event of no log"))?;
        let Secret::Seed(seed) = event.secret else {
            return Err(changed("an erased event, which this version doesn't know"));
        };
        let unreadable = |fault: Fault| changed(&fault.message);
        let canonical: Arc<[u8]> = event.canonical.into();
        let event = Event { organization, index: 0, position: row.position, time_recorded: Time::default(), canonical };
        let content = event.content().map_err(unreadable)?;
        let root = root(&content.canonical(), &seed).map_err(unreadable)?;
        let Event { organization, canonical, .. } = event;
        let content = Arc::new(content);
        ready.push(Ready { organization, content, canonical, seed, root, named: true, repeated: None });
    }
    Ok(Read { heads, events: ready })
}

/// Follows one row as the live path followed it.
fn follow(shared: &Shared, sequencer: &mut Sequencer, row: Row, read: Read) -> Result<(), OpenError> {
    let sequence = row.sequence;
    let changed = |what: &str| OpenError::Changed { sequence, what: what.to_owned() };
    let (next_sequence, position, heads) = sequencer.next();
    if (sequence, row.position) != (next_sequence, position) {
        return Err(changed("it does not follow the row before"));
    }
    let us = i64::try_from(row.time_recorded_us).map_err(|_| changed("its time"))?;
    let mut stage = Stage::new(shared, heads, Time::from_us(us), position);
    for event in read.events {
        stage.push(event);
    }
    if stage.head_changes() != read.heads {
        return Err(changed("its events do not give the roots that it states"));
    }
    let mut staged = stage.staged(sequence, row.payload);
    // State was read from the journal as it is now; the row is the history of it.
    staged.commit.changes.clear();
    if staged.commit.event_count != row.event_count {
        return Err(changed("its number of events"));
    }
    sequencer.apply(staged);
    Ok(())
}

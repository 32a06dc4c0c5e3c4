//! Opening the ledger: everything is read back from the journal, and checked by making it anew.
//!
//! **Invariant:** the recovery puts rows together with the code of the live path, and believes a
//! row only if the heads it gets are the ones that were committed.

use std::sync::Arc;
use std::thread::JoinHandle;

use annals_model::{Event, Fault, Time};
use annals_store::row::{RowBody, RowDecoder, RowEncoder, RowError, Secret};
use annals_store::{Journal, JournalError, Row, StateKind};

use crate::administer::{SERVER_NAME, STORE, first_start};
use crate::clock::{Clock, Timekeeper};
use crate::health::Trouble;
use crate::prepare::{Ready, root};
use crate::queue::Queue;
use crate::sequencer::Sequencer;
use crate::stage::Stage;
use crate::state::State;
use crate::tail::Tail;
use crate::{Options, Shared};

/// Rows that are read at once, in bytes.
const READ_BYTES_MAX: usize = 64 * 1024 * 1024;

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
    clock: Arc<dyn Clock>,
    options: Options,
) -> Result<(Arc<Shared>, Vec<JoinHandle<()>>), OpenError> {
    let settings = journal.state(StateKind::Setting)?;
    let (server_name, first) = server_name(&settings, &options)?;
    let random = crate::prepare::random(1).map_err(OpenError::FirstStart)?;
    let hash_seed = random.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let fresh = random.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let store = if first { fresh } else { store(&settings)? };
    let shared = Arc::new(Shared {
        state: State::load(&*journal)?,
        journal,
        clock,
        mask: options.mask,
        server_name,
        store,
        queue: Queue::default(),
        tail: Tail::new(hash_seed),
        trouble: Trouble::default(),
    });
    let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(OpenError::Thread)
    };
    let freezing = Arc::clone(&shared);
    let freezer = start("annals-freezer", Box::new(move || freezing.freeze_until_closed()))?;
    let sequencer = read_back(&shared).and_then(|mut sequencer| {
        if first {
            let (changes, event) = first_start(&shared.server_name, store);
            sequencer.record(changes, event).map_err(OpenError::FirstStart)?;
        }
        Ok(sequencer)
    });
    // Without a sequencer nobody else would end the freezer.
    let sequencer = sequencer.inspect_err(|_| shared.tail.signal.close())?;
    let sequencer = start("annals-sequencer", Box::new(move || sequencer.run()))?;
    Ok((shared, vec![sequencer, freezer]))
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

/// The random number of the store.
fn store(settings: &[(String, Vec<u8>)]) -> Result<u32, OpenError> {
    let value = settings.iter().find(|(key, _)| key == STORE).and_then(|(_, value)| std::str::from_utf8(value).ok());
    value.and_then(|text| text.parse().ok()).ok_or_else(|| OpenError::State { entry: STORE.to_owned() })
}

/// Reads all rows and follows them.
fn read_back(shared: &Arc<Shared>) -> Result<Sequencer, OpenError> {
    let encoder = RowEncoder::new().map_err(OpenError::Codec)?;
    let mut decoder = RowDecoder::new().map_err(OpenError::Codec)?;
    let mut rows = shared.journal.rows(0, READ_BYTES_MAX)?;
    let time = Timekeeper::new(&*shared.clock, Time::from_us(0));
    let mut sequencer = Sequencer::new(Arc::clone(shared), time, encoder);
    while let Some(last) = rows.last().map(|row| row.sequence) {
        for row in rows {
            follow(shared, &mut sequencer, &mut decoder, row)?;
            shared.wait_for_freezer();
        }
        rows = shared.journal.rows(last, READ_BYTES_MAX)?;
    }
    Ok(sequencer)
}

/// Follows one row as the live path followed it.
fn follow(shared: &Shared, sequencer: &mut Sequencer, decoder: &mut RowDecoder, row: Row) -> Result<(), OpenError> {
    let sequence = row.sequence;
    let changed = |what: &str| OpenError::Changed { sequence, what: what.to_owned() };
    let body = decoder.decode(&row.payload).map_err(|source| OpenError::Row { sequence, source })?;
    let (next_sequence, position, heads) = sequencer.next();
    if (sequence, row.position) != (next_sequence, position) {
        return Err(changed("it does not follow the row before"));
    }
    let us = i64::try_from(row.time_recorded_us).map_err(|_| changed("its time"))?;
    let mut stage = Stage::new(shared, heads, Time::from_us(us), position);
    let RowBody { heads, events } = body;
    for event in events {
        let organization = usize::try_from(event.head).ok().and_then(|head| heads.get(head));
        let organization = organization.ok_or_else(|| changed("an event of no log"))?.organization.as_str().into();
        let Secret::Seed(seed) = event.secret else {
            return Err(changed("an erased event, which this version doesn't know"));
        };
        let unreadable = |fault: Fault| changed(&fault.message);
        let canonical: Arc<[u8]> = event.canonical.into();
        let event = Event { organization, index: 0, position, time_recorded: Time::from_us(us), canonical };
        let content = event.content().map_err(unreadable)?;
        let root = root(&content.canonical(), &seed).map_err(unreadable)?;
        let Event { organization, canonical, .. } = event;
        stage.push(Ready {
            organization,
            content: Arc::new(content),
            canonical,
            seed,
            root,
            named: true,
            repeated: None,
        });
    }
    if stage.head_changes() != heads {
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

//! The first half of an append, on the caller's thread: limits, masking, canonical form, seed,
//! commitments, and the look for ids that were used before.
//!
//! **Invariant:** nothing in here is seen by anybody else; a prepared event that is dropped leaves
//! no trace.

use std::collections::HashSet;
use std::sync::Arc;

use annals_merkle::{Hash, Seed};
use annals_model::{
    Appended, Canonical, Content, Fault, FaultKind, Filter, NewEvent, SYSTEM_ORGANIZATION, Time, limits,
};
use annals_segment::EventId;

use crate::lookup::{Finder, same_content};
use crate::{Ledger, Shared};

/// Events that are ready for the sequencer.
pub struct Prepared {
    pub(crate) events: Vec<Ready>,
    /// Committed events when ids were looked for; what came later is looked at by the sequencer.
    pub(crate) snapshot: u64,
    bytes: usize,
}

/// Whether secrets are masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// They are: a client handed the events in.
    Apply,
    /// They were, by whoever the events were read from.
    Done,
}

/// One event that is ready.
pub(crate) struct Ready {
    pub(crate) organization: Arc<str>,
    pub(crate) content: Arc<Content>,
    pub(crate) canonical: Arc<[u8]>,
    pub(crate) seed: Seed,
    /// What its leaf commits to besides the time.
    pub(crate) root: Hash,
    /// Whether the client named it, so that it may be a repetition.
    pub(crate) named: bool,
    /// Where it is, if it is a repetition.
    pub(crate) repeated: Option<Appended>,
}

const UUID_RANDOM_BYTES: usize = 10;
const RANDOM_BYTES: usize = size_of::<Seed>() + UUID_RANDOM_BYTES;

impl Prepared {
    /// How many events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The bytes of their canonical texts.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(crate) fn of_size(events: usize, bytes_each: usize) -> Prepared {
        let ready = || Ready {
            organization: "acme".into(),
            content: Arc::default(),
            canonical: Arc::default(),
            seed: Seed::default(),
            root: Hash::default(),
            named: false,
            repeated: None,
        };
        Prepared { events: (0..events).map(|_| ready()).collect(), snapshot: 0, bytes: events * bytes_each }
    }
}

impl Ledger {
    /// Prepares events for [`Ledger::append`]. Each has its organization by now. This is where the
    /// processor time of an append goes. It reads from disk what of older ids is not in the cache, within a
    /// query's time for all of them.
    ///
    /// # Errors
    ///
    /// A fault with the event's place in the batch: invalid or limit for what it says, not found for
    /// its organization, conflict for an id with other content. Nothing was stored.
    pub fn prepare(&self, events: Vec<NewEvent>, masking: Masking) -> Result<Prepared, Fault> {
        if events.is_empty() {
            return Err(Fault::invalid("there is no event in the request"));
        }
        if events.len() > limits::BATCH_EVENTS_MAX {
            return Err(Fault::limit("events of one append", limits::BATCH_EVENTS_MAX, events.len()));
        }
        let shared = &self.shared;
        let finder = shared.finder();
        let snapshot = finder.committed();
        let mut preparation = Preparation {
            shared,
            finder,
            masking,
            now: shared.clock.now(),
            organizations: HashSet::new(),
            canonical: Canonical::default(),
        };
        let random = random_bytes(events.iter().map(random_bytes_of).sum())?;
        let mut rest = random.as_slice();
        let mut prepared = Prepared { events: Vec::with_capacity(events.len()), snapshot, bytes: 0 };
        for (at, new) in events.into_iter().enumerate() {
            let random = rest.split_off(..random_bytes_of(&new)).unwrap_or_default();
            let ready = preparation.event(new, random).map_err(|fault| fault.at_event(at))?;
            prepared.bytes += ready.canonical.len();
            prepared.events.push(ready);
        }
        preparation.find_repeated(&mut prepared.events)?;
        Ok(prepared)
    }
}

/// How many random bytes an event needs.
fn random_bytes_of(new: &NewEvent) -> usize {
    if new.id.is_some() { size_of::<Seed>() } else { RANDOM_BYTES }
}

/// What is kept from one event of an append to the next.
struct Preparation<'s> {
    shared: &'s Shared,
    /// What was committed when it began.
    finder: Finder<'s>,
    masking: Masking,
    now: Time,
    /// The organizations so far, which are there; none is ever deleted.
    organizations: HashSet<Arc<str>>,
    /// The memory for canonical forms.
    canonical: Canonical,
}

impl Preparation<'_> {
    fn event(&mut self, new: NewEvent, random: &[u8]) -> Result<Ready, Fault> {
        let missing =
            || Fault::invalid("organization is required: the key is good for all of them").at_member("organization");
        let organization = self.organization(&new.organization.ok_or_else(missing)?)?;
        let mut content = new.content;
        if content.action.starts_with(Filter::OWN_ACTIONS) {
            return Err(
                Fault::invalid("actions that begin with annals. are recorded by the server only").at_member("action")
            );
        }
        let latest = self.now.plus_us(limits::OCCURRED_AHEAD_US_MAX);
        if let Some(time) = content.time_occurred.filter(|time| *time > latest) {
            let (time, latest) = (time.format(), latest.format());
            let what =
                format!("time_occurred is {time}, and at most {latest} is taken: 24 hours ahead of the server's clock");
            return Err(Fault::new(FaultKind::Limit, what).at_member("time_occurred"));
        }
        if self.masking == Masking::Apply {
            self.shared.mask.apply(&mut content);
        }
        ready_within(&mut self.canonical, organization, new.id, content, self.now, random)
    }

    fn organization(&mut self, named: &str) -> Result<Arc<str>, Fault> {
        if let Some(known) = self.organizations.get(named) {
            return Ok(Arc::clone(known));
        }
        let known = self.shared.state.organization(named).filter(|_| named != SYSTEM_ORGANIZATION);
        let known = known.ok_or_else(|| {
            Fault::not_found(format!("there is no organization {named}: create it first")).at_member("organization")
        })?;
        let known: Arc<str> = known.id.as_str().into();
        self.organizations.insert(Arc::clone(&known));
        Ok(known)
    }

    /// Looks for the events whose ids were used before for the same content. They are looked for in the order
    /// of segments' tables of ids, so that a page of one is read once for all of them.
    fn find_repeated(&self, events: &mut [Ready]) -> Result<(), Fault> {
        let place = |event: &Ready| EventId::new(&event.content.id).hash(self.shared.hash_key);
        let named = (0..).zip(&mut *events).filter(|(_, event)| event.named);
        let mut named: Vec<(u64, usize, &mut Ready)> = named.map(|(at, event)| (place(event), at, event)).collect();
        named.sort_unstable_by_key(|(place, at, _)| (*place, *at));
        let mut first: Option<(usize, Fault)> = None;
        for (_, at, event) in named {
            match self.repeated(event) {
                Ok(repeated) => event.repeated = repeated,
                Err(fault) if fault.kind != FaultKind::Conflict => return Err(fault.at_event(at)),
                Err(fault) if first.as_ref().is_none_or(|(first, _)| at < *first) => first = Some((at, fault)),
                Err(_) => {}
            }
        }
        first.map_or(Ok(()), |(at, fault)| Err(fault.at_event(at)))
    }

    /// Where the event is already, if its id was used before for the same content.
    fn repeated(&self, ready: &Ready) -> Result<Option<Appended>, Fault> {
        let Some(found) = self.finder.find(&ready.organization, &ready.content.id, 0)? else { return Ok(None) };
        same_content(&found.row, &ready.content)?;
        Ok(Some(found.appended(&ready.organization, &ready.content.id)))
    }
}

/// Makes an event ready: names it if the client did not, and commits to its members.
///
/// # Errors
///
/// A limit fault if it is too large; internal if there is no random source.
pub(crate) fn ready(
    organization: Arc<str>,
    id: Option<String>,
    content: Content,
    now: Time,
    random: &[u8],
) -> Result<Ready, Fault> {
    ready_within(&mut Canonical::default(), organization, id, content, now, random)
}

/// As [`ready`], with memory for the canonical form.
fn ready_within(
    canonical: &mut Canonical,
    organization: Arc<str>,
    id: Option<String>,
    mut content: Content,
    now: Time,
    random: &[u8],
) -> Result<Ready, Fault> {
    let no_random = || Fault::internal("the random source gave too little");
    let (seed, rest) = random.split_first_chunk::<{ size_of::<Seed>() }>().ok_or_else(no_random)?;
    let named = id.is_some();
    content.id = match id {
        Some(id) => id,
        None => {
            let random = rest.first_chunk::<UUID_RANDOM_BYTES>().ok_or_else(no_random)?;
            let ms = u64::try_from(now.ms()).unwrap_or_default();
            uuid::Builder::from_unix_timestamp_millis(ms, random).into_uuid().to_string()
        }
    };
    // Whoever read the event: what the limits refuse is refused here at the latest.
    content.check()?;
    canonical.refill(&content);
    if canonical.text.len() > limits::EVENT_BYTES_MAX {
        return Err(Fault::too_large("the event", limits::EVENT_BYTES_MAX, canonical.text.len()));
    }
    let root = root(canonical, seed)?;
    Ok(Ready {
        organization,
        content: Arc::new(content),
        canonical: canonical.text.as_slice().into(),
        seed: *seed,
        root,
        named,
        repeated: None,
    })
}

/// What an event's leaf commits to besides the time.
pub(crate) fn root(canonical: &Canonical, seed: &Seed) -> Result<Hash, Fault> {
    annals_merkle::root_of_members(seed, canonical.parts())
        .map_err(|error| Fault::internal(format!("the event's members can't be committed to: {error}")))
}

/// So many bytes of the system's random source as so many events need.
pub(crate) fn random(events: usize) -> Result<Vec<u8>, Fault> {
    random_bytes(events * RANDOM_BYTES)
}

fn random_bytes(count: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|error| Fault::internal(format!("the system has no randomness: {error}")))?;
    Ok(bytes)
}

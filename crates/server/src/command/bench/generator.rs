//! Makes the events of a benchmark: the same ones for the same seed.
//!
//! **Invariant:** what is made depends on the seed alone, and each event's [`Fact`] tells what a
//! filter over it must find.

use std::io::Write;

use annals_model::Time;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// Organizations, of very unequal size.
pub(crate) const ORGANIZATIONS: u16 = 300;
/// Words that occur in descriptions and nowhere else.
pub(crate) const WORDS: u16 = 900;
/// Words of one description.
const WORDS_PER_EVENT: usize = 5;
/// Actors of one organization.
const ACTORS: u16 = 60;
/// Targets of each kind in one organization.
const TARGETS: u16 = 400;

const VERBS: [&str; 10] =
    ["create", "update", "delete", "read", "enable", "disable", "share", "export", "rotate", "restore"];
const METHODS: [&str; 10] = ["POST", "PUT", "DELETE", "GET", "POST", "POST", "POST", "GET", "POST", "POST"];
const KINDS: [&str; 10] =
    ["flag", "database", "project", "member", "token", "webhook", "prompt", "segment", "invoice", "dashboard"];
const STATUSES: [u16; 16] = [200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 201, 204, 400, 403, 404, 500];
const GIVEN_NAMES: [&str; 12] =
    ["Mira", "Tomas", "Aiko", "Lena", "Dev", "Noor", "Sven", "Ines", "Kofi", "Yuki", "Olga", "Rafael"];
const FAMILY_NAMES: [&str; 12] = [
    "Okafor", "Lindgren", "Tanaka", "Moreau", "Patel", "Haddad", "Berg", "Costa", "Mensah", "Sato", "Petrova", "Silva",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/127.0",
    "acme-cli/2.14.0 (linux; amd64)",
    "terraform-provider/1.8.3",
];
const ORIGINS: [&str; 4] = ["web", "web", "cli", "api"];
const COUNTRIES: [&str; 8] = ["US", "DE", "JP", "BR", "IN", "FR", "GB", "NG"];
const PLANS: [&str; 3] = ["starter", "team", "enterprise"];

/// What was made, as far as filters ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// The organization's number.
    pub(crate) organization: u16,
    /// The number of verb and kind.
    action: u8,
    /// The actor's number in the organization.
    pub(crate) actor: u16,
    /// The words of the description.
    words: [u16; WORDS_PER_EVENT],
    /// When it occurred.
    pub(crate) time_occurred: Time,
    /// Its id.
    pub(crate) id: Uuid,
    /// The number of its request, drawn when the event is written; until then 0.
    pub(crate) request: u32,
}

/// Makes events.
pub(crate) struct Generator {
    rng: ChaCha8Rng,
    seed: u16,
    /// For each organization, what part of all events it and those before it have.
    shares: Vec<f64>,
    words: Vec<String>,
    clock_us: i64,
}

/// The id of an actor by its number.
pub(crate) fn actor_id(organization: u16, actor: u16) -> String {
    format!("usr_{organization:03}{actor:03}")
}

/// The id of a request by its number.
pub(crate) fn request_id(number: u32) -> String {
    format!("req_{number:08x}")
}

impl Fact {
    /// The event's action.
    pub(crate) fn action(&self) -> String {
        let kind = pick_at(&KINDS, usize::from(self.action / 10));
        let verb = pick_at(&VERBS, usize::from(self.action % 10));
        format!("{kind}.{verb}")
    }

    /// Whether both have the same action.
    pub(crate) fn has_action_of(&self, other: &Fact) -> bool {
        self.action == other.action
    }

    /// The number of the first word of the description.
    pub(crate) fn word(&self) -> u16 {
        self.words.first().copied().unwrap_or_default()
    }

    /// The number of the second word of the description.
    pub(crate) fn second_word(&self) -> u16 {
        self.words.get(1).copied().unwrap_or_default()
    }

    /// The numbers of the words of the description, each once.
    pub(crate) fn distinct_words(&self) -> impl Iterator<Item = u16> {
        let is_first = |at: usize, word: u16| !self.words.iter().take(at).any(|before| *before == word);
        self.words.iter().copied().enumerate().filter(move |(at, word)| is_first(*at, *word)).map(|(_, word)| word)
    }

    /// Whether a word is in the description.
    pub(crate) fn has_word(&self, word: u16) -> bool {
        self.words.contains(&word)
    }
}

impl Generator {
    /// The first event occurs at this time: 2020-01-01. From there, 30 million events end before now;
    /// the server refuses what lies ahead of its clock.
    const BEGIN_US: i64 = 1_577_836_800_000_000;
    /// The next event occurs at most so much later, half of it on average.
    const STEP_US_MAX: i64 = 10_000_000;
    /// An event is noticed so much later than it occurred, at most: clocks of clients differ.
    const LAG_US_MAX: i64 = 2_000_000;

    /// A generator with a seed.
    pub(crate) fn new(seed: u16) -> Generator {
        let weights = (0..ORGANIZATIONS).map(|rank| 1.0 / (f64::from(rank) + 1.0));
        let sum: f64 = weights.clone().sum();
        let shares = weights.scan(0.0, |before, weight| {
            *before += weight / sum;
            Some(*before)
        });
        Generator {
            rng: ChaCha8Rng::seed_from_u64(u64::from(seed)),
            seed,
            shares: shares.collect(),
            words: (0..WORDS).map(word).collect(),
            clock_us: Self::BEGIN_US,
        }
    }

    /// The id of an organization by its number; those of another seed have others.
    pub(crate) fn organization_id(&self, number: u16) -> String {
        format!("b{:04x}-{number:03}", self.seed)
    }

    /// The text of a word.
    pub(crate) fn word(&self, number: u16) -> &str {
        self.words.get(usize::from(number)).map_or("", String::as_str)
    }

    /// Writes one event as a line of NDJSON.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) -> Fact {
        let mut fact = self.fact();
        // Writing into a Vec can't fail.
        let _ = self.write_fact(&mut fact, out);
        out.push(b'\n');
        fact
    }

    /// A new id for a request, of the kind that CloudTrail has.
    pub(crate) fn request_id(&mut self) -> String {
        let mut random = [0; 16];
        self.rng.fill_bytes(&mut random);
        uuid::Builder::from_random_bytes(random).into_uuid().to_string()
    }

    /// Draws the next event's facts, its place in time among them.
    pub(crate) fn fact(&mut self) -> Fact {
        self.clock_us += self.rng.random_range(1..=Self::STEP_US_MAX);
        let share: f64 = self.rng.random();
        let organization = self.shares.partition_point(|before| *before < share);
        let organization = u16::try_from(organization).unwrap_or(u16::MAX).min(ORGANIZATIONS - 1);
        // The least of two: a few actors do most.
        let actor = self.rng.random_range(0..ACTORS).min(self.rng.random_range(0..ACTORS));
        let mut words = [0; WORDS_PER_EVENT];
        words.iter_mut().for_each(|word| *word = self.rng.random_range(0..WORDS));
        let time_occurred = Time::from_us(self.clock_us - self.rng.random_range(0..Self::LAG_US_MAX));
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        let ms = u64::try_from(self.clock_us / 1_000).unwrap_or_default();
        let id = uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid();
        Fact { organization, action: self.rng.random_range(0..100), actor, words, time_occurred, id, request: 0 }
    }

    fn write_fact(&mut self, fact: &mut Fact, out: &mut Vec<u8>) -> std::io::Result<()> {
        let organization = self.organization_id(fact.organization);
        let verb = usize::from(fact.action % 10);
        let kind = pick_at(&KINDS, usize::from(fact.action / 10));
        let actor = usize::from(fact.actor);
        let given = pick_at(&GIVEN_NAMES, actor + usize::from(fact.organization));
        let family = pick_at(&FAMILY_NAMES, actor / GIVEN_NAMES.len() + actor);
        let target = self.rng.random_range(0..TARGETS);
        write!(
            out,
            r#"{{"organization":"{organization}","id":"{}","action":"{kind}.{}","time_occurred":"{}","#,
            fact.id,
            pick_at(&VERBS, verb),
            fact.time_occurred.format(),
        )?;
        write!(
            out,
            r#""actor":{{"type":"user","id":"{}","name":"{given} {family}","email":"{}.{actor}@{organization}.example"}},"#,
            actor_id(fact.organization, fact.actor),
            given.to_ascii_lowercase(),
        )?;
        write!(out, r#""targets":[{{"type":"{kind}","id":"{kind}_{target:04}","name":"{kind} {target}"}}"#)?;
        if self.rng.random_range(0..3) == 0 {
            let project = self.rng.random_range(0..40);
            write!(out, r#",{{"type":"project","id":"prj_{project:03}"}}"#)?;
        }
        let [a, b] = [self.rng.random_range(0..=255), self.rng.random_range(1..=254)];
        fact.request = self.rng.next_u32();
        write!(
            out,
            r#"],"request":{{"id":"{}","method":"{}","path":"/v1/{kind}s/{kind}_{target:04}","status":{},"client_ip":"203.0.{a}.{b}","user_agent":"{}","country":"{}"}},"#,
            request_id(fact.request),
            pick_at(&METHODS, verb),
            self.pick(&STATUSES),
            self.pick(&AGENTS),
            self.pick(&COUNTRIES),
        )?;
        write!(out, r#""origin":"{}","description":""#, self.pick(&ORIGINS))?;
        for (at, word) in fact.words.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(out, "{space}{}", self.word(*word))?;
        }
        write!(
            out,
            r#"","data":{{"plan":"{}","duration_ms":{}}}}}"#,
            self.pick(&PLANS),
            self.rng.random_range(1..2_000),
        )
    }

    fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        pick_at(from, self.rng.random_range(0..from.len()))
    }
}

/// The item at a place, counted round.
fn pick_at<T: Copy + Default>(from: &[T], at: usize) -> T {
    from.get(at % from.len().max(1)).copied().unwrap_or_default()
}

/// A word of three syllables, which nothing else in an event is.
fn word(number: u16) -> String {
    const BEGINS: [&str; 10] = ["br", "cl", "dr", "fl", "gr", "kr", "pl", "st", "tr", "vl"];
    const MIDDLES: [&str; 9] = ["ab", "ed", "if", "ok", "um", "an", "es", "il", "or"];
    const ENDS: [&str; 10] = ["ado", "eba", "ifu", "oga", "uke", "ale", "emi", "ino", "ora", "uta"];
    let number = usize::from(number);
    let [begin, middle, end] = [number % 10, number / 10 % 9, number / 90];
    [pick_at(&BEGINS, begin), pick_at(&MIDDLES, middle), pick_at(&ENDS, end)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_model::{Content, Value, each_word, parse_content, words_of};
    use std::collections::HashSet;

    const EVENTS: usize = 20_000;

    fn make(seed: u16) -> (Vec<u8>, Vec<Fact>) {
        let mut generator = Generator::new(seed);
        let mut text = Vec::new();
        let facts = (0..EVENTS).map(|_| generator.write(&mut text)).collect();
        (text, facts)
    }

    #[test]
    fn the_same_seed_makes_the_same_events() {
        let (text, facts) = make(1);
        assert!((text.clone(), facts.clone()) == make(1));
        assert!(text != make(2).0);
        assert_eq!(facts.iter().map(|fact| fact.id).collect::<HashSet<_>>().len(), EVENTS);
    }

    #[test]
    fn an_event_has_625_bytes_on_average() {
        let (text, _) = make(1);
        let mean = (text.len() - EVENTS) / EVENTS;
        assert!((606..=643).contains(&mean), "{mean}");
    }

    #[test]
    fn every_event_is_accepted_and_its_fact_tells_what_is_in_it() {
        let (text, facts) = make(3);
        let generator = Generator::new(3);
        let words_known: HashSet<&str> = (0..WORDS).map(|number| generator.word(number)).collect();
        for (line, fact) in text.split(|byte| *byte == b'\n').zip(&facts) {
            let value = Value::parse(line).expect("is JSON");
            let new = parse_content(value).expect("is an event");
            assert_eq!(new.organization, Some(generator.organization_id(fact.organization)));
            assert_eq!(new.id, Some(fact.id.to_string()));
            assert_eq!(new.content.action, fact.action());
            assert_eq!(new.content.actor.id, Some(actor_id(fact.organization, fact.actor)));
            assert_eq!(new.content.time_occurred, Some(fact.time_occurred));
            assert_eq!(new.content.request.id, Some(request_id(fact.request)));
            let words = words_of(new.content.description.as_deref().unwrap_or_default());
            assert!(fact.words.iter().all(|number| words.iter().any(|word| word == generator.word(*number))));
            let rest = Content { description: None, ..new.content };
            each_word(&rest, |word| assert!(!words_known.contains(word), "{word} is elsewhere too"));
        }
    }

    #[test]
    fn words_differ() {
        assert_eq!((0..WORDS).map(word).collect::<HashSet<_>>().len(), usize::from(WORDS));
    }

    #[test]
    fn organizations_are_of_very_unequal_size() {
        let (_, facts) = make(1);
        let of = |number| facts.iter().filter(|fact| fact.organization == number).count();
        assert!(of(0) > EVENTS / 8, "{}", of(0));
        assert!(of(0) > 5 * of(9) && of(9) > 5 * of(99), "{} {} {}", of(0), of(9), of(99));
        assert!(facts.iter().all(|fact| fact.organization < ORGANIZATIONS));
    }

    #[test]
    fn clocks_of_clients_are_out_of_order_now_and_then() {
        let (_, facts) = make(1);
        let back = facts.windows(2).filter(|pair| pair[1].time_occurred < pair[0].time_occurred).count();
        assert!(back > EVENTS / 100 && back < EVENTS / 10, "{back}");
    }
}

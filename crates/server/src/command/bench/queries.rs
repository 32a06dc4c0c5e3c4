//! The reads of a benchmark, each with the answer that it must get.
//!
//! **Invariant:** organizations are drawn by size, as an event drawn at random names its own.

use anyhow::Context;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::client::query;
use super::connection::Sent;
use super::drive::{Expect, Job};
use super::generator::{Fact, actor_id};
use super::load::Corpus;

/// Different requests of one kind.
const REQUESTS: usize = 400;

/// Requests of one kind.
pub(crate) struct Workload {
    /// What they ask for.
    pub(crate) name: &'static str,
    /// The requests.
    pub(crate) jobs: Vec<Job>,
}

/// All reads that need no cursor.
pub(crate) fn workloads(corpus: &Corpus, seed: u16) -> anyhow::Result<Vec<Workload>> {
    let mut draw =
        Draw { corpus, rng: ChaCha8Rng::seed_from_u64(u64::from(seed) ^ 0x0072_6561_6400), all: corpus.count() };
    type Make<'c> = fn(&Draw<'c>, &Fact) -> anyhow::Result<Job>;
    let kinds: [(&'static str, Make); 5] = [
        ("newest 100 of an organization, exact total", Draw::newest),
        ("two filters and a time range, exact total", Draw::filtered),
        ("one event by id", Draw::by_id),
        ("a word within an organization, exact total", Draw::word),
        ("two words over all organizations, exact total", Draw::words_over_all),
    ];
    let mut workloads = Vec::new();
    for (name, make) in kinds {
        let mut jobs = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let fact = draw.fact().context("there are no events")?;
            jobs.push(make(&draw, &fact)?);
        }
        workloads.push(Workload { name, jobs });
    }
    Ok(workloads)
}

struct Draw<'c> {
    corpus: &'c Corpus,
    rng: ChaCha8Rng,
    all: u64,
}

impl Draw<'_> {
    fn fact(&mut self) -> Option<Fact> {
        let mut at = usize::try_from(self.rng.random_range(0..self.all.max(1))).ok()?;
        for facts in &self.corpus.facts {
            match facts.get(at) {
                Some(fact) => return Some(*fact),
                None => at -= facts.len(),
            }
        }
        None
    }

    /// How many events of the same organization pass.
    fn count(&self, of: &Fact, passes: impl Fn(&Fact) -> bool) -> Expect {
        let facts = self.corpus.facts.get(usize::from(of.organization)).map_or(&[][..], Vec::as_slice);
        total(facts.iter().filter(|fact| passes(fact)).count())
    }

    fn job(&self, parameters: &[(&str, &str)], expect: Expect) -> anyhow::Result<Job> {
        let sent = Sent::get(&format!("/v1/events?{}", query(parameters.iter().copied())))?;
        Ok(Job { sent, expect })
    }

    fn newest(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        self.job(&[("organization", &organization), ("limit", "100")], self.count(fact, |_| true))
    }

    fn filtered(&self, fact: &Fact) -> anyhow::Result<Job> {
        // Five days to both sides.
        const SPAN_US: i64 = 5 * 86_400 * 1_000_000;
        let (from, until) = (fact.time_occurred.plus_us(-SPAN_US), fact.time_occurred.plus_us(SPAN_US));
        let expect = self.count(fact, |other| {
            let is_within = from <= other.time_occurred && other.time_occurred < until;
            is_within && other.has_action_of(fact) && other.actor == fact.actor
        });
        let parameters = [
            ("organization", self.corpus.generator.organization_id(fact.organization)),
            ("action", fact.action()),
            ("actor_id", actor_id(fact.organization, fact.actor)),
            ("time_from", from.format()),
            ("time_until", until.format()),
        ];
        self.job(&parameters.each_ref().map(|(name, value)| (*name, value.as_str())), expect)
    }

    fn by_id(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        let sent = Sent::get(&format!("/v1/events/{}?organization={organization}", fact.id))?;
        Ok(Job { sent, expect: Expect::Event(fact.id.to_string()) })
    }

    fn word(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        let word = fact.word();
        let expect = self.count(fact, |other| other.has_word(word));
        self.job(&[("organization", &organization), ("q", self.corpus.generator.word(word))], expect)
    }

    fn words_over_all(&self, fact: &Fact) -> anyhow::Result<Job> {
        let [first, second] = [fact.word(), fact.second_word()];
        let has_both = |fact: &&Fact| fact.has_word(first) && fact.has_word(second);
        let expect = total(self.corpus.facts.iter().flatten().filter(has_both).count());
        let words = format!("{} {}", self.corpus.generator.word(first), self.corpus.generator.word(second));
        self.job(&[("q", &words)], expect)
    }
}

fn total(events: usize) -> Expect {
    Expect::Total(u64::try_from(events).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::generator::Generator;
    use super::*;

    #[test]
    fn reads_are_drawn_by_size_and_know_their_totals() {
        let mut corpus = Corpus { facts: vec![Vec::new(); 300], generator: Generator::new(1) };
        let (_, facts) = corpus.jobs(20_000, 500);
        corpus.remember(facts);
        let workloads = workloads(&corpus, 1).expect("draws");
        assert!(workloads.iter().all(|workload| workload.jobs.len() == REQUESTS));
        let path = |job: &Job| job.sent.uri.to_string();
        let largest = workloads[0].jobs.iter().filter(|job| path(job).contains("organization=b0001-000&")).count();
        assert!((REQUESTS / 10..REQUESTS / 4).contains(&largest), "{largest}");
        for job in workloads.iter().flat_map(|workload| &workload.jobs) {
            // The event that was drawn is always among what is found.
            assert!(job.expect != Expect::Total(0), "{}", path(job));
        }
    }
}

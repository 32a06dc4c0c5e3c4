//! The reads of a benchmark, each with the answer that it must get.
//!
//! **Invariant:** organizations are drawn by size, as an event drawn at random names its own.
//! **Invariant:** an answer over all organizations is known after one walk through all events for all
//! requests of a kind, and any other after a walk through one organization's.

use std::collections::HashMap;

use anyhow::Context;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::client::query;
use super::super::output::thousands;
use super::connection::Sent;
use super::drive::{Expect, Job};
use super::generator::{Fact, WORDS, actor_id, request_id};
use super::load::Corpus;

/// Events of one page.
pub(crate) const PAGE_EVENTS: usize = 100;
/// Different requests of one kind.
const REQUESTS: usize = 400;
/// How many events a page by its offset passes over; where there are fewer, it is half of them.
const OFFSET: usize = 1_000_000;

/// Requests of one kind.
pub(crate) struct Workload {
    /// What they ask for.
    pub(crate) name: String,
    /// The requests.
    pub(crate) jobs: Vec<Job>,
}

/// All reads that need no cursor.
pub(crate) fn workloads(corpus: &Corpus, seed: u16) -> anyhow::Result<Vec<Workload>> {
    let mut draw =
        Draw { corpus, rng: ChaCha8Rng::seed_from_u64(u64::from(seed) ^ 0x0072_6561_6400), all: corpus.count() };
    type Make<'c> = fn(&Draw<'c>, &Fact) -> anyhow::Result<Job>;
    let kinds: [(&str, Make); 7] = [
        ("newest 100 of an organization, exact total", Draw::newest),
        ("newest 100 of an organization by time, exact total", Draw::newest_by_time),
        ("two filters and a time range, exact total", Draw::filtered),
        ("one event by id", Draw::by_id),
        ("a word within an organization, exact total", Draw::word),
        ("facets of action in an organization", Draw::facets),
        ("histogram of an organization", Draw::histogram),
    ];
    let mut workloads = Vec::new();
    for (name, make) in kinds {
        let jobs = draw.facts()?.iter().map(|fact| make(&draw, fact)).collect::<anyhow::Result<_>>()?;
        workloads.push(Workload { name: name.to_owned(), jobs });
    }
    let jobs = draw.words_over_all()?;
    workloads.push(Workload { name: "two words over all organizations, exact total".to_owned(), jobs });
    let jobs = draw.requests_over_all()?;
    workloads.push(Workload { name: "one request id in everything, exact total".to_owned(), jobs });
    workloads.extend(draw.at_offset()?);
    Ok(workloads)
}

/// What a page of a list with so many events must be that begins after so many of them.
pub(crate) fn page_of(total: usize, passed: usize) -> Expect {
    let events = PAGE_EVENTS.min(total.saturating_sub(passed));
    Expect::Page { events, total: u64::try_from(total).unwrap_or(u64::MAX) }
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

    /// One event for each request of a kind.
    fn facts(&mut self) -> anyhow::Result<Vec<Fact>> {
        (0..REQUESTS).map(|_| self.fact().context("there are no events")).collect()
    }

    /// The events of the same organization.
    fn organization_of(&self, fact: &Fact) -> &[Fact] {
        self.corpus.facts.get(usize::from(fact.organization)).map_or(&[], Vec::as_slice)
    }

    /// The first page of the events of the same organization that pass.
    fn first_page(&self, of: &Fact, passes: impl Fn(&Fact) -> bool) -> Expect {
        page_of(self.organization_of(of).iter().filter(|fact| passes(fact)).count(), 0)
    }

    fn newest(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        job("/v1/events", &[("organization", &organization)], page_of(self.organization_of(fact).len(), 0))
    }

    fn newest_by_time(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        let parameters = [("organization", organization.as_str()), ("order", "occurred")];
        job("/v1/events", &parameters, page_of(self.organization_of(fact).len(), 0))
    }

    fn facets(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        let parameters = [("field", "action"), ("organization", organization.as_str())];
        job("/v1/facets", &parameters, self.counts(fact))
    }

    fn histogram(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        job("/v1/histogram", &[("organization", &organization)], self.counts(fact))
    }

    fn counts(&self, of: &Fact) -> Expect {
        Expect::Counts(u64::try_from(self.organization_of(of).len()).unwrap_or(u64::MAX))
    }

    fn filtered(&self, fact: &Fact) -> anyhow::Result<Job> {
        // Five days to both sides.
        const SPAN_US: i64 = 5 * 86_400 * 1_000_000;
        let (from, until) = (fact.time_occurred.plus_us(-SPAN_US), fact.time_occurred.plus_us(SPAN_US));
        let expect = self.first_page(fact, |other| {
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
        job("/v1/events", &parameters.each_ref().map(|(name, value)| (*name, value.as_str())), expect)
    }

    fn by_id(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        let sent = Sent::get(&format!("/v1/events/{}?organization={organization}", fact.id))?;
        Ok(Job { sent, expect: Expect::Event(fact.id.to_string()) })
    }

    fn word(&self, fact: &Fact) -> anyhow::Result<Job> {
        let organization = self.corpus.generator.organization_id(fact.organization);
        let word = fact.word();
        let expect = self.first_page(fact, |other| other.has_word(word));
        let parameters = [("organization", organization.as_str()), ("q", self.corpus.generator.word(word))];
        job("/v1/events", &parameters, expect)
    }

    fn words_over_all(&mut self) -> anyhow::Result<Vec<Job>> {
        let pairs: Vec<[u16; 2]> = self.facts()?.iter().map(|fact| [fact.word(), fact.second_word()]).collect();
        // By the first word, so that an event is compared with the few pairs that it can hold.
        let mut pairs_of: Vec<Vec<(u16, &mut usize)>> = (0..WORDS).map(|_| Vec::new()).collect();
        let mut totals = vec![0; pairs.len()];
        for ([first, second], total) in pairs.iter().zip(&mut totals) {
            if let Some(of_word) = pairs_of.get_mut(usize::from(*first)) {
                of_word.push((*second, total));
            }
        }
        for fact in self.corpus.all() {
            for word in fact.distinct_words() {
                let pairs = pairs_of.get_mut(usize::from(word)).into_iter().flatten();
                pairs.filter(|(second, _)| fact.has_word(*second)).for_each(|(_, total)| **total += 1);
            }
        }
        let word = |number| self.corpus.generator.word(number);
        let ask = |([first, second], total): (&[u16; 2], &usize)| {
            job("/v1/events", &[("q", &format!("{} {}", word(*first), word(*second)))], page_of(*total, 0))
        };
        pairs.iter().zip(&totals).map(ask).collect()
    }

    fn requests_over_all(&mut self) -> anyhow::Result<Vec<Job>> {
        let facts = self.facts()?;
        let mut totals: HashMap<u32, usize> = facts.iter().map(|fact| (fact.request, 0)).collect();
        for fact in self.corpus.all() {
            if let Some(total) = totals.get_mut(&fact.request) {
                *total += 1;
            }
        }
        let ask = |fact: &Fact| {
            let total = totals.get(&fact.request).copied().unwrap_or_default();
            job("/v1/events", &[("request_id", &request_id(fact.request))], page_of(total, 0))
        };
        facts.iter().map(ask).collect()
    }

    /// Pages by their offset: in the largest organization, and in all.
    fn at_offset(&self) -> anyhow::Result<[Workload; 2]> {
        let sizes = (0..).zip(self.corpus.facts.iter().map(Vec::len));
        let (largest, size) = sizes.max_by_key(|(_, size)| *size).context("there are no organizations")?;
        let largest = self.corpus.generator.organization_id(largest);
        let all = usize::try_from(self.all)?;
        Ok([
            Workload {
                name: format!("page at offset {} of the largest organization", offset_shown(size)),
                jobs: pages(&[("organization", &largest)], size)?,
            },
            Workload {
                name: format!("page at offset {} over all organizations", offset_shown(all)),
                jobs: pages(&[], all)?,
            },
        ])
    }
}

/// Pages of a list with so many events, behind the offset; each begins elsewhere.
fn pages(parameters: &[(&str, &str)], total: usize) -> anyhow::Result<Vec<Job>> {
    let begin = offset_in(total);
    let room = (total - begin).saturating_sub(PAGE_EVENTS).max(1);
    let step = (room / REQUESTS).clamp(1, PAGE_EVENTS);
    let ask = |at: usize| {
        let offset = begin + at * step % room;
        let shown = offset.to_string();
        let parameters: Vec<_> = parameters.iter().copied().chain([("offset", shown.as_str())]).collect();
        job("/v1/events", &parameters, page_of(total, offset))
    };
    (0..REQUESTS).map(ask).collect()
}

fn offset_in(total: usize) -> usize {
    OFFSET.min(total / 2)
}

fn offset_shown(total: usize) -> String {
    thousands(u64::try_from(offset_in(total)).unwrap_or(u64::MAX))
}

fn job(path: &str, parameters: &[(&str, &str)], expect: Expect) -> anyhow::Result<Job> {
    let sent = Sent::get(&format!("{path}?{}", query(parameters.iter().copied())))?;
    Ok(Job { sent, expect })
}

#[cfg(test)]
mod tests {
    use super::super::generator::Generator;
    use super::*;
    use std::collections::HashSet;

    /// The reads of 20,000 events.
    fn check(test: impl Fn(&Corpus, &[Workload])) {
        let mut corpus = Corpus { facts: vec![Vec::new(); 300], generator: Generator::new(1) };
        let (_, facts) = corpus.jobs(20_000, 500);
        corpus.remember(facts);
        let workloads = workloads(&corpus, 1).expect("draws");
        test(&corpus, &workloads);
    }

    fn path(job: &Job) -> String {
        job.sent.uri.to_string()
    }

    #[test]
    fn reads_are_drawn_by_size_and_know_their_totals() {
        check(|_, workloads| {
            let largest = |job: &&Job| path(job).ends_with("organization=b0001-000");
            let newest = workloads[0].jobs.iter().filter(largest).count();
            assert!((REQUESTS / 10..REQUESTS / 4).contains(&newest), "{newest}");
            for workload in workloads {
                assert_eq!(workload.jobs.len(), REQUESTS, "{}", workload.name);
                for job in &workload.jobs {
                    // The event that was drawn is always among what is found.
                    let is_found = match job.expect {
                        Expect::Page { events, total } => events > 0 && total > 0,
                        Expect::Counts(total) => total > 0,
                        Expect::Event(_) => true,
                        Expect::Stored(_) => false,
                    };
                    assert!(is_found, "{}", path(job));
                }
            }
        });
    }

    #[test]
    fn totals_over_all_organizations_are_those_of_a_plain_count() {
        check(|corpus, workloads| {
            let jobs_of = |name: &str| &workloads.iter().find(|kind| kind.name.starts_with(name)).expect(name).jobs;
            let found = |passes: &dyn Fn(&Fact) -> bool| page_of(corpus.all().filter(|fact| passes(fact)).count(), 0);
            for job in jobs_of("two words over all").iter().take(50) {
                let uri = path(job);
                let (first, second) =
                    uri.split_once("?q=").and_then(|(_, words)| words.split_once('+')).expect("words");
                let number = |text| (0..WORDS).find(|number| corpus.generator.word(*number) == text).expect("a word");
                let [first, second] = [number(first), number(second)];
                assert_eq!(job.expect, found(&|fact| fact.has_word(first) && fact.has_word(second)), "{uri}");
            }
            for job in jobs_of("one request id").iter().take(50) {
                let uri = path(job);
                assert_eq!(job.expect, found(&|fact| uri.ends_with(&request_id(fact.request))), "{uri}");
            }
        });
    }

    #[test]
    fn pages_by_offset_differ_and_begin_behind_it() {
        for (total, begin) in [(1, 0), (250, 125), (20_000, 10_000), (30_000_000, OFFSET)] {
            let offsets: Vec<usize> = pages(&[], total)
                .expect("makes")
                .iter()
                .map(|job| path(job).rsplit_once('=').and_then(|(_, offset)| offset.parse().ok()).expect("an offset"))
                .collect();
            assert_eq!(offsets.first(), Some(&begin));
            assert!(offsets.iter().all(|offset| (begin..total).contains(offset)), "{total}");
            let distinct = offsets.iter().collect::<HashSet<_>>().len();
            assert_eq!(distinct, REQUESTS.min((total - begin).saturating_sub(PAGE_EVENTS).max(1)), "{total}");
        }
    }
}

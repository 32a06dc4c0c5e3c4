//! Fills a server with generated events, and checks afterwards that they are all there.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::StatusCode;

use super::super::client::query;
use super::connection::{Connection, Sent, Target};
use super::drive::{Ends, Expect, Job, Tally, drive, number_of};
use super::generator::{Fact, Generator, ORGANIZATIONS};

/// Events that are made ahead of being sent.
const ROUND_EVENTS: usize = 500_000;

/// What a server was filled with.
pub(crate) struct Corpus {
    /// By organization, in the order in which they were made.
    pub(crate) facts: Vec<Vec<Fact>>,
    /// What made them.
    pub(crate) generator: Generator,
}

impl Corpus {
    /// Makes the organizations.
    pub(crate) async fn begin(target: &Target, seed: u16) -> anyhow::Result<Corpus> {
        let generator = Generator::new(seed);
        let mut connection = Connection::open(target).await?;
        for number in 0..ORGANIZATIONS {
            let id = generator.organization_id(number);
            let body = serde_json::to_vec(&serde_json::json!({ "id": id }))?;
            let sent = Sent::post("/v1/organizations", "application/json", body.into());
            let (status, body) = connection.send(&sent).await?;
            if status == StatusCode::CONFLICT {
                bail!("organization {id} exists: give another --seed");
            }
            ensure!(status.is_success(), "can't make organization {id}: {}", String::from_utf8_lossy(&body));
        }
        Ok(Corpus { facts: vec![Vec::new(); usize::from(ORGANIZATIONS)], generator })
    }

    /// Sends so many events in batches. Making them is not part of the time that is told.
    pub(crate) async fn append(
        &mut self,
        target: &Target,
        events: usize,
        batch: usize,
        connections: usize,
    ) -> anyhow::Result<Tally> {
        let ends = Ends { when_done: true, after: None };
        let mut tally = Tally::new()?;
        let mut left = events;
        while left > 0 {
            let round = left.min(ROUND_EVENTS.max(batch));
            left -= round;
            let (jobs, facts) = self.jobs(round, batch);
            tally.follow(&drive(target, connections, jobs, ends).await?)?;
            self.remember(facts);
        }
        Ok(tally)
    }

    /// Requests for so many events, and what is in them.
    pub(crate) fn jobs(&mut self, events: usize, batch: usize) -> (Vec<Job>, Vec<Fact>) {
        let mut facts = Vec::with_capacity(events);
        let mut jobs = Vec::with_capacity(events.div_ceil(batch.max(1)));
        while facts.len() < events {
            let size = batch.max(1).min(events - facts.len());
            let mut body = Vec::with_capacity(size * 700);
            facts.extend((0..size).map(|_| self.generator.write(&mut body)));
            let sent = Sent::post("/v1/events", "application/x-ndjson", Bytes::from(body));
            jobs.push(Job { sent, expect: Expect::Stored(u64::try_from(size).unwrap_or(u64::MAX)) });
        }
        (jobs, facts)
    }

    /// Takes what was stored into account.
    pub(crate) fn remember(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            if let Some(of_organization) = self.facts.get_mut(usize::from(fact.organization)) {
                of_organization.push(fact);
            }
        }
    }

    /// All events, one organization after the other.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().flatten()
    }

    /// How many events are said to be stored.
    pub(crate) fn count(&self) -> u64 {
        self.facts.iter().map(|facts| u64::try_from(facts.len()).unwrap_or(u64::MAX)).sum()
    }

    /// Asks the server how many events the organizations have together.
    pub(crate) async fn count_stored(&self, target: &Target) -> anyhow::Result<u64> {
        let mut connection = Connection::open(target).await?;
        let mut counted = 0;
        for number in 0..ORGANIZATIONS {
            counted += count_of(&mut connection, &self.generator.organization_id(number)).await?;
        }
        Ok(counted)
    }

    /// Asks the server how many events each organization has, and for some of them by id.
    ///
    /// # Errors
    ///
    /// If one organization has other than what was acknowledged, or an event is not found.
    pub(crate) async fn check(&self, target: &Target) -> anyhow::Result<u64> {
        let mut connection = Connection::open(target).await?;
        let mut counted = 0;
        for (number, facts) in (0..).zip(&self.facts) {
            let organization = self.generator.organization_id(number);
            let total = count_of(&mut connection, &organization).await?;
            let acknowledged = u64::try_from(facts.len()).unwrap_or(u64::MAX);
            ensure!(total == acknowledged, "{organization}: {acknowledged} were acknowledged, {total} are there");
            counted += total;
            for fact in [facts.first(), facts.get(facts.len() / 2), facts.last()].into_iter().flatten() {
                let path = format!("/v1/events/{}?organization={organization}", fact.id);
                let (status, body) = connection.send(&Sent::get(&path)?).await?;
                let is_there =
                    status == StatusCode::OK && memchr::memmem::find(&body, fact.action().as_bytes()).is_some();
                ensure!(is_there, "{organization}: event {} was acknowledged and is not there ({status})", fact.id);
            }
        }
        Ok(counted)
    }
}

/// How many events clients have stored for an organization.
async fn count_of(connection: &mut Connection, organization: &str) -> anyhow::Result<u64> {
    let parameters = [("organization", organization), ("action", "!annals.*"), ("limit", "1")];
    let (status, body) = connection.send(&Sent::get(&format!("/v1/events?{}", query(parameters)))?).await?;
    number_of(&body, b"\"total\":").with_context(|| format!("{status} instead of a total"))
}

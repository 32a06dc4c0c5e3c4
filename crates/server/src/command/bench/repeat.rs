//! Repeats real records as the events of a benchmark, each time with new ids and times.
//!
//! **Invariant:** what a record says is not changed, but for its id, its request's id and its time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use annals_dialect::cloudtrail;
use annals_model::{Content, Value};
use anyhow::{Context, anyhow, ensure};

use super::generator::Generator;

/// Records that are repeated, from the first to the last and again.
pub(crate) struct Repeater {
    records: Vec<Record>,
    /// The record that comes next.
    next: usize,
    /// In this round, the new id of each request; several records may belong to one.
    request_ids: HashMap<String, String>,
}

struct Record {
    content: Content,
    /// The request's id as it was.
    request_id: Option<String>,
}

impl Repeater {
    /// Reads CloudTrail records, one on each line.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Repeater> {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("can't open {name}"))?;
        Repeater::read(BufReader::new(file)).with_context(|| format!("can't read {name}"))
    }

    fn read(input: impl BufRead) -> anyhow::Result<Repeater> {
        let mut records = Vec::new();
        for (number, line) in (1..).zip(input.split(b'\n')) {
            let line = line?;
            if line.is_empty() {
                continue;
            }
            let value = Value::parse(&line).with_context(|| format!("line {number} is not JSON"))?;
            let content = cloudtrail::read(value).map_err(|fault| anyhow!("line {number}: {}", fault.message))?.content;
            let request_id = content.request.id.clone();
            records.push(Record { content, request_id });
        }
        ensure!(!records.is_empty(), "there are no records");
        Ok(Repeater { records, next: 0, request_ids: HashMap::new() })
    }

    /// Writes the next record as a line of NDJSON; the generator says whose it is and when it occurred.
    pub(crate) fn write(&mut self, generator: &mut Generator, out: &mut Vec<u8>) -> anyhow::Result<()> {
        if self.next == self.records.len() {
            self.next = 0;
            self.request_ids.clear();
        }
        let record = self.records.get_mut(self.next).context("there are no records")?;
        self.next += 1;
        let fact = generator.fact();
        let content = &mut record.content;
        content.id = fact.id.to_string();
        content.time_occurred = Some(fact.time_occurred);
        if let Some(was) = &record.request_id {
            let made = self.request_ids.entry(was.clone()).or_insert_with(|| generator.request_id());
            content.request.id = Some(made.clone());
        }
        out.extend_from_slice(br#"{"organization":""#);
        out.extend_from_slice(generator.organization_id(fact.organization).as_bytes());
        out.extend_from_slice(b"\",");
        let canonical = content.canonical().text;
        out.extend_from_slice(canonical.strip_prefix(b"{").unwrap_or(&canonical));
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_model::parse_content;
    use std::collections::HashSet;

    const RECORDS: &str = include_str!("../../../demo/cloudtrail.ndjson");

    #[test]
    fn a_repeated_record_is_the_same_but_for_its_ids_and_its_time() {
        let mut generator = Generator::new(1);
        let mut repeater = Repeater::read(RECORDS.as_bytes()).expect("reads");
        let records = repeater.records.len();
        let mut text = Vec::new();
        (0..2 * records).for_each(|_| repeater.write(&mut generator, &mut text).expect("writes"));
        let events: Vec<_> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(events.len(), 2 * records);
        let mut ids = HashSet::new();
        let mut request_ids = [HashSet::new(), HashSet::new()];
        for (at, line) in events.iter().enumerate() {
            let event = parse_content(Value::parse(line).expect("JSON")).expect("an event");
            assert!(event.organization.is_some());
            let was = &repeater.records[at % records];
            let mut content = event.content;
            assert!(ids.insert(event.id.expect("an id")), "line {at}");
            assert_eq!(content.request.id.is_some(), was.request_id.is_some());
            request_ids[at / records].extend(content.request.id.take());
            let expect = Content {
                id: content.id.clone(),
                time_occurred: content.time_occurred,
                request: annals_model::Request { id: None, ..was.content.request.clone() },
                ..was.content.clone()
            };
            assert_eq!(content, expect);
        }
        let [first, second] = request_ids;
        assert!(first.len() > 1 && first.len() == second.len() && first.is_disjoint(&second));
    }

    #[test]
    fn what_is_no_record_is_named_by_its_line() {
        let error = Repeater::read(&b"\n{\"a\":1}\n"[..]).err().expect("refused");
        assert!(error.to_string().starts_with("line 2: this is no record"), "{error}");
        assert!(Repeater::read(&b""[..]).is_err());
    }
}

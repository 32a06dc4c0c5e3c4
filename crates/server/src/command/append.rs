//! `annals append`: sends events from a file or a pipe, in batches, safe to run again.
//!
//! **Invariant:** memory is bounded, however long the input.
//! **Invariant:** a batch is sent again only as it was, under the same idempotency key, so that
//! neither a lost answer nor a second run doubles an event.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::batch::{Batch, Batches, ELEMENT_BYTES_MAX};
use super::client::{Answer, Body, Client, Connection, Refusal, is_broken_connection, query};
use super::frame::{Elements, FrameError, Wrapping};
use super::output::{Output, counted, note, thousands};
use super::retry::{Pauses, pause};

/// Send events from a file or a pipe
///
/// The input is NDJSON, a JSON array, with --format cloudtrail also the files that AWS delivers, or with
/// that of a vendor the answers of its API; gzip and zstd are recognized by content. It is safe to run
/// again: an event with an id is stored once, and events without one get theirs from the content of their
/// batch, its place in the input, and the API key. So the same input with the same key doubles nothing; an
/// input that has grown, or comes in pieces, should give its events ids.
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Append {
    #[command(flatten)]
    connection: Connection,
    /// The file; `-` for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// What the input holds: events as Annals takes them, records of AWS CloudTrail, or what a vendor's API
    /// answered
    #[arg(long, default_value = ANNALS, value_parser = formats())]
    format: String,
    /// The organization, with a key for all
    #[arg(long)]
    organization: Option<String>,
    /// The summary as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLE: &str = "Example:
  annals append events.ndjson
  zcat 2026/11/*.json.gz | annals append --format cloudtrail --organization acme
  curl -u \"$EMAIL:$API_KEY\" https://api.upstash.com/v2/auditlogs | annals append --format upstash";

/// The format of our own events, …
const ANNALS: &str = "annals";
/// … and the other one that is no vendor's API.
const CLOUDTRAIL: &str = "cloudtrail";

fn formats() -> PossibleValuesParser {
    let vendors = annals_dialect::all().map(|dialect| dialect.name());
    PossibleValuesParser::new([ANNALS, CLOUDTRAIL].into_iter().chain(vendors))
}

/// What became of an input.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Summary {
    events: u64,
    new: u64,
    already_there: u64,
    batches: u64,
    retries: u64,
    seconds: f64,
}

#[derive(Deserialize)]
struct Appended {
    events: Vec<Placed>,
}

#[derive(Deserialize)]
struct Placed {
    time_recorded: String,
}

impl Appended {
    /// How many of the events had been there before, `is_new` telling that not all had.
    ///
    /// All that is new in a request is recorded at one instant, later than anything before it.
    fn already_there(&self, is_new: bool) -> usize {
        let newest = self.events.iter().map(|placed| &placed.time_recorded).max().filter(|_| is_new);
        self.events.iter().filter(|placed| Some(&placed.time_recorded) != newest).count()
    }
}

impl Append {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let begun = Instant::now();
        let name = if self.is_standard_input() { "<stdin>".to_owned() } else { self.file.display().to_string() };
        let (input, bar) = self.open(&name)?;
        let input = decompressed(input).with_context(|| format!("can't read {name}"))?;
        let list = annals_dialect::of_name(&self.format).and_then(|dialect| dialect.entries());
        let wrapping = match list {
            Some(member) => Wrapping::Answer(member),
            None if self.format == CLOUDTRAIL => Wrapping::Records,
            None => Wrapping::Bare,
        };
        let client = Client::new(&self.connection);
        let mut sender = Sender { client, bar, target: self.target(), name, summary: Summary::default() };
        let sent = Batches::new(Elements::new(input, wrapping, ELEMENT_BYTES_MAX)).try_for_each(|batch| {
            let batch = batch.map_err(|error| misframed(&sender.name, error))?;
            sender.send(&batch, &self.connection.key)
        });
        sender.bar.finish_and_clear();
        let mut summary = sender.summary;
        summary.seconds = begun.elapsed().as_secs_f64();
        if let Err(error) = sent {
            if summary.events > 0 {
                let before = counted(summary.events, "event");
                note(&format!(
                    "{before} of what came before were acknowledged; run the command again when it is mended: nothing is stored twice"
                ));
            }
            return Err(error);
        }
        if self.json { out.json(&summary) } else { out.line(&summary.sentence()) }
    }

    fn is_standard_input(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    /// The path that batches go to.
    fn target(&self) -> String {
        let format = (self.format != ANNALS).then_some(("format", self.format.as_str()));
        let organization = self.organization.as_deref().map(|id| ("organization", id));
        let parameters = query(format.into_iter().chain(organization));
        if parameters.is_empty() { "/v1/events".to_owned() } else { format!("/v1/events?{parameters}") }
    }

    /// The input, and the bar that shows how much of it was read.
    fn open(&self, name: &str) -> anyhow::Result<(Box<dyn BufRead>, ProgressBar)> {
        if self.is_standard_input() {
            if io::stdin().is_terminal() {
                note("reading events from standard input; end with Ctrl-D");
            }
            let bar = ProgressBar::new_spinner();
            return Ok((Box::new(BufReader::new(bar.wrap_read(io::stdin()))), bar));
        }
        let file = File::open(&self.file).with_context(|| format!("can't open {name}"))?;
        let metadata = file.metadata().with_context(|| format!("can't open {name}"))?;
        if metadata.is_dir() {
            bail!("{name} is a folder");
        }
        let bar = if metadata.is_file() { ProgressBar::new(metadata.len()) } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {msg} {eta}") {
            bar.set_style(style);
        }
        Ok((Box::new(BufReader::with_capacity(256 * 1024, bar.wrap_read(file))), bar))
    }
}

impl Summary {
    fn sentence(&self) -> String {
        let Summary { events, new, already_there, seconds, .. } = self;
        let new = thousands(*new);
        format!("{}: {new} new, {} already there, {seconds:.1} s", counted(*events, "event"), thousands(*already_there))
    }
}

/// Takes gzip or zstd off, whichever the first bytes say.
fn decompressed(mut input: Box<dyn BufRead>) -> io::Result<Box<dyn BufRead>> {
    // A pipe may hand over its first bytes one by one.
    let mut first = Vec::new();
    input.by_ref().take(4).read_to_end(&mut first)?;
    let rest = io::Cursor::new(first.clone()).chain(input);
    Ok(match first.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(rest))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(BufReader::new(zstd::Decoder::with_buffer(rest)?)),
        // A byte order mark means nothing in UTF-8.
        [0xef, 0xbb, 0xbf, other @ ..] => {
            let other = other.to_vec();
            let (_, input) = rest.into_inner();
            Box::new(io::Cursor::new(other).chain(input))
        }
        _ => Box::new(rest),
    })
}

fn misframed(name: &str, error: FrameError) -> anyhow::Error {
    match error {
        FrameError::Form { line, what } => anyhow!("{name}:{line}: {what}"),
        FrameError::Read(error) => anyhow::Error::new(error).context(format!("can't read {name}")),
    }
}

/// What the server refused, by the line of the input.
fn refused(name: &str, batch: &Batch, refusal: &Refusal) -> anyhow::Error {
    let event = refusal.event.or_else(|| refusal.line?.checked_sub(1));
    match event.and_then(|event| batch.line_of(event)) {
        Some(line) => anyhow!("{name}:{line}: {refusal}"),
        None => anyhow!("{name}: {refusal}"),
    }
}

struct Sender {
    client: Client,
    bar: ProgressBar,
    target: String,
    name: String,
    summary: Summary,
}

impl Sender {
    fn send(&mut self, batch: &Batch, api_key: &str) -> anyhow::Result<()> {
        let key = batch.idempotency_key(api_key, &self.target);
        let body =
            Body { content_type: "application/x-ndjson", bytes: &batch.body, idempotency_key: Some(key.as_str()) };
        let answer =
            self.send_until_answered(&body)?.accepted().map_err(|refusal| refused(&self.name, batch, &refusal))?;
        let appended: Appended = answer.json()?;
        let events = u64::try_from(batch.lines.len()).unwrap_or(u64::MAX);
        if appended.events.len() != batch.lines.len() {
            bail!("{} events were sent and {} are said to be stored", events, appended.events.len());
        }
        let already_there = appended.already_there(answer.status == 201);
        let already_there = u64::try_from(already_there).unwrap_or(u64::MAX);
        self.summary.events += events;
        self.summary.already_there += already_there;
        self.summary.new += events - already_there;
        self.summary.batches += 1;
        self.bar.set_message(counted(self.summary.events, "event"));
        Ok(())
    }

    /// Sends until there is an answer other than «later».
    fn send_until_answered(&mut self, body: &Body) -> anyhow::Result<Answer> {
        let mut pauses = Pauses::default();
        loop {
            let answer = self.client.send(http::Method::POST, &self.target, Some(body));
            let asked_for = match &answer {
                Ok(answer) if matches!(answer.status, 429 | 503) => answer.retry_after,
                Ok(_) => return answer,
                Err(error) if is_broken_connection(error) => None,
                Err(_) => return answer,
            };
            let Some(duration) = pauses.next(asked_for) else {
                return answer;
            };
            self.tell(&answer, duration);
            self.summary.retries += 1;
            pause(duration);
        }
    }

    fn tell(&self, answer: &anyhow::Result<Answer>, duration: Duration) {
        let why = match answer {
            Ok(answer) => answer.refusal().to_string(),
            Err(error) => format!("{error:#}"),
        };
        self.bar.suspend(|| note(&format!("{why}; trying again in {} s", duration.as_secs_f32())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn compression_is_known_by_content_and_parts_may_follow_each_other() {
        let gzip = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).expect("writes");
            encoder.finish().expect("ends")
        };
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).expect("encodes");
        let check = |input: Vec<u8>, expect: &str| {
            // One byte at a time, as a slow pipe would.
            let input = BufReader::with_capacity(1, io::Cursor::new(input));
            let mut text = String::new();
            decompressed(Box::new(input)).expect("opens").read_to_string(&mut text).expect("reads");
            assert_eq!(text, expect);
        };
        check(b"{}\n".to_vec(), "{}\n");
        check(Vec::new(), "");
        check(b"\xef\xbb\xbf{}\n".to_vec(), "{}\n");
        check([gzip("{}\n"), gzip("{\"a\":1}\n")].concat(), "{}\n{\"a\":1}\n");
        check([zstd("{}\n"), zstd("{\"a\":1}\n")].concat(), "{}\n{\"a\":1}\n");
    }

    #[test]
    fn what_is_refused_is_named_by_its_line_in_the_file() {
        let batch = Batch { ordinal: 3, body: Vec::new(), lines: vec![4_001, 4_002, 4_005] };
        let check = |error: &str, expect: &str| {
            let body = format!("{{\"error\":{error}}}").into_bytes();
            let refusal = Answer { status: 400, retry_after: None, body }.refusal();
            assert_eq!(refused("e.ndjson", &batch, &refusal).to_string(), expect);
        };
        check(
            r#"{"code":"invalid_request","message":"actor.id must be a text","member":"actor.id","event":2}"#,
            "e.ndjson:4005: actor.id must be a text (invalid_request)",
        );
        check(r#"{"code":"invalid_request","message":"no JSON","line":2}"#, "e.ndjson:4002: no JSON (invalid_request)");
        check(r#"{"code":"forbidden","message":"the key can't append"}"#, "e.ndjson: the key can't append (forbidden)");
        check(r#"{"code":"invalid_request","message":"x","event":99}"#, "e.ndjson: x (invalid_request)");
    }

    #[test]
    fn what_was_there_before_is_told_by_its_time() {
        let check = |times: &[&str], is_new, expect| {
            let events = times.iter().map(|time| Placed { time_recorded: (*time).to_owned() }).collect();
            assert_eq!(Appended { events }.already_there(is_new), expect, "{times:?}");
        };
        check(&["2026-11-20T09:46:08.000002Z", "2026-11-20T09:46:08.000002Z"], true, 0);
        check(&["2026-11-20T09:46:08.000001Z", "2026-11-20T09:46:08.000002Z"], true, 1);
        check(&["2026-11-20T09:46:08.000002Z", "2026-11-20T09:46:08.000002Z"], false, 2);
    }

    #[test]
    fn the_summary_is_one_sentence() {
        let summary = Summary { events: 2_900, new: 2_890, already_there: 10, seconds: 1.24, ..Summary::default() };
        assert_eq!(summary.sentence(), "2,900 events: 2,890 new, 10 already there, 1.2 s");
    }
}

//! `annals tail`: the last events, and then each as it comes.
//!
//! Where it begins is found without counting the history: the newest events are asked for, and then the list
//! with the oldest first is asked for from the time of the last of these on, which goes on for ever.
//!
//! **Invariant:** every event that matches is printed once, in the order of the log, whatever becomes of
//! the connection meanwhile: what is asked for next goes on where the last answer ended.
//! **Invariant:** times never decrease in the order of the log, so the list from an event's time on holds that
//! event and all that came after it; before it, it holds only events of the same time, which are left out.

use std::time::Duration;

use annals_model::limits;
use anyhow::Context;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::client::{Answer, Client, Connection, is_broken_connection, query};
use super::events::{Events, OrderedBy};
use super::filters::{Filters, VALUES};
use super::output::{self, Output, note};
use super::retry::pause;

/// Print the last events, and then each as it comes
///
/// Ends with Ctrl-C, or when nobody reads its output any more. It goes on where it was when the server
/// can't be reached for a while. In the order of the log, the newest last; without --organization over all
/// that the key may read.
#[derive(clap::Args)]
#[command(after_help = format!("{VALUES}\n\n{EXAMPLE}"))]
pub(crate) struct Tail {
    #[command(flatten)]
    connection: Connection,
    /// The organization whose events are followed; without it, all that the key may read
    #[arg(long)]
    organization: Option<String>,
    /// How many of the events that are there already are printed first
    #[arg(short = 'n', long = "lines", value_name = "EVENTS", default_value_t = 10)]
    lines: u64,
    /// One event a line, as the server gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
}

const EXAMPLE: &str = "Example:
  annals tail --organization acme --action 'flag.*'
  annals tail -n 0 --json | while read -r event; do echo \"$event\"; done";

/// How long to wait before asking for more.
const INTERVAL: Duration = Duration::from_millis(500);
/// The longest wait while the server does not answer as it should.
const INTERVAL_MAX: Duration = Duration::from_secs(15);
/// From when on events are asked for.
const RECORDED_FROM: &str = "recorded_from";
/// How many events one answer has at most.
const PAGE_EVENTS: usize = limits::PAGE_EVENTS_MAX;

#[derive(Deserialize)]
struct Page {
    events: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// Which event it is, and when it was recorded.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Place {
    organization: String,
    index: u64,
    time_recorded: String,
}

/// Asks for one page after the other.
struct Follower {
    client: Client,
    /// What every request says.
    parameters: Vec<(&'static str, String)>,
    /// Where the next page begins, once there was one.
    cursor: Option<String>,
    /// While the list is not there yet: where printing begins.
    begin: Option<Begin>,
}

/// Where printing begins.
struct Begin {
    place: Place,
    /// Whether the event that is there is printed.
    inclusive: bool,
}

impl Tail {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        super::runtime()?.block_on(async {
            let stop = super::stop_signal()?;
            let closed = output::closed()?;
            let mut events = Events::new(self.json, self.organization.is_none(), OrderedBy::Recorded);
            let (pages, mut coming) = mpsc::channel(1);
            // Not awaited: it may be in the middle of a request when this ends.
            std::thread::Builder::new()
                .name("annals-tail".to_owned())
                .spawn(move || self.follow(&pages))
                .context("can't start a thread")?;
            let print = async {
                while let Some(page) = coming.recv().await {
                    events.print(&page?, out)?;
                    out.flush()?;
                }
                Ok(())
            };
            tokio::select! {
                printed = print => printed,
                () = stop => Ok(()),
                closed = closed => closed,
            }
        })
    }

    /// Sends events until there is nobody who takes them, or the server refuses.
    fn follow(self, pages: &mpsc::Sender<anyhow::Result<Vec<Box<RawValue>>>>) {
        let mut follower = match self.begin() {
            Ok(follower) => follower,
            // Whoever would be told has gone.
            Err(error) => return drop(pages.blocking_send(Err(error))),
        };
        loop {
            let (events, was_all) = match follower.next() {
                Ok(page) => page,
                Err(error) => return drop(pages.blocking_send(Err(error))),
            };
            if pages.blocking_send(Ok(events)).is_err() {
                return;
            }
            if was_all {
                pause(INTERVAL);
            }
        }
    }

    /// Finds where the last events begin. A server that can't be reached now never was, so it is not tried again.
    fn begin(self) -> anyhow::Result<Follower> {
        let client = Client::new(&self.connection);
        let organization = self.organization.map(|id| ("organization", id));
        let mut parameters: Vec<_> = organization.into_iter().chain(self.filters.pairs).collect();
        parameters.push(("total", "none".to_owned()));
        // The last event at least, behind which all others come.
        let mut wanted = self.lines.max(1);
        let (mut cursor, mut first) = (None, None);
        while wanted > 0 {
            let limit = wanted.min(PAGE_EVENTS as u64);
            let path = path(&parameters, &[("order", "newest"), ("limit", &limit.to_string())], cursor.as_deref());
            let page: Page = ask(&client, &path, |_| false)?.json()?;
            first = page.events.last().map(|event| place(event)).transpose()?.or(first);
            wanted -= limit;
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let begin = first.map(|place| Begin { place, inclusive: self.lines > 0 });
        if let Some(Begin { place, .. }) = &begin {
            // It is not before what the filters say themselves.
            parameters.retain(|(name, _)| *name != RECORDED_FROM);
            parameters.push((RECORDED_FROM, place.time_recorded.clone()));
        }
        parameters.push(("order", "oldest".to_owned()));
        parameters.push(("limit", PAGE_EVENTS.to_string()));
        Ok(Follower { client, parameters, cursor: None, begin })
    }
}

impl Follower {
    /// The events that come next, if there are any by now, and whether these are all. Asks until it is
    /// answered.
    fn next(&mut self) -> anyhow::Result<(Vec<Box<RawValue>>, bool)> {
        let path = path(&self.parameters, &[], self.cursor.as_deref());
        let mut page: Page = ask(&self.client, &path, is_broken_connection)?.json()?;
        let was_all = page.events.len() < PAGE_EVENTS;
        self.cursor = Some(page.next_cursor.context("the server's answer has no cursor")?);
        if let Some(begin) = self.begin.take()
            && !begin.is_reached(&mut page.events)?
        {
            self.begin = Some(begin);
        }
        Ok((page.events, was_all))
    }
}

impl Begin {
    /// Leaves out of a page what comes before; whether what is printed begins on it, or behind its end.
    fn is_reached(&self, events: &mut Vec<Box<RawValue>>) -> anyhow::Result<bool> {
        for (at, event) in events.iter().enumerate() {
            let place = place(event)?;
            if place == self.place {
                events.drain(..at + usize::from(!self.inclusive));
                return Ok(true);
            }
            // The event has gone meanwhile, and this comes after it.
            if place.time_recorded != self.place.time_recorded {
                events.drain(..at);
                return Ok(true);
            }
        }
        events.clear();
        Ok(false)
    }
}

fn place(event: &RawValue) -> anyhow::Result<Place> {
    serde_json::from_str(event.get()).context("the server's answer has an event that says not when it was recorded")
}

fn path(parameters: &[(&str, String)], more: &[(&str, &str)], cursor: Option<&str>) -> String {
    let pairs = parameters.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied());
    format!("/v1/events?{}", query(pairs.chain(cursor.map(|cursor| ("cursor", cursor)))))
}

/// Asks for what lies under a path, again and again while it is not answered for now.
fn ask(client: &Client, path: &str, is_passing_error: impl Fn(&anyhow::Error) -> bool) -> anyhow::Result<Answer> {
    let mut wait = INTERVAL;
    loop {
        let answer = client.get(path);
        let why = match &answer {
            Ok(answer) if is_passing(answer) => answer.refusal().to_string(),
            Err(error) if is_passing_error(error) => format!("{error:#}"),
            _ => return Ok(answer?.accepted()?),
        };
        let asked_for = answer.ok().and_then(|answer| answer.retry_after).unwrap_or_default();
        let waits = wait.max(asked_for).min(INTERVAL_MAX);
        note(&format!("{why}; trying again in {} s", waits.as_secs_f32()));
        pause(waits);
        wait = wait.saturating_mul(2);
    }
}
/// Whether the same request may be answered another time: by the server, or by a proxy before it. One that took
/// too long would take as long again.
fn is_passing(answer: &Answer) -> bool {
    matches!(answer.status, 429 | 502..=504) && answer.refusal().code != "deadline_exceeded"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(index: u64, second: u64) -> Box<RawValue> {
        let json = format!(r#"{{"organization":"acme","index":{index},"time_recorded":"{second}"}}"#);
        RawValue::from_string(json).expect("JSON")
    }

    /// The indexes that are left of a page, and whether printing has begun.
    fn check(begin: (u64, u64, bool), events: &[(u64, u64)], left: &[u64], reached: bool) {
        let (index, second, inclusive) = begin;
        let begin = Begin { place: place(&event(index, second)).expect("a place"), inclusive };
        let mut page: Vec<_> = events.iter().map(|(index, second)| event(*index, *second)).collect();
        assert_eq!(begin.is_reached(&mut page).expect("places"), reached, "{events:?}");
        let found: Vec<u64> = page.iter().map(|event| place(event).expect("a place").index).collect();
        assert_eq!(found, left, "{events:?}");
    }

    #[test]
    fn printing_begins_at_an_event_or_behind_it_however_many_have_its_time() {
        let same = [(3, 7), (4, 7), (5, 7)];
        check((4, 7, true), &same, &[4, 5], true);
        check((4, 7, false), &same, &[5], true);
        check((5, 7, true), &same, &[5], true);
        check((5, 7, false), &same, &[], true);
        check((9, 7, true), &same, &[], false);
        check((9, 7, false), &[], &[], false);
        check((9, 7, true), &[(8, 7), (10, 8)], &[10], true);
    }

    #[test]
    fn only_what_may_pass_is_asked_for_again() {
        for (status, code, expect) in [
            (200, "", false),
            (400, "invalid_request", false),
            (401, "unauthorized", false),
            (429, "rate_limited", true),
            (500, "internal", false),
            (502, "", true),
            (503, "busy", true),
            (503, "deadline_exceeded", false),
        ] {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#).into_bytes();
            assert_eq!(is_passing(&Answer { status, retry_after: None, body }), expect, "{status} {code}");
        }
    }
}

//! The figures of one part of a benchmark.

use std::time::Duration;

use serde::Serialize;

use super::super::output::{note, thousands};
use super::super::table::Table;
use super::drive::Tally;
use super::usage;

/// Measures the processor time of server and generator over a part.
pub(crate) struct Meter {
    server: Option<u32>,
    server_before: Option<Duration>,
    own_before: Option<Duration>,
}

/// The figures.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// What was done.
    pub(crate) name: String,
    /// Over how many connections at a time.
    pub(crate) connections: usize,
    /// Events of one request, where events are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<usize>,
    /// Requests answered.
    pub(crate) requests: u64,
    /// Events stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<u64>,
    /// Answers that asked to come again later.
    pub(crate) busy: u64,
    /// From the first request to the last answer.
    pub(crate) seconds: f64,
    /// Events, or else requests, per second.
    pub(crate) per_s: f64,
    /// The server's processor time for one event, or else one request.
    pub(crate) server_cpu_us: Option<f64>,
    /// The generator's processor time for one event, or else one request.
    pub(crate) client_cpu_us: Option<f64>,
    /// Of requests, in microseconds.
    pub(crate) latency_us_p50: u64,
    /// The same.
    pub(crate) latency_us_p90: u64,
    /// The same.
    pub(crate) latency_us_p99: u64,
    /// The same.
    pub(crate) latency_us_max: u64,
}

impl Meter {
    /// Begins; the server is known by its process, where it is on this machine.
    pub(crate) fn begin(server: Option<u32>) -> Meter {
        let own_before = usage::processor_time(std::process::id());
        Meter { server, server_before: server.and_then(usage::processor_time), own_before }
    }

    /// Waits until the server has nothing more to do in the background, so that all of a part's
    /// work is counted in it.
    pub(crate) async fn settle(&self) {
        const STEP: Duration = Duration::from_millis(250);
        // Merging what tens of millions of events leave takes minutes.
        const STEPS_MAX: u32 = 2_400;
        let Some(server) = self.server else {
            return;
        };
        let mut before = usage::processor_time(server);
        for _ in 0..STEPS_MAX {
            tokio::time::sleep(STEP).await;
            let now = usage::processor_time(server);
            let used = now.zip(before).map(|(now, before)| now.saturating_sub(before));
            if used.is_none_or(|used| used <= STEP / 25) {
                return;
            }
            before = now;
        }
        note("the server has not come to rest: its figures are those of a busy one");
    }

    /// The figures of a run over so many connections; `batch` where events were sent.
    pub(crate) fn figures(
        &self,
        name: impl Into<String>,
        connections: usize,
        batch: Option<usize>,
        tally: &Tally,
    ) -> Figures {
        let units = float(if batch.is_some() { tally.stored } else { tally.requests });
        let seconds = tally.elapsed.as_secs_f64();
        let each = |now: Option<Duration>, before: Option<Duration>| {
            let used = now.zip(before).map(|(now, before)| now.saturating_sub(before));
            used.map(|used| round(used.as_secs_f64() * 1e6 / units.max(1.0)))
        };
        Figures {
            name: name.into(),
            connections,
            batch,
            requests: tally.requests,
            events: batch.map(|_| tally.stored),
            busy: tally.busy,
            seconds: round(seconds),
            per_s: round(units / seconds.max(1e-9)),
            server_cpu_us: each(self.server.and_then(usage::processor_time), self.server_before),
            client_cpu_us: each(usage::processor_time(std::process::id()), self.own_before),
            latency_us_p50: tally.latency.value_at_quantile(0.5),
            latency_us_p90: tally.latency.value_at_quantile(0.9),
            latency_us_p99: tally.latency.value_at_quantile(0.99),
            latency_us_max: tally.latency.max(),
        }
    }
}

/// The figures as a table.
pub(crate) fn table(all: &[Figures]) -> Table {
    let mut table = Table::new([
        "what",
        "conn.",
        "batch",
        "count",
        "per s",
        "server µs",
        "client µs",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
    ]);
    for figures in all {
        let us = |us: Option<f64>| us.map_or_else(|| "–".to_owned(), |us| format!("{us:.1}"));
        let ms = |us: u64| format!("{:.2}", float(us) / 1_000.0);
        table.row([
            figures.name.clone(),
            figures.connections.to_string(),
            figures.batch.map_or_else(String::new, |batch| batch.to_string()),
            thousands(figures.events.unwrap_or(figures.requests)),
            thousands(whole(figures.per_s)),
            us(figures.server_cpu_us),
            us(figures.client_cpu_us),
            ms(figures.latency_us_p50),
            ms(figures.latency_us_p90),
            ms(figures.latency_us_p99),
            ms(figures.latency_us_max),
        ]);
    }
    table
}

/// A number as a figure.
#[expect(clippy::cast_precision_loss, reason = "figures are shown with four digits or so")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive, and below 2^53")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// A figure with three digits behind the point.
pub(crate) fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_by_event_where_events_are_sent_and_else_by_request() {
        let meter = Meter { server: None, server_before: None, own_before: None };
        let mut tally = Tally::new().expect("a tally");
        (tally.requests, tally.stored, tally.elapsed) = (10, 5_000, Duration::from_secs(2));
        (1..=100).for_each(|ms| tally.latency.saturating_record(ms * 1_000));
        let figures = meter.figures("append", 4, Some(500), &tally);
        assert_eq!((figures.events, figures.per_s), (Some(5_000), 2_500.0));
        assert!((49_000..=51_000).contains(&figures.latency_us_p50), "{figures:?}");
        assert!((98_000..=101_000).contains(&figures.latency_us_max), "{figures:?}");
        let figures = meter.figures("read", 1, None, &tally);
        assert_eq!((figures.events, figures.per_s, figures.server_cpu_us), (None, 5.0, None));
        let line = table(&[figures]).lines(None).concat();
        assert!(line.starts_with("read  1             10     5      –"), "{line}");
    }
}

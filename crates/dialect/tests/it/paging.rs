//! Who follows a vendor's own links or cursors sees every entry once, however many share an
//! instant.

use annals_dialect::{Context, Dialect, Request};
use annals_model::{NewOrganization, Time};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::log::{Answered, Log};

/// More pages than any of the lists has.
const PAGES_MAX: usize = 100;

/// A log whose events occurred so many microseconds after the epoch.
fn log(times_us: &[i64]) -> Log {
    let mut text = String::new();
    for (at, us) in times_us.iter().enumerate() {
        let time = Time::from_us(*us).format();
        let event = json!({"id": at.to_string(), "action": "a", "time_occurred": time, "request": {"status": us.rem_euclid(3)}});
        let line = json!({"index": at, "position": at, "time_recorded": "2026-11-20T10:00:00Z", "event": event});
        text.push_str(&format!("{line}\n"));
    }
    Log::parse("acme", &text)
}

fn answer(dialect: &dyn Dialect, log: &Log, query: &str) -> Value {
    let organization = NewOrganization { id: "acme".into(), ..NewOrganization::default() };
    let context = Context {
        now: Time::default(),
        organization: organization.accept(Time::default()).expect("right").into(),
        key_expires: None,
        action_number: std::sync::Arc::new(|_| None),
    };
    let request = Request { parameters: Request::parse_query(query).expect("a query"), ..Request::default() };
    let call = dialect.decode(&request, &context).unwrap_or_else(|fault| panic!("{query}: {fault}"));
    let Ok(Answered::Outcome(outcome)) = log.answer(&call) else {
        panic!("{query} is answered by an outcome");
    };
    let answer = dialect.encode(&request, &context, &outcome).unwrap_or_else(|fault| panic!("{query}: {fault}"));
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// The entries' ids, page by page, as long as an answer names a query for another page.
fn walk(name: &str, log: &Log, first: String, id: &str, next: impl Fn(&Value) -> Option<String>) -> Vec<Vec<String>> {
    let dialect = annals_dialect::of_name(name).expect("a dialect of this name");
    let (mut pages, mut query) = (Vec::new(), Some(first));
    while let Some(asked) = query {
        assert!(pages.len() < PAGES_MAX, "{name} comes to no end");
        let answer = answer(dialect, log, &asked);
        let items = answer["items"].as_array().expect("items");
        pages.push(items.iter().map(|item| item[id].as_str().expect("an id").to_owned()).collect());
        query = next(&answer);
    }
    pages
}

/// The ids of the events by time, newest first, ties by place.
fn newest_first(times_us: &[i64]) -> Vec<String> {
    let mut order: Vec<(i64, usize)> = times_us.iter().enumerate().map(|(at, us)| (*us, at)).collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    order.into_iter().map(|(_, at)| at.to_string()).collect()
}

fn any_times() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-2_500..2_500_i64, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn links_lead_through_entries_of_one_millisecond(times in any_times(), limit in 1..7_usize, before in -3..4_i64) {
        let href = |answer: &Value| {
            answer["_links"]["next"]["href"].as_str().and_then(|href| href.split_once('?')).map(|(_, query)| query.to_owned())
        };
        let log = log(&times);
        let all = walk("launchdarkly", &log, format!("limit={limit}"), "_id", href).concat();
        prop_assert_eq!(all, newest_first(&times));
        let some = walk("launchdarkly", &log, format!("before={before}&limit={limit}&after=-2"), "_id", href).concat();
        let within = |at: &String| {
            let us = at.parse::<usize>().ok().and_then(|at| times.get(at)).copied().unwrap_or_default();
            us.div_euclid(1_000) < before && us.div_euclid(1_000) > -2
        };
        prop_assert_eq!(some, newest_first(&times).into_iter().filter(within).collect::<Vec<_>>());
    }

    #[test]
    fn cursors_lead_through_a_list_and_back(times in any_times()) {
        let log = log(&times);
        let to = |name: &'static str| move |answer: &Value| {
            answer["pagination"][name].as_str().map(|cursor| format!("cursor={cursor}"))
        };
        let there = walk("nirvana", &log, String::new(), "id", to("next_cursor"));
        prop_assert_eq!(there.concat(), newest_first(&times));
        let dialect = annals_dialect::of_name("nirvana").expect("a dialect of this name");
        let mut last = answer(dialect, &log, "");
        while let Some(query) = to("next_cursor")(&last) {
            last = answer(dialect, &log, &query);
        }
        if let Some(query) = to("previous_cursor")(&last) {
            let mut back = walk("nirvana", &log, query, "id", to("previous_cursor"));
            back.reverse();
            prop_assert_eq!(back.concat(), there[..there.len() - 1].concat());
        }
    }
}

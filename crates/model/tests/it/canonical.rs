//! The canonical form.

use std::sync::Arc;

use annals_model::{Canonical, Content, Event, Filter, Time, Value, each_word, parse_content};
use proptest::prelude::*;

use crate::generate::content;

fn read(text: &[u8]) -> Content {
    let new = parse_content(Value::parse(text).expect("JSON")).expect("an event");
    Content { id: new.id.expect("an id"), ..new.content }
}

fn canonical(json: &str) -> Canonical {
    read(json.as_bytes()).canonical()
}

#[test]
fn the_worked_example_has_these_members() {
    let canonical = canonical(r#"{"id":"req-8f1c:0", "actor":{"name":"Iku","id":"usr_1"},"action":"flag.update"}"#);
    assert_eq!(
        String::from_utf8_lossy(&canonical.text),
        r#"{"action":"flag.update","actor":{"id":"usr_1","name":"Iku"},"id":"req-8f1c:0"}"#
    );
    let parts: Vec<(&str, &[u8])> = canonical.parts().collect();
    assert_eq!(
        parts,
        [
            ("action", &br#""flag.update""#[..]),
            ("actor.id", br#""usr_1""#),
            ("actor.name", br#""Iku""#),
            ("id", br#""req-8f1c:0""#)
        ]
    );
}

#[test]
fn null_and_empty_leave_no_trace_at_the_top_and_in_actor_request_and_targets() {
    let bare = r#"{"action":"a","id":"i"}"#;
    for json in [
        r#"{"action":"a","id":"i","actor":null,"title":null,"data":{},"targets":[],"changes":[],"request":{"body":{},"query":[],"id":null}}"#,
        r#"{"action":"a","id":"i","actor":{"name":null},"accesses":[],"vendor":null,"time_occurred":null}"#,
    ] {
        assert_eq!(String::from_utf8_lossy(&canonical(json).text), bare, "{json}");
    }
    let kept = r#"{"action":"a","data":{"deep":[null,{},[]]},"id":"i","notes":"","targets":[{"id":""}]}"#;
    assert_eq!(String::from_utf8_lossy(&canonical(kept).text), kept);
}

#[test]
fn times_are_in_utc_with_six_digits() {
    let canonical = canonical(
        r#"{"action":"a","id":"i","time_occurred":"2026-11-20T10:46:08+01:00","time_expires":"2027-01-01T00:00:00.1234567Z"}"#,
    );
    let expect = r#"{"action":"a","id":"i","time_expires":"2027-01-01T00:00:00.123456Z","time_occurred":"2026-11-20T09:46:08.000000Z"}"#;
    assert_eq!(String::from_utf8_lossy(&canonical.text), expect);
}

#[test]
fn members_are_in_the_order_of_their_names_also_with_many_targets() {
    let targets: Vec<String> = (0..12).map(|at| format!(r#"{{"id":"{at}"}}"#)).collect();
    let canonical = canonical(&format!(r#"{{"action":"a","id":"i","targets":[{}]}}"#, targets.join(",")));
    let names: Vec<&str> = canonical.members.iter().map(|member| &*member.name).collect();
    assert_eq!(names[2..6], ["targets.0.id", "targets.1.id", "targets.10.id", "targets.11.id"]);
    assert_eq!(canonical.parts().nth(4), Some(("targets.10.id", &br#""10""#[..])));
}

#[test]
fn the_native_form_adds_the_place_and_the_time_shown() {
    let native = |canonical: &str| {
        let event = Event {
            organization: Arc::from("acme"),
            index: 7,
            position: 9,
            time_recorded: Time::from_s(1_700_000_000),
            canonical: Arc::from(canonical.as_bytes()),
        };
        let mut out = Vec::new();
        event.write_native(&mut out);
        String::from_utf8(out).expect("UTF-8")
    };
    assert_eq!(
        native(r#"{"action":"a","id":"i"}"#),
        r#"{"action":"a","id":"i","index":7,"organization":"acme","time_occurred":"2023-11-14T22:13:20.000000Z","time_recorded":"2023-11-14T22:13:20.000000Z"}"#
    );
    let occurred = r#"{"action":"a","id":"i","time_occurred":"2020-01-01T00:00:00.000000Z","title":"x"}"#;
    assert_eq!(native(occurred).matches("time_occurred").count(), 1);
    let hidden =
        r#"{"action":"a","data":{"time_occurred":"\",\"time_occurred\":\""},"id":"i","title":"\"time_occurred\":"}"#;
    assert!(native(hidden).contains(r#""time_occurred":"2023-11-14T22:13:20.000000Z""#));
}

#[test]
fn an_event_without_the_words_is_ruled_out_at_a_glance() {
    let rules_out = |words: &str, json: &str| {
        let mut filter = Filter::default();
        filter.add_words(words).expect("words");
        filter.rules_out(&canonical(json).text)
    };
    let event = r#"{"action":"flag.UPDATE","id":"i"}"#;
    assert!(!rules_out("update", event) && !rules_out("FLAG update", event));
    assert!(rules_out("updates", event) && rules_out("update nobody", event) && rules_out("é", event));
    assert!(!rules_out("nobody", r#"{"action":"é","id":"i"}"#), "only a text of ASCII tells at a glance");
}

proptest! {
    #[test]
    fn an_event_survives_its_canonical_form(content in content()) {
        prop_assert_eq!(&read(&content.canonical().text), &content);
    }

    #[test]
    fn the_canonical_form_is_that_of_an_independent_writer(content in content()) {
        let text = content.canonical().text;
        let value: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let theirs = serde_json_canonicalizer::to_vec(&value).expect("writes");
        prop_assert_eq!(String::from_utf8_lossy(&theirs), String::from_utf8_lossy(&text));
    }

    #[test]
    fn members_are_unique_ordered_and_all_there_is(content in content()) {
        let canonical = content.canonical();
        prop_assert!(canonical.members.array_windows().all(|[a, b]| a.name < b.name));
        prop_assert!((1..=256).contains(&canonical.members.len()));
        let whole: serde_json::Value = serde_json::from_slice(&canonical.text).expect("JSON");
        let mut leaves = 0;
        for (key, value) in whole.as_object().expect("an object") {
            leaves += match (key.as_str(), value) {
                ("actor" | "request", value) => value.as_object().expect("an object").len(),
                ("targets", value) => value.as_array().expect("a list").iter().map(|target| target.as_object().expect("an object").len()).sum(),
                _ => 1,
            };
        }
        prop_assert_eq!(leaves, canonical.members.len());
        for (name, bytes) in canonical.parts() {
            let found = name.split('.').fold(&whole, |value, key| key.parse::<usize>().map_or_else(|_| &value[key], |at| &value[at]));
            prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON"), found, "{}", name);
        }
    }

    #[test]
    fn no_event_is_ruled_out_that_has_the_words(content in content(), pick: prop::sample::Index, upper: bool) {
        let mut words = Vec::new();
        each_word(&content, |word| words.push(if upper { word.to_uppercase() } else { word.to_owned() }));
        let word = if words.is_empty() { "absent" } else { &words[pick.index(words.len())] };
        let mut filter = Filter::default();
        if filter.add_words(word).is_ok() {
            let matches = filter.matches(&content, Time::from_s(1));
            prop_assert!(!(matches && filter.rules_out(&content.canonical().text)), "{}", word);
        }
    }

    #[test]
    fn the_native_form_is_json_with_the_same_members(content in content(), index: u32) {
        let event = Event { organization: Arc::from("acme"), index: index.into(), position: 0, time_recorded: Time::from_s(1), canonical: content.canonical().text.into() };
        let mut out = Vec::new();
        event.write_native(&mut out);
        let mut shown: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let shown = shown.as_object_mut().expect("an object");
        prop_assert_eq!(shown.remove("index"), Some(index.into()));
        prop_assert_eq!(shown.remove("organization"), Some("acme".into()));
        prop_assert!(shown.remove("time_recorded").is_some());
        let time = shown.get("time_occurred").and_then(|time| time.as_str()).map(str::to_owned);
        prop_assert_eq!(time, Some(content.time_shown(Time::from_s(1)).format()));
        if content.time_occurred.is_none() {
            shown.remove("time_occurred");
        }
        prop_assert_eq!(&serde_json::Value::Object(shown.clone()), &serde_json::from_slice::<serde_json::Value>(&event.canonical).expect("JSON"));
    }
}

//! Events that are read straight into their members.

use annals_model::{NewEvent, Value, parse_content};
use proptest::prelude::*;

use crate::generate::{content, value};

/// By way of a value, which takes all that may be handed in and refuses all else.
fn strictly(text: &str) -> Option<NewEvent> {
    parse_content(Value::parse(text.as_bytes()).ok()?).ok()
}

fn strictly_each(text: &str, events_max: usize) -> Option<Vec<NewEvent>> {
    let values = Value::parse_list(text.as_bytes(), events_max).ok()?;
    values.into_iter().map(|value| parse_content(value).ok()).collect()
}

/// Whether it is read, and if so, to the same event.
fn check(text: &str, expect: bool) {
    let read = NewEvent::parse_plain(text.as_bytes());
    assert_eq!(read.is_some(), expect, "{text}");
    assert!(read.is_none() || read == strictly(text), "{text}");
}

#[test]
fn what_is_plain_is_read() {
    check(r#" { "action" : "a" } "#, true);
    check(r#"{"title":null,"action":"\u00e9","data":{},"changes":[],"targets":[],"actor":{},"request":{}}"#, true);
    check(r#"{"action":"a","request":{"status":200,"body":[{"b":1,"a":-0.0}],"client_ip":"::1"}}"#, true);
}

#[test]
fn what_is_refused_is_not_read() {
    for json in [
        r#"{"action":"a","action":"a"}"#,
        r#"{"action":"a","title":null,"title":"x"}"#,
        r#"{"action":"a","actor":{"id":null,"id":null}}"#,
        r#"{"action":"a","data":{"x":1,"x":1}}"#,
        r#"{"action":"a","data":9007199254740993}"#,
        r#"{"action":"a","colour":1}"#,
        r#"{"action":"a","targets":[{"colour":1}]}"#,
        r#"{"action":"a","targets":[{}]}"#,
        r#"{"action":"a","time_occurred":"yesterday"}"#,
        r#"{"action":"a","request":{"status":1000}}"#,
        r#"{"action":"a","request":{"client_ip":"localhost"}}"#,
        r#"{"action":"a","accesses":[{"action":"b"}]}"#,
        r#"{"action":""}"#,
        r#"{"action":"a","id":""}"#,
        r#"{"action":"a"} x"#,
        r#"{"action":"\ud800"}"#,
        r#"{"id":"i"}"#,
        "",
    ] {
        assert_eq!(strictly(json), None, "{json}");
        check(json, false);
    }
    for list in [
        r#"{"action":"a","actor":["user","id","name","email"]}"#,
        r#"{"action":"a","targets":[["flag","id","name"]]}"#,
        r#"{"action":"a","request":[null,null,null,null,null,null,null,null,null,null,null,null,null]}"#,
        r#"["acme","id","a"]"#,
    ] {
        assert_eq!(strictly(list), None, "{list}");
        check(list, false);
    }
    assert_eq!(NewEvent::parse_plain(b"{\"action\":\"\xff\"}"), None);
}

#[test]
fn values_are_as_deep_as_they_may_be_and_no_deeper() {
    let nested = |levels: usize| format!("{}0{}", "[".repeat(levels), "]".repeat(levels));
    for (open, close, most) in
        [(r#"{"action":"a","data":"#, "}", 31), (r#"{"action":"a","request":{"body":"#, "}}", 30)]
    {
        for (levels, expect) in [(most, true), (most + 1, false)] {
            let json = format!("{open}{}{close}", nested(levels));
            assert_eq!(strictly(&json).is_some(), expect, "{json}");
            check(&json, expect);
        }
    }
}

#[test]
fn a_list_of_plain_events_is_read_up_to_its_limit() {
    let read = |text: &str| {
        let read = NewEvent::parse_plain_list(text.as_bytes(), 3);
        assert!(read.is_none() || read == strictly_each(text, 3), "{text}");
        read.map(|events| events.len())
    };
    assert_eq!(read(r#" [ {"action":"a"} , {"action":"b"} ] "#), Some(2));
    assert_eq!(read(r#"[{"action":"a"},{"action":"a"},{"action":"a"}]"#), Some(3));
    assert_eq!(read(r#" {"action":"a"} "#), Some(1));
    for other in [
        r#"[{"action":"a"},{"action":"a"},{"action":"a"},{"action":"a"}]"#,
        r#"[{"action":"a"},]"#,
        r#"[{"action":"a"} {"action":"a"}]"#,
        r#"[{"action":"a"}] x"#,
        r#"[{"action":"a"}"#,
        r#"{"action":"a"},"#,
        "[{}]",
        "[]",
        "[",
        "",
    ] {
        assert_eq!(read(other), None, "{other}");
    }
}

#[test]
fn lines_of_plain_events_are_read_with_their_numbers() {
    let read = |text: &[u8]| NewEvent::parse_plain_lines(text, 3).map(|(events, lines)| (events.len(), lines));
    assert_eq!(read(b"{\"action\":\"a\"}\n{\"action\":\"b\"}"), Some((2, vec![1, 2])));
    assert_eq!(read(b"\n {\"action\":\"a\"}\r\n\x0c\n\n{\"action\":\"b\"}\n"), Some((2, vec![2, 5])));
    assert_eq!(read(b"{\"action\":\"a\"}\n".repeat(3).as_slice()), Some((3, vec![1, 2, 3])));
    assert_eq!(read(b"{\"action\":\"a\"}\n".repeat(4).as_slice()), None);
    assert_eq!(read(b"{\"action\":\"a\"}\n{\"action\":1}"), None);
    assert_eq!(read(b"{\"action\":\n\"a\"}"), None);
    assert_eq!(read(b"\n\n"), Some((0, vec![])));
    assert_eq!(read(b""), Some((0, vec![])));
}

/// A text of JSON that is nearly an event.
fn nearly() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("action"),
        Just("id"),
        Just("title"),
        Just("actor"),
        Just("targets"),
        Just("accesses"),
        Just("request"),
        Just("data"),
        Just("vendor"),
        Just("organization"),
        Just("time_expires"),
        Just("status"),
        Just("type"),
        Just("client_ip"),
        Just("colour"),
        Just("resource"),
        Just("headers"),
    ];
    let text = prop_oneof![Just("a"), Just("::1"), Just("2026-11-20T09:46:08Z"), Just(""), Just("é\n")];
    let leaf = prop_oneof![
        4 => text.prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => Just("null".to_owned()),
        1 => (-1..1_001).prop_map(|number: i32| number.to_string()),
        1 => value().prop_map(|value| String::from_utf8(value.canonical()).expect("UTF-8")),
    ];
    let inner = leaf.prop_recursive(3, 24, 6, move |inner| {
        let member = (name.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            3 => prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => prop::collection::vec(inner, 0..3).prop_map(|list| format!("[{}]", list.join(" , "))),
        ]
    });
    let top = prop_oneof![
        Just("title"),
        Just("actor"),
        Just("targets"),
        Just("accesses"),
        Just("request"),
        Just("data"),
        Just("time_occurred"),
        Just("id"),
        Just("organization"),
        Just("status"),
    ];
    prop::collection::vec((top, inner), 0..4).prop_map(|members| {
        let members: String = members.into_iter().map(|(name, value)| format!(",\"{name}\": {value}")).collect();
        format!("{{\"action\":\"a\"{members}}}")
    })
}

proptest! {
    #[test]
    fn every_canonical_form_is_plain(content in content()) {
        let text = String::from_utf8(content.canonical().text).expect("UTF-8");
        let read = NewEvent::parse_plain(text.as_bytes());
        prop_assert!(read.is_some(), "{}", text);
        prop_assert_eq!(read, strictly(&text));
    }

    #[test]
    fn whatever_is_read_is_what_is_read_strictly(text in nearly(), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let text = if whole { text.as_str() } else { text.get(..cut.index(text.len() + 1)).unwrap_or_default() };
        if let Some(read) = NewEvent::parse_plain(text.as_bytes()) {
            prop_assert_eq!(Some(read), strictly(text), "{}", text);
            let list = format!("[{text},{text}]");
            prop_assert_eq!(NewEvent::parse_plain_list(list.as_bytes(), 2), strictly_each(&list, 2));
        }
    }
}

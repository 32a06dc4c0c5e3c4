//! What is read and what is refused, and the canonical form.

use super::*;
use proptest::prelude::*;

fn check(text: &str, expect: &str) {
    let value = Value::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    assert_eq!(String::from_utf8(value.canonical()).expect("UTF-8"), expect);
}

fn refused(text: &[u8], message: &str, member: &str) {
    let error = Value::parse(text).expect_err(&String::from_utf8_lossy(text));
    assert!(error.message.contains(message), "{error:?}");
    assert_eq!(error.member, member, "{error:?}");
}

#[test]
fn keys_are_written_in_the_order_of_utf_16() {
    check(r#"{"b":1,"a":{"d":2,"c":3}}"#, r#"{"a":{"c":3,"d":2},"b":1}"#);
    check(
        "{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\u{20ac}\":3,\"\\r\":4,\"1\":5}",
        "{\"\\r\":4,\"1\":5,\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}",
    );
}

#[test]
fn numbers_are_written_as_ecmascript_does() {
    for (text, expect) in [
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("0.1", "0.1"),
        ("1e-7", "1e-7"),
        ("0.000001", "0.000001"),
        ("9007199254740991", "9007199254740991"),
        ("-9007199254740991", "-9007199254740991"),
        ("4.50", "4.5"),
        ("2e-3", "0.002"),
    ] {
        check(text, expect);
    }
}

#[test]
fn whole_numbers_beyond_53_bits_are_refused_however_they_are_written() {
    for text in [
        "9007199254740992",
        "-9007199254740992",
        "9007199254740993",
        "1e20",
        "1e300",
        "9007199254740992.0",
        "18446744073709551616",
        "123456789012345678901234567890",
    ] {
        refused(format!(r#"{{"data":[0,{text}]}}"#).as_bytes(), "beyond 9007199254740991", "data.1");
    }
    refused(b"1e400", "number out of range", "");
}

#[test]
fn the_largest_whole_number_is_taken_on_both_sides_of_zero() {
    for number in [limits::INTEGER_MAX, -limits::INTEGER_MAX] {
        assert_eq!(Value::parse(format!("{number}").as_bytes()).expect("reads"), Value::Number(number));
    }
}

#[test]
fn a_duplicate_key_is_refused_by_name_wherever_it_stands() {
    refused(br#"{"a":1,"a":1}"#, "twice", "a");
    refused(br#"{"data":[{"x":1,"y":2,"x":3}]}"#, "twice", "data.0.x");
    refused(br#"{"a":1,"\u0061":2}"#, "twice", "a");
}

#[test]
fn broken_texts_are_refused() {
    refused(br#"{"a":"\ud800"}"#, "hex escape", "a");
    refused(br#"{"a":"\udc00x"}"#, "surrogate", "a");
    refused(b"{\"a\":\"\xff\"}", "unicode", "a");
    refused(b"{\"a\":\"\x01\"}", "control character", "a");
    refused(br#"{"a":1"#, "EOF", "");
    refused(br#"{"a":1} x"#, "trailing", "");
    refused(b"", "EOF", "");
}

#[test]
fn nesting_has_a_limit() {
    let nested = |levels: usize| format!("{}0{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Value::parse(nested(limits::JSON_DEPTH_MAX).as_bytes()).is_ok());
    let error = Value::parse(nested(limits::JSON_DEPTH_MAX + 1).as_bytes()).expect_err("too deep");
    assert!(error.message.contains("32 levels"), "{error:?}");
    assert!(Value::parse(nested(100_000).as_bytes()).is_err());
}

#[test]
fn a_small_text_of_many_values_is_refused_before_they_take_memory() {
    for element in ["0,", "[],", "\"\",", "{\"a\":1},", "null,", "true,"] {
        let text = format!("[{}0]", element.repeat(limits::EVENT_BYTES_MAX / (element.len() - 1)));
        let error = Value::parse(text.as_bytes()).expect_err(element);
        assert_eq!((error.kind, error.member.as_str()), (JsonErrorKind::TooLarge, ""), "{error:?}");
        assert!(error.message.contains("262144"), "{error:?}");
        assert!(Value::parse_stored(text.as_bytes()).is_ok());
    }
    let most = format!("\"{}\"", "x".repeat(limits::EVENT_BYTES_MAX - 2));
    assert!(Value::parse(most.as_bytes()).is_ok());
}

#[test]
fn an_error_says_line_and_column() {
    let error = Value::parse(b"{\"a\":1,\n \"b\":tru}").expect_err("broken");
    assert_eq!((error.line, error.column > 0), (2, true));
}

#[test]
fn members_can_be_set_found_and_taken_out() {
    let mut object: Object = [("b", Value::Null), ("a", Value::Bool(true))].into_iter().collect();
    object.insert("b", Value::from("x"));
    assert_eq!(Value::from(object.clone()).canonical(), br#"{"a":true,"b":"x"}"#);
    assert_eq!(object.remove("a"), Some(Value::Bool(true)));
    assert_eq!(object.member("a"), None);
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Into::into),
        any::<f64>()
            .prop_filter("whole and large ones are refused", |n| n.is_finite() && n.abs() < 1e15)
            .prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_form_is_that_of_an_independent_writer(value in any_value()) {
        let text = serde_json::to_vec(&value).expect("writes");
        let ours = Value::parse(&text).expect("reads").canonical();
        let theirs = serde_json_canonicalizer::to_vec(&value).expect("writes");
        prop_assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    }

    #[test]
    fn the_canonical_form_of_the_canonical_form_is_itself(value in any_value()) {
        let once = Value::parse(&serde_json::to_vec(&value).expect("writes")).expect("reads").canonical();
        prop_assert_eq!(Value::parse(&once).expect("reads").canonical(), once);
    }
}

//! Golden cases: whole requests with their answers, as files that a person can read.
//!
//! A case is a folder `tests/golden/<vendor>/<nn>-<what>/`. What is given:
//!
//! - `request.http`: method and target, headers, an empty line, the body.
//! - `organization.json`: whose log it is, in the form of `annals_model::Organization`; `acme`,
//!   without a plan or aliases, if it is missing.
//! - `events.ndjson`: the stored events, a line each: `index`, `position`, `time_recorded`, and in
//!   `event` the event itself with its `id`. They are filtered, ordered, counted and cut into pages
//!   as the call says, so totals and cursors come from there; no events if it is missing.
//! - `case.json`: all else, each part optional: `now`, `key_expires`, `action_numbers`, `fault` (`kind`,
//!   `message`, `retry_after_s`: what is answered in place of the events), `lifted_formats`.
//!
//! What is expected, and rewritten with `UPDATE_GOLDEN=1`:
//!
//! - `call.txt`: the route, the credential, the organization named, and the call or the fault.
//! - `response.json`: the body, byte for byte, with a line break after it.
//! - `headers.txt`: the answer's headers besides the content type, if there are any.
//!
//! Every body is checked against `tests/schemas/<vendor>.json`: see [`crate::schema`].

use std::path::Path;

use annals_dialect::Dialect;

use crate::case::Case;
use crate::schema::{Coverage, Schema};

/// Runs all cases of a dialect, and says which differ from what is expected.
fn check(name: &str) {
    let dialect: &'static dyn Dialect = annals_dialect::of_name(name).expect("a dialect of this name");
    let cases = Case::all(dialect);
    if dialect.routes().is_empty() && cases.is_empty() {
        return;
    }
    assert!(!cases.is_empty(), "{name} has routes and no golden cases");
    let schema = Schema::read(name);
    let mut coverage = Coverage::default();
    let mut wrong = Vec::new();
    for case in cases {
        let result = case.run();
        let label = format!("{name}/{}", case.folder.file_name().unwrap_or_default().display());
        let mut headers = String::new();
        for (header, value) in &result.answer.headers {
            headers.push_str(&format!("{header}: {value}\n"));
        }
        let mut body = String::from_utf8(result.answer.body).expect("JSON is UTF-8");
        let json = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{label}: {error}: {body}"));
        let lifted: Vec<&str> = case.settings.lifted_formats.keys().map(String::as_str).collect();
        let actions: Vec<&str> = case.log.actions().collect();
        let complaints = match result.success {
            Some(route) => schema.check(route, &json, &actions, &lifted, &mut coverage),
            None => schema.check_fault(&json),
        };
        wrong.extend(complaints.into_iter().map(|complaint| format!("{label}: {complaint}")));
        body.push('\n');
        for (file, got) in [("call.txt", result.call), ("response.json", body), ("headers.txt", headers)] {
            wrong.extend(compare(&case.folder.join(file), &got).map(|complaint| format!("{label}/{complaint}")));
        }
    }
    wrong.extend(schema.check_coverage(&coverage).into_iter().map(|complaint| format!("{name}: {complaint}")));
    assert!(wrong.is_empty(), "{}\n\nUPDATE_GOLDEN=1 rewrites what is expected", wrong.join("\n"));
}

/// Compares with a file, which is absent where there is nothing to expect; or rewrites it.
fn compare(file: &Path, got: &str) -> Option<String> {
    let expect = std::fs::read_to_string(file).unwrap_or_default();
    if expect == got {
        return None;
    }
    if update() {
        if got.is_empty() {
            std::fs::remove_file(file).expect("removable");
        } else {
            std::fs::write(file, got).expect("writable");
        }
        return None;
    }
    Some(format!("{}: expected\n{expect}\ngot\n{got}", file.file_name().unwrap_or_default().display()))
}

#[expect(clippy::disallowed_methods, reason = "a switch for the person who runs the tests")]
fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1")
}

#[test]
fn upstash_answers_as_written_down() {
    check("upstash");
}

#[test]
fn nirvana_answers_as_written_down() {
    check("nirvana");
}

#[test]
fn turso_answers_as_written_down() {
    check("turso");
}

#[test]
fn portkey_answers_as_written_down() {
    check("portkey");
}

#[test]
fn launchdarkly_answers_as_written_down() {
    check("launchdarkly");
}

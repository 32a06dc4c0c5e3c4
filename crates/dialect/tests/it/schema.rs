//! A vendor's response schemas, and what answers must have besides.
//!
//! `tests/schemas/<vendor>.json` is data taken out of the vendor's OpenAPI document:
//!
//! - `responses`: for each route, as `GET /v1/audit-logs`, the schema of a success;
//! - `components`: what those refer to;
//! - `fault`: the schema of a refusal or failure;
//! - `always`: fields that are in every answer, wherever what holds them is;
//! - `added`: fields that are shown although the document doesn't have them, with the reason;
//! - `omitted`: fields of the document that no golden answer shows, with the reason;
//! - `open_enums`: pointers to lists of values that the vendor means to be closed, with the reason
//!   why they are not; such a list is dropped where an event's action isn't in it.
//!
//! A field's name is its path: `records[].timestamp`, `[].log_id`, `items[]._links.*.href`.
//!
//! **Invariant:** a field that no list knows fails, and so does an entry of a list that is stale:
//! a schema in which nothing is required would pass anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use annals_dialect::Route;
use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Value, json};

/// A `tests/schemas/<vendor>.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schema {
    #[expect(dead_code, reason = "for people")]
    source: String,
    responses: BTreeMap<String, Value>,
    #[serde(default)]
    components: Value,
    fault: Value,
    #[serde(default)]
    always: Vec<String>,
    #[serde(default)]
    added: BTreeMap<String, String>,
    #[serde(default)]
    omitted: BTreeMap<String, String>,
    #[serde(default)]
    open_enums: BTreeMap<String, String>,
}

/// What fields some answers showed.
#[derive(Default)]
pub(crate) struct Coverage {
    shown: BTreeSet<String>,
    routes: BTreeSet<String>,
}

/// What fields a schema has and an answer shows.
#[derive(Default)]
struct Fields {
    declared: BTreeSet<String>,
    shown: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

/// How deep a schema is followed: those that refer to themselves end here.
const DEPTH_MAX: usize = 16;

impl Schema {
    /// Reads a vendor's.
    pub(crate) fn read(vendor: &str) -> Schema {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/schemas/{vendor}.json"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// What is wrong with a success that shows events of these actions.
    pub(crate) fn check(
        &self,
        route: Route,
        answer: &Value,
        actions: &[&str],
        lifted_formats: &[&str],
        coverage: &mut Coverage,
    ) -> Vec<String> {
        let name = format!("{} {}", route.method, route.path);
        let response = self.responses.get(&name).unwrap_or_else(|| panic!("there is no schema for {name}"));
        let validator = self.validator(response, actions, lifted_formats);
        let mut complaints = complaints(&validator, answer);
        let mut fields = Fields::default();
        self.walk(response, Some(answer), "", 0, &mut fields);
        for unknown in &fields.unknown {
            if !self.added.contains_key(unknown) {
                complaints.push(format!("{unknown} is shown, but the vendor has no such field"));
            }
        }
        let known = |path: &String| fields.declared.contains(path) || self.added.contains_key(path);
        for path in self.always.iter().filter(|path| known(path)) {
            if !always(answer, path) {
                complaints.push(format!("{path} is missing"));
            }
        }
        coverage.routes.insert(name);
        coverage.shown.append(&mut fields.shown);
        coverage.shown.append(&mut fields.unknown);
        complaints
    }

    /// What is wrong with the body of a refusal or failure.
    pub(crate) fn check_fault(&self, answer: &Value) -> Vec<String> {
        complaints(&self.validator(&self.fault, &[], &[]), answer)
    }

    /// What the answers together didn't show, and what stands in a list without need.
    pub(crate) fn check_coverage(&self, coverage: &Coverage) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut fields = Fields::default();
        for (name, response) in &self.responses {
            self.walk(response, None, "", 0, &mut fields);
            if !coverage.routes.contains(name) {
                complaints.push(format!("no golden case shows a success of {name}"));
            }
        }
        for path in fields.declared.iter().chain(self.added.keys()) {
            match (coverage.shown.contains(path), self.omitted.contains_key(path)) {
                (false, false) => complaints.push(format!("no golden case shows {path}")),
                (true, true) => complaints.push(format!("{path} is shown, so it can't be in `omitted`")),
                _ => {}
            }
        }
        let declared = |path: &&String| !fields.declared.contains(*path);
        complaints.extend(
            self.omitted.keys().filter(declared).map(|path| format!("{path} is in `omitted`, but not in the document")),
        );
        complaints.extend(
            self.added
                .keys()
                .filter(|path| !declared(path))
                .map(|path| format!("{path} is in the document and in `added`")),
        );
        for path in self.always.iter().filter(|path| declared(path) && !self.added.contains_key(*path)) {
            complaints.push(format!("{path} is in `always`, but nowhere else"));
        }
        complaints
    }

    /// The validator for answers with events of these actions.
    fn validator(&self, response: &Value, actions: &[&str], lifted_formats: &[&str]) -> Validator {
        let mut document = json!({"components": self.components, "allOf": [response]});
        for pointer in self.open_enums.keys() {
            let open = document.pointer_mut(pointer).and_then(Value::as_object_mut).expect("points to a schema");
            let values = open.get("enum").and_then(Value::as_array).expect("a schema with a list of values");
            if actions.iter().any(|action| !values.contains(&json!(action))) {
                open.remove("enum");
            }
        }
        let mut options = jsonschema::options().should_validate_formats(true);
        for format in lifted_formats {
            options = options.with_format((*format).to_owned(), |_: &str| true);
        }
        options.build(&document).expect("a JSON schema")
    }

    /// Follows a schema, and an answer beside it where there is one.
    fn walk(&self, schema: &Value, answer: Option<&Value>, path: &str, depth: usize, fields: &mut Fields) {
        if depth > DEPTH_MAX {
            return;
        }
        let mut within = |schema: &Value, answer: Option<&Value>, path: &str| {
            self.walk(schema, answer, path, depth + 1, fields);
        };
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.strip_prefix("#/components").expect("a reference to a component");
            within(self.components.pointer(pointer).expect("a component"), answer, path);
        }
        for choice in ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten() {
            within(choice, answer, path);
        }
        if let Some(items) = schema.get("items") {
            let inner = format!("{path}[]");
            within(items, None, &inner);
            for element in answer.and_then(Value::as_array).into_iter().flatten() {
                within(items, Some(element), &inner);
            }
        }
        let properties = schema["properties"].as_object();
        for (name, property) in properties.into_iter().flatten() {
            let inner = join(path, name);
            let value = answer.and_then(|answer| answer.get(name));
            self.walk(property, value, &inner, depth + 1, fields);
            if value.is_some() {
                fields.shown.insert(inner.clone());
            }
            fields.declared.insert(inner);
        }
        let more = schema.get("additionalProperties");
        if let Some(more) = more.filter(|more| more.is_object()) {
            self.walk(more, None, &join(path, "*"), depth + 1, fields);
        }
        for (name, value) in answer.and_then(Value::as_object).into_iter().flatten() {
            match (properties, more) {
                (Some(properties), _) if properties.contains_key(name) => {}
                (_, Some(more)) if more.is_object() => {
                    self.walk(more, Some(value), &join(path, "*"), depth + 1, fields);
                }
                (Some(_), None | Some(Value::Bool(false))) => {
                    fields.unknown.insert(join(path, name));
                }
                _ => {}
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn complaints(validator: &Validator, answer: &Value) -> Vec<String> {
    validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Whether a field is there wherever what should hold it is.
fn always(answer: &Value, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (name, each) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let value = if name.is_empty() { Some(answer) } else { answer.get(name) };
    match (value, rest) {
        (None, rest) => rest.is_some(),
        (Some(_), None) => true,
        (Some(value), Some(rest)) if each => value.as_array().is_some_and(|list| list.iter().all(|v| always(v, rest))),
        (Some(value), Some(rest)) => !value.is_object() || always(value, rest),
    }
}

#[test]
fn a_field_is_always_there_if_it_is_wherever_its_holder_is() {
    let check = |answer: Value, path: &str, expect: bool| assert_eq!(always(&answer, path), expect, "{answer} {path}");
    check(json!([]), "[].id", true);
    check(json!([{"id": 1}, {"id": null}]), "[].id", true);
    check(json!([{"id": 1}, {}]), "[].id", false);
    check(json!({"items": [{"member": {}}]}), "items[].member.id", false);
    check(json!({"items": [{}]}), "items[].member.id", true);
    check(json!({"items": [{"member": null}]}), "items[].member.id", true);
    check(json!({}), "items", false);
    check(json!({"items": []}), "items", true);
}

#[test]
fn an_answer_that_differs_from_the_document_is_complained_about() {
    let complaints = |vendor: &str, path: &'static str, answer: &Value, actions: &[&str]| {
        Schema::read(vendor).check(Route { method: "GET", path }, answer, actions, &[], &mut Coverage::default()).len()
    };
    let record = |organisation: &str, kind: &str| {
        json!({
            "timestamp": "2026-11-20T09:46:08Z", "method": "PUT", "user_type": kind,
            "organisation_id": organisation, "action": "update"
        })
    };
    let portkey = |record: Value| {
        let answer = json!({"records": [record], "total": 1, "object": "analytics-graph"});
        complaints("portkey", "/audit-logs", &answer, &["update"])
    };
    let uuid = "5b6f0c0e-7a59-4a55-8f0c-6f5a4c3b2a19";
    assert_eq!(portkey(record(uuid, "user")), 0);
    assert_eq!(portkey(record("acme", "user")), 1, "a format");
    assert_eq!(portkey(record(uuid, "robot")), 1, "a list of values");
    assert_eq!(portkey(json!({})), 5, "fields that are always there");
    let mut more = record(uuid, "user");
    more["userId"] = json!("x");
    assert_eq!(portkey(more), 1, "a field that the vendor has not");

    let turso = |code: &str, action: &str| {
        let pagination = json!({"page": 1, "page_size": 1, "total_pages": 1, "total_rows": 1});
        let entry = json!({"code": code, "message": "", "origin": "web", "author": "", "created_at": "", "data": {}});
        let answer = json!({"audit_logs": [entry], "pagination": pagination});
        complaints("turso", "/v1/organizations/{slug}/audit-logs", &answer, &[action])
    };
    assert_eq!(turso("db-create", "db-create"), 0);
    assert_eq!(turso("db-unarchive", "db-create"), 1, "the list of codes stays where all actions are in it");
    assert_eq!(turso("flag.update", "flag.update"), 0, "and is dropped where one is not");
}

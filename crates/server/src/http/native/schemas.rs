//! The shapes of the native API's JSON, in the words of OpenAPI.

use annals_model::limits;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema, SchemaFormat};

type Shape = RefOr<Schema>;
type Members = Vec<(&'static str, Shape)>;

/// All shapes with their names.
pub(super) fn all() -> Vec<(&'static str, Shape)> {
    let made = || vec![("time_created", time("when it was made"))];
    let key_id = || vec![("id", text("its public name"))];
    let secret = vec![("key", text("the key itself, shown this once"))];
    let shown = ["id", "organization", "name", "scopes", "time_created"];
    let ready = vec![("ready", flag("whether events are taken")), ("detail", text("why not, or ok"))];
    vec![
        ("Error", error()),
        ("Alive", object(vec![("status", text("ok"))], &["status"])),
        ("Ready", object(ready, &["ready", "detail"])),
        ("NewEvent", closed(content(), &["action"])),
        ("Event", event()),
        ("Actor", closed(texts(&["type", "id", "name", "email"]), &[])),
        ("Target", closed(texts(&["type", "id", "name"]), &[])),
        ("Access", closed(texts(&["action", "resource"]), &["action", "resource"])),
        ("Request", closed(request(), &[])),
        ("CloudEvent", cloud_event()),
        ("Appended", appended()),
        ("EventPage", event_page()),
        ("Facets", facets()),
        ("Histogram", histogram()),
        ("NewOrganization", closed(with_id(), &["id"])),
        ("Organization", object([with_id(), made()].concat(), &["id", "time_created"])),
        ("OrganizationPatch", closed(patch(), &[])),
        ("ListedOrganization", object([with_id(), made(), held()].concat(), &["id", "time_created"])),
        ("OrganizationList", items("ListedOrganization")),
        ("NewKey", closed(key(), &["name", "scopes"])),
        ("Key", object([key_id(), key(), made()].concat(), &shown)),
        ("MadeKey", object([key_id(), secret, key(), made()].concat(), &[&shown[..], &["key"]].concat())),
        ("KeyList", items("Key")),
    ]
}

fn of_type(kind: Type, about: &str) -> ObjectBuilder {
    let builder = ObjectBuilder::new().schema_type(SchemaType::new(kind));
    if about.is_empty() { builder } else { builder.description(Some(about)) }
}

/// A text.
pub(super) fn text(about: &str) -> Shape {
    of_type(Type::String, about).build().into()
}

fn text_up_to(chars_max: usize, about: &str) -> Shape {
    of_type(Type::String, about).min_length(Some(1)).max_length(Some(chars_max)).build().into()
}

fn time(about: &str) -> Shape {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    of_type(Type::String, about).format(Some(format)).build().into()
}

fn flag(about: &str) -> Shape {
    of_type(Type::Boolean, about).build().into()
}

fn whole(min: u32, max: Option<u32>, about: &str) -> Shape {
    of_type(Type::Integer, about).minimum(Some(min)).maximum(max).build().into()
}

fn anything(about: &str) -> Shape {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(about)).build().into()
}

/// The same, or `null`.
fn or_null(kind: Type, about: &str) -> Shape {
    let kinds: SchemaType = [kind, Type::Null].into_iter().collect();
    ObjectBuilder::new().schema_type(kinds).description(Some(about)).build().into()
}

fn named(schema: &str) -> Shape {
    Ref::from_schema_name(schema).into()
}

fn list_of(shape: Shape) -> Shape {
    ArrayBuilder::new().items(shape).build().into()
}

fn texts(names: &[&'static str]) -> Members {
    names.iter().map(|name| (*name, text(""))).collect()
}

fn members(members: Members, required: &[&str]) -> ObjectBuilder {
    let object = members.into_iter().fold(ObjectBuilder::new(), |object, (name, shape)| object.property(name, shape));
    required.iter().fold(object, |object, name| object.required(*name))
}

fn object(shapes: Members, required: &[&str]) -> Shape {
    members(shapes, required).build().into()
}

/// An object whose other members are refused.
fn closed(shapes: Members, required: &[&str]) -> Shape {
    members(shapes, required).additional_properties(Some(AdditionalProperties::FreeForm(false))).build().into()
}

fn error() -> Shape {
    let error = object(
        vec![
            ("code", text("a word, such as invalid_request")),
            ("message", text("what is wrong, where, and what to do about it")),
            ("event", whole(0, None, "the event in the batch, from 0")),
            ("member", text("the member or parameter concerned")),
            ("line", whole(1, None, "the line of the body")),
            ("column", whole(1, None, "the column of that line")),
        ],
        &["code", "message"],
    );
    object(vec![("error", error)], &["error"])
}

fn content() -> Members {
    let mut members = vec![
        ("organization", text("whose log; needed with a key for all organizations")),
        ("id", text_up_to(limits::ID_CHARS_MAX, "unique in the log; without one the server makes one")),
        ("action", text_up_to(limits::ACTION_CHARS_MAX, "what was done, such as flag.update")),
        ("time_occurred", time("when it happened, at most 24 hours ahead of the server's clock")),
        ("actor", named("Actor")),
        ("targets", ArrayBuilder::new().items(named("Target")).max_items(Some(limits::TARGETS_MAX)).build().into()),
        ("accesses", list_of(named("Access"))),
        ("request", named("Request")),
    ];
    members.extend(texts(&["origin", "workspace", "title", "description", "summary", "reason", "notes"]));
    members.push(("changes", anything("what was there before and after")));
    members.push(("time_expires", time("when the source lets it expire; informative")));
    members.push(("data", anything("anything else")));
    members.push(("vendor", anything("what a source said that fits nowhere else, under its name")));
    members
}

fn event() -> Shape {
    let mut members = content();
    members.push(("index", whole(0, None, "its place in its log, without gaps")));
    members.push(("time_recorded", time("the server's clock at its commit")));
    object(members, &["organization", "id", "action", "index", "time_occurred", "time_recorded"])
}

fn request() -> Members {
    let mut members = texts(&["id", "method", "path"]);
    members.push(("query", anything("its parameters; secrets are masked")));
    members.push(("headers", anything("its headers; secrets are masked")));
    members.push(("body", anything("its body; secrets are masked")));
    members.push(("status", whole(0, Some(u32::from(limits::STATUS_MAX)), "the response's status")));
    members.push(("client_ip", text("an IPv4 or IPv6 address")));
    members.extend(texts(&["user_agent", "country", "city", "latitude", "longitude"]));
    members
}

fn cloud_event() -> Shape {
    let members = vec![
        ("specversion", text("1.0")),
        ("id", text("the event's id")),
        ("type", text("the event's action")),
        ("source", text("the event's origin")),
        ("subject", text("the first target's id")),
        ("time", time("the event's time_occurred")),
        ("data", anything("the event's data")),
    ];
    object(members, &["specversion", "id", "type", "source"])
}

fn appended() -> Shape {
    let place = object(
        vec![
            ("organization", text("")),
            ("id", text("")),
            ("index", whole(0, None, "its place in its log")),
            ("time_recorded", time("the server's clock at its commit")),
        ],
        &["organization", "id", "index", "time_recorded"],
    );
    object(vec![("events", list_of(place))], &["events"])
}

fn event_page() -> Shape {
    let members = vec![
        ("events", list_of(named("Event"))),
        ("next_cursor", or_null(Type::String, "the next page; with order=oldest there always is one")),
        ("total", whole(0, None, "how many match, exactly; absent with total=none")),
    ];
    object(members, &["events", "next_cursor"])
}

fn facets() -> Shape {
    let value =
        object(vec![("value", text("")), ("count", whole(0, None, "events that have it"))], &["value", "count"]);
    let members = vec![
        ("field", text("whose values")),
        ("values", list_of(value)),
        ("other", whole(0, None, "the counts of all other values, summed up")),
    ];
    object(members, &["field", "values", "other"])
}

fn histogram() -> Shape {
    let bucket = object(
        vec![("time", time("where it begins")), ("count", whole(0, None, "events that occurred in it"))],
        &["time", "count"],
    );
    let interval = whole(1, None, "how long each bucket is, in milliseconds");
    object(vec![("buckets", list_of(bucket)), ("interval_ms", interval)], &["buckets", "interval_ms"])
}

fn items(schema: &str) -> Shape {
    let next = or_null(Type::String, "the next page");
    object(vec![("items", list_of(named(schema))), ("next_cursor", next)], &["items", "next_cursor"])
}

/// What an organization is made of, and what a change of it may name.
fn organization() -> Members {
    let retention = "after how many days its events are removed; without it, never";
    let aliases = ObjectBuilder::new()
        .description(Some("its other names, by dialect"))
        .additional_properties(Some(AdditionalProperties::RefOr(text(""))));
    vec![
        ("name", text_up_to(limits::NAME_CHARS_MAX, "its name")),
        (
            "plan",
            text_up_to(limits::NAME_CHARS_MAX, "its plan, such as free; without one it is entitled to everything"),
        ),
        ("retention_days", whole(1, Some(limits::RETENTION_DAYS_MAX), retention)),
        ("legal_hold", flag("whether nothing may be removed")),
        ("public_proofs", flag("whether its proofs can be read without a key")),
        ("audit_reads", flag("whether reading its log is recorded in it")),
        ("aliases", aliases.build().into()),
    ]
}

/// What an organization holds.
fn held() -> Members {
    let events = "that it has; absent, as bytes is, when that takes longer to add up than a query may";
    let bytes =
        "of disk: its stored events, with its share of the indexes by events; about, for what was not sealed yet";
    vec![("events", whole(0, None, events)), ("bytes", whole(0, None, bytes))]
}

fn with_id() -> Members {
    let id = of_type(Type::String, "never used again; or a UUID").pattern(Some("^[a-z0-9][a-z0-9_-]{0,62}$"));
    [vec![("id", id.build().into())], organization()].concat()
}

/// A change: every member may be `null`, which takes it away, but the flags.
fn patch() -> Members {
    let alias = or_null(Type::String, "null takes it away");
    let aliases = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::RefOr(alias)));
    vec![
        ("name", or_null(Type::String, "its name")),
        ("plan", or_null(Type::String, "its plan")),
        ("retention_days", or_null(Type::Integer, "after how many days its events are removed")),
        ("legal_hold", flag("whether nothing may be removed")),
        ("public_proofs", flag("whether its proofs can be read without a key")),
        ("audit_reads", flag("whether reading its log is recorded in it")),
        ("aliases", aliases.build().into()),
    ]
}

fn key() -> Members {
    let scope = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .enum_values(Some(["append", "read", "admin"]))
        .build();
    vec![
        ("organization", or_null(Type::String, "the organization it belongs to; null for all")),
        ("name", text_up_to(limits::NAME_CHARS_MAX, "what people call it")),
        ("scopes", list_of(scope.into())),
        ("email", text("its owner's e-mail address")),
        ("expires", time("from when on it is refused")),
        ("rate_per_s", whole(1, Some(limits::RATE_PER_S_MAX), "how many requests a second it may make")),
    ]
}

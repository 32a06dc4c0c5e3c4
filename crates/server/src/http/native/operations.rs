//! What each native route is, in the words of OpenAPI.

use annals_model::Field;
use utoipa::openapi::path::{OperationBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{Content, Ref, RefOr, Required, ResponseBuilder, Schema, schema};

use super::openapi::{parameter, requirement};
use super::query::{FACETS, FILTERS, HISTOGRAM, PAGE};
use super::schemas;
use crate::http::voice::Voice;

const FIELD: &str = "may start with ! (not), then ~ (contains, whatever the case) or = (exactly what follows), or \
                     hold * (glob); repeated: any of the positive values and none of the negative ones";

type Shape = RefOr<Schema>;

fn operation(tag: &str, summary: &str) -> OperationBuilder {
    OperationBuilder::new().tag(tag).summary(Some(summary))
}

/// An operation that takes a key, with the refusals that follow from that.
fn guarded(tag: &str, summary: &str) -> OperationBuilder {
    let operation = operation(tag, summary).security(requirement(Voice::Native));
    refused(operation, &[400, 401, 403, 429, 500, 503])
}

/// Adds an answer.
pub(super) fn answered(
    operation: OperationBuilder,
    status: &str,
    about: &str,
    shape: Option<Shape>,
) -> OperationBuilder {
    let mut response = ResponseBuilder::new().description(about);
    response = response.content("application/json", Content::new(shape));
    operation.response(status, response.build())
}

/// Adds refusals; their meaning is the same everywhere.
pub(super) fn refused(mut operation: OperationBuilder, statuses: &[u16]) -> OperationBuilder {
    for status in statuses {
        let about = match status {
            400 => "the request is malformed, or beyond a limit",
            401 => "no key, or none that is known",
            403 => "the key may not do this",
            404 => "there is no such thing",
            405 => "not with this method",
            409 => "there is something else by that name; nothing was stored",
            413 => "the body or an event is too large; nothing was stored",
            429 => "the key's rate is used up; Retry-After says when to try again",
            503 => "not now; Retry-After says when to try again. Or the query took too long: ask for less",
            _ => "a defect; the server's log has the details",
        };
        let content = Content::new(Some(named("Error")));
        let response = ResponseBuilder::new().description(about).content("application/json", content);
        operation = operation.response(status.to_string(), response.build());
    }
    operation
}

fn named(schema: &str) -> Shape {
    Ref::from_schema_name(schema).into()
}

fn list_of(schema: &str) -> Shape {
    schema::ArrayBuilder::new().items(Ref::from_schema_name(schema)).build().into()
}

fn json_body(schema: &str) -> Option<RequestBody> {
    let content = Content::new(Some(named(schema)));
    Some(RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content).build())
}

pub(super) fn index() -> OperationBuilder {
    let text =
        ResponseBuilder::new().description("a text").content("text/plain", Content::new(Some(schemas::text(""))));
    operation("server", "Says what this is").response("200", text.build())
}

pub(super) fn alive() -> OperationBuilder {
    answered(operation("server", "Whether the server lives"), "200", "it lives", Some(named("Alive")))
}

pub(super) fn ready() -> OperationBuilder {
    let operation = operation("server", "Whether the server takes events");
    let operation = answered(operation, "200", "it does", Some(named("Ready")));
    answered(operation, "503", "it does not, and why", Some(named("Ready")))
}

pub(super) fn description() -> OperationBuilder {
    answered(operation("server", "This description"), "200", "OpenAPI 3.1", None)
}

pub(super) fn append() -> OperationBuilder {
    let one_or_more = schema::OneOfBuilder::new().item(named("NewEvent")).item(list_of("NewEvent")).build();
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .description(Some("Content-Encoding may be gzip or zstd."))
        .content("application/json", Content::new(Some(Schema::from(one_or_more))))
        .content("application/x-ndjson", Content::new(Some(named("NewEvent"))))
        .content("application/cloudevents+json", Content::new(Some(named("CloudEvent"))))
        .content("application/cloudevents-batch+json", Content::new(Some(list_of("CloudEvent"))))
        .build();
    let names = annals_dialect::all().map(|dialect| dialect.name()).join(", ");
    let format = format!(
        "cloudtrail: the body is CloudTrail's JSON, also {{\"Records\":[…]}}; one of {names}: it is what that vendor's API \
         answers, or entries of it; read as it is, unmasked"
    );
    let organization = "of events that name none; needed with a key for all organizations where they don't";
    let key = "names events without an id k:0, k:1, …, so that the request can be sent again";
    let operation = guarded("events", "Records events, all or none")
        .parameter(parameter("format", ParameterIn::Query, &format))
        .parameter(parameter("organization", ParameterIn::Query, organization))
        .parameter(parameter("Idempotency-Key", ParameterIn::Header, key))
        .request_body(Some(body));
    let operation = answered(operation, "201", "they are recorded, durably", Some(named("Appended")));
    let operation = answered(operation, "200", "all were there before", Some(named("Appended")));
    refused(operation, &[404, 409, 413])
}

/// Reads events that filters choose, with further parameters of its own.
fn filtered(summary: &str, own: &[(&str, &str)]) -> OperationBuilder {
    let mut operation = guarded("events", summary);
    for field in Field::ALL {
        operation = operation.parameter(parameter(field.name(), ParameterIn::Query, FIELD));
    }
    for (name, about) in FILTERS.iter().chain(own) {
        operation = operation.parameter(parameter(name, ParameterIn::Query, about));
    }
    refused(operation, &[404])
}

pub(super) fn page() -> OperationBuilder {
    answered(filtered("Reads a page of events", &PAGE), "200", "a page", Some(named("EventPage")))
}

pub(super) fn facets() -> OperationBuilder {
    let operation = filtered("Counts events by the values of a field", &FACETS);
    let operation = operation
        .description(Some("Exact, the most frequent value first; an event with several values counts for each."));
    answered(operation, "200", "the values", Some(named("Facets")))
}

pub(super) fn histogram() -> OperationBuilder {
    let operation = filtered("Counts events over time_occurred", &HISTOGRAM);
    let about = "Exact. From time_from to time_until, or from the first event that matches to the last; buckets are as \
                 short as their number allows, of a length that people can read.";
    answered(operation.description(Some(about)), "200", "the buckets", Some(named("Histogram")))
}

pub(super) fn event() -> OperationBuilder {
    let organization = "needed with a key for all organizations";
    let operation =
        guarded("events", "Reads one event").parameter(parameter("organization", ParameterIn::Query, organization));
    refused(answered(operation, "200", "the event", Some(named("Event"))), &[404])
}

fn paged(operation: OperationBuilder) -> OperationBuilder {
    operation.parameter(parameter("limit", ParameterIn::Query, "1 to 1000, default 100")).parameter(parameter(
        "cursor",
        ParameterIn::Query,
        "next_cursor of the page before",
    ))
}

pub(super) fn create_organization() -> OperationBuilder {
    let operation = guarded("administration", "Makes an organization").request_body(json_body("NewOrganization"));
    refused(answered(operation, "201", "it is made", Some(named("Organization"))), &[409, 413])
}

pub(super) fn list_organizations() -> OperationBuilder {
    let operation = paged(guarded("administration", "Lists organizations, by id, with what they hold"));
    answered(operation, "200", "a page", Some(named("OrganizationList")))
}

pub(super) fn one_organization() -> OperationBuilder {
    let operation = guarded("administration", "Shows an organization with what it holds");
    refused(answered(operation, "200", "the organization", Some(named("ListedOrganization"))), &[404])
}

pub(super) fn change_organization() -> OperationBuilder {
    let about = "What is absent stays, what is null is taken away.";
    let operation = guarded("administration", "Changes an organization")
        .description(Some(about))
        .request_body(json_body("OrganizationPatch"));
    refused(answered(operation, "200", "as it is now", Some(named("Organization"))), &[404, 409, 413])
}

pub(super) fn create_key() -> OperationBuilder {
    let operation = guarded("administration", "Makes an API key").request_body(json_body("NewKey"));
    refused(answered(operation, "201", "it is made; its text is shown this once", Some(named("MadeKey"))), &[404, 413])
}

pub(super) fn list_keys() -> OperationBuilder {
    let operation = paged(guarded("administration", "Lists API keys, by id"));
    answered(operation, "200", "a page", Some(named("KeyList")))
}

pub(super) fn revoke_key() -> OperationBuilder {
    let gone = ResponseBuilder::new().description("it is refused from now on").build();
    refused(guarded("administration", "Revokes an API key").response("204", gone), &[404])
}

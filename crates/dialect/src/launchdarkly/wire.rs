//! The JSON of the API, in the vendor's words.

use std::borrow::Cow;

use serde::Serialize;

use super::NAME;
use crate::kept::{Entry, Field, Shape, Vendor, optional, required};
use crate::shown::Json;

const LINK: Shape = Shape::Object(&[optional("href", Shape::Text), optional("type", Shape::Text)]);
const LINKS: Shape = Shape::Each(&LINK);
const ENTRY: [Field; 18] = [
    required("_links", LINKS),
    required("_id", Shape::Text),
    required("date", Shape::Integer),
    required(
        "accesses",
        Shape::List(&Shape::Object(&[optional("action", Shape::Action), optional("resource", Shape::Text)])),
    ),
    required("kind", Shape::Text),
    required("name", Shape::Text),
    required("description", Shape::Text),
    required("shortDescription", Shape::Text),
    optional("comment", Shape::Text),
    optional(
        "subject",
        Shape::Object(&[optional("_links", LINKS), optional("name", Shape::Text), optional("avatarUrl", Shape::Text)]),
    ),
    optional(
        "member",
        Shape::Object(&[
            optional("_links", LINKS),
            optional("_id", Shape::Text),
            optional("email", Shape::Text),
            optional("firstName", Shape::Text),
            optional("lastName", Shape::Text),
        ]),
    ),
    optional(
        "token",
        Shape::Object(&[
            optional("_links", LINKS),
            optional("_id", Shape::Text),
            optional("name", Shape::Text),
            optional("ending", Shape::Text),
            optional("serviceToken", Shape::Bool),
        ]),
    ),
    optional(
        "app",
        Shape::Object(&[
            optional("_links", LINKS),
            optional("_id", Shape::Text),
            optional("isScim", Shape::Bool),
            optional("name", Shape::Text),
            optional("maintainerName", Shape::Text),
        ]),
    ),
    optional("titleVerb", Shape::Text),
    optional("title", Shape::Text),
    optional(
        "target",
        Shape::Object(&[
            optional("_links", LINKS),
            optional("name", Shape::Text),
            optional("resources", Shape::List(&Shape::Text)),
        ]),
    ),
    optional(
        "parent",
        Shape::Object(&[optional("_links", LINKS), optional("name", Shape::Text), optional("resource", Shape::Text)]),
    ),
    optional("subentries", Shape::List(&Shape::Anything)),
];

/// The vendor's entries with their details.
pub(crate) const DETAILED: Vendor = Vendor {
    name: NAME,
    owner: Some("_accountId"),
    marks: ["accesses", "_id"],
    fields: &ENTRY,
    hidden: &[],
    nulls: false,
};

/// The vendor's entries in a list.
pub(crate) const LISTED: Vendor = Vendor {
    hidden: &["delta", "triggerBody", "merge", "previousVersion", "currentVersion", "subentries"],
    ..DETAILED
};

/// A page.
#[derive(Serialize)]
pub(crate) struct AuditLogEntryListingRepCollection<'e> {
    pub(crate) items: Vec<Entry<AuditLogEntryListingRep<'e>>>,
    #[serde(rename = "_links")]
    pub(crate) links: CollectionLinks,
}

/// A page's links.
#[derive(Serialize)]
pub(crate) struct CollectionLinks {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Link>,
    #[serde(rename = "self")]
    pub(crate) own: Link,
}

/// An entry.
#[derive(Serialize)]
pub(crate) struct AuditLogEntryListingRep<'e> {
    #[serde(rename = "_links")]
    pub(crate) links: EntryLinks,
    #[serde(rename = "_id")]
    pub(crate) id: &'e str,
    #[serde(rename = "_accountId")]
    pub(crate) account_id: &'e str,
    /// Unix time in milliseconds.
    pub(crate) date: i64,
    pub(crate) accesses: Vec<ResourceAccess<'e>>,
    pub(crate) kind: &'e str,
    pub(crate) name: &'e str,
    pub(crate) description: &'e str,
    #[serde(rename = "shortDescription")]
    pub(crate) short_description: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<MemberDataRep<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<TokenSummary<'e>>,
    #[serde(rename = "titleVerb", skip_serializing_if = "Option::is_none")]
    pub(crate) title_verb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<TargetResourceRep<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<ParentResourceRep<'e>>,
}

/// An entry with its details.
#[derive(Serialize)]
pub(crate) struct AuditLogEntryRep<'e> {
    #[serde(flatten)]
    pub(crate) listed: AuditLogEntryListingRep<'e>,
    /// A patch, from the version before to the one after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delta: Option<Json<'e>>,
    #[serde(rename = "triggerBody", skip_serializing_if = "Option::is_none")]
    pub(crate) trigger_body: Option<Json<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) merge: Option<Json<'e>>,
    #[serde(rename = "previousVersion", skip_serializing_if = "Option::is_none")]
    pub(crate) previous_version: Option<Json<'e>>,
    #[serde(rename = "currentVersion", skip_serializing_if = "Option::is_none")]
    pub(crate) current_version: Option<Json<'e>>,
}

/// An entry's links.
#[derive(Serialize)]
pub(crate) struct EntryLinks {
    pub(crate) parent: Link,
    #[serde(rename = "self")]
    pub(crate) own: Link,
    pub(crate) site: Link,
}

/// A link.
#[derive(Serialize)]
pub(crate) struct Link {
    /// Relative.
    pub(crate) href: Cow<'static, str>,
    /// A media type.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

/// What was done to a resource.
#[derive(Serialize)]
pub(crate) struct ResourceAccess<'e> {
    pub(crate) action: &'e str,
    pub(crate) resource: Cow<'e, str>,
}

/// A person.
#[derive(Default, PartialEq, Eq, Serialize)]
pub(crate) struct MemberDataRep<'e> {
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<&'e str>,
}

/// A key.
#[derive(Default, PartialEq, Eq, Serialize)]
pub(crate) struct TokenSummary<'e> {
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'e str>,
}

/// The resource that something was done to.
#[derive(Serialize)]
pub(crate) struct TargetResourceRep<'e> {
    pub(crate) name: &'e str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<Cow<'e, str>>,
}

/// The resource that the target belongs to.
#[derive(Serialize)]
pub(crate) struct ParentResourceRep<'e> {
    pub(crate) name: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
}

/// A refusal or failure.
#[derive(Serialize)]
pub(crate) struct Error<'f> {
    pub(crate) code: &'static str,
    pub(crate) message: &'f str,
}

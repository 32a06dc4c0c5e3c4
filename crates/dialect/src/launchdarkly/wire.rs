//! The JSON of the API, in the vendor's words.

use std::borrow::Cow;

use serde::Serialize;

/// A page.
#[derive(Serialize)]
pub(crate) struct AuditLogEntryListingRepCollection<'e> {
    pub(crate) items: Vec<AuditLogEntryListingRep<'e>>,
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
    #[serde(rename = "firstName", skip_serializing_if = "Option::is_none")]
    pub(crate) first_name: Option<&'e str>,
    #[serde(rename = "lastName", skip_serializing_if = "Option::is_none")]
    pub(crate) last_name: Option<&'e str>,
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
    pub(crate) resources: Vec<String>,
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

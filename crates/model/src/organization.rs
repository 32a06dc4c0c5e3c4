//! An organization: a tenant with one log.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Fault, Time, limits};

/// The organization whose log records the administration of the server.
pub const SYSTEM_ORGANIZATION: &str = "_system";

/// An organization as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id, never used again.
    pub id: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its plan, such as `free`; without one it is entitled to everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// After how many days its events are removed; without it, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Whether nothing may be removed, whatever the retention.
    #[serde(default)]
    pub legal_hold: bool,
    /// Whether its proofs can be read without a key.
    #[serde(default)]
    pub public_proofs: bool,
    /// Whether reading its log is recorded in it.
    #[serde(default)]
    pub audit_reads: bool,
    /// Its other names, by dialect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
    /// When it was made.
    pub time_created: Time,
}

/// An organization as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewOrganization {
    /// Its id: `[a-z0-9][a-z0-9_-]{0,62}`, or a UUID.
    pub id: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// After how many days its events are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Whether nothing may be removed.
    pub legal_hold: bool,
    /// Whether its proofs can be read without a key.
    pub public_proofs: bool,
    /// Whether reading its log is recorded in it.
    pub audit_reads: bool,
    /// Its other names, by dialect.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
}

/// A change of an organization: what is absent stays, what is `null` is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrganizationPatch {
    /// Its name.
    #[serde(deserialize_with = "present")]
    pub name: Option<Option<String>>,
    /// Its plan.
    #[serde(deserialize_with = "present")]
    pub plan: Option<Option<String>>,
    /// After how many days its events are removed.
    #[serde(deserialize_with = "present")]
    pub retention_days: Option<Option<u32>>,
    /// Whether nothing may be removed.
    pub legal_hold: Option<bool>,
    /// Whether its proofs can be read without a key.
    pub public_proofs: Option<bool>,
    /// Whether reading its log is recorded in it.
    pub audit_reads: Option<bool>,
    /// Its other names; each entry is set, or with `null` taken away.
    pub aliases: BTreeMap<String, Option<String>>,
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl NewOrganization {
    /// The organization, if what is asked for is right.
    ///
    /// # Errors
    ///
    /// An invalid-request or limit fault that names the member.
    pub fn accept(self, time_created: Time) -> Result<Organization, Fault> {
        if !is_id(&self.id) {
            let what = "id must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit, or a UUID";
            return Err(Fault::invalid(what).at_member("id"));
        }
        let organization = Organization {
            id: self.id,
            name: self.name,
            plan: self.plan,
            retention_days: self.retention_days,
            legal_hold: self.legal_hold,
            public_proofs: self.public_proofs,
            audit_reads: self.audit_reads,
            aliases: self.aliases,
            time_created,
        };
        organization.check()?;
        Ok(organization)
    }
}

impl Organization {
    /// The organization after a change.
    ///
    /// # Errors
    ///
    /// An invalid-request or limit fault that names the member; the organization is as it was.
    pub fn patched(&self, patch: OrganizationPatch) -> Result<Organization, Fault> {
        let mut changed = self.clone();
        if let Some(name) = patch.name {
            changed.name = name;
        }
        if let Some(plan) = patch.plan {
            changed.plan = plan;
        }
        if let Some(days) = patch.retention_days {
            changed.retention_days = days;
        }
        changed.legal_hold = patch.legal_hold.unwrap_or(changed.legal_hold);
        changed.public_proofs = patch.public_proofs.unwrap_or(changed.public_proofs);
        changed.audit_reads = patch.audit_reads.unwrap_or(changed.audit_reads);
        for (dialect, alias) in patch.aliases {
            match alias {
                Some(alias) => changed.aliases.insert(dialect, alias),
                None => changed.aliases.remove(&dialect),
            };
        }
        changed.check()?;
        Ok(changed)
    }

    fn check(&self) -> Result<(), Fault> {
        let aliases = self.aliases.iter().map(|(dialect, alias)| (format!("aliases.{dialect}"), Some(alias)));
        let texts = [("name".to_owned(), self.name.as_ref()), ("plan".to_owned(), self.plan.as_ref())];
        for (member, text) in texts.into_iter().chain(aliases) {
            let chars = text.map_or(1, |text| text.chars().count());
            if chars == 0 || text.is_some_and(|text| text.chars().any(char::is_control)) {
                return Err(Fault::invalid(format!("{member} is empty or holds a control character")).at_member(member));
            }
            if chars > limits::NAME_CHARS_MAX {
                return Err(
                    Fault::limit(&format!("characters of {member}"), limits::NAME_CHARS_MAX, chars).at_member(member)
                );
            }
        }
        let days = self.retention_days.unwrap_or(1);
        if days == 0 || days > limits::RETENTION_DAYS_MAX {
            let what = format!("retention_days must be 1 to {}", limits::RETENTION_DAYS_MAX);
            return Err(Fault::invalid(what).at_member("retention_days"));
        }
        Ok(())
    }
}

fn is_id(id: &str) -> bool {
    let slug = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let rest = |byte: u8| slug(byte) || byte == b'_' || byte == b'-';
    let is_slug =
        id.len() <= limits::ORGANIZATION_ID_CHARS_MAX && id.bytes().next().is_some_and(slug) && id.bytes().all(rest);
    let uuid_byte = |(at, byte): (usize, u8)| {
        if [8, 13, 18, 23].contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
    };
    is_slug || (id.len() == 36 && id.bytes().enumerate().all(uuid_byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(id: &str) -> bool {
        NewOrganization { id: id.into(), ..NewOrganization::default() }.accept(Time::default()).is_ok()
    }

    #[test]
    fn an_id_is_a_slug_or_a_uuid() {
        for id in [
            "acme",
            "0",
            "a_b-c",
            &"a".repeat(63),
            "7F3C1D0A-0000-4000-8000-000000000000",
            "7f3c1d0a-0000-4000-8000-000000000000",
        ] {
            assert!(accepted(id), "{id}");
        }
        for id in
            ["", "_system", "-a", "Acme", "a b", "a/b", "é", &"a".repeat(64), "7F3C1D0A-0000-4000-8000-00000000000"]
        {
            assert!(!accepted(id), "{id}");
        }
    }

    #[test]
    fn a_patch_sets_what_it_names_and_takes_away_what_is_null() {
        let new: NewOrganization =
            serde_json::from_str(r#"{"id":"acme","plan":"free","aliases":{"x":"1","y":"2"}}"#).expect("reads");
        let organization = new.accept(Time::default()).expect("right");
        let patch =
            serde_json::from_str(r#"{"plan":null,"legal_hold":true,"aliases":{"x":null,"z":"3"}}"#).expect("reads");
        let changed = organization.patched(patch).expect("right");
        assert_eq!((changed.plan, changed.legal_hold, changed.name), (None, true, None));
        assert_eq!(
            changed.aliases.into_iter().collect::<Vec<_>>(),
            [("y".into(), "2".into()), ("z".into(), "3".into())]
        );
    }

    #[test]
    fn texts_and_days_have_limits() {
        let with = |name: &str, days| {
            NewOrganization {
                id: "a".into(),
                name: Some(name.into()),
                retention_days: Some(days),
                ..NewOrganization::default()
            }
            .accept(Time::default())
            .is_ok()
        };
        assert!(with(&"n".repeat(limits::NAME_CHARS_MAX), limits::RETENTION_DAYS_MAX));
        assert!(!with(&"n".repeat(limits::NAME_CHARS_MAX + 1), 1));
        assert!(!with("n", limits::RETENTION_DAYS_MAX + 1));
        assert!(!with("n", 0));
        assert!(!with("", 1));
    }

    #[test]
    fn unknown_members_are_refused() {
        assert!(serde_json::from_str::<NewOrganization>(r#"{"id":"a","x":1}"#).is_err());
        assert!(serde_json::from_str::<OrganizationPatch>(r#"{"id":"b"}"#).is_err());
    }
}

//! An API key: who may do what in which organization.
//!
//! **Invariant:** the key itself is in none of these; only its hash is kept.

use serde::{Deserialize, Serialize};

use crate::{Fault, Time, limits};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Record events.
    Append,
    /// Read events.
    Read,
    /// Manage organizations and keys.
    Admin,
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public name, by which it is listed and revoked.
    pub id: String,
    /// The organization it belongs to; `None` for all.
    pub organization: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Its owner's e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// How many requests a second it may make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
    /// SHA-256 of the key's text, in lower-case hex.
    pub hash: String,
    /// When it was made.
    pub time_created: Time,
}

/// A key as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewKey {
    /// The organization; `null` or absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Its owner's e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// How many requests a second it may make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It was good until some time ago.
    #[error("the key has expired")]
    Expired,
}

impl NewKey {
    /// Checks what is asked for, and puts the scopes in order.
    ///
    /// # Errors
    ///
    /// An invalid-request or limit fault that names the member.
    pub fn accept(mut self) -> Result<NewKey, Fault> {
        let named = |member: &str, what: &str| Err(Fault::invalid(format!("{member} {what}")).at_member(member));
        if self.name.is_empty() || self.name.chars().any(char::is_control) {
            return named("name", "is required: what people call the key, without control characters");
        }
        for (member, text) in [("name", Some(&self.name)), ("email", self.email.as_ref())] {
            let chars = text.map_or(0, |text| text.chars().count());
            if chars > limits::NAME_CHARS_MAX {
                return Err(
                    Fault::limit(&format!("characters of {member}"), limits::NAME_CHARS_MAX, chars).at_member(member)
                );
            }
        }
        if self.email.as_ref().is_some_and(|email| !email.contains('@') || email.contains(':')) {
            return named("email", "is not an e-mail address");
        }
        if self.rate_per_s.is_some_and(|rate| rate == 0 || rate > limits::RATE_PER_S_MAX) {
            return named("rate_per_s", &format!("must be 1 to {}", limits::RATE_PER_S_MAX));
        }
        self.scopes.sort();
        self.scopes.dedup();
        if self.scopes.is_empty() {
            return named("scopes", "is required: one or more of append, read and admin");
        }
        Ok(self)
    }
}

impl ApiKey {
    /// Whether the key may still be used.
    ///
    /// # Errors
    ///
    /// [`KeyError::Expired`] from the instant of its expiry on.
    pub fn check(&self, now: Time) -> Result<(), KeyError> {
        if self.expires.is_some_and(|expires| expires <= now) { Err(KeyError::Expired) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, refused_for: Option<&str>) {
        let new: NewKey = serde_json::from_str(json).expect("reads");
        let member = new.accept().err().and_then(|fault| fault.location?.member);
        assert_eq!(member.as_deref(), refused_for, "{json}");
    }

    #[test]
    fn a_key_needs_a_name_and_a_scope_and_keeps_to_limits() {
        check(r#"{"name":"ci","scopes":["append","append"]}"#, None);
        check(r#"{"name":"","scopes":["append"]}"#, Some("name"));
        check(r#"{"name":"ci"}"#, Some("scopes"));
        check(r#"{"name":"ci","scopes":["read"],"email":"nobody"}"#, Some("email"));
        check(r#"{"name":"ci","scopes":["read"],"rate_per_s":0}"#, Some("rate_per_s"));
        check(r#"{"name":"ci","scopes":["read"],"rate_per_s":1000001}"#, Some("rate_per_s"));
        let long = format!(r#"{{"name":"{}","scopes":["read"]}}"#, "n".repeat(limits::NAME_CHARS_MAX + 1));
        check(&long, Some("name"));
    }
}

//! Who asks, what they may do, and whose log it is about.
//!
//! **Invariant:** a key is compared by its SHA-256 alone, so the time that takes says nothing of
//! any key, and no fault holds one.
//! **Invariant:** a key of one organization learns nothing of another, not even whether it exists.

use std::sync::Arc;

use annals_dialect::Credential;
use annals_model::{Actor, ApiKey, Fault, FaultKind, Organization, Reach, SYSTEM_ORGANIZATION, Scope, Time};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use super::App;

/// The SHA-256 of a key's text.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash([u8; 32]);

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The one organization that the key belongs to; `None` for all.
    organization: Option<String>,
    scopes: Vec<Scope>,
    /// As the administration's events name them.
    pub(crate) actor: Actor,
    /// When the key expires.
    pub(crate) expires: Option<Time>,
}

impl KeyHash {
    /// Of a key's text.
    pub(crate) fn of(key: &str) -> KeyHash {
        KeyHash(Sha256::digest(key.as_bytes()).into())
    }

    /// In lower-case hex.
    pub(crate) fn hex(self) -> String {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// Whether both are the same; takes the same time whatever they are.
    fn is(self, other: KeyHash) -> bool {
        self.0.iter().zip(other.0).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

/// The key of a request to the native API.
///
/// # Errors
///
/// An unauthorized fault without one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Credential, Fault> {
    let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let key = key.map(|(_, key)| key.trim()).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| unauthorized("there is no key: send the header Authorization: Bearer <key>"))?;
    Ok(Credential { key: key.to_owned(), email: None })
}

fn unauthorized(what: &str) -> Fault {
    Fault::new(FaultKind::Unauthorized, what)
}

impl App {
    /// Who a credential belongs to. Counts against the key's rate.
    ///
    /// # Errors
    ///
    /// An unauthorized fault for a key that is unknown, revoked or expired, or whose owner has
    /// another e-mail address; a rate-limited one.
    pub(crate) fn caller(&self, credential: &Credential) -> Result<Caller, Fault> {
        let hash = KeyHash::of(&credential.key);
        if self.admin.is_some_and(|admin| admin.is(hash)) {
            return Ok(Caller::operator());
        }
        let key = self.ledger.key_by_hash(&hash.hex());
        let key = key.ok_or_else(|| unauthorized("the key is not known, or was revoked"))?;
        key.check(self.clock.now()).map_err(|error| unauthorized(&error.to_string()))?;
        if let (Some(owner), Some(email)) = (&key.email, &credential.email)
            && !owner.eq_ignore_ascii_case(email)
        {
            return Err(unauthorized("the key belongs to another e-mail address"));
        }
        self.rates.count(&key)?;
        Ok(Caller::of(&key))
    }
}

impl Caller {
    fn of(key: &ApiKey) -> Caller {
        let actor = Actor {
            kind: Some("api_key".into()),
            id: Some(key.id.clone()),
            name: Some(key.name.clone()),
            email: key.email.clone(),
        };
        Caller { organization: key.organization.clone(), scopes: key.scopes.clone(), actor, expires: key.expires }
    }

    /// Whoever has the key in the environment.
    fn operator() -> Caller {
        let actor = Actor { kind: Some("operator".into()), name: Some("ANNALS_ADMIN_KEY".into()), ..Actor::default() };
        Caller { organization: None, scopes: vec![Scope::Append, Scope::Read, Scope::Admin], actor, expires: None }
    }

    /// The one organization that the caller is bound to.
    pub(crate) fn bound_to(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    /// Whether the caller's key has a scope.
    ///
    /// # Errors
    ///
    /// A forbidden fault without it.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Fault> {
        let name = match scope {
            Scope::Append => "append",
            Scope::Read => "read",
            Scope::Admin => "admin",
        };
        if self.scopes.contains(&scope) {
            Ok(())
        } else {
            Err(Fault::forbidden(format!("the key does not have the scope {name}")))
        }
    }

    /// Whether the caller may manage what concerns all organizations.
    ///
    /// # Errors
    ///
    /// A forbidden fault.
    pub(crate) fn require_admin_of_all(&self) -> Result<(), Fault> {
        self.require(Scope::Admin)?;
        match self.bound_to() {
            None => Ok(()),
            Some(_) => Err(Fault::forbidden("organizations are managed with a key for all organizations")),
        }
    }

    /// Whether the caller may read an organization's log. The server's own takes an administrator.
    ///
    /// # Errors
    ///
    /// A forbidden fault.
    pub(crate) fn require_read(&self, organization: &str) -> Result<(), Fault> {
        self.require(if organization == SYSTEM_ORGANIZATION { Scope::Admin } else { Scope::Read })
    }

    /// Whose events a read of the native API is of: the organization that it names, else the caller's
    /// own, else all.
    ///
    /// # Errors
    ///
    /// As for [`Caller::organization`], and a forbidden fault for one that the caller may not read.
    pub(crate) fn reach(&self, app: &App, named: Option<&str>) -> Result<Reach, Fault> {
        if self.bound_to().is_none() && named.is_none() {
            self.require(Scope::Read)?;
            return Ok(Reach::All);
        }
        let organization = self.organization(app, named, None)?;
        self.require_read(&organization.id)?;
        Ok(Reach::Organization(organization.id.as_str().into()))
    }

    /// The organization that a request is about: the one it names, by id or as a dialect calls it,
    /// else the caller's own.
    ///
    /// # Errors
    ///
    /// A forbidden fault for another's; for a caller of all organizations, a not-found fault for
    /// one that doesn't exist, and where none is named an invalid-request fault, in a dialect a
    /// forbidden one.
    pub(crate) fn organization(
        &self,
        app: &App,
        named: Option<&str>,
        dialect: Option<&str>,
    ) -> Result<Arc<Organization>, Fault> {
        let Some(own) = self.bound_to() else {
            return self.any_organization(app, named, dialect);
        };
        let organization = app.ledger.organization(own).ok_or_else(foreign)?;
        let alias = dialect.and_then(|dialect| organization.aliases.get(dialect));
        match named {
            Some(named) if named != own && alias.is_none_or(|alias| alias != named) => Err(foreign()),
            _ => Ok(organization),
        }
    }

    fn any_organization(
        &self,
        app: &App,
        named: Option<&str>,
        dialect: Option<&str>,
    ) -> Result<Arc<Organization>, Fault> {
        let Some(named) = named else {
            let what = "the key is for all organizations: say which one is meant by organization=, or --organization";
            return Err(match dialect {
                Some(_) => Fault::forbidden(what),
                None => Fault::invalid(what).at_member("organization"),
            });
        };
        let by_alias = || dialect.and_then(|dialect| app.ledger.organization_by_alias(dialect, named));
        let found = app.ledger.organization(named).or_else(by_alias);
        found.ok_or_else(|| Fault::not_found("there is no such organization").at_member("organization"))
    }
}

/// The key belongs elsewhere.
pub(crate) fn foreign() -> Fault {
    Fault::forbidden("the key belongs to another organization")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expect: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().expect("a header"));
        let key = bearer(&headers).ok().map(|credential| credential.key);
        assert_eq!(key.as_deref(), expect, "{header}");
    }

    #[test]
    fn a_key_is_sent_as_a_bearer_token() {
        check("Bearer abc", Some("abc"));
        check("bearer  abc ", Some("abc"));
        check("abc", None);
        check("Bearer", None);
        check("Bearer ", None);
        check("Basic YTpi", None);
        assert!(bearer(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_hash_is_shown_in_lower_case_hex_and_compared_whole() {
        let hash = KeyHash::of("abc");
        assert_eq!(hash.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(hash.is(KeyHash::of("abc")));
        assert!(!hash.is(KeyHash::of("abd")));
    }
}

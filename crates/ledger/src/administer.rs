//! Changes of organizations and keys, each committed together with the event that records it.
//!
//! **Invariant:** whether a change may be made is decided by the sequencer, on the state as it is
//! then; its event is in the server's own log, and holds no key and no hash of one.

use annals_model::{
    Actor, ApiKey, Content, Fault, NewKey, NewOrganization, Object, Organization, OrganizationPatch, Target, Value,
};
use annals_store::{Change as StoredChange, StateKind};

use crate::queue::Job;
use crate::state::State;
use crate::{Ledger, stopped};

/// What is to be changed, by whom.
pub(crate) struct Change {
    pub(crate) by: Actor,
    pub(crate) what: What,
}

/// What is to be changed.
pub(crate) enum What {
    CreateOrganization(Organization),
    ChangeOrganization(String, OrganizationPatch),
    CreateKey(ApiKey),
    RevokeKey(String),
}

impl Ledger {
    /// Makes an organization, with an empty log.
    ///
    /// # Errors
    ///
    /// Invalid or limit for what is asked, a conflict if the id or an alias is taken; nothing was
    /// stored.
    pub async fn create_organization(&self, new: NewOrganization, by: Actor) -> Result<Organization, Fault> {
        let organization = new.accept(self.shared.clock.now())?;
        self.administer(What::CreateOrganization(organization.clone()), by).await?;
        Ok(organization)
    }

    /// Changes an organization.
    ///
    /// # Errors
    ///
    /// Not found, invalid, limit, or a conflict if an alias is taken; nothing was changed.
    pub async fn change_organization(
        &self,
        id: &str,
        patch: OrganizationPatch,
        by: Actor,
    ) -> Result<Organization, Fault> {
        self.administer(What::ChangeOrganization(id.to_owned(), patch), by).await?;
        let organization = self.organization(id).ok_or_else(|| no_organization(id))?;
        Ok((*organization).clone())
    }

    /// Makes a key; its text stays with the caller.
    ///
    /// # Errors
    ///
    /// Invalid or limit for what is asked, not found for its organization; nothing was stored.
    pub async fn create_key(&self, new: NewKey, id: String, hash_hex: String, by: Actor) -> Result<ApiKey, Fault> {
        let (new, now) = (new.accept()?, self.shared.clock.now());
        if new.expires.is_some_and(|expires| expires <= now) {
            return Err(Fault::invalid("expires is past: the key would never be good").at_member("expires"));
        }
        let key = ApiKey {
            id,
            organization: new.organization,
            name: new.name,
            scopes: new.scopes,
            email: new.email,
            expires: new.expires,
            rate_per_s: new.rate_per_s,
            hash: hash_hex,
            time_created: now,
        };
        self.administer(What::CreateKey(key.clone()), by).await?;
        Ok(key)
    }

    /// Revokes a key: from the answer on it is refused.
    ///
    /// # Errors
    ///
    /// Not found; nothing was changed.
    pub async fn revoke_key(&self, id: &str, by: Actor) -> Result<(), Fault> {
        self.administer(What::RevokeKey(id.to_owned()), by).await
    }

    async fn administer(&self, what: What, by: Actor) -> Result<(), Fault> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.shared.queue.push(Job::Administer { change: Box::new(Change { by, what }), reply })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Change {
    /// What to store, and what to record, if it may be done on the state as it is.
    ///
    /// # Errors
    ///
    /// As the methods of [`Ledger`] say.
    pub(crate) fn stage(self, state: &State) -> Result<(StoredChange, Content), Fault> {
        let (stored, action, target, changes) = match self.what {
            What::CreateOrganization(new) => {
                if state.organization(&new.id).is_some() {
                    let what = format!("there is an organization {} already: ids are never used again", new.id);
                    return Err(Fault::conflict(what).at_member("id"));
                }
                check_aliases(&new, state)?;
                let changes = before_and_after(None, Some(json(&new)?));
                (
                    put(StateKind::Organization, &new.id, &new)?,
                    "annals.organization.create",
                    target("organization", &new.id, new.name),
                    changes,
                )
            }
            What::ChangeOrganization(id, patch) => {
                let before =
                    state.organizations().into_iter().find(|have| have.id == id).ok_or_else(|| no_organization(&id))?;
                let after = before.patched(patch)?;
                check_aliases(&after, state)?;
                let changes = before_and_after(Some(json(&*before)?), Some(json(&after)?));
                (
                    put(StateKind::Organization, &id, &after)?,
                    "annals.organization.change",
                    target("organization", &id, after.name),
                    changes,
                )
            }
            What::CreateKey(key) => {
                if let Some(id) =
                    key.organization.as_deref().filter(|id| state.organizations().iter().all(|have| have.id != **id))
                {
                    return Err(no_organization(id).at_member("organization"));
                }
                let changes = before_and_after(None, Some(shown(&key)?));
                (
                    put(StateKind::Key, &key.id, &key)?,
                    "annals.key.create",
                    target("key", &key.id, Some(key.name)),
                    changes,
                )
            }
            What::RevokeKey(id) => {
                let key = state.key(&id).ok_or_else(|| Fault::not_found(format!("there is no key {id}")))?;
                let changes = before_and_after(Some(shown(&key)?), None);
                let target = target("key", &id, Some(key.name.clone()));
                (StoredChange::Delete { kind: StateKind::Key, key: id }, "annals.key.revoke", target, changes)
            }
        };
        let content = Content {
            action: action.to_owned(),
            actor: self.by,
            targets: vec![target],
            changes: Some(changes),
            ..Content::default()
        };
        Ok((stored, content))
    }
}

/// What is stored and recorded at the very first start.
pub(crate) fn first_start(server_name: &str, store: u32) -> (Vec<StoredChange>, Content) {
    let settings = [(SERVER_NAME, server_name.to_owned()), (STORE, store.to_string())];
    let changes = settings.map(|(key, value)| StoredChange::Put {
        kind: StateKind::Setting,
        key: key.to_owned(),
        value: value.into_bytes(),
    });
    let content = Content {
        action: "annals.server.create".to_owned(),
        actor: Actor { kind: Some("service".to_owned()), id: Some("annals".to_owned()), ..Actor::default() },
        targets: vec![target("server", server_name, None)],
        ..Content::default()
    };
    (changes.into(), content)
}

/// The setting that holds a random number of the store, made at its first start.
pub(crate) const STORE: &str = "store";

/// The setting that holds what ids and values are hashed with in segments, kept with the first of them.
pub(crate) const HASH_KEY: &str = "hash_key";

/// The setting that holds the server's name.
pub(crate) const SERVER_NAME: &str = "server_name";

/// What is stored for an action that is new to the catalogue.
pub(crate) fn new_action(action: &str, number: u64) -> StoredChange {
    StoredChange::Put { kind: StateKind::Action, key: action.to_owned(), value: number.to_string().into_bytes() }
}

fn no_organization(id: &str) -> Fault {
    Fault::not_found(format!("there is no organization {id}"))
}

fn check_aliases(new: &Organization, state: &State) -> Result<(), Fault> {
    let named = state
        .organizations()
        .into_iter()
        .find(|other| other.id != new.id && other.aliases.values().any(|alias| *alias == new.id));
    if let Some(other) = named {
        let what = format!(
            "organization {} goes by the name {} in a dialect, so no other can have it as its id",
            other.id, new.id
        );
        return Err(Fault::conflict(what).at_member("id"));
    }
    for (dialect, alias) in &new.aliases {
        let by_alias = state.organization_by_alias(dialect, alias);
        if let Some(other) = by_alias.or_else(|| state.organization(alias)).filter(|other| other.id != new.id) {
            let what = format!("aliases.{dialect} is taken by organization {}", other.id);
            return Err(Fault::conflict(what).at_member(format!("aliases.{dialect}")));
        }
    }
    Ok(())
}

fn put(kind: StateKind, key: &str, value: &impl serde::Serialize) -> Result<StoredChange, Fault> {
    let value = serde_json::to_vec(value).map_err(|error| Fault::internal(error.to_string()))?;
    Ok(StoredChange::Put { kind, key: key.to_owned(), value })
}

fn json(value: &impl serde::Serialize) -> Result<Value, Fault> {
    let text = serde_json::to_vec(value).map_err(|error| Fault::internal(error.to_string()))?;
    Value::parse(&text).map_err(|error| Fault::internal(error.to_string()))
}

/// A key as events show it.
fn shown(key: &ApiKey) -> Result<Value, Fault> {
    let mut value = json(key)?;
    if let Value::Object(object) = &mut value {
        object.remove("hash");
    }
    Ok(value)
}

fn before_and_after(before: Option<Value>, after: Option<Value>) -> Value {
    let sides = [("before", before), ("after", after)];
    Value::Object(sides.into_iter().filter_map(|(side, value)| Some((side, value?))).collect::<Object>())
}

fn target(kind: &str, id: &str, name: Option<String>) -> Target {
    Target { kind: Some(kind.to_owned()), id: Some(id.to_owned()), name }
}

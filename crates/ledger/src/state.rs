//! The small state in memory: organizations, keys, and the action catalogue.
//!
//! **Invariant:** it is what the journal holds: it changes only after a commit, and is read from the
//! journal at start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use annals_model::{ApiKey, Organization, SYSTEM_ORGANIZATION};
use annals_store::{Change, Journal, StateKind};

use crate::OpenError;

/// Numbers of the catalogue that are given from the start: the only pair that is publicly known.
const ACTIONS_PRESET: [(&str, u64); 1] = [("Delete Team", 13)];

#[derive(Default)]
pub(crate) struct State(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    organizations: BTreeMap<String, Arc<Organization>>,
    keys: BTreeMap<String, Arc<ApiKey>>,
    key_ids_by_hash: HashMap<String, String>,
    actions: HashMap<String, u64>,
    action_number_last: u64,
}

impl State {
    /// What a journal holds.
    pub(crate) fn load(journal: &dyn Journal) -> Result<State, OpenError> {
        let state = State::default();
        for (action, number) in ACTIONS_PRESET {
            state.write(|inner| inner.put_action(action, number));
        }
        for kind in [StateKind::Organization, StateKind::Key, StateKind::Action] {
            for (key, value) in journal.state(kind)? {
                state.apply(&Change::Put { kind, key, value })?;
            }
        }
        Ok(state)
    }

    /// Follows a committed change.
    ///
    /// # Errors
    ///
    /// If the value is not what is kept under its kind.
    pub(crate) fn apply(&self, change: &Change) -> Result<(), OpenError> {
        let unreadable = |key: &str| OpenError::State { entry: key.to_owned() };
        match change {
            Change::Put { kind: StateKind::Organization, key, value } => {
                let organization: Organization = serde_json::from_slice(value).map_err(|_| unreadable(key))?;
                self.write(|inner| drop(inner.organizations.insert(key.clone(), Arc::new(organization))));
            }
            Change::Put { kind: StateKind::Key, key, value } => {
                let api_key: ApiKey = serde_json::from_slice(value).map_err(|_| unreadable(key))?;
                self.write(|inner| {
                    inner.key_ids_by_hash.insert(api_key.hash.clone(), key.clone());
                    inner.keys.insert(key.clone(), Arc::new(api_key));
                });
            }
            Change::Put { kind: StateKind::Action, key, value } => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                let number = number.ok_or_else(|| unreadable("of an action"))?;
                self.write(|inner| inner.put_action(key, number));
            }
            Change::Delete { kind: StateKind::Key, key } => self.write(|inner| {
                if let Some(api_key) = inner.keys.remove(key) {
                    inner.key_ids_by_hash.remove(&api_key.hash);
                }
            }),
            // Settings, segments and heads are read at start and known to those who change them; organizations
            // and actions are never deleted.
            Change::Put { kind: StateKind::Setting | StateKind::Segment | StateKind::Head, .. }
            | Change::Delete { .. } => {}
        }
        Ok(())
    }

    pub(crate) fn organization(&self, id: &str) -> Option<Arc<Organization>> {
        if id == SYSTEM_ORGANIZATION {
            return Some(Arc::new(system_organization()));
        }
        self.read().organizations.get(id).cloned()
    }

    pub(crate) fn organization_by_alias(&self, dialect: &str, alias: &str) -> Option<Arc<Organization>> {
        let state = self.read();
        state
            .organizations
            .values()
            .find(|organization| organization.aliases.get(dialect).is_some_and(|have| have == alias))
            .cloned()
    }

    pub(crate) fn organizations(&self) -> Vec<Arc<Organization>> {
        self.read().organizations.values().cloned().collect()
    }

    pub(crate) fn key(&self, id: &str) -> Option<Arc<ApiKey>> {
        self.read().keys.get(id).cloned()
    }

    pub(crate) fn keys(&self) -> Vec<Arc<ApiKey>> {
        self.read().keys.values().cloned().collect()
    }

    pub(crate) fn key_by_hash(&self, hash_hex: &str) -> Option<Arc<ApiKey>> {
        let state = self.read();
        state.keys.get(state.key_ids_by_hash.get(hash_hex)?).cloned()
    }

    pub(crate) fn action_number(&self, action: &str) -> Option<u64> {
        self.read().actions.get(action).copied()
    }

    /// The last number of the catalogue that is taken.
    pub(crate) fn action_number_last(&self) -> u64 {
        self.read().action_number_last
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Inner {
    fn put_action(&mut self, action: &str, number: u64) {
        self.actions.insert(action.to_owned(), number);
        self.action_number_last = self.action_number_last.max(number);
    }
}

/// The server's own organization, which is nowhere stored.
fn system_organization() -> Organization {
    Organization {
        id: SYSTEM_ORGANIZATION.to_owned(),
        name: None,
        plan: None,
        retention_days: None,
        legal_hold: false,
        public_proofs: false,
        audit_reads: false,
        aliases: BTreeMap::new(),
        time_created: annals_model::Time::default(),
    }
}

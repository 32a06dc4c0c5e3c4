//! What a pure function can't know.

use std::sync::Arc;

use annals_model::{Organization, Time};

/// Finds the catalogue number of an action.
pub type ActionNumber = Arc<dyn Fn(&str) -> Option<u64> + Send + Sync>;

/// What a dialect is told about the world when it decodes or encodes.
#[derive(Clone)]
pub struct Context {
    /// The server's clock.
    pub now: Time,
    /// The organization whose log is read.
    pub organization: Arc<Organization>,
    /// When the key that asks expires, if it does.
    pub key_expires: Option<Time>,
    /// The catalogue number of an action. Every action of a recorded event has one.
    pub action_number: ActionNumber,
}

impl Context {
    /// The organization's name in a dialect: its alias, or its id without one.
    #[must_use]
    pub fn organization_shown(&self, dialect: &str) -> &str {
        self.organization.aliases.get(dialect).unwrap_or(&self.organization.id)
    }
}

//! HTTP: the native API and the dialects over one ledger.
//!
//! ```text
//! request ─▶ route ─▶ auth (who, which organization) ─▶ decode ─▶ ledger ─▶ encode ─▶ response
//!              └───────────── a fault from anywhere ─▶ status, in the voice of the route ──┘
//! ```
//!
//! **Invariant:** every answer to a request that could be read is in the form of the API that its
//! path belongs to, also refusals, and also after a panic.
//! **Invariant:** a body is read only after its sender is known.
//! **Invariant:** nothing of a query, a body or a key is logged.

mod auth;
mod body;
mod dialect;
mod inbound;
mod native;
mod rate;
mod route;
mod status;
mod voice;

use std::sync::Arc;

use annals_ledger::{Clock, Ledger};
use annals_model::limits;
use axum::Router;
use tokio::sync::Semaphore;

use crate::config::AdminKey;

/// What every request needs.
pub struct App {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    admin: Option<auth::KeyHash>,
    rates: rate::Rates,
    /// What bodies may still take, in KiB.
    bodies: Arc<Semaphore>,
    openapi: String,
}

impl App {
    /// Over a ledger, by a clock, with the administrator's key if there is one.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>, admin_key: Option<&AdminKey>) -> Arc<App> {
        Arc::new(App {
            ledger,
            admin: admin_key.map(|key| auth::KeyHash::of(key.text())),
            rates: rate::Rates::new(Arc::clone(&clock)),
            clock,
            bodies: Arc::new(Semaphore::new(limits::BODIES_BYTES_MAX / body::KIB)),
            openapi: openapi(),
        })
    }
}

/// The description of all routes, as OpenAPI 3.1 in JSON.
#[must_use]
pub fn openapi() -> String {
    native::openapi::document()
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    dialect::mount(Router::new()).fallback(native::answer).with_state(app)
}

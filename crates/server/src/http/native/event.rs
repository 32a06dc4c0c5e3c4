//! `GET /v1/events/{id}`: reads one event.

use std::sync::Arc;

use annals_model::Fault;
use axum::response::Response;
use http::StatusCode;

use super::page::EVENT_BYTES;
use crate::http::inbound::Inbound;
use crate::http::{App, auth, status};

pub(super) async fn event(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = app.caller(&auth::bearer(&inbound.headers)?)?;
    let [named] = inbound.parameters(["organization"])?;
    let organization = caller.organization(&app, named, None)?;
    caller.require_read(&organization.id)?;
    let event = app.ledger.event(&organization.id, inbound.segment("id")?)?;
    let mut body = Vec::with_capacity(EVENT_BYTES);
    event.write_native(&mut body);
    Ok(status::json(StatusCode::OK, body))
}

//! What anyone may ask: whether the server lives and is ready, and what its API is.

use std::sync::Arc;

use annals_model::Fault;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::http::inbound::Inbound;
use crate::http::{App, status};

const INDEX: &str = "This is Annals, an audit-log server.\nIts API is described at /openapi.json\n";

pub(super) async fn index(_: Arc<App>, _: Inbound) -> Result<Response, Fault> {
    let mut response = Response::new(INDEX.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

pub(super) async fn alive(_: Arc<App>, _: Inbound) -> Result<Response, Fault> {
    Ok(status::json(StatusCode::OK, r#"{"status":"ok"}"#))
}

pub(super) async fn ready(app: Arc<App>, _: Inbound) -> Result<Response, Fault> {
    let health = app.ledger.health();
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": health.ready, "detail": health.detail });
    Ok(status::json(status, body.to_string()))
}

pub(super) async fn description(app: Arc<App>, _: Inbound) -> Result<Response, Fault> {
    Ok(status::json(StatusCode::OK, app.openapi.clone()))
}

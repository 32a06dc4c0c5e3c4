//! `GET /v1/facets` and `GET /v1/histogram`: counts what matches, by the values of a field and by time.

use std::sync::Arc;

use annals_model::{Facet, Fault, Histogram, Time};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::list::write;
use super::query::{Asked, FacetParameters, HistogramParameters};
use crate::http::inbound::Inbound;
use crate::http::{App, auth, body, status};

/// Counting looks through all that matches, so it is never done on a thread that serves connections.
pub(super) const ALL: usize = usize::MAX;

/// Facets as they are shown.
#[derive(Serialize)]
struct Facets<'f> {
    field: &'static str,
    values: Vec<Value<'f>>,
    other: u64,
}

#[derive(Serialize)]
struct Value<'f> {
    value: &'f str,
    count: u64,
}

/// A histogram as it is shown.
#[derive(Serialize)]
struct Shown {
    buckets: Vec<Bucket>,
    interval_ms: u64,
}

#[derive(Serialize)]
struct Bucket {
    time: Time,
    count: u64,
}

pub(super) async fn facets(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = app.caller(&auth::bearer(&inbound.headers)?)?;
    let asked = Asked::<FacetParameters>::read(&inbound.parameters)?;
    let reach = caller.reach(&app, asked.organization.as_deref())?;
    let query = asked.of(reach)?;
    let Facet { field, values, other } = body::heavily(ALL, || app.ledger.facet(&query))?;
    let values = values.iter().map(|(value, count)| Value { value, count: *count }).collect();
    Ok(status::json(StatusCode::OK, write(&Facets { field: field.name(), values, other })))
}

pub(super) async fn histogram(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = app.caller(&auth::bearer(&inbound.headers)?)?;
    let asked = Asked::<HistogramParameters>::read(&inbound.parameters)?;
    let reach = caller.reach(&app, asked.organization.as_deref())?;
    let query = asked.of(reach);
    let Histogram { buckets, interval_ms } = body::heavily(ALL, || app.ledger.histogram(&query))?;
    let buckets = buckets.into_iter().map(|(time, count)| Bucket { time, count }).collect();
    Ok(status::json(StatusCode::OK, write(&Shown { buckets, interval_ms })))
}

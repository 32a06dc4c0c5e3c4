//! The native API: its routes, and how a request gets to one.
//!
//! **Invariant:** this table is all there is: the router and the description are both made from it.

pub(crate) mod fault;
pub(crate) mod openapi;

mod append;
mod batch;
mod cloudevents;
mod count;
mod entries;
mod event;
mod health;
mod keys;
mod list;
mod operations;
mod organizations;
mod page;
mod query;
mod schemas;

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use utoipa::openapi::path::OperationBuilder;

use super::App;
use super::inbound::Inbound;
use super::route;
use super::status::Refusal;
use super::voice::Voice;
use annals_model::Fault;

/// The answer to a request, to come.
type Answering = Pin<Box<dyn Future<Output = Result<Response, Fault>> + Send>>;

/// A route of the native API.
pub(crate) struct Route {
    method: &'static str,
    path: &'static str,
    handle: fn(Arc<App>, Inbound) -> Answering,
    describe: fn() -> OperationBuilder,
}

impl route::Route for Route {
    fn method(&self) -> &'static str {
        self.method
    }
    fn path(&self) -> &'static str {
        self.path
    }
}

macro_rules! routes {
    ($($method:literal $path:literal => $handle:path, $describe:path;)*) => {
        [$(Route {
            method: $method,
            path: $path,
            handle: |app, inbound| Box::pin($handle(app, inbound)),
            describe: $describe,
        }),*]
    };
}

/// All routes of the native API.
pub(crate) static ROUTES: [Route; 16] = routes! {
    "GET" "/" => health::index, operations::index;
    "GET" "/healthz" => health::alive, operations::alive;
    "GET" "/readyz" => health::ready, operations::ready;
    "GET" "/openapi.json" => health::description, operations::description;
    "POST" "/v1/events" => append::append, operations::append;
    "GET" "/v1/events" => page::page, operations::page;
    "GET" "/v1/events/{id}" => event::event, operations::event;
    "GET" "/v1/facets" => count::facets, operations::facets;
    "GET" "/v1/histogram" => count::histogram, operations::histogram;
    "POST" "/v1/organizations" => organizations::create, operations::create_organization;
    "GET" "/v1/organizations" => organizations::list, operations::list_organizations;
    "GET" "/v1/organizations/{id}" => organizations::one, operations::one_organization;
    "PATCH" "/v1/organizations/{id}" => organizations::change, operations::change_organization;
    "POST" "/v1/keys" => keys::create, operations::create_key;
    "GET" "/v1/keys" => keys::list, operations::list_keys;
    "DELETE" "/v1/keys/{id}" => keys::revoke, operations::revoke_key;
};

/// Answers a request to any path that is no dialect's.
pub(crate) async fn answer(State(app): State<Arc<App>>, request: axum::extract::Request) -> Response {
    let method = request.method().clone();
    let found = route::find(&ROUTES, &method, request.uri().path());
    let path = found.as_ref().map_or("-", |(route, _)| route.path);
    let served = Arc::clone(&app);
    let work = async move {
        let (route, segments) = found?;
        let inbound = Inbound::new(request, segments)?;
        (route.handle)(served, inbound).await.map_err(Refusal::from)
    };
    route::answer(&*app.clock, Voice::Native, &method, path, work).await
}

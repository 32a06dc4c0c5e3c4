//! `/v1/keys`: the administration of API keys; with a key of one organization, of that
//! organization's alone.
//!
//! **Invariant:** a key's text is in the answer to its creation and nowhere else; its hash is in
//! no answer.

use std::sync::Arc;

use annals_model::{ApiKey, Fault, NewKey, SYSTEM_ORGANIZATION, Scope, Time};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Serialize;

use super::list::{Paging, parse, write};
use crate::http::auth::{Caller, KeyHash};
use crate::http::inbound::Inbound;
use crate::http::{App, auth, body, status};

const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 12;

/// A key as it is shown.
#[derive(Serialize)]
struct Shown<'k> {
    id: &'k str,
    /// The text, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'k str>,
    organization: Option<&'k str>,
    name: &'k str,
    scopes: &'k [Scope],
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'k str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_s: Option<u32>,
    time_created: Time,
}

impl<'k> Shown<'k> {
    fn of(key: &'k ApiKey, text: Option<&'k str>) -> Shown<'k> {
        Shown {
            id: &key.id,
            key: text,
            organization: key.organization.as_deref(),
            name: &key.name,
            scopes: &key.scopes,
            email: key.email.as_deref(),
            expires: key.expires,
            rate_per_s: key.rate_per_s,
            time_created: key.time_created,
        }
    }
}

pub(super) async fn create(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = administrator(&app, &inbound)?;
    let [] = inbound.parameters([])?;
    let held = body::read(&app, &inbound.headers, inbound.body).await?;
    let new: NewKey = parse(&held.bytes)?;
    match (caller.bound_to(), &new.organization) {
        (None, None) => {}
        (Some(_), None) => {
            return Err(Fault::forbidden("a key of one organization makes none for all: name the organization")
                .at_member("organization"));
        }
        (_, Some(named)) if named == SYSTEM_ORGANIZATION => {
            return Err(Fault::forbidden("the server's own log is read with a key for all organizations")
                .at_member("organization"));
        }
        (_, named) => {
            caller.organization(&app, named.as_deref(), None)?;
        }
    }
    let text = format!("annals_{}", random::<KEY_BYTES>()?);
    let id = format!("key_{}", random::<ID_BYTES>()?);
    let made = app.ledger.create_key(new, id, KeyHash::of(&text).hex(), caller.actor).await?;
    Ok(status::json(StatusCode::CREATED, write(&Shown::of(&made, Some(&text)))))
}

pub(super) async fn list(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = administrator(&app, &inbound)?;
    let paging = Paging::read(&inbound, "key")?;
    let all = app.ledger.keys();
    let seen = all.iter().filter(|key| manages(&caller, key)).map(|key| Shown::of(key, None));
    Ok(status::json(StatusCode::OK, write(&paging.page(seen, |key| key.id))))
}

pub(super) async fn revoke(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = administrator(&app, &inbound)?;
    let [] = inbound.parameters([])?;
    let id = inbound.segment("id")?;
    // Another organization's key is as unknown as one that never was.
    let known = app.ledger.keys().iter().any(|key| key.id == id && manages(&caller, key));
    if !known {
        return Err(Fault::not_found("there is no such key"));
    }
    app.ledger.revoke_key(id, caller.actor).await?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn administrator(app: &App, inbound: &Inbound) -> Result<Caller, Fault> {
    let caller = app.caller(&auth::bearer(&inbound.headers)?)?;
    caller.require(Scope::Admin)?;
    Ok(caller)
}

fn manages(caller: &Caller, key: &ApiKey) -> bool {
    caller.bound_to().is_none_or(|own| key.organization.as_deref() == Some(own))
}

/// So many random bytes, in base64url.
fn random<const N: usize>() -> Result<String, Fault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Fault::internal("the system gives no random bytes"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

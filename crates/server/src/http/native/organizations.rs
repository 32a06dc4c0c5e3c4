//! `/v1/organizations`: the administration of organizations, by a key for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_ledger::Usage;
use annals_model::{Fault, FaultKind, NewOrganization, Organization, OrganizationPatch, SYSTEM_ORGANIZATION};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::count::ALL;
use super::list::{Paging, parse, write};
use crate::http::auth::Caller;
use crate::http::inbound::Inbound;
use crate::http::{App, auth, body, status};

/// An organization with what it holds, unless that could not be added up in a query's time.
#[derive(Serialize)]
struct Listed<'o> {
    #[serde(flatten)]
    organization: &'o Organization,
    #[serde(flatten)]
    held: Option<Held>,
}

/// What an organization holds.
#[derive(Clone, Copy, Default, Serialize)]
struct Held {
    events: u64,
    bytes: u64,
}

pub(super) async fn create(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = administrator(&app, &inbound)?;
    let [] = inbound.parameters([])?;
    let held = body::read(&app, &inbound.headers, inbound.body).await?;
    let new: NewOrganization = parse(&held.bytes)?;
    check_dialects(&new.aliases)?;
    let made = app.ledger.create_organization(new, caller.actor).await?;
    Ok(status::json(StatusCode::CREATED, write(&made)))
}

pub(super) async fn list(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    administrator(&app, &inbound)?;
    let paging = Paging::read(&inbound, "organization")?;
    let all = app.ledger.organizations();
    let usage = usage(&app)?;
    let listed = all.iter().map(|organization| Listed::of(organization, usage.as_deref()));
    let page = paging.page(listed, |listed| &listed.organization.id);
    Ok(status::json(StatusCode::OK, write(&page)))
}

pub(super) async fn one(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    administrator(&app, &inbound)?;
    let [] = inbound.parameters([])?;
    let found = app.ledger.organization(managed(inbound.segment("id")?)?);
    let found = found.ok_or_else(missing)?;
    let usage = usage(&app)?;
    Ok(status::json(StatusCode::OK, write(&Listed::of(&found, usage.as_deref()))))
}

impl<'o> Listed<'o> {
    /// An organization with its part of what all hold.
    fn of(organization: &'o Organization, usage: Option<&[Usage]>) -> Listed<'o> {
        let held = usage.map(|usage| {
            let found = usage.binary_search_by(|usage| (*usage.organization).cmp(&*organization.id));
            let found = found.ok().and_then(|at| usage.get(at));
            // Who has no event has no log yet.
            found.map_or_else(Held::default, |usage| Held { events: usage.events, bytes: usage.bytes })
        });
        Listed { organization, held }
    }
}

/// What all organizations hold, ascending by id; none if a query's time is too short to add it up.
fn usage(app: &App) -> Result<Option<Vec<Usage>>, Fault> {
    match body::heavily(ALL, || app.ledger.usage()) {
        Err(fault) if fault.kind == FaultKind::Deadline => Ok(None),
        usage => usage.map(Some),
    }
}

pub(super) async fn change(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = administrator(&app, &inbound)?;
    let [] = inbound.parameters([])?;
    let id = managed(inbound.segment("id")?)?.to_owned();
    let held = body::read(&app, &inbound.headers, inbound.body).await?;
    let patch: OrganizationPatch = parse(&held.bytes)?;
    check_dialects(&patch.aliases)?;
    let changed = app.ledger.change_organization(&id, patch, caller.actor).await?;
    Ok(status::json(StatusCode::OK, write(&changed)))
}

fn administrator(app: &App, inbound: &Inbound) -> Result<Caller, Fault> {
    let caller = app.caller(&auth::bearer(&inbound.headers)?)?;
    caller.require_admin_of_all()?;
    Ok(caller)
}

/// The server's own organization is not managed.
fn managed(id: &str) -> Result<&str, Fault> {
    if id == SYSTEM_ORGANIZATION { Err(missing()) } else { Ok(id) }
}

fn missing() -> Fault {
    Fault::not_found("there is no such organization")
}

fn check_dialects<T>(aliases: &BTreeMap<String, T>) -> Result<(), Fault> {
    let unknown = aliases.keys().find(|name| annals_dialect::of_name(name).is_none());
    unknown.map_or(Ok(()), |name| {
        let names = annals_dialect::all().map(annals_dialect::Dialect::name).join(", ");
        let member = format!("aliases.{name}");
        Err(Fault::invalid(format!("{member} is no dialect's: there are {names}")).at_member(member))
    })
}

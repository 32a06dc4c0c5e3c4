//! `GET /v1/events`: reads a page of events.

use std::sync::Arc;

use annals_model::{Fault, Page};
use axum::response::Response;
use http::StatusCode;

use super::query::{Asked, PageParameters};
use crate::http::inbound::Inbound;
use crate::http::{App, auth, body, status};

/// About the size of an event as it is shown.
pub(super) const EVENT_BYTES: usize = 1_024;

pub(super) async fn page(app: Arc<App>, inbound: Inbound) -> Result<Response, Fault> {
    let caller = app.caller(&auth::bearer(&inbound.headers)?)?;
    let asked = Asked::<PageParameters>::read(&inbound.parameters)?;
    let reach = caller.reach(&app, asked.organization.as_deref())?;
    let query = asked.of(reach)?;
    let page = body::searching(&query.filter, || app.ledger.page(&query))?;
    Ok(status::json(StatusCode::OK, write_page(&page)))
}

/// `{"events":[…],"next_cursor":…,"total":n}`, each event spliced from its canonical text.
fn write_page(page: &Page) -> Vec<u8> {
    let mut body = Vec::with_capacity((page.events.len() + 1) * EVENT_BYTES);
    body.extend_from_slice(b"{\"events\":[");
    for (at, event) in page.events.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        event.write_native(&mut body);
    }
    body.extend_from_slice(b"],\"next_cursor\":");
    match &page.next {
        // A cursor is base64url, which needs no escapes.
        Some(cursor) => body.extend_from_slice(format!("\"{}\"", cursor.format()).as_bytes()),
        None => body.extend_from_slice(b"null"),
    }
    if let Some(total) = page.total {
        body.extend_from_slice(format!(",\"total\":{total}").as_bytes());
    }
    body.push(b'}');
    body
}

//! The vendors' APIs: each dialect at the paths its clients know, and whole under its name.
//!
//! **Invariant:** whatever happens on a dialect's path is answered in that dialect's form.
//! **Invariant:** a streamed answer that fails on its way breaks off, so that it never looks whole.

use std::sync::Arc;

use annals_dialect::{Answer, Context, Dialect, Request, Stream};
use annals_model::{Call, Event, Export, Fault, Outcome};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode};

use super::status::{Refusal, json};
use super::voice::Voice;
use super::{App, body, route};

/// Paths beyond a dialect's routes that are its own, so that what is unknown there is refused in
/// its form.
const OWN_PATHS: [(&str, &str); 2] = [("turso", "/v1/auth/{*rest}"), ("launchdarkly", "/api/v2/auditlog/{*rest}")];

/// Adds all dialects to a router.
pub(super) fn mount(mut router: Router<Arc<App>>) -> Router<Arc<App>> {
    for dialect in annals_dialect::all() {
        let name = dialect.name();
        let own: Vec<&str> = OWN_PATHS.iter().filter(|(owner, _)| *owner == name).map(|(_, path)| *path).collect();
        // What lies below a path of its own is found there.
        let is_below = |path: &&str| own.iter().any(|own| path.starts_with(own.trim_end_matches("{*rest}")));
        let routes = dialect.routes().iter().map(|route| route.path).filter(|path| !is_below(path));
        let mut paths: Vec<&str> = routes.chain(own.iter().copied()).collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            router = router.route(path, any(move |State(app), request| answer(app, dialect, 0, request)));
        }
        let mount_bytes = name.len() + 1;
        for path in [format!("/{name}"), format!("/{name}/"), format!("/{name}/{{*rest}}")] {
            router = router.route(&path, any(move |State(app), request| answer(app, dialect, mount_bytes, request)));
        }
    }
    router
}

async fn answer(
    app: Arc<App>,
    dialect: &'static dyn Dialect,
    mount_bytes: usize,
    request: axum::extract::Request,
) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().get(mount_bytes..).unwrap_or_default().to_owned();
    let found = route::find(dialect.routes(), &method, &path);
    let pattern = found.as_ref().map_or("-", |(route, _)| route.path);
    let served = Arc::clone(&app);
    let work = async move {
        let (route, segments) = found?;
        let (parts, body) = request.into_parts();
        let request = Request {
            method: route.method.parse().unwrap_or_default(),
            path,
            segments,
            parameters: Request::parse_query(parts.uri.query().unwrap_or_default())?,
            headers: parts.headers,
            body: Vec::new(),
        };
        serve(served, dialect, request, body).await.map_err(Refusal::from)
    };
    route::answer(&*app.clock, Voice::Dialect(dialect), &method, pattern, work).await
}

async fn serve(
    app: Arc<App>,
    dialect: &'static dyn Dialect,
    mut request: Request,
    body: Body,
) -> Result<Response, Fault> {
    let caller = app.caller(&dialect.credential(&request)?)?;
    if let Some(answer) = dialect.about_key(&request, caller.expires)? {
        return answered(answer);
    }
    let organization = caller.organization(&app, dialect.organization(&request), Some(dialect.name()))?;
    caller.require_read(&organization.id)?;
    let mut held = body::read(&app, &request.headers, body).await?;
    request.body = std::mem::take(&mut held.bytes);
    let ledger = app.ledger.clone();
    let context = Context {
        now: app.clock.now(),
        organization,
        key_expires: caller.expires,
        action_number: Arc::new(move |action| ledger.action_number(action)),
    };
    let outcome = match dialect.decode(&request, &context)? {
        Call::Page(query) => Outcome::Page(body::searching(&query.filter, || app.ledger.page(&query))?),
        Call::Get { organization, id } => Outcome::Event(app.ledger.event(&organization, &id)?),
        Call::Export(export) => {
            let stream = dialect.stream(&context);
            let stream = stream.ok_or_else(|| Fault::internal("the dialect asked for a stream that it can't write"))?;
            return whole(&app, stream, export).await;
        }
        Call::Append(_) => return Err(Fault::internal("no dialect appends")),
    };
    answered(dialect.encode(&request, &context, &outcome)?)
}

fn answered(answer: Answer) -> Result<Response, Fault> {
    let mut response = json(StatusCode::OK, answer.body);
    for (name, value) in answer.headers {
        let wrong = || Fault::internal(format!("the header {name} can't be sent"));
        let value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        response.headers_mut().insert(HeaderName::try_from(name).map_err(|_| wrong())?, value);
    }
    Ok(response)
}

/// Gives the next events of a list that is read whole; none at its end.
type NextBatch = Box<dyn FnMut() -> Result<Vec<Event>, Fault> + Send>;

/// A streamed answer on its way.
struct Sending {
    next_batch: NextBatch,
    stream: Stream,
    /// What was read but not yet sent.
    read: Option<Vec<Event>>,
    begun: bool,
    ended: bool,
}

/// Answers with all that matches. What fails before the first event is refused like anything else.
async fn whole(app: &App, stream: Stream, export: Export) -> Result<Response, Fault> {
    let ledger = app.ledger.clone();
    let sending = blocking(move || {
        let mut reader = ledger.export(&export)?;
        Sending::begin(stream, Box::new(move || reader.next_batch()))
    });
    Ok(json(StatusCode::OK, Body::from_stream(pieces(sending.await?))))
}

/// The next piece is made only when the one before was taken: a slow client holds one batch.
fn pieces(sending: Sending) -> impl futures_util::Stream<Item = Result<Bytes, Fault>> {
    stream::try_unfold(sending, |sending| async move {
        if sending.ended {
            return Ok(None);
        }
        let piece = blocking(move || sending.piece()).await.inspect_err(|fault| {
            tracing::error!(%fault, "a streamed answer broke off");
        });
        piece.map(Some)
    })
}

impl Sending {
    fn begin(stream: Stream, mut next_batch: NextBatch) -> Result<Sending, Fault> {
        let read = Some(next_batch()?);
        Ok(Sending { next_batch, stream, read, begun: false, ended: false })
    }

    fn piece(mut self) -> Result<(Bytes, Sending), Fault> {
        let events = match self.read.take() {
            Some(events) => events,
            None => (self.next_batch)()?,
        };
        let mut out = Vec::new();
        if !self.begun {
            out.extend_from_slice(self.stream.head);
        }
        for (at, event) in events.iter().enumerate() {
            if self.begun || at > 0 {
                out.extend_from_slice(self.stream.separator);
            }
            (self.stream.each)(event, &mut out)?;
        }
        self.begun = true;
        self.ended = events.is_empty();
        if self.ended {
            out.extend_from_slice(self.stream.tail);
        }
        Ok((Bytes::from(out), self))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Fault::internal("a defect: the server's log has the place")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_model::Time;
    use futures_util::{StreamExt, TryStreamExt};

    fn events(count: u64) -> Vec<Event> {
        let event = |index| Event {
            organization: "acme".into(),
            index,
            position: index,
            time_recorded: Time::default(),
            canonical: b"{}".as_slice().into(),
        };
        (0..count).map(event).collect()
    }

    fn stream() -> Stream {
        let each = Box::new(|event: &Event, out: &mut Vec<u8>| {
            out.extend_from_slice(event.index.to_string().as_bytes());
            Ok(())
        });
        Stream { head: b"[", each, separator: b",", tail: b"]" }
    }

    /// Sends batches of so many events; `None` fails.
    fn sending(batches: &'static [Option<u64>]) -> Result<Sending, Fault> {
        let mut left = batches.iter();
        let next = move || left.next().copied().flatten().map(events).ok_or_else(|| Fault::internal("damaged"));
        Sending::begin(stream(), Box::new(next))
    }

    async fn check(batches: &'static [Option<u64>], expect: &str) {
        let sent: Vec<Bytes> = pieces(sending(batches).expect("begins")).try_collect().await.expect("whole");
        assert_eq!(String::from_utf8_lossy(&sent.concat()), expect, "{batches:?}");
    }

    #[tokio::test]
    async fn a_stream_has_its_separators_between_events_alone() {
        check(&[Some(0)], "[]").await;
        check(&[Some(1), Some(0)], "[0]").await;
        check(&[Some(2), Some(1), Some(3), Some(0)], "[0,1,0,0,1,2]").await;
    }

    #[tokio::test]
    async fn a_stream_that_fails_on_its_way_breaks_off() {
        assert!(sending(&[None]).is_err());
        let mut pieces = Box::pin(pieces(sending(&[Some(1), None]).expect("begins")));
        assert_eq!(pieces.next().await, Some(Ok(Bytes::from_static(b"[0"))));
        assert_eq!(pieces.next().await, Some(Err(Fault::internal("damaged"))));
        assert_eq!(pieces.next().await, None);
    }
}

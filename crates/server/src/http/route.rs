//! Finds the route of a request, and sees to it that every request is answered.
//!
//! **Invariant:** a path that only differs in the method is answered with the methods it has; of
//! two routes that a path fits, the one with fewer named segments is meant.

use std::panic::AssertUnwindSafe;

use annals_dialect::Request;
use annals_ledger::Clock;
use annals_model::{Fault, FaultKind};
use axum::response::Response;
use futures_util::FutureExt;
use http::Method;

use super::status::{Refusal, refuse};
use super::voice::Voice;

/// A route as it is looked for.
pub(crate) trait Route {
    /// The HTTP method.
    fn method(&self) -> &'static str;
    /// The path, with names of segments in braces.
    fn path(&self) -> &'static str;
}

impl Route for annals_dialect::Route {
    fn method(&self) -> &'static str {
        self.method
    }
    fn path(&self) -> &'static str {
        self.path
    }
}

/// The named segments of a path, decoded.
pub(crate) type Segments = Vec<(String, String)>;

/// Finds the route of a path that is as it was sent. `HEAD` is answered as `GET` is.
pub(crate) fn find<'r, R: Route>(routes: &'r [R], method: &Method, path: &str) -> Result<(&'r R, Segments), Refusal> {
    let fitting: Vec<(&R, Vec<(&str, &str)>)> =
        routes.iter().filter_map(|route| Some((route, captures(route.path(), path)?))).collect();
    if fitting.is_empty() {
        let what = "there is nothing at this path: GET / says where the description of the API is";
        return Err(Fault::not_found(what).into());
    }
    let wanted = if method == Method::HEAD { "GET" } else { method.as_str() };
    let of_method = fitting.iter().filter(|(route, _)| route.method() == wanted);
    let Some((route, captured)) = of_method.min_by_key(|(_, captured)| captured.len()) else {
        let mut methods: Vec<&str> = fitting.iter().map(|(route, _)| route.method()).collect();
        methods.sort_unstable();
        methods.dedup();
        let allow = methods.join(", ");
        let fault = Fault::new(FaultKind::MethodNotAllowed, format!("this path takes {allow} only"));
        return Err(Refusal { fault, allow: Some(allow.into()) });
    };
    let decoded = captured.iter().map(|(name, raw)| Ok(((*name).to_owned(), Request::parse_segment(raw)?)));
    Ok((route, decoded.collect::<Result<Segments, Fault>>()?))
}

/// The named segments of a path that fits a pattern, as they were sent.
fn captures<'p>(pattern: &'static str, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
    let mut captured = Vec::new();
    let mut sent = path.split('/');
    for expected in pattern.split('/') {
        let have = sent.next()?;
        match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !have.is_empty() => captured.push((name, have)),
            None if have == expected => {}
            _ => return None,
        }
    }
    sent.next().is_none().then_some(captured)
}

/// The methods that are logged by their names.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// Answers a request, whatever becomes of it, and logs that it was.
pub(crate) async fn answer(
    clock: &dyn Clock,
    voice: Voice,
    method: &Method,
    route: &'static str,
    work: impl Future<Output = Result<Response, Refusal>>,
) -> Response {
    let start_us = clock.elapsed_us();
    let response = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refuse(voice, &refusal),
        Err(_) => {
            // What the panic says may quote the request, so it is not shown; the hook logs the place.
            tracing::error!(route, "a request failed by a defect");
            refuse(voice, &Fault::internal("a defect: the server's log has the place").into())
        }
    };
    let took_us = clock.elapsed_us().saturating_sub(start_us);
    // A method that is none is any text that a client sent.
    let method = METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
    tracing::debug!(method, api = voice.name(), route, status = response.status().as_u16(), took_us, "answered");
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_dialect::Route as Pair;

    const ROUTES: [Pair; 4] = [
        Pair { method: "GET", path: "/log" },
        Pair { method: "POST", path: "/log" },
        Pair { method: "GET", path: "/log/{id}" },
        Pair { method: "POST", path: "/log/counts" },
    ];

    /// The route's path, or the path with what its one segment is.
    fn check(method: Method, path: &str, expect: Result<&str, FaultKind>) {
        let got = find(&ROUTES, &method, path).map(|(route, segments)| match segments.as_slice() {
            [] => route.path.to_owned(),
            [(name, value)] => format!("{} {name}={value}", route.path),
            more => panic!("{more:?}"),
        });
        let expect = expect.map(str::to_owned);
        assert_eq!(got.map_err(|refusal| refusal.fault.kind), expect, "{method} {path}");
    }

    #[test]
    fn a_path_is_found_by_its_segments_and_method() {
        check(Method::GET, "/log", Ok("/log"));
        check(Method::HEAD, "/log", Ok("/log"));
        check(Method::GET, "/log/a%2Fb", Ok("/log/{id} id=a/b"));
        check(Method::GET, "/log/counts", Ok("/log/{id} id=counts"));
        check(Method::POST, "/log/counts", Ok("/log/counts"));
    }

    #[test]
    fn what_fits_no_route_is_refused() {
        for path in ["/", "", "/log/", "/log/a/b", "/logs", "log"] {
            check(Method::GET, path, Err(FaultKind::NotFound));
        }
        check(Method::GET, "/log/%zz", Err(FaultKind::Invalid));
        check(Method::GET, "/log/%ff", Err(FaultKind::Invalid));
    }

    #[test]
    fn a_wrong_method_is_told_which_there_are() {
        let allow = |path| find(&ROUTES, &Method::DELETE, path).err().and_then(|refusal| refusal.allow);
        assert_eq!(allow("/log").as_deref(), Some("GET, POST"));
        assert_eq!(allow("/log/x").as_deref(), Some("GET"));
        assert_eq!(allow("/log/counts").as_deref(), Some("GET, POST"));
    }

    struct Still;

    impl Clock for Still {
        fn now(&self) -> annals_model::Time {
            annals_model::Time::default()
        }
        fn elapsed_us(&self) -> u64 {
            0
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_says_nothing() {
        let work = async { panic!("the body was: secret") };
        let response = answer(&Still, Voice::Native, &Method::GET, "/", work).await;
        assert_eq!(response.status().as_u16(), 500);
        let body = axum::body::to_bytes(response.into_body(), 1_024).await.expect("a body");
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("\"internal\"") && !body.contains("secret"), "{body}");
    }
}

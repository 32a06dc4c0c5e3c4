//! From the text of an HTTP request to a request at a route of a dialect, as a server does it.

use std::path::Path;

use annals_dialect::{Dialect, Request, Route};
use annals_model::{Fault, FaultKind};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A request with its route, or why there is none.
pub(crate) struct Arrived {
    pub(crate) request: Request,
    pub(crate) route: Result<Route, Fault>,
}

/// Reads a `request.http`: method and target, headers, an empty line, the body to the end without
/// the last line break.
pub(crate) fn arrive(dialect: &dyn Dialect, file: &Path) -> Arrived {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).expect("a method and a target");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.parse().expect("a method"),
        path: path.to_owned(),
        headers: lines.map(header).collect::<HeaderMap>(),
        body: body.strip_suffix('\n').unwrap_or(body).into(),
        ..Request::default()
    };
    let route = Request::parse_query(query).and_then(|parameters| {
        request.parameters = parameters;
        let (route, segments) = find(dialect, &request)?;
        request.segments = segments;
        Ok(route)
    });
    Arrived { request, route }
}

fn header(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("a header is `name: value`, not {line}"));
    (name.parse().expect("a header's name"), value.parse().expect("a header's value"))
}

type Segments = Vec<(String, String)>;

fn find(dialect: &dyn Dialect, request: &Request) -> Result<(Route, Segments), Fault> {
    let mut there = false;
    for route in dialect.routes() {
        if let Some(segments) = fits(route.path, &request.path)? {
            if request.method.as_str() == route.method {
                return Ok((*route, segments));
            }
            there = true;
        }
    }
    if there {
        return Err(Fault::new(FaultKind::MethodNotAllowed, "this path is not served with this method"));
    }
    Err(Fault::not_found("there is no such path"))
}

fn fits(pattern: &str, path: &str) -> Result<Option<Segments>, Fault> {
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    if patterns.len() != parts.len() {
        return Ok(None);
    }
    let mut segments = Vec::new();
    for (pattern, part) in patterns.into_iter().zip(parts) {
        if let Some(name) = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            segments.push((name.to_owned(), Request::parse_segment(part)?));
        } else if pattern != part {
            return Ok(None);
        }
    }
    Ok(Some(segments))
}

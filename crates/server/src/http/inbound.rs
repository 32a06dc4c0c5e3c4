//! A request to the native API, taken apart.

use annals_dialect::Request;
use annals_model::Fault;
use axum::body::Body;
use http::HeaderMap;

use super::route::Segments;

/// A request to a route of the native API.
pub(crate) struct Inbound {
    segments: Segments,
    /// The parameters of the query, decoded, in the order they were sent.
    pub(crate) parameters: Vec<(String, String)>,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, not yet read.
    pub(crate) body: Body,
}

impl Inbound {
    /// Takes a request apart.
    ///
    /// # Errors
    ///
    /// An invalid-request fault for a query that is not percent-encoded UTF-8.
    pub(crate) fn new(request: axum::extract::Request, segments: Segments) -> Result<Inbound, Fault> {
        let (parts, body) = request.into_parts();
        let parameters = Request::parse_query(parts.uri.query().unwrap_or_default())?;
        Ok(Inbound { segments, parameters, headers: parts.headers, body })
    }

    /// A named segment of the route.
    pub(crate) fn segment(&self, name: &str) -> Result<&str, Fault> {
        let found = self.segments.iter().find(|(have, _)| have == name);
        let (_, value) = found.ok_or_else(|| Fault::internal(format!("the route has no segment {name}")))?;
        Ok(value)
    }

    /// A header's text.
    ///
    /// # Errors
    ///
    /// An invalid-request fault if it is no printable ASCII, or comes twice.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&str>, Fault> {
        let mut values = self.headers.get_all(name).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Fault::invalid(format!("the header {name} is given twice")));
        }
        let text = value.to_str().map_err(|_| Fault::invalid(format!("the header {name} is not printable ASCII")))?;
        Ok(Some(text))
    }

    /// The parameters that a route takes, each at most once.
    ///
    /// # Errors
    ///
    /// An invalid-request fault that names the parameter that is unknown or repeated.
    pub(crate) fn parameters<const N: usize>(&self, names: [&str; N]) -> Result<[Option<&str>; N], Fault> {
        let mut values = [None; N];
        for (name, value) in &self.parameters {
            let slot = names.iter().zip(&mut values).find(|(known, _)| *known == name);
            let (_, slot) = slot.ok_or_else(|| unknown(name))?;
            if slot.replace(value.as_str()).is_some() {
                return Err(twice(name));
            }
        }
        Ok(values)
    }
}

/// Nobody knows this parameter.
pub(crate) fn unknown(name: &str) -> Fault {
    Fault::invalid(format!("{name} is not a parameter of this path")).at_member(name)
}

/// This parameter may come once.
pub(crate) fn twice(name: &str) -> Fault {
    Fault::invalid(format!("{name} is given twice")).at_member(name)
}

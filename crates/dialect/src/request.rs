//! An HTTP request as a dialect sees it: taken apart, but not yet understood.

use annals_model::Fault;
use http::HeaderMap;

/// A request to a route of a dialect.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The HTTP method.
    pub method: http::Method,
    /// The path without a mount, as it was sent.
    pub path: String,
    /// The named segments of the route, percent-decoded.
    pub segments: Vec<(String, String)>,
    /// The parameters of the query, decoded, in the order they were sent.
    pub parameters: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// What a request shows of who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The key's text.
    pub key: String,
    /// The e-mail address that must be the key owner's, where the vendor's clients send one and
    /// the key has one.
    pub email: Option<String>,
}

impl Request {
    /// A parameter of the query; of one that is repeated, the first.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter of the query.
    pub fn query_all<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        self.parameters.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// A named segment of the route.
    #[must_use]
    pub fn segment(&self, name: &str) -> Option<&str> {
        self.segments.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// A header that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Takes a query string apart: `a=b&c=d`, percent-encoded, `+` for a space.
    ///
    /// # Errors
    ///
    /// An invalid-request fault for broken percent-encoding, or text that is not UTF-8.
    pub fn parse_query(query: &str) -> Result<Vec<(String, String)>, Fault> {
        let parts = query.split('&').filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect()
    }

    /// Decodes one segment of a path.
    ///
    /// # Errors
    ///
    /// As for [`Request::parse_query`].
    pub fn parse_segment(segment: &str) -> Result<String, Fault> {
        decode(&segment.replace('+', "%2B"))
    }
}

impl std::fmt::Debug for Credential {
    /// Never shows the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Credential").field("email", &self.email).finish_non_exhaustive()
    }
}

fn decode(text: &str) -> Result<String, Fault> {
    let bytes = text.as_bytes();
    let escaped = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let whole = bytes.iter().enumerate().all(|(at, byte)| *byte != b'%' || escaped(at));
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    match decoded {
        Ok(decoded) if whole => Ok(decoded.into_owned()),
        _ => Err(Fault::invalid("the address is not valid percent-encoded UTF-8: a % must begin a %XX escape")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expect: Option<&[(&str, &str)]>) {
        let got = Request::parse_query(query).ok();
        let expect =
            expect.map(|pairs| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>());
        assert_eq!(got, expect, "{query}");
    }

    #[test]
    fn a_query_is_taken_apart_and_decoded() {
        check("", Some(&[]));
        check("a=b&c=%20d+e&a=f&g", Some(&[("a", "b"), ("c", " d e"), ("a", "f"), ("g", "")]));
        check("a=b=c&&", Some(&[("a", "b=c")]));
        check("%C3%A9=%2B", Some(&[("é", "+")]));
    }

    #[test]
    fn broken_escapes_are_refused() {
        for query in ["a=%", "a=%2", "a=%zz", "a=%ff", "%=1"] {
            check(query, None);
        }
    }

    #[test]
    fn a_plus_in_a_path_is_a_plus() {
        assert_eq!(Request::parse_segment("a+b%2Fc"), Ok("a+b/c".to_owned()));
    }
}

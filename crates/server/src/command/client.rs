//! A client of the server's HTTP API: one request at a time.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::output::plain;

/// Where the server is, and the key for it.
#[derive(clap::Args)]
pub(crate) struct Connection {
    /// The server's address
    #[arg(long, env = "ANNALS_URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub(crate) url: String,
    /// An API key
    // The default is none, and refused with what to do about it.
    #[arg(long, env = "ANNALS_KEY", hide_env_values = true, default_value = "", hide_default_value = true,
          value_parser = parse_key)]
    pub(crate) key: String,
}

/// Reads an address, and takes a closing `/` off.
pub(crate) fn parse_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(['?', '#', ' '])) {
        return Err("must begin with http:// or https:// and name a host".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Reads a key; what a header can't carry is no key.
pub(crate) fn parse_key(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("there is no key: give one with --key, or in ANNALS_KEY".to_owned());
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it holds a character that no key has".to_owned());
    }
    Ok(text.to_owned())
}

/// A body and what it is.
pub(crate) struct Body<'b> {
    /// Its media type.
    pub(crate) content_type: &'static str,
    /// Its bytes.
    pub(crate) bytes: &'b [u8],
    /// Under what name the server may recognize the request when it comes again.
    pub(crate) idempotency_key: Option<&'b str>,
}

/// A client with one key.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// After how long it is worth trying again, if the server says so.
    pub(crate) retry_after: Option<Duration>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Why the server refused, in its own words.
#[derive(Debug, Default, Deserialize, thiserror::Error)]
#[error("{}", self.sentence())]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: u16,
    /// The word for what is wrong.
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    message: String,
    /// The event concerned, from 0, in what was sent.
    pub(crate) event: Option<u64>,
    /// The member or parameter concerned.
    member: Option<String>,
    /// The line concerned, from 1, of what was sent.
    pub(crate) line: Option<u64>,
    /// The column concerned, from 1, of that line.
    pub(crate) column: Option<u64>,
}

impl Refusal {
    /// The sentence for people: the message, with the member where it does not name it, and the
    /// code.
    fn sentence(&self) -> String {
        let mut text = plain(&self.message).into_owned();
        if text.is_empty() {
            text = format!("the server answered with status {}", self.status);
        }
        if let Some(member) = self.member.as_ref().filter(|member| !text.contains(member.as_str())) {
            text = format!("{}: {text}", plain(member));
        }
        if self.code.is_empty() { text } else { format!("{text} ({})", plain(&self.code)) }
    }
}

impl Client {
    /// How long one request may take.
    const TIMEOUT: Duration = Duration::from_secs(120);
    /// The longest answer that is read: a full page of the largest events is below it.
    const ANSWER_BYTES_MAX: u64 = 512 * 1024 * 1024;

    /// A client of the server at `url` with a key.
    pub(crate) fn new(connection: &Connection) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Self::TIMEOUT))
            // A redirect would be followed without the key, and by GET.
            .max_redirects(0)
            .max_redirects_will_error(false);
        // A proxy from the environment is not meant for a server on this machine.
        let config = if is_loopback(&connection.url) { config.proxy(None) } else { config };
        Client {
            agent: config.build().into(),
            url: connection.url.clone(),
            authorization: format!("Bearer {}", connection.key),
        }
    }

    /// Asks for what lies under a path, with its query.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(http::Method::GET, path, None)
    }

    /// Sends a request, once.
    ///
    /// # Errors
    ///
    /// If the server can't be reached or breaks off; whatever it answers is not an error here.
    pub(crate) fn send(&self, method: http::Method, path: &str, body: Option<&Body>) -> anyhow::Result<Answer> {
        let unreachable = || format!("can't reach {}", self.url);
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", &self.authorization);
        if let Some(body) = body {
            request = request.header("content-type", body.content_type);
            if let Some(key) = body.idempotency_key {
                request = request.header("idempotency-key", key);
            }
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body.bytes)?),
            None => self.agent.run(request.body(())?),
        };
        let answer = answer.with_context(unreachable)?;
        let retry_after =
            answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let status = answer.status().as_u16();
        let body = answer.into_body().into_with_config().limit(Self::ANSWER_BYTES_MAX).read_to_vec();
        let body = body.with_context(|| format!("{} broke off its answer", self.url))?;
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body })
    }

    /// Sends a JSON value.
    pub(crate) fn send_json(
        &self,
        method: http::Method,
        path: &str,
        value: &impl serde::Serialize,
    ) -> anyhow::Result<Answer> {
        let bytes = serde_json::to_vec(value)?;
        self.send(method, path, Some(&Body { content_type: "application/json", bytes: &bytes, idempotency_key: None }))
    }

    /// All items of a list of the administration.
    pub(crate) fn items<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        #[derive(Deserialize)]
        struct Items<T> {
            items: Vec<T>,
            next_cursor: Option<String>,
        }
        let mut all = Vec::new();
        let mut page = path.to_owned();
        loop {
            let Items { items, next_cursor } = self.get(&page)?.accepted()?.json()?;
            let is_last = items.is_empty();
            all.extend(items);
            match next_cursor {
                Some(cursor) if !is_last => page = format!("{path}?{}", query([("cursor", cursor.as_str())])),
                _ => return Ok(all),
            }
        }
    }
}

impl Answer {
    /// The same answer if the server did what was asked.
    ///
    /// # Errors
    ///
    /// The server's [`Refusal`].
    pub(crate) fn accepted(self) -> Result<Answer, Box<Refusal>> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(Box::new(self.refusal())) }
    }

    /// Why the server refused.
    pub(crate) fn refusal(&self) -> Refusal {
        #[derive(Deserialize)]
        struct Wire {
            error: Refusal,
        }
        let refusal = serde_json::from_slice(&self.body).map_or_else(|_| Refusal::default(), |wire: Wire| wire.error);
        Refusal { status: self.status, ..refusal }
    }

    /// Reads the body.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).context("the server's answer is not what this command expects")
    }
}

/// Whether the connection could not be made or was lost, rather than the request being wrong.
pub(crate) fn is_broken_connection(error: &anyhow::Error) -> bool {
    use ureq::Error::{ConnectionFailed, HostNotFound, Io, Timeout};
    match error.downcast_ref::<ureq::Error>() {
        Some(Io(_) | Timeout(_) | ConnectionFailed | HostNotFound) => true,
        // The answer ended early.
        Some(ureq::Error::Protocol(_)) => true,
        _ => false,
    }
}

/// A query string of names and values.
pub(crate) fn query<'q>(pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    // `.` and `..` would be taken out of the path.
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => percent_encoding::utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

/// Everything but the unreserved characters of RFC 3986.
const SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    uri.host().is_some_and(|host| {
        host == "localhost"
            || host.trim_matches(['[', ']']).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_scheme_and_a_host() {
        for (text, expect) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://log.example.com/annals/", Some("https://log.example.com/annals")),
            ("127.0.0.1:8080", None),
            ("ftp://host", None),
            ("http://", None),
            ("http:///path", None),
            ("http://host?x=1", None),
        ] {
            assert_eq!(parse_url(text).ok().as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_spared_the_proxy() {
        for (url, expect) in [
            ("http://localhost:8080", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:80", true),
            ("http://10.0.0.1", false),
            ("https://log.example.com", false),
        ] {
            assert_eq!(is_loopback(url), expect, "{url}");
        }
    }

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        assert_eq!(segment("req-8f1c:0"), "req-8f1c%3A0");
        assert_eq!(segment("a/b?c"), "a%2Fb%3Fc");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn a_refusal_is_one_sentence_with_member_and_code() {
        let check = |status, body: &str, expect: &str| {
            let answer = Answer { status, retry_after: None, body: body.as_bytes().to_vec() };
            assert_eq!(answer.refusal().to_string(), expect, "{body}");
        };
        check(
            400,
            r#"{"error":{"code":"invalid_request","message":"must be a text","member":"actor.id","event":3}}"#,
            "actor.id: must be a text (invalid_request)",
        );
        check(
            400,
            r#"{"error":{"code":"invalid_request","message":"actor.id must be a text","member":"actor.id"}}"#,
            "actor.id must be a text (invalid_request)",
        );
        check(502, "<html>", "the server answered with status 502");
    }
}

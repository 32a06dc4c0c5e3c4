//! One HTTP connection to the server under load.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Where the load goes, and the key for it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Host and port.
    pub(crate) authority: String,
    /// A key for all organizations with all scopes.
    pub(crate) key: String,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: Uri,
    /// What the body is.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: Bytes,
}

/// A connection that is kept open from request to request.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    authorization: HeaderValue,
}

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

impl Target {
    /// The target that an address and a key name.
    pub(crate) fn of_url(url: &str, key: &str) -> anyhow::Result<Target> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no address"))?;
        let Some(authority) = uri.authority().filter(|_| uri.scheme_str() == Some("http") && uri.path() == "/") else {
            bail!("a benchmark speaks plain http, without a path: http://HOST:PORT");
        };
        let port = authority.port_u16().unwrap_or(80);
        Ok(Target { authority: format!("{}:{port}", authority.host()), key: key.to_owned() })
    }
}

impl Sent {
    /// A request without a body.
    pub(crate) fn get(path: &str) -> anyhow::Result<Sent> {
        let uri = path.parse().with_context(|| format!("{path} is no path"))?;
        Ok(Sent { method: Method::GET, uri, content_type: "", body: Bytes::new() })
    }

    /// A request with a body.
    pub(crate) fn post(path: &'static str, content_type: &'static str, body: Bytes) -> Sent {
        Sent { method: Method::POST, uri: Uri::from_static(path), content_type, body }
    }
}

impl Connection {
    /// Opens a connection.
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Connection> {
        let unreachable = || format!("can't reach {}", target.authority);
        let stream = TcpStream::connect(&target.authority).await.with_context(unreachable)?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.with_context(unreachable)?;
        // Ends when the sender is dropped; its error is what the sender reports too.
        tokio::spawn(connection);
        let authorization = HeaderValue::from_str(&format!("Bearer {}", target.key)).context("the key is no key")?;
        Ok(Connection { sender, host: HeaderValue::from_str(&target.authority)?, authorization })
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn send(&mut self, sent: &Sent) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::new(Full::new(sent.body.clone()));
        *request.method_mut() = sent.method.clone();
        *request.uri_mut() = sent.uri.clone();
        let headers = request.headers_mut();
        headers.insert(http::header::HOST, self.host.clone());
        headers.insert(http::header::AUTHORIZATION, self.authorization.clone());
        if !sent.content_type.is_empty() {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(sent.content_type));
        }
        let answered = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>((head.status, body.collect().await?.to_bytes()))
        };
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, answered).await;
        answered.context("the server did not answer in time")?.context("the server broke the connection off")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_plain_http_without_a_path() {
        for (url, expect) in [
            ("http://127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("http://log.example.com", Some("log.example.com:80")),
            ("http://[::1]:81", Some("[::1]:81")),
            ("https://log.example.com", None),
            ("http://log.example.com/annals", None),
        ] {
            assert_eq!(Target::of_url(url, "k").ok().map(|target| target.authority).as_deref(), expect, "{url}");
        }
    }
}

//! A server in memory, its clock, and those who ask it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use annals::config::AdminKey;
use annals::http::{App, router};
use annals_ledger::{Clock, Ledger, Options};
use annals_model::Time;
use annals_store::{MemoryBlobs, MemoryJournal};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// The key in the environment.
pub(crate) const OPERATOR: &str = "the-operators-key-of-some-length";
/// What the clock shows at the start: 2026-11-20T09:46:08Z.
pub(crate) const START_S: i64 = 1_795_167_968;

/// A clock that stands still until it is moved.
pub(crate) struct TestClock {
    now_us: AtomicI64,
    elapsed_us: AtomicU64,
    /// What passes with every look at it.
    hurry_us: AtomicU64,
}

impl TestClock {
    /// Lets so much time pass with every look at it, from now on.
    pub(crate) fn hurry(&self, us: u64) {
        self.hurry_us.store(us, Relaxed);
    }

    /// Lets seconds pass.
    pub(crate) fn pass(&self, seconds: u32) {
        self.now_us.fetch_add(i64::from(seconds) * 1_000_000, Relaxed);
        self.elapsed_us.fetch_add(u64::from(seconds) * 1_000_000, Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time::from_us(self.now_us.load(Relaxed))
    }
    fn elapsed_us(&self) -> u64 {
        self.elapsed_us.fetch_add(self.hurry_us.load(Relaxed), Relaxed)
    }
}

/// A server with the organizations `acme` and `globex`, and the keys that the tests need.
pub(crate) struct Server {
    router: Router,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) ledger: Ledger,
    pub(crate) blobs: Arc<MemoryBlobs>,
    /// Of acme, with one scope each.
    pub(crate) reader: String,
    pub(crate) writer: String,
    pub(crate) admin: String,
    /// Of globex, with all scopes.
    pub(crate) foreigner: String,
    /// For all organizations, with one scope each.
    pub(crate) reader_of_all: String,
    pub(crate) writer_of_all: String,
}

/// A request to be.
pub(crate) struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::sealing(annals_ledger::SEAL_EVENTS).await
    }

    /// A server that seals after so many events.
    pub(crate) async fn sealing(seal_events: u64) -> Server {
        let clock = Arc::new(TestClock {
            now_us: AtomicI64::new(START_S * 1_000_000),
            elapsed_us: AtomicU64::new(0),
            hurry_us: AtomicU64::new(0),
        });
        let options = Options { server_name: Some("test".into()), seal_events, ..Options::default() };
        let blobs = Arc::new(MemoryBlobs::new());
        let ledger = Ledger::open(Arc::new(MemoryJournal::new()), blobs.clone(), clock.clone(), options);
        let ledger = ledger.expect("opens");
        let app = App::new(ledger.clone(), clock.clone(), Some(&AdminKey::new(OPERATOR).expect("long enough")));
        let none = String::new;
        let mut server = Server {
            router: router(app),
            clock,
            ledger,
            blobs,
            reader: none(),
            writer: none(),
            admin: none(),
            foreigner: none(),
            reader_of_all: none(),
            writer_of_all: none(),
        };
        for id in ["acme", "globex"] {
            let made = server.send(post("/v1/organizations", json!({ "id": id })).key(OPERATOR)).await;
            assert_eq!(made.status, 201, "{made:?}");
        }
        server.reader = server.make_key(json!({"organization":"acme","name":"reader","scopes":["read"]})).await;
        server.writer = server.make_key(json!({"organization":"acme","name":"writer","scopes":["append"]})).await;
        server.admin = server.make_key(json!({"organization":"acme","name":"admin","scopes":["admin"]})).await;
        let all = json!({"organization":"globex","name":"foreigner","scopes":["append","read","admin"]});
        server.foreigner = server.make_key(all).await;
        server.reader_of_all = server.make_key(json!({"name":"reads all","scopes":["read"]})).await;
        server.writer_of_all = server.make_key(json!({"name":"writes all","scopes":["append"]})).await;
        server
    }

    /// Makes a key and gives its text.
    pub(crate) async fn make_key(&self, new: Value) -> String {
        let made = self.send(post("/v1/keys", new).key(OPERATOR)).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["key"].as_str().expect("a key").to_owned()
    }

    pub(crate) async fn send(&self, ask: Ask) -> Reply {
        let mut request = Request::new(Body::from(ask.body));
        *request.method_mut() = ask.method;
        *request.uri_mut() = ask.path.parse().expect("a path");
        *request.headers_mut() = ask.headers;
        let response = self.router.clone().oneshot(request).await.expect("always answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Appends events to acme with its writer's key.
    pub(crate) async fn append(&self, events: Value) -> Reply {
        self.send(post("/v1/events", events).key(&self.writer)).await
    }

    /// How many events each log has, and how many organizations and keys there are.
    pub(crate) async fn counts(&self) -> Vec<u64> {
        let mut counts = Vec::new();
        for organization in ["acme", "globex", "_system"] {
            let path = format!("/v1/events?limit=1&organization={organization}");
            let page = self.send(get(&path).key(OPERATOR)).await;
            counts.push(page.json()["total"].as_u64().expect("a total"));
        }
        counts.push(self.ledger.organizations().len() as u64);
        counts.push(self.ledger.keys().len() as u64);
        counts
    }

    /// The newest event of the server's own log.
    pub(crate) async fn last_of_system(&self) -> Value {
        let page = self.send(get("/v1/events?organization=_system&limit=1").key(OPERATOR)).await;
        page.json()["events"][0].clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ledger.close();
    }
}

pub(crate) fn ask(method: &str, path: &str) -> Ask {
    let method = method.parse().expect("a method");
    Ask { method, path: path.to_owned(), headers: HeaderMap::new(), body: Vec::new() }
}

pub(crate) fn get(path: &str) -> Ask {
    ask("GET", path)
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, body: Value) -> Ask {
    ask("POST", path).json(body)
}

/// A request with any body.
pub(crate) fn raw(path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Ask {
    ask("POST", path).header("content-type", content_type).body(body)
}

impl Ask {
    pub(crate) fn key(self, key: &str) -> Ask {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Ask {
        self.headers.append(name, value.parse().expect("a header's value"));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Ask {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: Value) -> Ask {
        self.header("content-type", "application/json").body(body.to_string())
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The code and member of an error of the native API.
    pub(crate) fn error(&self) -> (String, Option<String>) {
        let error = &self.json()["error"];
        let text = |name: &str| error[name].as_str().map(str::to_owned);
        assert!(text("message").is_some_and(|message| !message.is_empty()), "{self:?}");
        (text("code").expect("a code"), text("member"))
    }

    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> &Reply {
        assert_eq!(self.status, status.as_u16(), "{}", self.text());
        self
    }
}

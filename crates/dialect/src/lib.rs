//! The audit-log APIs of five vendors, as pure functions between HTTP requests and calls, and
//! between outcomes and answers; and the records of others that are read only.
//!
//! **Invariant:** no dialect touches storage, a clock, the environment or a status code; what it
//! can't know comes in a [`Context`].
//! **Invariant:** one folder per vendor; none uses another's.

mod answer;
mod asked;
pub mod cloudtrail;
mod context;
mod kept;
mod launchdarkly;
mod nirvana;
mod portkey;
mod read;
mod request;
mod shown;
mod turso;
mod upstash;

pub use answer::{Answer, Encoder, Stream};
pub use context::{ActionNumber, Context};
pub use request::{Credential, Request};

use annals_model::{Call, Fault, NewEvent, Outcome, Time};

/// A route of a dialect: its method and its path in the form `/v1/audit_logs/{id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with names of segments in braces.
    pub path: &'static str,
}

/// One vendor's audit-log API.
///
/// A request passes through in this order: [`Dialect::credential`] says who asks, [`Dialect::about_key`]
/// answers what no log is needed for, [`Dialect::organization`] says what organization it names,
/// [`Dialect::decode`] what is asked for, [`Dialect::encode`] how that is answered. A [`Fault`] from any of them, from the ledger or from
/// the server itself is answered with [`Dialect::encode_fault`].
pub trait Dialect: Send + Sync {
    /// The vendor's name as a path segment, such as `turso`.
    fn name(&self) -> &'static str;

    /// The routes, served as they are and once more under `/<name>`.
    fn routes(&self) -> &'static [Route];

    /// Who asks.
    ///
    /// # Errors
    ///
    /// An unauthorized fault if the request carries no credential of the vendor's form.
    fn credential(&self, request: &Request) -> Result<Credential, Fault>;

    /// How a request that asks about its key alone is answered, where it is one; it needs no organization.
    ///
    /// # Errors
    ///
    /// An internal fault if the answer can't be written.
    fn about_key(&self, _request: &Request, _key_expires: Option<Time>) -> Result<Option<Answer>, Fault> {
        Ok(None)
    }

    /// The organization that the request itself names, by id or alias.
    fn organization<'r>(&self, request: &'r Request) -> Option<&'r str> {
        request.query("organization")
    }

    /// What is asked for.
    ///
    /// # Errors
    ///
    /// An invalid-request fault that names the parameter; a not-entitled one where the
    /// organization's plan does not include the audit log.
    fn decode(&self, request: &Request, context: &Context) -> Result<Call, Fault>;

    /// How the outcome of the call that [`Dialect::decode`] made of this request is answered.
    ///
    /// # Errors
    ///
    /// An internal fault if a stored event can't be read.
    fn encode(&self, request: &Request, context: &Context, outcome: &Outcome) -> Result<Answer, Fault>;

    /// How an export that [`Dialect::decode`] asked for is answered; none for a vendor whose lists
    /// come in pages.
    fn stream(&self, _context: &Context) -> Option<Stream> {
        None
    }

    /// The member of a list's answer that holds its entries; none where the answer is a bare list.
    fn entries(&self) -> Option<&'static str>;

    /// Reads one entry as the vendor's API returns it: what this dialect shows of the event is the same JSON,
    /// but for whose log it is.
    ///
    /// # Errors
    ///
    /// An invalid-request fault if it is no object or claims one of the server's own actions, a limit fault
    /// if an event can't hold it.
    fn read(&self, entry: serde_json::Value) -> Result<NewEvent, Fault>;

    /// The body of a refusal or failure.
    fn encode_fault(&self, fault: &Fault) -> Vec<u8>;
}

impl PartialEq for dyn Dialect {
    /// A name is one dialect's alone.
    fn eq(&self, other: &dyn Dialect) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Dialect {}

impl std::fmt::Debug for dyn Dialect {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// All dialects.
#[must_use]
pub fn all() -> [&'static dyn Dialect; 5] {
    [&upstash::Upstash, &nirvana::Nirvana, &turso::Turso, &portkey::Portkey, &launchdarkly::LaunchDarkly]
}

/// The dialect of a name.
#[must_use]
pub fn of_name(name: &str) -> Option<&'static dyn Dialect> {
    all().into_iter().find(|dialect| dialect.name() == name)
}

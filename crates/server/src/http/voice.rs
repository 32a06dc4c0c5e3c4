//! Whose API a path belongs to, and so in whose form a refusal is put.

use annals_dialect::Dialect;
use annals_model::Fault;

use super::native;

/// Whose API.
#[derive(Clone, Copy)]
pub(crate) enum Voice {
    /// Our own.
    Native,
    /// A vendor's.
    Dialect(&'static dyn Dialect),
}

/// How a vendor's clients send their key: the name of the security scheme in the description, and
/// the challenge in an answer of 401.
const CREDENTIALS: [(&str, &str, &str); 3] = [
    ("upstash", "basic", "Basic realm=\"annals\", charset=\"UTF-8\""),
    ("portkey", "portkey", "Bearer realm=\"annals\""),
    ("launchdarkly", "token", "Bearer realm=\"annals\""),
];
const BEARER: (&str, &str) = ("bearer", "Bearer realm=\"annals\"");

impl Voice {
    /// The body of a refusal.
    pub(crate) fn encode_fault(self, fault: &Fault) -> Vec<u8> {
        match self {
            Voice::Native => native::fault::encode(fault),
            Voice::Dialect(dialect) => dialect.encode_fault(fault),
        }
    }

    /// The value of `WWW-Authenticate`, which an answer of 401 must have.
    pub(crate) fn challenge(self) -> &'static str {
        self.credential().1
    }

    /// The name of the security scheme in the description of the API.
    pub(crate) fn security(self) -> &'static str {
        self.credential().0
    }

    /// What the log calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Voice::Native => "annals",
            Voice::Dialect(dialect) => dialect.name(),
        }
    }

    fn credential(self) -> (&'static str, &'static str) {
        let found = CREDENTIALS.iter().find(|(name, ..)| *name == self.name());
        found.map_or(BEARER, |(_, scheme, challenge)| (scheme, challenge))
    }
}

//! Why a call was refused or failed: all that a caller may learn.
//!
//! **Invariant:** a message never holds a key, and quotes of an event only the names of members.

/// A refusal or failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Its kind, which fixes the status and the code in every dialect.
    pub kind: FaultKind,
    /// What is wrong, where, and what to do about it.
    pub message: String,
    /// Where in what was handed in.
    pub location: Option<Location>,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The request is malformed. Nothing was stored.
    Invalid,
    /// A limit on what one request may hold is exceeded. Nothing was stored.
    Limit,
    /// The body or an event is too large. Nothing was stored.
    TooLarge,
    /// No key, or none that is known.
    Unauthorized,
    /// The organization's plan does not include this.
    NotEntitled,
    /// The key is known but may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// There is such a route, but not with this method.
    MethodNotAllowed,
    /// There is something else by that name. Nothing was stored.
    Conflict,
    /// More is waiting than the server takes. Nothing was stored; try again later.
    Busy {
        /// After so many seconds.
        retry_after_s: u32,
    },
    /// The key's rate is used up. Nothing was stored; try again later.
    RateLimited {
        /// After so many seconds.
        retry_after_s: u32,
    },
    /// The query took longer than it may; ask for less.
    Deadline,
    /// The store can't be written to or read from now; nothing was stored unless the message says
    /// that it isn't known.
    Unavailable,
    /// A defect or damage; the log has the details.
    Internal,
}

/// Where in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The event, from 0, in a batch.
    pub event: Option<usize>,
    /// The member, such as `targets.0.id`, or the parameter.
    pub member: Option<String>,
    /// The line, from 1, of the body.
    pub line: Option<usize>,
    /// The column, from 1, of that line.
    pub column: Option<usize>,
}

impl Fault {
    /// A fault of a kind.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into(), location: None }
    }

    /// A malformed request.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Invalid, message)
    }

    /// A limit exceeded: `what` is counted, at most `max` are taken, `value` came.
    #[must_use]
    pub fn limit(what: &str, max: usize, value: usize) -> Fault {
        Fault::new(FaultKind::Limit, format!("{what}: at most {max} are taken, {value} came"))
    }

    /// A size exceeded: `what` may have at most `max` bytes and has `value`, or more where it was
    /// not read to its end.
    #[must_use]
    pub fn too_large(what: &str, max_bytes: usize, value_bytes: usize) -> Fault {
        Fault::new(FaultKind::TooLarge, format!("{what} has {value_bytes} bytes, and at most {max_bytes} are taken"))
    }

    /// Nothing by that name.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::NotFound, message)
    }

    /// Known, but not allowed.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Forbidden, message)
    }

    /// Something else by that name.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Conflict, message)
    }

    /// A defect or damage.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Internal, message)
    }

    /// The same fault with a place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Fault {
        self.location = Some(location);
        self
    }

    /// The same fault with the member or parameter concerned.
    #[must_use]
    pub fn at_member(mut self, member: impl Into<String>) -> Fault {
        self.location.get_or_insert_default().member = Some(member.into());
        self
    }

    /// The same fault with the event concerned, from 0.
    #[must_use]
    pub fn at_event(mut self, event: usize) -> Fault {
        self.location.get_or_insert_default().event = Some(event);
        self
    }

    /// After how many seconds it is worth trying again, where that is so.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u32> {
        match self.kind {
            FaultKind::Busy { retry_after_s } | FaultKind::RateLimited { retry_after_s } => Some(retry_after_s),
            FaultKind::Unavailable => Some(1),
            _ => None,
        }
    }
}

//! From a JSON value to an event: the fixed vocabulary, and nothing else.
//!
//! **Invariant:** what is unknown at the top level, in `actor`, `request`, a target or an access
//! is refused by name, so that nothing handed in is dropped unseen.

pub(crate) mod plain;

use std::net::IpAddr;

use crate::event::{Access, Actor, Content, NewEvent, Request, Target};
use crate::{Fault, Location, Object, Time, Value, limits};

/// Reads an event as handed in.
///
/// # Errors
///
/// An invalid-request or limit fault that names the member.
pub fn parse_content(value: Value) -> Result<NewEvent, Fault> {
    checked(read(value)?)
}

/// Reads an event as stored: limits held then, whatever they are now.
///
/// # Errors
///
/// An invalid-request fault that names the member.
pub(crate) fn parse_stored(value: Value) -> Result<Content, Fault> {
    let new = read(value)?;
    Ok(Content { id: new.id.unwrap_or_default(), ..new.content })
}

impl Content {
    /// Checks the limits on what an event says; what reads events from other forms need not know
    /// them.
    ///
    /// # Errors
    ///
    /// An invalid-request or limit fault that names the member.
    pub fn check(&self) -> Result<(), Fault> {
        if !self.id.is_empty() {
            within("id", &self.id, limits::ID_CHARS_MAX)?;
        }
        within("action", &self.action, limits::ACTION_CHARS_MAX)?;
        let targets = self.targets.len();
        if targets > limits::TARGETS_MAX {
            return Err(Fault::limit("targets of one event", limits::TARGETS_MAX, targets).at_member("targets"));
        }
        if let Some(at) = self.targets.iter().position(Target::is_empty) {
            return Err(invalid(&format!("targets.{at}"), "is empty: a target has a type, an id or a name"));
        }
        let request = &self.request;
        if request.status.is_some_and(|status| status > limits::STATUS_MAX) {
            return Err(invalid("request.status", &format!("must be a whole number from 0 to {}", limits::STATUS_MAX)));
        }
        if request.client_ip.as_ref().is_some_and(|text| text.parse::<IpAddr>().is_err()) {
            return Err(invalid("request.client_ip", "is not an IPv4 or IPv6 address"));
        }
        let top = [("changes", &self.changes), ("data", &self.data), ("vendor", &self.vendor)];
        let nested =
            [("request.query", &request.query), ("request.headers", &request.headers), ("request.body", &request.body)];
        for ((member, value), above) in top.map(|value| (value, 1)).into_iter().chain(nested.map(|value| (value, 2))) {
            let depth = value.as_ref().map_or(0, Value::depth) + above;
            if depth > limits::JSON_DEPTH_MAX {
                return Err(Fault::limit(
                    &format!("levels down to the innermost of {member}"),
                    limits::JSON_DEPTH_MAX,
                    depth,
                )
                .at_member(member));
            }
        }
        Ok(())
    }
}

fn checked(new: NewEvent) -> Result<NewEvent, Fault> {
    if let Some(id) = &new.id {
        within("id", id, limits::ID_CHARS_MAX)?;
    }
    new.content.check()?;
    Ok(new)
}

fn read(value: Value) -> Result<NewEvent, Fault> {
    let mut members = Members::of(value, String::new())?;
    let id = members.text("id")?;
    let action = members
        .text("action")?
        .ok_or_else(|| invalid("action", "is required: what was done, such as \"flag.update\""))?;
    let new = NewEvent {
        organization: members.text("organization")?,
        id,
        content: Content {
            id: String::new(),
            action,
            time_occurred: members.time("time_occurred")?,
            actor: members.object("actor", actor)?.unwrap_or_default(),
            targets: members.list("targets", target)?,
            accesses: members.list("accesses", access)?,
            request: members.object("request", request)?.unwrap_or_default(),
            origin: members.text("origin")?,
            workspace: members.text("workspace")?,
            title: members.text("title")?,
            description: members.text("description")?,
            summary: members.text("summary")?,
            reason: members.text("reason")?,
            notes: members.text("notes")?,
            changes: members.take("changes"),
            time_expires: members.time("time_expires")?,
            data: members.take("data"),
            vendor: members.take("vendor"),
        },
    };
    members.end()?;
    Ok(new)
}

fn actor(members: &mut Members) -> Result<Actor, Fault> {
    Ok(Actor {
        kind: members.text("type")?,
        id: members.text("id")?,
        name: members.text("name")?,
        email: members.text("email")?,
    })
}

fn target(members: &mut Members) -> Result<Target, Fault> {
    Ok(Target { kind: members.text("type")?, id: members.text("id")?, name: members.text("name")? })
}

fn access(members: &mut Members) -> Result<Access, Fault> {
    let mut required = |name| {
        members
            .text(name)?
            .ok_or_else(|| invalid(&members.member(name), "is required: an access has an action and a resource"))
    };
    Ok(Access { action: required("action")?, resource: required("resource")? })
}

fn request(members: &mut Members) -> Result<Request, Fault> {
    Ok(Request {
        id: members.text("id")?,
        method: members.text("method")?,
        path: members.text("path")?,
        query: members.take("query"),
        headers: members.take("headers"),
        body: members.take("body"),
        status: members.status()?,
        client_ip: members.text("client_ip")?,
        user_agent: members.text("user_agent")?,
        country: members.text("country")?,
        city: members.text("city")?,
        latitude: members.text("latitude")?,
        longitude: members.text("longitude")?,
    })
}

fn within(member: &str, text: &str, chars_max: usize) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(invalid(member, "is empty"));
    }
    // A text has at most as many characters as bytes.
    if text.len() > chars_max {
        let chars = text.chars().count();
        if chars > chars_max {
            return Err(Fault::limit(&format!("characters of {member}"), chars_max, chars).at_member(member));
        }
    }
    Ok(())
}

fn invalid(member: &str, what: &str) -> Fault {
    let name = if member.is_empty() { "the event" } else { member };
    Fault::invalid(format!("{name} {what}")).at(Location { member: Some(member.to_owned()), ..Location::default() })
}

/// The members of one object that have not been taken yet.
struct Members {
    rest: Object,
    path: String,
}

impl Members {
    fn of(value: Value, path: String) -> Result<Members, Fault> {
        match value {
            Value::Object(rest) => Ok(Members { rest, path }),
            other => Err(invalid(&path, &format!("must be an object, not {}", other.kind()))),
        }
    }

    /// The full name of a member.
    fn member(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a value that says something.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name).filter(|value| !value.is_nothing())
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(invalid(&self.member(name), &format!("must be a text, not {}", other.kind()))),
        }
    }

    fn time(&mut self, name: &str) -> Result<Option<Time>, Fault> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        Time::parse(&text).map(Some).map_err(|error| invalid(&self.member(name), &error.to_string()))
    }

    fn status(&mut self) -> Result<Option<u16>, Fault> {
        let member = self.member("status");
        match self.take("status") {
            None => Ok(None),
            Some(Value::Number(number))
                if number.fract() == 0.0 && (0.0..=f64::from(limits::STATUS_MAX)).contains(&number) =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "whole and within 0 to STATUS_MAX"
                )]
                let status = number as u16;
                Ok(Some(status))
            }
            Some(_) => Err(invalid(&member, &format!("must be a whole number from 0 to {}", limits::STATUS_MAX))),
        }
    }

    fn object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Members) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let mut members = Members::of(value, self.member(name))?;
        let read = read(&mut members)?;
        members.end()?;
        Ok(Some(read))
    }

    fn list<T>(&mut self, name: &str, read: impl Fn(&mut Members) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let list = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::List(list)) => list,
            Some(other) => {
                return Err(invalid(&self.member(name), &format!("must be a list, not {}", other.kind())));
            }
        };
        let each = |(at, value)| {
            let mut members = Members::of(value, format!("{}.{at}", self.member(name)))?;
            let read = read(&mut members)?;
            members.end()?;
            Ok(read)
        };
        list.into_iter().enumerate().map(each).collect()
    }

    /// Refuses what nobody took.
    fn end(&self) -> Result<(), Fault> {
        match self.rest.iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                Err(invalid(&self.member(name), "is not a member of an event; what fits nowhere else goes into data"))
            }
        }
    }
}

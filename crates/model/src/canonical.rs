//! The canonical text of an event, and where each member's value lies in it.
//!
//! **Invariant:** the text is the event's JCS form (RFC 8785), so that a member's JCS form is a
//! slice of it; members are in ascending byte order of their names.
//! **Invariant:** what was absent, `null`, `{}` or `[]` at the top level or in `actor`, `request`
//! and targets leaves no trace.

use std::borrow::Cow;
use std::ops::Range;

use crate::value::write_text;
use crate::{Access, Actor, Content, Request, Target, Time, Value};

/// An event's canonical text with its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Canonical {
    /// The text, UTF-8.
    pub text: Vec<u8>,
    /// The members, in ascending byte order of their names.
    pub members: Vec<Member>,
}

/// One member: the unit of commitment and of erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Such as `action`, `actor.name` or `targets.0.id`.
    pub name: Cow<'static, str>,
    /// Where its value's canonical text lies.
    pub range: Range<usize>,
}

impl Canonical {
    pub(crate) fn of(content: &Content) -> Canonical {
        let mut canonical = Canonical { text: Vec::with_capacity(1_024), members: Vec::with_capacity(24) };
        canonical.refill(content);
        canonical
    }

    /// Makes it another event's, in the same memory.
    pub fn refill(&mut self, content: &Content) {
        self.text.clear();
        self.members.clear();
        let Canonical { text, members } = self;
        Writer { text, members, fresh: true }.content(content);
        // Texts order targets by number, names by bytes: `targets.10.id` comes before `targets.2.id`.
        if content.targets.len() > 10 {
            members.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    /// Each member's name and the canonical text of its value.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        // The ranges were cut from this text, so the fallback is never taken.
        self.members.iter().map(|member| (&*member.name, self.text.get(member.range.clone()).unwrap_or_default()))
    }

    /// Whether an event's canonical text has the member `time_occurred`.
    pub(crate) fn has_time_occurred(text: &[u8]) -> bool {
        // `data` and others may hold a member of this name too, so only the top level is looked at.
        TopLevel { text, at: 1 }.any(|name| name == b"time_occurred")
    }
}

/// The names of the top level of a canonical object.
struct TopLevel<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Iterator for TopLevel<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let rest = self.text.get(self.at..)?;
        let rest = rest.strip_prefix(b"\"")?;
        let length = memchr::memchr(b'"', rest)?;
        let name = rest.get(..length)?;
        let value_at = self.at + length + 3;
        self.at = value_at + value_length(self.text.get(value_at..)?) + 1;
        Some(name)
    }
}

/// The length of the value that a canonical text begins with.
fn value_length(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += text_length(text.get(at + 1..).unwrap_or_default()),
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// How far behind its opening quote a text's closing quote lies.
fn text_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if text.get(at - 1) == Some(&b'"') {
            return at;
        }
        at += 1;
    }
    text.len()
}

struct Writer<'c> {
    text: &'c mut Vec<u8>,
    members: &'c mut Vec<Member>,
    /// Whether nothing has been written yet in the object that is open.
    fresh: bool,
}

#[derive(Clone, Copy)]
enum TargetMember {
    Id,
    Name,
    Type,
}

impl TargetMember {
    fn key(self) -> &'static str {
        match self {
            TargetMember::Id => "id",
            TargetMember::Name => "name",
            TargetMember::Type => "type",
        }
    }

    /// The names that are needed most, so that they need not be put together.
    fn of_first_targets(self) -> [&'static str; 4] {
        match self {
            TargetMember::Id => ["targets.0.id", "targets.1.id", "targets.2.id", "targets.3.id"],
            TargetMember::Name => ["targets.0.name", "targets.1.name", "targets.2.name", "targets.3.name"],
            TargetMember::Type => ["targets.0.type", "targets.1.type", "targets.2.type", "targets.3.type"],
        }
    }
}

impl Writer<'_> {
    fn content(&mut self, content: &Content) {
        self.open();
        self.value_with("accesses", "accesses", (!content.accesses.is_empty()).then_some(&*content.accesses), accesses);
        self.text("action", "action", Some(&content.action));
        self.actor(&content.actor);
        self.value("changes", "changes", content.changes.as_ref());
        self.value("data", "data", content.data.as_ref());
        self.text("description", "description", content.description.as_ref());
        self.text("id", "id", Some(&content.id));
        self.text("notes", "notes", content.notes.as_ref());
        self.text("origin", "origin", content.origin.as_ref());
        self.text("reason", "reason", content.reason.as_ref());
        self.request(&content.request);
        self.text("summary", "summary", content.summary.as_ref());
        self.targets(&content.targets);
        self.time("time_expires", content.time_expires);
        self.time("time_occurred", content.time_occurred);
        self.text("title", "title", content.title.as_ref());
        self.value("vendor", "vendor", content.vendor.as_ref());
        self.text("workspace", "workspace", content.workspace.as_ref());
        self.text.push(b'}');
    }

    fn actor(&mut self, actor: &Actor) {
        self.nested("actor", |writer| {
            writer.text("actor.email", "email", actor.email.as_ref());
            writer.text("actor.id", "id", actor.id.as_ref());
            writer.text("actor.name", "name", actor.name.as_ref());
            writer.text("actor.type", "type", actor.kind.as_ref());
        });
    }

    fn request(&mut self, request: &Request) {
        self.nested("request", |writer| {
            writer.value("request.body", "body", request.body.as_ref());
            writer.text("request.city", "city", request.city.as_ref());
            writer.text("request.client_ip", "client_ip", request.client_ip.as_ref());
            writer.text("request.country", "country", request.country.as_ref());
            writer.value("request.headers", "headers", request.headers.as_ref());
            writer.text("request.id", "id", request.id.as_ref());
            writer.text("request.latitude", "latitude", request.latitude.as_ref());
            writer.text("request.longitude", "longitude", request.longitude.as_ref());
            writer.text("request.method", "method", request.method.as_ref());
            writer.text("request.path", "path", request.path.as_ref());
            writer.value("request.query", "query", request.query.as_ref());
            writer.value_with("request.status", "status", request.status.as_ref(), |status, out| {
                out.extend_from_slice(itoa::Buffer::new().format(*status).as_bytes());
            });
            writer.text("request.user_agent", "user_agent", request.user_agent.as_ref());
        });
    }

    fn targets(&mut self, targets: &[Target]) {
        if targets.is_empty() {
            return;
        }
        self.key("targets");
        self.text.push(b'[');
        for (at, target) in targets.iter().enumerate() {
            if at > 0 {
                self.text.push(b',');
            }
            self.open();
            self.of_target(at, TargetMember::Id, target.id.as_ref());
            self.of_target(at, TargetMember::Name, target.name.as_ref());
            self.of_target(at, TargetMember::Type, target.kind.as_ref());
            self.text.push(b'}');
        }
        self.text.push(b']');
        self.fresh = false;
    }

    fn of_target(&mut self, at: usize, member: TargetMember, text: Option<&String>) {
        if text.is_some() {
            let key = member.key();
            let first = member.of_first_targets().get(at).copied().map(Cow::Borrowed);
            self.text(first.unwrap_or_else(|| format!("targets.{at}.{key}").into()), key, text);
        }
    }

    /// Opens an object.
    fn open(&mut self) {
        self.text.push(b'{');
        self.fresh = true;
    }

    /// Writes an object as a top-level member, or nothing if nothing comes to stand in it.
    fn nested(&mut self, key: &str, write: impl FnOnce(&mut Writer)) {
        let (length, members, fresh) = (self.text.len(), self.members.len(), self.fresh);
        self.key(key);
        self.open();
        write(self);
        if self.members.len() == members {
            self.text.truncate(length);
            self.fresh = fresh;
        } else {
            self.text.push(b'}');
            self.fresh = false;
        }
    }

    /// Writes a key; what follows is its value.
    fn key(&mut self, key: &str) {
        if !self.fresh {
            self.text.push(b',');
        }
        self.fresh = false;
        self.text.push(b'"');
        self.text.extend_from_slice(key.as_bytes());
        self.text.extend_from_slice(b"\":");
    }

    fn value_with<T: ?Sized>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        key: &str,
        value: Option<&T>,
        write: impl FnOnce(&T, &mut Vec<u8>),
    ) {
        let Some(value) = value else { return };
        self.key(key);
        let start = self.text.len();
        write(value, self.text);
        self.members.push(Member { name: name.into(), range: start..self.text.len() });
    }

    fn text(&mut self, name: impl Into<Cow<'static, str>>, key: &str, text: Option<&String>) {
        self.value_with(name, key, text, |text, out| write_text(text, out));
    }

    fn value(&mut self, name: &'static str, key: &str, value: Option<&Value>) {
        self.value_with(name, key, value.filter(|value| !value.is_nothing()), Value::write);
    }

    fn time(&mut self, key: &'static str, time: Option<Time>) {
        self.value_with(key, key, time.as_ref(), |time, out| {
            out.push(b'"');
            time.write(out);
            out.push(b'"');
        });
    }
}

fn accesses(accesses: &[Access], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, access) in accesses.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"action\":");
        write_text(&access.action, out);
        out.extend_from_slice(b",\"resource\":");
        write_text(&access.resource, out);
        out.push(b'}');
    }
    out.push(b']');
}

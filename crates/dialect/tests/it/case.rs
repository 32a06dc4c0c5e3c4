//! One golden case: a folder with a request, the world it meets, and what comes of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_dialect::{Answer, Context, Dialect, Request, Route};
use annals_model::{Call, Event, Fault, FaultKind, Organization, Time};
use serde::Deserialize;

use crate::log::{Answered, Log};
use crate::route::{Arrived, arrive};

/// What a case is made of.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) settings: Settings,
    pub(crate) context: Context,
    pub(crate) arrived: Arrived,
    pub(crate) log: Log,
}

/// A `case.json`.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The server's clock; `2026-11-20T12:00:00Z` without it.
    now: Option<Time>,
    /// When the key expires.
    key_expires: Option<Time>,
    /// Catalogue numbers; an action that isn't listed has the number 1.
    action_numbers: BTreeMap<String, u64>,
    /// What the ledger or the server answers in place of what the events come to.
    fault: Option<SetFault>,
    /// Formats of the schema that this case's values don't keep to, with the reason.
    pub(crate) lifted_formats: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFault {
    kind: String,
    message: String,
    #[serde(default)]
    retry_after_s: u32,
}

/// What comes of a case.
pub(crate) struct Result {
    /// The stable text of what was asked for.
    pub(crate) call: String,
    /// The route, if the answer is a success.
    pub(crate) success: Option<Route>,
    /// The answer.
    pub(crate) answer: Answer,
}

impl Case {
    /// All cases of a dialect, in the order of their names.
    pub(crate) fn all(dialect: &'static dyn Dialect) -> Vec<Case> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(dialect.name());
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return Vec::new();
        };
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
        folders.sort();
        folders.into_iter().map(|folder| Case::read(dialect, folder)).collect()
    }

    fn read(dialect: &'static dyn Dialect, folder: PathBuf) -> Case {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let parse = |name: &str, error| -> ! { panic!("{}/{name}: {error}", folder.display()) };
        let settings = text("case.json").map_or_else(Settings::default, |text| {
            serde_json::from_str(&text).unwrap_or_else(|error| parse("case.json", error))
        });
        let organization = text("organization.json").map_or_else(acme, |text| {
            serde_json::from_str(&text).unwrap_or_else(|error| parse("organization.json", error))
        });
        let log = Log::parse(&organization.id, &text("events.ndjson").unwrap_or_default());
        let numbers = settings.action_numbers.clone();
        let context = Context {
            now: settings.now.unwrap_or_else(|| Time::parse("2026-11-20T12:00:00Z").expect("a time")),
            organization: Arc::new(organization),
            key_expires: settings.key_expires,
            action_number: Arc::new(move |action| Some(numbers.get(action).copied().unwrap_or(1))),
        };
        let arrived = arrive(dialect, &folder.join("request.http"));
        Case { folder, dialect, settings, context, arrived, log }
    }

    /// The call, if the case comes to one.
    pub(crate) fn call(&self) -> std::result::Result<Call, Fault> {
        self.dialect.decode(&self.arrived.request, &self.context)
    }

    /// What comes of it.
    pub(crate) fn run(&self) -> Result {
        let mut call = String::new();
        let answered = self.answer(&mut call);
        if let Err(fault) = &answered {
            let _ = writeln!(call, "fault: {:?}: {}", fault.kind, fault.message);
            if let Some(member) = fault.location.as_ref().and_then(|location| location.member.as_ref()) {
                let _ = writeln!(call, "member: {member}");
            }
        }
        let (success, answer) = match answered {
            Ok((route, answer)) => (Some(route), answer),
            Err(fault) => (None, Answer { body: self.dialect.encode_fault(&fault), headers: Vec::new() }),
        };
        Result { call, success, answer }
    }

    /// The way of a request through a server.
    fn answer(&self, call: &mut String) -> std::result::Result<(Route, Answer), Fault> {
        let request = &self.arrived.request;
        let route = self.arrived.route.clone()?;
        let _ = writeln!(call, "route: {} {}", route.method, route.path);
        let credential = self.dialect.credential(request)?;
        let _ = writeln!(call, "credential: key {:?}, email {:?}", credential.key, credential.email);
        if let Some(answer) = self.dialect.about_key(request, self.context.key_expires)? {
            let _ = writeln!(call, "about the key");
            return Ok((route, answer));
        }
        let organization = self.dialect.organization(request);
        let _ = writeln!(call, "organization: {organization:?}");
        let own = [self.context.organization.id.as_str(), self.context.organization_shown(self.dialect.name())];
        if organization.is_some_and(|name| !own.contains(&name)) {
            return Err(Fault::forbidden("the key is not for this organization"));
        }
        let asked = self.call()?;
        let _ = writeln!(call, "{asked:#?}");
        if let Some(fault) = &self.settings.fault {
            return Err(fault.fault());
        }
        let answer = match self.log.answer(&asked)? {
            Answered::Outcome(outcome) => self.dialect.encode(request, &self.context, &outcome)?,
            Answered::Export(events) => streamed(self.dialect, &self.context, &events)?,
        };
        Ok((route, answer))
    }
}

/// An export's answer, put together.
pub(crate) fn streamed(
    dialect: &dyn Dialect,
    context: &Context,
    events: &[Event],
) -> std::result::Result<Answer, Fault> {
    let stream = dialect.stream(context).expect("a dialect that asks for an export streams it");
    let mut body = stream.head.to_vec();
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            body.extend_from_slice(stream.separator);
        }
        (stream.each)(event, &mut body)?;
    }
    body.extend_from_slice(stream.tail);
    Ok(Answer { body, headers: Vec::new() })
}

/// The request and route of the first case of each route that comes to a call.
pub(crate) fn valid_requests(dialect: &'static dyn Dialect) -> Vec<(Route, Request, Context)> {
    let mut found: Vec<(Route, Request, Context)> = Vec::new();
    for case in Case::all(dialect) {
        if let Ok(route) = case.arrived.route.clone()
            && found.iter().all(|(have, _, _)| *have != route)
            && case.call().is_ok()
        {
            found.push((route, case.arrived.request, case.context));
        }
    }
    found
}

fn acme() -> Organization {
    serde_json::from_str(r#"{"id":"acme","time_created":"2026-01-01T00:00:00Z"}"#).expect("an organization")
}

impl SetFault {
    fn fault(&self) -> Fault {
        let retry_after_s = self.retry_after_s;
        let kind = match self.kind.as_str() {
            "invalid" => FaultKind::Invalid,
            "limit" => FaultKind::Limit,
            "too_large" => FaultKind::TooLarge,
            "unauthorized" => FaultKind::Unauthorized,
            "not_entitled" => FaultKind::NotEntitled,
            "forbidden" => FaultKind::Forbidden,
            "not_found" => FaultKind::NotFound,
            "method_not_allowed" => FaultKind::MethodNotAllowed,
            "conflict" => FaultKind::Conflict,
            "busy" => FaultKind::Busy { retry_after_s },
            "rate_limited" => FaultKind::RateLimited { retry_after_s },
            "unavailable" => FaultKind::Unavailable,
            "internal" => FaultKind::Internal,
            other => panic!("there is no kind of fault called {other}"),
        };
        Fault::new(kind, self.message.clone())
    }
}

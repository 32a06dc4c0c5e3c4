//! From a vendor's entry to an event: the forms that several vendors share.
//!
//! Each dialect puts into members what it understands of an entry; all else is found by comparing the entry
//! with what those members show, and kept ([`crate::kept`]).
//!
//! **Invariant:** no vendor's name is in here, and what only one vendor needs is in its folder.

use std::net::IpAddr;
use std::sync::Arc;

use annals_model::{Content, Event, Fault, Filter, NewEvent, NewOrganization, Time, limits};
use serde_json::{Map, Value as Json};

use crate::Context;
use crate::kept::Vendor;

/// What an event is called whose entry names no action.
const UNKNOWN: &str = "unknown";
/// A day, as the retention of somebody who keeps events.
const RETENTION_DAYS: u32 = 1;

/// An entry that is being read.
pub(crate) struct Entry {
    members: Map<String, Json>,
}

/// Somebody to whom an entry is shown.
pub(crate) struct Stranger {
    pub(crate) context: Context,
    /// When the event was recorded there.
    pub(crate) recorded: Time,
    /// The id it got there, if it had none.
    id: &'static str,
}

impl Entry {
    /// # Errors
    ///
    /// An invalid-request fault for what is no object.
    pub(crate) fn of(entry: Json) -> Result<Entry, Fault> {
        match entry {
            Json::Object(members) => Ok(Entry { members }),
            _ => Err(Fault::invalid("an entry must be an object")),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.members.get(name)
    }

    /// A text that says something.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text(self.members.get(name))
    }

    /// A text that says something, within a member.
    pub(crate) fn part(&self, whole: &str, name: &str) -> Option<String> {
        text(self.members.get(whole).and_then(|whole| whole.get(name)))
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.members.get(name).and_then(Json::as_i64)
    }

    /// A time in RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Option<Time> {
        self.members.get(name)?.as_str().and_then(|text| Time::parse(text).ok())
    }

    /// A time in seconds.
    pub(crate) fn seconds(&self, name: &str) -> Option<Time> {
        let seconds = self.integer(name)?;
        (Time::MIN.s()..=Time::MAX.s()).contains(&seconds).then(|| Time::from_s(seconds))
    }

    /// An address.
    pub(crate) fn address(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| text.parse::<IpAddr>().is_ok())
    }

    /// The status of a response; 0 is none.
    pub(crate) fn status(&self, name: &str) -> Option<u16> {
        let status = u16::try_from(self.integer(name)?).ok()?;
        (1..=limits::STATUS_MAX).contains(&status).then_some(status)
    }

    /// The event's id.
    pub(crate) fn id(&self, name: &str) -> Option<String> {
        self.text(name).filter(|id| id.chars().count() <= limits::ID_CHARS_MAX)
    }

    /// The action; [`UNKNOWN`] where there is none.
    ///
    /// # Errors
    ///
    /// An invalid-request fault if it is one of the server's own.
    pub(crate) fn action(&self, name: &str) -> Result<String, Fault> {
        action(self.text(name)).map_err(|fault| fault.at_member(name))
    }

    /// The event, given what its members are and what they show of it.
    ///
    /// # Errors
    ///
    /// As for [`Vendor::keep`], and what `show` says.
    pub(crate) fn finish(
        self,
        vendor: &Vendor,
        id: Option<String>,
        mut content: Content,
        show: impl Fn(&Stranger, &Content) -> Result<Map<String, Json>, Fault>,
    ) -> Result<NewEvent, Fault> {
        content.check()?;
        let mut shown = Vec::with_capacity(2);
        for stranger in strangers()? {
            content.id = id.clone().unwrap_or_else(|| stranger.id.to_owned());
            shown.push(show(&stranger, &stored(&content)?)?);
        }
        let [shown, again] = shown.try_into().unwrap_or_default();
        content.id = String::new();
        let texts = vendor.texts_of(&content);
        content.vendor = vendor.keep(self.members, [shown, again], texts)?;
        content.check()?;
        Ok(NewEvent { organization: None, id, content })
    }
}

/// What is stored of an event: values that say nothing are not.
fn stored(content: &Content) -> Result<Content, Fault> {
    let event = Event {
        organization: Arc::default(),
        index: 0,
        position: 0,
        time_recorded: Time::default(),
        canonical: content.canonical().text.into(),
    };
    event.content()
}

/// A text that says something.
fn text(value: Option<&Json>) -> Option<String> {
    value.and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// An action; [`UNKNOWN`] where there is none that is short enough.
///
/// # Errors
///
/// An invalid-request fault if it is one of the server's own.
pub(crate) fn action(text: Option<String>) -> Result<String, Fault> {
    if text.as_ref().is_some_and(|text| text.starts_with(Filter::OWN_ACTIONS)) {
        let what = format!("the action begins with {}, as only the server's own do", Filter::OWN_ACTIONS);
        return Err(Fault::invalid(what));
    }
    let fitting = text.filter(|text| (1..=limits::ACTION_CHARS_MAX).contains(&text.chars().count()));
    Ok(fitting.unwrap_or_else(|| UNKNOWN.to_owned()))
}

/// Two who agree on nothing but what an event says.
fn strangers() -> Result<[Stranger; 2], Fault> {
    let organization =
        |retention_days| NewOrganization { id: "o".to_owned(), retention_days, ..NewOrganization::default() };
    let stranger = |retention_days, number, recorded, id| -> Result<Stranger, Fault> {
        let context = Context {
            now: recorded,
            organization: Arc::new(organization(retention_days).accept(Time::default())?),
            key_expires: None,
            action_number: Arc::new(move |_| number),
        };
        Ok(Stranger { context, recorded, id })
    };
    Ok([stranger(None, None, Time::from_s(0), "0")?, stranger(Some(RETENTION_DAYS), Some(1), Time::from_s(1), "1")?])
}

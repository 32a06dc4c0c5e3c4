//! Lists of the administration, and the JSON that it takes.
//!
//! **Invariant:** a list goes by id, so that a page after another neither leaves out nor repeats
//! what was there all along.

use annals_model::{Fault, Location, Value, limits};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{batch, query};
use crate::http::inbound::Inbound;

const LIMIT_DEFAULT: usize = 100;
const VERSION: &str = "1";

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Items<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// What page is asked for.
pub(super) struct Paging {
    kind: &'static str,
    limit: usize,
    after: Option<String>,
}

impl Paging {
    /// Reads the parameters of a list of a kind.
    ///
    /// # Errors
    ///
    /// An invalid-request fault that names the parameter.
    pub(super) fn read(inbound: &Inbound, kind: &'static str) -> Result<Paging, Fault> {
        let [limit, cursor] = inbound.parameters(["limit", "cursor"])?;
        let limit = limit.map(|limit| query::whole("limit", limit, 1, limits::PAGE_EVENTS_MAX)).transpose()?;
        let after = cursor.map(|cursor| decode(kind, cursor)).transpose()?;
        Ok(Paging { kind, limit: limit.unwrap_or(LIMIT_DEFAULT), after })
    }

    /// The page of items that are in ascending order of their ids.
    pub(super) fn page<T>(&self, items: impl IntoIterator<Item = T>, id: impl Fn(&T) -> &str) -> Items<T> {
        let after = self.after.as_deref();
        let mut rest = items.into_iter().filter(|item| after.is_none_or(|after| id(item) > after));
        let items: Vec<T> = rest.by_ref().take(self.limit).collect();
        let more = rest.next().is_some();
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|last| encode(self.kind, id(last)));
        Items { items, next_cursor }
    }
}

fn encode(kind: &str, last: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{VERSION}:{kind}:{last}"))
}

fn decode(kind: &str, cursor: &str) -> Result<String, Fault> {
    let text = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let last = text.as_deref().and_then(|text| text.strip_prefix(VERSION)?.strip_prefix(':')?.strip_prefix(kind));
    let last = last.and_then(|last| last.strip_prefix(':'));
    last.map(str::to_owned).ok_or_else(|| {
        let what = "the cursor is not one of this list: leave it away to begin at the first page";
        Fault::invalid(what).at_member("cursor")
    })
}

/// Reads the JSON of a request to the administration, strictly.
///
/// # Errors
///
/// An invalid-request fault with the place.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    Value::parse(body).map_err(|error| {
        let mut fault = batch::broken(&error);
        fault.location.get_or_insert_default().line = Some(error.line);
        fault
    })?;
    serde_json::from_slice(body).map_err(|error| {
        let said = error.to_string();
        let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(before, _)| before);
        let location = Location { line: Some(error.line()), column: Some(error.column()), ..Location::default() };
        Fault::invalid(message).at(location)
    })
}

/// Writes what always can be written.
pub(super) fn write(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: Option<&str>, limit: usize) -> (Vec<&'static str>, Option<String>) {
        let paging = Paging { kind: "key", limit, after: after.map(str::to_owned) };
        let Items { items, next_cursor } = paging.page(["a", "b", "c"], |id| id);
        (items, next_cursor)
    }

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let (first, next) = page(None, 2);
        let after = decode("key", &next.expect("more")).expect("a cursor");
        assert_eq!((first, after.as_str()), (vec!["a", "b"], "b"));
        assert_eq!(page(Some("b"), 2), (vec!["c"], None));
        assert_eq!(page(None, 3), (vec!["a", "b", "c"], None));
        assert_eq!(page(Some("c"), 3), (vec![], None));
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let cursor = encode("key", "a:b");
        assert_eq!(decode("key", &cursor), Ok("a:b".to_owned()));
        for (kind, cursor) in [("organization", cursor.as_str()), ("key", ""), ("key", "AAAA"), ("key", "%")] {
            assert!(decode(kind, cursor).is_err(), "{kind} {cursor}");
        }
    }
}

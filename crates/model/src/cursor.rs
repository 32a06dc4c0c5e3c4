//! Where a page ended, as an opaque text that a client sends back.
//!
//! **Invariant:** a cursor is good only with the reach, filter and order it was made with; a text
//! that is none, or belongs to others, is refused.
//! **Invariant:** version 1 is readable for ever: pollers keep cursors for months.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Direction, OrderField, PageQuery, Reach, Time, limits};

const VERSION: u8 = 1;
const FLAG_BACKWARD: u8 = 1;
const FLAG_TOTAL: u8 = 2;
const BYTES: usize = 1 + 1 + 4 + 8 + 8 + 8 + 8 + 8 + 2 + 4;

/// Where a page ended, or began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Of the query it belongs to: [`PageQuery::fingerprint`].
    pub fingerprint: u64,
    /// Whose cursor it is: a number of the store that gave it out.
    pub store: u32,
    /// Whether the page before is meant, rather than the one after.
    pub backward: bool,
    /// How many events there were when the list was begun: in the log, or over all logs.
    pub snapshot: u64,
    /// How many of those match, if that was counted.
    pub total: Option<u64>,
    /// The event at the page's edge, `None` before any was seen: its index in a list of one log, so
    /// that nobody learns how much others record, and its position in a list over all.
    pub place: Option<u64>,
    /// Its time as shown.
    pub time: Time,
    /// Its status, 0 where it has none.
    pub status: u16,
}

/// Why a text is not a cursor for this query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It is no cursor at all.
    #[error("the cursor is not one that this server gave out: leave it away to begin at the first page")]
    Malformed,
    /// It belongs to another list.
    #[error(
        "the cursor belongs to a list with another organization, filter or order: send them as on the first page, or leave the cursor away"
    )]
    Foreign,
}

impl Cursor {
    /// The text that a client sends back.
    #[must_use]
    pub fn format(&self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        let flags = if self.backward { FLAG_BACKWARD } else { 0 } | if self.total.is_some() { FLAG_TOTAL } else { 0 };
        bytes.extend_from_slice(&[VERSION, flags]);
        bytes.extend_from_slice(&self.store.to_be_bytes());
        for word in [
            self.fingerprint,
            self.snapshot,
            self.total.unwrap_or(0),
            self.place.map_or(0, |place| place.saturating_add(1)),
        ] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&self.time.us().to_be_bytes());
        bytes.extend_from_slice(&self.status.to_be_bytes());
        bytes.extend_from_slice(&checksum(&bytes));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor's text.
    ///
    /// # Errors
    ///
    /// [`CursorError::Malformed`]; that it belongs to the query is checked by [`PageQuery::accept`].
    pub fn parse(text: &str) -> Result<Cursor, CursorError> {
        if text.len() > limits::CURSOR_BYTES_MAX {
            return Err(CursorError::Malformed);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Malformed)?;
        Cursor::decode(&bytes).ok_or(CursorError::Malformed)
    }

    fn decode(bytes: &[u8]) -> Option<Cursor> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if bytes.len() != BYTES || checksum(body) != *sum {
            return None;
        }
        let (head, mut rest) = body.split_first_chunk::<2>()?;
        let [version, flags] = *head;
        if version != VERSION || flags & !(FLAG_BACKWARD | FLAG_TOTAL) != 0 {
            return None;
        }
        let (store, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        let mut word = || {
            let (word, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            Some(u64::from_be_bytes(*word))
        };
        let (fingerprint, snapshot, total, place) = (word()?, word()?, word()?, word()?);
        let time = Time::from_us(word()?.cast_signed());
        let status = u16::from_be_bytes(rest.try_into().ok()?);
        Some(Cursor {
            fingerprint,
            store: u32::from_be_bytes(*store),
            backward: flags & FLAG_BACKWARD != 0,
            snapshot,
            total: (flags & FLAG_TOTAL != 0).then_some(total),
            place: place.checked_sub(1),
            time,
            status,
        })
    }
}

impl PageQuery {
    /// A number that tells this list from others: of its reach, filter and order, not of its
    /// limit or start.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut text = Vec::with_capacity(256);
        if let Reach::Organization(organization) = &self.reach {
            text.extend_from_slice(organization.as_bytes());
        }
        text.push(b'/');
        for (field, direction) in self.order.whole() {
            text.push(match field {
                OrderField::Place => b'p',
                OrderField::TimeOccurred => b't',
                OrderField::Status => b's',
            });
            text.push(if direction == Direction::Ascending { b'+' } else { b'-' });
        }
        self.filter.describe(&mut text);
        xxh3_64(&text)
    }

    /// Reads a cursor's text for this list.
    ///
    /// # Errors
    ///
    /// [`CursorError`].
    pub fn accept(&self, text: &str) -> Result<Cursor, CursorError> {
        let cursor = Cursor::parse(text)?;
        if cursor.fingerprint == self.fingerprint() { Ok(cursor) } else { Err(CursorError::Foreign) }
    }
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(bytes).to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Filter, Order, Start};
    use proptest::prelude::*;

    fn query(action: &str) -> PageQuery {
        let mut filter = Filter::default();
        filter.exact(Field::Action, action);
        PageQuery {
            reach: Reach::Organization("acme".into()),
            filter,
            order: Order::newest(),
            start: Start::Offset(0),
            limit: 10,
            total: true,
        }
    }

    fn cursor(query: &PageQuery) -> Cursor {
        Cursor {
            fingerprint: query.fingerprint(),
            backward: false,
            snapshot: 1_000,
            total: Some(77),
            place: Some(12),
            store: 5,
            time: Time::from_s(1),
            status: 200,
        }
    }

    #[test]
    fn a_cursor_of_version_1_is_read_for_ever() {
        let text = "AQIAAAAFaqBNn_2FvfQAAAAAAAAD6AAAAAAAAABNAAAAAAAAAA0AAAAAAA9CQADITzWmuQ";
        assert_eq!(query("a").accept(text), Ok(cursor(&query("a"))), "now {}", cursor(&query("a")).format());
    }

    #[test]
    fn a_cursor_is_refused_with_another_filter_order_or_organization() {
        let text = cursor(&query("a")).format();
        assert_eq!(query("b").accept(&text), Err(CursorError::Foreign));
        assert_eq!(PageQuery { order: Order::oldest(), ..query("a") }.accept(&text), Err(CursorError::Foreign));
        assert_eq!(PageQuery { reach: Reach::All, ..query("a") }.accept(&text), Err(CursorError::Foreign));
        assert!(PageQuery { limit: 99, ..query("a") }.accept(&text).is_ok());
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused() {
        let good = cursor(&query("a")).format();
        let long = "A".repeat(limits::CURSOR_BYTES_MAX + 1);
        for text in ["", "x", "AAAA", &good[1..], &format!("{good}A"), &good.replace('A', "B"), &long] {
            assert_eq!(Cursor::parse(text), Err(CursorError::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_cursor_survives_its_text(fingerprint: u64, backward: bool, snapshot: u64, total: Option<u64>,
            place in prop::option::of(0..u64::MAX), store: u32, us in Time::MIN.us()..=Time::MAX.us(), status: u16) {
            let cursor = Cursor { fingerprint, store, backward, snapshot, total, place, time: Time::from_us(us), status };
            prop_assert_eq!(Cursor::parse(&cursor.format()), Ok(cursor));
        }

        #[test]
        fn any_bytes_are_a_cursor_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Cursor::parse(&BASE64_URL_SAFE_NO_PAD.encode(bytes));
        }
    }
}

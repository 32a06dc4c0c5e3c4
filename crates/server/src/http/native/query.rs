//! From the parameters of a list to a page's query.
//!
//! **Invariant:** a parameter that is not understood is refused by name; none is passed over.

use annals_model::{Fault, Field, Filter, Order, PageQuery, Reach, Start, Time, limits};

use crate::http::inbound::{twice, unknown};

const LIMIT_DEFAULT: usize = 100;

/// The parameters besides those named as fields, each with what it is.
pub(super) const PARAMETERS: [(&str, &str); 14] = [
    ("organization", "whose events; needed with a key for all organizations where one log is meant"),
    ("q", "words that must all occur"),
    ("time_from", "the earliest time_occurred"),
    ("time_until", "time_occurred before this"),
    ("recorded_from", "the earliest time_recorded"),
    ("recorded_until", "time_recorded before this"),
    ("status_min", "the least request.status"),
    ("status_max", "the greatest request.status"),
    ("resource", "a resource specifier; not supported yet"),
    ("limit", "events on a page, 1 to 1000, default 100"),
    ("cursor", "where the page before ended: its next_cursor, with the same filters"),
    ("offset", "how many events to pass over; not with cursor"),
    ("order", "newest (default) or oldest by place, or occurred: the newest time_occurred first"),
    ("total", "none leaves the total out"),
];

/// What the parameters ask for, before it is known whose events.
#[derive(Debug)]
pub(super) struct ListQuery {
    /// The organization that they name.
    pub(super) organization: Option<String>,
    filter: Filter,
    order: Order,
    limit: usize,
    total: bool,
    cursor: Option<String>,
    offset: Option<u64>,
}

impl ListQuery {
    /// Reads the parameters.
    ///
    /// # Errors
    ///
    /// An invalid-request or limit fault that names the parameter.
    pub(super) fn read(parameters: &[(String, String)]) -> Result<ListQuery, Fault> {
        let mut query = ListQuery {
            organization: None,
            filter: Filter::default(),
            order: Order::newest(),
            limit: LIMIT_DEFAULT,
            total: true,
            cursor: None,
            offset: None,
        };
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in parameters {
            if let Some(field) = Field::of_name(name) {
                query.filter.add(field, value)?;
                continue;
            }
            if name != "q" && seen.contains(&name.as_str()) {
                return Err(twice(name));
            }
            seen.push(name);
            query.set(name, value)?;
        }
        if query.cursor.is_some() && query.offset.is_some() {
            return Err(Fault::invalid("cursor and offset exclude each other").at_member("offset"));
        }
        query.check_spans()?;
        Ok(query)
    }

    /// Refuses what nothing can match: it is a slip, and an empty answer would hide it.
    fn check_spans(&self) -> Result<(), Fault> {
        let Filter { occurred, recorded, status_min, status_max, .. } = &self.filter;
        for (span, from, until) in
            [(occurred, "time_from", "time_until"), (recorded, "recorded_from", "recorded_until")]
        {
            if span.from.zip(span.until).is_some_and(|(from, until)| from >= until) {
                return Err(
                    Fault::invalid(format!("{until} is not after {from}, so nothing can match")).at_member(until)
                );
            }
        }
        if status_min.zip(*status_max).is_some_and(|(min, max)| min > max) {
            return Err(Fault::invalid("status_max is below status_min, so nothing can match").at_member("status_max"));
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match name {
            "organization" => self.organization = Some(value.to_owned()),
            "q" => self.filter.add_words(value)?,
            "time_from" => self.filter.occurred.from = Some(time(name, value)?),
            "time_until" => self.filter.occurred.until = Some(time(name, value)?),
            "recorded_from" => self.filter.recorded.from = Some(time(name, value)?),
            "recorded_until" => self.filter.recorded.until = Some(time(name, value)?),
            "status_min" => self.filter.status_min = Some(whole(name, value, 0, limits::STATUS_MAX)?),
            "status_max" => self.filter.status_max = Some(whole(name, value, 0, limits::STATUS_MAX)?),
            "limit" => self.limit = whole(name, value, 1, limits::PAGE_EVENTS_MAX)?,
            "cursor" => self.cursor = Some(value.to_owned()),
            "offset" => self.offset = Some(whole(name, value, 0, u64::MAX)?),
            "order" => self.order = order(value)?,
            "total" if value == "none" => self.total = false,
            "total" => return Err(Fault::invalid("total must be none, or left away").at_member(name)),
            "resource" => return Err(Fault::invalid("resource is not supported yet").at_member(name)),
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// The query, of whose events being known.
    ///
    /// # Errors
    ///
    /// An invalid-request fault for a cursor that is none or belongs to another list.
    pub(super) fn of(self, reach: Reach) -> Result<PageQuery, Fault> {
        let start = Start::Offset(self.offset.unwrap_or(0));
        let ListQuery { filter, order, limit, total, cursor, .. } = self;
        let mut query = PageQuery { reach, filter, order, start, limit, total };
        if let Some(text) = cursor {
            let cursor = query.accept(&text).map_err(|error| Fault::invalid(error.to_string()).at_member("cursor"))?;
            query.start = Start::Cursor(cursor);
        }
        Ok(query)
    }
}

fn time(name: &str, value: &str) -> Result<Time, Fault> {
    // The `+` of an offset that was not escaped has become a space.
    let read = Time::parse(value).or_else(|_| Time::parse(&value.replace(' ', "+")));
    read.map_err(|error| Fault::invalid(format!("{name} {error}")).at_member(name))
}

fn order(value: &str) -> Result<Order, Fault> {
    match value {
        "newest" => Ok(Order::newest()),
        "oldest" => Ok(Order::oldest()),
        "occurred" => Ok(Order::occurred()),
        _ => Err(Fault::invalid("order must be newest, oldest or occurred").at_member("order")),
    }
}

/// Reads a whole number within bounds, written with digits alone.
pub(super) fn whole<N>(name: &str, value: &str, min: N, max: N) -> Result<N, Fault>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| value.parse().ok()).flatten().filter(|number| (&min..=&max).contains(&number));
    number.ok_or_else(|| Fault::invalid(format!("{name} must be a whole number from {min} to {max}")).at_member(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_dialect::Request;

    fn read(query: &str) -> Result<PageQuery, Fault> {
        ListQuery::read(&Request::parse_query(query).expect("decodes"))?.of(Reach::All)
    }

    fn refused(query: &str, member: &str) {
        let fault = read(query).expect_err(query);
        assert_eq!(fault.location.and_then(|location| location.member).as_deref(), Some(member), "{query}");
    }

    #[test]
    fn without_parameters_it_is_the_first_page_of_all_newest_first() {
        let expect = PageQuery {
            reach: Reach::All,
            filter: Filter::default(),
            order: Order::newest(),
            start: Start::Offset(0),
            limit: 100,
            total: true,
        };
        assert_eq!(read(""), Ok(expect));
    }

    #[test]
    fn every_parameter_is_read() {
        let query = read(
            "action=a&action=!b&q=one+two&q=three&time_from=2026-01-01T00:00:00+01:00&time_until=2026-01-02T00:00:00Z\
             &recorded_from=2026-01-01T00:00:00Z&recorded_until=2026-01-02T00:00:00Z&status_min=200&status_max=999\
             &limit=1000&offset=18446744073709551615&order=occurred&total=none",
        )
        .expect("reads");
        assert_eq!(query.filter.conditions.len(), 1);
        assert_eq!(query.filter.words, ["one", "two", "three"]);
        assert_eq!(query.filter.occurred.from, Time::parse("2025-12-31T23:00:00Z").ok());
        assert!(query.filter.recorded.from.is_some() && query.filter.recorded.until.is_some());
        assert_eq!((query.filter.status_min, query.filter.status_max), (Some(200), Some(limits::STATUS_MAX)));
        assert_eq!((query.limit, query.start, query.total), (limits::PAGE_EVENTS_MAX, Start::Offset(u64::MAX), false));
        assert_eq!(query.order, Order::occurred());
        for field in Field::ALL {
            assert!(read(&format!("{}=x", field.name())).is_ok(), "{}", field.name());
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (query, member) in [
            ("colour=red", "colour"),
            ("=x", ""),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=+5", "limit"),
            ("limit=", "limit"),
            ("limit=1e2", "limit"),
            ("limit=99999999999999999999999", "limit"),
            ("limit=1&limit=2", "limit"),
            ("offset=-1", "offset"),
            ("offset=18446744073709551616", "offset"),
            ("offset=0&cursor=x", "offset"),
            ("cursor=x", "cursor"),
            ("cursor=", "cursor"),
            ("order=up", "order"),
            ("total=all", "total"),
            ("resource=proj%2F*", "resource"),
            ("time_from=yesterday", "time_from"),
            ("time_until=2026-01-01", "time_until"),
            ("recorded_from=1", "recorded_from"),
            ("recorded_until=", "recorded_until"),
            ("status_min=1000", "status_min"),
            ("status_max=x", "status_max"),
            ("q=!", "q"),
        ] {
            refused(query, member);
        }
        let long = "x".repeat(limits::FILTER_VALUE_BYTES_MAX + 1);
        refused(&format!("action={long}"), "action");
        refused(&"actor_id=x&".repeat(limits::FILTER_VALUES_MAX + 1), "actor_id");
    }

    #[test]
    fn every_parameter_that_is_described_is_known() {
        for (name, _) in PARAMETERS {
            let fault = read(&format!("{name}=%00")).err();
            assert!(fault.is_none_or(|fault| !fault.message.contains("is not a parameter")), "{name}");
        }
    }
}

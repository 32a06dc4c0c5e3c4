//! From the parameters of reads to queries.
//!
//! **Invariant:** a parameter that is not understood is refused by name; none is passed over.
//! **Invariant:** the parameters that choose events are the same for every read.

use annals_model::{FacetQuery, Fault, Field, Filter, HistogramQuery, Order, PageQuery, Reach, Start, Time, limits};

use crate::http::inbound::{twice, unknown};

const PAGE_EVENTS: usize = 100;
const FACET_VALUES: usize = 20;
const HISTOGRAM_BUCKETS: usize = 60;

/// The parameters of every read, besides those named as fields, each with what it is.
pub(super) const FILTERS: [(&str, &str); 9] = [
    ("organization", "whose events; needed with a key for all organizations where one log is meant"),
    ("q", "words that must all occur"),
    ("time_from", "the earliest time_occurred"),
    ("time_until", "time_occurred before this"),
    ("recorded_from", "the earliest time_recorded"),
    ("recorded_until", "time_recorded before this"),
    ("status_min", "the least request.status"),
    ("status_max", "the greatest request.status"),
    ("resource", "a resource specifier; not supported yet"),
];

/// The further parameters of a page.
pub(super) const PAGE: [(&str, &str); 5] = [
    ("limit", "events on a page, 1 to 1000, default 100"),
    ("cursor", "where the page before ended: its next_cursor, with the same filters"),
    ("offset", "how many events to pass over; not with cursor"),
    ("order", "newest (default) or oldest by place, or occurred: the newest time_occurred first"),
    ("total", "none leaves the total out"),
];

/// The further parameters of facets.
pub(super) const FACETS: [(&str, &str); 2] = [
    ("field", "whose values are counted: the name of a field that can be filtered by; needed"),
    ("limit", "how many values, 1 to 1000, default 20"),
];

/// The further parameters of a histogram.
pub(super) const HISTOGRAM: [(&str, &str); 1] = [("buckets", "how many buckets at most, 1 to 1000, default 60")];

/// A query whose reach is not known yet.
#[derive(Debug)]
pub(super) struct Asked<K> {
    /// The organization that the parameters name.
    pub(super) organization: Option<String>,
    /// Which events.
    pub(super) filter: Filter,
    /// What else is asked.
    kind: K,
}

/// What is asked of a page besides the filter.
#[derive(Debug)]
pub(super) struct PageParameters {
    order: Order,
    limit: usize,
    total: bool,
    cursor: Option<String>,
    offset: Option<u64>,
}

/// What is asked of facets besides the filter.
#[derive(Debug)]
pub(super) struct FacetParameters {
    field: Option<Field>,
    limit: usize,
}

/// What is asked of a histogram besides the filter.
#[derive(Debug)]
pub(super) struct HistogramParameters {
    buckets: usize,
}

/// The parameters that one kind of query has besides the filter.
pub(super) trait Parameters: Default {
    /// Takes a parameter in.
    ///
    /// # Errors
    ///
    /// A fault that names the parameter if its value is none, or if it is not known.
    fn set(&mut self, name: &str, value: &str) -> Result<(), Fault>;
}

impl<K: Parameters> Asked<K> {
    /// Reads the parameters.
    ///
    /// # Errors
    ///
    /// An invalid-request or limit fault that names the parameter.
    pub(super) fn read(parameters: &[(String, String)]) -> Result<Asked<K>, Fault> {
        let mut asked = Asked { organization: None, filter: Filter::default(), kind: K::default() };
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in parameters {
            if let Some(field) = Field::of_name(name) {
                asked.filter.add(field, value)?;
                continue;
            }
            if name != "q" && seen.contains(&name.as_str()) {
                return Err(twice(name));
            }
            seen.push(name);
            asked.set(name, value)?;
        }
        check_spans(&asked.filter)?;
        Ok(asked)
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
            "resource" => return Err(Fault::invalid("resource is not supported yet").at_member(name)),
            _ => self.kind.set(name, value)?,
        }
        Ok(())
    }
}

/// Refuses what nothing can match: it is a slip, and an empty answer would hide it.
fn check_spans(filter: &Filter) -> Result<(), Fault> {
    let Filter { occurred, recorded, status_min, status_max, .. } = filter;
    for (span, from, until) in [(occurred, "time_from", "time_until"), (recorded, "recorded_from", "recorded_until")] {
        if span.from.zip(span.until).is_some_and(|(from, until)| from >= until) {
            return Err(Fault::invalid(format!("{until} is not after {from}, so nothing can match")).at_member(until));
        }
    }
    if status_min.zip(*status_max).is_some_and(|(min, max)| min > max) {
        return Err(Fault::invalid("status_max is below status_min, so nothing can match").at_member("status_max"));
    }
    Ok(())
}

impl Default for PageParameters {
    fn default() -> PageParameters {
        PageParameters { order: Order::newest(), limit: PAGE_EVENTS, total: true, cursor: None, offset: None }
    }
}

impl Parameters for PageParameters {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match name {
            "limit" => self.limit = whole(name, value, 1, limits::PAGE_EVENTS_MAX)?,
            "cursor" => self.cursor = Some(value.to_owned()),
            "offset" => self.offset = Some(whole(name, value, 0, u64::MAX)?),
            "order" => self.order = order(value)?,
            "total" if value == "none" => self.total = false,
            "total" => return Err(Fault::invalid("total must be none, or left away").at_member(name)),
            _ => return Err(unknown(name)),
        }
        if self.cursor.is_some() && self.offset.is_some() {
            return Err(Fault::invalid("cursor and offset exclude each other").at_member("offset"));
        }
        Ok(())
    }
}

impl Asked<PageParameters> {
    /// The query, of whose events being known.
    ///
    /// # Errors
    ///
    /// An invalid-request fault for a cursor that is none or belongs to another list.
    pub(super) fn of(self, reach: Reach) -> Result<PageQuery, Fault> {
        let PageParameters { order, limit, total, cursor, offset } = self.kind;
        let start = Start::Offset(offset.unwrap_or(0));
        let mut query = PageQuery { reach, filter: self.filter, order, start, limit, total };
        if let Some(text) = cursor {
            let cursor = query.accept(&text).map_err(|error| Fault::invalid(error.to_string()).at_member("cursor"))?;
            query.start = Start::Cursor(cursor);
        }
        Ok(query)
    }
}

impl Default for FacetParameters {
    fn default() -> FacetParameters {
        FacetParameters { field: None, limit: FACET_VALUES }
    }
}

impl Parameters for FacetParameters {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match name {
            "field" => self.field = Some(field(value)?),
            "limit" => self.limit = whole(name, value, 1, limits::FACET_VALUES_MAX)?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

impl Asked<FacetParameters> {
    /// The query, of whose events being known.
    ///
    /// # Errors
    ///
    /// An invalid-request fault if no field is named.
    pub(super) fn of(self, reach: Reach) -> Result<FacetQuery, Fault> {
        let FacetParameters { field, limit } = self.kind;
        let field = field.ok_or_else(|| {
            Fault::invalid("say by the parameter field whose values are counted, such as action").at_member("field")
        })?;
        Ok(FacetQuery { reach, filter: self.filter, field, limit })
    }
}

impl Default for HistogramParameters {
    fn default() -> HistogramParameters {
        HistogramParameters { buckets: HISTOGRAM_BUCKETS }
    }
}

impl Parameters for HistogramParameters {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match name {
            "buckets" => self.buckets = whole(name, value, 1, limits::HISTOGRAM_BUCKETS_MAX)?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

impl Asked<HistogramParameters> {
    /// The query, of whose events being known.
    pub(super) fn of(self, reach: Reach) -> HistogramQuery {
        HistogramQuery { reach, filter: self.filter, buckets: self.kind.buckets }
    }
}

fn field(value: &str) -> Result<Field, Fault> {
    Field::of_name(value).ok_or_else(|| {
        let names: Vec<&str> = Field::ALL.into_iter().map(Field::name).collect();
        Fault::invalid(format!("field must be one of {}", names.join(", "))).at_member("field")
    })
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
        Asked::<PageParameters>::read(&parameters(query))?.of(Reach::All)
    }

    fn facets(query: &str) -> Result<FacetQuery, Fault> {
        Asked::<FacetParameters>::read(&parameters(query))?.of(Reach::All)
    }

    fn histogram(query: &str) -> Result<HistogramQuery, Fault> {
        Ok(Asked::<HistogramParameters>::read(&parameters(query))?.of(Reach::All))
    }

    fn parameters(query: &str) -> Vec<(String, String)> {
        Request::parse_query(query).expect("decodes")
    }

    fn refused(query: &str, member: &str) {
        check_refused(query, read(query), member);
    }

    fn check_refused<Q: std::fmt::Debug>(query: &str, read: Result<Q, Fault>, member: &str) {
        let fault = read.expect_err(query);
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
    fn counts_take_the_same_filters_and_their_own_parameters() {
        let filters = "action=!a&q=one&status_min=200";
        let expect = read(filters).expect("reads").filter;
        let facet = facets(&format!("{filters}&field=actor_email")).expect("reads");
        assert_eq!((facet.field, facet.limit, &facet.filter), (Field::ActorEmail, 20, &expect));
        let counts = histogram(filters).expect("reads");
        assert_eq!((counts.buckets, &counts.filter), (60, &expect));
        for field in Field::ALL {
            assert_eq!(facets(&format!("field={}", field.name())).map(|query| query.field), Ok(field));
        }
    }

    #[test]
    fn facets_tell_up_to_their_limit() {
        let most = limits::FACET_VALUES_MAX;
        assert_eq!(facets(&format!("field=id&limit={most}")).map(|query| query.limit), Ok(most));
        for (query, member) in [
            (format!("field=id&limit={}", most + 1), "limit"),
            ("field=id&limit=0".to_owned(), "limit"),
            ("field=colour".to_owned(), "field"),
            ("field=id&field=id".to_owned(), "field"),
            (String::new(), "field"),
            ("field=id&order=newest".to_owned(), "order"),
            ("field=id&buckets=1".to_owned(), "buckets"),
            ("field=id&time_from=x".to_owned(), "time_from"),
        ] {
            check_refused(&query, facets(&query), member);
        }
    }

    #[test]
    fn a_histogram_has_buckets_up_to_its_limit() {
        let most = limits::HISTOGRAM_BUCKETS_MAX;
        assert_eq!(histogram(&format!("buckets={most}")).map(|query| query.buckets), Ok(most));
        for (query, member) in [
            (format!("buckets={}", most + 1), "buckets"),
            ("buckets=0".to_owned(), "buckets"),
            ("buckets=1&buckets=1".to_owned(), "buckets"),
            ("limit=1".to_owned(), "limit"),
            ("field=id".to_owned(), "field"),
            ("status_min=2&status_max=1".to_owned(), "status_max"),
        ] {
            check_refused(&query, histogram(&query), member);
        }
    }

    #[test]
    fn every_parameter_that_is_described_is_known() {
        fn known<Q>(name: &str, read: Result<Q, Fault>) {
            assert!(read.err().is_none_or(|fault| !fault.message.contains("is not a parameter")), "{name}");
        }
        for (name, _) in FILTERS {
            known(name, read(&format!("{name}=%00")));
            known(name, facets(&format!("{name}=%00")));
            known(name, histogram(&format!("{name}=%00")));
        }
        PAGE.iter().for_each(|(name, _)| known(name, read(&format!("{name}=%00"))));
        FACETS.iter().for_each(|(name, _)| known(name, facets(&format!("{name}=%00"))));
        HISTOGRAM.iter().for_each(|(name, _)| known(name, histogram(&format!("{name}=%00"))));
    }
}

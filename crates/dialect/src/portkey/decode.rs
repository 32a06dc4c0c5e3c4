//! From a request to a call.

use annals_model::{Condition, Fault, Field, Filter, PageQuery, Pattern, Time};

use crate::{Context, Credential, Request, asked};

const PAGE_SIZE_MAX: u64 = 100;

/// Parameters whose value is compared with a member that is shown as it is.
const EXACT: [(&str, Field); 6] = [
    ("request_id", Field::RequestId),
    ("user_id", Field::ActorId),
    ("workspace_id", Field::Workspace),
    ("action", Field::Action),
    ("client_ip", Field::ClientIp),
    ("country", Field::Country),
];

/// Parameters whose value would have to be compared with something derived.
const UNSUPPORTED: [&str; 3] = ["method", "user_type", "resource_type"];

/// The key of the header `x-portkey-api-key`.
pub(crate) fn credential(request: &Request) -> Result<Credential, Fault> {
    match request.header("x-portkey-api-key").map(str::trim) {
        Some(key) if !key.is_empty() => Ok(Credential { key: key.to_owned(), email: None }),
        _ => Err(asked::unauthorized("send the API key in the header x-portkey-api-key")),
    }
}

/// A page, the last to have occurred first.
pub(crate) fn list(request: &Request, context: &Context) -> Result<PageQuery, Fault> {
    asked::entitled(context)?;
    asked::required(request, "organisation_id")?;
    let filter = filter(request)?;
    let page = asked::whole_number(request, "current_page")?.unwrap_or(0);
    let page_size = asked::whole_number(request, "page_size")?.unwrap_or(PAGE_SIZE_MAX);
    if page_size > PAGE_SIZE_MAX {
        return Err(asked::invalid("page_size", &format!("must be from 0 to {PAGE_SIZE_MAX}")));
    }
    let limit = usize::try_from(page_size).unwrap_or(usize::MAX);
    Ok(asked::page(context, filter, page.saturating_mul(page_size), limit))
}

fn filter(request: &Request) -> Result<Filter, Fault> {
    asked::refuse_unsupported(request, &UNSUPPORTED)?;
    let mut filter = asked::clients_only();
    filter.occurred.from = Some(time(request, "start_time")?);
    filter.occurred.until = Some(time(request, "end_time")?);
    for (name, field) in EXACT {
        asked::exact(&mut filter, field, request, name)?;
    }
    if let Some(status) = asked::whole_number(request, "response_status_code")? {
        filter.exact(Field::Status, status.to_string());
    }
    if let Some(uri) = asked::literal(request, "uri")? {
        // A text is a prefix of itself, so this is «exact or prefix».
        let any = vec![Pattern::prefix(uri)];
        filter.conditions.push(Condition { field: Field::Path, any, none: Vec::new() });
    }
    Ok(filter)
}

fn time(request: &Request, name: &str) -> Result<Time, Fault> {
    parse_time(asked::required(request, name)?)
        .ok_or_else(|| asked::invalid(name, "must be an ISO 8601 time such as 2026-11-20T09:46:08Z"))
}

/// Reads a bound of a span. Records are shown to the microsecond, so a bound between two
/// microseconds means the later one, for the inclusive start as for the exclusive end.
fn parse_time(text: &str) -> Option<Time> {
    // A `+` that was not escaped arrives as a space. The first space may stand for the `T`.
    let (date, rest) = text.split_at_checked(11).unwrap_or((text, ""));
    let mut whole = format!("{date}{}", rest.replace(' ', "+"));
    if text.len() == 10 {
        whole.push_str("T00:00:00Z");
    } else if !rest.contains(['Z', 'z', '+', '-', ' ']) {
        whole.push('Z');
    }
    if let Ok(time) = Time::parse(&whole) {
        return Some(time.plus_us(i64::from(is_between(rest))));
    }
    // «For ever» is often written as the last second of the year 9999, a day after the last time
    // there is.
    let day = whole.strip_prefix("9999-12-3").and_then(|rest| rest.strip_prefix(['0', '1']))?;
    Time::parse(&format!("9999-12-29{day}")).is_ok().then_some(Time::MAX)
}

/// Whether a time of day has a part of a microsecond.
fn is_between(time_of_day: &str) -> bool {
    let fraction = time_of_day.split_once(['.', ',']).map_or("", |(_, fraction)| fraction);
    let mut digits = fraction.bytes().take_while(u8::is_ascii_digit).skip(6);
    digits.any(|digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(parse_time(text).map(Time::format_short).as_deref(), expect, "{text}");
    }

    #[test]
    fn a_bound_is_an_iso_8601_time() {
        check("2026-11-20T09:46:08Z", Some("2026-11-20T09:46:08Z"));
        check("2026-11-20T09:46:08.5+01:00", Some("2026-11-20T08:46:08.500Z"));
        check("2026-11-20T09:46:08-01:00", Some("2026-11-20T10:46:08Z"));
        check("2026-11-20", Some("2026-11-20T00:00:00Z"));
        check("2026-11-20T09:46:08", Some("2026-11-20T09:46:08Z"));
        check("2026-11-20T09:46:08.123", Some("2026-11-20T09:46:08.123Z"));
        for text in ["", "now", "1763632000", "2026-11", "2026-13-01", "2026-11-20T", "2026-11-20T25:00:00Z"] {
            check(text, None);
        }
        check("ééééé\u{10348}", None);
    }

    #[test]
    fn a_plus_that_became_a_space_is_a_plus() {
        check("2026-11-20T09:46:08 01:00", Some("2026-11-20T08:46:08Z"));
        check("2026-11-20 09:46:08 01:00", Some("2026-11-20T08:46:08Z"));
        check("2026-11-20 09:46:08", Some("2026-11-20T09:46:08Z"));
    }

    #[test]
    fn a_bound_between_two_microseconds_is_the_later_one() {
        check("2026-11-20T09:46:08.1234567Z", Some("2026-11-20T09:46:08.123457Z"));
        check("2026-11-20T09:46:08.1234560Z", Some("2026-11-20T09:46:08.123456Z"));
        check("2026-11-20T09:46:08.999999001Z", Some("2026-11-20T09:46:09Z"));
    }

    #[test]
    fn for_ever_is_the_last_time_there_is() {
        for text in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999Z", "9999-12-31", "9999-12-30T23:00:00Z"] {
            check(text, Some("9999-12-30T22:00:00Z"));
        }
        check("9999-12-31T99:00:00Z", None);
        check("9999-12-32T00:00:00Z", None);
    }
}

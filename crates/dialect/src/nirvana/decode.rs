//! From a request to a call.

use annals_model::{
    CursorError, Direction, Fault, Field, Filter, Order, OrderField, PageQuery, Pattern, Start, Time, limits,
};

use crate::{Context, Request, asked, shown};

const LIMIT_MIN: usize = 10;
const LIMIT_MAX: usize = 100;
const LIMIT_DEFAULT: usize = 10;
/// The actor types that are shown as a key; all else, and none, is shown as a user.
const KEY_TYPES: [&str; 3] = ["api_key", "token", "service"];

/// A page.
pub(crate) fn list(request: &Request, context: &Context) -> Result<PageQuery, Fault> {
    asked::refuse_unsupported(request, &["actor_id", "target_id", "target_type"])?;
    let mut query = PageQuery {
        reach: asked::reach(context),
        filter: filter(request)?,
        order: order(request)?,
        start: Start::Offset(0),
        limit: limit(request)?,
        total: true,
    };
    if let Some(text) = request.query("cursor") {
        let foreign = |error: CursorError| Fault::invalid(error.to_string()).at_member("cursor");
        query.start = Start::Cursor(query.accept(text).map_err(foreign)?);
    }
    Ok(query)
}

fn limit(request: &Request) -> Result<usize, Fault> {
    let Some(limit) = asked::whole_number(request, "limit")? else {
        return Ok(LIMIT_DEFAULT);
    };
    let limit = usize::try_from(limit).ok().filter(|limit| (LIMIT_MIN..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| asked::invalid("limit", &format!("must be from {LIMIT_MIN} to {LIMIT_MAX}")))
}

fn order(request: &Request) -> Result<Order, Fault> {
    let Some(text) = request.query("sort") else {
        return Ok(Order::occurred());
    };
    let mut fields: Vec<(OrderField, Direction)> = Vec::new();
    for part in text.split(',') {
        let (field, direction) = part.split_once(':').ok_or_else(unsortable)?;
        let field = match field {
            "created_at" => OrderField::TimeOccurred,
            "status_code" => OrderField::Status,
            _ => return Err(unsortable()),
        };
        let direction = match direction {
            "asc" => Direction::Ascending,
            "desc" => Direction::Descending,
            _ => return Err(unsortable()),
        };
        if fields.iter().any(|(have, _)| *have == field) {
            return Err(asked::invalid("sort", "names a field twice"));
        }
        fields.push((field, direction));
    }
    Ok(Order(fields))
}

fn unsortable() -> Fault {
    asked::invalid("sort", "must be created_at:asc, created_at:desc, status_code:asc or status_code:desc, or several")
}

fn filter(request: &Request) -> Result<Filter, Fault> {
    let mut filter = asked::clients_only();
    asked::exact(&mut filter, Field::Action, request, "action")?;
    for (name, field) in [("method", Field::Method), ("client_ip", Field::ClientIp)] {
        // An entry without one shows an empty text, which no value of a field stands for.
        if request.query(name) == Some("") {
            return Err(asked::invalid(name, "is empty, which is not supported yet: leave it away"));
        }
        asked::exact(&mut filter, field, request, name)?;
    }
    actor_type(request, &mut filter)?;
    // An entry without a path shows an empty text, which holds no text but the empty one.
    if let Some(part) = asked::literal(request, "path")?.filter(|part| !part.is_empty()) {
        filter.conditions.push(annals_model::Condition {
            field: Field::Path,
            any: vec![Pattern::contains(part)],
            none: Vec::new(),
        });
    }
    times(request, &mut filter)?;
    statuses(request, &mut filter)?;
    Ok(filter)
}

fn actor_type(request: &Request, filter: &mut Filter) -> Result<(), Fault> {
    let keys = || KEY_TYPES.map(|kind| Pattern::Exact(kind.to_owned())).to_vec();
    let (any, none) = match request.query("actor_type") {
        None => return Ok(()),
        Some(shown::API_KEY) => (keys(), Vec::new()),
        Some(shown::USER) => (Vec::new(), keys()),
        Some(_) => return Err(asked::invalid("actor_type", "must be user or api_key")),
    };
    filter.conditions.push(annals_model::Condition { field: Field::ActorType, any, none });
    Ok(())
}

/// Both ends are inclusive, to the microsecond in which times are kept.
fn times(request: &Request, filter: &mut Filter) -> Result<(), Fault> {
    if let Some((time, beyond)) = time(request, "created_at_min")? {
        filter.occurred.from = Some(if beyond { time.plus_us(1) } else { time });
    }
    if let Some((time, _)) = time(request, "created_at_max")? {
        // Nothing is later than the last instant, so there the end is open.
        filter.occurred.until = (time < Time::MAX).then(|| time.plus_us(1));
    }
    Ok(())
}

/// An instant, and whether the text goes on beyond its microsecond.
fn time(request: &Request, name: &str) -> Result<Option<(Time, bool)>, Fault> {
    let Some(text) = request.query(name) else {
        return Ok(None);
    };
    let time = Time::parse(text).map_err(|error| asked::invalid(name, &error.to_string()))?;
    let digits = text.split_once('.').map_or("", |(_, fraction)| fraction).chars().take_while(char::is_ascii_digit);
    Ok(Some((time, digits.skip(6).any(|digit| digit != '0'))))
}

/// Both ends are inclusive; an entry without a status shows 0.
fn statuses(request: &Request, filter: &mut Filter) -> Result<(), Fault> {
    let bound = |name| Ok(asked::whole_number(request, name)?.map(|bound| u16::try_from(bound).unwrap_or(u16::MAX)));
    filter.status_min = bound("status_code_min")?.filter(|min| *min > 0);
    filter.status_max = bound("status_code_max")?.filter(|max| *max < limits::STATUS_MAX);
    if filter.status_max.is_some() && filter.status_min.is_none() {
        let what = "below 999 is not supported yet without a status_code_min of 1 or more";
        return Err(asked::invalid("status_code_max", what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use annals_model::{Actor, Content, NewOrganization};

    use super::*;

    fn query(text: &str) -> Result<PageQuery, Fault> {
        let parameters = Request::parse_query(text)?;
        list(&Request { parameters, ..Request::default() }, &context())
    }

    fn context() -> Context {
        let organization = NewOrganization { id: "acme".into(), ..NewOrganization::default() };
        let organization = organization.accept(Time::default()).expect("right");
        Context {
            now: Time::default(),
            organization: Arc::new(organization),
            key_expires: None,
            action_number: Arc::new(|_| None),
        }
    }

    fn refused(text: &str, member: &str) {
        let fault = query(text).expect_err(text);
        assert_eq!(fault.location.and_then(|location| location.member).as_deref(), Some(member), "{text}");
        assert!(fault.message.contains(member), "{text}: {}", fault.message);
    }

    fn matches(text: &str, content: &Content, expect: bool) {
        let filter = query(text).unwrap_or_else(|fault| panic!("{text}: {fault}")).filter;
        assert_eq!(filter.matches(content, Time::from_s(50)), expect, "{text} on {content:?}");
    }

    #[test]
    fn a_page_has_10_to_100_entries() {
        for (text, expect) in [("", 10), ("limit=10", 10), ("limit=100", 100)] {
            assert_eq!(query(text).expect(text).limit, expect, "{text}");
        }
        for text in ["limit=9", "limit=101", "limit=0", "limit=-10", "limit=", "limit=99999999999999999999"] {
            refused(text, "limit");
        }
    }

    #[test]
    fn a_list_is_sorted_by_the_fields_named_in_their_order_and_by_created_at_without_any() {
        use Direction::{Ascending, Descending};
        use OrderField::{Status, TimeOccurred};
        for (text, expect) in [
            ("", vec![(TimeOccurred, Descending)]),
            ("sort=created_at:asc", vec![(TimeOccurred, Ascending)]),
            ("sort=status_code:desc,created_at:asc", vec![(Status, Descending), (TimeOccurred, Ascending)]),
        ] {
            assert_eq!(query(text).expect(text).order, Order(expect), "{text}");
        }
        for value in
            ["", "created_at", "created_at:up", "id:asc", "created_at:asc,", "status_code:asc,status_code:desc"]
        {
            refused(&format!("sort={value}"), "sort");
        }
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list_alone() {
        let own = query("action=a").expect("a list");
        let cursor = annals_model::Cursor {
            fingerprint: own.fingerprint(),
            backward: true,
            snapshot: 7,
            total: Some(7),
            store: 0,
            place: Some(3),
            time: Time::from_s(3),
            status: 0,
        };
        let text = cursor.format();
        let accepted = query(&format!("action=a&limit=50&cursor={text}")).expect("its own");
        assert_eq!(accepted.start, Start::Cursor(cursor));
        for other in ["action=b", "action=a&sort=created_at:asc", ""] {
            refused(&format!("{other}&cursor={text}"), "cursor");
        }
        for broken in ["", "x"] {
            refused(&format!("cursor={broken}"), "cursor");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_answered_as_shown_is_refused_by_name() {
        for name in ["actor_id", "target_id", "target_type"] {
            refused(&format!("{name}=x"), name);
        }
        for name in ["method", "client_ip"] {
            refused(&format!("{name}="), name);
        }
        refused("status_code_max=499", "status_code_max");
        refused("status_code_max=499&status_code_min=0", "status_code_max");
        refused("status_code_min=-1", "status_code_min");
        refused("actor_type=role", "actor_type");
        refused("created_at_min=2026-11-20", "created_at_min");
        refused("created_at_max=now", "created_at_max");
    }

    #[test]
    fn values_are_literals() {
        let content = |method: &str| Content {
            action: "a*".into(),
            request: annals_model::Request { method: Some(method.into()), ..annals_model::Request::default() },
            ..Content::default()
        };
        matches("action=a*", &content("GET"), true);
        matches("action=*", &content("GET"), false);
        matches("action=!b", &content("GET"), false);
        matches("method=~GET", &content("~GET"), true);
        matches("method=~get", &content("GET"), false);
        matches("method=get", &content("GET"), false);
    }

    #[test]
    fn an_actor_type_is_compared_as_it_is_shown() {
        for (kind, user) in [
            (None, true),
            (Some("user"), true),
            (Some("role"), true),
            (Some("api_key"), false),
            (Some("token"), false),
            (Some("service"), false),
        ] {
            let actor = Actor { kind: kind.map(str::to_owned), ..Actor::default() };
            let content = Content { action: "a".into(), actor, ..Content::default() };
            assert_eq!(shown::user_type(&content) == shown::USER, user);
            matches("actor_type=user", &content, user);
            matches("actor_type=api_key", &content, !user);
        }
    }

    #[test]
    fn a_path_is_found_by_any_part_of_it_whatever_the_case() {
        let content = |path: Option<&str>| {
            let request = annals_model::Request { path: path.map(str::to_owned), ..annals_model::Request::default() };
            Content { action: "a".into(), request, ..Content::default() }
        };
        matches("path=COMPUTE", &content(Some("/v1/compute/vms")), true);
        matches("path=~compute", &content(Some("/v1/compute/vms")), false);
        matches("path=compute", &content(None), false);
        matches("path=", &content(None), true);
        matches("path=", &content(Some("/")), true);
    }

    #[test]
    fn both_ends_of_a_span_of_time_belong_to_it() {
        let at = |us| Content { action: "a".into(), time_occurred: Some(Time::from_us(us)), ..Content::default() };
        let shown = |us| Time::from_us(us).format();
        matches(&format!("created_at_min={}&created_at_max={}", shown(5), shown(5)), &at(5), true);
        matches(&format!("created_at_min={}", shown(6)), &at(5), false);
        matches(&format!("created_at_max={}", shown(4)), &at(5), false);
        matches("created_at_min=1970-01-01T00:00:00.0000051Z", &at(5), false);
        matches("created_at_min=1970-01-01T00:00:00.0000050Z", &at(5), true);
        matches("created_at_max=1970-01-01T00:00:00.0000059Z", &at(5), true);
        matches("created_at_min=1970-01-01T01:00:00%2B01:00", &at(0), true);
        matches(&format!("created_at_max={}", Time::MAX.format()), &at(Time::MAX.us()), true);
        matches("created_at_min=1970-01-01T00:00:50Z", &Content { time_occurred: None, ..at(0) }, true);
    }

    #[test]
    fn an_entry_without_a_status_counts_as_0() {
        let with = |status| Content {
            action: "a".into(),
            request: annals_model::Request { status, ..annals_model::Request::default() },
            ..Content::default()
        };
        for (text, none, ok, failed) in [
            ("status_code_min=0", true, true, true),
            ("status_code_min=1", false, true, true),
            ("status_code_min=200&status_code_max=200", false, true, false),
            ("status_code_min=1000", false, false, false),
            ("status_code_min=99999999999999999999", false, false, false),
            ("status_code_max=999", true, true, true),
            ("status_code_max=70000", true, true, true),
        ] {
            matches(text, &with(None), none);
            matches(text, &with(Some(200)), ok);
            matches(text, &with(Some(999)), failed);
        }
    }

    #[test]
    fn the_servers_own_events_are_in_no_list() {
        matches("", &Content { action: "annals.export".into(), ..Content::default() }, false);
    }
}

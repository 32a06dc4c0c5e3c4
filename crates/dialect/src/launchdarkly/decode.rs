//! From a request to a call.

use annals_model::{CursorError, Fault, Order, PageQuery, Start, Time, TimeRange};

use crate::{Context, Credential, Request, asked};

/// The header that names a version of the API.
pub(crate) const VERSION: &str = "ld-api-version";
/// The parameter that says where in the millisecond of `before` a page begins. Our own: the
/// vendor's clients only follow the link that holds it.
pub(crate) const CURSOR: &str = "cursor";

const VERSIONS: [&str; 6] = ["20160426", "20191212", "20210729", "20220603", "20240415", "beta"];
const LIMIT_MIN: usize = 1;
const LIMIT_MAX: usize = 20;
const LIMIT_DEFAULT: usize = 10;

/// The upper end of a list.
#[derive(Clone, Copy)]
pub(crate) enum Upper {
    /// There is none.
    Open,
    /// Entries shown with less than so many milliseconds.
    Before(i64),
    /// Entries shown with at most so many milliseconds.
    Through(i64),
}

/// Who asks: an access token, as it is or after `Bearer`.
pub(crate) fn credential(request: &Request) -> Result<Credential, Fault> {
    let key = match asked::authorization(request, "Bearer") {
        Some(key) => Some(key),
        None => request.header("authorization"),
    };
    match key.map(str::trim) {
        // A token has no space in it, so this is another scheme's.
        Some(key) if !key.is_empty() && !key.contains(' ') => Ok(Credential { key: key.to_owned(), email: None }),
        _ => Err(asked::unauthorized("send the access token as `Authorization: <token>`")),
    }
}

/// The version of the API that the request asks for, if it does.
pub(crate) fn version(request: &Request) -> Result<Option<&'static str>, Fault> {
    let Some(value) = request.headers.get(VERSION) else {
        return Ok(None);
    };
    let known = VERSIONS.into_iter().find(|version| version.as_bytes() == value.as_bytes());
    let unknown = || asked::invalid("LD-API-Version", &format!("must be one of {}", VERSIONS.join(", ")));
    known.map(Some).ok_or_else(unknown)
}

/// A page, the last to have occurred first.
pub(crate) fn list(request: &Request, context: &Context) -> Result<PageQuery, Fault> {
    let before = integer(request, "before")?;
    let offset = asked::whole_number(request, "offset")?;
    let Some(text) = request.query(CURSOR) else {
        let query = query(request, context, before.map_or(Upper::Open, Upper::Before))?;
        return Ok(PageQuery { start: Start::Offset(offset.unwrap_or(0)), ..query });
    };
    if offset.is_some() {
        return Err(asked::invalid("offset", "can't be combined with cursor: leave one of them away"));
    }
    // The link that gave the cursor named the millisecond it lies in.
    let edge = before.ok_or_else(|| asked::invalid(CURSOR, "goes with before: follow the link as it is"))?;
    let query = query(request, context, Upper::Through(edge))?;
    let foreign = |error: CursorError| Fault::invalid(error.to_string()).at_member(CURSOR);
    Ok(PageQuery { start: Start::Cursor(query.accept(text).map_err(foreign)?), ..query })
}

/// The list that a request asks for, from its first entry up to an upper end.
pub(crate) fn query(request: &Request, context: &Context, upper: Upper) -> Result<PageQuery, Fault> {
    asked::refuse_unsupported(request, &["q", "spec", "member", "token"])?;
    let mut filter = asked::clients_only();
    filter.occurred = occurred(integer(request, "after")?, upper);
    Ok(PageQuery {
        reach: asked::reach(context),
        filter,
        order: Order::occurred(),
        start: Start::Offset(0),
        limit: limit(request)?,
        total: false,
    })
}

/// The instants that are shown with more milliseconds than `after` and within the upper end.
/// Milliseconds are floored, so each stands for a span.
fn occurred(after: Option<i64>, upper: Upper) -> TimeRange {
    let until = match upper {
        Upper::Open => None,
        Upper::Before(ms) => Some(ms),
        Upper::Through(ms) => Some(ms.saturating_add(1)),
    };
    let from = after.map(|ms| ms.saturating_add(1));
    if from.is_some_and(|ms| ms > Time::MAX.ms()) {
        // An instant beyond the last would be held at the last one, and let that through.
        return TimeRange { from: None, until: Some(Time::MIN) };
    }
    TimeRange { from: from.map(Time::from_ms), until: until.filter(|ms| *ms <= Time::MAX.ms()).map(Time::from_ms) }
}

fn integer(request: &Request, name: &str) -> Result<Option<i64>, Fault> {
    let Some(text) = request.query(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| asked::invalid(name, "must be a Unix time in whole milliseconds"))
}

fn limit(request: &Request) -> Result<usize, Fault> {
    let Some(limit) = asked::whole_number(request, "limit")? else {
        return Ok(LIMIT_DEFAULT);
    };
    let limit = usize::try_from(limit).ok().filter(|limit| (LIMIT_MIN..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| asked::invalid("limit", &format!("must be from {LIMIT_MIN} to {LIMIT_MAX}")))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with_header(name: &'static str, value: &'static [u8]) -> Request {
        let mut request = Request::default();
        request.headers.insert(name, HeaderValue::from_bytes(value).expect("a header's value"));
        request
    }

    #[test]
    fn a_token_comes_as_it_is_or_after_bearer() {
        for (header, expect) in [
            ("api-1234", Some("api-1234")),
            ("Bearer api-1234", Some("api-1234")),
            ("bearer  api-1234", Some("api-1234")),
            ("", None),
            ("Bearer ", None),
            ("Basic YTpi", None),
        ] {
            let got = credential(&with_header("authorization", header.as_bytes())).ok();
            assert_eq!(got.map(|credential| credential.key).as_deref(), expect, "{header}");
        }
        assert!(credential(&Request::default()).is_err());
    }

    #[test]
    fn a_version_is_one_of_the_vendors() {
        for known in VERSIONS {
            assert_eq!(version(&with_header(VERSION, known.as_bytes())), Ok(Some(known)));
        }
        assert_eq!(version(&Request::default()), Ok(None));
        for unknown in [&b"20200101"[..], b"", b"Beta", b"2024-04-15", b"\xff"] {
            let fault = version(&with_header(VERSION, unknown)).expect_err("unknown");
            assert_eq!(fault.location.and_then(|location| location.member).as_deref(), Some("LD-API-Version"));
        }
    }

    /// Compares with the words of the contract, at every instant where it could differ.
    fn check(after: Option<i64>, upper: Upper) {
        let range = occurred(after, upper);
        let edges = [
            after,
            match upper {
                Upper::Open => None,
                Upper::Before(ms) | Upper::Through(ms) => Some(ms),
            },
        ];
        let near = edges.into_iter().flatten().flat_map(|ms| [ms.saturating_sub(1), ms, ms.saturating_add(1)]);
        for ms in near.chain([Time::MIN.ms(), -1, 0, 1, Time::MAX.ms()]) {
            for time in [Time::from_ms(ms), Time::from_ms(ms).plus_us(1), Time::from_ms(ms).plus_us(999)] {
                let below = match upper {
                    Upper::Open => true,
                    Upper::Before(upper) => time.ms() < upper,
                    Upper::Through(upper) => time.ms() <= upper,
                };
                let expect = below && after.is_none_or(|after| time.ms() > after);
                assert_eq!(range.contains(time), expect, "{after:?} {time:?} {range:?}");
            }
        }
    }

    #[test]
    fn before_and_after_are_compared_with_the_milliseconds_shown_and_exclude_their_own() {
        let edges =
            [i64::MIN, Time::MIN.ms() - 1, Time::MIN.ms(), -1, 0, 5, Time::MAX.ms(), Time::MAX.ms() + 1, i64::MAX];
        for edge in edges {
            check(Some(edge), Upper::Open);
            for upper in edges {
                check(Some(edge), Upper::Before(upper));
                check(Some(edge), Upper::Through(upper));
            }
            check(None, Upper::Before(edge));
            check(None, Upper::Through(edge));
        }
    }
}

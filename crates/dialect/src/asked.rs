//! What a request asks, in the forms that several vendors share.
//!
//! **Invariant:** no vendor's name is in here, and what only one vendor needs is in its folder.
//! **Invariant:** what is asked for and can't be answered is refused by name, never left out.

use std::sync::Arc;

use annals_model::{Fault, FaultKind, Field, Filter, Order, PageQuery, Reach, Start, limits};

use crate::{Context, Credential, Request};

/// The plans that do not include the audit log.
const PLANS_WITHOUT: [&str; 3] = ["free", "starter", "developer"];

/// The key of `Authorization: Bearer <key>`.
///
/// # Errors
///
/// An unauthorized fault without one.
pub(crate) fn bearer(request: &Request) -> Result<Credential, Fault> {
    match authorization(request, "Bearer") {
        Some(key) if !key.is_empty() => Ok(Credential { key: key.to_owned(), email: None }),
        _ => Err(unauthorized("send the API key as `Authorization: Bearer <key>`")),
    }
}

/// What follows a scheme in the `Authorization` header.
pub(crate) fn authorization<'r>(request: &'r Request, scheme: &str) -> Option<&'r str> {
    let (sent, rest) = request.header("authorization")?.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// A request without a credential of the vendor's form.
pub(crate) fn unauthorized(message: &str) -> Fault {
    Fault::new(FaultKind::Unauthorized, message)
}

/// Whether the organization's plan includes the audit log, for vendors that sell it.
///
/// # Errors
///
/// A not-entitled fault.
pub(crate) fn entitled(context: &Context) -> Result<(), Fault> {
    match context.organization.plan.as_deref() {
        Some(plan) if PLANS_WITHOUT.contains(&plan) => {
            let message = format!("audit logs are not part of the {plan} plan: change to a larger one");
            Err(Fault::new(FaultKind::NotEntitled, message))
        }
        _ => Ok(()),
    }
}

/// The events of the organization.
pub(crate) fn reach(context: &Context) -> Reach {
    Reach::Organization(Arc::from(context.organization.id.as_str()))
}

/// All events that clients recorded: the server's own are in none of the vendors' answers.
pub(crate) fn clients_only() -> Filter {
    Filter { clients_only: true, ..Filter::default() }
}

/// A page of a list with the last to have occurred first, beginning so many events after the
/// first, with its total.
pub(crate) fn page(context: &Context, filter: Filter, offset: u64, limit: usize) -> PageQuery {
    PageQuery {
        reach: reach(context),
        filter,
        order: Order::occurred(),
        start: Start::Offset(offset),
        limit,
        total: true,
    }
}

/// A parameter that is a whole number, not negative. One that is beyond all bounds counts as the
/// largest there is, so that a page out there is an empty page.
///
/// # Errors
///
/// An invalid-request fault that names the parameter.
pub(crate) fn whole_number(request: &Request, name: &str) -> Result<Option<u64>, Fault> {
    let Some(text) = request.query(name) else {
        return Ok(None);
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(name, "must be a whole number, and not negative"));
    }
    // Clients keep such numbers in 64 bits with a sign.
    let largest = i64::MAX.unsigned_abs();
    Ok(Some(text.parse().unwrap_or(largest).min(largest)))
}

/// A parameter that is required.
///
/// # Errors
///
/// An invalid-request fault that names the parameter.
pub(crate) fn required<'r>(request: &'r Request, name: &str) -> Result<&'r str, Fault> {
    request.query(name).filter(|text| !text.is_empty()).ok_or_else(|| invalid(name, "is required"))
}

/// A parameter whose value is a literal, for a filter.
///
/// # Errors
///
/// A limit fault that names the parameter.
pub(crate) fn literal<'r>(request: &'r Request, name: &str) -> Result<Option<&'r str>, Fault> {
    let value = request.query(name);
    let bytes = value.map_or(0, str::len);
    if bytes > limits::FILTER_VALUE_BYTES_MAX {
        let what = format!("bytes of {name}");
        return Err(Fault::limit(&what, limits::FILTER_VALUE_BYTES_MAX, bytes).at_member(name));
    }
    Ok(value)
}

/// Asks for exactly the value of a parameter, if the request has it.
///
/// # Errors
///
/// As for [`literal`].
pub(crate) fn exact(filter: &mut Filter, field: Field, request: &Request, name: &str) -> Result<(), Fault> {
    if let Some(value) = literal(request, name)? {
        filter.exact(field, value);
    }
    Ok(())
}

/// Refuses filters that the vendor documents and that are not supported here yet.
///
/// # Errors
///
/// An invalid-request fault that names the parameter.
pub(crate) fn refuse_unsupported(request: &Request, names: &[&str]) -> Result<(), Fault> {
    match names.iter().find(|name| request.query(name).is_some()) {
        Some(name) => Err(invalid(name, "is a filter that is not supported yet: leave it away")),
        None => Ok(()),
    }
}

/// A parameter that is wrong.
pub(crate) fn invalid(name: &str, what: &str) -> Fault {
    Fault::invalid(format!("{name} {what}")).at_member(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(name: &str, value: &str) -> Request {
        Request { parameters: vec![(name.to_owned(), value.to_owned())], ..Request::default() }
    }

    #[test]
    fn a_whole_number_saturates_and_anything_else_is_refused() {
        let largest = Some(i64::MAX.unsigned_abs());
        for (text, expect) in [
            ("0", Ok(Some(0))),
            ("007", Ok(Some(7))),
            ("9223372036854775807", Ok(largest)),
            ("18446744073709551616", Ok(largest)),
            ("99999999999999999999999999", Ok(largest)),
            ("", Err(())),
            ("-1", Err(())),
            ("1.5", Err(())),
            ("1e3", Err(())),
            (" 1", Err(())),
            ("ten", Err(())),
        ] {
            assert_eq!(whole_number(&asking("n", text), "n").map_err(|_| ()), expect, "{text}");
        }
        assert_eq!(whole_number(&Request::default(), "n"), Ok(None));
    }

    #[test]
    fn a_filter_value_has_a_limit() {
        let longest = "x".repeat(limits::FILTER_VALUE_BYTES_MAX);
        let mut filter = Filter::default();
        assert_eq!(exact(&mut filter, Field::Action, &asking("action", &longest), "action"), Ok(()));
        let fault = exact(&mut filter, Field::Action, &asking("action", &format!("{longest}x")), "action");
        assert_eq!(fault.map_err(|fault| fault.kind), Err(FaultKind::Limit));
    }

    #[test]
    fn the_scheme_of_a_credential_has_no_case() {
        for (header, expect) in [
            ("Bearer k", Some("k")),
            ("bearer  k ", Some("k")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic k", None),
            ("k", None),
        ] {
            let mut request = Request::default();
            request.headers.insert("authorization", http::HeaderValue::from_static(header));
            assert_eq!(bearer(&request).ok().map(|credential| credential.key).as_deref(), expect, "{header}");
        }
    }
}

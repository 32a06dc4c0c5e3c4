//! From a request to a call.

use annals_model::{Call, Export, Fault, Order};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::{Context, Credential, Request, asked};

/// The e-mail address and key of HTTP basic authentication.
pub(crate) fn credential(request: &Request) -> Result<Credential, Fault> {
    let sent = asked::authorization(request, "Basic").and_then(basic).filter(|(_, key)| !key.is_empty());
    match sent {
        Some((email, key)) => Ok(Credential { key, email: Some(email) }),
        None => Err(asked::unauthorized("send your e-mail address and API key by HTTP basic authentication")),
    }
}

/// Everything, the last to have occurred first: the API knows no parameters.
pub(crate) fn list(context: &Context) -> Call {
    Call::Export(Export { reach: asked::reach(context), filter: asked::clients_only(), order: Order::occurred() })
}

fn basic(text: &str) -> Option<(String, String)> {
    let pair = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
    let (email, key) = pair.split_once(':')?;
    Some((email.to_owned(), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pair: &str, expect: Option<(&str, &str)>) {
        let mut request = Request::default();
        let header = format!("Basic {}", BASE64_STANDARD.encode(pair));
        request.headers.insert("authorization", header.parse().expect("a header"));
        let got = credential(&request).ok();
        let got = got.as_ref().map(|got| (got.email.as_deref().unwrap_or_default(), got.key.as_str()));
        assert_eq!(got, expect, "{pair}");
    }

    #[test]
    fn a_credential_is_an_address_and_a_key() {
        check("iku@example.com:secret", Some(("iku@example.com", "secret")));
        check("iku@example.com:sec:ret", Some(("iku@example.com", "sec:ret")));
        check(":secret", Some(("", "secret")));
        check("iku@example.com:", None);
        check("iku@example.com", None);
        check("", None);
    }
}

//! The description of all routes, as OpenAPI 3.1.
//!
//! **Invariant:** it is made from the tables that the router is made from, so neither has a route
//! that the other lacks.

use annals_dialect::Dialect;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, PathItem, Paths, Required,
};

use super::operations::{answered, refused};
use super::{ROUTES, schemas};
use crate::http::voice::Voice;

const ABOUT: &str = "An audit-log server: records who did what, and reads it back through its own API and through \
                     the audit-log APIs of five vendors. Every vendor's API is served at the paths its clients know, \
                     and once more under its name.";

/// The description in JSON.
pub(crate) fn document() -> String {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Annals")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let document = OpenApiBuilder::new().info(info).paths(paths()).components(Some(components())).build();
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn paths() -> Paths {
    let mut paths = Paths::new();
    for route in &ROUTES {
        let operation = with_segments((route.describe)(), route.path).build();
        add(&mut paths, route.method, route.path, operation);
    }
    for dialect in annals_dialect::all() {
        for route in dialect.routes() {
            for mount in [String::new(), format!("/{}", dialect.name())] {
                let path = format!("{mount}{}", route.path);
                let operation = with_segments(vendor(dialect), route.path).build();
                add(&mut paths, route.method, &path, operation);
            }
        }
    }
    paths
}

fn add(paths: &mut Paths, method: &str, path: &str, operation: Operation) {
    let method = match method {
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    };
    let item = PathItem::new(method, operation);
    match paths.paths.get_mut(path) {
        Some(have) => have.merge_operations(item),
        None => {
            paths.paths.insert(path.to_owned(), item);
        }
    }
}

/// The named segments of a path as parameters.
fn with_segments(mut operation: OperationBuilder, path: &str) -> OperationBuilder {
    let segments = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    for name in segments {
        operation = operation.parameter(parameter(name, ParameterIn::Path, "percent-encoded"));
    }
    operation
}

/// A parameter that is a text.
pub(super) fn parameter(name: &str, place: ParameterIn, about: &str) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(about))
        .schema(Some(schemas::text("")))
        .build()
}

/// A vendor's operation, as far as it is the same for all: the rest is the vendor's documentation.
fn vendor(dialect: &'static dyn Dialect) -> OperationBuilder {
    let name = dialect.name();
    let about = format!("The audit log as {name}'s API answers it; parameters and answers are those of {name}.");
    let operation = OperationBuilder::new().tag(name).summary(Some(format!("{name}'s audit log")));
    let operation = operation.description(Some(about)).security(requirement(Voice::Dialect(dialect)));
    let operation = answered(operation, "200", "as the vendor documents it", None);
    refused(operation, &[400, 401, 403, 404, 405, 429, 500, 503])
}

/// What an operation of an API asks for.
pub(super) fn requirement(voice: Voice) -> SecurityRequirement {
    SecurityRequirement::new(voice.security(), Vec::<String>::new())
}

fn components() -> Components {
    let http =
        |scheme, about: &str| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(about)).build());
    let header =
        |name: &str, about: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, about)));
    let mut components = ComponentsBuilder::new()
        .security_scheme("bearer", http(HttpAuthScheme::Bearer, "an API key"))
        .security_scheme("basic", http(HttpAuthScheme::Basic, "the key's owner's e-mail address and the API key"))
        .security_scheme("portkey", header("x-portkey-api-key", "an API key"))
        .security_scheme("token", header("Authorization", "an API key, without a scheme before it"));
    for (name, schema) in schemas::all() {
        components = components.schema(name, schema);
    }
    components.build()
}

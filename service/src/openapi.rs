//! The interface as OpenAPI 3.1, for machines.
//!
//! A table of what each operation answers, status by status and code by code, from
//! which the document is built once. It is held against the routes and their answers by tests;
//! the page for people is no part of it.

mod schema;

use axum::body::Bytes;
use axum::http::HeaderName;
use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Ref, Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, Header, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Required, ResponseBuilder,
};

use self::schema::{id, schemas, text, visible_ascii};
use crate::order::IdempotencyKey;
use crate::request::MAX_BODY;
use crate::request_id;

/// The scheme by which a gateway says who calls.
const GATEWAY: &str = "gateway";

const ABOUT: &str = "\
One unit for each purchase, under row locks. Ids and amounts are 64-bit integers; amounts are in \
minor units. HEAD is answered wherever GET is, without the body. A path that is not in this \
document is 404 `not_found`. What is not HTTP/1.1, or has a head of more than 16 KiB, is refused \
with 400 or 431 before it is a request, without a body and without an X-Request-Id.";

/// The document, as it is sent. With `user_header`, a gateway says there who calls.
pub fn document(user_header: Option<&HeaderName>) -> Bytes {
    let document = open_api(user_header);
    let json = serde_json::to_vec(&document).expect("the document's keys are strings");
    json.into()
}

fn open_api(user_header: Option<&HeaderName>) -> OpenApi {
    let guarded = user_header.is_some();
    let operations = [
        (
            "/api/purchase",
            HttpMethod::Post,
            purchase("purchase_slashless", guarded),
        ),
        (
            "/api/purchase/",
            HttpMethod::Post,
            purchase("purchase", guarded),
        ),
        ("/api/items", HttpMethod::Get, items()),
        ("/api/items/{id}", HttpMethod::Get, item()),
        ("/api/wallets/{user_id}", HttpMethod::Get, wallet(guarded)),
        ("/healthz", HttpMethod::Get, health()),
        ("/metrics", HttpMethod::Get, metrics()),
        ("/openapi.json", HttpMethod::Get, openapi()),
    ];
    let mut paths = PathsBuilder::new();
    for (path, method, operation) in operations {
        paths = paths.path(path, PathItem::new(method, operation));
    }
    let info = InfoBuilder::new()
        .title("purchase-service")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT));
    let mut components = schemas();
    if let Some(header) = user_header {
        let description = "set by the gateway that authenticates, never by the client";
        let value = ApiKeyValue::with_description(header.as_str(), description);
        components =
            components.security_scheme(GATEWAY, SecurityScheme::ApiKey(ApiKey::Header(value)));
    }
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components.build()))
        .build()
}

/// What an operation answers when it does not do what it is for.
struct Refused {
    status: u16,
    when: &'static str,
    codes: &'static [&'static str],
}

const fn refused(status: u16, when: &'static str, codes: &'static [&'static str]) -> Refused {
    Refused {
        status,
        when,
        codes,
    }
}

const INVALID: Refused = refused(400, "the request is malformed", &["invalid_request"]);
const UNAUTHENTICATED: Refused = refused(
    401,
    "the gateway did not say, in one plain id, who calls",
    &["unauthenticated"],
);
const FORBIDDEN: Refused = refused(
    403,
    "the wallet is another user's than the one who calls",
    &["not_your_wallet"],
);
const METHOD: Refused = refused(
    405,
    "the path is right, the method is not; Allow names those that are",
    &["method_not_allowed"],
);
const INTERNAL: Refused = refused(
    500,
    "something unexpected happened; a repeat with the same Idempotency-Key tells more",
    &["internal_error"],
);
const READ_BUSY: Refused = refused(503, "the database is busy", &["busy"]);

fn purchase(id: &str, guarded: bool) -> Operation {
    let refusals = [
        refused(
            400,
            "refused, or the request is malformed; nothing was bought",
            &[
                "unknown_item",
                "unknown_user",
                "out_of_stock",
                "insufficient_balance",
                "invalid_request",
            ],
        ),
        METHOD,
        refused(408, "the body did not arrive in time", &["request_timeout"]),
        refused(
            409,
            "others held the rows for too long; nothing was bought, come again",
            &["conflict"],
        ),
        refused(413, "the body is too large", &["body_too_large"]),
        refused(
            415,
            "the content-type is not application/json, once",
            &["unsupported_media_type"],
        ),
        refused(
            422,
            "the Idempotency-Key belongs to a purchase with another payload",
            &["idempotency_key_reused"],
        ),
        INTERNAL,
        refused(
            503,
            "nothing began: too many wait, or no connection came in time",
            &["overloaded", "busy"],
        ),
    ];
    let operation = operation(id, "Buy one unit")
        .description(Some(
            "A repeat under the same Idempotency-Key returns the first receipt. Keys are unique \
             over the whole shop.",
        ))
        .parameter(idempotency_key())
        .request_body(Some(order_body()));
    let operation = answers(
        operation,
        "bought; the purchase is committed",
        json_of("Receipt"),
    );
    guard(refusals.iter().fold(operation, refusal), guarded)
}

fn items() -> Operation {
    let after = ParameterBuilder::new()
        .name("after")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some("items with greater ids; no other parameter is taken"))
        .schema(Some(id("the last id of the page before")));
    let operation = operation("items", "What is for sale, by id").parameter(after);
    let operation = answers(operation, "a page of items", json_of("Items"));
    let refusals = [INVALID, METHOD, INTERNAL, READ_BUSY];
    refusals.iter().fold(operation, refusal).build()
}

fn item() -> Operation {
    let operation = operation("item", "One item").parameter(path_id("id", "the item"));
    let operation = answers(operation, "the item", json_of("Item"));
    let unknown = refused(404, "there is no such item", &["unknown_item"]);
    let refusals = [INVALID, unknown, METHOD, INTERNAL, READ_BUSY];
    refusals.iter().fold(operation, refusal).build()
}

fn wallet(guarded: bool) -> Operation {
    let operation =
        operation("wallet", "A user's balance").parameter(path_id("user_id", "the wallet's owner"));
    let operation = answers(operation, "the wallet", json_of("Wallet"));
    let unknown = refused(404, "there is no such user", &["unknown_user"]);
    let refusals = [INVALID, unknown, METHOD, INTERNAL, READ_BUSY];
    guard(refusals.iter().fold(operation, refusal), guarded)
}

fn health() -> Operation {
    let ok = ObjectBuilder::new()
        .property("status", text("that it is well").enum_values(Some(["ok"])))
        .required("status");
    let content = Content::new(Some(Schema::from(ok)));
    let operation = operation("health", "Whether the service can sell");
    let operation = answers(
        operation,
        "the database answers",
        ("application/json", content),
    );
    let sick = refused(
        503,
        "the database does not answer",
        &["database_unavailable"],
    );
    [METHOD, sick].iter().fold(operation, refusal).build()
}

fn metrics() -> Operation {
    let operation = operation("metrics", "The service's metrics, for Prometheus");
    let content = Content::new(Some(Schema::from(text("Prometheus's text format 0.0.4"))));
    let operation = answers(operation, "all metrics, as of now", ("text/plain", content));
    refusal(operation, &METHOD).build()
}

fn openapi() -> Operation {
    let operation = operation("openapi", "This document");
    let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
    let content = Content::new(Some(Schema::from(object)));
    let operation = answers(operation, "the document", ("application/json", content));
    refusal(operation, &METHOD).build()
}

fn operation(id: &str, summary: &str) -> OperationBuilder {
    let request_id = ParameterBuilder::new()
        .name("X-Request-Id")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(format!(
            "names the request in the log and in the answer, if it is 1 to {} visible ASCII \
             characters; anything else is replaced",
            request_id::MAX_LEN
        )))
        .schema(Some(text("any")));
    OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .parameter(request_id)
}

/// Adds the answer of success.
fn answers(
    operation: OperationBuilder,
    description: &str,
    (content_type, content): (&str, Content),
) -> OperationBuilder {
    let response = response(description).content(content_type, content);
    operation.response("200", response.build())
}

/// Adds what is answered otherwise: a problem with its status and one of its codes.
fn refusal(operation: OperationBuilder, refused: &Refused) -> OperationBuilder {
    let member = |description| text(description);
    let problem = ObjectBuilder::new()
        .property("type", member("RFC 9457: about:blank"))
        .property("title", member("the status in words"))
        .property(
            "status",
            ObjectBuilder::new()
                .schema_type(SchemaType::new(Type::Integer))
                .enum_values(Some([refused.status])),
        )
        .property("detail", member("what is wrong, for people"))
        .property(
            "code",
            member("what is wrong, for programs").enum_values(Some(refused.codes.iter().copied())),
        );
    let members = ["type", "title", "status", "detail", "code"];
    let problem = members.into_iter().fold(problem, ObjectBuilder::required);
    let content = Content::new(Some(Schema::from(problem)));
    let mut response = response(refused.when).content("application/problem+json", content);
    let header = match refused.status {
        401 => Some(("WWW-Authenticate", "who authenticates: the gateway")),
        405 => Some(("Allow", "the methods of this path")),
        503 => Some(("Retry-After", "seconds after which to come again")),
        _ => None,
    };
    if let Some((name, description)) = header {
        response = response.header(name, text_header(description, text(description)));
    }
    operation.response(refused.status.to_string(), response.build())
}

/// Adds what a gateway makes of the operation, if there is one.
fn guard(operation: OperationBuilder, guarded: bool) -> Operation {
    if !guarded {
        return operation.build();
    }
    let refusals = [UNAUTHENTICATED, FORBIDDEN];
    refusals
        .iter()
        .fold(operation, refusal)
        .security(SecurityRequirement::new(GATEWAY, [""; 0]))
        .build()
}

fn response(description: &str) -> ResponseBuilder {
    let about = "the request's id, as it came or as it was made";
    let header = text_header(about, visible_ascii(request_id::MAX_LEN));
    ResponseBuilder::new()
        .description(description)
        .header("X-Request-Id", header)
}

fn text_header(description: &str, schema: ObjectBuilder) -> Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn order_body() -> RequestBody {
    let example = json!({"user_id": 1, "item_id": 2});
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Order")))
        .example(Some(example));
    let limit = ExtensionsBuilder::new().add("x-max-bytes", MAX_BODY);
    RequestBodyBuilder::new()
        .description(Some(format!("who buys what, in at most {MAX_BODY} bytes")))
        .required(Some(Required::True))
        .content("application/json", content.build())
        .extensions(Some(limit.build()))
        .build()
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "names one purchase in the whole shop; makes a retry safe",
        ))
        .schema(Some(visible_ascii(IdempotencyKey::MAX_LEN)))
        .build()
}

fn path_id(name: &str, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(id(description)))
        .example(Some(json!(1)))
        .build()
}

fn json_of(schema: &str) -> (&'static str, Content) {
    let schema = Ref::from_schema_name(schema);
    ("application/json", Content::new(Some(schema)))
}

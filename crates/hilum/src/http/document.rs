//! The OpenAPI document: what the services say of their endpoints, with the
//! operations of DICOMweb beside them, each with the action it is for.

use hilum_contracts::access::Action;
use http::Method;
use serde_json::json;
use utoipa::OpenApi;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::{
    Content, KnownFormat, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    SchemaFormat, Type,
};

#[derive(OpenApi)]
#[openapi(info(
    title = "Hilum",
    description = "Images in, a model's result back. What is below /dicomweb follows PS3.18; the \
                   rest is the product's own interface. `x-hilum-action` is what a role must \
                   include: see `hilum roles`."
))]
pub(super) struct Document;

/// Adds what the services' own descriptions leave out: what every door may
/// answer, the media type of all refusals (RFC 9457 §3), and how wide numbers are.
pub(super) fn complete(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.iter_mut();
    components
        .flat_map(|all| all.schemas.values_mut())
        .for_each(as_wide_as_it_is);
    for (path, item) in &mut document.paths.paths {
        let methods = [
            (false, &mut item.get),
            (true, &mut item.post),
            (true, &mut item.put),
            (true, &mut item.patch),
            (true, &mut item.delete),
        ];
        for (changes, operation) in methods {
            let Some(operation) = operation else { continue };
            let extensions = operation.extensions.as_ref();
            let action = extensions.and_then(|all| all.get("x-hilum-action"));
            let of = Asked {
                open: action.is_some_and(|action| action == "open"),
                changes,
                names_something: path.contains('{'),
                has_body: operation.request_body.is_some(),
                has_parameters: operation.parameters.is_some(),
            };
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    parameter.schema.iter_mut().for_each(as_wide_as_it_is);
                }
            }
            let responses = &mut operation.responses.responses;
            for (status, description) in of.refusals() {
                responses
                    .entry(status.to_owned())
                    .or_insert_with(|| refusal(description));
            }
            for (status, response) in responses {
                if let RefOr::T(response) = response
                    && status.starts_with(['4', '5'])
                    && let Some(body) = response.content.shift_remove("application/json")
                {
                    response.content.insert(PROBLEM.to_owned(), body);
                }
            }
        }
    }
}

/// What the services take as unsigned, they describe as signed of the same
/// width: half of it.
fn as_wide_as_it_is(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            let format = match &object.format {
                Some(SchemaFormat::KnownFormat(KnownFormat::Int32)) => "uint32",
                Some(SchemaFormat::KnownFormat(KnownFormat::Int64)) => "uint64",
                _ => "",
            };
            if object.minimum.is_some() && !format.is_empty() {
                object.format = Some(SchemaFormat::Custom(format.to_owned()));
            }
            object.properties.values_mut().for_each(as_wide_as_it_is);
        }
        RefOr::T(Schema::OneOf(one)) => one.items.iter_mut().for_each(as_wide_as_it_is),
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(as_wide_as_it_is),
        _ => {}
    }
}

/// The media type of refusals.
const PROBLEM: &str = "application/problem+json";

/// What is asked of a door, as far as it decides who is refused.
struct Asked {
    open: bool,
    changes: bool,
    names_something: bool,
    has_body: bool,
    has_parameters: bool,
}

impl Asked {
    fn refusals(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [
            (
                self.has_body || self.has_parameters,
                ("400", "It can't be read"),
            ),
            (!self.open, ("401", "Nobody is signed in, and no key came")),
            (
                !self.open || self.changes,
                (
                    "403",
                    "The role does not include it, or a page of another site asks",
                ),
            ),
            (self.names_something, ("404", "There is none")),
            (self.has_body, ("413", "The body is too long")),
            (
                !self.open,
                ("429", "More requests than the organisation allows"),
            ),
            (true, ("503", "A part that is needed does not answer")),
        ]
        .into_iter()
        .filter_map(|(may, refusal)| may.then_some(refusal))
    }
}

fn refusal(description: &str) -> RefOr<Response> {
    let body = Content::new(Some(Ref::from_schema_name("ProblemBody")));
    let response = ResponseBuilder::new().description(description);
    response.content(PROBLEM, body).build().into()
}

/// Adds what DICOMweb answers.
pub(super) fn add_dicomweb(
    document: &mut utoipa::openapi::OpenApi,
    operations: Vec<(Method, String, Action)>,
) {
    for (method, path, action) in operations {
        let parameters = path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            Some(name.trim_start_matches('*').to_owned())
        });
        let parameters: Vec<_> = parameters
            .map(|name| {
                ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Path)
                    .required(Required::True)
                    .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                    .build()
            })
            .collect();
        let action = json!(action.name());
        let operation = OperationBuilder::new()
            .tag("dicomweb")
            .parameters(Some(parameters))
            .response(
                "default",
                ResponseBuilder::new().description("As PS3.18 has it"),
            )
            .extensions(Some(
                ExtensionsBuilder::new()
                    .add("x-hilum-action", action)
                    .build(),
            ))
            .build();
        let method = match method {
            Method::POST => HttpMethod::Post,
            _ => HttpMethod::Get,
        };
        let address = format!("/dicomweb{}", path.replace("{*", "{"));
        let item = PathItem::new(method, operation);
        match document.paths.paths.get_mut(&address) {
            Some(known) => known.merge_operations(item),
            None => {
                document.paths.paths.insert(address, item);
            }
        }
    }
}

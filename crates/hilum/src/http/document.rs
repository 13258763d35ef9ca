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
use utoipa::openapi::{ObjectBuilder, RefOr, Required, ResponseBuilder, Type};

#[derive(OpenApi)]
#[openapi(info(
    title = "Hilum",
    description = "Images in, a model's result back. What is below /dicomweb follows PS3.18; the \
                   rest is the product's own interface. `x-hilum-action` is what a role must \
                   include: see `hilum roles`."
))]
pub(super) struct Document;

/// Refusals have their own media type (RFC 9457 §3), which the services' own
/// descriptions leave out.
pub(super) fn name_problems(document: &mut utoipa::openapi::OpenApi) {
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| {
        [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ]
        .into_iter()
        .flatten()
    });
    for (status, response) in operations.flat_map(|one| &mut one.responses.responses) {
        let RefOr::T(response) = response else {
            continue;
        };
        if !status.starts_with(['4', '5']) {
            continue;
        }
        if let Some(body) = response.content.shift_remove("application/json") {
            response
                .content
                .insert("application/problem+json".to_owned(), body);
        }
    }
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
                "200",
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

//! The web application and the viewer, from within the binary.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../web/dist"]
struct Dist;

/// The content-security policies of the application and of the viewer, as
/// narrow as each permits.
#[derive(serde::Deserialize)]
struct Policies {
    app: String,
    viewer: String,
}

static POLICIES: LazyLock<Policies> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../web/csp.json")).unwrap_or_else(|_| Policies {
        app: "default-src 'none'".to_owned(),
        viewer: "default-src 'none'".to_owned(),
    })
});

const NOT_BUILT: &str =
    "The web application is not part of this build: run `make web`, then build again.\n";

/// `/viewer/` is OHIF; everything else that no other door takes is the
/// application.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/viewer", get(|| async { Redirect::permanent("/viewer/") }))
        .fallback(page)
}

async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let api = ["api/", "dicomweb/", "fhir/", "graphql", "auth/"];
    if api.iter().any(|door| path.starts_with(door)) {
        return (StatusCode::NOT_FOUND, "No such address.\n").into_response();
    }
    let (index, policy) = if path.starts_with("viewer/") {
        ("viewer/index.html", POLICIES.viewer.as_str())
    } else {
        ("index.html", POLICIES.app.as_str())
    };
    let asset = Some(path).filter(|path| !path.is_empty() && !path.ends_with('/'));
    let found = asset.and_then(|path| Some((path, Dist::get(path)?)));
    // An address within the application is the application's to show; a
    // missing file is missing.
    let looks_like_file = path.rsplit('/').next().is_some_and(|name| {
        name.contains('.') && !name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    });
    let (name, file) = match found {
        Some(found) => found,
        None if looks_like_file => {
            return (StatusCode::NOT_FOUND, "No such file.\n").into_response();
        }
        None => match Dist::get(index) {
            Some(file) => (index, file),
            None => return (StatusCode::NOT_FOUND, NOT_BUILT).into_response(),
        },
    };
    serve(name, file, policy, &headers)
}

fn serve(name: &str, file: EmbeddedFile, policy: &str, headers: &HeaderMap) -> Response {
    let tag = file
        .metadata
        .sha256_hash()
        .iter()
        .take(16)
        .fold(String::from("\""), |tag, byte| tag + &format!("{byte:02x}"))
        + "\"";
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|seen| seen.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(file.data.into_owned()).into_response()
    };
    let headers = response.headers_mut();
    let mut insert = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value.trim()) {
            headers.insert(name, value);
        }
    };
    insert(header::CONTENT_TYPE, file.metadata.mimetype());
    insert(header::ETAG, &tag);
    insert(header::CONTENT_SECURITY_POLICY, policy);
    insert(header::X_FRAME_OPTIONS, "DENY");
    // Names below assets/ carry a hash of their content.
    let cache = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    insert(header::CACHE_CONTROL, cache);
    response
}

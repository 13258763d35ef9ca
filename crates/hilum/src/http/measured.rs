//! Rate, errors and duration of every endpoint.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use hilum_platform::traces::Work;
use http::Method;

/// Counts a request and how long its answer took to begin, by its address's
/// template: identifiers are no labels.
pub(super) async fn measured(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let method = named(request.method());
    let started = Instant::now();
    let route = path.map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let traceparent = request.headers().get("traceparent");
    let traceparent = traceparent.and_then(|value| value.to_str().ok());
    let work = Work::request(format!("{method} {route}"), traceparent);
    let response = work.clone().around(next.run(request)).await;
    let status = match response.status().as_u16() {
        ..400 => "ok",
        400..500 => "refused",
        _ => {
            work.failed();
            "failed"
        }
    };
    metrics::histogram!("hilum_http_request_seconds", "method" => method, "route" => route.clone())
        .record(started.elapsed());
    metrics::counter!("hilum_http_requests_total",
        "method" => method, "route" => route, "status" => status)
    .increment(1);
    response
}

/// A method that is none of ours makes no series of its own.
fn named(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

//! Refuses early what can't be worked on soon, instead of having everybody wait
//! longer and longer: so many requests are worked on at once, and of several
//! organisations none takes all of these places. An answer that has begun holds
//! none: what streams is bounded by its connections.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::scope::{Principal, TenantScope};
use hilum_platform::http::Problem;
use hilum_platform::shares::{Place, Shares};
use hilum_platform::tenants::Directory;
use http::{HeaderValue, header};

/// The places of requests.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) shares: Shares,
    pub(super) tenants: Directory,
}

/// Seconds after which to come again: most requests take milliseconds.
const COME_AGAIN: HeaderValue = HeaderValue::from_static("1");

/// Works on a request if there is a place for it; 503 otherwise. Commands of this
/// machine are not counted: they are what an operator has left then.
pub(super) async fn bounded(
    State(places): State<Places>,
    mut request: Request,
    next: Next,
) -> Response {
    let scope = request.extensions().get::<TenantScope>();
    let Some(scope) = scope.filter(|scope| *scope.principal() != Principal::LocalOperator) else {
        return next.run(request).await;
    };
    let tenants = places.tenants.known().tenants().len();
    let Some(share) = places.shares.take(scope.tenant(), tenants) else {
        metrics::counter!("hilum_http_requests_turned_away_total").increment(1);
        let text = "More requests are being worked on than there is room for. Try again.";
        let busy = Problem(ServiceError::new(ErrorCode::Unavailable, text));
        let mut response = busy.into_response();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, COME_AGAIN);
        return response;
    };
    let place = Place::of(share);
    request.extensions_mut().insert(place.clone());
    let response = next.run(request).await;
    place.leave();
    response
}

//! Requests of people and programs that one process takes and another answers. The
//! process whose door it came to has found out who asks; the neighbour takes its
//! word, and its alone: what a client writes into these headers itself is taken out
//! before.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::scope::TenantScope;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::elsewhere::Hops;
use super::{CALLER, HOPS, Neighbour, SCOPE, WITHIN};
use crate::auth;
use crate::http::{Caller, Problem};
use crate::limits::PASSED_ON_WITHIN;
use crate::shares::Place;

/// What belongs to one connection and not to the request (RFC 9110 §7.6.1).
const OF_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

#[derive(Serialize, Deserialize)]
struct From {
    address: IpAddr,
    secure: bool,
}

/// Has `neighbour` answer a request that came to a door of this process.
pub async fn pass_on(neighbour: Neighbour, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = parts.extensions.get::<Caller>().copied();
    let scope = parts.extensions.get::<TenantScope>().cloned();
    let place = parts.extensions.get::<Place>().cloned();
    let Some(caller) = caller else {
        return Problem(ServiceError::internal("The server did not say who calls."))
            .into_response();
    };
    connection_only(&mut parts.headers);
    for name in [SCOPE, WITHIN] {
        parts.headers.remove(name);
    }
    let Hops(hops) = parts.extensions.get().copied().unwrap_or_default();
    parts
        .headers
        .insert(HOPS, u16::from(hops.saturating_add(1)).into());
    let from = From {
        address: caller.address,
        secure: caller.secure,
    };
    let headers = serde_json::to_string(&from).ok().into_iter();
    let headers = headers.map(|text| (CALLER, text));
    let headers = headers.chain(scope.map(|scope| (SCOPE, auth::to_neighbour(&scope))));
    for (name, text) in headers {
        match HeaderValue::from_str(&text) {
            Ok(value) => drop(parts.headers.insert(name, value)),
            Err(_) => {
                return Problem(ServiceError::internal("A scope can't be told.")).into_response();
            }
        }
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = neighbour.address_of(path) else {
        return Problem(ServiceError::invalid("The address can't be passed on.")).into_response();
    };
    let mut asked = http::Request::new(body);
    *asked.method_mut() = parts.method;
    *asked.uri_mut() = uri;
    *asked.headers_mut() = parts.headers;
    // Who waits for a neighbour to be there again takes no place from those who need none.
    let waits = || place.iter().for_each(Place::leave);
    match neighbour.pass_on(asked, PASSED_ON_WITHIN, waits).await {
        Ok(answer) => {
            let (mut parts, body) = answer.into_parts();
            connection_only(&mut parts.headers);
            Response::from_parts(parts, Body::new(body))
        }
        Err(error) => Problem(error).into_response(),
    }
}

/// Takes the word of the neighbour that passed a request on for who asks: a
/// middleware of the door for neighbours.
pub async fn passed_on(mut request: Request, next: Next) -> Response {
    let text = |headers: &mut HeaderMap, name: HeaderName| headers.remove(name);
    let headers = request.headers_mut();
    let (from, scope) = (text(headers, CALLER), text(headers, SCOPE));
    let from: Option<From> = from.and_then(|value| serde_json::from_slice(value.as_bytes()).ok());
    let scope = scope.map(|value| value.to_str().ok().and_then(auth::from_neighbour));
    let (Some(from), None | Some(Some(_))) = (from, &scope) else {
        let text = "This door is for neighbours.";
        let error = ServiceError::new(ErrorCode::Unauthenticated, text);
        return Problem(error).into_response();
    };
    let hops = request.headers_mut().remove(HOPS);
    let hops = hops.and_then(|value| value.to_str().ok()?.parse().ok());
    request.extensions_mut().insert(Hops(hops.unwrap_or(1)));
    request.extensions_mut().insert(Caller {
        address: from.address,
        secure: from.secure,
    });
    if let Some(scope) = scope.flatten() {
        request.extensions_mut().insert(scope);
    }
    next.run(request).await
}

fn connection_only(headers: &mut HeaderMap) {
    for name in OF_CONNECTION {
        headers.remove(name);
    }
}

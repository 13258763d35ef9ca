//! DICOM associations that come to one shard and are for a tenant of another: the
//! connection goes on at the neighbour's door, as an HTTP/1.1 upgrade (RFC 9110 §7.8).

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hilum_contracts::error::{ErrorCode, ServiceError};
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{CALLER, Neighbour};
use crate::http::Problem;
use crate::limits::NEIGHBOUR_WITHIN;

const PATH: &str = "/carry/association";
/// What the connection becomes.
const DICOM: HeaderValue = HeaderValue::from_static("dicom");
/// Associations that were brought and wait to be begun, at most.
const WAITING: usize = 16;

/// A connection of a device, its handshake over.
pub struct Carried {
    /// Its bytes.
    pub stream: TokioIo<Upgraded>,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The certificate (DER) that it showed.
    pub certificate: Option<Vec<u8>>,
}

/// Who called, as the neighbour says.
#[derive(Serialize, Deserialize)]
struct Of {
    peer: SocketAddr,
    certificate: Option<String>,
}

/// A way for one association to `neighbour`, who serves it.
///
/// # Errors
/// `Unavailable` when the neighbour does not take it.
pub async fn carry(
    neighbour: &Neighbour,
    peer: SocketAddr,
    certificate: Option<&[u8]>,
) -> Result<TokioIo<Upgraded>, ServiceError> {
    let of = Of {
        peer,
        certificate: certificate.map(|der| BASE64_STANDARD.encode(der)),
    };
    let of = serde_json::to_string(&of).map_err(|_| unwritten())?;
    let request = Request::get(neighbour.address_of(PATH).map_err(|_| unwritten())?)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, DICOM)
        .header(CALLER, of)
        .body(Body::empty())
        .map_err(|_| unwritten())?;
    let answer = neighbour.pass_on(request, NEIGHBOUR_WITHIN, || ()).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(untaken());
    }
    let stream = hyper::upgrade::on(answer).await.map_err(|_| untaken())?;
    Ok(TokioIo::new(stream))
}

/// The address at which neighbours bring associations, and what they brought.
pub fn door() -> (Router, mpsc::Receiver<Carried>) {
    let (brought, carried) = mpsc::channel(WAITING);
    let router = Router::new().route(PATH, get(take)).with_state(brought);
    (router, carried)
}

async fn take(State(brought): State<mpsc::Sender<Carried>>, mut request: Request) -> Response {
    let of = request.headers_mut().remove(CALLER);
    let of = of.and_then(|value| serde_json::from_slice::<Of>(value.as_bytes()).ok());
    let is_dicom = request.headers().get(header::UPGRADE) == Some(&DICOM);
    let (Some(of), true) = (of, is_dicom) else {
        let text = "Neighbours bring associations here.";
        return Problem(ServiceError::invalid(text)).into_response();
    };
    let certificate = match of.certificate.map(|text| BASE64_STANDARD.decode(text)) {
        None => None,
        Some(Ok(der)) => Some(der),
        Some(Err(_)) => {
            let text = "The certificate can't be read.";
            return Problem(ServiceError::invalid(text)).into_response();
        }
    };
    // Where none is waited for any more this process ends.
    let Ok(place) = brought.reserve_owned().await else {
        return Problem(untaken()).into_response();
    };
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(Ok(stream)) = tokio::time::timeout(UPGRADED_WITHIN, upgrade).await {
            place.send(Carried {
                stream: TokioIo::new(stream),
                peer: of.peer,
                certificate,
            });
        }
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, DICOM),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Until the answer that agrees to it is written.
const UPGRADED_WITHIN: Duration = Duration::from_secs(10);

fn untaken() -> ServiceError {
    let text = "The other shard does not take associations now.";
    ServiceError::new(ErrorCode::Unavailable, text)
}

fn unwritten() -> ServiceError {
    ServiceError::internal("An association can't be carried.")
}

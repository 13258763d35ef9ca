//! Retrieve metadata (PS3.18 §10.4.1.1.2): DICOM JSON as it was written at
//! intake, streamed instance by instance, bulk data addresses made absolute.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hilum_archive::{InstanceMetadata, MetadataScope};
use hilum_contracts::error::ServiceError;
use hilum_dataset::with_bulk_prefix;
use hilum_dicomweb::accept::DICOM_JSON;
use hilum_platform::http::Scope;
use hilum_platform::scope::TenantScope;
use http::{HeaderMap, StatusCode};

use super::base::Base;
use super::error::Failure;
use super::wado_instances::{accepted, respond};
use crate::ImagingService;

/// `GET /studies/{study}/metadata`
pub(super) async fn study(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
    base: Base,
    Path(study): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let of = MetadataScope::Study(study);
    metadata(&service, &scope, base, of, query.as_deref(), &headers).await
}

/// `GET /studies/{study}/series/{series}/metadata`
pub(super) async fn series(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let of = MetadataScope::Series { study, series };
    metadata(&service, &scope, base, of, query.as_deref(), &headers).await
}

/// `GET /studies/{study}/series/{series}/instances/{instance}/metadata`
pub(super) async fn instance(
    Scope(scope): Scope,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series, instance)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let of = MetadataScope::Instance {
        study,
        series,
        instance,
    };
    metadata(&service, &scope, base, of, query.as_deref(), &headers).await
}

async fn metadata(
    service: &ImagingService,
    scope: &TenantScope,
    base: Base,
    of: MetadataScope,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    accepted(headers, query)?.dicom_json()?;
    let mut found = service.archive.instance_metadata(scope, of);
    let Some(first) = found.next().await.transpose()? else {
        return Err(Failure::not_found());
    };
    let first = document(&first, &base, b'[');
    let rest = found.map(move |next| {
        next.map(|next| document(&next, &base, b','))
            .map_err(ServiceError::from)
    });
    let end = stream::iter([Ok(Bytes::from_static(b"]"))]);
    let body = stream::iter([Ok(first)]).chain(rest).chain(end);
    Ok(respond(
        StatusCode::OK,
        DICOM_JSON,
        None,
        Body::from_stream(body),
    ))
}

fn document(of: &InstanceMetadata, base: &Base, before: u8) -> Bytes {
    let row = &of.row;
    let prefix = base.bulk_data(&row.study, &row.series, &row.sop_instance);
    let mut document = vec![before];
    document.extend_from_slice(&with_bulk_prefix(&of.metadata, &prefix));
    Bytes::from(document)
}

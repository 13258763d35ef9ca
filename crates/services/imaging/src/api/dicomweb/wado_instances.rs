//! Retrieve instances of a study, a series, or one (PS3.18 §10.4.1.1.1):
//! part-10 files with their meta information made anew, streamed.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hilum_archive::limits::PAGE_ROWS;
use hilum_archive::{InstanceFilter, InstanceRow, MetadataScope, Page, SeriesFilter, StudyFilter};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_dicomweb::accept::{Accept, DICOM, EXPLICIT_VR_LITTLE_ENDIAN, InstanceForm};
use hilum_dicomweb::multipart::{Boundary, PartHead, body_length, write};
use hilum_platform::http::May;
use hilum_platform::scope::TenantScope;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::base::Base;
use super::error::Failure;
use super::limits;
use super::stored::{First, Pieces, Stored, as_received};
use super::transcode::{can_rewrite, file_meta, rewritten};
use super::validator::Validator;
use crate::ImagingService;

/// `GET /studies/{study}`
pub(super) async fn study(
    May(scope, _): May<doors::RetrieveImages>,
    State(service): State<ImagingService>,
    base: Base,
    Path(study): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let of = MetadataScope::Study(study);
    retrieve(service, scope, base, of, query.as_deref(), &headers).await
}

/// `GET /studies/{study}/series/{series}`
pub(super) async fn series(
    May(scope, _): May<doors::RetrieveImages>,
    State(service): State<ImagingService>,
    base: Base,
    Path((study, series)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let of = MetadataScope::Series { study, series };
    retrieve(service, scope, base, of, query.as_deref(), &headers).await
}

/// `GET /studies/{study}/series/{series}/instances/{instance}`
pub(super) async fn instance(
    May(scope, _): May<doors::RetrieveImages>,
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
    retrieve(service, scope, base, of, query.as_deref(), &headers).await
}

/// What an Accept header and query say.
pub(super) fn accepted(headers: &HeaderMap, query: Option<&str>) -> Result<Accept, Failure> {
    let header = headers.get(header::ACCEPT);
    Ok(Accept::new(
        header.and_then(|value| value.to_str().ok()),
        query,
    )?)
}

async fn retrieve(
    service: ImagingService,
    scope: TenantScope,
    base: Base,
    of: MetadataScope,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let accept = accepted(headers, query)?;
    let wish = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
    let form = format!(
        "{}?{}",
        String::from_utf8_lossy(wish.unwrap_or_default()),
        query.unwrap_or_default()
    );
    let validator = Validator::of_index(&service, &scope, &base, &of, &[&form]).await?;
    if let Some(answer) = validator.not_modified(headers) {
        return Ok(answer);
    }
    let mut chosen: Vec<(InstanceRow, InstanceForm)> = Vec::new();
    let mut refused = None;
    for row in rows(&service, &scope, of).await? {
        match choose(&accept, &row) {
            Ok(form) => chosen.push((row, form)),
            Err(failure) => refused = Some(failure),
        }
    }
    // PS3.18 table 10.4.3-1: 206 when some can't be given, 406 when none can.
    let status = match (chosen.is_empty(), refused) {
        (true, Some(failure)) => return Err(failure),
        (true, None) => return Err(Failure::not_found()),
        (false, Some(_)) => StatusCode::PARTIAL_CONTENT,
        (false, None) => StatusCode::OK,
    };
    let single = match chosen.as_slice() {
        [(row, form)] => Some((row.clone(), form.original)),
        _ => None,
    };
    if chosen.iter().any(|(_, form)| !form.multipart) {
        let Some((row, original)) = single else {
            return Err(Failure::not_acceptable(
                "several instances are given as multipart/related only",
            ));
        };
        return alone(&service, &scope, &base, row, original, headers).await;
    }
    let heads: Vec<PartHead> = chosen
        .iter()
        .map(|(row, form)| part_head(row, form.original, &base))
        .collect::<Result<_, _>>()?;
    let boundary = Boundary::from_bits(uuid::Uuid::new_v4().as_u128());
    let length = body_length(&boundary, &heads);
    let content_type = boundary.content_type(DICOM);
    // Opened here where it is only one, so that its failure is the answer.
    let first = match single {
        Some((row, original)) => Some(file(&service, &scope, row, original).await?),
        None => None,
    };
    let parts = stream::iter(chosen.into_iter().zip(heads)).scan(first, |first, part| {
        let opened = first.take();
        std::future::ready(Some((part, opened)))
    });
    let parts = parts.map(move |(((row, form), head), opened)| {
        let (service, scope) = (service.clone(), scope.clone());
        async move {
            let pieces = match opened {
                Some(pieces) => pieces,
                None => file(&service, &scope, row, form.original)
                    .await
                    .map_err(|_| ServiceError::internal("An instance can't be given."))?,
            };
            Ok::<_, ServiceError>((head, pieces))
        }
    });
    // The next are read and opened while one is sent.
    let parts = parts.buffered(limits::INSTANCES_AHEAD);
    let body = Body::from_stream(write(boundary, parts));
    Ok(validator.mark(respond(status, &content_type, length, body)))
}

/// One instance as an answer of its own; as it is stored, also a range of it.
async fn alone(
    service: &ImagingService,
    scope: &TenantScope,
    base: &Base,
    row: InstanceRow,
    original: bool,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let head = part_head(&row, original, base)?;
    let validator = match &row.overlay {
        None => Validator::of_bytes(&row, &["file", &head.content_type]),
        Some(_) => {
            let of = MetadataScope::Instance {
                study: row.study.clone(),
                series: row.series.clone(),
                instance: row.sop_instance.clone(),
            };
            Validator::of_index(service, scope, base, &of, &[&head.content_type]).await?
        }
    };
    if let Some(answer) = validator.not_modified(headers) {
        return Ok(answer);
    }
    let Some(length) = head.length else {
        let body = Body::from_stream(file(service, scope, row, original).await?);
        let answer = respond(StatusCode::OK, &head.content_type, None, body);
        return Ok(validator.mark(answer));
    };
    let wanted = validator.wanted(headers, length);
    let range = match wanted.range(length) {
        Ok(range) => range,
        Err(answer) => return Ok(*answer),
    };
    let given = Some(range.end - range.start);
    let syntax = row.transfer_syntax.trim_end_matches(['\0', ' ']);
    let meta = file_meta(&row, syntax)?;
    let before = length - row.location.length();
    let at = |place: u64| usize::try_from(place).map_or(meta.len(), |at| at.min(meta.len()));
    let meta = meta.slice(at(range.start)..at(range.end));
    let within = range.start.saturating_sub(before)..range.end.saturating_sub(before);
    let data_set = as_received(service, scope, &row, within).await?;
    let pieces = stream::iter([Ok(meta)]).chain(data_set);
    let body = Body::from_stream(pieces);
    let answer = respond(StatusCode::OK, &head.content_type, given, body);
    Ok(validator.mark(wanted.mark(answer, length)))
}

/// The instances asked for: their rows alone, some hundred bytes each, so that
/// status and length are known before the first byte is sent.
async fn rows(
    service: &ImagingService,
    scope: &TenantScope,
    of: MetadataScope,
) -> Result<Vec<InstanceRow>, Failure> {
    let (study, series, uids) = match of.clone() {
        MetadataScope::Study(study) => (study, Vec::new(), Vec::new()),
        MetadataScope::Series { study, series } => (study, vec![series], Vec::new()),
        MetadataScope::Instance {
            study,
            series,
            instance,
        } => (study, vec![series], vec![instance]),
    };
    let filter = InstanceFilter {
        series: SeriesFilter {
            uids: series,
            study: StudyFilter {
                uids: vec![study],
                ..StudyFilter::default()
            },
            ..SeriesFilter::default()
        },
        uids,
        ..InstanceFilter::default()
    };
    let mut all = Vec::new();
    loop {
        let page = Page {
            limit: PAGE_ROWS,
            offset: u64::try_from(all.len()).unwrap_or(u64::MAX),
        };
        let some = service.archive.instances(scope, &filter, page).await?;
        let last = some.len() < PAGE_ROWS as usize;
        all.extend(some);
        if last {
            break;
        }
    }
    if all.is_empty() && matches!(of, MetadataScope::Instance { .. }) {
        // One that was rejected for its quality is given at its own address.
        let mut found = service.archive.instance_metadata(scope, of);
        all.extend(found.next().await.transpose()?.map(|found| found.row));
    }
    Ok(all)
}

fn choose(accept: &Accept, row: &InstanceRow) -> Result<InstanceForm, Failure> {
    let stored = row.transfer_syntax.trim_end_matches(['\0', ' ']);
    accept
        .instance(stored)?
        .into_iter()
        .find(|form| form.original || can_rewrite(stored))
        .ok_or_else(|| {
            Failure::not_acceptable(
                "the stored transfer syntax can't be decoded; the instance is given as stored with transfer-syntax=*",
            )
        })
}

fn part_head(row: &InstanceRow, original: bool, base: &Base) -> Result<PartHead, Failure> {
    let stored = row.transfer_syntax.trim_end_matches(['\0', ' ']);
    let syntax = if original {
        stored
    } else {
        EXPLICIT_VR_LITTLE_ENDIAN
    };
    // What is corrected has its length when it is made.
    let length = if original && row.overlay.is_none() {
        let meta = file_meta(row, syntax)?.len();
        u64::try_from(meta)
            .ok()
            .and_then(|meta| meta.checked_add(row.location.length()))
    } else {
        None
    };
    Ok(PartHead {
        content_type: format!("{DICOM}; transfer-syntax={syntax}"),
        location: Some(base.instance(&row.study, &row.series, &row.sop_instance)),
        length,
    })
}

async fn file(
    service: &ImagingService,
    scope: &TenantScope,
    row: InstanceRow,
    original: bool,
) -> Result<Pieces, Failure> {
    if original {
        let syntax = row.transfer_syntax.trim_end_matches(['\0', ' ']);
        let meta: Bytes = file_meta(&row, syntax)?;
        let data_set = service.corrected(scope, &row).await?;
        return Ok(stream::iter([Ok(meta)]).chain(data_set).boxed());
    }
    let address = (row.study, row.series, row.sop_instance);
    rewritten(Stored::find(service, scope, address, First::Nothing).await?).await
}

/// A streamed answer; its length where it is known.
pub(super) fn respond(
    status: StatusCode,
    content_type: &str,
    length: Option<u64>,
    body: Body,
) -> Response {
    let mut response = (status, body).into_response();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    if let Some(length) = length {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

//! Store (PS3.18 §10.5): each part streams into a spool and is stored while
//! the next one arrives. The answer tells of every instance; what was stored
//! before a body broke off stays stored.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{FuturesOrdered, StreamExt as _};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::CorrelationId;
use hilum_dicomweb::accept::{self, Accept};
use hilum_dicomweb::multipart::{Limits, MultipartError, Reader, boundary_of};
use hilum_dicomweb::store_response::{Failed, FailureReason, StoreResponse, Stored};
use hilum_platform::db::moving::MOVING;
use hilum_platform::http::{May, Problem};
use hilum_platform::scope::TenantScope;
use http::{HeaderMap, header};
use tokio::task::JoinHandle;

use super::base::Base;
use super::error::Failure;
use super::limits;
use crate::ImagingService;
use crate::domain::readiness::Ending;
use crate::intake::{FileSpool, Intake, Received, Refused, Source};

/// `POST /studies`
pub(super) async fn any_study(
    May(scope, _): May<doors::StoreImages>,
    State(service): State<ImagingService>,
    base: Base,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    store(service, scope, base, None, query.as_deref(), &headers, body).await
}

/// `POST /studies/{study}`: instances of other studies fail.
pub(super) async fn one_study(
    May(scope, _): May<doors::StoreImages>,
    State(service): State<ImagingService>,
    base: Base,
    Path(study): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let query = query.as_deref();
    store(service, scope, base, Some(study), query, &headers, body).await
}

async fn store(
    service: ImagingService,
    scope: TenantScope,
    base: Base,
    study: Option<String>,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    Accept::new(text(header::ACCEPT), query)?.dicom_json()?;
    let boundary = boundary_of(text(header::CONTENT_TYPE))?;
    let part_limits = Limits {
        parts: limits::STOW_PARTS,
        part_bytes: crate::limits::DATA_SET_MAX,
    };
    let request = Request {
        intake: Intake::begin(service, scope, CorrelationId::new(), Source::Stow),
        reader: Reader::new(body.into_data_stream(), &boundary, part_limits),
        study: study.map(Arc::from),
    };
    // On its own: a client that goes away leaves a request that still ends
    // as it should.
    tokio::spawn(request.run(base))
        .await
        .map_err(|_| Failure::Service(ServiceError::internal("The request ended early.")))?
}

struct Request {
    intake: Intake,
    reader: Reader,
    study: Option<Arc<str>>,
}

type Outcome = Result<Received, Failed>;

impl Request {
    async fn run(mut self, base: Base) -> Result<Response, Failure> {
        let mut outcomes = Vec::new();
        let broken = self.take_parts(&mut outcomes).await.err();
        let ending = match broken {
            None => Ending::StowEnded,
            Some(_) => Ending::Aborted,
        };
        self.intake.end(ending).await;
        let stored_any = outcomes.iter().any(Result::is_ok);
        if let Some(error) = broken {
            if !stored_any {
                return Err(Failure::Refused(error.into()));
            }
            outcomes.push(Err(failed(FailureReason::CannotUnderstand)));
        }
        if outcomes.is_empty() {
            let text = "the body holds no instance".to_owned();
            return Err(Failure::Refused(hilum_dicomweb::Refusal::BadRequest(text)));
        }
        Ok(self.answer(&base, outcomes))
    }

    /// Stores parts as they come, several at a time, their order kept.
    async fn take_parts(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), MultipartError> {
        let mut storing: FuturesOrdered<JoinHandle<Outcome>> = FuturesOrdered::new();
        let ended = loop {
            match self.next_part().await {
                Ok(Some(Arrived::Whole(file))) => {
                    let (intake, study) = (self.intake.clone(), self.study.clone());
                    storing.push_back(tokio::spawn(receive(intake, *file, study)));
                }
                Ok(Some(Arrived::Failed(reason))) => {
                    storing.push_back(tokio::spawn(std::future::ready(Err(failed(reason)))));
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if storing.len() >= limits::STOW_IN_FLIGHT {
                outcomes.extend(storing.next().await.map(settle));
            }
        };
        while let Some(outcome) = storing.next().await {
            outcomes.push(settle(outcome));
        }
        ended
    }

    async fn next_part(&mut self) -> Result<Option<Arrived>, MultipartError> {
        let next = tokio::time::timeout(limits::STOW_IDLE, self.reader.next_part());
        let Some(part) = next.await.map_err(|_| MultipartError::Connection)?? else {
            return Ok(None);
        };
        // A part without a type is taken for what the request says it is.
        if part.media_type().is_some_and(|kind| kind != accept::DICOM) {
            return Ok(Some(Arrived::Failed(FailureReason::CannotUnderstand)));
        }
        let mut file = self.intake.file_spool();
        let mut fault = None;
        // What can't be kept is still read, so that the next part is reached.
        while let Some(chunk) = self.chunk().await? {
            if fault.is_none() {
                fault = file.write(&chunk).err();
            }
        }
        Ok(Some(match fault {
            None => Arrived::Whole(Box::new(file)),
            Some(error) => {
                tracing::warn!(correlation_id = %self.intake.id(), %error, "spool");
                self.intake.lacks_something();
                Arrived::Failed(FailureReason::OutOfResources)
            }
        }))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        tokio::time::timeout(limits::STOW_IDLE, self.reader.chunk())
            .await
            .map_err(|_| MultipartError::Connection)?
    }

    fn answer(&self, base: &Base, outcomes: Vec<Outcome>) -> Response {
        let mut answer = StoreResponse::default();
        let mut studies = std::collections::BTreeSet::new();
        for outcome in outcomes {
            match outcome {
                Ok(received) => {
                    let (study, series) = (&received.study_uid, &received.series_uid);
                    let url = base.instance(study, series, &received.sop_instance_uid);
                    studies.insert(received.study_uid);
                    answer.stored.push(Stored {
                        sop_class_uid: received.sop_class_uid,
                        sop_instance_uid: received.sop_instance_uid,
                        retrieve_url: url,
                        warning: None,
                    });
                }
                Err(failed) => answer.failed.push(failed),
            }
        }
        if let (1, Some(study)) = (studies.len(), studies.first()) {
            answer.study_url = Some(base.study(study));
        }
        // None was taken because the tenant is being moved: it is a matter of seconds.
        let is_all = answer.stored.is_empty()
            && answer
                .failed
                .iter()
                .all(|one| one.reason == FailureReason::OutOfResources);
        if is_all && self.intake.is_moving() {
            let error = ServiceError::new(ErrorCode::Unavailable, MOVING);
            return Problem(error).into_response();
        }
        let kind = [(header::CONTENT_TYPE, accept::DICOM_JSON)];
        (answer.status(), kind, answer.to_json().to_string()).into_response()
    }
}

/// A part that has arrived.
enum Arrived {
    Whole(Box<FileSpool>),
    Failed(FailureReason),
}

async fn receive(intake: Intake, file: FileSpool, study: Option<Arc<str>>) -> Outcome {
    let received = intake.receive_file(file, study.as_deref()).await;
    received.map_err(|not_taken| Failed {
        instance: not_taken.instance,
        reason: match not_taken.refused {
            Refused::NotAnInstance(_) => FailureReason::CannotUnderstand,
            Refused::DoesNotMatch => FailureReason::DataSetMismatch,
            Refused::Deleted => FailureReason::NotAuthorized,
            Refused::TooLong | Refused::NoSpace | Refused::NoStorage | Refused::OverQuota => {
                FailureReason::OutOfResources
            }
            // Of some parts: the others are acknowledged, and these are sent again.
            Refused::Moving => FailureReason::OutOfResources,
            Refused::Unavailable => FailureReason::ProcessingFailure,
        },
    })
}

fn settle(outcome: Result<Outcome, tokio::task::JoinError>) -> Outcome {
    outcome.unwrap_or_else(|_| Err(failed(FailureReason::ProcessingFailure)))
}

fn failed(reason: FailureReason) -> Failed {
    Failed {
        instance: None,
        reason,
    }
}

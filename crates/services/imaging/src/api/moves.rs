//! `POST /studies/{study_uid}/moves`: a series to another study, instances to
//! another series, a study into another one.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use futures::StreamExt as _;
use hilum_archive::{ArchiveError, MetadataScope, MoveOf, MoveTo, NewMove, StudyRow};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_dataset::patch::{Change, Correction};
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::corrections::{
    ATTEMPTS, ChangedAttribute, changes_asked, date_time, find_series, keyword,
};
use crate::ImagingService;
use crate::domain::correction::{Level, belongs, series_after, study_after};
use crate::domain::moving::{
    Document, Placed, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID, changes_between, changes_to,
    same_patient,
};
use crate::limits::MOVED_INSTANCES;

/// What belongs elsewhere, and where.
#[derive(Deserialize, ToSchema)]
pub(crate) struct MoveRequest {
    /// The series that is moved, or from which instances are; absent: all of
    /// the study.
    series_uid: Option<String>,
    /// The instances that are moved; empty: all of the series.
    #[serde(default)]
    sop_instance_uids: Vec<String>,
    /// Study Instance UID that it belongs to; absent: this study when
    /// `to_series_uid` or `to_new_series` is given, a new one otherwise.
    to_study_uid: Option<String>,
    /// Series Instance UID that it belongs to; absent: its own.
    to_series_uid: Option<String>,
    /// To a series that is made for it.
    #[serde(default)]
    to_new_series: bool,
    /// Attributes of a study that is made for it, by keyword or tag: the right
    /// patient, for instance. What is not named stays as it was.
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Attributes that a study that is made for it should not have.
    #[serde(default)]
    remove: Vec<String>,
    /// Why, in a person's words.
    reason: String,
}

/// Where it is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct MoveAnswer {
    study_uid: String,
    /// Absent: each series kept its own.
    series_uid: Option<String>,
    /// How many instances were moved.
    instances: u64,
}

/// Moves a study, a series or instances to where they belong. What was received
/// stays and can still be asked for; later arrivals of a series or study
/// follow.
#[utoipa::path(post, path = "/studies/{study_uid}/moves",
    extensions(("x-hilum-action" = json!("correct-studies"))), tag = "imaging",
    params(("study_uid" = String, Path)), request_body = MoveRequest,
    responses((status = 200, body = MoveAnswer), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn move_study(
    May(scope, _): May<doors::CorrectStudies>,
    State(service): State<ImagingService>,
    Path(study_uid): Path<String>,
    Json(request): Json<MoveRequest>,
) -> Result<Json<MoveAnswer>, Problem> {
    let wish = Wish::of(&study_uid, request)?;
    Ok(Json(wish.carry_out(&service, &scope).await?))
}

/// A request that says one thing.
struct Wish {
    study: String,
    of: MoveOf,
    to_study: String,
    to_series: Option<String>,
    asked: Vec<Change>,
    reason: String,
}

impl Wish {
    fn of(study: &str, request: MoveRequest) -> Result<Self, ServiceError> {
        let reason = request.reason.trim().to_owned();
        if reason.is_empty() {
            return Err(ServiceError::invalid("Say why it is moved."));
        }
        let asked = changes_asked(Level::Study, &request.set, &request.remove)?;
        let instances = request.sop_instance_uids;
        let of = match (request.series_uid, instances.is_empty()) {
            (None, true) => MoveOf::Study,
            (None, false) => {
                return Err(ServiceError::invalid(
                    "Say which series the instances are of.",
                ));
            }
            (Some(series), true) => MoveOf::Series(series),
            (Some(series), false) => MoveOf::Instances { series, instances },
        };
        if of == MoveOf::Study && (request.to_series_uid.is_some() || request.to_new_series) {
            return Err(ServiceError::invalid("A study is not moved into a series."));
        }
        if matches!(&of, MoveOf::Instances { instances, .. } if instances.len() > MOVED_INSTANCES) {
            return Err(ServiceError::invalid("Too many instances are named."));
        }
        let to_series = match (request.to_series_uid, request.to_new_series) {
            (Some(_), true) => {
                return Err(ServiceError::invalid(
                    "Name a series, or ask for a new one.",
                ));
            }
            (Some(uid), false) => Some(valid_uid(uid, SERIES_INSTANCE_UID)?),
            (None, true) => Some(new_uid()),
            (None, false) => None,
        };
        let to_study = match request.to_study_uid {
            Some(uid) => valid_uid(uid, STUDY_INSTANCE_UID)?,
            None if to_series.is_some() => study.to_owned(),
            None => new_uid(),
        };
        Ok(Self {
            study: study.to_owned(),
            of,
            to_study,
            to_series,
            asked,
            reason,
        })
    }

    async fn carry_out(
        self,
        service: &ImagingService,
        scope: &TenantScope,
    ) -> Result<MoveAnswer, ServiceError> {
        for _ in 0..ATTEMPTS {
            let prepared = self.prepare(service, scope).await?;
            match service.archive.relocate(scope, prepared).await {
                Ok(moved) => {
                    tracing::info!(
                        by = %scope.principal(),
                        instances = moved.instances, "moved"
                    );
                    metrics::counter!("hilum_moved_instances_total").increment(moved.instances);
                    for study in [&self.study, &self.to_study] {
                        let topic = Topic::Studies;
                        service.notices.tell(scope.tenant(), topic, Some(study));
                    }
                    return Ok(MoveAnswer {
                        study_uid: self.to_study,
                        series_uid: self.to_series,
                        instances: moved.instances,
                    });
                }
                Err(ArchiveError::Outdated) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let text = "The study keeps changing. Try again when it has arrived.";
        Err(ServiceError::new(ErrorCode::Conflict, text))
    }

    /// The move on the rows as they are now.
    async fn prepare(
        &self,
        service: &ImagingService,
        scope: &TenantScope,
    ) -> Result<NewMove, ServiceError> {
        let archive = &service.archive;
        let from = archive
            .study(scope, &self.study)
            .await?
            .ok_or_else(|| ServiceError::not_found("There is no such study."))?;
        let there = archive.study(scope, &self.to_study).await?;
        let (mut patient, mut attributes) = match &there {
            Some(row) => (row.patient.clone(), row.attributes.clone()),
            None => (from.patient.clone(), from.attributes.clone()),
        };
        if there.is_some() && !self.asked.is_empty() {
            return Err(ServiceError::invalid(
                "The study is there already; correct its attributes where it is.",
            ));
        }
        let mut changes = Vec::new();
        if self.to_study != self.study {
            changes = self
                .to_other_study(service, scope, &from, there.as_ref())
                .await?;
            study_after(&mut patient, &mut attributes, &self.asked);
        }
        let into = self.to_other_series(service, scope, &mut changes).await?;
        let study_overlay = archive.overlay(scope, &self.to_study, None).await?;
        let series_overlay = match &self.to_series {
            Some(uid) => archive.overlay(scope, &self.to_study, Some(uid)).await?,
            None => None,
        };
        let step = Correction {
            at: date_time(service.clock.now()),
            system: "HILUM".to_owned(),
            source: String::new(),
            changes,
        };
        let mut overlays = Vec::new();
        for before in archive.overlays_of(scope, &self.study, &self.of).await? {
            let (study, series) = (study_overlay.as_deref(), series_overlay.as_deref());
            let after = Placed::moved(before.as_ref(), &step, study, series)?;
            overlays.push((before, after));
        }
        let detail = self.history(&from, &step.changes);
        Ok(NewMove {
            study: self.study.clone(),
            of: self.of.clone(),
            to: MoveTo {
                study: self.to_study.clone(),
                series: self.to_series.clone(),
                patient,
                study_attributes: attributes,
                series_attributes: into,
                study_overlay,
                series_overlay,
            },
            overlays,
            detail: serde_json::to_string(&detail)
                .map_err(|_| ServiceError::internal("The move can't be written."))?,
            reason: self.reason.clone(),
            by: scope.principal().to_string(),
        })
    }

    /// What it reads as in a study that is there, or in one that is made.
    async fn to_other_study(
        &self,
        service: &ImagingService,
        scope: &TenantScope,
        from: &StudyRow,
        there: Option<&StudyRow>,
    ) -> Result<Vec<Change>, ServiceError> {
        let uid = Change::new(STUDY_INSTANCE_UID, Some(self.to_study.clone()));
        let mut changes = vec![uid.map_err(|error| ServiceError::invalid(error.to_string()))?];
        let Some(there) = there else {
            changes.extend(self.asked.iter().cloned());
            return Ok(changes);
        };
        let keeps = same_patient(&from.patient, &there.patient);
        changes.extend(changes_to(&there.patient, &there.attributes, keeps));
        let to = document(service, scope, MetadataScope::Study(there.uid.clone())).await?;
        let from = document(service, scope, self.metadata_scope()).await?;
        if let (Some(from), Some(to)) = (from, to) {
            // Of several changes of one attribute the last counts.
            changes.extend(changes_between(Level::Study, &from, &to, keeps));
        }
        Ok(changes)
    }

    /// What it reads as in another series, and that series' attributes when it
    /// is to be made.
    async fn to_other_series(
        &self,
        service: &ImagingService,
        scope: &TenantScope,
        changes: &mut Vec<Change>,
    ) -> Result<Option<hilum_archive::SeriesAttributes>, ServiceError> {
        let (Some(uid), MoveOf::Series(own) | MoveOf::Instances { series: own, .. }) =
            (&self.to_series, &self.of)
        else {
            return Ok(None);
        };
        let from = find_series(service, scope, &self.study, own)
            .await?
            .ok_or_else(|| ServiceError::not_found("There is no such series."))?;
        let change = Change::new(SERIES_INSTANCE_UID, Some(uid.clone()));
        changes.push(change.map_err(|error| ServiceError::invalid(error.to_string()))?);
        let Some(there) = find_series(service, scope, &self.to_study, uid).await? else {
            return Ok(None);
        };
        if there.attributes.modality != from.attributes.modality {
            return Err(ServiceError::invalid(
                "A series holds instances of one modality.",
            ));
        }
        let of = MetadataScope::Series {
            study: self.to_study.clone(),
            series: uid.clone(),
        };
        let to = document(service, scope, of).await?;
        let from = document(service, scope, self.metadata_scope()).await?;
        if let (Some(from), Some(to)) = (from, to) {
            changes.extend(changes_between(Level::Series, &from, &to, false));
        }
        let mut attributes = there.attributes;
        series_after(&mut attributes, changes);
        Ok(Some(attributes))
    }

    /// What is moved, as metadata is asked for.
    fn metadata_scope(&self) -> MetadataScope {
        let study = self.study.clone();
        match self.of.clone() {
            MoveOf::Study => MetadataScope::Study(study),
            MoveOf::Series(series) => MetadataScope::Series { study, series },
            MoveOf::Instances { series, instances } => match instances.into_iter().next() {
                Some(instance) => MetadataScope::Instance {
                    study,
                    series,
                    instance,
                },
                None => MetadataScope::Series { study, series },
            },
        }
    }

    /// What the move changes, for people: of several changes of one attribute the
    /// last, and none that leaves it as it is.
    fn history(&self, from: &StudyRow, changes: &[Change]) -> Vec<ChangedAttribute> {
        let last: BTreeMap<u32, &Change> = changes
            .iter()
            .map(|change| (change.tag(), change))
            .collect();
        last.into_values()
            .map(|change| self.told(from, change))
            .filter(|told| {
                told.before.as_deref().unwrap_or_default()
                    != told.after.as_deref().unwrap_or_default()
            })
            .collect()
    }

    fn told(&self, from: &StudyRow, change: &Change) -> ChangedAttribute {
        let before = match change.tag() {
            STUDY_INSTANCE_UID => Some(self.study.clone()),
            SERIES_INSTANCE_UID => match &self.of {
                MoveOf::Study => None,
                MoveOf::Series(series) | MoveOf::Instances { series, .. } => Some(series.clone()),
            },
            tag if belongs(Level::Study, tag) => {
                crate::domain::correction::known(&from.patient, &from.attributes, None, tag)
            }
            _ => None,
        };
        ChangedAttribute {
            tag: format!("{:08X}", change.tag()),
            keyword: keyword(change.tag()),
            before,
            after: change.value().map(str::to_owned),
        }
    }
}

/// The metadata of the first instance, as it reads now.
async fn document(
    service: &ImagingService,
    scope: &TenantScope,
    of: MetadataScope,
) -> Result<Option<Document>, ServiceError> {
    let mut found = service.archive.instance_metadata(scope, of);
    let Some(found) = found.next().await.transpose()? else {
        return Ok(None);
    };
    let text = crate::overlay::metadata(&found)?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|_| ServiceError::internal("The metadata can't be read."))
}

fn valid_uid(uid: String, tag: u32) -> Result<String, ServiceError> {
    let uid = uid.trim().to_owned();
    let valid = !uid.is_empty() && Change::new(tag, Some(uid.clone())).is_ok();
    if !valid {
        return Err(ServiceError::invalid("A UID is named that is none."));
    }
    Ok(uid)
}

/// A UID that nobody has (PS3.5 §B.2).
fn new_uid() -> String {
    format!("2.25.{}", uuid::Uuid::new_v4().as_u128())
}

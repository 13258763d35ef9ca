//! What entries are searched for, as a query says it.

use hilum_contracts::audit::Subject;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::PersonId;
use hilum_platform::audit::{Filter, Find};
use hilum_platform::clock::to_millis;
use hilum_platform::scope::TenantScope;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::IntoParams;

use crate::AuditService;

/// All that is given must hold.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub(crate) struct FilterQuery {
    /// About this patient, or a study of theirs.
    patient_id: Option<String>,
    /// About this study.
    study_uid: Option<String>,
    /// By this person (an id), or by another principal as it is shown.
    person: Option<String>,
    /// This act.
    action: Option<String>,
    /// `success`, `refused` or `failed`.
    outcome: Option<String>,
    /// Not before this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
}

impl FilterQuery {
    /// What it asks for.
    ///
    /// # Errors
    /// `Invalid` for what names nothing; of the trails.
    pub(crate) async fn filter(
        &self,
        service: &AuditService,
        scope: &TenantScope,
    ) -> Result<Filter, ServiceError> {
        let mut about = Vec::new();
        if let Some(id) = given(self.patient_id.as_ref()) {
            about.push(service.about_patient(scope, id).await?);
        }
        if let Some(uid) = given(self.study_uid.as_ref()) {
            about.push(vec![Find::Subject(Subject::study(uid))]);
        }
        Ok(Filter {
            about,
            who: given(self.person.as_ref()).map(|who| match who.parse::<PersonId>() {
                Ok(id) => format!("person {id}"),
                Err(_) => who.to_owned(),
            }),
            act: parsed(self.action.as_ref())?,
            outcome: parsed(self.outcome.as_ref())?,
            since: time(self.from.as_ref())?,
            until: time(self.to.as_ref())?,
        })
    }

    /// What was asked, for the trail.
    pub(crate) fn asked(&self) -> Subject {
        let parts = [
            ("patient_id", &self.patient_id),
            ("study_uid", &self.study_uid),
            ("person", &self.person),
            ("action", &self.action),
            ("outcome", &self.outcome),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let asked: Vec<String> = parts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", given(value.as_ref())?)))
            .collect();
        Subject::query(asked.join("&"))
    }
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn parsed<T: std::str::FromStr>(text: Option<&String>) -> Result<Option<T>, ServiceError>
where
    T::Err: std::fmt::Display,
{
    given(text)
        .map(|text| {
            text.parse()
                .map_err(|error: T::Err| ServiceError::invalid(error.to_string()))
        })
        .transpose()
}

fn time(text: Option<&String>) -> Result<Option<i64>, ServiceError> {
    given(text)
        .map(|text| {
            OffsetDateTime::parse(text, &Rfc3339)
                .map(to_millis)
                .map_err(|_| ServiceError::invalid("A time is written as 2026-11-21T17:00:00Z."))
        })
        .transpose()
}

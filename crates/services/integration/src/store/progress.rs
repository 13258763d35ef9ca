//! What a worker reads and writes while it delivers.

use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::imaging::InstanceRef;
use hilum_platform::audit::Trail;
use hilum_platform::db::{self, Connection, DbError};
use hilum_platform::jobs::{self, End, Job};
use hilum_platform::scope::TenantScope;

use super::Store;

/// An instance that the destination has not acknowledged yet.
#[derive(Clone, Debug)]
pub(crate) struct Unsent {
    pub(crate) ordinal: i64,
    pub(crate) instance: InstanceRef,
}

/// A delivery that is tried.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    /// Study Instance UID.
    pub(crate) study_uid: String,
    /// The run that made the results.
    pub(crate) run: String,
}

/// Why a delivery was withdrawn, for people.
const WITHDRAWN: &str =
    "What was to be sent is not here any more: it was deleted before it could be sent.";

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    /// Everything was acknowledged.
    Delivered,
    /// Tried again at this time, because of this.
    Again { at: i64, reason: String },
    /// As `Again`, but nothing was tried: does not count as an attempt.
    NotYet { at: i64, reason: String },
    /// Waits for a person's decision about the patient.
    Held { reason: String },
    /// Not tried again unless a person asks.
    GivenUp { reason: String },
    /// What was to be sent was deleted before it could be: nobody has to look after it.
    Withdrawn,
    /// Stopped by a shutdown.
    HandedBack,
    /// There was nothing to send: held, given up or forgotten meanwhile.
    Nothing,
    /// The job is of another tenant than the destination; its delivery is left alone.
    NotOurs,
}

impl Store {
    /// A delivery that is about to be tried, now marked as being sent.
    pub(crate) async fn begin_attempt(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Option<Begun>, DbError> {
        let mut tx = self.db().begin(scope).await?;
        let begun = db::query(
            "UPDATE deliveries SET state = 'sending' WHERE id = $1 AND tenant = $2
             AND state IN ('waiting', 'sending') RETURNING study_uid, run_id",
        )
        .bind(id)
        .bind(scope.tenant().as_str())
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        begun
            .map(|row| {
                Ok(Begun {
                    study_uid: row.try_get(0)?,
                    run: row.try_get(1)?,
                })
            })
            .transpose()
    }

    /// When the delivery is tried that goes before this one, because it was planned
    /// earlier for the same study and destination; none: nothing goes before.
    pub(crate) async fn waits_for(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Option<i64>, DbError> {
        db::query_scalar(
            "SELECT coalesce(e.next_attempt_at, e.created_at) FROM deliveries d
             JOIN deliveries e ON e.tenant = d.tenant AND e.study_uid = d.study_uid
                AND e.destination = d.destination AND e.state IN ('waiting', 'sending')
                AND (e.created_at, e.id) < (d.created_at, d.id)
             WHERE d.id = $1 AND d.tenant = $2 ORDER BY e.created_at, e.id LIMIT 1",
        )
        .bind(id)
        .bind(scope.tenant().as_str())
        .fetch_optional(self.db().read(scope))
        .await
    }

    /// What the destination has not acknowledged yet.
    pub(crate) async fn unsent(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Vec<Unsent>, DbError> {
        let rows = db::query(
            "SELECT i.* FROM delivery_instances i JOIN deliveries d ON d.id = i.delivery
             WHERE d.id = $1 AND d.tenant = $2 AND i.sent_at IS NULL ORDER BY i.ordinal",
        )
        .bind(id)
        .bind(scope.tenant().as_str())
        .fetch_all(self.db().read(scope))
        .await?;
        rows.iter()
            .map(|row| {
                let length: i64 = row.try_get("length")?;
                Ok(Unsent {
                    ordinal: row.try_get("ordinal")?,
                    instance: InstanceRef {
                        sop_class_uid: row.try_get("sop_class_uid")?,
                        sop_instance_uid: row.try_get("sop_instance_uid")?,
                        series_uid: row.try_get("series_uid")?,
                        transfer_syntax_uid: row.try_get("transfer_syntax_uid")?,
                        length: u64::try_from(length).unwrap_or_default(),
                    },
                })
            })
            .collect()
    }

    /// Records that the destination acknowledged an instance.
    pub(crate) async fn acknowledged(
        &self,
        scope: &TenantScope,
        id: &str,
        ordinal: i64,
        now: i64,
    ) -> Result<(), DbError> {
        let mut tx = self.db().begin(scope).await?;
        db::query(
            "UPDATE delivery_instances SET sent_at = $1 WHERE delivery = $2 AND ordinal = $3
             AND EXISTS (SELECT 1 FROM deliveries WHERE id = $2 AND tenant = $4)",
        )
        .bind(now)
        .bind(id)
        .bind(ordinal)
        .bind(scope.tenant().as_str())
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Ends an attempt together with its job.
    pub(crate) async fn end_attempt(
        &self,
        scope: &TenantScope,
        trail: &Trail,
        (job, owner): (&Job, &str),
        attempt: &Attempt,
        now: i64,
    ) -> Result<(), DbError> {
        let mut tx = self.db().begin(scope).await?;
        let end = match attempt {
            Attempt::Delivered => End::Done,
            Attempt::Again { at, reason } => End::Retry(*at, reason),
            Attempt::NotYet { at, reason } => End::NotYet(*at, reason),
            // A held delivery gets a new job when the conflict is decided.
            Attempt::Held { .. } => End::Done,
            // A person may have started it anew since, and left the job to us.
            Attempt::Nothing if is_due(&mut tx, scope, &job.subject).await? => End::HandBack,
            Attempt::Nothing => End::Done,
            Attempt::NotOurs => End::Dead("The destination is another tenant's."),
            Attempt::GivenUp { reason } => End::Dead(reason),
            Attempt::Withdrawn => End::Done,
            Attempt::HandedBack => End::HandBack,
        };
        if jobs::finish(&mut tx, job, owner, end).await? {
            let of = update(&mut tx, scope, &job.subject, attempt, now).await?;
            if let (Some((study, destination)), Some(outcome)) = (of, outcome_of(attempt)) {
                let destination = name_of(&mut tx, scope, destination).await?;
                let entry = Entry::new(Act::Delivery)
                    .ended(outcome)
                    .about(Subject::study(study))
                    .with(Detail::Delivery, &job.subject)
                    .with(Detail::Destination, destination)
                    .part_of(job.correlation_id);
                trail.append(&mut tx, scope, entry).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

/// How an attempt that is over ended, for the audit trail.
fn outcome_of(attempt: &Attempt) -> Option<Outcome> {
    match attempt {
        Attempt::Delivered => Some(Outcome::Success),
        Attempt::Again { .. } | Attempt::GivenUp { .. } => Some(Outcome::Failed),
        Attempt::Held { .. } | Attempt::Withdrawn => Some(Outcome::Refused),
        Attempt::NotYet { .. } | Attempt::HandedBack | Attempt::Nothing | Attempt::NotOurs => None,
    }
}

/// Whether a delivery waits to be sent.
async fn is_due(tx: &mut Connection, scope: &TenantScope, id: &str) -> Result<bool, DbError> {
    let found = db::query(
        "SELECT 1 FROM deliveries WHERE id = $1 AND tenant = $2 AND state IN ('waiting', 'sending')",
    )
    .bind(id)
    .bind(scope.tenant().as_str())
    .fetch_optional(tx)
    .await?;
    Ok(found.is_some())
}

/// What a destination is called that deliveries name so.
async fn name_of(
    tx: &mut Connection,
    scope: &TenantScope,
    destination: String,
) -> Result<String, DbError> {
    let made: Option<String> =
        db::query_scalar("SELECT name FROM destinations WHERE id = $1 AND tenant = $2")
            .bind(&destination)
            .bind(scope.tenant().as_str())
            .fetch_optional(tx)
            .await?;
    Ok(made.unwrap_or(destination))
}

/// Of which study, and where to.
async fn update(
    tx: &mut Connection,
    scope: &TenantScope,
    id: &str,
    attempt: &Attempt,
    now: i64,
) -> Result<Option<(String, String)>, DbError> {
    let (state, counts, reason, next, delivered) = match attempt {
        Attempt::Delivered => ("delivered", 1, None, None, Some(now)),
        Attempt::Again { at, reason } => ("waiting", 1, Some(reason.as_str()), Some(*at), None),
        Attempt::NotYet { at, reason } => ("waiting", 0, Some(reason.as_str()), Some(*at), None),
        Attempt::Held { reason } => ("held", 0, Some(reason.as_str()), None, None),
        Attempt::GivenUp { reason } => ("given-up", 1, Some(reason.as_str()), None, None),
        Attempt::Withdrawn => ("given-up", 0, Some(WITHDRAWN), None, None),
        Attempt::HandedBack => ("waiting", 0, None, None, None),
        Attempt::Nothing | Attempt::NotOurs => return Ok(None),
    };
    db::query(
        "UPDATE deliveries SET state = $1, attempts = attempts + $2, reason = $3,
             next_attempt_at = $4, delivered_at = $5 WHERE id = $6 AND tenant = $7
         RETURNING study_uid, destination",
    )
    .bind(state)
    .bind(counts)
    .bind(reason.map(|text| jobs::shorten(text).to_owned()))
    .bind(next)
    .bind(delivered)
    .bind(id)
    .bind(scope.tenant().as_str())
    .fetch_optional(tx)
    .await?
    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
    .transpose()
}

#[cfg(test)]
mod tests {
    use hilum_contracts::ids::{CorrelationId, RunId, TenantId};
    use hilum_contracts::imaging::{PatientIdentity, ResultsPublished};
    use hilum_platform::auth;
    use hilum_platform::db::{Across, Db};

    use super::*;
    use crate::store::planning::{self, NewDelivery};

    /// Plans a delivery of another run's results; its id.
    async fn planned(store: &Store, scope: &TenantScope, study: &str, to: &str, at: i64) -> String {
        let results = ResultsPublished {
            run: RunId::new(),
            study_uid: study.to_owned(),
            instances: Vec::new(),
            patient: PatientIdentity::default(),
            model: "a-model".to_owned(),
            study: hilum_contracts::imaging::StudyFacts::default(),
        };
        let new = NewDelivery {
            results: &results,
            destination: to,
            correlation_id: CorrelationId::new(),
        };
        let mut tx = store.db().begin(scope).await.unwrap();
        planning::plan(&mut tx, scope, &new, at).await.unwrap();
        tx.commit().await.unwrap();
        db::query_scalar("SELECT id FROM deliveries WHERE run_id = $1")
            .bind(results.run.to_string())
            .fetch_one(store.db().read(scope))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn of_a_study_the_earlier_goes_first_to_the_same_destination() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("integration.sqlite");
        let store = Store::new(Db::open(&path, crate::MIGRATIONS).await.unwrap());
        let scope = |name| auth::service(&TenantId::new(name).unwrap(), "integration");
        let (a, b) = (scope("a"), scope("b"));
        let first = planned(&store, &a, "1.2", "pacs", 10).await;
        let second = planned(&store, &a, "1.2", "pacs", 20).await;
        let others = [
            planned(&store, &a, "1.2", "ris", 30).await,
            planned(&store, &a, "1.3", "pacs", 30).await,
        ];
        assert_eq!(store.waits_for(&a, &first).await.unwrap(), None);
        assert_eq!(store.waits_for(&a, &second).await.unwrap(), Some(10));
        for other in &others {
            assert_eq!(store.waits_for(&a, other).await.unwrap(), None);
        }
        assert_eq!(store.waits_for(&b, &second).await.unwrap(), None);
        let ended = |state: &'static str| {
            let query =
                db::query("UPDATE deliveries SET state = $1, next_attempt_at = 99 WHERE id = $2");
            query.bind(state).bind(first.clone())
        };
        ended("waiting")
            .execute(store.db().read(Across::Jobs))
            .await
            .unwrap();
        assert_eq!(store.waits_for(&a, &second).await.unwrap(), Some(99));
        for state in ["delivered", "given-up"] {
            ended(state)
                .execute(store.db().read(Across::Jobs))
                .await
                .unwrap();
            assert_eq!(store.waits_for(&a, &second).await.unwrap(), None);
        }
    }
}

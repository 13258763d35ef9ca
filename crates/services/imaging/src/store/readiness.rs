//! What the readiness worker reads and writes.

use hilum_contracts::Event;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::ids::{CorrelationId, InputSetId, TenantId};
use hilum_contracts::imaging::{InputSetReady, ReadyReason};
use hilum_platform::audit::Trail;
use hilum_platform::clock::from_millis;
use hilum_platform::db::{self, Across, Connection, DbError, Row};
use hilum_platform::events::append;
use hilum_platform::scope::TenantScope;

use super::{Store, instance_list};
use crate::domain::readiness::{Ending, INCOMPLETE, Sender, sentence};
use crate::intake::Live;

/// An input set that is not ready.
#[derive(Clone, Debug)]
pub(crate) struct Unready {
    pub(crate) id: InputSetId,
    pub(crate) tenant: TenantId,
    pub(crate) study_uid: String,
    pub(crate) series_uid: String,
    pub(crate) revision: u32,
    pub(crate) state: String,
    pub(crate) modality: String,
    pub(crate) last_instance_at: i64,
    pub(crate) correlation_id: CorrelationId,
}

/// What makes an input set ready.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) reason: ReadyReason,
    pub(crate) quiet_ms: i64,
    /// SOP Instance UIDs with their data-set hashes, as the archive serves them.
    pub(crate) instances: Vec<String>,
    pub(crate) digest: String,
}

/// A sender ended.
#[derive(Clone, Debug)]
pub(crate) struct SenderEnded<'a> {
    pub(crate) study_uid: &'a str,
    pub(crate) series_uid: &'a str,
    pub(crate) intake: CorrelationId,
    pub(crate) ending: Ending,
    pub(crate) quiet_ms: i64,
}

impl Store {
    /// Records how a sender ended, for each series that it touched. Comes
    /// before or after the events of what it stored.
    pub(crate) async fn sender_ended(
        &self,
        scope: &TenantScope,
        ended: &[SenderEnded<'_>],
        now: i64,
    ) -> Result<(), DbError> {
        let mut tx = self.db().begin(scope).await?;
        for sender in ended {
            db::query(
                "INSERT INTO senders (tenant, study_uid, series_uid, intake_id, ended_at, ending, quiet_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (tenant, study_uid, series_uid, intake_id) DO UPDATE SET ended_at = excluded.ended_at, ending = excluded.ending,
                     quiet_ms = excluded.quiet_ms",
            )
            .bind(scope.tenant().as_str())
            .bind(sender.study_uid)
            .bind(sender.series_uid)
            .bind(sender.intake.to_string())
            .bind(now)
            .bind(sender.ending.as_str())
            .bind(sender.quiet_ms)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await
    }

    /// Every input set that is not ready, of every tenant: the worker judges them.
    pub(crate) async fn unready(&self) -> Result<Vec<Unready>, DbError> {
        let rows = db::query(db::each(
            "SELECT * FROM input_sets WHERE state IN ('receiving', 'incomplete')
                     AND imported = 0 ORDER BY last_instance_at LIMIT 10000",
            "SELECT * FROM input_sets WHERE state IN ('receiving', 'incomplete')
                     AND NOT imported AND NOT moving(tenant) ORDER BY last_instance_at LIMIT 10000",
        ))
        .fetch_all(self.db().read(Across::Upkeep))
        .await?;
        rows.iter().map(read_unready).collect()
    }

    /// One input set that is not ready.
    pub(crate) async fn unready_one(
        &self,
        scope: &TenantScope,
        id: InputSetId,
    ) -> Result<Option<Unready>, DbError> {
        db::query(
            "SELECT * FROM input_sets WHERE id = $1 AND tenant = $2 AND state IN ('receiving', 'incomplete')",
        )
        .bind(id.to_string())
        .bind(scope.tenant().as_str())
        .fetch_optional(self.db().read(scope))
        .await?
        .as_ref()
        .map(read_unready)
        .transpose()
    }

    /// How many instances the events of an input set have told of.
    pub(crate) async fn counted(
        &self,
        scope: &TenantScope,
        id: InputSetId,
    ) -> Result<i64, DbError> {
        db::query_scalar("SELECT instance_count FROM input_sets WHERE id = $1 AND tenant = $2")
            .bind(id.to_string())
            .bind(scope.tenant().as_str())
            .fetch_one(self.db().read(scope))
            .await
    }

    /// Who sends a series. One that is neither recorded as ended nor going on
    /// broke off.
    pub(crate) async fn senders(
        &self,
        scope: &TenantScope,
        set: &Unready,
        live: &Live,
    ) -> Result<Vec<Sender>, DbError> {
        let rows = db::query(
            "SELECT intake_id, ended_at, ending, quiet_ms FROM senders
             WHERE tenant = $1 AND study_uid = $2 AND series_uid = $3",
        )
        .bind(scope.tenant().as_str())
        .bind(&set.study_uid)
        .bind(&set.series_uid)
        .fetch_all(self.db().read(scope))
        .await?;
        rows.iter()
            .map(|row| {
                let ended_at: Option<i64> = row.try_get("ended_at")?;
                let ending: Option<String> = row.try_get("ending")?;
                let ending = ending.as_deref().and_then(Ending::parse);
                let intake: String = row.try_get("intake_id")?;
                let goes_on = intake.parse().is_ok_and(|id| live.is_going_on(id));
                let broke_off = (!goes_on).then_some((set.last_instance_at, Ending::Aborted));
                Ok(Sender {
                    ended: ended_at.zip(ending).or(broke_off),
                    quiet_ms: row.try_get::<Option<i64>, _>("quiet_ms")?.unwrap_or(0),
                })
            })
            .collect()
    }

    /// Marks an input set whose sender broke off.
    pub(crate) async fn mark_incomplete(
        &self,
        scope: &TenantScope,
        id: InputSetId,
    ) -> Result<bool, DbError> {
        let mut tx = self.db().begin(scope).await?;
        let changed = db::query(
            "UPDATE input_sets SET state = 'incomplete', reason_code = 'association-aborted', reason = $1
             WHERE id = $2 AND tenant = $3 AND state = 'receiving'",
        )
        .bind(INCOMPLETE)
        .bind(id.to_string())
        .bind(scope.tenant().as_str())
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(changed == 1)
    }

    /// Makes an input set ready, supersedes the revision before it, and tells.
    /// `false`: an instance came in between, or somebody else was faster.
    pub(crate) async fn make_ready(
        &self,
        scope: &TenantScope,
        trail: &Trail,
        set: &Unready,
        completion: &Completion,
        now: i64,
    ) -> Result<bool, DbError> {
        let count = u64::try_from(completion.instances.len()).unwrap_or(u64::MAX);
        let text = sentence(completion.reason, count, completion.quiet_ms);
        let list = instance_list::encode(&completion.instances)
            .map_err(|error| DbError::Encode(Box::new(error)))?;
        let mut tx = self.db().begin(scope).await?;
        let changed = db::query(
            "UPDATE input_sets SET state = 'ready', reason_code = $1, reason = $2, quiet_ms = $3,
                 instance_count = $4, digest = $5, ready_at = $6, instances = $10
             WHERE id = $7 AND tenant = $8 AND state IN ('receiving', 'incomplete') AND last_instance_at = $9",
        )
        .bind(reason_code(completion.reason))
        .bind(&text)
        .bind(completion.quiet_ms)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(&completion.digest)
        .bind(now)
        .bind(set.id.to_string())
        .bind(scope.tenant().as_str())
        .bind(set.last_instance_at)
        .bind(&list)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if changed == 0 {
            return Ok(false);
        }
        let supersedes = supersede_earlier(&mut tx, scope, set).await?;
        db::query("DELETE FROM senders WHERE tenant = $1 AND study_uid = $2 AND series_uid = $3")
            .bind(scope.tenant().as_str())
            .bind(&set.study_uid)
            .bind(&set.series_uid)
            .execute(&mut *tx)
            .await?;
        let ready = InputSetReady {
            input_set: set.id,
            revision: set.revision,
            supersedes,
            study_uid: set.study_uid.clone(),
            series_uid: set.series_uid.clone(),
            modality: set.modality.clone(),
            instance_count: count,
            digest: completion.digest.clone(),
            reason: completion.reason,
            reason_text: text,
            last_instance_at: from_millis(set.last_instance_at),
        };
        let event = Event::new(
            scope.tenant().clone(),
            set.correlation_id,
            from_millis(now),
            &set.series_uid,
            u64::from(set.revision),
            &ready,
        )
        .map_err(|e| DbError::Encode(Box::new(e)))?;
        append(&mut tx, &event).await?;
        if completion.reason == ReadyReason::AcceptedByPerson {
            let entry = Entry::new(Act::AcceptInput)
                .about(Subject::study(&*set.study_uid))
                .with(Detail::InputSet, set.id)
                .with(Detail::Instances, count)
                .part_of(set.correlation_id);
            trail.append(&mut tx, scope, entry).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

async fn supersede_earlier(
    tx: &mut Connection,
    scope: &TenantScope,
    set: &Unready,
) -> Result<Option<InputSetId>, DbError> {
    let earlier: Option<String> = db::query_scalar(
        "UPDATE input_sets SET state = 'superseded'
         WHERE tenant = $1 AND study_uid = $2 AND series_uid = $3 AND state = 'ready' AND revision < $4
         RETURNING id",
    )
    .bind(scope.tenant().as_str())
    .bind(&set.study_uid)
    .bind(&set.series_uid)
    .bind(set.revision)
    .fetch_optional(tx)
    .await?;
    earlier
        .map(|id| id.parse().map_err(|e| DbError::Decode(Box::new(e))))
        .transpose()
}

const fn reason_code(reason: ReadyReason) -> &'static str {
    match reason {
        ReadyReason::AssociationReleased => "association-released",
        ReadyReason::StowEnded => "stow-ended",
        ReadyReason::AcceptedByPerson => "accepted-by-person",
        ReadyReason::ContentChanged => "content-changed",
    }
}

fn read_unready(row: &Row) -> Result<Unready, DbError> {
    let decode = |e| DbError::Decode(e);
    let (id, tenant, correlation): (String, String, String) = (
        row.try_get("id")?,
        row.try_get("tenant")?,
        row.try_get("correlation_id")?,
    );
    Ok(Unready {
        id: id.parse().map_err(|e| decode(Box::new(e)))?,
        tenant: TenantId::new(tenant).map_err(|e| decode(Box::new(e)))?,
        study_uid: row.try_get("study_uid")?,
        series_uid: row.try_get("series_uid")?,
        revision: row.try_get("revision")?,
        state: row.try_get("state")?,
        modality: row.try_get("modality")?,
        last_instance_at: row.try_get("last_instance_at")?,
        correlation_id: correlation.parse().map_err(|e| decode(Box::new(e)))?,
    })
}

//! Input sets of which instances left or came back without anybody sending:
//! the revision that was ready is superseded by one of what is left.

use std::collections::HashSet;

use hilum_contracts::ids::{CorrelationId, InputSetId};
use hilum_contracts::imaging::InstancesMoved;
use hilum_platform::db::{self, Connection, DbError};
use hilum_platform::scope::TenantScope;

use super::input_sets::damaged;
use super::instance_list;
use crate::domain::readiness::Ending;

/// What changed about a series.
pub(crate) struct Changed<'a> {
    pub(crate) study_uid: &'a str,
    pub(crate) series_uid: &'a str,
    /// SOP Instance UIDs.
    pub(crate) instances: &'a [String],
    /// They left; otherwise they came.
    pub(crate) gone: bool,
    /// How many the series has now.
    pub(crate) left: u64,
    /// Unix milliseconds.
    pub(crate) at: i64,
}

impl Changed<'_> {
    /// Follows it: an open revision counts anew; one that is ready, and had one
    /// of the instances or lacks it, is followed by another.
    pub(crate) async fn follow(
        &self,
        tx: &mut Connection,
        scope: &TenantScope,
        correlation: CorrelationId,
    ) -> Result<(), DbError> {
        let count = i64::try_from(self.instances.len()).unwrap_or(i64::MAX);
        let open = db::query(
            "UPDATE input_sets SET instance_count = CASE WHEN instance_count + $1 < 0 THEN 0
                 ELSE instance_count + $1 END
             WHERE tenant = $2 AND study_uid = $3 AND series_uid = $4
                 AND state IN ('receiving', 'incomplete')",
        )
        .bind(if self.gone { -count } else { count })
        .bind(scope.tenant().as_str())
        .bind(self.study_uid)
        .bind(self.series_uid)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if open > 0 {
            return Ok(());
        }
        let Some(ready) = self.ready(tx, scope).await? else {
            return Ok(());
        };
        if self.gone && !self.has_one_of(tx, &ready).await? {
            return Ok(());
        }
        if self.left == 0 {
            db::query("UPDATE input_sets SET state = 'superseded' WHERE id = $1")
                .bind(&ready)
                .execute(&mut *tx)
                .await?;
            return Ok(());
        }
        self.open_next(tx, scope, &ready, correlation).await
    }

    /// The revision of the series that is ready.
    async fn ready(
        &self,
        tx: &mut Connection,
        scope: &TenantScope,
    ) -> Result<Option<String>, DbError> {
        db::query_scalar(
            "SELECT id FROM input_sets WHERE tenant = $1 AND study_uid = $2 AND series_uid = $3
                 AND state = 'ready' ORDER BY revision DESC LIMIT 1",
        )
        .bind(scope.tenant().as_str())
        .bind(self.study_uid)
        .bind(self.series_uid)
        .fetch_optional(tx)
        .await
    }

    async fn has_one_of(&self, tx: &mut Connection, set: &str) -> Result<bool, DbError> {
        let list: Option<Vec<u8>> =
            db::query_scalar("SELECT instances FROM input_sets WHERE id = $1")
                .bind(set)
                .fetch_one(&mut *tx)
                .await?;
        let known: Vec<String> = match list {
            Some(list) => instance_list::decode(&list).ok_or_else(damaged)?,
            None => {
                db::query_scalar(
                    "SELECT sop_instance_uid FROM input_set_instances WHERE input_set = $1",
                )
                .bind(set)
                .fetch_all(tx)
                .await?
            }
        };
        let known: HashSet<&str> = known.iter().map(String::as_str).collect();
        Ok(self
            .instances
            .iter()
            .any(|uid| known.contains(uid.as_str())))
    }

    async fn open_next(
        &self,
        tx: &mut Connection,
        scope: &TenantScope,
        ready: &str,
        correlation: CorrelationId,
    ) -> Result<(), DbError> {
        db::query(
            "INSERT INTO input_sets (id, tenant, study_uid, series_uid, revision, state, modality,
                 instance_count, correlation_id, opened_at, last_instance_at)
             SELECT $1, tenant, study_uid, series_uid, revision + 1, 'receiving', modality, $2, $3,
                 $4, $4 FROM input_sets WHERE id = $5",
        )
        .bind(InputSetId::new().to_string())
        .bind(i64::try_from(self.left).unwrap_or(i64::MAX))
        .bind(correlation.to_string())
        .bind(self.at)
        .bind(ready)
        .execute(&mut *tx)
        .await?;
        db::query(
            "INSERT INTO senders (tenant, study_uid, series_uid, intake_id, ended_at, ending, quiet_ms)
             VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT DO NOTHING",
        )
        .bind(scope.tenant().as_str())
        .bind(self.study_uid)
        .bind(self.series_uid)
        .bind(correlation.to_string())
        .bind(self.at)
        .bind(Ending::Changed.as_str())
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Follows what was moved. The revisions of a series that moved whole, to where
/// no other ones are, go with it; otherwise both sides are judged anew.
pub(crate) async fn moved(
    tx: &mut Connection,
    scope: &TenantScope,
    told: &InstancesMoved,
    (correlation, at): (CorrelationId, i64),
) -> Result<(), DbError> {
    let known: Option<i64> = db::query_scalar(
        "SELECT 1 FROM input_sets WHERE tenant = $1 AND study_uid = $2 AND series_uid = $3 LIMIT 1",
    )
    .bind(scope.tenant().as_str())
    .bind(&told.study_uid)
    .bind(&told.series_uid)
    .fetch_optional(&mut *tx)
    .await?;
    if told.left == 0 && known.is_none() {
        for table in ["input_sets", "senders"] {
            db::query(db::AssertSqlSafe(format!(
                "UPDATE {table} SET study_uid = $4, series_uid = $5
                 WHERE tenant = $1 AND study_uid = $2 AND series_uid = $3"
            )))
            .bind(scope.tenant().as_str())
            .bind(&told.from_study_uid)
            .bind(&told.from_series_uid)
            .bind(&told.study_uid)
            .bind(&told.series_uid)
            .execute(&mut *tx)
            .await?;
        }
        // The same images, read anew: of another study, or patient.
        let same = Changed {
            study_uid: &told.study_uid,
            series_uid: &told.series_uid,
            instances: &[],
            gone: false,
            left: told.total,
            at,
        };
        return same.follow(tx, scope, correlation).await;
    }
    let left = Changed {
        study_uid: &told.from_study_uid,
        series_uid: &told.from_series_uid,
        instances: &told.sop_instance_uids,
        gone: true,
        left: told.left,
        at,
    };
    left.follow(tx, scope, correlation).await?;
    let came = Changed {
        study_uid: &told.study_uid,
        series_uid: &told.series_uid,
        gone: false,
        left: told.total,
        ..left
    };
    came.follow(tx, scope, correlation).await
}

//! Input sets as pages and neighbours ask for them.

use hilum_contracts::ids::InputSetId;
use hilum_platform::db::DbError;
use hilum_platform::scope::TenantScope;
use sqlx::Row;

use super::Store;

/// A revision of an input set as a list shows it.
#[derive(Clone, Debug)]
pub(crate) struct InputSetRow {
    pub(crate) id: String,
    pub(crate) series_uid: String,
    pub(crate) revision: i64,
    pub(crate) state: String,
    pub(crate) reason_code: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) quiet_ms: Option<i64>,
    pub(crate) instance_count: i64,
    pub(crate) correlation_id: String,
    pub(crate) opened_at: i64,
    pub(crate) last_instance_at: i64,
    pub(crate) ready_at: Option<i64>,
}

impl Store {
    /// Every revision of every input set of a study, series by series.
    pub(crate) async fn input_sets_of_study(
        &self,
        scope: &TenantScope,
        study_uid: &str,
    ) -> Result<Vec<InputSetRow>, DbError> {
        let rows = sqlx::query(
            "SELECT * FROM input_sets WHERE tenant = $1 AND study_uid = $2
             ORDER BY series_uid, revision LIMIT 10000",
        )
        .bind(scope.tenant().as_str())
        .bind(study_uid)
        .fetch_all(self.db().read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(InputSetRow {
                    id: row.try_get("id")?,
                    series_uid: row.try_get("series_uid")?,
                    revision: row.try_get("revision")?,
                    state: row.try_get("state")?,
                    reason_code: row.try_get("reason_code")?,
                    reason: row.try_get("reason")?,
                    quiet_ms: row.try_get("quiet_ms")?,
                    instance_count: row.try_get("instance_count")?,
                    correlation_id: row.try_get("correlation_id")?,
                    opened_at: row.try_get("opened_at")?,
                    last_instance_at: row.try_get("last_instance_at")?,
                    ready_at: row.try_get("ready_at")?,
                })
            })
            .collect()
    }

    /// The state of a revision and its SOP Instance UIDs.
    pub(crate) async fn input_set(
        &self,
        scope: &TenantScope,
        id: InputSetId,
    ) -> Result<Option<(String, Vec<String>)>, DbError> {
        let state: Option<String> =
            sqlx::query_scalar("SELECT state FROM input_sets WHERE id = $1 AND tenant = $2")
                .bind(id.to_string())
                .bind(scope.tenant().as_str())
                .fetch_optional(self.db().read())
                .await?;
        let Some(state) = state else { return Ok(None) };
        let uids = sqlx::query_scalar(
            "SELECT sop_instance_uid FROM input_set_instances WHERE input_set = $1",
        )
        .bind(id.to_string())
        .fetch_all(self.db().read())
        .await?;
        Ok(Some((state, uids)))
    }
}

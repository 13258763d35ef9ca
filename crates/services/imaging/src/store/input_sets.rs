//! Input sets as pages and neighbours ask for them.

use hilum_contracts::ids::InputSetId;
use hilum_platform::db::{self, Across, DbError};
use hilum_platform::scope::TenantScope;

use super::{Store, instance_list};

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
        let rows = db::query(
            "SELECT * FROM input_sets WHERE tenant = $1 AND study_uid = $2
             ORDER BY series_uid, revision LIMIT 10000",
        )
        .bind(scope.tenant().as_str())
        .bind(study_uid)
        .fetch_all(self.db().read(scope))
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
        let row: Option<(String, Option<Vec<u8>>)> =
            db::query_as("SELECT state, instances FROM input_sets WHERE id = $1 AND tenant = $2")
                .bind(id.to_string())
                .bind(scope.tenant().as_str())
                .fetch_optional(self.db().read(scope))
                .await?;
        let Some((state, list)) = row else {
            return Ok(None);
        };
        let uids = match list {
            Some(list) => instance_list::decode(&list).ok_or_else(damaged)?,
            None => self.rows_of(&id.to_string()).await?,
        };
        Ok(Some((state, uids)))
    }

    /// The instances of a revision that has a row for each, as all had once.
    async fn rows_of(&self, id: &str) -> Result<Vec<String>, DbError> {
        db::query_scalar("SELECT sop_instance_uid FROM input_set_instances WHERE input_set = $1")
            .bind(id)
            .fetch_all(self.db().read(Across::Upkeep))
            .await
    }

    /// Makes lists of such rows, a revision at a time; how many there were.
    pub(crate) async fn compact_lists(&self) -> Result<u64, DbError> {
        let mut compacted = 0;
        loop {
            let next: Option<String> =
                db::query_scalar("SELECT input_set FROM input_set_instances LIMIT 1")
                    .fetch_optional(self.db().read(Across::Upkeep))
                    .await?;
            let Some(id) = next else {
                return Ok(compacted);
            };
            let list = instance_list::encode(&self.rows_of(&id).await?)
                .map_err(|error| DbError::Encode(Box::new(error)))?;
            let mut tx = self.db().begin(Across::Upkeep).await?;
            db::query("UPDATE input_sets SET instances = $1 WHERE id = $2")
                .bind(list)
                .bind(&id)
                .execute(&mut *tx)
                .await?;
            db::query("DELETE FROM input_set_instances WHERE input_set = $1")
                .bind(&id)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            compacted += 1;
        }
    }
}

pub(super) fn damaged() -> DbError {
    DbError::Decode("the instances of an input set can't be read".into())
}

#[cfg(test)]
mod tests {
    use hilum_contracts::ids::TenantId;
    use hilum_platform::auth;
    use hilum_platform::db::Db;

    use super::*;

    #[tokio::test]
    async fn revisions_with_a_row_for_each_instance_become_lists() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("imaging.sqlite"), crate::MIGRATIONS)
            .await
            .unwrap();
        let store = Store::new(db);
        let scope = auth::local_operator(&TenantId::new("north").unwrap());
        let ids = [InputSetId::new(), InputSetId::new()];
        let mut tx = store.db().begin(Across::Upkeep).await.unwrap();
        for id in ids.map(|id| id.to_string()) {
            db::query(
                "INSERT INTO input_sets (id, tenant, study_uid, series_uid, revision, state,
                     modality, instance_count, correlation_id, opened_at, last_instance_at)
                 VALUES ($1, 'north', '1.2', $1, 1, 'ready', 'CT', 2, '', 0, 0)",
            )
            .bind(&id)
            .execute(&mut *tx)
            .await
            .unwrap();
            for uid in ["1.2.3", "1.2.4"] {
                db::query("INSERT INTO input_set_instances VALUES ($1, $2)")
                    .bind(&id)
                    .bind(uid)
                    .execute(&mut *tx)
                    .await
                    .unwrap();
            }
        }
        tx.commit().await.unwrap();
        let all = Some((
            "ready".to_owned(),
            vec!["1.2.3".to_owned(), "1.2.4".to_owned()],
        ));
        assert_eq!(store.input_set(&scope, ids[0]).await.unwrap(), all);
        assert_eq!(store.compact_lists().await.unwrap(), 2);
        for id in ids {
            assert_eq!(store.input_set(&scope, id).await.unwrap(), all);
        }
        assert_eq!(store.compact_lists().await.unwrap(), 0);
    }
}

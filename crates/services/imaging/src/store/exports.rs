//! Who took images out, and how many.

use hilum_platform::db::DbError;
use hilum_platform::scope::TenantScope;
use sqlx::Row;

use super::Store;

/// An export that begins.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) extent: &'static str,
    pub(crate) as_received: bool,
    pub(crate) by: String,
    pub(crate) at: i64,
    pub(crate) studies: i64,
}

/// What an export took out.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) at: i64,
    pub(crate) files: i64,
    pub(crate) bytes: i64,
    pub(crate) failed: i64,
    pub(crate) sha256: String,
}

/// An export as it is remembered.
#[derive(Clone, Debug)]
pub(crate) struct ExportRow {
    pub(crate) id: String,
    pub(crate) extent: String,
    pub(crate) as_received: bool,
    pub(crate) by: String,
    pub(crate) began_at: i64,
    pub(crate) studies: i64,
    pub(crate) ended: Option<Ended>,
}

impl Store {
    /// Remembers that an export begins; one that goes on is known already.
    pub(crate) async fn begin_export(
        &self,
        scope: &TenantScope,
        begun: &Begun,
    ) -> Result<(), DbError> {
        let mut tx = self.db().begin().await?;
        sqlx::query(
            "INSERT INTO exports (tenant, id, extent, as_received, by, began_at, studies)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(scope.tenant().as_str())
        .bind(&begun.id)
        .bind(begun.extent)
        .bind(begun.as_received)
        .bind(&begun.by)
        .bind(begun.at)
        .bind(begun.studies)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Remembers what an export took out; `false` when it never began.
    pub(crate) async fn end_export(
        &self,
        scope: &TenantScope,
        id: &str,
        ended: &Ended,
    ) -> Result<bool, DbError> {
        let mut tx = self.db().begin().await?;
        let changed = sqlx::query(
            "UPDATE exports SET ended_at = $3, files = $4, bytes = $5, failed = $6, sha256 = $7
             WHERE tenant = $1 AND id = $2",
        )
        .bind(scope.tenant().as_str())
        .bind(id)
        .bind(ended.at)
        .bind(ended.files)
        .bind(ended.bytes)
        .bind(ended.failed)
        .bind(&ended.sha256)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(changed.rows_affected() > 0)
    }

    /// The latest exports, the newest first.
    pub(crate) async fn exports(
        &self,
        scope: &TenantScope,
        limit: u32,
    ) -> Result<Vec<ExportRow>, DbError> {
        let rows = sqlx::query(
            "SELECT * FROM exports WHERE tenant = $1 ORDER BY began_at DESC, id LIMIT $2",
        )
        .bind(scope.tenant().as_str())
        .bind(limit)
        .fetch_all(self.db().read())
        .await?;
        rows.iter()
            .map(|row| {
                let ended = match row.try_get("ended_at")? {
                    None => None,
                    Some(at) => Some(Ended {
                        at,
                        files: row.try_get("files")?,
                        bytes: row.try_get("bytes")?,
                        failed: row.try_get("failed")?,
                        sha256: row.try_get("sha256")?,
                    }),
                };
                Ok(ExportRow {
                    id: row.try_get("id")?,
                    extent: row.try_get("extent")?,
                    as_received: row.try_get("as_received")?,
                    by: row.try_get("by")?,
                    began_at: row.try_get("began_at")?,
                    studies: row.try_get("studies")?,
                    ended,
                })
            })
            .collect()
    }
}

//! Who took images out, and how many.

use hilum_contracts::audit::{Act, Detail, Entry, Outcome, SUBJECTS_MAX, Subject};
use hilum_platform::audit::Trail;
use hilum_platform::db::{self, DbError};
use hilum_platform::scope::TenantScope;

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
    /// Remembers and records that an export begins, or goes on that is known
    /// already. `about`: whose images it takes out, where it names them.
    pub(crate) async fn begin_export(
        &self,
        scope: &TenantScope,
        trail: &Trail,
        begun: &Begun,
        about: &[Subject],
    ) -> Result<(), DbError> {
        let mut tx = self.db().begin(scope).await?;
        let is_new = db::query(
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
        .await?
        .rows_affected()
            == 1;
        let entry = Entry::new(Act::Export)
            .with(Detail::Export, &begun.id)
            .with(Detail::Change, if is_new { "begun" } else { "gone on" })
            .with(Detail::Extent, begun.extent)
            .with(Detail::Form, form(begun.as_received))
            .with(Detail::Studies, begun.studies);
        let entries = match about.is_empty() {
            true => vec![entry],
            false => about
                .chunks(SUBJECTS_MAX)
                .map(|chunk| chunk.iter().cloned().fold(entry.clone(), Entry::about))
                .collect(),
        };
        for entry in entries {
            trail.append(&mut tx, scope, entry).await?;
        }
        tx.commit().await
    }

    /// Remembers and records what an export took out; `false` when it never began.
    pub(crate) async fn end_export(
        &self,
        scope: &TenantScope,
        trail: &Trail,
        id: &str,
        ended: &Ended,
    ) -> Result<bool, DbError> {
        let mut tx = self.db().begin(scope).await?;
        let known = db::query(
            "UPDATE exports SET ended_at = $3, files = $4, bytes = $5, failed = $6, sha256 = $7
             WHERE tenant = $1 AND id = $2 RETURNING extent, as_received, studies",
        )
        .bind(scope.tenant().as_str())
        .bind(id)
        .bind(ended.at)
        .bind(ended.files)
        .bind(ended.bytes)
        .bind(ended.failed)
        .bind(&ended.sha256)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(known) = known else {
            return Ok(false);
        };
        let (extent, as_received, studies): (String, bool, i64) =
            (known.try_get(0)?, known.try_get(1)?, known.try_get(2)?);
        let mut entry = Entry::new(Act::Export)
            .count(u64::try_from(ended.files).unwrap_or_default())
            .with(Detail::Export, id)
            .with(Detail::Change, "ended")
            .with(Detail::Extent, extent)
            .with(Detail::Form, form(as_received))
            .with(Detail::Studies, studies)
            .with(Detail::Instances, ended.files)
            .with(Detail::Bytes, ended.bytes);
        if ended.failed > 0 {
            entry = entry
                .ended(Outcome::Failed)
                .with(Detail::Missing, ended.failed);
        }
        trail.append(&mut tx, scope, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The latest exports, the newest first.
    pub(crate) async fn exports(
        &self,
        scope: &TenantScope,
        limit: u32,
    ) -> Result<Vec<ExportRow>, DbError> {
        let rows = db::query(
            "SELECT * FROM exports WHERE tenant = $1 ORDER BY began_at DESC, id LIMIT $2",
        )
        .bind(scope.tenant().as_str())
        .bind(limit)
        .fetch_all(self.db().read(scope))
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

/// What is taken out, as a word for the trail.
fn form(as_received: bool) -> &'static str {
    match as_received {
        true => "as-received",
        false => "as-served",
    }
}

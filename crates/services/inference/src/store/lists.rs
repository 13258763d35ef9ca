//! Runs as pages show them.

use hilum_platform::db::{self, DbError};
use hilum_platform::jobs::Described;
use hilum_platform::scope::TenantScope;

use super::{RunRow, Store, read};

/// Which runs a list holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunFilter<'a> {
    /// Only of these studies, when there are any.
    pub(crate) studies: &'a [String],
    /// Only in this state.
    pub(crate) state: Option<&'a str>,
    /// Only older than this run: where the last page ended.
    pub(crate) before: Option<&'a str>,
    /// At most so many.
    pub(crate) limit: u32,
}

impl Store {
    /// Runs, the newest first: their ids are ordered by time.
    pub(crate) async fn runs(
        &self,
        scope: &TenantScope,
        filter: &RunFilter<'_>,
    ) -> Result<Vec<RunRow>, DbError> {
        let studies =
            serde_json::to_string(filter.studies).map_err(|e| DbError::Encode(Box::new(e)))?;
        let rows = db::query(
            db::each(
"SELECT * FROM runs WHERE tenant = $1
             AND ($2 = '[]' OR study_uid IN (SELECT value FROM json_each($2)))
             AND ($3 IS NULL OR state = $3) AND ($4 IS NULL OR id < $4)
             ORDER BY id DESC LIMIT $5",
"SELECT * FROM runs WHERE tenant = $1
             AND ($2 = '[]' OR study_uid IN (SELECT value FROM json_array_elements_text($2::json) AS study (value)))
             AND ($3 IS NULL OR state = $3) AND ($4 IS NULL OR id < $4)
             ORDER BY id DESC LIMIT $5",
),
        )
        .bind(scope.tenant().as_str())
        .bind(studies)
        .bind(filter.state)
        .bind(filter.before)
        .bind(filter.limit)
        .fetch_all(self.db().read(scope))
        .await?;
        rows.iter().map(read).collect()
    }

    /// Which model a run is of, and which study.
    pub(crate) async fn describe(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Option<Described>, DbError> {
        let row =
            db::query("SELECT model, version, study_uid FROM runs WHERE id = $1 AND tenant = $2")
                .bind(id)
                .bind(scope.tenant().as_str())
                .fetch_optional(self.db().read(scope))
                .await?;
        row.map(|row| {
            let (model, version): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Described {
                what: format!("{model} {version}"),
                study_uid: row.try_get(2)?,
            })
        })
        .transpose()
    }
}

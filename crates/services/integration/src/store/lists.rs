//! Deliveries as pages show them.

use hilum_platform::db::{self, DbError, Row};
use hilum_platform::jobs::Described;
use hilum_platform::scope::TenantScope;

use super::Store;
use super::destinations::PAUSED;

/// A delivery as a list shows it.
#[derive(Clone, Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) id: String,
    pub(crate) run_id: String,
    pub(crate) study_uid: String,
    /// Its name.
    pub(crate) destination: String,
    pub(crate) destination_removed: bool,
    pub(crate) correlation_id: String,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) attempts: i64,
    pub(crate) next_attempt_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) delivered_at: Option<i64>,
    pub(crate) instances_total: i64,
    pub(crate) instances_sent: i64,
}

const COLUMNS: &str = "SELECT d.*,
    coalesce((SELECT g.name FROM destinations g WHERE g.id = d.destination AND g.tenant = d.tenant),
        d.destination) AS destination_name,
    EXISTS (SELECT 1 FROM destinations g WHERE g.id = d.destination AND g.tenant = d.tenant
        AND g.state = 'removed') AS destination_removed,
    d.state IN ('waiting', 'sending') AND EXISTS (SELECT 1 FROM destinations g
        WHERE g.id = d.destination AND g.tenant = d.tenant AND g.state = 'paused')
        AS destination_paused,
    (SELECT COUNT(*) FROM delivery_instances i WHERE i.delivery = d.id) AS instances_total,
    (SELECT COUNT(sent_at) FROM delivery_instances i WHERE i.delivery = d.id) AS instances_sent
    FROM deliveries d";

impl Store {
    /// The deliveries of one study, the oldest first.
    pub(crate) async fn deliveries_of_study(
        &self,
        scope: &TenantScope,
        study_uid: &str,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, DbError> {
        let text = format!(
            "{COLUMNS} WHERE d.tenant = $1 AND d.study_uid = $2 ORDER BY d.created_at, d.id LIMIT $3"
        );
        let rows = db::query(db::AssertSqlSafe(text))
            .bind(scope.tenant().as_str())
            .bind(study_uid)
            .bind(limit)
            .fetch_all(self.db().read(scope))
            .await?;
        rows.iter().map(read).collect()
    }

    /// The newest deliveries, in any state or in one.
    pub(crate) async fn newest_deliveries(
        &self,
        scope: &TenantScope,
        state: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, DbError> {
        let text = format!(
            "{COLUMNS} WHERE d.tenant = $1 AND ($2 IS NULL OR d.state = $2)
             ORDER BY d.created_at DESC, d.id LIMIT $3"
        );
        let rows = db::query(db::AssertSqlSafe(text))
            .bind(scope.tenant().as_str())
            .bind(state)
            .bind(limit)
            .fetch_all(self.db().read(scope))
            .await?;
        rows.iter().map(read).collect()
    }

    /// Where a delivery goes and of which study it is.
    pub(crate) async fn describe(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Option<Described>, DbError> {
        let row = db::query(
            "SELECT coalesce((SELECT g.name FROM destinations g
                 WHERE g.id = d.destination AND g.tenant = d.tenant), d.destination), d.study_uid
             FROM deliveries d WHERE d.id = $1 AND d.tenant = $2",
        )
        .bind(id)
        .bind(scope.tenant().as_str())
        .fetch_optional(self.db().read(scope))
        .await?;
        row.map(|row| {
            let destination: String = row.try_get(0)?;
            Ok(Described {
                what: format!("to {destination}"),
                study_uid: row.try_get(1)?,
            })
        })
        .transpose()
    }
}

fn read(row: &Row) -> Result<DeliveryRow, DbError> {
    let reason: Option<String> = row.try_get("reason")?;
    let is_paused: bool = row.try_get("destination_paused")?;
    Ok(DeliveryRow {
        id: row.try_get("id")?,
        run_id: row.try_get("run_id")?,
        study_uid: row.try_get("study_uid")?,
        destination: row.try_get("destination_name")?,
        destination_removed: row.try_get("destination_removed")?,
        correlation_id: row.try_get("correlation_id")?,
        state: row.try_get("state")?,
        reason: is_paused.then(|| PAUSED.to_owned()).or(reason),
        attempts: row.try_get("attempts")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        created_at: row.try_get("created_at")?,
        delivered_at: row.try_get("delivered_at")?,
        instances_total: row.try_get("instances_total")?,
        instances_sent: row.try_get("instances_sent")?,
    })
}

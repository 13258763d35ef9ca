//! Export: what this service keeps of a tenant, when all of that is taken out.

use async_trait::async_trait;
use hilum_contracts::error::ServiceError;
use hilum_contracts::export::{ExportPage, Exports};
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;
use serde_json::Value;

use crate::IdentityService;

/// The tenant itself, and people, who belong to no tenant alone.
const OWNED: &[(&str, &str)] = &[
    (
        "people",
        "id IN (SELECT person FROM memberships WHERE tenant = $1)",
    ),
    ("tenants", "name = $1"),
];

#[async_trait]
impl Exports for IdentityService {
    async fn export(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
    ) -> Result<ExportPage, ServiceError> {
        let db = self.store.db();
        let page = db.export("identity", scope.tenant(), OWNED, after).await;
        let mut page = page.map_err(|error| database_error(&error))?;
        for line in &mut page.lines {
            if let Some(opened) = self.with_words(scope, line).await? {
                *line = opened;
            }
        }
        Ok(page)
    }
}

impl IdentityService {
    /// The line of an emergency access with its words as people wrote them, who
    /// own them; nothing of another line.
    async fn with_words(
        &self,
        scope: &TenantScope,
        line: &str,
    ) -> Result<Option<String>, ServiceError> {
        let unreadable = |_| ServiceError::internal("A line of the export can't be read.");
        let mut line: Value = serde_json::from_str(line).map_err(unreadable)?;
        if line.get("table").is_none_or(|table| table != "break_glass") {
            return Ok(None);
        }
        let Some(row) = line.get_mut("row").and_then(Value::as_object_mut) else {
            return Ok(None);
        };
        let id = row.get("id").and_then(Value::as_str);
        let Some(id) = id.and_then(|id| id.parse().ok()) else {
            return Ok(None);
        };
        row.retain(|column, _| !column.starts_with("sealed_"));
        let access = self.store.access(scope, id).await;
        let Some(access) = access.map_err(|error| database_error(&error))? else {
            return Ok(None);
        };
        for (words, sealed) in access.words() {
            let text = self.open_words(scope.tenant(), id, words, &sealed).await?;
            row.insert(words.name().to_owned(), text.into());
        }
        serde_json::to_string(&line).map(Some).map_err(unreadable)
    }
}

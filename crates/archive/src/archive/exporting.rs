//! What the index holds of a tenant beside the instances, when all that the
//! tenant owns is taken out: where its images stand and what people decided
//! about them. The images themselves are read like anybody's.

use async_trait::async_trait;
use hilum_contracts::error::ServiceError;
use hilum_contracts::export::{ExportPage, Exports};
use hilum_platform::db::export::{
    COLUMNS, COLUMNS_OF_POSTGRES, Column, Place, line, page, page_of_postgres,
};
use hilum_platform::scope::TenantScope;

use super::Archive;
use crate::db::{Connection, Value, params_from_iter};
use crate::error::{ArchiveError, Result};

/// Every table that is not how instances are kept or found.
const TABLES: [&str; 12] = [
    "correction",
    "deletion",
    "erasure",
    "hold",
    "placement",
    "publication",
    "quarantine",
    "redirect",
    "rejection",
    "retention",
    "series",
    "study",
];

#[async_trait]
impl Exports for Archive {
    async fn export(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
    ) -> std::result::Result<ExportPage, ServiceError> {
        let place: Option<Place> = after
            .map(serde_json::from_str)
            .transpose()
            .map_err(|_| ServiceError::invalid("That is no place in an export."))?;
        let none = ExportPage::default();
        Ok(self
            .ask(scope, none, move |db, tenant| next(db, tenant, place))
            .await?)
    }
}

fn next(db: &Connection, tenant: i64, mut place: Option<Place>) -> Result<ExportPage> {
    for table in TABLES {
        if place.as_ref().is_some_and(|place| table < &*place.table) {
            continue;
        }
        let key = place.take_if(|place| place.table == table);
        let key = key.and_then(|place| place.key);
        let columns = columns(db, table)?;
        let page = match db.sqlite() {
            Some(_) => page,
            None => page_of_postgres,
        };
        let mut query = db.prepare(&page(table, &columns, "tenant = $1", key.is_some()))?;
        let values = [Value::Integer(tenant)].into_iter();
        let mut rows = query.query(params_from_iter(values.chain(key.map(Value::Text))))?;
        let (mut lines, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            last = Some(row.get(0)?);
            let row: String = row.get(1)?;
            lines.push(line("archive", table, &row));
        }
        if last.is_none() {
            continue;
        }
        let place = Place {
            table: table.to_owned(),
            key: last,
        };
        let next = serde_json::to_string(&place).map_err(|_| ArchiveError::Corrupt)?;
        return Ok(ExportPage {
            lines,
            next: Some(next),
        });
    }
    Ok(ExportPage::default())
}

fn columns(db: &Connection, table: &str) -> Result<Vec<Column>> {
    let mut query = db.prepare_cached(db.each(COLUMNS, COLUMNS_OF_POSTGRES))?;
    let rows = query.query_map([table], |row| {
        Ok(Column {
            name: row.get(0)?,
            key: row.get(1)?,
            is_keyed: row.get::<i64>(2)? == 1,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

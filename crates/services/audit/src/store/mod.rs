//! The only SQL of this service. Every function takes the scope whose rows it
//! may touch.

use hilum_contracts::ids::TenantId;
use hilum_platform::db::{self, Across, Db, DbError, Tx};
use hilum_platform::scope::TenantScope;

use crate::domain::seal::Seal;

/// The service's rows.
#[derive(Clone, Debug)]
pub(crate) struct Store(Db);

/// Up to where a writer's chain is sealed.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) writer: String,
    pub(crate) position: u64,
    pub(crate) hash: [u8; 32],
}

impl Store {
    pub(crate) fn new(db: Db) -> Self {
        Self(db)
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0
    }

    /// Seals after a number, in their order.
    pub(crate) async fn seals(
        &self,
        scope: &TenantScope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Seal)>, DbError> {
        let rows = db::query(
            "SELECT number, seal FROM seal WHERE tenant = $1 AND number > $2
             ORDER BY number LIMIT $3",
        )
        .bind(scope.tenant().as_str())
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(self.0.read(scope))
        .await?;
        rows.iter()
            .map(|row| {
                let (number, text): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                Ok((u64::try_from(number).unwrap_or(0), seal_of(&text)))
            })
            .collect()
    }

    /// The newest seal.
    pub(crate) async fn last_seal(&self, scope: &TenantScope) -> Result<Option<Seal>, DbError> {
        let text: Option<String> = db::query_scalar(
            "SELECT seal FROM seal WHERE tenant = $1 ORDER BY number DESC LIMIT 1",
        )
        .bind(scope.tenant().as_str())
        .fetch_optional(self.0.read(scope))
        .await?;
        Ok(text.map(|text| seal_of(&text)))
    }

    /// The newest seal from before a time.
    pub(crate) async fn seal_before(
        &self,
        scope: &TenantScope,
        at: i64,
    ) -> Result<Option<Seal>, DbError> {
        let text: Option<String> = db::query_scalar(
            "SELECT seal FROM seal WHERE tenant = $1 AND at < $2 ORDER BY number DESC LIMIT 1",
        )
        .bind(scope.tenant().as_str())
        .bind(at)
        .fetch_optional(self.0.read(scope))
        .await?;
        Ok(text.map(|text| seal_of(&text)))
    }

    /// Up to where each writer's chain is sealed.
    pub(crate) async fn marks(&self, scope: &TenantScope) -> Result<Vec<Mark>, DbError> {
        let rows = db::query("SELECT writer, position, hash FROM sealed WHERE tenant = $1")
            .bind(scope.tenant().as_str())
            .fetch_all(self.0.read(scope))
            .await?;
        rows.iter()
            .map(|row| {
                let (position, hash): (i64, Vec<u8>) = (row.try_get(1)?, row.try_get(2)?);
                Ok(Mark {
                    writer: row.try_get(0)?,
                    position: u64::try_from(position).unwrap_or(0),
                    hash: <[u8; 32]>::try_from(hash.as_slice())
                        .map_err(|error| DbError::Decode(Box::new(error)))?,
                })
            })
            .collect()
    }

    /// Every tenant whose trails were sealed.
    pub(crate) async fn sealed_tenants(&self) -> Result<Vec<TenantId>, DbError> {
        let rows: Vec<String> = db::query_scalar("SELECT DISTINCT tenant FROM sealed")
            .fetch_all(self.0.read(Across::Trail))
            .await?;
        let stored = |name| TenantId::stored(name).map_err(|e| DbError::Decode(Box::new(e)));
        rows.into_iter().map(stored).collect()
    }

    /// The keys of shards that sign seals of the tenant, each with its proof.
    pub(crate) async fn seal_keys(
        &self,
        scope: &TenantScope,
    ) -> Result<Vec<(String, Vec<u8>)>, DbError> {
        db::query_as("SELECT key, proof FROM seal_key WHERE tenant = $1 ORDER BY key")
            .bind(scope.tenant().as_str())
            .fetch_all(self.0.read(scope))
            .await
    }

    /// Keeps such a key.
    pub(crate) async fn keep_seal_key(
        &self,
        scope: &TenantScope,
        key: &str,
        proof: &[u8],
    ) -> Result<(), DbError> {
        let mut tx = self.0.begin(scope).await?;
        db::query(
            "INSERT INTO seal_key (tenant, key, proof) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(scope.tenant().as_str())
        .bind(key)
        .bind(proof)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// The key that seals are signed with, sealed.
    pub(crate) async fn signing_key(&self) -> Result<Option<Vec<u8>>, DbError> {
        db::query_scalar("SELECT sealed FROM signing_key")
            .fetch_optional(self.0.read(Across::Trail))
            .await
    }

    /// Keeps the key that seals are signed with; there is one.
    pub(crate) async fn keep_signing_key(&self, sealed: &[u8]) -> Result<(), DbError> {
        let mut tx = self.0.begin(Across::Trail).await?;
        db::query("INSERT INTO signing_key (id, sealed) VALUES (1, $1)")
            .bind(sealed)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Keeps a statement that entries of a writer up to a position are removed.
    pub(crate) async fn keep_removal(
        &self,
        tx: &mut Tx,
        scope: &TenantScope,
        (writer, position): (&str, u64),
        (content, signature): (&str, &str),
    ) -> Result<(), DbError> {
        let position = i64::try_from(position).map_err(|error| DbError::Encode(Box::new(error)))?;
        db::query(
            "INSERT INTO removed (tenant, writer, position, content, signature)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(scope.tenant().as_str())
        .bind(writer)
        .bind(position)
        .bind(content)
        .bind(signature)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The statement that entries of a writer up to this position are removed,
    /// and its signature.
    pub(crate) async fn removal(
        &self,
        scope: &TenantScope,
        writer: &str,
        position: u64,
    ) -> Result<Option<(String, String)>, DbError> {
        db::query_as(
            "SELECT content, signature FROM removed
             WHERE tenant = $1 AND writer = $2 AND position = $3",
        )
        .bind(scope.tenant().as_str())
        .bind(writer)
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .fetch_optional(self.0.read(scope))
        .await
    }

    /// Keeps a seal, and how far it goes.
    pub(crate) async fn keep(
        &self,
        scope: &TenantScope,
        (number, at): (u64, i64),
        seal: &Seal,
        marks: &[Mark],
    ) -> Result<(), DbError> {
        let number = i64::try_from(number).map_err(|error| DbError::Encode(Box::new(error)))?;
        let text = serde_json::to_string(seal).map_err(|error| DbError::Encode(Box::new(error)))?;
        let mut tx: Tx = self.0.begin(scope).await?;
        db::query("INSERT INTO seal (tenant, number, at, seal) VALUES ($1, $2, $3, $4)")
            .bind(scope.tenant().as_str())
            .bind(number)
            .bind(at)
            .bind(text)
            .execute(&mut *tx)
            .await?;
        for mark in marks {
            let position =
                i64::try_from(mark.position).map_err(|error| DbError::Encode(Box::new(error)))?;
            db::query(
                "INSERT INTO sealed (tenant, writer, position, hash) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (tenant, writer) DO UPDATE SET position = excluded.position,
                    hash = excluded.hash",
            )
            .bind(scope.tenant().as_str())
            .bind(&mark.writer)
            .bind(position)
            .bind(mark.hash.as_slice())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await
    }
}

/// A seal that can't be read is one that can't be right.
fn seal_of(text: &str) -> Seal {
    serde_json::from_str(text).unwrap_or(Seal {
        content: String::new(),
        key: String::new(),
        signature: String::new(),
        leaves: String::new(),
    })
}

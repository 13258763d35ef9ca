//! Keys that passes are signed with, and what ended since they were issued. Both are
//! the installation's.

use hilum_platform::db::{self, Across, Connection, DbError};

use super::Store;

/// A key that passes are signed with.
#[derive(Clone, Debug)]
pub(crate) struct PassKey {
    /// Its public half.
    pub(crate) public: String,
    /// Its private half, sealed.
    pub(crate) sealed: Vec<u8>,
    pub(crate) made_at: i64,
}

impl Store {
    /// The keys that were made since, the newest first.
    pub(crate) async fn pass_keys(&self, since: i64) -> Result<Vec<PassKey>, DbError> {
        db::query("SELECT * FROM pass_keys WHERE made_at >= $1 ORDER BY made_at DESC, public")
            .bind(since)
            .fetch_all(self.db().read(Across::Nobody))
            .await?
            .iter()
            .map(|row| {
                Ok(PassKey {
                    public: row.try_get("public")?,
                    sealed: row.try_get("sealed")?,
                    made_at: row.try_get("made_at")?,
                })
            })
            .collect()
    }

    /// Keeps a key.
    pub(crate) async fn keep_pass_key(&self, key: &PassKey) -> Result<(), DbError> {
        let mut tx = self.db().begin(Across::Nobody).await?;
        db::query("INSERT INTO pass_keys (public, sealed, made_at) VALUES ($1, $2, $3)")
            .bind(&key.public)
            .bind(&key.sealed)
            .bind(key.made_at)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Whether something ended that nobody was told of.
    pub(crate) async fn has_untold_endings(&self) -> Result<bool, DbError> {
        db::query_scalar("SELECT EXISTS (SELECT 1 FROM endings WHERE at IS NULL)")
            .fetch_one(self.db().read(Across::Nobody))
            .await
    }

    /// Says when what ended did: now, when it is told.
    pub(crate) async fn date_endings(&self, at: i64) -> Result<(), DbError> {
        let mut tx = self.db().begin(Across::Nobody).await?;
        db::query("UPDATE endings SET at = $1 WHERE at IS NULL")
            .bind(at)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// What ended since, the newest first.
    pub(crate) async fn endings(
        &self,
        since: i64,
        limit: u32,
    ) -> Result<Vec<(String, i64)>, DbError> {
        db::query(
            "SELECT subject, MAX(at) AS ended FROM endings WHERE at >= $1
             GROUP BY subject ORDER BY ended DESC, subject LIMIT $2",
        )
        .bind(since)
        .bind(limit)
        .fetch_all(self.db().read(Across::Nobody))
        .await?
        .iter()
        .map(|row| Ok((row.try_get("subject")?, row.try_get("ended")?)))
        .collect()
    }
}

/// Forgets endings that were told before the one time, and keys made before the other.
pub(crate) async fn upkeep(
    tx: &mut Connection,
    endings_before: i64,
    keys_before: i64,
) -> Result<(), DbError> {
    db::query("DELETE FROM endings WHERE at < $1")
        .bind(endings_before)
        .execute(&mut *tx)
        .await?;
    db::query("DELETE FROM pass_keys WHERE made_at < $1")
        .bind(keys_before)
        .execute(tx)
        .await?;
    Ok(())
}

//! The trail in a service's own database.

use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::audit::{Entry, Subject};
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;

use super::forgotten::{Forgotten, Moment};
use super::keyring::{KeyError, Keyring};
use super::record::{Draft, Head, Raw, Record, SealedSubject};
use super::recorder::Recorder;
use super::sealing::{Keys, SubjectRow};
use super::source::{AuditSource, Filter, Find, Found};
use super::{names, sql};
use crate::clock::SharedClock;
use crate::db::{self, Across, Connection, Db, DbError, On, Row};
use crate::http::database_error;
use crate::limits::{AUDIT_BESIDE_MAX, AUDIT_SEARCH_STALE, AUDIT_WALK};

/// The trail that a service writes in its own database. Cheap to clone.
#[derive(Clone)]
pub struct Trail(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) db: Db,
    pub(super) clock: SharedClock,
    pub(super) recorder: Recorder,
    pub(super) forgotten: Forgotten,
    keyring: Keyring,
    writer: &'static str,
}

impl std::fmt::Debug for Trail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trail({})", self.0.writer)
    }
}

/// A subject's row and its number.
struct Known {
    id: i64,
    row: SubjectRow,
}

impl Trail {
    /// The trail in `db` of the service called `writer`, which never changes.
    #[must_use]
    pub fn new(db: Db, keyring: Keyring, clock: SharedClock, writer: &'static str) -> Self {
        Self(Arc::new(Inner {
            db,
            clock,
            recorder: Recorder::default(),
            forgotten: Forgotten::default(),
            keyring,
            writer,
        }))
    }

    /// Appends an entry in the transaction of the change that it tells of.
    ///
    /// # Errors
    /// When the database does not answer, or the tenant was ended; then the change
    /// may not be committed either.
    pub async fn append(
        &self,
        tx: &mut Connection,
        scope: &TenantScope,
        entry: Entry,
    ) -> Result<(), DbError> {
        self.append_since(tx, scope, self.now(), entry).await
    }

    /// [`Trail::append`] of what began at `since`: whom an erasure has forgotten
    /// meanwhile it names no more.
    pub(super) async fn append_since(
        &self,
        tx: &mut Connection,
        scope: &TenantScope,
        since: Moment,
        entry: Entry,
    ) -> Result<(), DbError> {
        let tenant = scope.tenant().as_str();
        let (mut about, mut sealed) = (Vec::new(), Vec::with_capacity(entry.subjects.len()));
        // What is about nobody needs no key: a backup that is being restored has none.
        if !entry.subjects.is_empty() {
            let keys = self.0.keyring.of(scope.tenant()).await?;
            for subject in &entry.subjects {
                let row = match self.0.forgotten.has(since, scope.tenant(), subject) {
                    // Its key is kept nowhere.
                    true => keys.new_subject()?,
                    false => {
                        let known = known(&mut *tx, &keys, tenant, subject).await?;
                        about.push(known.id);
                        known.row
                    }
                };
                sealed.push(SealedSubject {
                    handle: row.handle,
                    sealed: keys.seal(&row, subject)?,
                });
            }
        }
        // Of two entries only one is the next.
        tx.lock(&format!("audit/{tenant}")).await?;
        let head = head(&mut *tx, tenant).await?;
        let now = self.0.clock.now_millis();
        let Draft { raw, head } = Draft::new(&head, self.0.writer, scope, now, &entry, sealed)?;
        db::query(sql::KEEP_ENTRY)
            .bind(tenant)
            .bind(number(raw.position)?)
            .bind(raw.at)
            .bind(raw.act)
            .bind(raw.outcome)
            .bind(raw.who)
            .bind(raw.body)
            .bind(raw.hash)
            .bind(number(head.removed)?)
            .bind(head.anchor.to_vec())
            .bind(sql::ids(&about))
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Forgets what is in memory of a tenant that was ended: nothing is recorded
    /// under its key any more.
    pub fn end(&self, tenant: &TenantId) {
        self.0.recorder.forget_tenant(tenant);
        self.0.keyring.forget(tenant);
    }

    /// The moment at which something begins that is recorded when it is known
    /// how it ends.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.forgotten.now()
    }

    /// Makes the entries of these subjects name nobody, and those of queries
    /// that name them; how many subjects went. What began before and is recorded
    /// after names them no more either. Asked again, it does no harm. What is
    /// left in free pages goes with the next [`Db::forget`].
    ///
    /// # Errors
    /// When the database does not answer; ask again.
    pub async fn forget(&self, scope: &TenantScope, subjects: &[Subject]) -> Result<u64, DbError> {
        // Before the rows go: whoever records then finds either.
        self.0.forgotten.add(scope.tenant(), subjects);
        self.0.recorder.forget(scope.tenant(), subjects);
        let tenant = scope.tenant().as_str();
        let keys = match self.0.keyring.of(scope.tenant()).await {
            // Nobody can open anything.
            Err(KeyError::Destroyed) => return Ok(0),
            keys => keys?,
        };
        let mut gone = self.queries_that_name(scope, &keys, subjects).await?;
        let mut tx = self.0.db.begin(scope).await?;
        for subject in subjects {
            gone.extend(
                find(&mut tx, &keys, tenant, subject)
                    .await?
                    .map(|known| known.id),
            );
        }
        for id in &gone {
            for text in [sql::FORGET_ABOUT, sql::FORGET_SUBJECT] {
                db::query(text).bind(id).execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        Ok(gone.len() as u64)
    }

    async fn queries_that_name(
        &self,
        scope: &TenantScope,
        keys: &Keys,
        subjects: &[Subject],
    ) -> Result<Vec<i64>, DbError> {
        let tenant = scope.tenant().as_str();
        let (mut found, mut after) = (Vec::new(), 0_i64);
        loop {
            let rows = db::query(sql::QUERIES)
                .bind(tenant)
                .bind(after)
                .bind(AUDIT_WALK)
                .fetch_all(self.0.db.read(scope))
                .await?;
            let Some(last) = rows.last() else {
                return Ok(found);
            };
            after = last.try_get(0)?;
            for row in &rows {
                let known = known_of(row)?;
                let body: Option<Vec<u8>> = row.try_get(3)?;
                let said = body.and_then(|body| subject_of(keys, &known.row, &body));
                // What can't be read may name anybody.
                let names = |text| subjects.iter().any(|one| is_named(text, one));
                if said.as_ref().and_then(Subject::free_text).is_none_or(names) {
                    found.push(known.id);
                }
            }
        }
    }

    async fn ids(
        &self,
        scope: &TenantScope,
        keys: &Keys,
        group: &[Find],
    ) -> Result<Vec<i64>, DbError> {
        let known = self.found(scope, keys, group).await?;
        Ok(known.into_iter().map(|known| known.id).collect())
    }

    async fn found(
        &self,
        scope: &TenantScope,
        keys: &Keys,
        group: &[Find],
    ) -> Result<Vec<Known>, DbError> {
        let tenant = scope.tenant().as_str();
        let mut all = Vec::new();
        for one in group {
            let (text, hash) = match one {
                Find::PatientId(id) => (sql::SUBJECTS_BY_BROAD, keys.patient_id(id)),
                Find::Subject(subject) => (sql::SUBJECT, keys.lookup(subject)),
            };
            let rows = db::query(text)
                .bind(tenant)
                .bind(hash.as_slice())
                .fetch_all(self.0.db.read_stale(scope, AUDIT_SEARCH_STALE))
                .await?;
            for row in &rows {
                all.push(known_of(row)?);
            }
        }
        Ok(all)
    }

    /// Whom the subjects of a record name.
    async fn opened(
        &self,
        scope: &TenantScope,
        keys: &Keys,
        record: Record,
    ) -> Result<Found, DbError> {
        let mut subjects = Vec::with_capacity(record.subjects.len());
        for sealed in &record.subjects {
            let row = db::query(sql::SUBJECT_BY_HANDLE)
                .bind(record.tenant.as_str())
                .bind(sealed.handle.as_slice())
                .fetch_optional(self.0.db.read_stale(scope, AUDIT_SEARCH_STALE))
                .await?;
            let known = row.as_ref().map(known_of).transpose()?;
            subjects.push(known.and_then(|known| keys.open(&known.row, &sealed.sealed).ok()));
        }
        Ok(Found { record, subjects })
    }

    async fn try_search(
        &self,
        scope: &TenantScope,
        filter: &Filter,
        before: Option<(i64, u64)>,
        limit: u32,
    ) -> Result<Vec<Found>, DbError> {
        let tenant = scope.tenant().as_str();
        let keys = self.0.keyring.of(scope.tenant()).await?;
        let mut about = Vec::with_capacity(filter.about.len());
        for group in &filter.about {
            let ids = self.ids(scope, &keys, group).await?;
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            about.push(ids);
        }
        let search = match self.0.db.is_shared() {
            true => sql::search_of_postgres,
            false => sql::search,
        };
        let (text, values) = search(tenant, filter, &about, before, limit);
        let mut query = db::query(db::AssertSqlSafe(text));
        for value in values {
            query = match value {
                sql::Value::Int(value) => query.bind(value),
                sql::Value::Text(value) => query.bind(value),
            };
        }
        let rows = query
            .fetch_all(self.0.db.read_stale(scope, AUDIT_SEARCH_STALE))
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let body: Vec<u8> = row.try_get(0)?;
            // What can't be read is `verify`'s to tell.
            if let Ok(record) = serde_json::from_slice(&body) {
                found.push(self.opened(scope, &keys, record).await?);
            }
        }
        Ok(found)
    }

    async fn try_beside(
        &self,
        scope: &TenantScope,
        find: &Find,
        limit: u32,
    ) -> Result<Vec<Subject>, DbError> {
        let tenant = scope.tenant().as_str();
        let keys = self.0.keyring.of(scope.tenant()).await?;
        let mut subjects = Vec::new();
        for one in self.found(scope, &keys, std::slice::from_ref(find)).await? {
            let rows = db::query(sql::BESIDE)
                .bind(one.id)
                .bind(tenant)
                .bind(limit.min(AUDIT_BESIDE_MAX))
                .fetch_all(self.0.db.read_stale(scope, AUDIT_SEARCH_STALE))
                .await?;
            for row in &rows {
                let known = known_of(row)?;
                let body: Option<Vec<u8>> = db::query_scalar(sql::BODY_ABOUT)
                    .bind(known.id)
                    .bind(tenant)
                    .fetch_optional(self.0.db.read_stale(scope, AUDIT_SEARCH_STALE))
                    .await?;
                subjects.extend(body.and_then(|body| subject_of(&keys, &known.row, &body)));
            }
        }
        Ok(subjects)
    }

    async fn try_remove(&self, scope: &TenantScope, position: u64) -> Result<u64, DbError> {
        let tenant = scope.tenant().as_str();
        let mut tx = self.0.db.begin(scope).await?;
        tx.lock(&format!("audit/{tenant}")).await?;
        let head = head(&mut *tx, tenant).await?;
        if position <= head.removed || position > head.position {
            return Ok(0);
        }
        let to = number(position)?;
        let hash: Vec<u8> = db::query_scalar(sql::HASH_AT)
            .bind(tenant)
            .bind(to)
            .fetch_one(&mut *tx)
            .await?;
        let gone = db::query(sql::REMOVE_ENTRIES)
            .bind(tenant)
            .bind(to)
            .execute(&mut *tx)
            .await?
            .rows_affected();
        db::query(sql::REMOVE_ABOUT)
            .bind(to)
            .bind(tenant)
            .execute(&mut *tx)
            .await?;
        db::query(sql::REMOVE_SUBJECTS)
            .bind(tenant)
            .execute(&mut *tx)
            .await?;
        db::query(sql::SET_REMOVED)
            .bind(tenant)
            .bind(to)
            .bind(hash)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(gone)
    }
}

#[async_trait]
impl AuditSource for Trail {
    fn writer(&self) -> &str {
        self.0.writer
    }

    async fn heads(&self) -> Result<Vec<(TenantId, Head)>, ServiceError> {
        let rows = db::query(sql::HEADS)
            .fetch_all(self.0.db.read(Across::Trail))
            .await;
        let heads = rows.and_then(|rows| {
            let heads = rows.iter().map(|row| {
                let tenant: String = row.try_get(0)?;
                let tenant = TenantId::stored(tenant).map_err(|e| DbError::Decode(Box::new(e)))?;
                Ok((tenant, head_of(row, 1)?))
            });
            heads.collect::<Result<_, DbError>>()
        });
        heads.map_err(|error| database_error(&error))
    }

    async fn head(&self, scope: &TenantScope) -> Result<Head, ServiceError> {
        let head = head(self.0.db.read(scope), scope.tenant().as_str()).await;
        head.map_err(|error| database_error(&error))
    }

    async fn entries(
        &self,
        scope: &TenantScope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Raw>, ServiceError> {
        let rows = db::query(sql::ENTRIES)
            .bind(scope.tenant().as_str())
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(self.0.db.read(scope))
            .await;
        rows.and_then(|rows| rows.iter().map(raw_of).collect())
            .map_err(|error| database_error(&error))
    }

    async fn search(
        &self,
        scope: &TenantScope,
        filter: &Filter,
        before: Option<(i64, u64)>,
        limit: u32,
    ) -> Result<Vec<Found>, ServiceError> {
        let found = self.try_search(scope, filter, before, limit).await;
        found.map_err(|error| database_error(&error))
    }

    async fn beside(
        &self,
        scope: &TenantScope,
        find: &Find,
        limit: u32,
    ) -> Result<Vec<Subject>, ServiceError> {
        let beside = self.try_beside(scope, find, limit).await;
        beside.map_err(|error| database_error(&error))
    }

    async fn remove(&self, scope: &TenantScope, position: u64) -> Result<u64, ServiceError> {
        let removed = self.try_remove(scope, position).await;
        removed.map_err(|error| database_error(&error))
    }
}

/// Whether the text of a query or a reason names a subject.
#[must_use]
pub fn is_named(text: &str, subject: &Subject) -> bool {
    match subject {
        Subject::Patient { id, .. } | Subject::Study(id) => names(text, id),
        _ => false,
    }
}

/// What an entry with this body calls the subject of this row.
#[must_use]
pub fn subject_of(keys: &Keys, row: &SubjectRow, body: &[u8]) -> Option<Subject> {
    let record: Record = serde_json::from_slice(body).ok()?;
    let mut sealed = record.subjects.iter();
    let sealed = sealed.find(|sealed| sealed.handle == row.handle)?;
    keys.open(row, &sealed.sealed).ok()
}

async fn head<'c>(on: impl Into<On<'c>>, tenant: &str) -> Result<Head, DbError> {
    let row = db::query(sql::HEAD).bind(tenant).fetch_optional(on).await?;
    row.map_or_else(|| Ok(Head::default()), |row| head_of(&row, 0))
}

async fn find(
    tx: &mut Connection,
    keys: &Keys,
    tenant: &str,
    subject: &Subject,
) -> Result<Option<Known>, DbError> {
    let row = db::query(sql::SUBJECT)
        .bind(tenant)
        .bind(keys.lookup(subject).as_slice())
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(known_of).transpose()
}

/// The subject's row, made when there is none.
async fn known(
    tx: &mut Connection,
    keys: &Keys,
    tenant: &str,
    subject: &Subject,
) -> Result<Known, DbError> {
    let row = keys.new_subject()?;
    let known = db::query(sql::KNOWN_SUBJECT)
        .bind(tenant)
        .bind(i64::from(subject.free_text().is_some()))
        .bind(row.handle.as_slice())
        .bind(keys.lookup(subject).as_slice())
        .bind(keys.broad(subject).map(|hash| hash.to_vec()))
        .bind(row.wrapped)
        .fetch_one(tx)
        .await?;
    known_of(&known)
}

fn known_of(row: &Row) -> Result<Known, DbError> {
    let handle: Vec<u8> = row.try_get(1)?;
    Ok(Known {
        id: row.try_get(0)?,
        row: SubjectRow {
            handle: fixed(&handle)?,
            wrapped: row.try_get(2)?,
        },
    })
}

fn head_of(row: &Row, from: usize) -> Result<Head, DbError> {
    let (hash, anchor): (Vec<u8>, Vec<u8>) = (row.try_get(from + 1)?, row.try_get(from + 3)?);
    Ok(Head {
        position: place(row.try_get(from)?),
        hash: hash_of(&hash)?,
        removed: place(row.try_get(from + 2)?),
        anchor: hash_of(&anchor)?,
    })
}

fn raw_of(row: &Row) -> Result<Raw, DbError> {
    Ok(Raw {
        position: place(row.try_get(0)?),
        at: row.try_get(1)?,
        act: row.try_get(2)?,
        outcome: row.try_get(3)?,
        who: row.try_get(4)?,
        body: row.try_get(5)?,
        hash: row.try_get(6)?,
    })
}

fn hash_of(bytes: &[u8]) -> Result<[u8; 32], DbError> {
    fixed(bytes)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DbError> {
    <[u8; N]>::try_from(bytes).map_err(|error| DbError::Decode(Box::new(error)))
}

fn place(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

fn number(position: u64) -> Result<i64, DbError> {
    i64::try_from(position).map_err(|error| DbError::Encode(Box::new(error)))
}

//! The audit trail in `archive.sqlite`: the same tables, statements and form as
//! in a service's database (`hilum_platform::audit`). Owns which of the
//! archive's own transactions an entry stands in; what it says is the
//! platform's.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{
    Draft, Filter, Find, Found, Head, KeyError, Keys, Raw, Record, SealedSubject, SubjectRow,
    is_named, sql, subject_of,
};
use hilum_platform::scope::TenantScope;

use crate::db::{Connection, OptionalExtension, Row, Value as SqlValue, Whose, params};
use crate::error::{ArchiveError, Result};

/// What the archive's entries say wrote them.
pub const WRITER: &str = "archive";

/// Who acts, and the keys to say of whom.
#[derive(Clone)]
pub(crate) struct By {
    pub scope: TenantScope,
    pub keys: Arc<Keys>,
}

/// An entry on its way into the transaction that it tells of.
#[derive(Clone)]
pub(crate) struct Told {
    pub by: By,
    pub entry: Entry,
}

impl Told {
    /// Names the patient of the study that the entry is about, as the index
    /// knows them before the change.
    pub(crate) fn with_patient(mut self, db: &Connection, tenant: i64) -> Result<Self> {
        let of = self.entry.subjects.iter().find_map(|one| match one {
            Subject::Study(uid) => Some(uid.clone()),
            _ => None,
        });
        let patient: Option<(Option<String>, Option<String>)> = match of {
            Some(uid) => db
                .prepare_cached(
                    "SELECT patient_id, issuer FROM study WHERE tenant = ?1 AND uid = ?2",
                )?
                .query_row(params![tenant, uid], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?,
            None => None,
        };
        if let Some((Some(id), issuer)) = patient {
            self.entry = self.entry.about(Subject::patient(id, issuer.as_deref()));
        }
        Ok(self)
    }

    /// With how many instances it was about.
    pub(crate) fn count(mut self, instances: u64) -> Self {
        self.entry = self
            .entry
            .count(instances)
            .with(Detail::Instances, instances);
        self
    }

    /// Appends it.
    pub(crate) fn keep(&self, tx: &Connection, now: i64) -> Result<()> {
        let By { scope, keys } = &self.by;
        let tenant = scope.tenant().as_str();
        let head = head(tx, tenant)?;
        let mut about = Vec::with_capacity(self.entry.subjects.len());
        let mut sealed = Vec::with_capacity(self.entry.subjects.len());
        for subject in &self.entry.subjects {
            let (id, row) = known(tx, keys, tenant, subject)?;
            sealed.push(SealedSubject {
                handle: row.handle,
                sealed: keys.seal(&row, subject).map_err(no_key)?,
            });
            about.push(id);
        }
        let draft = Draft::new(&head, WRITER, scope, now, &self.entry, sealed).map_err(no_key)?;
        let Draft { raw, head } = draft;
        if tx.sqlite().is_none() {
            tx.prepare_cached(sql::KEEP_ENTRY_OF_POSTGRES)?
                .execute(params![
                    tenant,
                    raw.position,
                    raw.at,
                    raw.act,
                    raw.outcome,
                    raw.who,
                    raw.body,
                    raw.hash,
                    head.removed,
                    head.anchor,
                    sql::ids(&about)
                ])?;
            return Ok(());
        }
        tx.prepare_cached(sql::ADD_ENTRY)?.execute(params![
            tenant,
            raw.position,
            raw.at,
            raw.act,
            raw.outcome,
            raw.who,
            raw.body,
            raw.hash
        ])?;
        tx.prepare_cached(sql::ADD_ABOUT)?
            .execute(params![raw.position, sql::ids(&about)])?;
        tx.prepare_cached(sql::SET_HEAD)?.execute(params![
            tenant,
            head.position,
            head.hash,
            head.removed,
            head.anchor
        ])?;
        Ok(())
    }
}

/// The trail says nothing that it can't seal.
pub(crate) fn no_key(error: KeyError) -> ArchiveError {
    match error {
        KeyError::Destroyed => ArchiveError::NotFound,
        KeyError::Unavailable(_) | KeyError::Cipher => {
            ArchiveError::Index("the audit trail has no key".to_owned())
        }
    }
}

/// Makes entries of these subjects, and of queries that name them, name nobody.
pub(crate) fn forget(
    db: &mut Connection,
    keys: &Keys,
    tenant: &str,
    subjects: &[Subject],
) -> Result<u64> {
    let tx = db.begin(Whose::Every)?;
    let mut gone = Vec::new();
    for subject in subjects {
        gone.extend(find(&tx, keys, tenant, subject)?.map(|(id, _)| id));
    }
    {
        let mut queries = tx.prepare(sql::QUERIES)?;
        let mut rows = queries.query(params![tenant, 0, i64::MAX])?;
        while let Some(row) = rows.next()? {
            let (id, subject) = known_of(row)?;
            let body: Option<Vec<u8>> = row.get(3)?;
            let said = body.and_then(|body| subject_of(keys, &subject, &body));
            // What can't be read may name anybody.
            let names = |text| subjects.iter().any(|one| is_named(text, one));
            if said.as_ref().and_then(Subject::free_text).is_none_or(names) {
                gone.push(id);
            }
        }
    }
    for id in &gone {
        tx.prepare_cached(sql::FORGET_ABOUT)?.execute([id])?;
        tx.prepare_cached(sql::FORGET_SUBJECT)?.execute([id])?;
    }
    tx.commit()?;
    Ok(gone.len() as u64)
}

/// Where every tenant's chain stands.
pub(crate) fn heads(db: &Connection) -> Result<Vec<(TenantId, Head)>> {
    let mut query = db.prepare_cached(sql::HEADS)?;
    let mut rows = query.query([])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let tenant: String = row.get(0)?;
        let tenant = TenantId::stored(tenant).map_err(|_| ArchiveError::Corrupt)?;
        heads.push((tenant, head_of(row, 1)?));
    }
    Ok(heads)
}

/// Where a tenant's chain stands.
pub(crate) fn head(db: &Connection, tenant: &str) -> Result<Head> {
    let mut query = db.prepare_cached(sql::HEAD)?;
    let mut rows = query.query([tenant])?;
    match rows.next()? {
        Some(row) => head_of(row, 0),
        None => Ok(Head::default()),
    }
}

/// Rows after a position.
pub(crate) fn entries(db: &Connection, tenant: &str, after: u64, limit: u32) -> Result<Vec<Raw>> {
    let mut query = db.prepare_cached(sql::ENTRIES)?;
    let rows = query.query_map(params![tenant, after, limit], |row| {
        Ok(Raw {
            position: row.get(0)?,
            at: row.get(1)?,
            act: row.get(2)?,
            outcome: row.get(3)?,
            who: row.get(4)?,
            body: row.get(5)?,
            hash: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// What a filter asks for, the newest first.
pub(crate) fn search(
    db: &Connection,
    keys: &Keys,
    tenant: &str,
    filter: &Filter,
    before: Option<(i64, u64)>,
    limit: u32,
) -> Result<Vec<Found>> {
    let mut about = Vec::with_capacity(filter.about.len());
    for group in &filter.about {
        let found = found(db, keys, tenant, group)?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        about.push(found.into_iter().map(|(id, _)| id).collect());
    }
    let search = match db.sqlite() {
        Some(_) => sql::search,
        None => sql::search_of_postgres,
    };
    let (text, values) = search(tenant, filter, &about, before, limit);
    let values = values.into_iter().map(|value| match value {
        sql::Value::Int(value) => SqlValue::Integer(value),
        sql::Value::Text(value) => SqlValue::Text(value),
    });
    let mut query = db.prepare(&text)?;
    let mut rows = query.query(crate::db::params_from_iter(values))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(0)?;
        // What can't be read is `verify`'s to tell.
        if let Ok(record) = serde_json::from_slice(&body) {
            all.push(opened(db, keys, record)?);
        }
    }
    Ok(all)
}

/// Patients and studies that stand in one entry with what is looked for.
pub(crate) fn beside(
    db: &Connection,
    keys: &Keys,
    tenant: &str,
    find: &Find,
    limit: u32,
) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for (id, _) in found(db, keys, tenant, std::slice::from_ref(find))? {
        let mut query = db.prepare_cached(sql::BESIDE)?;
        let mut rows = query.query(params![id, tenant, limit])?;
        while let Some(row) = rows.next()? {
            let (id, row) = known_of(row)?;
            let body: Option<Vec<u8>> = db
                .prepare_cached(sql::BODY_ABOUT)?
                .query_row(params![id, tenant], |row| row.get(0))
                .optional()?;
            subjects.extend(body.and_then(|body| subject_of(keys, &row, &body)));
        }
    }
    Ok(subjects)
}

/// Removes what was kept long enough.
pub(crate) fn remove(db: &mut Connection, tenant: &str, position: u64) -> Result<u64> {
    let tx = db.begin(Whose::Every)?;
    let head = head(&tx, tenant)?;
    if position <= head.removed || position > head.position {
        return Ok(0);
    }
    let anchor: Vec<u8> =
        tx.query_row(sql::HASH_AT, params![tenant, position], |row| row.get(0))?;
    let gone = tx.execute(sql::REMOVE_ENTRIES, params![tenant, position])?;
    tx.execute(sql::REMOVE_ABOUT, params![position, tenant])?;
    tx.execute(sql::REMOVE_SUBJECTS, [tenant])?;
    tx.execute(sql::SET_REMOVED, params![tenant, position, anchor])?;
    tx.commit()?;
    Ok(gone as u64)
}

fn opened(db: &Connection, keys: &Keys, record: Record) -> Result<Found> {
    let mut subjects = Vec::with_capacity(record.subjects.len());
    for sealed in &record.subjects {
        let mut query = db.prepare_cached(sql::SUBJECT_BY_HANDLE)?;
        let mut rows = query.query(params![record.tenant.as_str(), sealed.handle])?;
        let row = rows.next()?.map(known_of).transpose()?;
        subjects.push(row.and_then(|(_, row)| keys.open(&row, &sealed.sealed).ok()));
    }
    Ok(Found { record, subjects })
}

fn found(
    db: &Connection,
    keys: &Keys,
    tenant: &str,
    group: &[Find],
) -> Result<Vec<(i64, SubjectRow)>> {
    let mut all = Vec::new();
    for one in group {
        let (text, hash) = match one {
            Find::PatientId(id) => (sql::SUBJECTS_BY_BROAD, keys.patient_id(id)),
            Find::Subject(subject) => (sql::SUBJECT, keys.lookup(subject)),
        };
        let mut query = db.prepare_cached(text)?;
        let mut rows = query.query(params![tenant, hash])?;
        while let Some(row) = rows.next()? {
            all.push(known_of(row)?);
        }
    }
    Ok(all)
}

fn find(
    db: &Connection,
    keys: &Keys,
    tenant: &str,
    subject: &Subject,
) -> Result<Option<(i64, SubjectRow)>> {
    let found = found(db, keys, tenant, &[Find::Subject(subject.clone())])?;
    Ok(found.into_iter().next())
}

/// The subject's row, made when there is none.
fn known(
    tx: &Connection,
    keys: &Keys,
    tenant: &str,
    subject: &Subject,
) -> Result<(i64, SubjectRow)> {
    let row = keys.new_subject().map_err(no_key)?;
    let mut query = tx.prepare_cached(sql::KNOWN_SUBJECT)?;
    query.query_row(
        params![
            tenant,
            subject.free_text().is_some(),
            row.handle,
            keys.lookup(subject),
            keys.broad(subject),
            row.wrapped
        ],
        |row| Ok(known_of(row)),
    )?
}

fn known_of(row: Row<'_>) -> Result<(i64, SubjectRow)> {
    let row_of = SubjectRow {
        handle: row.get(1)?,
        wrapped: row.get(2)?,
    };
    Ok((row.get(0)?, row_of))
}

fn head_of(row: Row<'_>, from: usize) -> Result<Head> {
    let (hash, anchor): (Vec<u8>, Vec<u8>) = (row.get(from + 1)?, row.get(from + 3)?);
    Ok(Head {
        position: row.get(from)?,
        hash: fixed(&hash)?,
        removed: row.get(from + 2)?,
        anchor: fixed(&anchor)?,
    })
}

fn fixed(bytes: &[u8]) -> Result<[u8; 32]> {
    <[u8; 32]>::try_from(bytes).map_err(|_| ArchiveError::Corrupt)
}

/// Says that the index was made again, and where the chain stood then.
pub(crate) fn begin_again(db: &mut Connection, by: &By, old: &Head, now: i64) -> Result<()> {
    let entry = Entry::new(Act::BeginAudit)
        .with(Detail::Position, old.position)
        .with(Detail::Continues, URL_SAFE_NO_PAD.encode(old.hash));
    let told = Told {
        by: by.clone(),
        entry,
    };
    let tx = db.begin(Whose::Every)?;
    told.keep(&tx, now)?;
    tx.commit()?;
    Ok(())
}

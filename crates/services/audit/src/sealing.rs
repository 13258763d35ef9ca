//! Sealing: what was written since the last seal, of every writer, under one
//! root, signed, kept here and appended to the tenant's file, which can be
//! shipped away. A chain that is broken is not sealed from there on.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{AuditSource, Chain, Head, leaf};
use hilum_platform::auth;
use hilum_platform::db::DbError;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;
use tokio_util::sync::CancellationToken;

use crate::AuditService;
use crate::domain::merkle;
use crate::domain::removal::{self, Removal};
use crate::domain::seal::{Content, Range, Seal, VERSION, encode};
use crate::limits::{REMOVE_EVERY, SEAL_ENTRIES, SEAL_EVERY, SEALS_WALK, WALK};
use crate::store::Mark;

/// New entries of one writer.
struct New {
    range: Range,
    leaves: Vec<[u8; 32]>,
    mark: Mark,
}

impl AuditService {
    /// Seals regularly, and once more at the end.
    pub(crate) async fn seal_regularly(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(SEAL_EVERY) => {}
            }
            self.seal_all().await;
        }
    }

    /// Seals what is new of every tenant. What can't be sealed is told in the
    /// log, and by the next verification.
    pub async fn seal_all(&self) {
        let mut tenants = std::collections::BTreeSet::new();
        for source in self.sources.iter() {
            match source.heads().await {
                Ok(heads) => {
                    let heads = heads.into_iter().map(|(tenant, _)| tenant);
                    tenants.extend(heads.filter(|of| self.sources_of(of).next().is_some()));
                }
                Err(error) => tracing::error!(writer = source.writer(), %error, "not sealed"),
            }
        }
        for tenant in tenants {
            let scope = auth::service(&tenant, "audit");
            if let Err(error) = self.seal(&scope).await {
                tracing::error!(%tenant, %error, "an audit trail was not sealed");
            }
        }
    }

    /// Seals what is new of a tenant: as often as it takes.
    ///
    /// # Errors
    /// When a database or the file of seals does not answer.
    pub async fn seal(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        let _one = self.sealing.lock().await;
        self.prove_key(scope).await?;
        while self.seal_once(scope).await? {}
        self.write_file(scope).await
    }

    async fn seal_once(&self, scope: &TenantScope) -> Result<bool, ServiceError> {
        let marks = self
            .store
            .marks(scope)
            .await
            .map_err(|error| database_error(&error))?;
        let marks: HashMap<String, Mark> = marks
            .into_iter()
            .map(|mark| (mark.writer.clone(), mark))
            .collect();
        let mut new = Vec::new();
        for source in self.sources_of(scope.tenant()) {
            new.extend(new_of(source.as_ref(), scope, marks.get(source.writer())).await?);
        }
        if new.is_empty() {
            return Ok(false);
        }
        let is_more = new
            .iter()
            .any(|one| one.leaves.len() as u64 >= u64::from(SEAL_ENTRIES));
        let before = self.store.last_seal(scope).await;
        let before = before.map_err(|error| database_error(&error))?;
        let (previous, number) = match &before {
            Some(before) => {
                let content: Content = serde_json::from_str(&before.content).map_err(|_| {
                    ServiceError::internal("The last seal is damaged: run `hilum audit verify`.")
                })?;
                (before.hash(), content.number)
            }
            None => (String::new(), 0),
        };
        let leaves: Vec<[u8; 32]> = new.iter().flat_map(|one| one.leaves.clone()).collect();
        let content = Content {
            version: VERSION,
            tenant: scope.tenant().clone(),
            number: number.saturating_add(1),
            at: self.clock.now_millis(),
            previous,
            writers: new.iter().map(|one| one.range.clone()).collect(),
            root: encode(&merkle::root(&leaves)),
        };
        let text = serde_json::to_string(&content)
            .map_err(|_| ServiceError::internal("The seal can't be written."))?;
        let seal = Seal {
            signature: self.signer.sign(&text),
            key: self.signer.public(),
            leaves: encode(leaves.as_flattened()),
            content: text,
        };
        let marks: Vec<Mark> = new.into_iter().map(|one| one.mark).collect();
        let kept = self
            .store
            .keep(scope, (content.number, content.at), &seal, &marks);
        kept.await.map_err(|error| database_error(&error))?;
        Ok(is_more)
    }

    /// Appends to the tenant's file what it lacks, durably.
    async fn write_file(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        let path = self.seals_file(scope.tenant());
        let failed = |error: std::io::Error| {
            tracing::error!(kind = ?error.kind(), "the file of seals");
            ServiceError::internal("The file of seals can't be written.")
        };
        let mut number = {
            let path = path.clone();
            blocking(move || last_number(&path)).await.map_err(failed)?
        };
        loop {
            let seals = self.store.seals(scope, number, SEALS_WALK).await;
            let seals = seals.map_err(|error| database_error(&error))?;
            let Some((last, _)) = seals.last() else {
                return Ok(());
            };
            number = *last;
            let path = path.clone();
            let write = blocking(move || append(&path, &seals));
            write.await.map_err(failed)?;
        }
    }

    /// Where the seals of a tenant are appended.
    pub(crate) fn seals_file(&self, tenant: &TenantId) -> PathBuf {
        self.seals.join(format!("{tenant}.jsonl"))
    }

    /// Removes what was kept long enough, now and again.
    pub(crate) async fn remove_regularly(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.remove_old().await {
                tracing::error!(%error, "old entries of the audit trail stay");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(REMOVE_EVERY) => {}
            }
        }
    }

    /// Removes the entries that were sealed longer ago than they are kept:
    /// whole seals' worth, so that each chain goes on from a hash that is sealed.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn remove_old(&self) -> Result<(), ServiceError> {
        let until = self.clock.now_millis().saturating_sub(self.keep_millis);
        for source in self.sources.iter() {
            for (tenant, head) in source.heads().await? {
                let mut ours = self.sources_of(&tenant);
                if !ours.any(|one| one.writer() == source.writer()) {
                    continue;
                }
                let scope = auth::service(&tenant, "audit");
                self.remove_in(&scope, source.as_ref(), &head, until)
                    .await?;
            }
        }
        Ok(())
    }

    async fn remove_in(
        &self,
        scope: &TenantScope,
        source: &dyn AuditSource,
        head: &Head,
        until: i64,
    ) -> Result<(), ServiceError> {
        let first = source.entries(scope, head.removed, 1).await?;
        if first.first().is_none_or(|raw| raw.at >= until) {
            return Ok(());
        }
        let of = |error: &DbError| database_error(error);
        let mut before = until;
        // The newest old seal may hold nothing of this writer.
        while let Some(seal) = self
            .store
            .seal_before(scope, before)
            .await
            .map_err(|e| of(&e))?
        {
            let Ok(content) = serde_json::from_str::<Content>(&seal.content) else {
                return Ok(());
            };
            before = content.at;
            let mut ranges = content.writers.iter();
            let Some(range) = ranges.find(|range| range.writer == source.writer()) else {
                continue;
            };
            if range.last <= head.removed {
                return Ok(());
            }
            self.tell_removal(scope, range, content.at).await?;
            let removed = source.remove(scope, range.last).await?;
            tracing::info!(
                writer = source.writer(),
                removed,
                "old entries of the audit trail were removed"
            );
            return Ok(());
        }
        Ok(())
    }
}

impl AuditService {
    /// Says, signed and durably, that the entries up to the end of `range` are
    /// removed: in the trail, and where verification looks for it.
    async fn tell_removal(
        &self,
        scope: &TenantScope,
        range: &Range,
        sealed_at: i64,
    ) -> Result<(), ServiceError> {
        let of = |error: DbError| database_error(&error);
        let removal = Removal {
            kind: removal::KIND.to_owned(),
            tenant: scope.tenant().clone(),
            writer: range.writer.clone(),
            position: range.last,
            hash: range.head.clone(),
            sealed_at,
            at: self.clock.now_millis(),
        };
        let text = serde_json::to_string(&removal)
            .map_err(|_| ServiceError::internal("The removal can't be written."))?;
        let signature = self.signer.sign(&text);
        let entry = Entry::new(Act::RemoveAudit)
            .with(Detail::Setting, &range.writer)
            .with(Detail::Position, range.last);
        let mut tx = self.store.db().begin(scope).await.map_err(of)?;
        let of_writer = (range.writer.as_str(), range.last);
        self.store
            .keep_removal(&mut tx, scope, of_writer, (&text, &signature))
            .await
            .map_err(of)?;
        // The end of a tenant is the last entry of its trail.
        if !self.store.db().is_ended(scope.tenant()).await.map_err(of)? {
            let told = self.trail.append(&mut tx, scope, entry).await;
            told.map_err(of)?;
        }
        tx.commit().await.map_err(of)
    }
}

/// What a writer wrote since its mark.
async fn new_of(
    source: &dyn AuditSource,
    scope: &TenantScope,
    mark: Option<&Mark>,
) -> Result<Option<New>, ServiceError> {
    let head = source.head(scope).await?;
    let (mut position, mut hash) = match mark {
        Some(mark) => (mark.position, mark.hash),
        None => (head.removed, head.anchor),
    };
    if head.position <= position {
        return Ok(None);
    }
    let first = position.saturating_add(1);
    // As if the chain began here: what is before is sealed.
    let from = Head {
        removed: position,
        anchor: hash,
        ..head
    };
    let mut chain = Chain::new(scope.tenant(), source.writer(), from);
    let mut leaves = Vec::new();
    'all: while leaves.len() < SEAL_ENTRIES as usize {
        let rows = source.entries(scope, position, WALK).await?;
        if rows.is_empty() {
            break;
        }
        for raw in rows {
            let Some(linked) = chain.next(&raw) else {
                tracing::error!(
                    writer = source.writer(),
                    position = raw.position,
                    "the audit trail is broken and not sealed from here on: run `hilum audit verify`"
                );
                break 'all;
            };
            (position, hash) = (raw.position, linked);
            leaves.push(leaf(&raw.body));
            if leaves.len() == SEAL_ENTRIES as usize {
                break;
            }
        }
    }
    if leaves.is_empty() {
        return Ok(None);
    }
    Ok(Some(New {
        range: Range {
            writer: source.writer().to_owned(),
            first,
            last: position,
            head: encode(&hash),
        },
        leaves,
        mark: Mark {
            writer: source.writer().to_owned(),
            position,
            hash,
        },
    }))
}

/// The number of the last whole seal in a file; a torn line behind it goes.
fn last_number(path: &Path) -> std::io::Result<u64> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut tail = Vec::new();
    let mut from = length;
    // Backwards, until a whole line is there.
    loop {
        let step = 64 * 1024;
        let start = from.saturating_sub(step);
        file.seek(SeekFrom::Start(start))?;
        let mut piece = vec![0; usize::try_from(from - start).unwrap_or_default()];
        file.read_exact(&mut piece)?;
        piece.extend_from_slice(&tail);
        tail = piece;
        from = start;
        let end = tail.iter().rposition(|byte| *byte == b'\n');
        let Some(end) = end else {
            if from == 0 {
                file.set_len(0)?;
                return Ok(0);
            }
            continue;
        };
        let line = tail.get(..end).unwrap_or_default();
        let begin = line.iter().rposition(|byte| *byte == b'\n');
        if begin.is_none() && from > 0 {
            continue;
        }
        let whole = from + end as u64 + 1;
        if whole < length {
            file.set_len(whole)?;
        }
        let line = line.get(begin.map_or(0, |at| at + 1)..).unwrap_or_default();
        let number = serde_json::from_slice::<Seal>(line)
            .ok()
            .and_then(|seal| serde_json::from_str::<Content>(&seal.content).ok())
            .map_or(0, |content| content.number);
        return Ok(number);
    }
}

fn append(path: &Path, seals: &[(u64, Seal)]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut text = Vec::new();
    for (_, seal) in seals {
        serde_json::to_writer(&mut text, seal)?;
        text.push(b'\n');
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(&text)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(std::io::Error::other("the work broke off")),
    }
}

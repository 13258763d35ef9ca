//! Rows written past the archive, in bulk. The objects that they name do not
//! exist, so their images cannot be read; settled studies that questions ask
//! for by UID are stored and packed by the archive itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::hospital::{Random, SEED, Study, patient_id, study_uid};
use crate::{Failure, open, settled};

/// Instances of one bundle.
const BUNDLE: u64 = 64;
/// Compressed metadata of an instance, bytes: its size matters, not its content.
const BLOCK: usize = 300;
/// Studies that questions ask for.
const PICKED: u64 = 1_000;
/// Kinds of objects (`docs/formats`).
const KIND_BUNDLE: i64 = 1;
const KIND_PACK: i64 = 4;

/// Whether instances are rows or in packs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Unsettled,
    Settled,
}

pub(crate) async fn load(
    dir: &Path,
    form: Form,
    studies: u64,
    instances: u64,
) -> Result<(), Failure> {
    let started = Instant::now();
    open(dir).await?.close().await;
    let picked: Vec<u64> = (0..PICKED.min(studies))
        .map(|n| n * 7_919 % studies)
        .collect();
    let of = |study| instances * (study + 1) / studies - instances * study / studies;
    let mut loader = Loader::new(dir, form)?;
    // The archive stores those itself.
    let apart: BTreeSet<u64> = match form {
        Form::Unsettled => BTreeSet::new(),
        Form::Settled => picked.iter().copied().collect(),
    };
    let mut last = Instant::now();
    for number in 0..studies {
        if !apart.contains(&number) {
            loader.study(&Study::new(number, studies), of(number))?;
        }
        if last.elapsed() > Duration::from_secs(10) {
            last = Instant::now();
            eprintln!("{number} of {studies} studies");
        }
    }
    loader.finish()?;
    let mut samples = serde_json::json!({
        "form": if form == Form::Settled { "settled" } else { "unsettled" },
        "studies": studies,
        "instances": instances,
        "patients": picked.iter().map(|n| patient_id(n / 3)).collect::<Vec<_>>(),
        "accessions": picked.iter().map(|n| format!("A{n:07}")).collect::<Vec<_>>(),
        "instance_uids": picked.iter().map(|n| format!("{}.1.1", study_uid(*n))).collect::<Vec<_>>(),
    });
    if form == Form::Settled {
        let mut apart = Vec::with_capacity(picked.len());
        for number in &picked {
            apart.push((Study::new(*number, studies), of(*number)));
        }
        let uids = settled::through_archive(dir, &apart).await?;
        if let Some(samples) = samples.as_object_mut() {
            samples.insert("series_uids".to_owned(), uids.into());
        }
    }
    // The first sweep completes rows that nobody committed; not while it is asked.
    let archive = open(dir).await?;
    archive.sweep().await?;
    archive.close().await;
    std::fs::write(dir.join("samples.json"), serde_json::to_vec(&samples)?)?;
    println!(
        "{studies} studies and {instances} instances in {:.0} s; the index has {} MB",
        started.elapsed().as_secs_f64(),
        std::fs::metadata(dir.join("archive.sqlite"))?.len() >> 20
    );
    Ok(())
}

/// An entry of the look-up: keyed hashes are as good as random bytes, so those
/// of instances that nobody asks for are random bytes.
type Entry = ([u8; 12], i64, u32);

struct Loader {
    db: Connection,
    form: Form,
    tenant: i64,
    random: Random,
    object: i64,
    in_object: u64,
    entries: Vec<Entry>,
}

impl Loader {
    fn new(dir: &Path, form: Form) -> Result<Self, Failure> {
        let db = Connection::open(dir.join("archive.sqlite"))?;
        db.pragma_update(None, "journal_mode", "OFF")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        db.pragma_update(None, "cache_size", -1_000_000)?;
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        db.execute_batch("BEGIN; INSERT OR IGNORE INTO tenant (name) VALUES ('default');")?;
        let tenant = db.query_row("SELECT id FROM tenant WHERE name = 'default'", [], |row| {
            row.get(0)
        })?;
        Ok(Self {
            db,
            form,
            tenant,
            random: Random(SEED),
            object: 0,
            in_object: 0,
            entries: Vec::new(),
        })
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.entries.sort_unstable();
        for (hash, pack, ordinal) in &self.entries {
            self.db
                .prepare_cached(
                    "INSERT INTO lookup_recent (tenant, hash, pack, ordinal)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![self.tenant, hash, pack, ordinal])?;
        }
        self.db.execute_batch("COMMIT")?;
        self.db.pragma_update(None, "journal_mode", "DELETE")?;
        self.db
            .execute_batch("PRAGMA locking_mode = NORMAL; SELECT count(*) FROM tenant;")?;
        Ok(())
    }

    fn study(&mut self, study: &Study, instances: u64) -> Result<(), Failure> {
        let row = self
            .db
            .prepare_cached(
                "INSERT INTO study (tenant, uid, issuer, patient_id, patient_name, patient_name_a,
                    birth_date, sex, date, time, accession, study_id, description, description_key,
                    series, instances, first_received, last_received, revision)
                 VALUES (?1, ?2, 'HOSPITAL', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 2,
                    ?14, ?15, ?15, 1)",
            )?
            .insert(params![
                self.tenant,
                study.uid,
                study.patient_id,
                study.patient_name.to_uppercase(),
                study.patient_name,
                study.birth_date,
                study.sex,
                study.date,
                study.time,
                study.accession,
                study.id,
                format!("{} examination", study.modality),
                format!("{} examination", study.modality.to_lowercase()),
                instances,
                study.received,
            ])?;
        for number in 1..=2_u64 {
            self.series(study, row, number, Study::instances_of(number, instances))?;
        }
        // As intake does, once its series are there.
        let modalities = if study.modality == "PT" {
            "\\CT\\PT\\".to_owned()
        } else {
            format!("\\{}\\", study.modality)
        };
        self.db
            .prepare_cached("UPDATE study SET modalities = ?2 WHERE id = ?1")?
            .execute(params![row, modalities])?;
        Ok(())
    }

    fn series(&mut self, study: &Study, row: i64, number: u64, of: u64) -> Result<(), Failure> {
        let uid = format!("{}.{number}", study.uid);
        let series = self
            .db
            .prepare_cached(
                "INSERT INTO series (study, tenant, uid, modality, number, description,
                    description_key, body_part, date, time, manufacturer, instances,
                    first_received, last_received, revision)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'Series', 'series', 'CHEST', ?6, ?7, 'Maker', ?8,
                    ?9, ?9, 1)",
            )?
            .insert(params![
                row,
                self.tenant,
                uid,
                study.modality_of(number),
                number,
                study.date,
                study.time,
                of,
                study.received,
            ])?;
        match self.form {
            Form::Unsettled => {
                for instance in 1..=of {
                    self.instance(series, &format!("{uid}.{instance}"), instance)?;
                }
            }
            Form::Settled => self.pack(series, of)?,
        }
        Ok(())
    }

    fn pack(&mut self, series: i64, of: u64) -> Result<(), Failure> {
        let object = self.object(KIND_PACK)?;
        let pack = self
            .db
            .prepare_cached(
                "INSERT INTO pack (tenant, series, object, instances, served, block_at,
                    block_length)
                 VALUES (?1, ?2, ?3, ?4, ?4, 2621440, 2048)",
            )?
            .insert(params![self.tenant, series, object, of])?;
        for ordinal in 0..u32::try_from(of)? {
            let hash = self.random.bytes();
            self.entries.push((hash, pack, ordinal));
        }
        Ok(())
    }

    fn object(&mut self, kind: i64) -> Result<i64, Failure> {
        let name: [u8; 16] = self.random.bytes();
        Ok(self
            .db
            .prepare_cached(
                "INSERT INTO object (tenant, name, opening, state, kind, bytes, changed_at)
                 VALUES (?1, ?2, 1, 1, ?3, 33554432, 0)",
            )?
            .insert(params![self.tenant, name, kind])?)
    }

    fn instance(&mut self, series: i64, uid: &str, number: u64) -> Result<(), Failure> {
        if self.in_object.is_multiple_of(BUNDLE) {
            self.object = self.object(KIND_BUNDLE)?;
        }
        let segment = self.in_object % BUNDLE;
        self.in_object += 1;
        let sha256: [u8; 32] = self.random.bytes();
        let id = self
            .db
            .prepare_cached(
                "INSERT INTO instance (tenant, series, sop_class, uid, transfer_syntax, number,
                    rows, columns, bits, frames, flags, origin, received_at, standing, sha256,
                    object, segment, offset, length)
                 VALUES (?1, ?2, '1.2.840.10008.5.1.4.1.1.2', ?3, '1.2.840.10008.1.2.1', ?4, 512,
                    512, 16, 1, '', '{\"by\":\"stow\"}', 0, 0, ?5, ?6, ?7, ?8, 524288)",
            )?
            .insert(params![
                self.tenant,
                series,
                uid,
                number,
                sha256,
                self.object,
                segment,
                segment * 525_000,
            ])?;
        let block = [7_u8; BLOCK];
        self.db
            .prepare_cached(
                "INSERT INTO instance_block (instance, metadata, layout) VALUES (?1, ?2, x'00')",
            )?
            .execute(params![id, block])?;
        Ok(())
    }
}

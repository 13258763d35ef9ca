//! Fills an archive's index as ten years of a hospital would, without images,
//! and asks it: `cargo run --release -p hilum-archive --example scale --
//! load DIR STUDIES INSTANCES`, then `… ask DIR [TIMES]`. The rows are written
//! past the archive, in bulk; objects that they name do not exist, so images
//! cannot be read. `DIR/samples.json` says what there is to ask for.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hilum_archive::{
    Archive, ArchiveConfig, DateRange, Limits, MasterKey, NamePattern, Order, Page, StudyFilter,
    TextPattern,
};
use hilum_contracts::ids::TenantId;
use hilum_platform::scope::TenantScope;
use rusqlite::{Connection, params};

type Failure = Box<dyn std::error::Error>;

const SEED: u64 = 20_260_101;
/// 2016-11-01 and ten years, in days since 1970.
const FIRST_DAY: u64 = 17_106;
const DAYS: u64 = 3_652;
const DAY_MS: u64 = 86_400_000;
/// Instances of one object.
const BUNDLE: u64 = 64;
/// Compressed metadata of an instance, bytes: its size matters, not its content.
const BLOCK: usize = 300;

/// Family names with their share in 10,000; the rest gets made-up ones.
const FAMILIES: &[(&str, u64)] = &[
    ("smith", 100),
    ("johnson", 80),
    ("williams", 65),
    ("brown", 60),
    ("jones", 60),
    ("garcia", 50),
    ("miller", 50),
    ("davis", 45),
    ("rodriguez", 45),
    ("martinez", 40),
    ("anderson", 35),
    ("wilson", 35),
    ("thompson", 30),
    ("jackson", 30),
    ("robinson", 25),
    ("nelson", 20),
    ("simpson", 10),
    ("schmidt", 30),
    ("müller", 40),
    ("nguyen", 40),
    ("kim", 60),
    ("lee", 60),
    ("chen", 50),
    ("yamada", 10),
];
const GIVEN: &[&str] = &[
    "anna", "james", "maria", "john", "li", "robert", "elena", "michael", "sofia", "david",
    "fatima", "thomas", "julia", "daniel", "emma", "peter", "laura", "ahmed", "ingrid", "paul",
    "jason", "allison", "nora", "ivan",
];
const SYLLABLES: &[&str] = &[
    "ba", "ker", "lo", "mann", "ri", "stein", "to", "va", "sen", "ka", "du", "mor", "el", "fi",
    "gra", "hol", "in", "ja", "ku", "wel",
];
/// Modalities and their share in 1,000 studies.
const MODALITIES: &[(&str, u64)] = &[
    ("DX", 260),
    ("CT", 220),
    ("MR", 150),
    ("US", 140),
    ("MG", 100),
    ("CR", 80),
    ("NM", 20),
    ("PT", 15),
    ("XA", 10),
    ("RF", 5),
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(list.len() as u64)).ok()?;
        list.get(at)
    }

    fn shared<'a>(&mut self, shares: &[(&'a str, u64)], whole: u64) -> Option<&'a str> {
        let mut at = self.below(whole);
        for (value, share) in shares {
            match at.checked_sub(*share) {
                None => return Some(value),
                Some(rest) => at = rest,
            }
        }
        None
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            for (to, from) in part.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
        bytes
    }
}

/// The same for every study of a patient.
fn patient_name(patient: u64) -> String {
    let mut random = Random(SEED ^ patient.wrapping_mul(0x00A5_A5A5));
    let family = match random.shared(FAMILIES, 10_000) {
        Some(family) => family.to_owned(),
        None => (0..3)
            .filter_map(|_| random.of(SYLLABLES))
            .copied()
            .collect(),
    };
    format!("{family}^{}", random.of(GIVEN).unwrap_or(&"x"))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| -> Result<u64, Failure> {
        Ok(arguments.get(at).map_or(Ok(default), |text| text.parse())?)
    };
    let usage = "say `load DIR STUDIES INSTANCES` or `ask DIR [TIMES]`";
    let dir = PathBuf::from(arguments.get(1).ok_or(usage)?);
    match arguments.first().map(String::as_str) {
        Some("load") => load(&dir, number(2, 1_000_000)?, number(3, 10_000_000)?).await,
        Some("ask") => ask(&dir, number(2, 200)?).await,
        _ => Err(usage.into()),
    }
}

async fn open(dir: &Path) -> Result<Archive, Failure> {
    Ok(Archive::open(ArchiveConfig {
        dir: dir.to_owned(),
        master_key: MasterKey::File,
        clock: hilum_platform::clock::system(),
        limits: Limits::default(),
    })
    .await?)
}

fn scope() -> Result<TenantScope, Failure> {
    let tenant = TenantId::new("default")?;
    Ok(hilum_platform::auth::service(&tenant, "scale"))
}

async fn load(dir: &Path, studies: u64, instances: u64) -> Result<(), Failure> {
    open(dir).await?.close().await;
    let db = Connection::open(dir.join("archive.sqlite"))?;
    db.pragma_update(None, "journal_mode", "OFF")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    db.pragma_update(None, "cache_size", -1_000_000)?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    db.execute_batch("BEGIN; INSERT OR IGNORE INTO tenant (name) VALUES ('default');")?;
    let tenant: i64 = db.query_row("SELECT id FROM tenant WHERE name = 'default'", [], |row| {
        row.get(0)
    })?;
    let mut loader = Loader {
        db: &db,
        tenant,
        random: Random(SEED),
        object: 0,
        in_object: 0,
        instance: 0,
    };
    let started = Instant::now();
    let mut last = Instant::now();
    for study in 0..studies {
        let of = instances * (study + 1) / studies - instances * study / studies;
        loader.study(study, studies, of)?;
        if last.elapsed() > Duration::from_secs(10) {
            last = Instant::now();
            eprintln!(
                "{study} of {studies} studies, {} instances",
                loader.instance
            );
        }
    }
    db.execute_batch("COMMIT")?;
    db.pragma_update(None, "journal_mode", "DELETE")?;
    db.execute_batch("PRAGMA locking_mode = NORMAL; SELECT count(*) FROM tenant;")?;
    drop(db);
    let pick: Vec<u64> = (0..1_000).map(|n| n * 7_919 % studies.max(1)).collect();
    let samples = serde_json::json!({
        "studies": studies,
        "instances": instances,
        "patients": pick.iter().map(|n| patient_id(n / 3)).collect::<Vec<_>>(),
        "accessions": pick.iter().map(|n| format!("A{n:07}")).collect::<Vec<_>>(),
        "instance_uids": pick.iter().map(|n| format!("{}.1.1", study_uid(*n))).collect::<Vec<_>>(),
    });
    std::fs::write(dir.join("samples.json"), serde_json::to_vec(&samples)?)?;
    println!(
        "{studies} studies and {instances} instances in {:.0} s; the index has {} MB",
        started.elapsed().as_secs_f64(),
        std::fs::metadata(dir.join("archive.sqlite"))?.len() >> 20
    );
    Ok(())
}

fn patient_id(patient: u64) -> String {
    format!("P{patient:07}")
}

fn study_uid(study: u64) -> String {
    format!("1.2.826.0.1.3680043.9.7777.1.{:010}", study + 1_000_000_000)
}

/// `YYYYMMDD` of a day since 1970.
fn day(days: u64) -> String {
    let date = time::OffsetDateTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
    format!(
        "{:04}{:02}{:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    )
}

struct Loader<'a> {
    db: &'a Connection,
    tenant: i64,
    random: Random,
    object: i64,
    in_object: u64,
    instance: u64,
}

impl Loader<'_> {
    fn study(&mut self, study: u64, studies: u64, instances: u64) -> Result<(), Failure> {
        let random = &mut self.random;
        // Studies come in the order of their days; a tenth was imported later.
        let at = study * DAYS / studies;
        let second = 25_000 + random.below(50_000);
        let mut received = (FIRST_DAY + at) * DAY_MS + second * 1_000 + random.below(600_000);
        if random.below(10) == 0 {
            received += random.below((DAYS - at) * DAY_MS + 1);
        }
        let modality = random.shared(MODALITIES, 1_000).unwrap_or("OT");
        let modalities = if modality == "PT" {
            "\\CT\\PT\\".to_owned()
        } else {
            format!("\\{modality}\\")
        };
        let patient = study / 3;
        let name = patient_name(patient);
        let time = format!(
            "{:02}{:02}{:02}",
            second / 3_600,
            second / 60 % 60,
            second % 60
        );
        let uid = study_uid(study);
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
                uid,
                patient_id(patient),
                name.to_uppercase(),
                name,
                day(patient * 31 % 30_000),
                if patient.is_multiple_of(2) { "F" } else { "M" },
                day(FIRST_DAY + at),
                time,
                format!("A{study:07}"),
                (study % 100_000).to_string(),
                format!("{modality} examination"),
                format!("{} examination", modality.to_lowercase()),
                instances,
                received,
            ])?;
        for number in 1..=2_u64 {
            let of = if number == 1 {
                instances.div_ceil(2)
            } else {
                instances / 2
            };
            let first_of_pet = modality == "PT" && number == 1;
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
                    format!("{uid}.{number}"),
                    if first_of_pet { "CT" } else { modality },
                    number,
                    day(FIRST_DAY + at),
                    time,
                    of,
                    received,
                ])?;
            for instance in 1..=of {
                self.instance(series, &format!("{uid}.{number}.{instance}"), instance)?;
            }
        }
        // As intake does, once its series are there.
        self.db
            .prepare_cached("UPDATE study SET modalities = ?2 WHERE id = ?1")?
            .execute(params![row, modalities])?;
        Ok(())
    }

    fn instance(&mut self, series: i64, uid: &str, number: u64) -> Result<(), Failure> {
        if self.in_object.is_multiple_of(BUNDLE) {
            let name: [u8; 16] = self.random.bytes();
            self.object = self
                .db
                .prepare_cached(
                    "INSERT INTO object (tenant, name, opening, state, kind, bytes, changed_at)
                     VALUES (?1, ?2, 1, 1, 1, 33554432, 0)",
                )?
                .insert(params![self.tenant, name])?;
        }
        let segment = self.in_object % BUNDLE;
        self.in_object += 1;
        self.instance += 1;
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

struct Questions {
    name: &'static str,
    ask: Box<dyn Fn(&mut Random) -> Question>,
}

enum Question {
    Worklist(StudyFilter, u32),
    Studies(StudyFilter, Page),
    Lookup(Vec<String>),
}

async fn ask(dir: &Path, times: u64) -> Result<(), Failure> {
    let started = Instant::now();
    let archive = open(dir).await?;
    println!("open: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    let scope = scope()?;
    let samples: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("samples.json"))?)?;
    println!(
        "{:44} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6}",
        "ms", "p50", "p99", "most", "cpu p50", "cpu p99", "rows"
    );
    for questions in questions(&samples) {
        let mut random = Random(SEED + 1);
        let (mut taken, mut work) = (Vec::new(), Vec::new());
        let mut rows = 0;
        for _ in 0..times {
            let question = (questions.ask)(&mut random);
            let (started, worked) = (Instant::now(), processor());
            rows += match question {
                Question::Worklist(filter, limit) => archive
                    .worklist(&scope, &filter, None, limit)
                    .await?
                    .studies
                    .len(),
                Question::Studies(filter, page) => {
                    archive.studies(&scope, &filter, page).await?.len()
                }
                Question::Lookup(uids) => archive.lookup_many(&scope, &uids).await?.len(),
            };
            taken.push(started.elapsed().as_secs_f64() * 1e3);
            work.push((processor() - worked).as_secs_f64() * 1e3);
        }
        taken.sort_by(f64::total_cmp);
        work.sort_by(f64::total_cmp);
        println!(
            "{:44} {:8.2} {:8.2} {:8.2} {:8.2} {:8.2} {:>6}",
            questions.name,
            quantile(&taken, 50),
            quantile(&taken, 99),
            quantile(&taken, 100),
            quantile(&work, 50),
            quantile(&work, 99),
            rows as u64 / times.max(1)
        );
    }
    archive.close().await;
    Ok(())
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0.0)
}

/// Time that this process was on a processor: what others on the machine do
/// counts less in it than in the time that passed.
fn processor() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let each = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(each.sum())
}

fn list(samples: &serde_json::Value, name: &str) -> Vec<String> {
    let values = samples.get(name).and_then(|list| list.as_array());
    let texts = values
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_str());
    texts.map(str::to_owned).collect()
}

fn text(pattern: &str) -> Option<TextPattern> {
    Some(TextPattern(pattern.to_owned()))
}

fn name(pattern: &str) -> Option<NamePattern> {
    text(pattern).map(NamePattern::AnyGroup)
}

/// So many days that end on a random one.
fn days(random: &mut Random, count: u64) -> Option<DateRange> {
    let last = FIRST_DAY + count + random.below(DAYS - count);
    Some(DateRange {
        from: Some(day(last - count)),
        to: Some(day(last)),
    })
}

fn worklist(random: &mut Random, count: u64, pattern: &str) -> StudyFilter {
    let modality = random.of(&["CT", "MG", "MR", "PT"]).copied();
    StudyFilter {
        date: days(random, count),
        modalities: modality.into_iter().map(str::to_owned).collect(),
        patient_name: name(pattern),
        ..StudyFilter::default()
    }
}

const PATTERNS: &[&str] = &["smith*", "*son", "*son^*", "*smith*", "jo*", "*qzx*"];

fn questions(samples: &serde_json::Value) -> Vec<Questions> {
    let (patients, accessions) = (list(samples, "patients"), list(samples, "accessions"));
    let uids = list(samples, "instance_uids");
    let mut all: Vec<Questions> = Vec::new();
    let mut add = |name, ask: Box<dyn Fn(&mut Random) -> Question>| {
        all.push(Questions { name, ask });
    };
    for (name, count) in [
        ("worklist: 7 days, modality, name, newest 25", 7),
        ("worklist: 90 days, modality, name, newest 25", 90),
        ("worklist: 3 years, modality, name, newest 25", 1_095),
    ] {
        add(
            name,
            Box::new(move |random| {
                let pattern = random.of(PATTERNS).copied().unwrap_or("*");
                Question::Worklist(worklist(random, count, pattern), 25)
            }),
        );
    }
    for (name, count) in [
        ("QIDO: 7 days, modality, name, newest 25", 7),
        ("QIDO: 90 days, modality, name, newest 25", 90),
        ("QIDO: 3 years, modality, name, newest 25", 1_095),
    ] {
        add(
            name,
            Box::new(move |random| {
                let pattern = random.of(PATTERNS).copied().unwrap_or("*");
                Question::Studies(worklist(random, count, pattern), Page::first(25))
            }),
        );
    }
    add(
        "worklist: name anywhere, all years",
        Box::new(|random| {
            let filter = StudyFilter {
                patient_name: name(random.of(PATTERNS).copied().unwrap_or("*")),
                ..StudyFilter::default()
            };
            Question::Worklist(filter, 25)
        }),
    );
    add(
        "worklist: everything, newest 100",
        Box::new(|_| Question::Worklist(StudyFilter::default(), 100)),
    );
    add(
        "QIDO by patient",
        Box::new(move |random| {
            let filter = StudyFilter {
                patient_id: random.of(&patients).map(|id| TextPattern(id.clone())),
                ..StudyFilter::default()
            };
            Question::Studies(filter, Page::first(101))
        }),
    );
    add(
        "QIDO by accession",
        Box::new(move |random| {
            let filter = StudyFilter {
                accession: random.of(&accessions).map(|id| TextPattern(id.clone())),
                ..StudyFilter::default()
            };
            Question::Studies(filter, Page::first(101))
        }),
    );
    for (name, offset) in [
        ("QIDO: page 1 of 100, by date", 0),
        ("QIDO: page 400 of 100, by date", 39_900),
    ] {
        add(
            name,
            Box::new(move |_| {
                Question::Studies(StudyFilter::default(), Page { limit: 100, offset })
            }),
        );
    }
    for (name, offset) in [
        ("QIDO: page 1 of 100, a modality", 0),
        ("QIDO: page 400 of 100, a modality", 39_900),
    ] {
        add(
            name,
            Box::new(move |_| {
                let filter = StudyFilter {
                    modalities: vec!["MG".to_owned()],
                    order: Order::StudyDate,
                    ..StudyFilter::default()
                };
                Question::Studies(filter, Page { limit: 100, offset })
            }),
        );
    }
    add(
        "look-up of 1,000 UIDs",
        Box::new(move |_| Question::Lookup(uids.clone())),
    );
    all
}

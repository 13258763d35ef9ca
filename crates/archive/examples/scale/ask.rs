//! Questions of a day, asked of the archive in this process.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use hilum_archive::{DateRange, NamePattern, Order, Page, StudyFilter, TextPattern};

use crate::hospital::{DAYS, FIRST_DAY, Random, SEED, day};
use crate::{Failure, open, scope};

struct Questions {
    name: Cow<'static, str>,
    ask: Box<dyn Fn(&mut Random) -> Question>,
}

enum Question {
    Worklist(StudyFilter, u32),
    Studies(StudyFilter, Page),
    Lookup(Vec<String>),
}

pub(crate) async fn ask(dir: &Path, times: u64) -> Result<(), Failure> {
    let samples: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("samples.json"))?)?;
    all(dir, times, 1, questions(&samples)).await
}

/// The worklist's question for each part of a name apart: how often a part
/// occurs decides which way is taken.
pub(crate) async fn ask_parts(dir: &Path, times: u64) -> Result<(), Failure> {
    let mut parts = Vec::new();
    for count in [7, 90, 1_095] {
        for part in PARTS {
            parts.push(Questions {
                name: format!("{count} days, part {part}").into(),
                ask: Box::new(move |random| {
                    Question::Worklist(worklist(random, count, &format!("*{part}*")), 25)
                }),
            });
        }
    }
    all(dir, times, 1, parts).await
}

/// Each question so many times, of which the quickest counts.
async fn all(dir: &Path, times: u64, again: u64, questions: Vec<Questions>) -> Result<(), Failure> {
    let started = Instant::now();
    let archive = open(dir).await?;
    println!("open: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    // What an index from before lacks is completed, as by a server that runs.
    archive.sweep().await?;
    let scope = scope()?;
    println!(
        "{:44} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6}",
        "ms", "p50", "p99", "most", "cpu p50", "cpu p99", "rows"
    );
    for questions in questions {
        let mut random = Random(SEED + 1);
        let (mut taken, mut work) = (Vec::new(), Vec::new());
        let (mut rows, mut found) = (0, 0);
        for _ in 0..times {
            let question = (questions.ask)(&mut random);
            let (mut least, mut least_work) = (f64::MAX, f64::MAX);
            for _ in 0..again {
                let (started, worked) = (Instant::now(), processor());
                found = match &question {
                    Question::Worklist(filter, limit) => archive
                        .worklist(&scope, filter, None, *limit)
                        .await?
                        .studies
                        .len(),
                    Question::Studies(filter, page) => {
                        archive.studies(&scope, filter, *page).await?.len()
                    }
                    Question::Lookup(uids) => archive.lookup_many(&scope, uids).await?.len(),
                };
                least = least.min(started.elapsed().as_secs_f64() * 1e3);
                // Less than before where a thread has ended meanwhile.
                let work = processor().saturating_sub(worked).as_secs_f64() * 1e3;
                least_work = least_work.min(work);
            }
            rows += found;
            taken.push(least);
            work.push(least_work);
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
/// From those that many names have to those that none has.
const PARTS: &[&str] = &[
    "smith", "johnson", "williams", "martinez", "nelson", "simpson", "son", "steinto", "jo", "x",
    "qz", "qzx",
];

fn questions(samples: &serde_json::Value) -> Vec<Questions> {
    let (patients, accessions) = (list(samples, "patients"), list(samples, "accessions"));
    let lookups = [
        ("look-up of 1,000 UIDs of as many studies", "instance_uids"),
        ("look-up of 1,000 UIDs of one series", "series_uids"),
    ];
    let mut all: Vec<Questions> = Vec::new();
    let mut add = |name: &'static str, ask: Box<dyn Fn(&mut Random) -> Question>| {
        let name = name.into();
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
    for (name, sample) in lookups {
        let uids = list(samples, sample);
        if !uids.is_empty() {
            add(name, Box::new(move |_| Question::Lookup(uids.clone())));
        }
    }
    all
}

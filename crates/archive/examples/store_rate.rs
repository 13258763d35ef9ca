//! How fast this disk commits: `cargo run --release -p hilum-archive --example
//! store_rate -- DIR SECONDS`. Instances of 0.5 MB, from one and from eight
//! submitters, interleaved, beside the bare cost of a durable file of that size.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hilum_archive::{
    Archive, ArchiveConfig, Body, Limits, MasterKey, NewInstance, ObjectsAt, Origin,
    PatientIdentity, SeriesAttributes, StudyAttributes,
};
use hilum_contracts::ids::{CorrelationId, TenantId};

const BODY: usize = 524_288;

fn instance(number: u64, body: &[u8], now: time::OffsetDateTime) -> NewInstance {
    let mut body = body.to_vec();
    for (to, from) in body.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body);
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest.as_ref());
    NewInstance {
        sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
        sop_instance: format!("1.2.3.{number}"),
        series: format!("1.2.3.{}.1", number / 100),
        study: format!("1.2.3.{}", number / 100),
        transfer_syntax: "1.2.840.10008.1.2.1".into(),
        body: Body::Memory(body.into()),
        sha256,
        comparison: None,
        metadata: Bytes::from("{\"00080018\":{\"vr\":\"UI\"}}".repeat(200)),
        layout: Bytes::new(),
        patient: PatientIdentity::default(),
        study_attributes: StudyAttributes::default(),
        series_attributes: SeriesAttributes::default(),
        instance_attributes: hilum_archive::InstanceAttributes::default(),
        flags: Vec::new(),
        origin: Origin::Import,
        // An association brings a study.
        correlation: association(number / 100),
        received_at: now,
        rejects: None,
    }
}

fn association(number: u64) -> CorrelationId {
    format!("{number:032x}").parse().unwrap_or_default()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("say DIR and SECONDS")?);
    let seconds: u64 = arguments.next().unwrap_or_else(|| "3".into()).parse()?;
    let clock = hilum_platform::clock::system();
    let archive = Archive::open(ArchiveConfig {
        dir: dir.clone(),
        master_key: MasterKey::File,
        clock: Arc::clone(&clock),
        limits: Limits::default(),
        objects: ObjectsAt::Folder,
        server: None,
    })
    .await?;
    let scope = hilum_platform::auth::service(&TenantId::new("bench")?, "bench");
    let mut body = vec![0; BODY];
    aws_lc_rs::rand::fill(&mut body).map_err(|_| "no randomness")?;
    let body = Arc::new(body);
    let next = Arc::new(AtomicU64::new(0));
    for _ in 0..5 {
        println!("bare file + fsync: {:7.1}/s", bare(&dir, &body, seconds)?);
        for submitters in [1, 8] {
            let before = next.load(Ordering::SeqCst);
            let started = Instant::now();
            let until = started + Duration::from_secs(seconds);
            let mut tasks = Vec::new();
            for _ in 0..submitters {
                let (archive, scope, body) = (archive.clone(), scope.clone(), Arc::clone(&body));
                let (next, clock) = (Arc::clone(&next), Arc::clone(&clock));
                tasks.push(tokio::spawn(async move {
                    while Instant::now() < until {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        archive
                            .store(&scope, instance(number, &body, clock.now()))
                            .await?;
                    }
                    Ok::<_, hilum_archive::ArchiveError>(())
                }));
            }
            for task in tasks {
                task.await??;
            }
            let done = next.load(Ordering::SeqCst) - before;
            let rate = rate(done, started.elapsed());
            println!("{submitters} submitter(s):    {rate:7.1}/s");
        }
    }
    archive.close().await;
    Ok(())
}

fn bare(dir: &std::path::Path, body: &[u8], seconds: u64) -> std::io::Result<f64> {
    use std::io::Write;
    let folder = dir.join("bare");
    std::fs::create_dir_all(&folder)?;
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < Duration::from_secs(seconds) {
        let mut file = std::fs::File::create(folder.join(done.to_string()))?;
        file.write_all(body)?;
        file.sync_data()?;
        std::fs::File::open(&folder)?.sync_all()?;
        done += 1;
    }
    let rate = rate(done, started.elapsed());
    std::fs::remove_dir_all(&folder)?;
    Ok(rate)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(done: u64, elapsed: Duration) -> f64 {
    done as f64 / elapsed.as_secs_f64()
}

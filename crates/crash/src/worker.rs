//! The process that works on the archive directly: several tasks store small
//! and large instances, publish, refuse, delete and erase, while it packs and
//! sweeps, closes and opens again. What it was promised it says in lines (`promise`), each after
//! the promise was given.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hilum_archive::{
    Archive, ArchiveConfig, ArchiveError, Cause, ErasedPatient, Limits, MasterKey, MetadataScope,
    NewDeletion, ObjectsAt, QuarantineOutcome, ResultKey, StoreOutcome,
};
use hilum_platform::clock::{Clock, SharedClock, SystemClock};
use hilum_platform::events::OutboxSource as _;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::chance::Chance;
use crate::content::{hex, instance, noise, refused, scope};

/// Instances above this get objects of their own: small, so that there are many.
const STREAMED_ABOVE: u64 = 48 << 10;
/// How often it packs and sweeps.
const KEPT_EVERY: Duration = Duration::from_millis(30);
/// Senders at once.
const TASKS: u64 = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct Worker {
    /// The archive.
    #[arg(long)]
    dir: PathBuf,
    /// The file that takes what was promised; standard output when left out.
    #[arg(long)]
    said: Option<PathBuf>,
    #[arg(long)]
    seed: u64,
    /// How often the archive is opened.
    #[arg(long, default_value_t = 3)]
    sessions: u32,
    /// Instances of each task while it is open.
    #[arg(long, default_value_t = 12)]
    instances: u32,
    /// Says that an instance is stored before it is: a fault that the harness
    /// must find.
    #[arg(long)]
    hasty: bool,
    /// Its clock jumps by up to twenty years, forwards and back.
    #[arg(long)]
    clock_jumps: bool,
}

/// A clock that is set anew again and again.
#[derive(Debug)]
struct Jumping {
    asked: AtomicU64,
    seed: u64,
}

/// Seconds by which a clock is off that somebody set wrong.
pub(crate) const OFF_BY: [i64; 7] = [
    -20 * 365 * 86_400,
    -86_400,
    -3_600,
    0,
    3_600,
    86_400,
    20 * 365 * 86_400,
];

impl Clock for Jumping {
    fn now(&self) -> OffsetDateTime {
        /// Asked this often, it jumps.
        const EVERY: u64 = 7;
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let off = OFF_BY[Chance::new(self.seed ^ (asked / EVERY)).below(OFF_BY.len())];
        SystemClock.now() + time::Duration::seconds(off)
    }
}

/// Opens an archive as the checks do.
pub(crate) async fn open(dir: &Path) -> Result<Archive, ArchiveError> {
    open_by(dir, hilum_platform::clock::system()).await
}

async fn open_by(dir: &Path, clock: SharedClock) -> Result<Archive, ArchiveError> {
    Archive::open(ArchiveConfig {
        dir: dir.to_owned(),
        master_key: MasterKey::File,
        clock,
        limits: Limits {
            bundled_instance_bytes: STREAMED_ABOVE,
            ..Limits::default()
        },
        objects: ObjectsAt::Folder,
        server: None,
    })
    .await
}

#[derive(Clone)]
struct Mouth(Arc<Mutex<Box<dyn std::io::Write + Send>>>);

impl Mouth {
    fn say(&self, line: &str) {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever listened is gone: then nobody was promised anything.
        let _ = out.write_all(format!("{line}\n").as_bytes());
        let _ = out.flush();
    }
}

impl Worker {
    pub(crate) fn run(self) -> std::io::Result<()> {
        let out: Box<dyn std::io::Write + Send> = match &self.said {
            Some(path) => Box::new(
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)?,
            ),
            None => Box::new(std::io::stdout()),
        };
        let mouth = Mouth(Arc::new(Mutex::new(out)));
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()?
            .block_on(async {
                for session in 0..self.sessions {
                    if let Err(error) = self.session(session, &mouth).await {
                        mouth.say(&format!("ERROR {error}"));
                    }
                }
            });
        mouth.say("END");
        Ok(())
    }

    async fn session(&self, session: u32, mouth: &Mouth) -> Result<(), ArchiveError> {
        let archive = match self.clock_jumps {
            true => {
                let (asked, seed) = (AtomicU64::new(0), self.seed ^ u64::from(session));
                open_by(&self.dir, Arc::new(Jumping { asked, seed })).await?
            }
            false => open(&self.dir).await?,
        };
        archive.sweep().await?;
        let (keeper, stop) = (archive.clone(), CancellationToken::new());
        let keeper = tokio::spawn(keep(keeper, mouth.clone(), stop.clone()));
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let (archive, mouth) = (archive.clone(), mouth.clone());
            let study = self.seed % 1_000_000 * 1_000 + u64::from(session) * 10 + task % 3;
            let (instances, hasty) = (self.instances, self.hasty);
            tasks.push(tokio::spawn(async move {
                for number in 0..instances {
                    one(&archive, &mouth, (study, task, number), hasty).await;
                }
            }));
        }
        for task in tasks {
            let _ = task.await;
        }
        stop.cancel();
        let _ = keeper.await;
        archive.pack(Duration::ZERO).await?;
        archive.sweep().await?;
        archive.close().await;
        Ok(())
    }
}

async fn one(
    archive: &Archive,
    mouth: &Mouth,
    (study, task, number): (u64, u64, u32),
    hasty: bool,
) {
    let mut chance = Chance::new(study << 20 ^ task << 16 ^ u64::from(number));
    if number % 3 == 2 {
        carry(archive, mouth).await;
    }
    if number % 12 == 7 {
        return erase(archive, mouth, (study + 7, task, number)).await;
    }
    if number % 8 == 6 {
        return remove(archive, mouth, (study + 5, task, number)).await;
    }
    if number % 5 == 4 {
        return refuse(archive, mouth, &mut chance).await;
    }
    let length = if number % 6 == 5 {
        (60 << 10) + chance.below(100 << 10)
    } else {
        100 + chance.below(12 << 10)
    };
    let new = instance(study, task, number, noise(chance.next(), length));
    let promise = format!("STORED {} {}", new.sop_instance, hex(&new.sha256));
    if hasty {
        mouth.say(&promise);
    }
    let stored = if number % 7 == 3 {
        let key = ResultKey(new.sop_instance.clone());
        archive
            .publish(&scope(), key, vec![new], vec![])
            .await
            .map(|_| ())
    } else {
        match archive.store(&scope(), new).await {
            Ok(StoreOutcome::Stored | StoreOutcome::Duplicate) => Ok(()),
            Ok(other) => return mouth.say(&format!("ERROR it was taken for {other:?}")),
            Err(error) => Err(error),
        }
    };
    match stored {
        Ok(()) if hasty => {}
        Ok(()) => mouth.say(&promise),
        Err(error) => mouth.say(&format!("REFUSED {error}")),
    }
}

/// Stores an instance of a study of its own and deletes the study.
async fn remove(archive: &Archive, mouth: &Mouth, (study, task, number): (u64, u64, u32)) {
    let study = study * 1_000 + task * 100 + u64::from(number);
    let new = instance(study, task, number, noise(study, 3_000));
    let (uid, of) = (new.sop_instance.clone(), new.study.clone());
    let promise = format!("STORED {uid} {}", hex(&new.sha256));
    if let Err(error) = archive.store(&scope(), new).await {
        return mouth.say(&format!("REFUSED {error}"));
    }
    mouth.say(&promise);
    mouth.say(&format!("REMOVING {uid}"));
    let deletion = NewDeletion {
        of: MetadataScope::Study(of),
        cause: Cause::Person,
        reason: "a test".to_owned(),
        by: "crash".to_owned(),
    };
    match archive.delete(&scope(), deletion).await {
        Ok(_) => mouth.say(&format!("REMOVED {uid}")),
        Err(error) => mouth.say(&format!("REFUSED {error}")),
    }
}

/// What goes on beside the senders: packing and sweeps, one after the other.
async fn keep(archive: Archive, mouth: Mouth, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = archive.pack(Duration::ZERO).await {
            mouth.say(&format!("REFUSED {error}"));
        }
        if let Err(error) = archive.sweep().await {
            mouth.say(&format!("REFUSED {error}"));
        }
        tokio::time::sleep(KEPT_EVERY).await;
    }
}

/// Stores an instance of a patient of its own and erases the patient.
async fn erase(archive: &Archive, mouth: &Mouth, (study, task, number): (u64, u64, u32)) {
    let study = study * 1_000 + task * 100 + u64::from(number);
    let new = instance(study, task, number, noise(study, 3_000));
    let (uid, of) = (new.sop_instance.clone(), new.study.clone());
    let promise = format!("STORED {uid} {}", hex(&new.sha256));
    if let Err(error) = archive.store(&scope(), new).await {
        return mouth.say(&format!("REFUSED {error}"));
    }
    mouth.say(&promise);
    mouth.say(&format!("REMOVING {uid}"));
    mouth.say(&format!("ERASING {study}"));
    let patient = ErasedPatient {
        id: format!("P{study}"),
        issuer: None,
    };
    let certified = async {
        let erased = archive
            .erase(&scope(), patient.clone(), &[], "crash")
            .await?;
        let recorded = archive.record_erasure(&scope(), &patient, &erased).await?;
        let certificate = "{}".to_owned();
        archive.certify(&scope(), patient, certificate).await?;
        Ok::<_, ArchiveError>(recorded)
    };
    match certified.await {
        Ok((record, _)) => {
            mouth.say(&format!("REMOVED {uid}"));
            mouth.say(&format!("RECORDED {}", record.id));
            mouth.say(&format!("ERASED {study} P{study} {of}"));
        }
        Err(error) => mouth.say(&format!("REFUSED {error}")),
    }
}

/// What the relay does: events are marked without a barrier of their own.
async fn carry(archive: &Archive, mouth: &Mouth) {
    let Ok(unsent) = archive.unsent(100).await else {
        return;
    };
    let positions: Vec<i64> = unsent.into_iter().map(|(position, _)| position).collect();
    if let Err(error) = archive.mark_sent(&positions).await {
        mouth.say(&format!("REFUSED {error}"));
    }
}

async fn refuse(archive: &Archive, mouth: &Mouth, chance: &mut Chance) {
    let length = 100 + chance.below(4 << 10);
    let item = refused(noise(chance.next(), length));
    let hash = hex(&item.sha256);
    match archive.quarantine(&scope(), item).await {
        Ok(QuarantineOutcome::Kept(id)) => {
            mouth.say(&format!("HELD {hash}"));
            if chance.coin() {
                mouth.say(&format!("DELETING {hash}"));
                match archive.delete_quarantined(&scope(), id).await {
                    Ok(()) => mouth.say(&format!("DELETED {hash}")),
                    Err(error) => mouth.say(&format!("REFUSED {error}")),
                }
            }
        }
        Ok(_) => {}
        Err(error) => mouth.say(&format!("REFUSED {error}")),
    }
}

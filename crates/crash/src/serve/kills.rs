//! SIGKILL of a real `hilum serve` under load, at random moments and at every
//! named step of the archive. After each, the archive is opened and held
//! against everything that any sender was promised; after each restart the
//! server itself is asked.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hilum_archive::steps;
use hilum_testkit::Files;

use super::load::{self, Load, Study};
use super::senders;
use super::server::{Doors, Home, Server};
use crate::chance::Chance;
use crate::check::{self, Promised};

/// Kills on one data folder; then a new one, so that checks stay short.
const KILLS_PER_FOLDER: u32 = 8;
/// What was sent is packed, and the look-up written, within this after the
/// last sender has ended.
const COMES_TO_IT: Duration = Duration::from_secs(10);
/// After so many kills the terminal is told.
const TOLD_EVERY: u64 = 20;
/// How often a step is tried that was not come to.
const TRIES: u64 = 3;

/// What to do to the server.
#[derive(Debug, Clone)]
enum Plan {
    /// Killed this long after the senders begin.
    Random(Duration),
    /// Killed while it starts.
    Starting(Duration),
    /// Kills itself at the n-th passing.
    Step(&'static str, u64),
}

/// What all kills showed.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    pub(crate) kills: u64,
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    /// Deletions and erasures that were acknowledged.
    pub(crate) removed: u64,
    pub(crate) erased: u64,
    /// Each step: how often the server died there.
    pub(crate) steps: BTreeMap<&'static str, u64>,
    pub(crate) verified: u64,
    pub(crate) wrong: Option<String>,
}

pub(crate) struct Killer {
    binary: PathBuf,
    files: Files,
    chance: Chance,
    /// Data, log and configuration of the server.
    folder: tempfile::TempDir,
    on_folder: u32,
    promised: Promised,
    /// Studies that the server is asked for after its next start.
    last: Vec<Study>,
    study: u64,
    hasty: bool,
    pub(crate) done: Kills,
}

impl Killer {
    pub(crate) fn new(binary: &Path, seed: u64) -> io::Result<Self> {
        Ok(Self {
            binary: binary.to_owned(),
            files: Files::open()?,
            chance: Chance::new(seed),
            folder: tempfile::tempdir()?,
            on_folder: 0,
            promised: Promised::default(),
            last: Vec::new(),
            study: seed % 1_000_000 * 10_000,
            hasty: false,
            done: Kills::default(),
        })
    }

    /// `count` kills at random moments; one in eight while it starts.
    pub(crate) async fn random(&mut self, count: u64, until: Option<Instant>) -> io::Result<()> {
        for _ in 0..count {
            if until.is_some_and(|until| Instant::now() > until) {
                break;
            }
            let wait = Duration::from_millis(self.chance.below(2_000) as u64);
            let plan = if self.chance.below(8) == 0 {
                Plan::Starting(wait / 2)
            } else {
                Plan::Random(wait)
            };
            self.round(&plan).await?;
            if self.done.wrong.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// `times` kills at each of `steps`.
    pub(crate) async fn at_steps(&mut self, steps: &[&'static str], times: u64) -> io::Result<()> {
        for step in steps {
            for time in 0..times {
                self.at_step(step, time).await?;
                if self.done.wrong.is_some() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Kills once at `step`, `time` times after it was killed there before.
    async fn at_step(&mut self, step: &'static str, time: u64) -> io::Result<()> {
        let once = passed_once(step);
        for attempt in 0..TRIES {
            if once {
                self.new_folder()?;
            }
            // Not always the first passing; but what is rare comes once.
            let passing = match attempt {
                0 if !once => 1 + (time + self.chance.below(2) as u64) % 3,
                _ => 1,
            };
            let before = self.done.steps.get(step).copied();
            self.round(&Plan::Step(step, passing)).await?;
            if self.done.wrong.is_some() || self.done.steps.get(step).copied() > before {
                return Ok(());
            }
        }
        self.done.wrong = Some(format!(
            "the server never came to step {step}: what passes it must be part of the load \
             (crates/crash/src/serve/load.rs)"
        ));
        Ok(())
    }

    fn new_folder(&mut self) -> io::Result<()> {
        self.folder = tempfile::tempdir()?;
        self.on_folder = 0;
        self.promised = Promised::default();
        self.last.clear();
        Ok(())
    }

    fn home(&self) -> Home {
        Home {
            binary: self.binary.clone(),
            folder: self.folder.path().to_owned(),
            data: self.folder.path().join("data"),
        }
    }

    async fn round(&mut self, plan: &Plan) -> io::Result<()> {
        if self.on_folder == KILLS_PER_FOLDER {
            let found = self.home().verify()?;
            self.done.verified += 1;
            if let Some(found) = found {
                self.done.wrong = Some(format!("hilum verify: {found}"));
                return Ok(());
            }
            self.new_folder()?;
        }
        self.on_folder += 1;
        let home = self.home();
        let step = match plan {
            Plan::Step(step, passing) => Some(format!("{step}=kill@{passing}")),
            _ => None,
        };
        let mut server = home.start(step.as_deref(), None)?;
        if let Plan::Starting(wait) = plan {
            std::thread::sleep(*wait);
            server.kill()?;
        }
        match server.ready()? {
            Some(doors) => {
                self.ask(doors);
                self.load(&mut server, doors, plan)?;
            }
            None if matches!(plan, Plan::Random(_)) => {
                return Err(io::Error::other(format!(
                    "hilum serve ended by itself: {}",
                    home.log()
                )));
            }
            None => {}
        }
        let died = match plan {
            Plan::Step(step, _) => {
                let died = server.ends_within(COMES_TO_IT)?;
                if died {
                    *self.done.steps.entry(step).or_default() += 1;
                }
                died
            }
            _ => true,
        };
        server.kill()?;
        self.done.kills += u64::from(died);
        if died && self.done.kills.is_multiple_of(TOLD_EVERY) {
            println!("server: {} kills", self.done.kills);
        }
        if self.done.wrong.is_none() {
            self.done.wrong = self.promised.errors.first().cloned();
        }
        // Killed while it started for the first time, there may be nothing yet.
        if self.done.wrong.is_none()
            && let Err(wrong) = self.check(&home).await
        {
            self.done.wrong = Some(wrong);
        }
        if let Some(wrong) = &mut self.done.wrong {
            wrong.push_str(&format!(" (after {plan:?})"));
            if std::env::var_os("CRASH_KEEP").is_some() {
                self.folder.disable_cleanup(true);
            }
        }
        Ok(())
    }

    async fn check(&self, home: &Home) -> Result<(), String> {
        check::nothing_readable(&home.folder, &self.promised)?;
        check::archive(&home.data, &self.promised).await
    }

    /// After a restart: the server lists what it had acknowledged.
    fn ask(&mut self, doors: Doors) {
        for (study, uids) in &self.last {
            let path = format!("/dicomweb/studies/{}/instances", Files::study(*study));
            // It may be killed here too; then the archive is looked at anyway.
            let Some((200, body)) = senders::request(doors, "GET", &path, "", &[]) else {
                continue;
            };
            let text = String::from_utf8_lossy(&body);
            if let Some(lost) = uids.iter().find(|uid| !text.contains(uid.as_str())) {
                self.done.wrong = Some(format!("the server does not list {lost} after a restart"));
            }
        }
    }

    fn load(&mut self, server: &mut Server, doors: Doors, plan: &Plan) -> io::Result<()> {
        let unfinished: Vec<u64> = self.promised.erasing.iter().copied().collect();
        let load = Load {
            files: &self.files,
            doors,
            first: self.study,
            known: &self.last,
            unfinished: &unfinished,
            rotates: matches!(plan, Plan::Step(step, _) if rotates(step)),
        };
        self.study += load::STUDIES;
        let promised = Mutex::new(std::mem::take(&mut self.promised));
        let hear = |line: &str| {
            let mut promised = promised.lock().unwrap_or_else(PoisonError::into_inner);
            promised.hear(line);
        };
        let sent = load.run(&hear, || {
            if let Plan::Random(wait) = plan {
                std::thread::sleep(*wait);
                let _dead = server.kill();
            }
        })?;
        self.promised = promised
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        self.done.sent += sent.files;
        if self.hasty {
            // The negative control: senders were told before it was so.
            for file in sent.stay.iter().flat_map(|(_, files)| files) {
                self.promised
                    .hear(&format!("STORED {} tail:{}", file.uid, file.tail));
            }
        }
        self.done.acknowledged += std::mem::take(&mut self.promised.acknowledged);
        self.done.removed += std::mem::take(&mut self.promised.deletions);
        self.done.erased += std::mem::take(&mut self.promised.erasures);
        self.last = sent
            .stay
            .into_iter()
            .map(|(study, files)| {
                let uids = files.into_iter().map(|file| file.uid);
                let there = |uid: &String| self.promised.stored.contains_key(uid);
                (study, uids.filter(there).collect())
            })
            .collect();
        Ok(())
    }

    /// Acknowledges before the server does; then something must be found.
    pub(crate) async fn hasty(mut self, most: u64) -> io::Result<Kills> {
        self.hasty = true;
        self.random(most, None).await?;
        Ok(self.done)
    }
}

/// Every named step that the load passes, or those that begin with one of
/// `parts`. A new one is here by itself, but for those of a tenant's end: the
/// load has one tenant, and the archive's own tests kill at each of them.
pub(crate) fn steps(parts: &[String]) -> Vec<&'static str> {
    let asked = |step: &&str| parts.is_empty() || parts.iter().any(|part| step.starts_with(part));
    let passed = steps::ALL
        .iter()
        .copied()
        .filter(|step| !step.starts_with("end."));
    passed.filter(asked).collect()
}

/// What is passed once in the life of an archive needs a new one.
fn passed_once(step: &str) -> bool {
    const ONCE: [&str; 6] = [
        "open.",
        "keys.master-",
        "keys.proven",
        "keys.tenant-",
        "migrate.",
        "tenant.",
    ];
    ONCE.iter().any(|part| step.starts_with(part))
}

/// What is passed only when the master key is rotated.
fn rotates(step: &str) -> bool {
    const ROTATING: [&str; 3] = ["keys.next-", "keys.rewrapped", "keys.rotated"];
    ROTATING.iter().any(|part| step.starts_with(part))
}

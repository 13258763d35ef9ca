//! A server that stands still, and one whose clock jumps.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hilum_testkit::Files;
use rustix::process::Signal;

use super::load::{self, Load};
use super::senders;
use super::server::{Doors, Home, Server};
use crate::chance::Chance;
use crate::check::{self, Promised};
use crate::worker::OFF_BY;

/// Where a server is stopped: between what is on the disk and what the index
/// says of it, each way.
pub(crate) const STILL_AT: [&str; 6] = [
    "commit.folder-synced",
    "stream.folder-synced",
    "pack.synced",
    "lookup.written",
    "delete.begin",
    "erase.keys",
];
/// What senders wait for a server that stands still.
const IMPATIENT: Duration = Duration::from_secs(3);
/// A step is come to within this, and a server goes on within this.
const COMES_TO_IT: Duration = Duration::from_secs(20);
/// How often a clock is set anew.
const JUMPS_EVERY: Duration = Duration::from_millis(50);
/// Rounds under a clock that jumps.
const ROUNDS: u64 = 6;

/// What one of them showed.
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) acknowledged: u64,
    pub(crate) wrong: Option<String>,
}

struct Round {
    home: Home,
    files: Files,
    study: u64,
    promised: Mutex<Promised>,
    _folder: tempfile::TempDir,
}

impl Round {
    fn new(binary: &Path, seed: u64) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            home: Home {
                binary: binary.to_owned(),
                folder: folder.path().to_owned(),
                data: folder.path().join("data"),
            },
            files: Files::open()?,
            study: seed % 1_000_000 * 10_000,
            promised: Mutex::default(),
            _folder: folder,
        })
    }

    fn ready(&self, server: &mut Server) -> io::Result<Doors> {
        server.ready()?.ok_or_else(|| {
            io::Error::other(format!("hilum serve ended by itself: {}", self.home.log()))
        })
    }

    fn load(&mut self, doors: Doors, meanwhile: impl FnOnce()) -> io::Result<()> {
        let promised = || self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        let unfinished: Vec<u64> = promised().erasing.iter().copied().collect();
        let load = Load {
            files: &self.files,
            doors,
            first: self.study,
            known: &[],
            unfinished: &unfinished,
            rotates: false,
        };
        load.run(&|line| promised().hear(line), meanwhile)?;
        self.study += load::STUDIES;
        Ok(())
    }

    async fn check(self) -> (u64, Option<String>) {
        let promised = self
            .promised
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let wrong = match promised.errors.first() {
            Some(error) => Err(error.clone()),
            None => check::nothing_readable(&self.home.folder, &promised),
        };
        let wrong = match wrong {
            Ok(()) => check::archive(&self.home.data, &promised).await,
            wrong => wrong,
        };
        (promised.acknowledged, wrong.err())
    }
}

/// Stops a server with SIGSTOP at each of `places` until every sender has
/// given up, and longer; a second one must not start meanwhile. Then it goes
/// on and takes what comes.
pub(crate) async fn still(binary: &Path, places: &[&str], seed: u64) -> io::Result<Vec<Shown>> {
    let mut shown = Vec::new();
    for (step, number) in places.iter().zip(0..) {
        let mut round = Round::new(binary, seed.wrapping_add(number))?;
        let stopped = stopped(&mut round, step)?;
        let (acknowledged, wrong) = round.check().await;
        shown.push(Shown {
            name: format!("SIGSTOP at `{step}` past every time-out, then SIGCONT"),
            acknowledged,
            wrong: stopped.err().or(wrong),
        });
    }
    Ok(shown)
}

fn stopped(round: &mut Round, step: &str) -> io::Result<Result<(), String>> {
    let mut server = round.home.start(Some(&format!("{step}=freeze@1")), None)?;
    let doors = round.ready(&mut server)?;
    let impatient = Doors {
        patience: IMPATIENT,
        ..doors
    };
    round.load(impatient, || ())?;
    let until = Instant::now() + COMES_TO_IT;
    while !server.is_stopped() {
        if Instant::now() > until {
            return Ok(Err(format!("the server never came to step {step}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut second = round.home.start(None, None)?;
    if second.ready()?.is_some() {
        return Ok(Err("a second server works on the same data".to_owned()));
    }
    drop(second);
    server.signal(Signal::CONT)?;
    let until = Instant::now() + COMES_TO_IT;
    while !matches!(
        senders::request(impatient, "GET", "/readyz", "", &[]),
        Some((200, _))
    ) {
        if Instant::now() > until {
            return Ok(Err("the server does not go on".to_owned()));
        }
    }
    round.load(doors, || ())?;
    server.kill()?;
    Ok(Ok(()))
}

/// The machine's clock is set anew twenty times a second, by up to twenty years
/// forwards and back, under a server that is killed at random.
pub(crate) async fn clock(binary: &Path, seed: u64) -> io::Result<Shown> {
    let mut round = Round::new(binary, seed)?;
    let file = round.home.folder.join("clock");
    std::fs::write(&file, "0")?;
    let mut chance = Chance::new(seed);
    for number in 0..ROUNDS {
        let mut server = round.home.start(None, Some(&file))?;
        let doors = round.ready(&mut server)?;
        let wait = Duration::from_millis(1_000 + chance.below(2_000) as u64);
        let (over, jumps) = (AtomicBool::new(false), Chance::new(chance.next()));
        std::thread::scope(|scope| {
            scope.spawn(|| jump(&file, jumps, &over));
            let loaded = round.load(doors, || {
                if number % 2 == 0 {
                    std::thread::sleep(wait);
                    let _dead = server.kill();
                }
            });
            over.store(true, Ordering::Relaxed);
            loaded
        })?;
        server.kill()?;
    }
    let (acknowledged, wrong) = round.check().await;
    Ok(Shown {
        name: format!(
            "the clock is set anew 20 times a second, by up to twenty years, {ROUNDS} rounds of \
             load, every second one killed"
        ),
        acknowledged,
        wrong,
    })
}

fn jump(file: &Path, mut chance: Chance, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let off = OFF_BY[chance.below(OFF_BY.len())];
        // Named anew, so that nobody reads half of it.
        let new = file.with_extension("new");
        let _set = std::fs::write(&new, off.to_string()).and_then(|()| std::fs::rename(&new, file));
        std::thread::sleep(JUMPS_EVERY);
    }
}

//! SIGKILL of a real `hilum serve` under load, at random moments and at every
//! named step of the archive. After each, the archive is opened and held
//! against everything that any sender was promised; after each restart the
//! server itself is asked.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hilum_archive::steps;
use serde_json::Value;

use crate::chance::Chance;
use crate::check::{self, Promised};
use crate::files::{File, Files};
use crate::senders;

/// A server that does not come up, or ends, within this fails the harness.
const READY: Duration = Duration::from_secs(90);
/// Kills on one data folder; then a new one, so that checks stay short.
const KILLS_PER_FOLDER: u32 = 8;
/// Files of each sender in one round.
const FILES: u64 = 10;

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
    last: Vec<(u64, Vec<String>)>,
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
            let wait = Duration::from_millis(self.chance.below(1_500) as u64);
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
                // What is passed once in the life of an archive needs a new one.
                let once = ["open.", "keys.", "migrate.", "tenant."];
                let once = once.iter().any(|part| step.starts_with(part));
                let often = match *step {
                    _ if once => 1,
                    step if step.starts_with("commit.") => 1 + self.chance.below(3) as u64,
                    _ => 1 + time % 2,
                };
                for passing in [often, 1] {
                    if once {
                        self.new_folder()?;
                    }
                    self.round(&Plan::Step(step, passing)).await?;
                    if self.done.wrong.is_some() || self.done.steps.get(step) > Some(&time) {
                        break;
                    }
                }
                if self.done.wrong.is_none() && self.done.steps.get(step) <= Some(&time) {
                    self.done.wrong = Some(format!("the server never came to step {step}"));
                }
                if self.done.wrong.is_some() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn new_folder(&mut self) -> io::Result<()> {
        self.folder = tempfile::tempdir()?;
        self.on_folder = 0;
        self.promised = Promised::default();
        self.last.clear();
        Ok(())
    }

    async fn round(&mut self, plan: &Plan) -> io::Result<()> {
        if self.on_folder == KILLS_PER_FOLDER {
            self.verify_command()?;
            self.new_folder()?;
        }
        self.on_folder += 1;
        let mut server = self.start(plan)?;
        if let Plan::Starting(wait) = plan {
            std::thread::sleep(*wait);
            server.kill()?;
        }
        match self.ready(&mut server)? {
            Some(doors) => {
                self.ask(doors.http);
                self.load(&mut server, doors, plan)?;
            }
            None if matches!(plan, Plan::Random(_)) => {
                return Err(io::Error::other(format!(
                    "hilum serve ended by itself: {}",
                    self.log()
                )));
            }
            None => {}
        }
        let died = match plan {
            Plan::Step(step, _) => {
                let died = server.try_wait()?.is_some();
                if died {
                    *self.done.steps.entry(step).or_default() += 1;
                }
                died
            }
            _ => true,
        };
        server.kill()?;
        server.wait()?;
        self.done.kills += u64::from(died);
        if self.done.wrong.is_none() {
            self.done.wrong = self.promised.errors.first().cloned();
        }
        // Killed while it started for the first time, there may be nothing yet.
        if self.done.wrong.is_none()
            && let Err(wrong) = check::archive(&self.data(), &self.promised).await
        {
            self.done.wrong = Some(format!("{wrong} (after {plan:?})"));
            if std::env::var_os("CRASH_KEEP").is_some() {
                self.folder.disable_cleanup(true);
            }
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn start(&self, plan: &Plan) -> io::Result<Child> {
        let (folder, data) = (self.folder.path(), self.data());
        let config = folder.join("hilum.toml");
        std::fs::create_dir_all(folder.join("models"))?;
        std::fs::write(
            &config,
            format!(
                "tenants = [{{ name = \"default\", ae_title = \"{}\" }}]\n",
                senders::CALLED
            ),
        )?;
        // A killed server leaves its own behind.
        let _none = std::fs::remove_file(data.join("run.json"));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))?;
        let mut command = Command::new(&self.binary);
        command
            .args(["serve", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"])
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(data)
            .arg("--models")
            .arg(folder.join("models"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Plan::Step(step, passing) = plan {
            command.env("ARCHIVE_STEP", format!("{step}=kill@{passing}"));
        }
        command.spawn()
    }

    /// Waits until it serves; `None` when it is dead.
    fn ready(&self, server: &mut Child) -> io::Result<Option<Doors>> {
        let until = Instant::now() + READY;
        while Instant::now() < until {
            if server.try_wait()?.is_some() {
                return Ok(None);
            }
            if let Some(doors) = Doors::read(&self.data().join("run.json"))
                && matches!(
                    senders::request(doors.http, "GET", "/readyz", "", &[]),
                    Some((200, _))
                )
            {
                return Ok(Some(doors));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("hilum serve does not become ready"))
    }

    /// The end of what the server logged.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// After a restart: the server lists what it had acknowledged.
    fn ask(&mut self, http: SocketAddr) {
        for (study, uids) in std::mem::take(&mut self.last) {
            let path = format!("/dicomweb/studies/{}/instances", Files::study(study));
            // It may be killed here too; then the archive is looked at anyway.
            let Some((200, body)) = senders::request(http, "GET", &path, "", &[]) else {
                continue;
            };
            let text = String::from_utf8_lossy(&body);
            if let Some(lost) = uids.iter().find(|uid| !text.contains(uid.as_str())) {
                self.done.wrong = Some(format!("the server does not list {lost} after a restart"));
            }
        }
    }

    fn load(&mut self, server: &mut Child, doors: Doors, plan: &Plan) -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |study: u64, large: bool| -> io::Result<Vec<File>> {
            (0..FILES)
                .map(|number| {
                    self.files
                        .write(folder.path(), study, number, large && number == 3)
                })
                .collect()
        };
        let first = self.study;
        let by_dcmtk = write(first, false)?;
        let by_python = write(first + 1, false)?;
        let by_stow = write(first + 2, true)?;
        let removed = self.files.write(folder.path(), first + 3, 0, false)?;
        let removed_study = Files::study(first + 3);
        self.study += 4;
        self.done.sent += FILES * 3 + 1;
        let (dicom, http, at) = (doors.dicom, doors.http, folder.path());
        let said: Vec<String> = std::thread::scope(|scope| {
            let senders = [
                scope.spawn(|| senders::dcmtk(dicom, &by_dcmtk)),
                scope.spawn(|| senders::pynetdicom(dicom, &by_python, at)),
                scope.spawn(|| senders::stow(http, &by_stow)),
                scope.spawn(|| senders::rubbish(http, first)),
                scope.spawn(|| senders::remove(http, &removed, &removed_study)),
            ];
            if let Plan::Random(wait) = plan {
                std::thread::sleep(*wait);
                let _dead = server.kill();
            }
            senders
                .into_iter()
                .flat_map(|sender| {
                    sender
                        .join()
                        .unwrap_or_else(|_| vec!["ERROR a sender panicked".to_owned()])
                })
                .collect()
        });
        let all = [
            (first, by_dcmtk),
            (first + 1, by_python),
            (first + 2, by_stow),
        ];
        let before = self.promised.stored.len();
        if self.hasty {
            // The negative control: senders were told before it was so.
            for file in all.iter().flat_map(|(_, files)| files) {
                self.promised
                    .hear(&format!("STORED {} tail:{}", file.uid, file.tail));
            }
        }
        for line in &said {
            self.promised.hear(line);
        }
        self.done.acknowledged += self.promised.stored.len().saturating_sub(before) as u64;
        for (study, files) in all {
            let uids = files
                .into_iter()
                .map(|file| file.uid)
                .filter(|uid| self.promised.stored.contains_key(uid))
                .collect();
            self.last.push((study, uids));
        }
        Ok(())
    }

    /// `hilum verify` on the folder, as an operator runs it.
    fn verify_command(&mut self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        let output = loop {
            let output = Command::new(&self.binary)
                .arg("verify")
                .arg("--data")
                .arg(self.data())
                .stdin(Stdio::null())
                .output()?;
            // Another job's child has this one's lock between fork and exec.
            let locked = String::from_utf8_lossy(&output.stderr).contains("another process");
            if !locked || Instant::now() > until {
                break output;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        self.done.verified += 1;
        if !output.status.success() && self.done.wrong.is_none() {
            let text = [output.stdout, output.stderr].concat();
            self.done.wrong = Some(format!("hilum verify: {}", String::from_utf8_lossy(&text)));
        }
        Ok(())
    }

    /// Acknowledges before the server does; then something must be found.
    pub(crate) async fn hasty(mut self, most: u64) -> io::Result<Kills> {
        self.hasty = true;
        self.random(most, None).await?;
        Ok(self.done)
    }
}

/// Every step that the server passes by itself.
pub(crate) fn served_steps() -> Vec<&'static str> {
    steps::ALL
        .iter()
        .copied()
        .filter(|step| !NOT_SERVED.iter().any(|(part, _)| step.starts_with(part)))
        .collect()
}

/// Steps that no server passes within a round, and why.
pub(crate) const NOT_SERVED: &[(&str, &str)] = &[
    ("keys.next-", "rotation has a command and a test of its own"),
    ("keys.rewrapped", "the same"),
    ("keys.rotated", "the same"),
    ("erase.keys", "no sender erases a patient"),
    ("erase.rows", "the same"),
    ("erase.done", "the same"),
    (
        "pack.",
        "a series settles after an hour; the power is cut there",
    ),
    (
        "lookup.",
        "it is written beyond thousands of settled instances",
    ),
];

#[derive(Debug, Clone, Copy)]
struct Doors {
    http: SocketAddr,
    dicom: SocketAddr,
}

impl Doors {
    fn read(run_file: &Path) -> Option<Self> {
        let file: Value = serde_json::from_slice(&std::fs::read(run_file).ok()?).ok()?;
        let door = |name: &str| file[name].as_str()?.parse().ok();
        Some(Self {
            http: door("http")?,
            dicom: door("dicom")?,
        })
    }
}

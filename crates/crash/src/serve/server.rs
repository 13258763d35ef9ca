//! One `hilum serve` as a child process on a data folder that outlives it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::senders;

/// A server that does not come up, or ends, within this fails the harness.
const READY: Duration = Duration::from_secs(90);
/// A server that was killed answers nothing; one that lives, within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// The look-up writes a file after this many settled instances, so that every
/// round comes to it (`ARCHIVE_LOOKUP_RECENT`).
const LOOKUP_RECENT: &str = "12";

/// Where servers run: program, configuration, log and data.
pub(crate) struct Home {
    pub(crate) binary: PathBuf,
    /// Configuration and log.
    pub(crate) folder: PathBuf,
    pub(crate) data: PathBuf,
}

/// Where a server answers.
#[derive(Clone, Copy)]
pub(crate) struct Doors {
    pub(crate) http: SocketAddr,
    pub(crate) dicom: SocketAddr,
    /// The operator's bearer token: 64 hexadecimal digits.
    pub(crate) token: [u8; 64],
    /// How long who asks there waits for an answer.
    pub(crate) patience: Duration,
}

/// A server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    run_file: PathBuf,
}

impl Home {
    /// Starts a server. `step`: what it does to itself, as `ARCHIVE_STEP`;
    /// `clock`: the file that says by how much its clock is off.
    pub(crate) fn start(&self, step: Option<&str>, clock: Option<&Path>) -> io::Result<Server> {
        let models = self.folder.join("models");
        std::fs::create_dir_all(&models)?;
        let config = self.folder.join("hilum.toml");
        // Settled at once: every series is packed while others arrive.
        let text = format!(
            "archive.settle_seconds = 0\nquiet_seconds = 0.4\n\
             tenants = [{{ name = \"default\", ae_title = \"{}\" }}]\n",
            senders::CALLED
        );
        std::fs::write(&config, text)?;
        let run_file = self.data.join("run.json");
        // A killed server leaves its own behind.
        let _none = std::fs::remove_file(&run_file);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let mut command = Command::new(&self.binary);
        command
            .args(["serve", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"])
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(&self.data)
            .arg("--models")
            .arg(models)
            .env("ARCHIVE_LOOKUP_RECENT", LOOKUP_RECENT)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(step) = step {
            command.env("ARCHIVE_STEP", step);
        }
        if let Some(clock) = clock {
            command.env("PLATFORM_CLOCK", clock);
        }
        let child = command.spawn()?;
        Ok(Server { child, run_file })
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The end of what the servers logged.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// `hilum verify` on the data, as an operator runs it: what it found.
    pub(crate) fn verify(&self) -> io::Result<Option<String>> {
        let until = Instant::now() + Duration::from_secs(10);
        let output = loop {
            let output = Command::new(&self.binary)
                .arg("verify")
                .arg("--data")
                .arg(&self.data)
                .stdin(Stdio::null())
                .output()?;
            // Another job's child has this one's lock between fork and exec.
            let locked = String::from_utf8_lossy(&output.stderr).contains("another process");
            if !locked || Instant::now() > until {
                break output;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let text = [output.stdout, output.stderr].concat();
        Ok((!output.status.success()).then(|| String::from_utf8_lossy(&text).into_owned()))
    }
}

impl Server {
    /// Waits until it serves; `None` when it is dead.
    pub(crate) fn ready(&mut self) -> io::Result<Option<Doors>> {
        let until = Instant::now() + READY;
        while Instant::now() < until {
            if self.has_ended()? {
                return Ok(None);
            }
            if let Some(doors) = Doors::read(&self.run_file)
                && matches!(
                    senders::request(doors, "GET", "/readyz", "", &[]),
                    Some((200, _))
                )
            {
                return Ok(Some(doors));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("hilum serve does not become ready"))
    }

    pub(crate) fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Whether it ends within `patience`.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> io::Result<bool> {
        let until = Instant::now() + patience;
        while !self.has_ended()? {
            if Instant::now() > until {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }

    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// As an operator ends it.
    pub(crate) fn terminate(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.child.wait()
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a process without an id"))?;
        Ok(kill_process(pid, signal)?)
    }

    /// Whether SIGSTOP has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(stat).unwrap_or_default();
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        after_name.starts_with(['T', 't'])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.kill();
    }
}

impl Doors {
    fn read(run_file: &Path) -> Option<Self> {
        let file: Value = serde_json::from_slice(&std::fs::read(run_file).ok()?).ok()?;
        let door = |name: &str| file[name].as_str()?.parse().ok();
        Some(Self {
            http: door("http")?,
            dicom: door("dicom")?,
            token: file["operator_token"]
                .as_str()?
                .as_bytes()
                .try_into()
                .ok()?,
            patience: PATIENCE,
        })
    }
}

//! The real binary as a child process, on a data folder of its own.

mod questions;
mod senders;
mod setup;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output};

use rustix::process::Signal;
use serde_json::Value;

use crate::answer::Api;
use crate::processes::{children_of, signal};
use crate::tools::{run, wait_until};

pub use setup::Setup;
use setup::with_rules_for_a;

/// A Hilum that serves. It is ended when this is dropped.
pub struct Hilum {
    setup: Setup,
    child: Child,
    http: SocketAddr,
    dicom: SocketAddr,
}

impl Hilum {
    /// Its HTTP door.
    #[must_use]
    pub fn api(&self) -> Api {
        Api(self.http)
    }

    /// Where its web application is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Its DICOM door.
    #[must_use]
    pub fn dicom(&self) -> SocketAddr {
        self.dicom
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.setup.data
    }

    /// Its process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.setup.log_path()).unwrap_or_default()
    }

    /// Process ids of the processes that models run in.
    #[must_use]
    pub fn model_processes(&self) -> Vec<u32> {
        children_of(self.child.id())
    }

    /// `kill -9`, then started again on the same data.
    #[must_use]
    pub fn killed_and_restarted(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.restart()
    }

    /// SIGTERM, as Ctrl-C: its exit status.
    pub fn terminated(&mut self) -> ExitStatus {
        signal(self.child.id(), Signal::TERM);
        wait_until("hilum serve ends after SIGTERM", 30, || {
            self.child.try_wait().unwrap()
        })
    }

    /// With these rules from the next start on: see [`Setup::with_rules_for_a`].
    #[must_use]
    pub fn with_rules_for_a(mut self, rules: &str) -> Self {
        let config = std::mem::take(&mut self.setup.config);
        self.setup.config = with_rules_for_a(config, rules);
        self
    }

    /// Started again on the same data, after it has ended.
    #[must_use]
    pub fn restart(mut self) -> Self {
        let (child, http, dicom) = self.setup.launch();
        self.child = child;
        (self.http, self.dicom) = (http, dicom);
        self
    }

    /// Asked to stop, and started again on the same data with another setting.
    #[must_use]
    pub fn restarted_with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        let status = self.terminated();
        assert!(status.success(), "hilum serve ended with {status}");
        self.setup.set(key, value);
        self.restart()
    }

    /// Kills one of its processes, unless it has just ended.
    pub fn kill_process(&self, pid: u32) {
        signal(pid, Signal::KILL);
    }

    /// The options by which a command finds this installation.
    #[must_use]
    pub fn installation(&self) -> [String; 4] {
        let config = self.setup.folder.path().join("hilum.toml");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [
            "--config".to_owned(),
            text(&config),
            "--data".to_owned(),
            text(&self.setup.data),
        ]
    }

    /// Runs a command on this installation that answers JSON, and ends well or
    /// not.
    #[must_use]
    pub fn command_json(&self, arguments: &[&str]) -> (Value, bool) {
        let mut command = Command::new(&self.setup.binary);
        let output = run(command
            .args(arguments)
            .args(self.installation())
            .arg("--json"));
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr))
        });
        (answer, output.status.success())
    }

    /// Runs another command of the binary, such as `backup`.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        run(Command::new(&self.setup.binary).args(arguments))
    }

    /// Ends it and checks that all of its archive is there and hashes.
    pub fn ends_sound(mut self) {
        let status = self.terminated();
        assert!(status.success(), "hilum serve ended with {status}");
        let installation = self.installation();
        let mut arguments = vec!["verify"];
        arguments.extend(installation.iter().map(String::as_str));
        let output = self.command(&arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }

    /// It answers, it stores, and nothing in it has panicked.
    pub fn is_well(&self) {
        let ready = self.api().get("/readyz");
        assert_eq!(ready.status, 200, "{}", ready.text());
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        let echo = run(Command::new("echoscu")
            .args(["-aec", "HILUM_A"])
            .arg(self.dicom.ip().to_string())
            .arg(self.dicom.port().to_string()));
        assert!(echo.status.success(), "C-ECHO is not answered");
    }
}

impl Drop for Hilum {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(30).collect();
            for line in tail.into_iter().rev() {
                // Captured, and shown when the test fails.
                println_line(line);
            }
        }
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

#[expect(clippy::print_stdout, reason = "the log of a server whose test failed")]
pub(crate) fn println_line(line: &str) {
    println!("{line}");
}

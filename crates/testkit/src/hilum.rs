//! The real binary as a child process, on a data folder of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::answer::{Answer, Api};
use crate::models::put_fast_model;
use crate::series::Series;
use crate::tools::{Sent, dicom_storescu, root, run, script, send, storescu, wait_until};

/// What a Hilum under test is set up with: two tenants, `a` called HILUM_A and
/// `b` called HILUM_B, and no model, unless said otherwise.
pub struct Setup {
    binary: PathBuf,
    folder: TempDir,
    data: PathBuf,
    config: String,
    models: PathBuf,
}

/// A Hilum that serves. It is ended when this is dropped.
pub struct Hilum {
    setup: Setup,
    child: Child,
    http: SocketAddr,
    dicom: SocketAddr,
}

impl Setup {
    /// `binary`: `env!("CARGO_BIN_EXE_hilum")`.
    #[must_use]
    pub fn new(binary: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, models) = (folder.path().join("data"), folder.path().join("models"));
        std::fs::create_dir_all(&data).unwrap();
        std::fs::create_dir_all(&models).unwrap();
        let config = "quiet_seconds = 0.4\n\
            tenants = [{ name = \"a\", ae_title = \"HILUM_A\" }, { name = \"b\", ae_title = \"HILUM_B\" }]\n"
            .to_owned();
        Self {
            binary: PathBuf::from(binary),
            folder,
            data,
            config,
            models,
        }
    }

    /// With the model that takes about a second a run.
    #[must_use]
    pub fn with_fast_model(self) -> Self {
        put_fast_model(&self.models);
        self
    }

    /// With the models that the project ships.
    #[must_use]
    pub fn with_shipped_models(mut self) -> Self {
        self.models = root().join("models");
        self
    }

    /// Tenant `a`'s results go to `address`.
    #[must_use]
    pub fn delivering_to(mut self, name: &str, ae_title: &str, address: SocketAddr) -> Self {
        self.config.push_str(&format!(
            "[[destinations]]\nname = \"{name}\"\ntenant = \"a\"\nae_title = \"{ae_title}\"\naddress = \"{address}\"\n"
        ));
        self
    }

    /// With a setting that the configuration file names.
    #[must_use]
    pub fn with_setting(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.set(key, value);
        self
    }

    fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        let before = format!("{key} = ");
        let others = self
            .config
            .lines()
            .filter(|line| !line.starts_with(&before));
        // Tables come last in TOML.
        let lines: Vec<String> = std::iter::once(format!("{before}{value}"))
            .chain(others.map(ToOwned::to_owned))
            .collect();
        self.config = lines.join("\n") + "\n";
    }

    /// With these rules for tenant `a`'s archive, as TOML keys; they replace
    /// earlier ones.
    #[must_use]
    pub fn with_rules_for_a(mut self, rules: &str) -> Self {
        self.config = with_rules_for_a(self.config, rules);
        self
    }

    /// With its data in a folder that is there already.
    #[must_use]
    pub fn on_data(mut self, data: &Path) -> Self {
        data.clone_into(&mut self.data);
        self
    }

    /// The folder of model folders.
    #[must_use]
    pub fn models(&self) -> &Path {
        &self.models
    }

    /// Starts it and waits until it is ready.
    #[must_use]
    pub fn start(self) -> Hilum {
        let (child, http, dicom) = self.launch();
        Hilum {
            setup: self,
            child,
            http,
            dicom,
        }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn launch(&self) -> (Child, SocketAddr, SocketAddr) {
        let config = self.folder.path().join("hilum.toml");
        std::fs::write(&config, &self.config).unwrap();
        let run_file = self.data.join("run.json");
        // A killed Hilum leaves its own behind.
        let _none = std::fs::remove_file(&run_file);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let mut child = Command::new(&self.binary)
            .args(["serve", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"])
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(&self.data)
            .arg("--models")
            .arg(&self.models)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the hilum binary starts");
        let addresses = wait_until("hilum serve is ready", 60, || {
            if let Some(status) = child.try_wait().unwrap() {
                let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
                panic!("hilum serve ended at once ({status}): {log}");
            }
            let file: Value = serde_json::from_slice(&std::fs::read(&run_file).ok()?).ok()?;
            let address = |door: &str| file[door].as_str()?.parse::<SocketAddr>().ok();
            let (http, dicom) = (address("http")?, address("dicom")?);
            let ready = Api(http).try_get("/readyz")?.status == 200;
            ready.then_some((http, dicom))
        });
        (child, addresses.0, addresses.1)
    }
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

    /// Sends files to tenant `a` in one association of dcmtk's `storescu`.
    #[must_use]
    pub fn receives<P: AsRef<Path>>(&self, files: &[P]) -> Sent {
        self.receives_for("HILUM_A", files)
    }

    /// Sends files to the tenant of this AE title.
    #[must_use]
    pub fn receives_for<P: AsRef<Path>>(&self, called: &str, files: &[P]) -> Sent {
        let mut command = storescu(self.dicom, called, &[]);
        send(command.args(files.iter().map(AsRef::as_ref)))
    }

    /// Sends files to tenant `a` by `dicom-storescu`, in so many associations at
    /// once; 0 is one after the other in a single one.
    #[must_use]
    pub fn receives_from_dicom_storescu<P: AsRef<Path>>(
        &self,
        files: &[P],
        associations: usize,
    ) -> Sent {
        let mut command = dicom_storescu(self.dicom, "HILUM_A");
        if associations > 0 {
            command.args(["--concurrency", &associations.to_string()]);
        }
        send(command.args(files.iter().map(AsRef::as_ref)))
    }

    /// Sends a series to tenant `a`; all of it must be acknowledged.
    pub fn takes(&self, series: &Series) {
        let sent = self.receives(series.files());
        assert!(sent.accepted, "{}", sent.output);
    }

    /// Takes files of tenant `a` from a sender that does not release its
    /// association: `abort` or `vanish`. All of them must be acknowledged.
    pub fn takes_from_broken_sender<P: AsRef<Path>>(&self, files: &[P], end: &str) {
        let items: Vec<Value> = files
            .iter()
            .map(|file| serde_json::json!({ "path": file.as_ref(), "part10": true }))
            .collect();
        let statuses = self.receives_raw(&["--end", end], &items);
        assert!(
            statuses.iter().all(|status| *status == Some(0)),
            "{statuses:?}"
        );
    }

    /// C-STORE of raw bytes by pynetdicom, in one association: see
    /// `python/store_raw.py`. One status for each item; `None` when the
    /// association was gone.
    #[must_use]
    pub fn receives_raw(&self, options: &[&str], items: &[Value]) -> Vec<Option<u16>> {
        let list = self.setup.folder.path().join("items.json");
        std::fs::write(&list, serde_json::to_vec(items).unwrap()).unwrap();
        let output = run(script("store_raw.py")
            .arg(self.dicom.to_string())
            .arg(&list)
            .args(options));
        assert!(
            output.status.success(),
            "store_raw.py: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let statuses: Vec<Option<u16>> = serde_json::from_slice::<Value>(&output.stdout)
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|status| status.as_u64().and_then(|s| u16::try_from(s).ok()))
            .collect();
        statuses
    }

    /// STOW-RS of part-10 files in one request.
    #[must_use]
    pub fn stow<P: AsRef<Path>>(&self, files: &[P]) -> Answer {
        let mut body = Vec::new();
        for file in files {
            body.extend_from_slice(b"--part\r\nContent-Type: application/dicom\r\n\r\n");
            body.extend_from_slice(&std::fs::read(file).unwrap());
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--part--\r\n");
        let kind = "multipart/related; type=\"application/dicom\"; boundary=part";
        self.api().post_bytes("/dicomweb/studies", kind, body)
    }

    /// The runs of a study.
    #[must_use]
    pub fn runs(&self, study_uid: &str) -> Vec<Value> {
        self.api()
            .items(&format!("/api/v1/runs?study_uid={study_uid}"))
    }

    /// Waits until the newest run of a study is in this state.
    pub fn run_becomes(&self, study_uid: &str, state: &str) -> Value {
        wait_until(&format!("a run becomes {state}"), 90, || {
            self.runs(study_uid)
                .into_iter()
                .find(|run| run["state"] == state)
        })
    }

    /// The deliveries of a study.
    #[must_use]
    pub fn deliveries(&self, study_uid: &str) -> Vec<Value> {
        self.api()
            .items(&format!("/api/v1/deliveries?study_uid={study_uid}"))
    }

    /// Every input set of a study.
    #[must_use]
    pub fn input_sets(&self, study_uid: &str) -> Vec<Value> {
        let study = self.api().get(&format!("/api/v1/studies/{study_uid}"));
        let Some(series) = study.json()["series"].as_array().cloned() else {
            return Vec::new();
        };
        series
            .iter()
            .filter_map(|series| series["input_sets"].as_array())
            .flatten()
            .cloned()
            .collect()
    }

    /// Waits until the study's newest input set is in this state.
    pub fn input_set_becomes(&self, study_uid: &str, state: &str) -> Value {
        wait_until(&format!("the input set becomes {state}"), 30, || {
            let newest = self.input_sets(study_uid).pop()?;
            (newest["state"] == state).then_some(newest)
        })
    }

    /// QIDO-RS: the instances of a study of this modality.
    #[must_use]
    pub fn instances(&self, study_uid: &str, modality: &str) -> Vec<Value> {
        let answer = self.api().get(&format!(
            "/dicomweb/studies/{study_uid}/instances?Modality={modality}"
        ));
        match answer.status {
            204 => Vec::new(),
            _ => answer.json().as_array().cloned().unwrap_or_default(),
        }
    }

    /// Process ids of the processes that models run in.
    #[must_use]
    pub fn model_processes(&self) -> Vec<u32> {
        let me = self.child.id().to_string();
        let processes = std::fs::read_dir("/proc").unwrap();
        processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                let after_name = stat.rsplit(") ").next().unwrap_or_default();
                after_name.split(' ').nth(1) == Some(&me)
            })
            .collect()
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
        kill(self.child.id(), Signal::TERM);
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
        kill(pid, Signal::KILL);
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
        let data = self.setup.data.to_str().unwrap();
        let output = self.command(&["verify", "--data", data]);
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
fn println_line(line: &str) {
    println!("{line}");
}

/// The configuration with other rules for tenant `a`.
fn with_rules_for_a(mut config: String, rules: &str) -> String {
    let head = "{ name = \"a\", ae_title = \"HILUM_A\"";
    let start = config.find(head).unwrap() + head.len();
    let end = start + config[start..].find(", { name = \"b\"").unwrap();
    let rules = format!(", archive = {{ {rules} }} }}");
    config.replace_range(start..end, &rules);
    config
}

fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("kill: {error}"),
    }
    std::thread::sleep(Duration::from_millis(1));
}

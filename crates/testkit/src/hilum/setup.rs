//! What a Hilum under test is set up with, and how it is started.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::Hilum;
use crate::answer::Api;
use crate::models::put_fast_model;
use crate::tools::{root, wait_until};

/// What a Hilum under test is set up with: two tenants, `a` called HILUM_A and
/// `b` called HILUM_B, and no model, unless said otherwise.
pub struct Setup {
    pub(super) binary: PathBuf,
    pub(super) folder: TempDir,
    pub(super) data: PathBuf,
    pub(super) config: String,
    pub(super) models: PathBuf,
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

    /// Tenant `a`'s results go where these lines of the configuration say.
    #[must_use]
    pub fn delivering(mut self, name: &str, way: &str) -> Self {
        self.config.push_str(&format!(
            "[[destinations]]\nname = \"{name}\"\ntenant = \"a\"\n{way}\n"
        ));
        self
    }

    /// With a setting that the configuration file names.
    #[must_use]
    pub fn with_setting(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.set(key, value);
        self
    }

    pub(super) fn set(&mut self, key: &str, value: impl std::fmt::Display) {
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

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
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

    pub(super) fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(super) fn launch(&self) -> (Child, SocketAddr, SocketAddr) {
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
            Api(http).knows_operator(file["operator_token"].as_str()?);
            let ready = Api(http).try_get("/readyz")?.status == 200;
            ready.then_some((http, dicom))
        });
        (child, addresses.0, addresses.1)
    }
}

/// The configuration with other rules for tenant `a`.
pub(super) fn with_rules_for_a(mut config: String, rules: &str) -> String {
    let head = "{ name = \"a\", ae_title = \"HILUM_A\"";
    let start = config.find(head).unwrap() + head.len();
    let end = start + config[start..].find(", { name = \"b\"").unwrap();
    let rules = format!(", archive = {{ {rules} }} }}");
    config.replace_range(start..end, &rules);
    config
}

//! `DIR/run.json`: which addresses a running Hilum chose, for scripts that
//! started it on port 0, and the token by which whoever can read the data
//! folder is known as the installation's operator until it stops.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What is in the file.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Process id.
    pub(crate) pid: u32,
    /// Address of HTTP in clear, on this machine: with TLS a door of its own,
    /// for this token alone.
    pub(crate) http: SocketAddr,
    /// Address of HTTP over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) https: Option<SocketAddr>,
    /// Address of DICOM, where images are taken here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dicom: Option<SocketAddr>,
    /// Address at which neighbours ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) neighbours: Option<SocketAddr>,
    /// Version of Hilum.
    pub(crate) version: String,
    /// Bearer token of the operator; made anew at every start.
    pub(crate) operator_token: String,
}

/// The file while Hilum serves; it goes when this is dropped.
pub(crate) struct Written(PathBuf);

impl RunFile {
    /// What the Hilum that serves this data folder now chose; `None` when none
    /// does.
    pub(crate) fn of_running(data: &Path) -> Option<Self> {
        let text = std::fs::read(data.join("run.json")).ok()?;
        let file: Self = serde_json::from_slice(&text).ok()?;
        let alive = Path::new(&format!("/proc/{}", file.pid)).exists();
        alive.then_some(file)
    }

    /// Writes the file in one step, so that a reader never sees half of it, for
    /// its owner's eyes.
    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<Written> {
        let path = data.join("run.json");
        let draft = data.join("run.json.new");
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&draft, &path)?;
        Ok(Written(path))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_file(&self.0);
    }
}

//! `DIR/run.json`: which addresses a running Hilum chose, for scripts that
//! started it on port 0.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What is in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Process id.
    pub(crate) pid: u32,
    /// Address of HTTP.
    pub(crate) http: SocketAddr,
    /// Address of DICOM.
    pub(crate) dicom: SocketAddr,
    /// Version of Hilum.
    pub(crate) version: String,
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

    /// Writes the file in one step, so that a reader never sees half of it.
    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<Written> {
        let path = data.join("run.json");
        let draft = data.join("run.json.new");
        std::fs::write(&draft, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&draft, &path)?;
        Ok(Written(path))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_file(&self.0);
    }
}

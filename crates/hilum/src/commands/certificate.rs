//! Certificates of what was destroyed, as files of whoever asked for it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hilum_platform::{clock, durable};
use serde_json::Value;
use time::macros::format_description;

use crate::terminal;

/// A new file for a certificate: made before anything is destroyed, for what
/// can't be certified is not begun.
pub(super) struct CertificateFile {
    path: PathBuf,
    file: File,
}

impl CertificateFile {
    /// At `path`, or with a name of its own in the folder that the command was
    /// called in.
    pub(super) fn begin(path: Option<&Path>, of: &str) -> anyhow::Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => {
                let form = format_description!("[year][month][day]T[hour][minute][second]Z");
                let now = clock::system().now().format(&form)?;
                PathBuf::from(format!("{of}-{now}.json"))
            }
        };
        let file = File::create_new(&path)
            .with_context(|| format!("can't make a new file {}", path.display()))?;
        Ok(Self { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing was destroyed.
    pub(super) fn drop_empty(self) {
        let _empty = std::fs::remove_file(&self.path);
    }

    /// Writes the certificate as its digest was made: one line.
    pub(super) fn keep(mut self, certificate: &Value) -> anyhow::Result<()> {
        writeln!(self.file, "{certificate}")?;
        self.file.sync_all()?;
        let folder = std::path::absolute(&self.path)?;
        durable::sync_folder(folder.parent().unwrap_or(&folder))?;
        Ok(())
    }
}

/// Says which backups hold what was destroyed still: `whom`, as the backup has
/// them.
pub(super) fn show_backups(certificate: &Value, whom: &str) {
    let backups = certificate.get("backups").and_then(Value::as_array);
    for backup in backups.into_iter().flatten() {
        let text = |field: &str| {
            let value = backup.get(field).and_then(Value::as_str);
            value.unwrap_or_default()
        };
        let (folder, made_at) = (text("folder"), text("made_at"));
        let state = match text("state") {
            "told" => format!("holds {whom}; it was told, and erases {whom} when it is restored"),
            "gone" => "was removed".to_owned(),
            _ => "is not reachable; restore it with --erasures and this certificate".to_owned(),
        };
        terminal::line(format_args!("Backup of {made_at} in {folder}: {state}."));
    }
    terminal::line(
        "Copies of backups elsewhere, and what was exported or delivered, still hold what they \
         hold: delete them too. Keep the certificate: a restore needs it.",
    );
}

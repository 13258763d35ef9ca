//! Who sends to a Hilum under test.

use std::path::Path;

use serde_json::Value;

use super::Hilum;
use crate::answer::Answer;
use crate::series::Series;
use crate::tools::{Sent, dicom_storescu, run, script, send, storescu};

impl Hilum {
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
        self.api().stow(files)
    }
}

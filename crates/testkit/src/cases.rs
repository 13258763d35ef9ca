//! Hostile and odd instances, written by `python/cases.py`.

use serde_json::Value;
use tempfile::TempDir;

use crate::series::Series;
use crate::tools::{run, script};

/// Cases in a folder of their own.
pub struct Cases {
    cases: Vec<Value>,
    _folder: TempDir,
}

/// Writes all cases.
#[must_use]
pub fn hostile_cases() -> Cases {
    let folder = tempfile::tempdir().unwrap();
    let output = run(script("cases.py")
        .arg(folder.path())
        .arg(Series::sample_as_it_is().slice(1)));
    assert!(
        output.status.success(),
        "cases.py: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let list = std::fs::read(folder.path().join("cases.json")).unwrap();
    Cases {
        cases: serde_json::from_slice(&list).unwrap(),
        _folder: folder,
    }
}

impl Cases {
    /// The cases of which this is expected: `refused`, `flag` or `undecodable`.
    #[must_use]
    pub fn that(&self, expected: &str) -> Vec<Value> {
        let mut cases = self.cases.clone();
        cases.retain(|case| !case[expected].is_null());
        cases
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Value> {
        self.cases.clone()
    }
}

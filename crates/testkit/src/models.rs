//! Folders of models for tests.

use std::path::Path;

use crate::tools::root;

/// Copies the fast model and lets it start by itself: about a second a run.
pub(crate) fn put_fast_model(folder: &Path) {
    let (from, to) = (
        root().join("models/brain-mask-small"),
        folder.join("brain-mask-small"),
    );
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).expect("models/brain-mask-small is part of the project") {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let manifest = to.join("hilum-model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(
        text.contains("automatic = false"),
        "the fast model's manifest has changed: look at this helper"
    );
    std::fs::write(&manifest, text.replace("automatic = false", "")).unwrap();
}

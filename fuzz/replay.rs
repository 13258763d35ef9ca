//! Runs a fuzz target over its committed corpus, as an ordinary test.

use std::path::Path;

pub(crate) fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../fuzz/corpus")
        .join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{target}: {error}"));
    let mut inputs = 0;
    for entry in entries {
        let path = entry
            .unwrap_or_else(|error| panic!("{target}: {error}"))
            .path();
        // Shown only when the test fails: the input that it fails on.
        println!("{}", path.display());
        run(&std::fs::read(&path).unwrap_or_else(|error| panic!("{target}: {error}")));
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

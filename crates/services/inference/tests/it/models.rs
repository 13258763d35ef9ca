//! The proof: both models, from their manifests alone, reproduce their figures.

use std::path::{Path, PathBuf};

use hilum_inference::gate::{self, GateReport};
use hilum_inference::models::{self, Entry, Model};
use hilum_inference::runtime::{Runtime, find_library};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(3)
        .expect("the repository")
        .to_path_buf()
}

pub(crate) fn library() -> PathBuf {
    let in_venv = root().join(".cache/venv/lib");
    find_library(None)
        .or_else(|| {
            let pythons = std::fs::read_dir(in_venv).ok()?;
            let mut capis = pythons
                .flatten()
                .map(|p| p.path().join("site-packages/onnxruntime/capi"));
            capis.find_map(|capi| {
                let files = std::fs::read_dir(capi).ok()?;
                files
                    .flatten()
                    .map(|f| f.path())
                    .find(|f| f.to_string_lossy().contains("libonnxruntime.so"))
            })
        })
        .expect("ONNX Runtime is missing: run `make test-deps`, or set ORT_DYLIB_PATH")
}

fn check(name: &str) -> GateReport {
    let model = Model::load(&root().join("models").join(name)).expect("the model loads");
    let mut runtime = Runtime::load(&library(), 2).expect("the runtime loads");
    let report = gate::test(&model, &root(), &mut runtime, &mut |_, _| {}).expect("the model runs");
    let wrong: Vec<_> = report.checks.iter().filter(|c| !c.passed).collect();
    assert!(report.passed && wrong.is_empty(), "{wrong:#?}");
    println!("{name}: {:?} {:?}", report.checks.first(), report.timings);
    report
}

#[test]
fn brain_extraction_reproduces_its_reference() {
    let report = check("brain-extraction");
    assert_eq!(report.checks.len(), 22);
    // The sample is proton density (TR 2300, TE 22); the model is meant for T1.
    assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
    assert!(report.warnings.iter().all(|w| w.contains("intended use")));
}

#[test]
fn brain_mask_small_reproduces_its_reference() {
    check("brain-mask-small");
}

#[test]
fn a_broken_folder_is_listed_with_its_problem_and_harms_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let (from, to) = (
            root().join("models/brain-mask-small"),
            dir.path().join(name),
        );
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap().flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        to
    };
    copy("brain-mask-small");
    let renamed = copy("renamed");
    let cut = copy("cut");
    std::fs::remove_file(cut.join("brain.onnx")).unwrap();
    let odd = copy("odd");
    std::fs::write(
        odd.join("hilum-model.toml"),
        "format = 1\nsurprise = true\n",
    )
    .unwrap();
    std::fs::create_dir(dir.path().join("not-a-model")).unwrap();
    drop(renamed);

    let entries = models::list(dir.path());
    let problem = |wanted: &str| {
        entries.iter().find_map(|e| match e {
            Entry::Broken { name, problem } if name == wanted => Some(problem.clone()),
            _ => None,
        })
    };
    assert_eq!(entries.len(), 4);
    assert!(
        entries
            .iter()
            .any(|e| matches!(e, Entry::Ready(m) if m.id() == ("brain-mask-small", "0.1")))
    );
    assert!(problem("renamed").unwrap().contains("its folder"));
    assert!(problem("cut").unwrap().starts_with("brain.onnx"));
    assert!(problem("odd").unwrap().contains("surprise"));
}

#[test]
fn the_digest_changes_with_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("brain-mask-small");
    std::fs::create_dir(&folder).unwrap();
    for file in std::fs::read_dir(root().join("models/brain-mask-small"))
        .unwrap()
        .flatten()
    {
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let before = Model::load(&folder).unwrap().digest;
    assert_eq!(
        before,
        Model::load(&root().join("models/brain-mask-small"))
            .unwrap()
            .digest
    );
    let mut bytes = std::fs::read(folder.join("brain.onnx")).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(folder.join("brain.onnx"), bytes).unwrap();
    assert_ne!(before, Model::load(&folder).unwrap().digest);
}

//! The rules of ARCHITECTURE.md that a machine can check. Each failure says
//! which rule was broken, where, and why the rule exists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn members(metadata: &Value) -> Vec<&Value> {
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["source"].is_null())
        .collect()
}

pub(crate) fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// `contracts ← platform ← archive, services ← hilum`; `protocols` stand apart.
#[test]
fn dependencies_point_one_way() {
    let services = [
        "hilum-identity",
        "hilum-audit",
        "hilum-imaging",
        "hilum-inference",
        "hilum-integration",
        "hilum-patients",
    ];
    let protocols = [
        "hilum-dataset",
        "hilum-dicomweb",
        "hilum-dimse",
        "hilum-media",
        "hilum-pixels",
    ];
    let mut allowed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    allowed.insert("hilum-contracts", vec![]);
    allowed.insert("hilum-platform", vec!["hilum-contracts"]);
    allowed.insert("hilum-archive", vec!["hilum-contracts", "hilum-platform"]);
    for protocol in protocols {
        allowed.insert(protocol, vec![]);
    }
    let mut below_services = vec!["hilum-contracts", "hilum-platform", "hilum-archive"];
    below_services.extend(protocols);
    for service in services {
        allowed.insert(service, below_services.clone());
    }
    allowed.insert("hilum-testkit", vec!["hilum-contracts", "hilum-platform"]);
    // These ship nowhere; nobody may depend on them.
    allowed.insert(
        "hilum-chaos",
        vec!["hilum-platform", "hilum-testkit", "hilum-dimse"],
    );
    allowed.insert(
        "hilum-crash",
        vec![
            "hilum-contracts",
            "hilum-platform",
            "hilum-archive",
            "hilum-testkit",
        ],
    );

    let metadata = metadata();
    for package in members(&metadata) {
        let name = package["name"].as_str().unwrap();
        let Some(allowed) = allowed.get(name) else {
            assert_eq!(
                name, "hilum",
                "a new crate: say in this test where it stands"
            );
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let needs = dependency["name"].as_str().unwrap();
            let for_tests = dependency["kind"] == "dev";
            assert!(
                !needs.starts_with("hilum") || for_tests || allowed.contains(&needs),
                "{name} depends on {needs}. Dependencies point one way, so that a service can be \
                 stopped, replaced or moved to another process without its neighbours noticing."
            );
        }
    }
}

#[test]
fn sql_stands_in_store_folders_only() {
    for file in source_files(&root().join("crates/services")) {
        let path = file.display().to_string();
        if path.contains("/src/store/") || path.contains("/tests/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for mark in ["db::query", "sqlx::", "rusqlite::"] {
            assert!(
                !text.contains(mark),
                "{path} holds SQL. It stands in src/store/ only, where every function takes a \
                 TenantScope, so that no query can forget whose rows it may touch."
            );
        }
    }
}

#[test]
fn a_scope_is_granted_in_one_place_only() {
    for file in source_files(&root().join("crates")) {
        let path = file.display().to_string();
        if path.ends_with("platform/src/auth.rs") || path.contains("/tests/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            !text.contains("TenantScope::grant("),
            "{path} makes a TenantScope. platform/src/auth.rs alone does, from an authenticated \
             principal, so that there is one place to review."
        );
    }
}

#[test]
fn every_crate_inherits_the_lints() {
    let metadata = metadata();
    for package in members(&metadata) {
        let manifest = package["manifest_path"].as_str().unwrap();
        let text = std::fs::read_to_string(manifest).unwrap();
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{manifest} does not inherit the workspace's lints, which keep panics off hostile input."
        );
    }
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let deny: toml::Table =
        toml::from_str(&std::fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap();
    let allowed: Vec<&str> = deny["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|licence| licence.as_str())
        .collect();
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or_default();
        // An expression is fine when each of its AND parts offers one that is allowed.
        let fine = licence
            .replace(['(', ')'], "")
            .replace('/', " OR ")
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|one| allowed.contains(&one.trim())));
        assert!(
            fine,
            "{} {} has the licence {licence:?}, which deny.toml does not allow",
            package["name"], package["version"]
        );
    }
}

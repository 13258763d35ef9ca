//! The programs that judge. A missing one fails the test and names the command that installs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hilum_inference::domain::results::{ResultObject, to_bytes};

use super::fixture::repository;

pub(crate) fn write(directory: &Path, name: &str, object: &ResultObject) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, to_bytes(object).expect("it can be written")).expect("a place to write");
    path
}

fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    command.output().unwrap_or_else(|error| {
        panic!(
            "{} cannot be started ({error}): `make test-deps` installs what tests need",
            program.to_string_lossy()
        )
    })
}

/// Errors that `dciodvfy` finds, but for those that contain one of `known`.
pub(crate) fn dciodvfy(path: &Path, known: &[&str]) -> Vec<String> {
    let output = run(Command::new("dciodvfy").arg(path));
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!text.trim().is_empty(), "dciodvfy names what it validated");
    text.lines()
        .filter(|line| line.starts_with("Error") && !known.iter().any(|k| line.contains(k)))
        .map(str::to_owned)
        .collect()
}

/// Standard output of a dcmtk tool that must accept the file.
pub(crate) fn dcmtk(tool: &str, arguments: &[&str], path: &Path) -> String {
    let output = run(Command::new(tool).args(arguments).arg(path));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{tool} refused it: {errors}");
    assert!(!errors.contains("E: "), "{tool} complained: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs one of the Python scripts beside this file; its last line of output is JSON.
pub(crate) fn python(script: &str, arguments: &[&Path]) -> serde_json::Value {
    let interpreter = std::env::var_os("HILUM_TEST_PYTHON")
        .map_or_else(|| repository().join(".cache/venv/bin/python"), Into::into);
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/results")
        .join(script);
    let output = run(Command::new(interpreter).arg(script).args(arguments));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{errors}\n(`make test-deps` installs the Python packages)"
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().last().expect("the script prints a line");
    serde_json::from_str(line).expect("the line is JSON")
}

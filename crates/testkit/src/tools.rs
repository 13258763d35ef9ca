//! Others' programs, and waiting for what must become true.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Asks again and again until `condition` answers something; fails the test
/// with `what` after `seconds`.
pub fn wait_until<T>(what: &str, seconds: u64, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {seconds} s in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a program to its end; a missing one fails the test with what to do.
pub fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{} did not start ({error}): run `make test-deps`",
                program.display()
            )
        })
}

/// Python with the packages of `scripts/requirements.txt`.
pub fn python() -> Command {
    let interpreter = std::env::var_os("HILUM_TEST_PYTHON")
        .map_or_else(|| root().join(".cache/venv/bin/python"), PathBuf::from);
    assert!(
        interpreter.is_file(),
        "there is no Python at {}: run `make test-deps`, or set HILUM_TEST_PYTHON",
        interpreter.display()
    );
    Command::new(interpreter)
}

/// A script of this crate, ready for arguments.
pub(crate) fn script(name: &str) -> Command {
    let mut command = python();
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("python")
            .join(name),
    );
    command
}

/// What a sender said at its end.
pub struct Sent {
    /// Every file was acknowledged.
    pub accepted: bool,
    /// Everything that it printed.
    pub output: String,
}

/// dcmtk's `storescu`, with `arguments` before the address.
pub fn storescu(address: std::net::SocketAddr, called: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("storescu");
    // Proposes what the file is encoded as, and nothing else.
    command
        .args(["-R", "-v", "-aec", called])
        .args(arguments)
        .args([address.ip().to_string(), address.port().to_string()]);
    command
}

/// `dicom-storescu` of the dicom-rs project, a second sender.
pub(crate) fn dicom_storescu(address: std::net::SocketAddr, called: &str) -> Command {
    let program = root().join(".cache/cargo/bin/dicom-storescu");
    assert!(
        program.is_file(),
        "there is no {}: run `make test-deps`",
        program.display()
    );
    let mut command = Command::new(program);
    // One file that does not arrive fails the whole.
    command
        .args(["--verbose", "--fail-first", "--never-transcode"])
        .args(["--called-ae-title", called])
        .arg(address.to_string());
    command
}

/// Runs a sender to its end.
pub(crate) fn send(command: &mut Command) -> Sent {
    let output = run(command);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Sent {
        accepted: output.status.success(),
        output: text,
    }
}

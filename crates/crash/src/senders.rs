//! Senders of others: dcmtk's storescu, pynetdicom, STOW-RS, and one that sends
//! rubbish and deletes what became of it. Each says what it was promised, as a
//! line that `check::Promised` hears, and ends when the server is gone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hilum_testkit::{python, storescu};
use serde_json::{Value, json};

use crate::content::{hex, noise, sha256};
use crate::files::File;

/// AE title of the tenant that all is sent to.
pub(crate) const CALLED: &str = "HILUM_CRASH";
/// A server that was killed answers nothing; one that lives, within this.
const PATIENCE: Duration = Duration::from_secs(60);

fn stored(file: &File) -> String {
    format!("STORED {} tail:{}", file.uid, file.tail)
}

/// One association of storescu: it sends in order and stops at what fails.
pub(crate) fn dcmtk(to: SocketAddr, files: &[File]) -> Vec<String> {
    let mut command = storescu(to, CALLED, &["-to", "20"]);
    command.args(files.iter().map(|file| &file.path));
    let Ok(output) = command.stdin(Stdio::null()).output() else {
        return vec!["ERROR storescu did not start: run `make test-deps`".to_owned()];
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let acknowledged = text.matches("Received Store Response (Success)").count();
    files.iter().take(acknowledged).map(stored).collect()
}

/// One association of pynetdicom.
pub(crate) fn pynetdicom(to: SocketAddr, files: &[File], folder: &Path) -> Vec<String> {
    let list = folder.join("items.json");
    let items: Vec<Value> = files
        .iter()
        .map(|file| json!({ "path": file.path, "part10": true }))
        .collect();
    if std::fs::write(&list, Value::from(items).to_string()).is_err() {
        return vec!["ERROR the list of files can't be written".to_owned()];
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/python/store_raw.py");
    let mut command: Command = python();
    let output = command
        .arg(script)
        .arg(to.to_string())
        .arg(list)
        .args(["--called", CALLED])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        return vec!["ERROR Python did not start: run `make test-deps`".to_owned()];
    };
    let statuses: Vec<Option<u16>> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    files
        .iter()
        .zip(statuses)
        .filter(|(_, status)| *status == Some(0))
        .map(|(file, _)| stored(file))
        .collect()
}

/// STOW-RS requests of two files each: 200 acknowledges all of a request.
pub(crate) fn stow(to: SocketAddr, files: &[File]) -> Vec<String> {
    let mut said = Vec::new();
    for pair in files.chunks(2) {
        let mut bodies = Vec::new();
        for file in pair {
            match std::fs::read(&file.path) {
                Ok(bytes) => bodies.push(bytes),
                Err(error) => return vec![format!("ERROR {error}")],
            }
        }
        match post(to, &bodies) {
            Some((200, _)) => said.extend(pair.iter().map(stored)),
            Some(_) => {}
            None => break,
        }
    }
    said
}

/// Rubbish by STOW-RS, and every second one of it deleted.
pub(crate) fn rubbish(to: SocketAddr, seed: u64) -> Vec<String> {
    let mut said = Vec::new();
    for number in 0..4 {
        let body = noise(seed << 8 | number, 2_000);
        let hash = hex(&sha256(&body));
        if post(to, &[body]).is_none() {
            break;
        }
        let Some((200, list)) = request(to, "GET", "/api/v1/quarantine", "", &[]) else {
            break;
        };
        let list: Value = serde_json::from_slice(&list).unwrap_or_default();
        let item = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|item| item["sha256"] == hash.as_str());
        let Some(id) = item.and_then(|item| item["id"].as_i64()) else {
            continue;
        };
        said.push(format!("HELD {hash}"));
        if number % 2 == 0 {
            said.push(format!("DELETING {hash}"));
            let path = format!("/api/v1/quarantine/{id}");
            match request(to, "DELETE", &path, "", &[]) {
                Some((204, _)) => said.push(format!("DELETED {hash}")),
                Some(_) => {}
                None => break,
            }
        }
    }
    said
}

/// A study by STOW-RS, deleted again.
pub(crate) fn remove(to: SocketAddr, file: &File, study: &str) -> Vec<String> {
    let mut said = stow(to, std::slice::from_ref(file));
    if said.is_empty() {
        return said;
    }
    said.push(format!("REMOVING {}", file.uid));
    let path = format!("/api/v1/studies/{study}");
    let reason = json!({ "reason": "a test" }).to_string();
    match request(to, "DELETE", &path, "application/json", reason.as_bytes()) {
        Some((200, _)) => said.push(format!("REMOVED {}", file.uid)),
        Some((status, _)) => said.push(format!("ERROR deleting a study: status {status}")),
        None => {}
    }
    said
}

fn post(to: SocketAddr, bodies: &[Vec<u8>]) -> Option<(u16, Vec<u8>)> {
    let mut body = Vec::new();
    for part in bodies {
        body.extend_from_slice(b"--part\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--part--\r\n");
    let kind = "multipart/related; type=\"application/dicom\"; boundary=part";
    request(to, "POST", "/dicomweb/studies", kind, &body)
}

/// One HTTP request on a connection of its own: status and body, when all of
/// the answer arrived.
pub(crate) fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nAccept: \
         application/dicom+json, application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !kind.is_empty() {
        head.push_str(&format!("Content-Type: {kind}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?.to_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_off(end + 4);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.eq_ignore_ascii_case("content-length"))
            .then(|| value.trim().parse::<usize>().ok())
            .flatten()
    });
    match length {
        Some(length) if length != body.len() => None,
        Some(_) => Some((status, body)),
        None => Some((status, unchunked(&body).unwrap_or(body))),
    }
}

/// The body of a chunked answer (RFC 9112 §7.1); `None` when its end is missing.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|end| end == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..line)?).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = rest.get(line + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

//! Senders of others: dcmtk's storescu, pynetdicom, STOW-RS; and users who
//! delete, erase and read. Each says what it was promised as a line that
//! `check::Promised` hears, as soon as it knows it, and ends when the server is
//! gone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use hilum_testkit::{File, Files, python, storescu};
use serde_json::{Value, json};

use super::server::Doors;
use crate::content::{hex, noise, sha256};

/// AE title of the tenant that all is sent to.
pub(crate) const CALLED: &str = "HILUM_CRASH";
/// Takes the lines.
pub(crate) type Say<'a> = &'a (dyn Fn(&str) + Sync);

fn stored(file: &File) -> String {
    format!("STORED {} tail:{}", file.uid, file.tail)
}

/// One association of storescu: it sends in order and stops at what fails.
pub(crate) fn dcmtk(to: Doors, files: &[File], say: Say<'_>) {
    let seconds = to.patience.as_secs().to_string();
    let started = || {
        let (reader, writer) = std::io::pipe()?;
        let mut command = storescu(
            to.dicom,
            CALLED,
            &["-to", &seconds, "-ta", &seconds, "-td", &seconds],
        );
        command
            .args(files.iter().map(|file| &file.path))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        Ok::<_, std::io::Error>((command.spawn()?, reader))
    };
    let Ok((mut child, reader)) = started() else {
        return say("ERROR storescu did not start: run `make test-deps`");
    };
    let mut files = files.iter();
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        if line.contains("Received Store Response (Success)")
            && let Some(file) = files.next()
        {
            say(&stored(file));
        }
    }
    let _status = child.wait();
}

/// One association of pynetdicom. It tells at its end.
pub(crate) fn pynetdicom(to: Doors, files: &[File], folder: &Path, say: Say<'_>) {
    let list = folder.join("items.json");
    let items: Vec<Value> = files
        .iter()
        .map(|file| json!({ "path": file.path, "part10": true }))
        .collect();
    if std::fs::write(&list, Value::from(items).to_string()).is_err() {
        return say("ERROR the list of files can't be written");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/python/store_raw.py");
    let mut command: Command = python();
    let output = command
        .arg(script)
        .arg(to.dicom.to_string())
        .arg(list)
        .args(["--called", CALLED])
        .args(["--timeout", &to.patience.as_secs().to_string()])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        return say("ERROR Python did not start: run `make test-deps`");
    };
    let statuses: Vec<Option<u16>> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    for (file, status) in files.iter().zip(statuses) {
        if status == Some(0) {
            say(&stored(file));
        }
    }
}

/// STOW-RS requests of two files each: 200 acknowledges all of a request.
/// Whether all of them were.
pub(crate) fn stow(to: Doors, files: &[File], say: Say<'_>) -> bool {
    let mut all = true;
    for pair in files.chunks(2) {
        let mut bodies = Vec::new();
        for file in pair {
            match std::fs::read(&file.path) {
                Ok(bytes) => bodies.push(bytes),
                Err(error) => {
                    say(&format!("ERROR {error}"));
                    return false;
                }
            }
        }
        match post(to, &bodies) {
            Some((200, _)) => pair.iter().for_each(|file| say(&stored(file))),
            Some(_) => all = false,
            None => return false,
        }
    }
    all
}

/// Rubbish by STOW-RS, and every second one of it deleted.
pub(crate) fn rubbish(to: Doors, seed: u64, say: Say<'_>) {
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
        say(&format!("HELD {hash}"));
        if number % 2 == 0 {
            say(&format!("DELETING {hash}"));
            let path = format!("/api/v1/quarantine/{id}");
            match request(to, "DELETE", &path, "", &[]) {
                Some((204, _)) => say(&format!("DELETED {hash}")),
                Some(_) => {}
                None => break,
            }
        }
    }
}

/// A study by STOW-RS, deleted again by two users.
pub(crate) fn remove(to: Doors, files: &[File], study: u64, say: Say<'_>) {
    if !stow(to, files, say) {
        return;
    }
    for file in files {
        say(&format!("REMOVING {}", file.uid));
    }
    let path = format!("/api/v1/studies/{}", Files::study(study));
    let reason = json!({ "reason": "a test" }).to_string();
    let delete = || request(to, "DELETE", &path, "application/json", reason.as_bytes());
    // By two at once: the second one is refused, maybe behind its note.
    let answers = std::thread::scope(|scope| {
        let other = scope.spawn(delete);
        [delete(), other.join().unwrap_or_default()]
    });
    let statuses = answers.iter().flatten().map(|(status, _)| *status);
    for status in statuses.clone() {
        if !matches!(status, 200 | 404) {
            say(&format!("ERROR deleting a study: status {status}"));
        }
    }
    if statuses.into_iter().any(|status| status == 200) {
        for file in files {
            say(&format!("REMOVED {}", file.uid));
        }
    }
}

/// A study by STOW-RS, moved to another one: its instances stay what they are.
pub(crate) fn relocate(to: Doors, files: &[File], study: u64, say: Say<'_>) {
    if !stow(to, files, say) {
        return;
    }
    let path = format!("/api/v1/studies/{}/moves", Files::study(study));
    let reason = json!({ "reason": "a test" }).to_string();
    match request(to, "POST", &path, "application/json", reason.as_bytes()) {
        // 404: of a server that moves nothing.
        Some((200 | 404, _)) | None => {}
        Some((status, _)) => say(&format!("ERROR moving a study: status {status}")),
    }
}

/// A patient by STOW-RS, erased again.
pub(crate) fn erase(to: Doors, files: &[File], study: u64, say: Say<'_>) {
    if !stow(to, files, say) {
        return;
    }
    for file in files {
        say(&format!("REMOVING {}", file.uid));
    }
    say(&format!("ERASING {study}"));
    if erased(to, study, &[200], say) {
        for file in files {
            say(&format!("REMOVED {}", file.uid));
        }
    }
}

/// Asks again for an erasure that a crash broke off: there may be nothing left
/// to erase, and nothing may be readable then either.
pub(crate) fn erase_again(to: Doors, study: u64, say: Say<'_>) {
    erased(to, study, &[200, 404], say);
}

fn erased(to: Doors, study: u64, expected: &[u16], say: Say<'_>) -> bool {
    let body = json!({ "patient_id": Files::patient(study) }).to_string();
    let json = "application/json";
    match request(to, "POST", "/api/v1/erasures", json, body.as_bytes()) {
        Some((status, certificate)) if expected.contains(&status) => {
            if status == 200 {
                match serde_json::from_slice::<Value>(&certificate) {
                    Ok(certificate) if certificate["record"]["id"].is_string() => {
                        let id = certificate["record"]["id"].as_str().unwrap_or_default();
                        say(&format!("RECORDED {id}"));
                    }
                    _ => say("ERROR a certificate without a record"),
                }
            }
            let (patient, uid) = (Files::patient(study), Files::study(study));
            say(&format!("ERASED {study} {patient} {uid}"));
            true
        }
        Some((status, _)) => {
            say(&format!("ERROR erasing a patient: status {status}"));
            false
        }
        None => false,
    }
}

/// Reads metadata of what was acknowledged: nothing else that goes on at the
/// same time may make any of it disappear.
pub(crate) fn read(to: Doors, known: &[(u64, Vec<String>)], say: Say<'_>) {
    for (study, uids) in known.iter().filter(|(_, uids)| !uids.is_empty()) {
        let path = format!("/dicomweb/studies/{}/metadata", Files::study(*study));
        let Some((status, body)) = request(to, "GET", &path, "", &[]) else {
            return;
        };
        let text = String::from_utf8_lossy(&body);
        if let Some(lost) = uids.iter().find(|uid| !text.contains(uid.as_str())) {
            return say(&format!("ERROR metadata (status {status}) lacks {lost}"));
        }
    }
}

/// Rotates the master key.
pub(crate) fn rotate(to: Doors, say: Say<'_>) {
    match request(to, "POST", "/api/v1/keys/rotate-master", "", &[]) {
        Some((200, _)) | None => {}
        Some((status, _)) => say(&format!("ERROR rotating the master key: status {status}")),
    }
}

fn post(to: Doors, bodies: &[Vec<u8>]) -> Option<(u16, Vec<u8>)> {
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
    to: Doors,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&to.http, to.patience).ok()?;
    stream.set_read_timeout(Some(to.patience)).ok()?;
    stream.set_write_timeout(Some(to.patience)).ok()?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: \
         application/dicom+json, application/json\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n",
        to.http,
        String::from_utf8_lossy(&to.token),
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

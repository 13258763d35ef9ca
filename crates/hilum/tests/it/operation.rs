//! What an operator lives with: conflicts that hold deliveries, backups while
//! serving, a full disk, an instance larger than memory.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use hilum_contracts::access::Role;
use hilum_testkit::{Series, Storescp, run, wait_until};
use serde_json::{Value, json};

use crate::hilum;
use crate::isolation::key;
use crate::keeping::others_are_told_that_there_is_no_room;

#[test]
fn a_patient_conflict_holds_the_delivery_until_a_person_decides() {
    let pacs = Storescp::up();
    let hilum = hilum()
        .with_fast_model()
        .delivering_to("pacs", "PACS", pacs.address())
        .start();
    let first = Series::another_study("1.2.3.1", &["PatientID=77", "PatientBirthDate=19700101"]);
    let second = Series::another_study("1.2.3.2", &["PatientID=77", "PatientBirthDate=19800202"]);
    let delivery = |study: &str, state: &str| {
        wait_until(&format!("the delivery of {study} is {state}"), 60, || {
            hilum
                .deliveries(study)
                .into_iter()
                .find(|delivery| delivery["state"] == state)
        })
    };
    hilum.takes(&first);
    delivery("1.2.3.1", "delivered");
    assert_eq!(pacs.received().len(), 2);

    hilum.takes(&second);
    let held = delivery("1.2.3.2", "held");
    assert!(held["reason"].is_string(), "{held}");
    let conflicts = hilum.api().items("/api/v1/patient-conflicts");
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert_eq!(conflicts[0]["attribute"], "birth_date");
    assert_eq!(pacs.received().len(), 2, "nothing is delivered meanwhile");

    let path = format!(
        "/api/v1/patient-conflicts/{}/resolve",
        conflicts[0]["id"].as_str().unwrap()
    );
    let answer = hilum
        .api()
        .post(&path, &json!({ "decision": "keep-first" }));
    assert_eq!(answer.status, 204, "{}", answer.text());
    delivery("1.2.3.2", "delivered");
    assert_eq!(pacs.received().len(), 4);
    assert!(hilum.api().items("/api/v1/patient-conflicts").is_empty());
}

#[test]
fn a_server_that_ended_leaves_its_databases_without_write_ahead_logs() {
    let mut hilum = hilum().start();
    hilum.takes(&Series::sample());
    assert!(hilum.terminated().success());
    let names = std::fs::read_dir(hilum.data()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let ending = |of: &str| {
        let names = names.iter().map(|name| name.to_str().unwrap());
        names.filter(|name| name.ends_with(of)).count()
    };
    assert!(ending(".sqlite") >= 6, "{names:?}");
    assert_eq!(ending("-wal"), 0, "{names:?}");
}

#[test]
fn a_backup_made_while_serving_becomes_a_whole_installation() {
    let folder = tempfile::tempdir().unwrap();
    let (copy, restored) = (folder.path().join("copy"), folder.path().join("restored"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let hilum = hilum().with_fast_model().start();
    let series = Series::sample();
    hilum.takes(&series);
    hilum.run_becomes(series.study_uid(), "succeeded");

    let verify = "/api/v1/audit/verify";
    let signs = hilum.api().post(verify, &Value::Null).json()["key"].clone();
    let data = text(hilum.data());
    for arguments in [
        ["backup", &text(&copy), "--data", &data],
        ["restore", &text(&copy), "--data", &text(&restored)],
    ] {
        let output = hilum.command(&arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // The operator keeps the master key apart from backups.
    let key = "keys/master.key";
    std::fs::create_dir_all(restored.join("keys")).unwrap();
    std::fs::copy(hilum.data().join(key), restored.join(key)).unwrap();
    let output = hilum.command(&["verify", "--data", &text(&restored)]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    drop(hilum);

    let hilum = crate::hilum().on_data(&restored).start();
    assert_eq!(hilum.instances(series.study_uid(), "MR").len(), 20);
    assert_eq!(hilum.instances(series.study_uid(), "SEG").len(), 1);
    let runs: Vec<Value> = hilum.runs(series.study_uid());
    assert_eq!(runs[0]["state"], "succeeded");
    // Also the key that signs the trail's seals came with the backup.
    let verified = hilum.api().post(verify, &Value::Null).json();
    assert_eq!(verified["intact"], true, "{verified}");
    assert_eq!(verified["key"], signs);
    hilum.ends_sound();
}

/// A small disk; unmounted when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with the reason in the output, where this user may not mount.
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    fn new(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let output = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path()));
        if output.status.success() {
            return Some(Self(folder));
        }
        eprintln!(
            "SKIPPED: a full disk needs a mount, and mounting needs root: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_acknowledged_and_is_survived() {
    let Some(disk) = SmallDisk::new(24) else {
        return;
    };
    let data = disk.0.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let hilum = hilum().on_data(&data).start();
    let key = key(&hilum, "a", Role::Integration);
    let filler = disk.0.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    let megabyte = vec![1; 1 << 20];
    while file.write_all(&megabyte).is_ok() {}
    let full = file.metadata().unwrap().len();
    file.set_len(full - (1 << 20)).unwrap();
    drop(file);
    // About a megabyte is left: a part of the series fits.
    let series = Series::sample();
    let items: Vec<Value> = series
        .files()
        .iter()
        .map(|file| json!({ "path": file, "part10": true }))
        .collect();
    let statuses = hilum.receives_raw(&[], &items);
    let stored = statuses.iter().filter(|s| **s == Some(0)).count();
    assert!(stored < 20, "the disk was not full");
    for status in &statuses {
        assert!(
            matches!(status, Some(0 | 0xa700..=0xa7ff | 0x0110)),
            "out of resources (PS3.4 §B.2.3): {statuses:x?}"
        );
    }
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&filler)
        .unwrap();
    let block = vec![1; 4_096];
    while file.write_all(&block).is_ok() {}
    drop(file);
    let another = Series::another_study("1.2.3.40", &[]);
    others_are_told_that_there_is_no_room(&hilum, &key, &another.files()[..3]);
    // Nothing is shown that can't be recorded.
    let search = format!("/dicomweb/studies/{}/instances", series.study_uid());
    assert_eq!(hilum.api().get(&search).status, 503);

    std::fs::remove_file(&filler).unwrap();
    assert!(hilum.instances(series.study_uid(), "MR").len() >= stored);
    hilum.takes(&series);
    hilum.input_set_becomes(series.study_uid(), "ready");
    assert_eq!(hilum.instances(series.study_uid(), "MR").len(), 20);
    hilum.is_well();
    hilum.ends_sound();
}

/// An image of so many black frames, 128 KiB each. The file takes little disk:
/// its pixels are a hole.
pub(crate) fn many_frames(folder: &Path, study: &str, frames: u64) -> std::path::PathBuf {
    const FRAME: u64 = 256 * 256 * 2;
    let number = format!("NumberOfFrames={frames}");
    let one = Series::another_study(study, &[&number, "Modality=OT"]);
    let mut head = std::fs::read(one.slice(1)).unwrap();
    head.truncate(head.len() - usize::try_from(FRAME).unwrap() - 4);
    let length = FRAME * frames;
    head.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
    let path = folder.join("frames.dcm");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&head).unwrap();
    file.set_len(u64::try_from(head.len()).unwrap() + length)
        .unwrap();
    path
}

#[test]
#[ignore = "long: moves 3.9 GB, and needs 9 GB of disk"]
fn an_instance_of_4_gigabytes_is_spooled_and_stored_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    // 3.9 GB.
    let file = many_frames(folder.path(), "1.2.3.39", 29_754);
    let hilum = hilum().start();
    let sent = hilum.receives(&[&file]);
    assert!(sent.accepted, "{}", sent.output);
    let instance = hilum.instances("1.2.3.39", "OT").remove(0);
    let uid = |tag: &str| instance[tag]["Value"][0].as_str().unwrap();
    let frame = hilum.api().get_as(
        &format!(
            "/dicomweb/studies/1.2.3.39/series/{}/instances/{}/frames/29754",
            uid("0020000E"),
            uid("00080018")
        ),
        "multipart/related; type=\"application/octet-stream\"",
    );
    assert_eq!(frame.status, 200, "{}", frame.kind);
    let status = std::fs::read_to_string(format!("/proc/{}/status", hilum.process_id())).unwrap();
    let peak_kb: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse().ok())
        .unwrap();
    assert!(peak_kb < 300_000, "peak memory {peak_kb} kB");
    hilum.is_well();
}

//! The erasure of a patient: every file of the data folder is searched for
//! what it could be known by, and for the keys.

use std::path::Path;

use hilum_testkit::{Hilum, Series};
use serde_json::json;

use crate::hilum;

const STUDY: &str = "1.2.826.0.1.3680043.8.498.77001";

/// What names the erased patient and study, as it could stand in any file.
const TRACES: [&str; 8] = [
    "ERASEME-7731",
    "CORRECTED-7732",
    "Zyxwvutian",
    "zyxwvutian",
    "ACC-ZYXW-9",
    "Erasable thorax",
    "19370313",
    STUDY,
];

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found.push((path.display().to_string(), bytes));
            }
        }
    }
    found
}

pub(crate) fn holders(folder: &Path, trace: &[u8]) -> Vec<String> {
    files(folder)
        .into_iter()
        .filter(|(_, bytes)| bytes.windows(trace.len()).any(|part| part == trace))
        .map(|(path, _)| path)
        .collect()
}

/// The wrapped study keys, as they stand in the key store.
pub(crate) fn wrapped_keys(hilum: &Hilum) -> Vec<(Vec<u8>, Vec<u8>)> {
    let output = hilum_testkit::run(
        hilum_testkit::python()
            .arg("-c")
            .arg(
                "import sqlite3, sys\n\
                 db = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True)\n\
                 for id, key in db.execute('SELECT id, wrapped FROM study_key'):\n\
                 \x20   print(id.hex(), key.hex())",
            )
            .arg(hilum.data().join("keys.sqlite")),
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    text.lines()
        .map(|line| {
            let (id, key) = line.split_once(' ').unwrap();
            (bytes(id), bytes(key))
        })
        .collect()
}

#[test]
fn nothing_of_an_erased_patient_is_left_in_any_file() {
    let hilum = hilum().with_fast_model().start();
    let staying = Series::sample();
    let erased = Series::another_study(
        STUDY,
        &[
            "PatientID=ERASEME-7731",
            "PatientName=Zyxwvutian^Quentin",
            "PatientBirthDate=19370313",
            "AccessionNumber=ACC-ZYXW-9",
            "StudyDescription=Erasable thorax",
        ],
    );
    hilum.takes(&staying);
    hilum.takes(&erased);
    hilum.run_becomes(STUDY, "succeeded");
    hilum.run_becomes(staying.study_uid(), "succeeded");
    let path = format!("/api/v1/studies/{STUDY}/corrections");
    let correction =
        json!({"set": {"PatientID": "CORRECTED-7732"}, "reason": "Zyxwvutian was wrong"});
    let answer = hilum.api().post(&path, &correction);
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Truncated in its pixels: no instance, kept in quarantine.
    let whole = std::fs::read(erased.slice(0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.dcm");
    std::fs::write(&cut, &whole[..whole.len() - 4_000]).unwrap();
    let _ = hilum.stow(&[&cut]);

    let keys = wrapped_keys(&hilum);
    for trace in ["Zyxwvutian", "ERASEME-7731", STUDY] {
        assert!(
            !holders(hilum.data(), trace.as_bytes()).is_empty(),
            "the search finds {trace} while it is there"
        );
    }
    let request = json!({"patient_id": "CORRECTED-7732", "issuer": null});
    let answer = hilum.api().post("/api/v1/erasures", &request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let certificate = answer.json();
    assert_eq!(certificate["studies"], 1);
    let destroyed = certificate["keys"].as_array().unwrap();
    assert_eq!(destroyed.len(), 1);

    for trace in TRACES {
        let left = holders(hilum.data(), trace.as_bytes());
        assert!(left.is_empty(), "{trace} is in {left:?}");
    }
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    let gone: Vec<_> = keys
        .iter()
        .filter(|(id, _)| destroyed.iter().any(|key| *key == hex(id)))
        .collect();
    assert_eq!(gone.len(), 1, "the key was there before");
    assert_eq!(holders(hilum.data(), &gone[0].1), Vec::<String>::new());

    // The other patient is whole, and the certificate is kept.
    assert_eq!(hilum.instances(staying.study_uid(), "MR").len(), 20);
    assert_eq!(hilum.api().items("/api/v1/erasures"), [certificate]);
    let again = hilum.api().post("/api/v1/erasures", &request);
    assert_eq!(again.status, 404, "{}", again.text());
    assert!(
        !hilum.receives(erased.files()).accepted,
        "a resend is refused"
    );
    for trace in TRACES {
        let left = holders(hilum.data(), trace.as_bytes());
        assert!(left.is_empty(), "{trace} is in {left:?} after the resend");
    }
    hilum.ends_sound();
}

#[test]
fn a_patient_is_erased_from_the_command_line_serving_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut hilum = hilum().start();
    for patient in ["81", "82", "83"] {
        let id = format!("PatientID=P{patient}");
        hilum.takes(&Series::another_study(&format!("1.2.3.{patient}"), &[&id]));
    }
    let file = folder.path().join("certificate.json");
    let erase = |hilum: &Hilum, patient: &str, more: &[&str]| {
        let certificate = ["--certificate", file.to_str().unwrap()];
        let arguments = [&["erase", "--patient", patient], &certificate[..], more].concat();
        let output = hilum_testkit::run(
            std::process::Command::new(env!("CARGO_BIN_EXE_hilum"))
                .args(arguments)
                .args(hilum.installation()),
        );
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (erased, said) = erase(&hilum, "P81", &[]);
    assert!(!erased && said.contains("--yes"), "{said}");
    assert!(!file.exists());
    let (erased, said) = erase(&hilum, "P81", &["--yes", "--issuer", "somebody"]);
    assert!(!erased && said.contains("issued by \"\""), "{said}");

    let (erased, said) = erase(&hilum, "P81", &["--yes", "--json"]);
    assert!(erased, "{said}");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert_eq!(kept, said, "what is printed is what is kept");
    let certificate: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(certificate["instances"], 20);
    // Its digest is that of the line with the digest left out.
    let digest = certificate["sha256"].as_str().unwrap();
    let unsigned = folder.path().join("unsigned");
    std::fs::write(&unsigned, kept.trim_end().replace(digest, "")).unwrap();
    let summed = hilum_testkit::run(std::process::Command::new("sha256sum").arg(&unsigned));
    assert!(String::from_utf8_lossy(&summed.stdout).starts_with(digest));

    let (erased, said) = erase(&hilum, "P82", &["--yes"]);
    assert!(!erased && said.contains("can't make a new file"), "{said}");
    std::fs::remove_file(&file).unwrap();
    let (erased, said) = erase(&hilum, "P81", &["--yes"]);
    assert!(
        !erased && said.contains("nothing of this patient"),
        "{said}"
    );
    assert!(!file.exists(), "nothing was certified");

    assert!(hilum.terminated().success());
    let (erased, said) = erase(&hilum, "P82", &["--yes"]);
    assert!(erased && said.contains("1 study, 20 images"), "{said}");
    let hilum = hilum.restart();
    assert_eq!(hilum.api().items("/api/v1/erasures").len(), 2);
    let studies = hilum.api().items("/api/v1/studies");
    assert_eq!(studies.len(), 1, "{studies:?}");
    hilum.ends_sound();
}

#[test]
fn a_restored_backup_does_not_bring_an_erased_patient_back() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let hilum = hilum().start();
    let staying = Series::sample();
    hilum.takes(&staying);
    hilum.takes(&Series::another_study(
        STUDY,
        &[
            "PatientID=ERASEME-7731",
            "PatientName=Zyxwvutian^Quentin",
            "PatientBirthDate=19370313",
            "AccessionNumber=ACC-ZYXW-9",
            "StudyDescription=Erasable thorax",
        ],
    ));
    let [kept, away] = ["kept", "away"].map(|name| folder.path().join(name).join("backup"));
    let said = |arguments: &[&str]| {
        let output = hilum.command(arguments);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    let data = text(hilum.data());
    for to in [&kept, &away] {
        said(&["backup", &text(to), "--data", &data]);
    }
    // Not mounted while the patient is erased.
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&away, &elsewhere).unwrap();
    let file = text(&folder.path().join("certificate.json"));
    let [config, path, ..] = hilum.installation();
    let erase = ["erase", "--patient", "ERASEME-7731", "--yes"];
    let erased = said(
        &[
            &erase[..],
            &["--certificate", &file, &config, &path, "--data", &data],
        ]
        .concat(),
    );
    assert!(erased.contains("it was told"), "{erased}");
    assert!(erased.contains("is not reachable"), "{erased}");
    let certificate = hilum.api().items("/api/v1/erasures").remove(0);
    let states: Vec<_> = certificate["backups"].as_array().unwrap().iter().collect();
    assert_eq!(
        states
            .iter()
            .map(|backup| &backup["state"])
            .collect::<Vec<_>>(),
        [&json!("told"), &json!("unreachable")]
    );
    assert_eq!(states[0]["folder"], json!(kept));
    for trace in TRACES {
        assert!(!certificate.to_string().contains(trace), "{trace}");
    }

    let key = "keys/master.key";
    let master = std::fs::read(hilum.data().join(key)).unwrap();
    let restore = |from: &Path, name: &str, more: &[&str]| {
        let to = folder.path().join(name);
        let to_text = text(&to);
        let said = said(&[&["restore", &text(from), "--data", &to_text], more].concat());
        std::fs::create_dir_all(to.join("keys")).unwrap();
        std::fs::write(to.join(key), &master).unwrap();
        (to, said)
    };
    let (told, first) = restore(&kept, "told", &[]);
    assert!(first.contains("1 erasure"), "{first}");
    let (unaware, second) = restore(&elsewhere, "unaware", &[]);
    assert!(second.contains("No erasure after"), "{second}");
    let (given, third) = restore(&elsewhere, "given", &["--erasures", &file]);
    assert!(third.contains("1 erasure"), "{third}");
    // What does not serve first does not take anything out of it either.
    let out = text(&folder.path().join("out"));
    let refused = hilum.command(&["export", &out, "--all", "--data", &text(&given)]);
    assert!(!refused.status.success());
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.contains("erased since"), "{refused}");
    drop(hilum);

    for restored in [&told, &given] {
        assert!(
            !holders(restored, b"Zyxwvutian").is_empty(),
            "the search finds it"
        );
        let hilum = crate::hilum().on_data(restored).start();
        for trace in TRACES {
            let left = holders(restored, trace.as_bytes());
            assert!(left.is_empty(), "{trace} is in {left:?}");
        }
        let study = hilum.api().get(&format!("/api/v1/studies/{STUDY}"));
        assert_eq!(study.status, 404, "{}", study.text());
        assert_eq!(hilum.instances(staying.study_uid(), "MR").len(), 20);
        for key in wrapped_keys(&hilum) {
            let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(
                !certificate["keys"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(hex))
            );
        }
        hilum.ends_sound();
    }
    let hilum = crate::hilum().on_data(&unaware).start();
    assert_eq!(hilum.instances(STUDY, "MR").len(), 20);
}

//! Hilum as it stands on a network: HTTP and DICOM over TLS, devices known by
//! their certificates, commands beside it, certificates renewed while it serves.

use std::path::{Path, PathBuf};
use std::process::Command;

use hilum_testkit::{Hilum, Series, Setup, Storescp, python, run, storescu, wait_until};

use crate::hilum;

/// A certificate for `localhost` that is its own authority.
struct Certificate {
    file: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn new(folder: &Path, name: &str) -> Self {
        Self::with(folder, name, &[])
    }

    /// One that is no authority of others.
    fn of_peer(folder: &Path, name: &str) -> Self {
        let extension = "basicConstraints=critical,CA:FALSE";
        Self::with(folder, name, &["-addext", extension])
    }

    fn with(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let this = Self {
            file: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        let output = run(Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2",
            ])
            .args(["-subj", &format!("/CN={name}")])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(arguments)
            .arg("-keyout")
            .arg(&this.key)
            .arg("-out")
            .arg(&this.file));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        this
    }

    /// SHA-256, in hexadecimal with colons, as openssl says it.
    fn fingerprint(&self) -> String {
        let output = run(Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(&self.file));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.trim().split_once('=').unwrap().1.to_owned()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Serves with `served`, and knows the device `CT1` of tenant `a` by `device`.
fn exposed(served: &Certificate, device: &Certificate) -> Setup {
    let known = device.fingerprint();
    hilum()
        .with_setting(
            "tls",
            format!(
                "{{ certificate = {:?}, key = {:?} }}",
                served.file, served.key
            ),
        )
        .with_setting("dicom_tls", true)
        .with_setting(
            "identity",
            "{ public_url = \"https://localhost\", unknown_devices = \"reject\" }",
        )
        .with_setting(
            "devices",
            format!("[{{ ae_title = \"CT1\", tenant = \"a\", certificate_sha256 = \"{known}\" }}]"),
        )
}

/// Whether storescu's instance is taken, and what storescu said.
fn sends(hilum: &Hilum, options: &[&str]) -> (bool, String) {
    let options = [&["-aet", "CT1"], options].concat();
    let mut command = storescu(hilum.dicom(), "HILUM_A", &options);
    let output = run(command.arg(&Series::sample().files()[0]));
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_browser_comes_over_tls_and_runs_into_the_limits_and_commands_still_work() {
    let folder = tempfile::tempdir().unwrap();
    let served = Certificate::new(folder.path(), "served");
    let hilum = exposed(&served, &served).start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/exposed_session.py");
    let output = run(python()
        .arg(script)
        .arg(hilum.data().join("run.json"))
        .arg(&served.file));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let (storage, good) = hilum.command_json(&["storage"]);
    assert!(good, "{storage}");
    // It is for two days.
    let (report, _) = hilum.command_json(&["doctor"]);
    let checks = report["checks"].as_array().unwrap();
    let certificate = checks
        .iter()
        .find(|one| one["what"] == "certificate")
        .unwrap();
    assert_eq!(certificate["finding"], "warning", "{certificate}");
    hilum.ends_sound();
}

#[test]
fn a_device_is_known_by_its_certificate_and_rejected_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let [served, device, thief] =
        ["served", "device", "thief"].map(|name| Certificate::new(folder.path(), name));
    let hilum = exposed(&served, &device).start();
    let trusted = ["+cf", text(&served.file)];
    let shows = |shown: &Certificate| {
        let options = [&["+tls", text(&shown.key), text(&shown.file)], &trusted[..]].concat();
        sends(&hilum, &options)
    };
    let (taken, said) = shows(&device);
    assert!(taken, "{said}");
    for (taken, said) in [
        shows(&thief),
        sends(&hilum, &[&["+tla"], &trusted[..]].concat()),
    ] {
        assert!(!taken, "{said}");
        // Result 1, source 1, reason 3 (PS3.8 §9.3.4).
        assert!(said.contains("Calling AE Title Not Recognized"), "{said}");
    }
    let (taken, said) = sends(&hilum, &[]);
    assert!(!taken, "in clear: {said}");
    let unknown = hilum.api().items("/api/v1/devices/unknown");
    let shown: Vec<_> = unknown
        .iter()
        .filter_map(|one| one["certificate_sha256"].as_str())
        .collect();
    let expected = thief.fingerprint().replace(':', "").to_lowercase();
    assert_eq!(shown, [expected], "{unknown:?}");
    hilum.ends_sound();
}

#[test]
fn a_certificate_that_was_renewed_is_served_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let [served, renewed] = ["served", "renewed"].map(|name| Certificate::new(folder.path(), name));
    let hilum = exposed(&served, &renewed).start();
    let by = |trusted: &Certificate| {
        let shown = ["+tls", text(&renewed.key), text(&renewed.file)];
        sends(
            &hilum,
            &[&shown, &["+cf", text(&trusted.file)][..]].concat(),
        )
    };
    let old = folder.path().join("old.pem");
    std::fs::copy(&served.file, &old).unwrap();
    let before = Certificate {
        file: old,
        key: served.key.clone(),
    };
    let (taken, said) = by(&before);
    assert!(taken, "{said}");
    std::fs::copy(&renewed.key, &served.key).unwrap();
    std::fs::copy(&renewed.file, &served.file).unwrap();
    wait_until("the new certificate is served", 30, || {
        by(&renewed).0.then_some(())
    });
    let (taken, said) = by(&before);
    assert!(!taken, "{said}");
    hilum.ends_sound();
}

#[test]
fn results_are_delivered_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let served = Certificate::new(folder.path(), "served");
    let pacs = Certificate::of_peer(folder.path(), "pacs");
    let storescp = Storescp::up_over_tls(&pacs.file, &pacs.key, &served.file);
    let destination = format!(
        "[{{ name = \"pacs\", tenant = \"a\", ae_title = \"PACS\", address = \"{}\", tls_ca = {:?} }}]",
        storescp.address(),
        pacs.file
    );
    let hilum = hilum()
        .with_fast_model()
        .with_setting(
            "tls",
            format!(
                "{{ certificate = {:?}, key = {:?} }}",
                served.file, served.key
            ),
        )
        .with_setting("destinations", destination)
        .start();
    let series = Series::sample();
    hilum.takes(&series);
    hilum.run_becomes(series.study_uid(), "succeeded");
    wait_until("the results are delivered over TLS", 60, || {
        let deliveries = hilum.deliveries(series.study_uid());
        let delivered = deliveries.iter().all(|one| one["state"] == "delivered");
        (!deliveries.is_empty() && delivered).then_some(())
    });
    assert!(!storescp.received().is_empty());
    hilum.ends_sound();
}

#[test]
fn the_demo_stays_on_this_machine_whatever_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let served = Certificate::new(folder.path(), "served");
    let pacs = Storescp::up();
    let config = folder.path().join("hilum.toml");
    let settings = format!(
        "http = \"0.0.0.0:443\"\ndicom = \"0.0.0.0:2762\"\ndicom_tls = true\n\
         identity.public_url = \"https://hilum.example\"\nquiet_seconds = 0.5\n\
         [tls]\ncertificate = {:?}\nkey = {:?}\n\
         [[destinations]]\nname = \"pacs\"\ntenant = \"default\"\nae_title = \"PACS\"\n\
         address = \"{}\"\n",
        served.file,
        served.key,
        pacs.address()
    );
    std::fs::write(&config, settings).unwrap();
    let demo = |arguments: &[&str]| {
        run(Command::new(env!("CARGO_BIN_EXE_hilum"))
            .args(["demo", "--exit", "--json", "--config", text(&config)])
            .args(arguments)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")))
    };
    let output = demo(&["--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("this machine only"), "{said}");
    let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let url = outcome["study_url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert!(
        pacs.received().is_empty(),
        "a PACS got a result of the demo"
    );

    let refused = demo(&["--http", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("this machine only"), "{said}");
    assert!(!refused.status.success());
}

//! The master key changes, and the archive opens at every moment.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

use hilum_testkit::{Hilum, Series, run};

use crate::hilum;

const OLD: &str = "11";
const NEW: &str = "22";

/// A command on this installation, with these variables.
fn command(hilum: &Hilum, arguments: &[&str], variables: &[(&str, String)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hilum"));
    command.args(arguments).args(hilum.installation());
    for name in ["HILUM_MASTER_KEY", "HILUM_NEW_MASTER_KEY", "ARCHIVE_STEP"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    run(&mut command)
}

fn rotates(hilum: &Hilum, variables: &[(&str, String)]) -> bool {
    command(hilum, &["keys", "rotate-master"], variables)
        .status
        .success()
}

/// Whether a rotation with these variables died at its step.
fn dies(hilum: &Hilum, variables: &[(&str, String)]) -> bool {
    let output = command(hilum, &["keys", "rotate-master"], variables);
    output.status.signal() == Some(9)
}

fn opens(hilum: &Hilum, variables: &[(&str, String)]) -> bool {
    command(hilum, &["verify"], variables).status.success()
}

#[test]
fn a_rotation_killed_at_any_step_leaves_one_key_that_opens() {
    let mut hilum = hilum().start();
    hilum.takes(&Series::sample());
    assert!(hilum.terminated().success());
    let file = hilum.data().join("keys/master.key");
    let kill = |step: &str| ("ARCHIVE_STEP", format!("{step}=kill@1"));

    // The key file: before the commit the old key, then the new one.
    for (step, changes) in [
        ("keys.next-written", false),
        ("keys.rewrapped", false),
        ("keys.rotated", true),
        ("keys.next-named", true),
    ] {
        let before = std::fs::read(&file).unwrap();
        assert!(dies(&hilum, &[kill(step)]), "{step}");
        assert!(opens(&hilum, &[]), "{step}");
        let changed = std::fs::read(&file).unwrap() != before;
        assert_eq!(changed, changes, "{step}");
        assert!(
            !hilum.data().join("keys/master.key.next").exists(),
            "{step}"
        );
    }

    // The environment: from the file to a key, from that to another.
    let old = |name| (name, OLD.repeat(32));
    let new = |name| (name, NEW.repeat(32));
    assert!(rotates(&hilum, &[old("HILUM_NEW_MASTER_KEY")]));
    assert!(!file.exists());
    let both = [old("HILUM_MASTER_KEY"), new("HILUM_NEW_MASTER_KEY")];
    let with = |step| [both.as_slice(), &[kill(step)]].concat();
    assert!(dies(&hilum, &with("keys.rewrapped")));
    assert!(opens(&hilum, &[old("HILUM_MASTER_KEY")]));
    assert!(dies(&hilum, &with("keys.rotated")));
    assert!(!opens(&hilum, &[old("HILUM_MASTER_KEY")]));
    assert!(opens(&hilum, &[new("HILUM_MASTER_KEY")]));
    assert!(rotates(&hilum, &both), "who does not know runs it again");

    // And back into a file.
    let back = command(
        &hilum,
        &["keys", "rotate-master", "--to-file"],
        &[new("HILUM_MASTER_KEY")],
    );
    assert!(back.status.success());
    assert!(opens(&hilum, &[]));
}

#[test]
fn the_key_file_is_rotated_while_images_arrive() {
    let hilum = hilum().start();
    let series = Series::sample();
    hilum.takes(&series);
    let before = std::fs::read(hilum.data().join("keys/master.key")).unwrap();
    let (answer, well) = hilum.command_json(&["keys", "rotate-master"]);
    assert!(well, "{answer}");
    // Two tenants, and the installation, whose key seals the one that signs.
    assert_eq!(answer["tenants"], 3);
    assert_ne!(
        std::fs::read(hilum.data().join("keys/master.key")).unwrap(),
        before
    );
    // A tenant that comes afterwards has its key under the new one.
    let sent = hilum.receives_for("HILUM_B", series.files());
    assert!(sent.accepted, "{}", sent.output);
    let hilum = hilum.killed_and_restarted();
    assert_eq!(hilum.instances(series.study_uid(), "MR").len(), 20);
    hilum.ends_sound();
}

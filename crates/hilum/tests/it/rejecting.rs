//! Rejection notes as other people's software writes, sends and reads them.

use hilum_testkit::{Series, python, run};

use crate::hilum;

#[test]
fn a_rejection_note_hides_what_it_names_and_its_series_is_judged_anew() {
    let hilum = hilum()
        .with_fast_model()
        .with_setting("archive.settle_seconds", 1)
        .start();
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes(&series);
    hilum.run_becomes(study, "succeeded");

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rejection_session.py");
    let dicom = hilum.dicom();
    let output = run(python()
        .arg(script)
        .args([
            hilum.url(),
            dicom.ip().to_string(),
            dicom.port().to_string(),
        ])
        .arg(series.files()[1].parent().unwrap())
        .env("HILUM_TOKEN", hilum.api().operator_token()));
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // A run of what was left took the place of the first.
    hilum.run_becomes(study, "superseded");
    hilum.ends_sound();
}

//! The web application and the viewer in a real browser: what a person would
//! stumble over fails (see `web/e2e/run.mjs`).

use std::process::Command;

use hilum_testkit::Series;

use crate::hilum;

#[test]
fn a_person_walks_through_the_application_and_sees_the_mask_in_the_viewer() {
    let hilum = hilum().with_shipped_models().start();
    let series = Series::sample();
    hilum.takes(&series);
    hilum.run_becomes(series.study_uid(), "succeeded");

    let web = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    assert!(
        web.join("dist/index.html").is_file() && web.join("node_modules").is_dir(),
        "the web application is not built: run `make web`"
    );
    let output = Command::new("node")
        .arg("e2e/run.mjs")
        .current_dir(web)
        .env("HILUM_URL", hilum.url())
        .env("HILUM_STUDY", series.study_uid())
        .output()
        .expect("node runs (`make test-deps` installs it)");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

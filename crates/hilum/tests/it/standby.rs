//! Two processes of Imaging on one database and one bucket: one works, the other
//! stands by, and either may end at any time.

use hilum_testkit::{Cluster, Place, S3, Series};
use serde_json::Value;

fn has_results(cluster: &Cluster, study: &str) {
    hilum_testkit::wait_until("its results are there", 90, || {
        let path = format!("/api/v1/runs?study={study}");
        let runs = cluster.api("inference").try_get(&path)?.json();
        let is = |run: &Value| run["state"] == "succeeded";
        runs["items"].as_array()?.iter().any(is).then_some(())
    });
}

fn count(cluster: &Cluster, study: &str) -> usize {
    let path = format!("/dicomweb/studies/{study}/instances?Modality=MR");
    let found = cluster.api("imaging").get(&path);
    assert_eq!(found.status, 200, "{}", found.text());
    found.json().as_array().unwrap().len()
}

#[test]
fn one_works_and_the_other_takes_over_whichever_way_the_first_ends() {
    let (place, bucket) = (Place::pooled(), S3::up());
    let database = place.database().unwrap();
    let settings = format!(
        "database = {{ url_file = {:?}, owner_url_file = {:?} }}\nobjects = {}",
        database.url_file,
        database.owner_url_file.unwrap(),
        bucket.setting()
    );
    let mut cluster = Cluster::over_relays(env!("CARGO_BIN_EXE_hilum"), &settings).started();
    let [first, second, third] =
        ["1.2.3.91", "1.2.3.92", "1.2.3.93"].map(|study| Series::another_study(study, &[]));
    cluster.takes(&first);
    has_results(&cluster, "1.2.3.91");

    // It dies.
    let spare = cluster.stands_by("imaging");
    cluster.takes(&second);
    cluster.kill("imaging");
    cluster.is_followed_by(spare);
    assert_eq!(count(&cluster, "1.2.3.91"), 20);
    assert_eq!(count(&cluster, "1.2.3.92"), 20);
    has_results(&cluster, "1.2.3.92");

    // The one that died is there again and stands by, and the other is stopped.
    let spare = cluster.stands_by("imaging");
    cluster.terminate("imaging");
    cluster.is_followed_by(spare);
    cluster.takes(&third);
    has_results(&cluster, "1.2.3.93");
    for study in ["1.2.3.91", "1.2.3.92", "1.2.3.93"] {
        assert_eq!(count(&cluster, study), 20);
    }
    cluster.kill("imaging");
    let verified = cluster.command("imaging", &["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

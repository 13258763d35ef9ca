//! Images in, a result back: what a scanner sends becomes SEG and SR that
//! DICOMweb serves and that others' nodes receive.

use hilum_testkit::{MailServer, Orthanc, Series, Storescp, Webhook, wait_until};
use serde_json::{Value, json};

use crate::hilum;

const SEG: &str = "1.2.840.10008.5.1.4.1.1.66.4";

fn delivered(delivery: &Value) -> bool {
    delivery["state"] == "delivered"
}

/// The value of a QIDO-RS attribute.
fn attribute<'a>(instance: &'a Value, tag: &str) -> &'a str {
    instance[tag]["Value"][0].as_str().unwrap_or_default()
}

#[test]
fn the_sample_series_gives_the_brain_volume_and_everybody_receives_it() {
    let (storescp, orthanc) = (Storescp::up(), Orthanc::up());
    let hilum = hilum()
        .with_shipped_models()
        .delivering_to("pacs", "PACS", storescp.address())
        .delivering_to("orthanc", "ORTHANC", orthanc.address())
        .start();
    let series = Series::sample();
    let study = series.study_uid();
    hilum.takes(&series);

    let ready = hilum.input_set_becomes(study, "ready");
    assert_eq!(ready["reason_code"], "association-released");
    assert_eq!(ready["instance_count"], 20);
    let reason = ready["reason"].as_str().unwrap();
    assert!(
        reason.contains("released its association") && reason.contains("0.4 s"),
        "{reason}"
    );

    let run = hilum.run_becomes(study, "succeeded");
    let volume = run["measurements"][0]["value"].as_f64().unwrap();
    assert!((volume - 1292.5).abs() < 0.1, "{volume}");
    assert_eq!(run["not_for_clinical_use"], true);
    assert!(
        !run["warnings"].as_array().unwrap().is_empty(),
        "the sample is outside the model's intended use, and the run says so"
    );
    assert_eq!(
        hilum.runs(study).len(),
        1,
        "only the model that starts by itself"
    );

    let (seg, sr) = (hilum.instances(study, "SEG"), hilum.instances(study, "SR"));
    assert_eq!((seg.len(), sr.len()), (1, 1));
    assert_eq!(attribute(&seg[0], "00080016"), SEG);
    let path = format!(
        "/dicomweb/studies/{study}/series/{}/instances/{}",
        attribute(&seg[0], "0020000E"),
        attribute(&seg[0], "00080018")
    );
    let file = hilum.api().get_as(
        &path,
        "multipart/related; type=\"application/dicom\"; transfer-syntax=*",
    );
    assert_eq!(file.status, 200);
    assert!(file.body.windows(4).any(|bytes| bytes == b"DICM"));

    wait_until("both destinations have the results", 30, || {
        let deliveries = hilum.deliveries(study);
        (deliveries.len() == 2 && deliveries.iter().all(delivered)).then_some(())
    });
    assert_eq!(orthanc.modalities(), ["SEG", "SR"]);
    assert_eq!(orthanc.tags("SEG")[0]["StudyInstanceUID"], study);
    assert_eq!(storescp.received().len(), 2);
    hilum.ends_sound();
}

#[test]
fn a_destination_that_is_down_gets_its_results_when_it_is_up() {
    let mut storescp = Storescp::down();
    let hilum = hilum()
        .with_fast_model()
        .delivering_to("pacs", "PACS", storescp.address())
        .start();
    let series = Series::sample();
    hilum.takes(&series);
    let study = series.study_uid();
    hilum.run_becomes(study, "succeeded");
    let failed = wait_until("the delivery has failed once", 20, || {
        hilum
            .deliveries(study)
            .into_iter()
            .find(|delivery| delivery["attempts"].as_i64() >= Some(1))
    });
    assert_eq!(failed["state"], "waiting");
    assert!(failed["reason"].is_string(), "{failed}");

    storescp.comes_up();
    wait_until("the results are delivered", 30, || {
        hilum.deliveries(study).iter().all(delivered).then_some(())
    });
    assert_eq!(storescp.received().len(), 2);
}

#[test]
fn results_go_to_another_s_dicomweb_server_and_a_webhook_is_told_of_them_once() {
    let orthanc = Orthanc::up_with(&json!({}));
    let mut webhook = Webhook::down();
    let hilum = hilum()
        .with_fast_model()
        .delivering(
            "web",
            &format!("stow = \"http://{}/dicom-web/\"", orthanc.api().0),
        )
        .delivering(
            "ris",
            &format!(
                "webhook = \"{}\"\nsecret_file = \"{}\"",
                webhook.url(),
                webhook.secret_file().display()
            ),
        )
        .start();
    let series = Series::sample();
    hilum.takes(&series);
    let study = series.study_uid();
    let run = hilum.run_becomes(study, "succeeded");
    let of = |name: &str| {
        let deliveries = hilum.deliveries(study);
        let found = deliveries
            .into_iter()
            .find(|one| one["destination"] == name);
        found.unwrap_or_default()
    };
    wait_until("Orthanc has the results", 30, || {
        delivered(&of("web")).then_some(())
    });
    assert_eq!(orthanc.modalities(), ["SEG", "SR"]);
    assert_eq!(orthanc.tags("SR")[0]["StudyInstanceUID"], study);
    let failed = wait_until("nobody took the message", 20, || {
        Some(of("ris")).filter(|one| one["attempts"].as_i64() >= Some(1))
    });
    assert_eq!(failed["state"], "waiting");
    assert_eq!(failed["reason"], "ris: it could not be reached.");

    // Its first answer says that it is busy: it is told again, by the same id.
    webhook.comes_up(503);
    wait_until("the webhook took the message", 30, || {
        delivered(&of("ris")).then_some(())
    });
    let told = webhook.told();
    let answered: Vec<_> = told.iter().map(|one| &one["answered"]).collect();
    assert_eq!(answered, [503, 204]);
    assert_eq!(told[0]["id"], told[1]["id"]);
    let message = &told[1]["message"];
    assert_eq!(message["type"], "results.published");
    assert_eq!(message["data"]["study_uid"], study);
    assert_eq!(message["data"]["run"], run["id"]);
    assert_eq!(message["data"]["instances"].as_array().unwrap().len(), 2);
    let path = message["data"]["path"].as_str().unwrap();
    assert_eq!(hilum.api().get(&format!("{path}/metadata")).status, 200);
    assert!(!message.to_string().contains("Patient"), "{message}");
    let kinds = hilum.api().items("/api/v1/destinations");
    let kinds: Vec<_> = kinds.iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["stow", "webhook"]);
}

#[test]
fn what_refuses_for_good_is_not_asked_again_and_says_why() {
    let orthanc = Orthanc::up_with(&json!({}));
    let mut webhook = Webhook::down();
    webhook.comes_up(410);
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("secret");
    std::fs::write(&other, "whsec_b3RoZXIgd29yZHMgb2YgdHdlbnR5LWZvdXIh\n").unwrap();
    let hook = |secret: &std::path::Path| {
        format!(
            "webhook = \"{}\"\nsecret_file = \"{}\"",
            webhook.url(),
            secret.display()
        )
    };
    let hilum = hilum()
        .with_fast_model()
        .delivering(
            "nowhere",
            &format!("stow = \"http://{}/none\"", orthanc.api().0),
        )
        .delivering("gone", &hook(&webhook.secret_file()))
        .delivering("unsigned", &hook(&other))
        .start();
    let series = Series::sample();
    hilum.takes(&series);
    let given_up = wait_until("all were given up", 30, || {
        let all = hilum.deliveries(series.study_uid());
        let is_over = all.len() == 3 && all.iter().all(|one| one["state"] == "given-up");
        is_over.then_some(all)
    });
    for (name, status) in [("nowhere", "404"), ("gone", "410"), ("unsigned", "401")] {
        let one = given_up.iter().find(|one| one["destination"] == name);
        let reason = one.unwrap()["reason"].as_str().unwrap();
        let expected = format!("{name} refused it ({status}). Change its settings, then retry.");
        assert_eq!(reason, expected);
    }

    // They are listed with their study, and start anew when a person says so.
    let jobs = |state: &str| {
        let path = format!("/api/v1/jobs?state={state}");
        let list = hilum.api().get(&path).json();
        list["items"].as_array().unwrap().clone()
    };
    let dead = jobs("dead");
    let mut listed: Vec<_> = dead
        .iter()
        .map(|job| job["what"].as_str().unwrap())
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, ["to gone", "to nowhere", "to unsigned"]);
    for job in &dead {
        assert_eq!(job["service"], "integration");
        assert_eq!(job["study_uid"], series.study_uid());
        let reason = job["reason"].as_str().unwrap();
        assert!(reason.contains("refused it"), "{reason}");
    }
    let (shown, ok) = hilum.command_json(&["jobs", "list"]);
    assert!(
        ok && shown["items"].as_array().unwrap().len() == 3,
        "{shown}"
    );
    let gone = dead.iter().find(|job| job["what"] == "to gone").unwrap();
    let id = gone["id"].as_str().unwrap();
    let (answer, ok) = hilum.command_json(&["jobs", "replay", id]);
    assert!(ok, "{answer}");
    assert_eq!(answer["started"], json!([id]));
    wait_until("the webhook was told after all", 30, || {
        let all = hilum.deliveries(series.study_uid());
        let told = |one: &Value| one["destination"] == "gone" && delivered(one);
        all.iter().any(told).then_some(())
    });
    assert_eq!(jobs("dead").len(), 2);
    let (answer, ok) = hilum.command_json(&["jobs", "replay", id]);
    assert!(!ok, "started twice: {answer}");
    let (answer, ok) = hilum.command_json(&["jobs", "replay", "--all"]);
    assert!(
        ok && answer["started"].as_array().unwrap().len() == 2,
        "{answer}"
    );
    wait_until("what still refuses is given up again", 30, || {
        (jobs("dead").len() == 2).then_some(())
    });
}

#[test]
fn people_are_told_by_mail_of_the_models_that_they_asked_for_and_of_no_patient() {
    let mut server = MailServer::down();
    let mail = format!(
        "{{ server = \"localhost\", port = {}, tls = \"none\", from = \"Hilum <hilum@example.org>\" }}",
        server.address().port()
    );
    let told = |model: &str| format!("mail = \"{model}@example.org\"\nmodels = [\"{model}\"]");
    let hilum = hilum()
        .with_fast_model()
        .with_setting("mail", mail)
        .with_setting("identity.public_url", "\"https://hilum.example.org/\"")
        .delivering("readers", &told("brain-mask-small"))
        .delivering("others", &told("another-model"))
        .start();
    let study = "1.2.3.90";
    let patient = ["PatientID=Secret-90", "PatientName=Secret^Name"];
    hilum.takes(&Series::another_study(study, &patient));
    wait_until("a try failed, for no mail server is there", 30, || {
        let all = hilum.deliveries(study);
        let tried = |one: &Value| one["attempts"].as_u64() > Some(0);
        all.iter().any(tried).then_some(())
    });
    server.comes_up();
    let all = wait_until("the mail was sent", 60, || {
        let all = hilum.deliveries(study);
        all.iter().any(delivered).then_some(all)
    });
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["destination"], "readers");
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(mails[0]["to"][0], "brain-mask-small@example.org");
    let body = mails[0]["body"].as_str().unwrap();
    assert!(
        body.contains(&format!("https://hilum.example.org/studies/{study}")),
        "{body}"
    );
    assert!(!mails[0].to_string().contains("Secret"));
}

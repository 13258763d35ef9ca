//! Identifiers of everything that an address can name.

use std::collections::BTreeMap;

use hilum_testkit::{As, Hilum, OIDC_SECRET, OidcProvider, Series, wait_until};
use serde_json::{Value, json};

use crate::attacks::{browser, person};

/// Real identifiers of a tenant, by the names that addresses use.
pub(super) struct Names(pub(super) BTreeMap<&'static str, String>);

impl Names {
    pub(super) fn value(&self, name: &str) -> &str {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no identifier for {{{name}}}: the test must learn it"))
    }

    /// The address with these identifiers in it.
    pub(super) fn fill(&self, path: &str) -> String {
        let id = self.id_of(path);
        let parts = path.split('/').map(|part| {
            match part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            {
                Some("id") => self.value(id).to_owned(),
                Some(name) => self.value(name).to_owned(),
                None => part.to_owned(),
            }
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Learns an instance's real identifiers.
    pub(super) fn knows(&mut self, study: &str, series: &str, instance: &str) {
        for (name, uid) in [
            ("study", study),
            ("study_uid", study),
            ("series", series),
            ("series_uid", series),
            ("instance", instance),
            ("sop_instance_uid", instance),
        ] {
            self.0.insert(name, uid.to_owned());
        }
    }

    /// Of what the `{id}` of an address is the id.
    fn id_of(&self, path: &str) -> &'static str {
        let of = [
            ("/instance-conflicts/", "instance_conflict"),
            ("/patient-conflicts/", "patient_conflict"),
            ("/quarantine/", "quarantine"),
            ("/holds/", "hold"),
            ("/patient-merges/", "merge"),
            ("/exports/", "export"),
            ("/imports/", "import"),
            ("/input-sets/", "input_set"),
            ("/runs/", "run"),
            ("/deliveries/", "delivery"),
            ("/destinations/", "destination"),
            ("/jobs/", "job"),
            ("/keys/", "key"),
            ("/devices/unknown/", "unknown_device"),
            ("/devices/", "device"),
            ("/people/", "person"),
            ("/account/sessions/", "session"),
            ("/invitations/", "invitation"),
            ("/break-glass/", "break_glass"),
            ("/sign-in-providers/", "provider"),
            ("/auth/oidc/", "provider"),
        ];
        let found = of.iter().find(|(part, _)| path.contains(part));
        match found {
            Some((_, name)) => name,
            None if path.contains("{id}") => panic!("{path}: of what is {{id}} the id?"),
            None => "",
        }
    }
}

/// Identifiers that name nothing anywhere.
pub(super) fn nothing() -> Names {
    let uuid = || "01890000-0000-7000-8000-000000000000".to_owned();
    let uid = || "9.9.9".to_owned();
    let number = || "999999".to_owned();
    Names(BTreeMap::from([
        ("study", uid()),
        ("series", uid()),
        ("instance", uid()),
        ("study_uid", uid()),
        ("series_uid", uid()),
        ("sop_instance_uid", uid()),
        ("frames", "1".to_owned()),
        ("path", "7FE00010".to_owned()),
        ("patient_id", "NOBODY".to_owned()),
        ("consumer", "imaging".to_owned()),
        ("event_id", uuid()),
        ("service", "integration".to_owned()),
        ("job", uuid()),
        ("instance_conflict", number()),
        ("patient_conflict", uuid()),
        ("quarantine", number()),
        ("hold", number()),
        ("merge", number()),
        ("export", uuid()),
        ("import", uuid()),
        ("input_set", uuid()),
        ("run", uuid()),
        ("delivery", uuid()),
        ("destination", uuid()),
        ("key", uuid()),
        ("unknown_device", uuid()),
        ("device", uuid()),
        ("person", uuid()),
        ("session", uuid()),
        ("invitation", uuid()),
        ("break_glass", uuid()),
        ("provider", uuid()),
    ]))
}

/// Tenant `a` with one of everything that an address can name.
pub(super) fn tenant_with_everything(hilum: &Hilum) -> Names {
    let api = hilum.api();
    let study = "1.2.826.0.1.3680043.8.498.7001";
    let named = [
        "PatientName=Secret^Anna",
        "PatientID=A-4711",
        "PatientBirthDate=19700101",
    ];
    let series = Series::another_study(study, &named);
    hilum.takes(&series);
    let run = hilum.run_becomes(study, "succeeded");
    let delivery = wait_until("a delivery", 60, || hilum.deliveries(study).pop());
    let input_set = hilum.input_sets(study).pop().unwrap();
    let instance = hilum.instances(study, "MR").pop().unwrap();
    let uid = |tag: &str| instance[tag]["Value"][0].as_str().unwrap().to_owned();

    // Another person by the same id, and another content by the same UID.
    let born = [
        "PatientName=Secret^Anna",
        "PatientID=A-4711",
        "PatientBirthDate=19010203",
    ];
    let other_study = "1.2.826.0.1.3680043.8.498.7002".to_owned();
    let other = Series::another_study(&other_study, &born);
    hilum.takes(&other);
    hilum.run_becomes(&other_study, "succeeded");
    wait_until("its delivery is held", 60, || {
        hilum.deliveries(&other_study).pop()
    });
    let patient_conflict = wait_until("a conflict of patients", 30, || {
        api.items("/api/v1/patient-conflicts").pop()
    });
    let changed = series.with_other_pixels();
    let sent = hilum.receives(&changed.files()[..1]);
    assert!(sent.accepted, "{}", sent.output);
    let instance_conflict = wait_until("a conflict of contents", 30, || {
        api.items("/api/v1/instance-conflicts").pop()
    });
    let junk = hilum.data().join("../junk");
    std::fs::write(&junk, b"no instance at all").unwrap();
    let refused = hilum.stow(&[&junk]);
    assert_eq!(refused.status, 409, "{}", refused.text());
    let quarantine = wait_until("a refusal", 30, || api.items("/api/v1/quarantine").pop());

    let done = |method: &str, path: &str, body: Value| {
        let answer = api.send(method, path, As::Operator("a"), Some(&body));
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer.json()
    };
    let hold = done(
        "POST",
        "/api/v1/holds",
        json!({ "study_uid": study, "reason": "a court asks" }),
    );
    let export = "01890000-0000-7000-8000-00000000000e";
    done(
        "POST",
        &format!("/api/v1/exports/{export}"),
        json!({ "extent": "studies", "as_received": false, "studies": 1 }),
    );
    let merge = done(
        "POST",
        "/api/v1/patient-merges",
        json!({ "prior": { "id": "A-1" }, "surviving": { "id": "A-2" }, "reason": "the same" }),
    );
    let invitation = done(
        "POST",
        "/api/v1/invitations",
        json!({ "email": "anna@example.org", "role": "radiologist" }),
    );
    let key = done(
        "POST",
        "/api/v1/keys",
        json!({ "name": "pacs", "role": "integration" }),
    );
    let (person, session, break_glass) = somebody(hilum);
    let provider = OidcProvider::up("http://127.0.0.1/auth/oidc/callback");
    let provider = done(
        "POST",
        "/api/v1/sign-in-providers",
        json!({ "name": "Secret clinic", "issuer": provider.issuer(), "client_id": "hilum",
                "client_secret": OIDC_SECRET }),
    );
    // Paused, so that nothing goes there meanwhile.
    let destination = done(
        "POST",
        "/api/v1/destinations",
        json!({ "name": "Secret clinic", "kind": "webhook", "address": "https://192.0.2.9/hook",
                "paused": true }),
    );
    let device = done(
        "POST",
        "/api/v1/devices",
        json!({ "ae_title": "CT1", "address": "192.0.2.7" }),
    );
    done(
        "PATCH",
        "/api/v1/settings",
        json!({ "unknown_devices": "reject" }),
    );
    let sent = hilum.receives(&series.files()[..1]);
    assert!(
        !sent.accepted,
        "an unknown device is rejected: {}",
        sent.output
    );
    let unknown = wait_until("an unknown device", 10, || {
        let found = api.send("GET", "/api/v1/devices/unknown", As::Operator("a"), None);
        found.json()["items"].as_array()?.first().cloned()
    });

    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => panic!("an identifier is missing"),
        other => other.to_string(),
    };
    let mut names = nothing();
    names.knows(study, &uid("0020000E"), &uid("00080018"));
    names.0.extend([
        ("patient_id", "A-4711".to_owned()),
        ("instance_conflict", text(&instance_conflict["id"])),
        ("patient_conflict", text(&patient_conflict["id"])),
        ("quarantine", text(&quarantine["id"])),
        ("hold", text(&hold["id"])),
        ("merge", text(&merge["id"])),
        ("export", export.to_owned()),
        ("input_set", text(&input_set["id"])),
        ("run", text(&run["id"])),
        ("delivery", text(&delivery["id"])),
        ("key", text(&key["id"])),
        ("destination", text(&destination["id"])),
        ("device", text(&device["id"])),
        ("unknown_device", text(&unknown["id"])),
        ("invitation", text(&invitation["id"])),
        ("person", person),
        ("session", session),
        ("break_glass", break_glass),
        ("provider", text(&provider["id"])),
    ]);
    // An import is called what its sender calls it; a dead letter is made in `events`,
    // and a job that was given up in `results`.
    let invented = [
        "frames", "path", "consumer", "event_id", "service", "job", "import",
    ];
    for (name, value) in nothing().0 {
        let is_real = names.0.get(name) != Some(&value);
        assert!(
            is_real || invented.contains(&name),
            "{name} is not a real one"
        );
    }
    names
}

/// An auditor of tenant `a` who took emergency access: person, session, access.
fn somebody(hilum: &Hilum) -> (String, String, String) {
    let (id, cookie) = person(hilum, "secret@example.org", "auditor");
    let reason = json!({ "reason": "Secret: the emergency of a test" });
    let taken = browser(hilum, "/auth/break-glass", &cookie, &reason);
    assert_eq!(taken.status, 200, "{}", taken.text());
    let one = |path: &str, who: As<'_>| {
        let found = hilum.api().send("GET", path, who, None).json();
        let id = found["items"][0]["id"].as_str();
        id.unwrap_or_else(|| panic!("{path}: {found}")).to_owned()
    };
    let session = one("/api/v1/account/sessions", As::Browser(&cookie));
    let access = one("/api/v1/break-glass", As::Operator("a"));
    (id, session, access)
}

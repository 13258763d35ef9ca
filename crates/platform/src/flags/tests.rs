use std::time::Duration;

use super::*;

const ROLLED_OUT: &str = r#"{ "flags": {
  "model.fast": {
    "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "off",
    "targeting": { "if": [
      { "in": [ { "var": "tenant" }, ["north", "south"] ] }, "on",
      { "==": [ { "var": "tenant" }, "east" ] },
      { "fractional": [ { "var": "targetingKey" }, ["on", 25], ["off", 75] ] },
      null ] } },
  "model.old": { "state": "DISABLED", "variants": { "off": false }, "defaultVariant": "off" }
} }"#;

const KILLED: &str = r#"{ "flags": { "model.fast": {
  "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "off" } } }"#;

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

async fn of(text: &str) -> Result<Flags, FlagsError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Flags::open(Some(file.path())).await
}

#[tokio::test]
async fn a_flag_is_on_for_the_tenants_and_the_part_that_its_rule_names() {
    let flags = of(ROLLED_OUT).await.unwrap();
    for (name, least, most) in [
        ("north", 1.0, 1.0),
        ("south", 1.0, 1.0),
        ("east", 0.15, 0.35),
        ("west", 0.0, 0.0),
    ] {
        let share = flags.share("model.fast", &tenant(name), "1.0.0").await;
        assert!((least..=most).contains(&share), "{name}: {share}");
    }
    // A study stays where it is, whoever asks and how often.
    let east = tenant("east");
    for study_uid in ["1.2.3", "1.2.4", "1.2.5", "1.2.6"] {
        let about = About {
            tenant: &east,
            study_uid,
            version: "1.0.0",
        };
        let again = of(ROLLED_OUT).await.unwrap();
        assert_eq!(
            flags.is_on("model.fast", about).await,
            again.is_on("model.fast", about).await
        );
    }
}

#[tokio::test]
async fn what_nobody_defined_is_on_and_so_is_what_flagd_calls_disabled() {
    let without = Flags::open(None).await.unwrap();
    let flags = of(ROLLED_OUT).await.unwrap();
    let (west, version) = (tenant("west"), "1.0.0");
    assert_eq!(without.share("model.fast", &west, version).await, 1.0);
    assert_eq!(flags.share("model.other", &west, version).await, 1.0);
    assert_eq!(flags.share("model.old", &west, version).await, 1.0);
    assert_eq!(flags.names(), ["model.fast", "model.old"]);
}

#[tokio::test]
async fn flags_that_can_t_be_used_are_refused_with_what_is_wrong() {
    let flag = |rest: &str| {
        format!(
            r#"{{ "flags": {{ "model.fast": {{ "variants": {{ "on": true, "off": false }}, {rest} }} }} }}"#
        )
    };
    for (text, why) in [
        ("{".to_owned(), "EOF"),
        ("{}".to_owned(), "No flag"),
        (flag(r#""state": "OFF", "defaultVariant": "off""#), "ENABLED"),
        (flag(r#""state": "ENABLED", "defaultVariant": "no""#), "defaultVariant"),
        (
            flag(r#""state": "ENABLED", "defaultVariant": "off", "targeting": { "if": [true, "perhaps"] }"#),
            "perhaps",
        ),
        (
            flag(r#""state": "ENABLED", "defaultVariant": "off", "targeting": { "no-such": [1] }"#),
            "targeting",
        ),
        (
            r#"{ "flags": { "model.fast": { "state": "ENABLED", "variants": { "on": 1 }, "defaultVariant": "on" } } }"#.to_owned(),
            "true or false",
        ),
    ] {
        let refused = of(&text).await.err().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|refused| refused.contains(why)), "{text}: {refused:?}");
    }
}

#[tokio::test]
async fn what_is_switched_off_while_serving_is_off_and_a_broken_file_changes_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ROLLED_OUT).unwrap();
    let flags = Flags::open(Some(file.path())).await.unwrap();
    let stop = CancellationToken::new();
    let following = tokio::spawn(flags.clone().follow(stop.clone()));
    let north = tenant("north");
    let about = About {
        tenant: &north,
        study_uid: "1.2.3",
        version: "1.0.0",
    };
    let switched_off = flags.is_switched_off("model.fast", about);
    tokio::pin!(switched_off);
    std::fs::write(file.path(), "{ \"flags\":").unwrap();
    let waited = tokio::time::timeout(FLAGS_READ_AGAIN * 3, &mut switched_off);
    assert!(waited.await.is_err());
    std::fs::write(file.path(), KILLED).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(60), switched_off);
    waited.await.unwrap();
    assert!(!flags.is_on("model.fast", about).await);
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn a_flag_is_switched_off_in_a_hurry_and_back_to_what_it_was() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ROLLED_OUT).unwrap();
    let shares = async || {
        let flags = Flags::open(Some(file.path())).await.unwrap();
        let north = tenant("north");
        [
            flags.share("model.fast", &north, "1.0.0").await,
            flags.share("model.new", &north, "1.0.0").await,
        ]
    };
    for flag in ["model.fast", "model.new"] {
        assert!(switch_off(file.path(), flag).unwrap());
        assert!(!switch_off(file.path(), flag).unwrap(), "it is off already");
    }
    assert_eq!(shares().await, [0.0, 0.0]);
    for flag in ["model.fast", "model.new"] {
        switch_back(file.path(), flag).unwrap();
        let again = switch_back(file.path(), flag).unwrap_err().to_string();
        assert!(again.contains("was not switched off"), "{again}");
    }
    assert_eq!(shares().await, [1.0, 1.0]);
    let restored = read(file.path()).unwrap();
    assert!(restored == checked(file.path(), ROLLED_OUT).unwrap());
    // What somebody mistyped is theirs to mend.
    std::fs::write(file.path(), "{").unwrap();
    switch_off(file.path(), "model.fast").unwrap_err();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "{");
}

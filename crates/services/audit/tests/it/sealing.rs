use hilum_platform::db::{self, Across};
use std::time::Duration;

use hilum_contracts::access::Role;
use hilum_contracts::audit::{Act, Entry};
use hilum_contracts::erasure::Forgets as _;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::TellsAll as _;
use hilum_platform::{auth, clock};

use crate::world::{World, faults, person};

#[tokio::test]
async fn what_was_sealed_verifies_and_stands_in_the_tenant_s_file() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    world.service.seal_all().await;
    world.service.seal_all().await;
    world.filled(&scope).await;
    world.service.seal_all().await;
    let verified = world.service.verify(&scope).await.unwrap();
    assert_eq!(faults(&verified), Vec::<String>::new());
    assert!(verified.intact);
    assert_eq!(verified.seals, 2);
    let file = std::fs::read_to_string(world.dir.path().join("seals/a.jsonl")).unwrap();
    let mut before = None;
    for line in file.lines() {
        let seal: hilum_audit::Seal = serde_json::from_str(line).unwrap();
        let content = seal.opened(&verified.key, before.as_ref()).unwrap();
        seal.leaves_of(&content).unwrap();
        before = Some(seal);
    }
    assert_eq!(before.unwrap().hash(), verified.last_seal);
}

#[tokio::test]
async fn a_chain_that_was_made_anew_after_a_change_is_found_by_its_seal() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    world.service.seal_all().await;
    // Who can write the database can also make every hash of the chain anew.
    let mut rows: Vec<(i64, Vec<u8>)> =
        db::query_as("SELECT position, body FROM audit_entry ORDER BY position")
            .fetch_all(world.db.read(Across::Nobody))
            .await
            .unwrap();
    let text = String::from_utf8(rows[1].1.clone()).unwrap();
    rows[1].1 = text.replace("192.0.2.7", "192.0.2.8").into_bytes();
    let mut hash = [0; 32];
    let mut tx = world.db.begin(Across::Nobody).await.unwrap();
    for (position, body) in &rows {
        hash = hilum_platform::audit::link(&hash, body);
        db::query("UPDATE audit_entry SET body = $1, hash = $2 WHERE position = $3")
            .bind(body.as_slice())
            .bind(hash.as_slice())
            .bind(position)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    db::query("UPDATE audit_head SET hash = $1")
        .bind(hash.as_slice())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let verified = world.service.verify(&scope).await.unwrap();
    assert!(!verified.intact);
    let expected = ["imaging: entry 2 is not what was sealed"];
    assert_eq!(faults(&verified), expected);
}

#[tokio::test]
async fn an_end_that_was_cut_off_with_its_head_is_found_by_its_seal() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    world.service.seal_all().await;
    world
        .change("DELETE FROM audit_entry WHERE position > 1")
        .await;
    world
        .change(
            "UPDATE audit_head SET position = 1,
             hash = (SELECT hash FROM audit_entry WHERE position = 1)",
        )
        .await;
    let verified = world.service.verify(&scope).await.unwrap();
    let expected = "imaging: the chain was truncated: entries 2 to 3 are not there";
    assert_eq!(faults(&verified), [expected]);
}

#[tokio::test]
async fn an_entry_that_was_changed_before_it_was_sealed_is_never_sealed() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    world
        .change("UPDATE audit_entry SET at = at + 1 WHERE position = 2")
        .await;
    world.service.seal_all().await;
    let verified = world.service.verify(&scope).await.unwrap();
    assert_eq!(faults(&verified), ["imaging: entry 2 was changed"]);
}

#[tokio::test]
async fn a_seal_that_was_changed_or_taken_away_is_found() {
    for (sql, fault) in [
        (
            "UPDATE seal SET seal = replace(seal, '\\\"number\\\":2', '\\\"number\\\":3') WHERE number = 2",
            "seal 2: its signature is not the installation's",
        ),
        (
            "DELETE FROM seal WHERE number = 1",
            "seal 2: it does not follow the seal before",
        ),
    ] {
        let world = World::new().await;
        let scope = person("a", Role::Auditor);
        for _ in 0..2 {
            world.filled(&scope).await;
            world.service.seal_all().await;
        }
        let seals = world.dir.home().open("audit", &[]).await.unwrap();
        let mut tx = seals.begin(Across::Nobody).await.unwrap();
        let done = db::query(sql).execute(&mut *tx).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
        tx.commit().await.unwrap();
        let verified = world.service.verify(&scope).await.unwrap();
        assert!(
            faults(&verified).contains(&fault.to_owned()),
            "{:?}",
            faults(&verified)
        );
    }
}

#[tokio::test]
async fn a_line_that_a_crash_tore_is_written_again() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    world.service.seal_all().await;
    let path = world.dir.path().join("seals/a.jsonl");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    world.service.seal_all().await;
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    std::fs::write(&path, [whole.as_slice(), b"{\"content\":"].concat()).unwrap();
    world.service.seal_all().await;
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[tokio::test]
async fn what_was_kept_long_enough_goes_in_whole_seals_and_the_rest_verifies() {
    let world = World::keeping(Duration::from_secs(24 * 3_600)).await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    world.service.seal_all().await;
    world.pass(Duration::from_secs(12 * 3_600));
    world.filled(&scope).await;
    world.service.seal_all().await;
    world.service.remove_old().await.unwrap();
    assert_eq!(world.found(&scope, "limit=200").await.len(), 13);
    world.pass(Duration::from_secs(13 * 3_600));
    world.service.remove_old().await.unwrap();
    world.service.remove_old().await.unwrap();
    let left = world.found(&scope, "action=view-study&limit=200").await;
    assert_eq!(left.len(), 6, "{left:?}");
    assert!(!left.contains(&"imaging 3".to_owned()));
    let verified = world.service.verify(&scope).await.unwrap();
    assert_eq!(faults(&verified), Vec::<String>::new());
    assert_eq!(world.found(&scope, "action=remove-audit").await.len(), 2);
    let imaging = &verified.writers[0];
    assert_eq!((imaging.writer.as_str(), imaging.removed), ("imaging", 3));
    assert!(imaging.removed_at.is_some());
    // More than was due is not taken for it.
    world
        .change("DELETE FROM audit_entry WHERE position = 4")
        .await;
    world
        .change(
            "UPDATE audit_head SET removed = 4, anchor = (SELECT hash FROM audit_entry LIMIT 1)",
        )
        .await;
    assert!(!world.service.verify(&scope).await.unwrap().intact);
}

#[tokio::test]
async fn tenants_are_sealed_apart() {
    let world = World::new().await;
    let (a, b) = (person("a", Role::Auditor), person("b", Role::Auditor));
    world.filled(&a).await;
    world
        .imaging
        .record(&b, Entry::new(Act::Query))
        .await
        .unwrap();
    world.service.seal_all().await;
    world
        .change("DELETE FROM audit_entry WHERE tenant = 'a' AND position = 1")
        .await;
    assert!(!world.service.verify(&a).await.unwrap().intact);
    let other = world.service.verify(&b).await.unwrap();
    assert!(other.intact);
    assert_eq!(other.writers[0].entries, 1);
}

#[tokio::test]
async fn a_sealed_beginning_that_was_taken_away_is_not_taken_for_what_was_kept_long_enough() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    world.service.seal_all().await;
    world.filled(&scope).await;
    world.service.seal_all().await;
    // Exactly as a removal leaves it, but for the statement that only the key signs.
    world
        .change(
            "UPDATE audit_head SET removed = 3,
             anchor = (SELECT hash FROM audit_entry WHERE position = 3)",
        )
        .await;
    world
        .change("DELETE FROM audit_entry WHERE position <= 3")
        .await;
    let verified = world.service.verify(&scope).await.unwrap();
    let expected = "imaging: entries 1 to 3 were removed, and nothing signed says that they were \
                    kept long enough";
    assert_eq!(faults(&verified), [expected]);
}

#[tokio::test]
async fn the_key_that_signs_stands_sealed_in_the_database_and_is_taken_over_from_its_file() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    world.service.seal_all().await;
    let before = world.service.verify(&scope).await.unwrap();
    assert!(!world.dir.path().join("keys/audit-seals.key").exists());
    // Whatever opens the same database signs with the same key.
    let world = world.reopened().await;
    world.filled(&scope).await;
    world.service.seal_all().await;
    let after = world.service.verify(&scope).await.unwrap();
    assert_eq!(faults(&after), Vec::<String>::new());
    assert_eq!((before.key, before.seals + 1), (after.key, after.seals));
}

#[tokio::test]
async fn what_is_done_to_the_installation_stands_in_every_trail_also_offline() {
    let world = World::new().await;
    let (a, b) = (person("a", Role::Auditor), person("b", Role::Auditor));
    world.filled(&a).await;
    world.filled(&b).await;
    world.service.seal_all().await;
    let entry = Entry::new(Act::Backup);
    world.service.tell_all(entry).await.unwrap();
    let offline = hilum_audit::Offline::open(world.dir.home(), clock::system())
        .await
        .unwrap();
    offline.tell_all(Entry::new(Act::Restore)).await.unwrap();
    offline.close().await;
    let own = auth::local_operator(&TenantId::installation());
    for scope in [&a, &b, &own] {
        for act in ["backup", "restore"] {
            let found = world.found(scope, &format!("action={act}")).await;
            assert_eq!(found.len(), 1, "{act} of {}", scope.tenant());
        }
    }
    world.service.seal_all().await;
    assert!(world.service.verify(&own).await.unwrap().intact);
    assert!(world.dir.path().join("seals/_installation.jsonl").exists());
}

#[tokio::test]
async fn nothing_follows_the_end_of_a_tenant_also_when_its_old_entries_are_removed() {
    let day = Duration::from_secs(86_400);
    let world = World::keeping(day).await;
    let (staying, ended) = (person("a", Role::Auditor), person("b", Role::Auditor));
    world.filled(&staying).await;
    world.filled(&ended).await;
    world.service.seal_all().await;
    world.service.forget_tenant(&ended).await.unwrap();
    world
        .service
        .tell_all(Entry::new(Act::Backup))
        .await
        .unwrap();
    world.pass(day * 2);
    world.service.remove_old().await.unwrap();
    // A backup, and two removals.
    for (scope, entries) in [(&staying, 3), (&ended, 0)] {
        let verified = world.service.verify(scope).await.unwrap();
        assert_eq!(faults(&verified), Vec::<String>::new());
        let of = |name| verified.writers.iter().find(|one| one.writer == name);
        assert_eq!(of("imaging").unwrap().removed, 3);
        assert_eq!(of("audit").map_or(0, |one| one.entries), entries);
    }
    // Also after another start, and what says so is not deleted either.
    world.service.forget_tenant(&ended).await.unwrap();
    assert!(world.service.verify(&ended).await.unwrap().intact);
}

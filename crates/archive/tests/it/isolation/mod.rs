//! One tenant's objects, rows and keys are nothing to another: not to whoever
//! asks with real identifiers, and not when files or rows were exchanged below
//! the archive. Both tenants use the same UIDs; each object kind, each question
//! and each table is taken from the code, so that a new one fails these tests
//! until they know it.

mod asked;
mod exchanged;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hilum_archive::{
    HoldOn, MoveOf, NewInstance, PublishOutcome, QuarantineOutcome, ResultKey, StoreOutcome,
};

use crate::moving::{moves, to};
use crate::support::{TestArchive, files, instance, noise, scope, unreadable};

/// Under which each tenant publishes a result set.
const KEY: &str = "set-1";
/// What names the patient of tenant `a`, and nothing of `b`.
const SECRET: &str = "Secret";

/// What a tenant holds, by what it would be asked for.
struct Holdings {
    /// The bytes that it was given.
    bodies: Vec<Vec<u8>>,
    quarantined: i64,
    hold: i64,
}

/// Two tenants with an object of every kind, under the same UIDs.
struct World {
    test: TestArchive,
    a: Holdings,
    b: Holdings,
}

/// Names its patient so that it can be found wherever it turns up.
fn named(mut new: NewInstance, tenant: &str) -> NewInstance {
    let name = if tenant == "a" { SECRET } else { "Other" };
    if let Some(shown) = &mut new.patient.name {
        shown.value = format!("{name}^Anna");
        shown.alphabetic = Some(shown.value.to_lowercase());
    }
    let text = String::from_utf8(new.metadata.to_vec()).unwrap();
    let mark = format!("{{\"00100010\":{{\"vr\":\"PN\",\"Value\":[\"{name}\"]}},");
    new.metadata = text.replacen('{', &mark, 1).into();
    new
}

impl World {
    async fn new() -> Self {
        let mut test = TestArchive::new().await;
        let mut holdings = Vec::new();
        for tenant in ["a", "b"] {
            test.scope = scope(tenant);
            let mut bodies = Vec::new();
            for number in 1..=3 {
                bodies.push(Self::stores(&test, tenant, (1, 1, number)).await);
            }
            holdings.push(bodies);
        }
        // What is stored from here on stays unsettled.
        test.archive.pack(Duration::ZERO).await.unwrap();
        let mut both = Vec::new();
        for (tenant, bodies) in ["a", "b"].into_iter().zip(holdings) {
            test.scope = scope(tenant);
            both.push(Self::adds(&test, tenant, bodies).await);
        }
        let b = both.pop().unwrap();
        let a = both.pop().unwrap();
        test.archive.sweep().await.unwrap();
        test.scope = scope("b");
        Self { test, a, b }
    }

    /// Stores an instance of bytes that no other has; those bytes.
    async fn stores(test: &TestArchive, tenant: &str, at: (u32, u32, u32)) -> Vec<u8> {
        let (study, series, number) = at;
        let seed =
            u64::from(study * 100 + series * 10 + number) + if tenant == "a" { 5_000 } else { 0 };
        let body = noise(seed, 2_500);
        let new = named(instance(study, series, number, body.clone()), tenant);
        let stored = test.archive.store(&test.scope, new).await.unwrap();
        assert_eq!(stored, StoreOutcome::Stored);
        body
    }

    /// A bundle, a result set, something refused, a hold, a conflict and a move.
    async fn adds(test: &TestArchive, tenant: &str, mut bodies: Vec<Vec<u8>>) -> Holdings {
        let (archive, scope) = (&test.archive, &test.scope);
        let salt = if tenant == "a" { 7_000 } else { 0 };
        bodies.push(Self::stores(test, tenant, (2, 1, 1)).await);
        let contender = noise(salt + 1, 2_500);
        let new = named(instance(2, 1, 1, contender.clone()), tenant);
        let stored = archive.store(scope, new).await.unwrap();
        assert!(matches!(stored, StoreOutcome::Conflict), "{stored:?}");
        bodies.push(contender);
        let result = noise(salt + 2, 90_000);
        let set = vec![named(instance(3, 1, 1, result.clone()), tenant)];
        let published = archive
            .publish(scope, ResultKey(KEY.into()), set, vec![])
            .await;
        assert_eq!(published.unwrap(), PublishOutcome::Published);
        bodies.push(result);
        let refused = noise(salt + 3, 2_500);
        let kept = archive
            .quarantine(scope, unreadable(&refused))
            .await
            .unwrap();
        let QuarantineOutcome::Kept(quarantined) = kept else {
            panic!("{kept:?}")
        };
        bodies.push(refused);
        let on = HoldOn::Study {
            study: "1.2.2".into(),
        };
        let hold = archive.place_hold(scope, on, "a claim".into(), "operator".into());
        let hold = hold.await.unwrap();
        bodies.push(Self::stores(test, tenant, (4, 1, 1)).await);
        let moved = moves(test, "1.2.4", MoveOf::Study, to("1.2.5", "P5")).await;
        assert_eq!(moved.unwrap(), 1);
        Holdings {
            bodies,
            quarantined,
            hold,
        }
    }
}

/// Whether `bytes` hold the beginning of one of these bodies.
fn holds(bytes: &[u8], bodies: &[Vec<u8>]) -> bool {
    bodies
        .iter()
        .any(|body| bytes.windows(16).any(|part| part == &body[..16]))
}

/// The kind that an object's header names: a byte behind magic and version.
fn kind(object: &Path) -> u8 {
    std::fs::read(object).unwrap()[10]
}

/// The kinds of the format, from its own table.
fn kinds_of_the_format() -> BTreeSet<u8> {
    let code = include_str!("../../../src/format.rs");
    let table = code.split_once("fn from_code").unwrap().1;
    let table = table.split_once("_ =>").unwrap().0;
    let kinds: BTreeSet<u8> = table
        .lines()
        .filter_map(|line| line.trim().split_once(" => Ok(Self::")?.0.parse().ok())
        .collect();
    assert!(kinds.len() >= 6, "{kinds:?}");
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tenants_hold_an_object_of_every_kind() {
    let world = World::new().await;
    for tenant in ["a", "b"] {
        let objects = files(&world.test.dir.path().join("objects").join(tenant));
        let kinds: BTreeSet<u8> = objects.iter().map(|object| kind(object)).collect();
        assert_eq!(
            kinds,
            kinds_of_the_format(),
            "a new kind: make one in `World`"
        );
    }
}

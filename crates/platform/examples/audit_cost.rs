//! What the audit trail and the check of a role cost a query: `cargo run
//! --release -p hilum-platform --example audit_cost -- DIR`. Beside it the same
//! without them, and the bare cost of a durable transaction of this disk.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hilum_contracts::access::{Action, Role};
use hilum_contracts::audit::{Act, Entry, Subject};
use hilum_contracts::ids::{PersonId, SessionId, TenantId};
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use hilum_platform::audit::{KeyError, Keyring, TenantKeys, Trail};
use hilum_platform::db::{self, Across, Db};
use hilum_platform::{auth, clock};
use zeroize::Zeroizing;

type Failed = Box<dyn std::error::Error>;

struct Fixed;

#[async_trait]
impl TenantKeys for Fixed {
    async fn derive(&self, _: &TenantId, _: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        Ok(Zeroizing::new([7; 32]))
    }
}

const ROUNDS: u32 = 500;
/// Requests at once, as a busy morning has them.
const AT_ONCE: u32 = 32;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("say DIR")?);
    let db = Db::open(&dir.join("cost.sqlite"), &[]).await?;
    let trail = Trail::new(
        db.clone(),
        Keyring::new(Arc::new(Fixed)),
        clock::system(),
        "cost",
    );
    let scope = person()?;

    let started = Instant::now();
    for _ in 0..ROUNDS * 1_000 {
        std::hint::black_box(&scope).require(Action::ViewStudies)?;
    }
    told("the check of a role", started.elapsed(), ROUNDS * 1_000);

    let started = Instant::now();
    for round in 0..ROUNDS {
        let mut tx = db.begin(Across::Nobody).await?;
        db::query("INSERT INTO schema_migrations (owner, version) VALUES ('cost', $1)")
            .bind(round)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    told(
        "a durable transaction of one row",
        started.elapsed(),
        ROUNDS,
    );

    let started = Instant::now();
    for round in 0..ROUNDS {
        trail.saw(&scope, view(round)).await?;
    }
    told(
        "a first look, one after the other",
        started.elapsed(),
        ROUNDS,
    );

    let started = Instant::now();
    let mut tasks = Vec::new();
    for of in 0..AT_ONCE {
        let (trail, scope) = (trail.clone(), scope.clone());
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                trail.saw(&scope, view(ROUNDS * (of + 1) + round)).await?;
            }
            Ok::<_, hilum_platform::db::DbError>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let all = ROUNDS * AT_ONCE;
    told(
        "a first look, of 32 at once, of the whole",
        started.elapsed(),
        all,
    );

    let started = Instant::now();
    for _ in 0..ROUNDS * 100 {
        trail.saw(&scope, view(1)).await?;
    }
    told("a look again", started.elapsed(), ROUNDS * 100);
    trail.close().await;
    db.close().await;
    Ok(())
}

fn person() -> Result<TenantScope, Failed> {
    let acting = Acting {
        principal: Principal::Person {
            id: PersonId::new(),
            session: SessionId::new(),
        },
        right: Right::Role(Role::Radiologist),
        limited_to: None,
        from: None,
    };
    Ok(auth::admitted(&TenantId::new("bench")?, acting))
}

fn view(study: u32) -> Entry {
    Entry::new(Act::ViewStudy).about(Subject::study(format!("1.2.840.10008.{study}")))
}

fn told(what: &str, took: Duration, times: u32) {
    let each = took / times;
    println!("{what:45} {:10.3} ms", each.as_secs_f64() * 1_000.0);
}

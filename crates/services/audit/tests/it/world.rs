//! Trails of two services and the service over them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use hilum_audit::{AuditService, Verified};
use hilum_contracts::access::Role;
use hilum_contracts::audit::{Act, Entry, Subject};
use hilum_contracts::error::ServiceError;
use hilum_contracts::identity::Names;
use hilum_contracts::ids::{ApiKeyId, PersonId, SessionId, TenantId};
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use hilum_platform::audit::{AuditSource, KeyError, Keyring, TenantKeys, Trail};
use hilum_platform::auth;
use hilum_platform::clock::{Clock, SharedClock};
use hilum_platform::config::AuditRules;
use hilum_platform::db::{self, Across, Db};
use http::StatusCode;
use serde_json::Value;
use time::OffsetDateTime;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

/// A clock that is moved by hand.
#[derive(Debug)]
pub(crate) struct Hand(Mutex<OffsetDateTime>);

impl Clock for Hand {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }
}

struct ByName;

#[async_trait]
impl TenantKeys for ByName {
    async fn derive(&self, tenant: &TenantId, _: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut secret = Zeroizing::new([7; 32]);
        for (byte, of) in secret.iter_mut().zip(tenant.as_str().bytes()) {
            *byte = of;
        }
        Ok(secret)
    }
}

/// Everybody is called the same.
struct Somebody;

#[async_trait]
impl Names for Somebody {
    async fn people(
        &self,
        _: &TenantScope,
        ids: &[PersonId],
    ) -> Result<HashMap<PersonId, String>, ServiceError> {
        Ok(ids
            .iter()
            .map(|id| (*id, "Olga Owner".to_owned()))
            .collect())
    }

    async fn keys(
        &self,
        _: &TenantScope,
        _: &[ApiKeyId],
    ) -> Result<HashMap<ApiKeyId, String>, ServiceError> {
        Ok(HashMap::new())
    }
}

pub(crate) struct World {
    pub(crate) service: AuditService,
    pub(crate) imaging: Trail,
    pub(crate) patients: Trail,
    pub(crate) db: Db,
    pub(crate) dir: hilum_testkit::Place,
    clock: Arc<Hand>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::keeping(AuditRules::default().keep()).await
    }

    pub(crate) async fn keeping(keep: Duration) -> Self {
        let start = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let clock = Arc::new(Hand(Mutex::new(start)));
        Self::at(hilum_testkit::Place::new(), clock, keep).await
    }

    /// The same folder, opened again.
    pub(crate) async fn reopened(self) -> Self {
        let Self {
            service,
            dir,
            clock,
            ..
        } = self;
        service.close().await;
        Self::at(dir, clock, AuditRules::default().keep()).await
    }

    async fn at(dir: hilum_testkit::Place, clock: Arc<Hand>, keep: Duration) -> Self {
        let keyring = Keyring::new(Arc::new(ByName));
        let open = async |name: &str| dir.home().open(name, &[]).await.unwrap();
        let (db, other) = (open("imaging").await, open("patients").await);
        let shared: SharedClock = clock.clone();
        let imaging = Trail::new(db.clone(), keyring.clone(), shared.clone(), "imaging");
        let patients = Trail::new(other, keyring.clone(), shared.clone(), "patients");
        let sources: Vec<Arc<dyn AuditSource>> =
            vec![Arc::new(imaging.clone()), Arc::new(patients.clone())];
        let names = Arc::new(Somebody);
        let service = AuditService::open(
            dir.path(),
            dir.home(),
            keyring,
            shared,
            sources,
            names,
            keep,
        )
        .await
        .unwrap();
        Self {
            service,
            imaging,
            patients,
            db,
            dir,
            clock,
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        *self.clock.0.lock().unwrap() += time;
    }

    /// Three studies are looked at, a minute after each other, by two services.
    pub(crate) async fn filled(&self, scope: &TenantScope) {
        for study in ["1.1", "1.2", "1.3"] {
            let entry = Entry::new(Act::ViewStudy).about(Subject::study(study));
            self.imaging.record(scope, entry.clone()).await.unwrap();
            self.pass(Duration::from_secs(60));
            self.patients.record(scope, entry).await.unwrap();
        }
    }

    pub(crate) async fn change(&self, sql: &'static str) {
        let mut tx = self.db.begin(Across::Nobody).await.unwrap();
        db::query(sql).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn ask(&self, scope: &TenantScope, path: &str) -> (StatusCode, String) {
        let (router, _) = self.service.router().split_for_parts();
        let mut request = http::Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(scope.clone());
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 24)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The positions, with their writers, that a search answers.
    pub(crate) async fn found(&self, scope: &TenantScope, query: &str) -> Vec<String> {
        let (status, text) = self.ask(scope, &format!("/audit/entries?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let items = answer["items"].as_array().unwrap().iter();
        items
            .map(|one| format!("{} {}", one["writer"].as_str().unwrap(), one["position"]))
            .collect()
    }
}

pub(crate) fn person(tenant: &str, role: Role) -> TenantScope {
    let acting = Acting {
        principal: Principal::Person {
            id: PersonId::new(),
            session: SessionId::new(),
        },
        right: Right::Role(role),
        limited_to: None,
        from: Some([192, 0, 2, 7].into()),
    };
    auth::admitted(&TenantId::new(tenant).unwrap(), acting)
}

/// Every fault, with its writer.
pub(crate) fn faults(verified: &Verified) -> Vec<String> {
    let of = verified.writers.iter().flat_map(|one| {
        one.faults
            .iter()
            .map(|fault| format!("{}: {fault}", one.writer))
    });
    of.chain(verified.seal_faults.iter().cloned()).collect()
}

//! The service with a clock that the test turns, and browsers and programs that
//! come to its doors as the server lets them in.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use hilum_contracts::access::Role;
use hilum_contracts::identity::{Admitted, Identity as _};
use hilum_contracts::ids::{ApiKeyId, TenantId};
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use hilum_identity::{IdentityService, session_cookie};
use hilum_platform::audit::{AuditSource as _, KeyError, Keyring, TenantKeys};
use hilum_platform::auth;
use hilum_platform::clock::{self, Clock, SharedClock};
use hilum_platform::config::{Config, Tenant, TenantArchive};
use hilum_platform::http::Caller;
use hilum_platform::notices::Notices;
use hilum_platform::passes::Passes;
use hilum_platform::tenants::Directory;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;
use zeroize::Zeroizing;

pub(crate) const PASSWORD: &str = "a lighthouse in the fog";

#[derive(Debug)]
pub(crate) struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// Keys as the archive derives them.
struct Keys;

#[async_trait]
impl TenantKeys for Keys {
    async fn derive(
        &self,
        tenant: &TenantId,
        _purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut secret = Zeroizing::new([7; 32]);
        for (byte, from) in secret.iter_mut().zip(tenant.as_str().bytes()) {
            *byte = from;
        }
        Ok(secret)
    }
}

pub(crate) struct World {
    pub(crate) service: IdentityService,
    pub(crate) passes: Passes,
    pub(crate) directory: Directory,
    pub(crate) notices: Notices,
    pub(crate) config: Config,
    clock: Arc<Turned>,
    pub(crate) dir: hilum_testkit::Place,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A tenant of the configuration.
pub(crate) fn tenant(name: &str, ae_title: &str) -> Tenant {
    Tenant {
        name: TenantId::new(name).unwrap(),
        ae_title: ae_title.to_owned(),
        archive: TenantArchive::default(),
    }
}

pub(crate) fn scope(tenant: &str) -> TenantScope {
    auth::local_operator(&TenantId::new(tenant).unwrap())
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Tenants `a` and `b`, and whatever `change` makes of the configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            tenants: vec![tenant("a", "TENANT_A"), tenant("b", "TENANT_B")],
            ..Config::default()
        };
        change(&mut config);
        let dir = hilum_testkit::Place::new();
        let directory = Directory::of(&config);
        // Now, for what others sign is good for minutes only.
        let now = clock::system().now().unix_timestamp();
        let clock = Arc::new(Turned(AtomicI64::new(now)));
        let notices = Notices::default();
        let shared: SharedClock = clock.clone();
        let passes = Passes::new(Arc::clone(&shared), None);
        let opened = IdentityService::open(
            dir.home(),
            &config,
            shared,
            notices.clone(),
            directory.clone(),
            Keyring::new(Arc::new(Keys)),
            passes.clone(),
        );
        Self {
            service: opened.await.unwrap(),
            passes,
            directory,
            notices,
            config,
            clock,
            dir,
        }
    }

    /// The same database, opened again.
    pub(crate) async fn reopened(self, change: impl FnOnce(&mut Config)) -> Self {
        let Self {
            service,
            passes: _,
            directory,
            notices,
            mut config,
            clock,
            dir,
        } = self;
        service.close().await;
        change(&mut config);
        let shared: SharedClock = clock.clone();
        let passes = Passes::new(Arc::clone(&shared), None);
        let opened = IdentityService::open(
            dir.home(),
            &config,
            shared,
            notices.clone(),
            directory.clone(),
            Keyring::new(Arc::new(Keys)),
            passes.clone(),
        );
        Self {
            service: opened.await.unwrap(),
            passes,
            directory,
            notices,
            config,
            clock,
            dir,
        }
    }

    /// What the trail of a tenant tells, in the order in which it happened: the
    /// act and its details.
    pub(crate) async fn trail(&self, tenant: &str) -> Vec<Value> {
        let rows = self.service.trail().entries(&scope(tenant), 0, 1_000).await;
        rows.unwrap()
            .iter()
            .map(|row| serde_json::from_slice(&row.body).unwrap())
            .collect()
    }

    /// What the installation's own trail tells.
    pub(crate) async fn installation_trail(&self) -> Vec<Value> {
        let scope = auth::local_operator(&TenantId::installation());
        let rows = self.service.trail().entries(&scope, 0, 1_000).await;
        rows.unwrap()
            .iter()
            .map(|row| serde_json::from_slice(&row.body).unwrap())
            .collect()
    }

    /// Asks as an API key of `a` with this role.
    pub(crate) async fn ask_as(
        &self,
        role: Role,
        method: Method,
        path: &str,
        body: Value,
    ) -> Answer {
        let acting = Acting {
            principal: Principal::ApiKey(ApiKeyId::new()),
            right: Right::Role(role),
            limited_to: None,
            from: None,
        };
        let scope = auth::admitted(&TenantId::new("a").unwrap(), acting);
        let request = request(method, path, body, "192.0.2.3".parse().unwrap(), false);
        self.ask(Some(scope), request.body_of()).await
    }

    pub(crate) fn later(&self, by: Duration) {
        self.clock
            .0
            .fetch_add(by.whole_seconds(), Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// A browser of somebody who owns `a` and `b`.
    pub(crate) async fn owner(&self) -> Browser<'_> {
        let token = self.service.set_up_link_token().await.unwrap().unwrap();
        let mut browser = self.browser("192.0.2.1");
        let body = json!({
            "token": token, "organisation": "St Mary", "email": "owner@example.org",
            "name": "Olga Owner", "password": PASSWORD,
        });
        let answer = browser.post("/auth/set-up", body).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
        browser
    }

    pub(crate) fn browser(&self, address: &str) -> Browser<'_> {
        Browser {
            world: self,
            address: address.parse().unwrap(),
            secure: false,
            cookies: Vec::new(),
        }
    }

    /// Asks with this scope, or none, as the server does after it looked.
    pub(crate) async fn ask(&self, scope: Option<TenantScope>, request: Request<Body>) -> Answer {
        let (rest, _) = self.service.router().split_for_parts();
        let (auth, _) = self.service.auth_router().split_for_parts();
        let mut router = Router::new().nest("/api/v1", rest).nest("/auth", auth);
        if let Some(scope) = scope {
            router = router.layer(axum::Extension(scope));
        }
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 22).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()),
        }
    }

    /// What the operator's commands ask.
    pub(crate) async fn operator(
        &self,
        tenant: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Answer {
        let request = request(method, path, body, "127.0.0.1".parse().unwrap(), false);
        self.ask(Some(scope(tenant)), request.body_of()).await
    }
}

struct Built(axum::http::request::Builder, String);

impl Built {
    fn body_of(self) -> Request<Body> {
        self.0.body(Body::from(self.1)).unwrap()
    }
}

fn request(method: Method, path: &str, body: Value, address: IpAddr, secure: bool) -> Built {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "Test/1.0")
        .extension(Caller { address, secure });
    Built(builder, body.to_string())
}

/// Somebody's browser: it keeps cookies and shows them.
pub(crate) struct Browser<'a> {
    pub(crate) world: &'a World,
    pub(crate) address: IpAddr,
    pub(crate) secure: bool,
    pub(crate) cookies: Vec<(String, String)>,
}

impl Browser<'_> {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask(Method::GET, path, Value::Null).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    pub(crate) async fn ask(&mut self, method: Method, path: &str, body: Value) -> Answer {
        let Built(mut builder, text) = request(method, path, body, self.address, self.secure);
        let shown: Vec<_> = self
            .cookies
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        if !shown.is_empty() {
            builder = builder.header(header::COOKIE, shown.join("; "));
        }
        let admitted = self.admitted().await;
        let scope = admitted.map(|who| auth::admitted(&who.tenant, who.acting));
        let request = builder.body(Body::from(text)).unwrap();
        let answer = self.world.ask(scope, request).await;
        for set in answer.headers.get_all(header::SET_COOKIE) {
            let (pair, rest) = set.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !rest.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    /// The token of the session that the browser holds.
    pub(crate) fn token(&self) -> Option<String> {
        let name = session_cookie(self.secure);
        let found = self.cookies.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    /// Whom the server would let in.
    pub(crate) async fn admitted(&self) -> Option<Admitted> {
        let service = &self.world.service;
        service
            .session(&self.token()?, Some(self.address))
            .await
            .unwrap()
    }

    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        self.post(
            "/auth/sign-in",
            json!({"email": email, "password": password}),
        )
        .await
    }
}

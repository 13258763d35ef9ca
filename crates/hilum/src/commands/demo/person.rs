//! The person of the demo, made by the same link that a newcomer would open.
//! The password is new each time and is gone with the demo's data.

use anyhow::Context as _;
use axum::body::Body;
use http::{Request, header};
use serde_json::json;
use tower::ServiceExt as _;

use crate::commands::random_hex;
use crate::compose::Hilum;

/// Who can sign in to the demo.
pub(super) struct Person {
    pub(super) email: &'static str,
    pub(super) password: String,
}

impl Person {
    /// Makes the owner of the demo's tenant.
    pub(super) async fn make(hilum: &Hilum) -> anyhow::Result<Self> {
        let link = hilum.set_up_link.as_deref();
        let token = link.and_then(|link| link.split_once('#'));
        let (_, token) = token.context("the demo's data folder is not new")?;
        let person = Self {
            email: "demo@example.org",
            password: random_hex::<10>()?,
        };
        let asked = json!({
            "token": token,
            "organisation": "Demo hospital",
            "name": "Demo",
            "email": person.email,
            "password": person.password,
        });
        let request = Request::post("/auth/set-up")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(serde_json::to_vec(&asked)?))?;
        let status = hilum.router.clone().oneshot(request).await?.status();
        anyhow::ensure!(status.is_success(), "the demo's person: {status}");
        Ok(person)
    }
}

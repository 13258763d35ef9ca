//! Signing in with a tenant's OpenID provider: authorization code with PKCE
//! (RFC 7636, RFC 9700). State, nonce and verifier are sealed in a cookie, so
//! that an answer is good in the browser that asked and for the provider that
//! was asked. Only asymmetric signatures are taken.
//!
//! A provider vouches for people in its own tenant only: its administrators
//! choose it, and what it says of an address must open nothing elsewhere.

mod http;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hilum_contracts::error::{ErrorCode, ServiceError};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
    CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AdditionalProviderMetadata, AuthorizationCode, ClientId, ClientSecret,
    CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    ProviderMetadata, RedirectUrl, Scope, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use self::http::Http;
use crate::IdentityService;
use crate::domain::settings::millis;
use crate::limits::OIDC_FLOW_LIFE;
use crate::secret::same;
use crate::store::providers::Provider;

/// The algorithms that a token may be signed with: whoever checks can't sign.
const SIGNED_WITH: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Whether the provider names itself in its answers (RFC 9207).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct NamesItself {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for NamesItself {}

type Metadata = ProviderMetadata<
    NamesItself,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What the browser keeps while its person is away.
#[derive(Serialize, Deserialize)]
struct Flow {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    ends_at: i64,
}

/// A person on their way to a provider.
pub(crate) struct Away {
    /// Where the browser goes.
    pub(crate) to: String,
    /// What it keeps meanwhile.
    pub(crate) cookie: String,
}

/// What a provider answers by the browser.
#[derive(Deserialize, utoipa::IntoParams)]
pub(crate) struct Back {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    /// RFC 9207.
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
}

/// Whom a provider vouches for.
pub(crate) struct Vouched {
    pub(crate) provider: Provider,
    pub(crate) subject: String,
    /// Verified by the provider.
    pub(crate) email: String,
    pub(crate) name: Option<String>,
    pub(crate) return_to: String,
}

fn refused(text: &str) -> ServiceError {
    ServiceError::invalid(text)
}

/// A path of this application, or its first page: nothing that a browser would
/// take for another site's.
pub(crate) fn local_path(path: Option<&str>) -> String {
    let fine = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= 500
            && !path.contains('\\')
            && path.bytes().all(|b| (0x21..0x7f).contains(&b))
    };
    path.filter(fine).unwrap_or("/").to_owned()
}

impl IdentityService {
    /// Where providers send people back to: one address, to the letter.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}/auth/oidc/callback", self.rules.public_url)
    }

    /// What a provider says of itself, if it is who it is said to be.
    async fn metadata(&self, issuer: &str) -> Result<Metadata, ServiceError> {
        let unreachable = || {
            let text = "The provider does not answer as an OpenID provider does.";
            ServiceError::new(ErrorCode::Unavailable, text)
        };
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|_| unreachable())?;
        Metadata::discover_async(issuer, &self.provider_http)
            .await
            .map_err(|error| {
                tracing::warn!(%error, "a provider's document");
                unreachable()
            })
    }

    /// Checks that a provider is there before it is kept.
    pub(crate) async fn check_issuer(&self, issuer: &str) -> Result<(), ServiceError> {
        if self.rules.public_url.is_empty() {
            let text = "Set identity.public_url in the configuration first: providers send \
                        people back there.";
            return Err(ServiceError::new(ErrorCode::Conflict, text));
        }
        if !self.provider_http.may_ask(issuer) {
            let text = "An issuer is an https address that everybody can reach, or one in the \
                        configuration's identity.provider_networks.";
            return Err(ServiceError::invalid(text));
        }
        self.metadata(issuer)
            .await
            .map(|_| ())
            .map_err(|error| ServiceError::invalid(error.message))
    }

    /// Sends a person to a provider.
    pub(crate) async fn leave(
        &self,
        provider: &Provider,
        return_to: Option<&str>,
    ) -> Result<Away, ServiceError> {
        let wrong = |_| ServiceError::internal("The address of this server is none.");
        let metadata = self.metadata(&provider.issuer).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(provider.client_id.clone()),
            None,
        )
        .set_redirect_uri(RedirectUrl::new(self.redirect_uri()).map_err(wrong)?);
        let (to, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let flow = Flow {
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            return_to: local_path(return_to),
            ends_at: self.clock.now_millis() + millis(OIDC_FLOW_LIFE),
        };
        let flow = serde_json::to_vec(&flow)
            .map_err(|_| ServiceError::internal("The way back can't be written."))?;
        let what = format!("flow {}", provider.id);
        let sealed = self.sealer.seal(&provider.tenant, &what, &flow).await?;
        Ok(Away {
            to: to.to_string(),
            cookie: format!("{}.{}", provider.id, URL_SAFE_NO_PAD.encode(sealed)),
        })
    }

    /// Whom the provider vouches for, when the answer belongs to what this
    /// browser asked.
    pub(crate) async fn returned(
        &self,
        cookie: Option<&str>,
        back: Back,
    ) -> Result<Vouched, ServiceError> {
        let lost = || refused("This browser is not on its way from a provider: begin again.");
        let (provider, flow) = self.flow_of(cookie.ok_or_else(lost)?).await?;
        let state = back.state.unwrap_or_default();
        if !same(state.as_bytes(), flow.state.as_bytes()) {
            return Err(lost());
        }
        let metadata = self.metadata(&provider.issuer).await?;
        let names_itself = metadata
            .additional_metadata()
            .authorization_response_iss_parameter_supported;
        match &back.iss {
            Some(iss) if *iss != provider.issuer => return Err(lost()),
            None if names_itself => return Err(lost()),
            _ => {}
        }
        if back.error.is_some() {
            return Err(refused("The provider did not let you in."));
        }
        let code = AuthorizationCode::new(back.code.ok_or_else(lost)?);
        self.vouched(provider, metadata, flow, code).await
    }

    async fn flow_of(&self, cookie: &str) -> Result<(Provider, Flow), ServiceError> {
        let lost = || refused("This browser is not on its way from a provider: begin again.");
        let (id, sealed) = cookie.split_once('.').ok_or_else(lost)?;
        let id: Uuid = id.parse().map_err(|_| lost())?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| lost())?;
        let provider = self.store.provider(id).await;
        let provider = provider
            .map_err(|error| hilum_platform::http::database_error(&error))?
            .ok_or_else(lost)?;
        let what = format!("flow {id}");
        let flow = self
            .sealer
            .open(&provider.tenant, &what, &sealed)
            .await?
            .ok_or_else(lost)?;
        let flow: Flow = serde_json::from_slice(&flow).map_err(|_| lost())?;
        if flow.ends_at <= self.clock.now_millis() {
            return Err(lost());
        }
        Ok((provider, flow))
    }

    async fn vouched(
        &self,
        provider: Provider,
        metadata: Metadata,
        flow: Flow,
        code: AuthorizationCode,
    ) -> Result<Vouched, ServiceError> {
        let unsure = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "a provider's answer was not taken");
            refused("The provider's answer could not be trusted.")
        };
        let what = format!("secret {}", provider.id);
        let secret = self
            .sealer
            .open(&provider.tenant, &what, &provider.secret)
            .await?
            .and_then(|secret| String::from_utf8(secret.to_vec()).ok())
            .ok_or_else(|| ServiceError::internal("The provider's secret can't be opened."))?;
        let redirect = RedirectUrl::new(self.redirect_uri()).map_err(|error| unsure(&error))?;
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(provider.client_id.clone()),
            Some(ClientSecret::new(secret)),
        )
        .set_redirect_uri(redirect);
        let tokens = client
            .exchange_code(code)
            .map_err(|error| unsure(&error))?
            .set_pkce_verifier(PkceCodeVerifier::new(flow.verifier))
            .request_async(&self.provider_http)
            .await
            .map_err(|error| unsure(&error))?;
        let now = self.clock.now_millis();
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(SIGNED_WITH)
            .set_time_fn(move || DateTime::<Utc>::from_timestamp_millis(now).unwrap_or_default());
        let id_token = tokens.id_token().ok_or_else(|| unsure(&"no ID token"))?;
        let claims = id_token
            .claims(&verifier, &Nonce::new(flow.nonce))
            .map_err(|error| unsure(&error))?;
        if let Some(expected) = claims.access_token_hash() {
            let signing = id_token.signing_alg().map_err(|error| unsure(&error))?;
            let key = id_token
                .signing_key(&verifier)
                .map_err(|error| unsure(&error))?;
            let actual = AccessTokenHash::from_token(tokens.access_token(), signing, key)
                .map_err(|error| unsure(&error))?;
            if actual != *expected {
                return Err(unsure(&"another access token"));
            }
        }
        let mut email = claims.email().map(|email| email.to_string());
        let mut verified = claims.email_verified();
        let mut name = claims
            .name()
            .and_then(|name| name.get(None))
            .map(|name| name.to_string());
        if email.is_none() {
            // Most put it there only (OpenID Connect Core §5.4).
            let info: CoreUserInfoClaims = client
                .user_info(
                    tokens.access_token().clone(),
                    Some(claims.subject().clone()),
                )
                .map_err(|error| unsure(&error))?
                .request_async(&self.provider_http)
                .await
                .map_err(|error| unsure(&error))?;
            email = info.email().map(|email| email.to_string());
            verified = info.email_verified();
            let told = info.name().and_then(|name| name.get(None));
            name = name.or_else(|| told.map(|name| name.to_string()));
        }
        let Some(email) = email.filter(|_| verified == Some(true)) else {
            let text = "The provider does not say that your e-mail address is verified.";
            return Err(ServiceError::new(ErrorCode::Forbidden, text));
        };
        Ok(Vouched {
            subject: claims.subject().to_string(),
            email: hilum_platform::email::email(&email)?,
            name,
            provider,
            return_to: flow.return_to,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn nobody_is_led_to_another_site() {
        assert_eq!(local_path(Some("/studies/1.2?q=x")), "/studies/1.2?q=x");
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a\r\nLocation: x",
            "/\t/evil.example",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(local_path(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(local_path(None), "/");
    }
}

//! Secrets of destinations: sealed under a key of the tenant, opened for an attempt.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hilum_contracts::error::ServiceError;
use hilum_platform::scope::TenantScope;
use zeroize::Zeroizing;

use crate::IntegrationService;
use crate::domain::target::Target;
use crate::store::destinations::Made;

/// For what the tenants' keys are derived.
pub(crate) const SEALED_FOR: &str = "hilum integration v1";

impl IntegrationService {
    /// Seals the secret that holds, and a former one, of a destination. None has a line
    /// end in it.
    pub(crate) async fn seal(
        &self,
        scope: &TenantScope,
        id: &str,
        secrets: &[&str],
    ) -> Result<Vec<u8>, ServiceError> {
        let text = Zeroizing::new(secrets.join("\n"));
        let sealer = &self.sealer;
        sealer
            .seal(scope.tenant(), &what(id), text.as_bytes())
            .await
    }

    /// The secrets of a destination: the one that holds first.
    pub(crate) async fn unseal(
        &self,
        scope: &TenantScope,
        made: &Made,
    ) -> Result<Vec<Zeroizing<String>>, ServiceError> {
        let Some(sealed) = &made.secret else {
            return Ok(Vec::new());
        };
        let what = what(&made.id);
        let opened = self.sealer.open(scope.tenant(), &what, sealed).await?;
        let text = opened.as_ref().and_then(|text| str::from_utf8(text).ok());
        let text = text.ok_or_else(|| {
            ServiceError::internal("The destination's secret can't be opened: give it a new one.")
        })?;
        let secrets = text.lines().map(|line| Zeroizing::new(line.to_owned()));
        Ok(secrets.collect())
    }

    /// A destination as it is sent to now.
    pub(crate) async fn target(
        &self,
        scope: &TenantScope,
        made: Made,
    ) -> Result<Target, ServiceError> {
        let mut secrets = self.unseal(scope, &made).await?;
        let now = self.clock.now_millis();
        if made.settings.former_until.is_none_or(|until| until <= now) {
            secrets.truncate(1);
        }
        let reach = self.reach.clone();
        Ok(Target::made(made.name, made.settings, secrets, reach))
    }
}

/// What is sealed.
fn what(id: &str) -> String {
    format!("destination {id}")
}

/// A new secret for a webhook, as Standard Webhooks writes it.
pub(crate) fn new_webhook_secret() -> Result<Zeroizing<String>, ServiceError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SystemRandom::new()
        .fill(bytes.as_mut_slice())
        .map_err(|_| ServiceError::internal("The machine gave no random numbers."))?;
    let text = format!("whsec_{}", BASE64_STANDARD.encode(bytes.as_slice()));
    Ok(Zeroizing::new(text))
}

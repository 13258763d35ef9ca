//! The key that seals are signed with: Ed25519, made when the service is first
//! opened. It stands in the service's database, sealed under a key that comes
//! from the installation's, and so under the master key: a backup holds it, and
//! whoever has the files and not the master key can't sign. Its public half
//! stands in every seal.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{KeyError, Keyring};
use hilum_platform::cipher::Cipher;
use zeroize::Zeroizing;

use crate::OpenError;
use crate::domain::seal::encode;
use crate::store::Store;

/// For what the installation's key is derived.
const PURPOSE: &str = "hilum audit seals v1";

/// How often it is asked again for a secret that nobody gives.
const AGAIN: Duration = Duration::from_millis(500);

pub(crate) struct Signer(Ed25519KeyPair);

impl Signer {
    /// The installation's key, made when there is none. `file`: where an earlier
    /// version kept it in clear; it is taken over from there and removed.
    pub(crate) async fn open(
        store: &Store,
        keyring: &Keyring,
        file: &Path,
    ) -> Result<Self, OpenError> {
        let damaged = || OpenError::Key("it is damaged, or of another master key".to_owned());
        let secret = secret(keyring).await?;
        let cipher = Cipher::new(secret.as_slice()).map_err(|_| damaged())?;
        if let Some(sealed) = store.signing_key().await? {
            let der = cipher.open(&sealed, PURPOSE.as_bytes());
            let der = der.map_err(|_| damaged())?;
            // A crash may have left it behind.
            remove(file).map_err(told)?;
            return Self::of(&der).ok_or_else(damaged);
        }
        let der = match read(file).map_err(told)? {
            Some(der) => der,
            None => {
                let made = Ed25519KeyPair::generate().map_err(|_| damaged())?;
                let der = made.to_pkcs8v1().map_err(|_| damaged())?;
                Zeroizing::new(der.as_ref().to_vec())
            }
        };
        let signer = Self::of(&der).ok_or_else(damaged)?;
        let sealed = cipher.seal(&der, PURPOSE.as_bytes());
        store
            .keep_signing_key(&sealed.map_err(|_| damaged())?)
            .await?;
        remove(file).map_err(told)?;
        Ok(signer)
    }

    fn of(der: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_pkcs8(der).ok().map(Self)
    }

    /// The public key, base64url.
    pub(crate) fn public(&self) -> String {
        encode(self.0.public_key().as_ref())
    }

    /// A signature, base64url.
    pub(crate) fn sign(&self, text: &str) -> String {
        encode(self.0.sign(text.as_bytes()).as_ref())
    }
}

/// The secret that the key is sealed under. Whoever owns the keys may be started later, or
/// again just now: it is waited for.
async fn secret(keyring: &Keyring) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let mut told = false;
    loop {
        match keyring.derive(&TenantId::installation(), PURPOSE).await {
            Ok(secret) => return Ok(secret),
            Err(error @ KeyError::Unavailable(_)) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "audit waits for whoever owns the keys");
                }
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(OpenError::Key(error.to_string())),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn told(error: std::io::Error) -> OpenError {
    OpenError::Key(error.to_string())
}

fn read(file: &Path) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut der = Zeroizing::new(Vec::new());
    match File::open(file) {
        Ok(mut file) => file.read_to_end(&mut der)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(der))
}

fn remove(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Ok(()) => File::open(file.parent().unwrap_or_else(|| Path::new(".")))?.sync_all(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

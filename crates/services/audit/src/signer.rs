//! The key that seals are signed with: Ed25519, made when the service is first
//! opened, in a file that only the service's user can read. It signs and is
//! never shown; its public half stands in every seal.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use crate::domain::seal::encode;

pub(crate) struct Signer(Ed25519KeyPair);

impl Signer {
    /// The key in `path`, made when there is none.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let invalid = || std::io::Error::new(ErrorKind::InvalidData, "the seals' key is damaged");
        match File::open(path) {
            Ok(mut file) => {
                let mut der = Zeroizing::new(Vec::new());
                file.read_to_end(&mut der)?;
                let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| invalid())?;
                return Ok(Self(pair));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let pair = Ed25519KeyPair::generate().map_err(|_| invalid())?;
        let der = pair.to_pkcs8v1().map_err(|_| invalid())?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder)?;
        let new = path.with_extension("new");
        let _left_by_a_crash = std::fs::remove_file(&new);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(der.as_ref())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(folder)?.sync_all()?;
        Ok(Self(pair))
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

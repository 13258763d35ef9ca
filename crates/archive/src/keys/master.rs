//! The master key's file: `keys/master.key`, and beside it `master.key.next`
//! while a rotation is on its way. Whichever of the two opens the keys is the
//! master key, so that a rotation can end at any moment.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use hilum_platform::durable::{Draft, Synced, sync_folder};
use zeroize::Zeroizing;

use super::random;
use crate::descriptor::hex;
use crate::error::{ArchiveError, Result};
use crate::steps;

pub(super) type Secret = Zeroizing<[u8; 32]>;

pub(super) struct MasterFile {
    dir: PathBuf,
}

impl MasterFile {
    pub(super) fn of(archive: &Path) -> Self {
        Self {
            dir: archive.join("keys"),
        }
    }

    /// The key that `opens` says is the one; what a rotation left is tidied up.
    ///
    /// # Errors
    /// [`ArchiveError::WrongKey`] when none is; that of `opens` when it can't say.
    pub(super) fn find(&self, opens: impl Fn(&Secret) -> Result<bool>) -> Result<Secret> {
        if let Some(secret) = self.read("master.key")?
            && opens(&secret)?
        {
            self.drop_next()?;
            return Ok(secret);
        }
        self.begun(opens)?.ok_or(ArchiveError::WrongKey)
    }

    /// The key of a rotation whose end nobody heard of, where `opens` says that it came
    /// about; else what it left is tidied up, for nothing was wrapped with it.
    pub(super) fn begun(&self, opens: impl Fn(&Secret) -> Result<bool>) -> Result<Option<Secret>> {
        let Some(secret) = self.read("master.key.next")? else {
            return Ok(None);
        };
        if opens(&secret)? {
            self.take_next()?;
            return Ok(Some(secret));
        }
        self.drop_next()?;
        Ok(None)
    }

    fn drop_next(&self) -> Result<()> {
        match fs::remove_file(self.dir.join("master.key.next")) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => {
                removed?;
                self.sync()
            }
        }
    }

    /// The key of an archive that has none yet, made when there is no file.
    pub(super) fn first(&self) -> Result<Secret> {
        fs::create_dir_all(&self.dir)?;
        if let Some(secret) = self.read("master.key")? {
            return Ok(secret);
        }
        let secret = Zeroizing::new(random()?);
        let written = self.write("master.key", &secret)?;
        steps::at("keys.master-written");
        written.name()?.sync()?;
        steps::at("keys.master-named");
        Ok(secret)
    }

    /// A new key as `master.key.next`, durable before anything is wrapped with it. There
    /// is none yet: [`MasterFile::begun`] was asked.
    pub(super) fn draft(&self) -> Result<Secret> {
        fs::create_dir_all(&self.dir)?;
        let secret = Zeroizing::new(random()?);
        // Under its name only when complete: a crash leaves no half key.
        self.write("master.key.next", &secret)?.name()?.sync()?;
        steps::at("keys.next-written");
        Ok(secret)
    }

    /// `master.key.next` becomes `master.key`.
    pub(super) fn take_next(&self) -> Result<()> {
        self.keep_old()?;
        fs::rename(
            self.dir.join("master.key.next"),
            self.dir.join("master.key"),
        )?;
        self.sync()?;
        steps::at("keys.next-named");
        Ok(())
    }

    /// The file is no longer the master key: it stays for older backups, under
    /// a name that says so.
    pub(super) fn retire(&self) -> Result<()> {
        self.keep_old()?;
        match fs::remove_file(self.dir.join("master.key")) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => self.sync(),
        }
    }

    /// `master.key.old-…`, named by its digest: doing it again does nothing.
    fn keep_old(&self) -> Result<()> {
        let Some(secret) = self.read("master.key")? else {
            return Ok(());
        };
        let digest = digest::digest(&digest::SHA256, secret.as_slice());
        let short = hex::encode(digest.as_ref().get(..4).unwrap_or_default());
        let old = self.dir.join(format!("master.key.old-{short}"));
        match fs::hard_link(self.dir.join("master.key"), old) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
            _ => self.sync(),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Secret>> {
        let mut file = match File::open(self.dir.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut secret = Zeroizing::new([0; 32]);
        file.read_exact(secret.as_mut_slice())
            .map_err(|_| ArchiveError::WrongKey)?;
        Ok(Some(secret))
    }

    /// Writes a key that is not yet named so.
    fn write(&self, name: &str, secret: &Secret) -> Result<Synced> {
        let mut draft = Draft::private(&self.dir.join("master.key.new"), &self.dir.join(name))?;
        draft.write_all(secret.as_slice())?;
        Ok(draft.sync()?)
    }

    fn sync(&self) -> Result<()> {
        Ok(sync_folder(&self.dir)?)
    }
}

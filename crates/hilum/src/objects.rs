//! How the archive is opened: where its objects and its index are, by the configuration.

use std::path::Path;

use anyhow::Context as _;
use hilum_archive::{ArchiveConfig, BucketConfig, BucketKey, Limits, MasterKey, ObjectsAt};
use hilum_platform::clock::SharedClock;
use hilum_platform::config::Config;
use zeroize::Zeroizing;

use crate::commands::backup::home;

/// How the archive of an installation is opened.
pub(crate) fn archive_of(
    config: &Config,
    master_key: MasterKey,
    clock: SharedClock,
) -> anyhow::Result<ArchiveConfig> {
    Ok(ArchiveConfig {
        dir: config.data.clone(),
        master_key,
        clock,
        limits: Limits::default(),
        objects: objects_of(config)?,
        server: home(config)?.server().cloned(),
    })
}

/// Where objects are: in `data`, unless the configuration names a bucket.
pub(crate) fn objects_of(config: &Config) -> anyhow::Result<ObjectsAt> {
    let Some(objects) = &config.objects else {
        return Ok(ObjectsAt::Folder);
    };
    anyhow::ensure!(
        !config.data.join("objects").exists(),
        "{} is of an installation whose objects are files, and nothing moves them to a bucket: \
         restore a backup of it with [objects], or name another data folder",
        config.data.join("objects").display()
    );
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("can't read {}", path.display()));
    let key = match (&objects.access_key_id, &objects.secret_access_key_file) {
        (Some(id), Some(file)) => {
            let secret = Zeroizing::new(read(file)?);
            let secret = std::str::from_utf8(&secret)
                .with_context(|| format!("{} holds no key", file.display()))?;
            Some(BucketKey {
                id: id.clone(),
                secret: Zeroizing::new(secret.trim().to_owned()),
            })
        }
        _ => None,
    };
    Ok(ObjectsAt::Bucket(Box::new(BucketConfig {
        name: objects.bucket.clone(),
        prefix: objects.prefix.clone(),
        endpoint: objects.endpoint.clone(),
        region: objects.region.clone(),
        key,
        ca: objects.ca_file.as_deref().map(read).transpose()?,
        is_shared: !config.shards.is_empty(),
    })))
}

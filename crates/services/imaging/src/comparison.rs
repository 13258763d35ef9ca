//! Conflicts that are none: the same image in another encoding. Intake can't
//! wait for pixels to be decoded, so it acknowledges a conflict; this worker
//! decodes both contents afterwards, frame by frame, and tells the archive
//! when they show the same. It never decides between contents that differ.

use hilum_archive::{ArchiveError, InstanceLayout, Uncompared};
use hilum_dataset::Identity;
use hilum_platform::auth;
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;
use tokio_util::sync::CancellationToken;

use crate::ImagingService;
use crate::api::dicomweb::{Failure, Image, Stored};
use crate::digest::Sha256;
use crate::limits::{COMPARE_EVERY, COMPARED_BYTES};

impl ImagingService {
    /// Compares conflicts until told to stop. What waits is in the archive's
    /// index, so a restart goes on where this ended.
    pub(crate) async fn compare_conflicts(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            for tenant in self.tenants.here() {
                let scope = auth::service(&tenant.name, "imaging");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.compare_all(&scope) => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.comparison_bell.notified() => {}
                () = tokio::time::sleep(COMPARE_EVERY) => {}
            }
        }
    }

    async fn compare_all(&self, scope: &TenantScope) {
        loop {
            match self.compare_next(scope).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "a conflict was not compared");
                    return;
                }
            }
        }
    }

    /// Whether there was one to compare.
    async fn compare_next(&self, scope: &TenantScope) -> Result<bool, ArchiveError> {
        let Some(uncompared) = self.archive.begin_comparison(scope).await? else {
            return Ok(false);
        };
        let same = match self.shows_the_same(scope, &uncompared).await {
            Ok(same) => same,
            // It was begun and not ended: the archive hands it out again.
            Err(Failure::Service(error)) if error.code.is_retryable() => {
                tracing::warn!(%error, "two contents of one instance can't be compared now");
                return Ok(false);
            }
            // What can't be decoded, or not for its size, is for a person.
            Err(_) => false,
        };
        self.archive
            .end_comparison(scope, &uncompared, same)
            .await?;
        if same {
            metrics::counter!("hilum_conflicts_resolved_total").increment(1);
            let study = Some(uncompared.served.row.study.as_str());
            self.notices.tell(scope.tenant(), Topic::Studies, study);
        }
        Ok(true)
    }

    async fn shows_the_same(
        &self,
        scope: &TenantScope,
        uncompared: &Uncompared,
    ) -> Result<bool, Failure> {
        let served = self.image(scope, &uncompared.served).await?;
        let contender = self.image(scope, &uncompared.contender).await?;
        if identity(&served).await? != identity(&contender).await?
            || served.frames() != contender.frames()
        {
            return Ok(false);
        }
        let mut left = COMPARED_BYTES;
        for index in 0..served.frames() {
            let frame = served.decoded(index).await?;
            let bytes = u64::try_from(frame.data.len()).unwrap_or(u64::MAX);
            let Some(rest) = left.checked_sub(bytes) else {
                return Ok(false);
            };
            left = rest;
            let other = contender.decoded(index).await?;
            if !frame.shows_the_same_as(&other) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn image(&self, scope: &TenantScope, of: &InstanceLayout) -> Result<Image, Failure> {
        Image::open(Stored::of(self, scope, of.row.clone(), &of.layout).await?).await
    }
}

async fn identity(image: &Image) -> Result<[u8; 32], Failure> {
    let mut digest = Sha256::default();
    identify(&image.identity().await?, &mut digest);
    Ok(digest.finish())
}

/// What two encodings of one instance agree in besides their pixels.
pub(crate) fn identify(identity: &Identity, digest: &mut Sha256) {
    for text in [
        &identity.sop_class_uid,
        &identity.sop_instance_uid,
        &identity.series_instance_uid,
        &identity.study_instance_uid,
        &identity.patient_id,
        &identity.patient_name,
        &identity.patient_birth_date,
        &identity.image_position_patient,
        &identity.image_orientation_patient,
        &identity.pixel_spacing,
    ] {
        digest.update(text.as_bytes());
        digest.update(&[0]);
    }
    for number in [
        identity.rows,
        identity.columns,
        identity.bits_allocated,
        identity.bits_stored,
        identity.pixel_representation,
        identity.number_of_frames,
    ] {
        digest.update(&number.unwrap_or(-1).to_le_bytes());
    }
}

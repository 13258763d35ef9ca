//! Corrections as they are laid over what was received, whenever it is read:
//! data sets stream with corrected attributes, metadata is corrected as JSON.
//! Never changes what is stored.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use hilum_archive::{InstanceMetadata, InstanceRow, InstanceSource, Origin, Overlay};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_dataset::patch::{self, Correction, Patched, Piece};
use hilum_dataset::text::CharacterSet;
use hilum_dataset::{ByteSource, Encoding, Inflated, is_deflated};
use hilum_platform::scope::TenantScope;

use crate::ImagingService;
use crate::domain::moving::Placed;
use crate::limits::CORRECTED_INFLATED;

/// Bytes on their way to a reader.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, ServiceError>>;

/// What is laid over an instance, the oldest correction first. Empty: nothing.
pub(crate) fn corrections(row: &InstanceRow) -> Result<Vec<Correction>, ServiceError> {
    row.overlay
        .as_ref()
        .map_or(Ok(Vec::new()), |overlay| steps(overlay, &row.origin))
}

/// An overlay's corrections of what came in so, the oldest first.
pub(crate) fn steps(overlay: &Overlay, origin: &Origin) -> Result<Vec<Correction>, ServiceError> {
    let mut all = Placed::of(overlay)?.steps;
    // The values before the first correction are the sender's; those before a
    // later one are ours.
    for (index, step) in all.iter_mut().enumerate() {
        step.source = match origin {
            Origin::Dimse { calling_ae } if index == 0 => calling_ae.clone(),
            _ if index == 0 => String::new(),
            _ => step.system.clone(),
        };
    }
    Ok(all)
}

/// An instance's DICOM JSON, corrected.
pub(crate) fn metadata(found: &InstanceMetadata) -> Result<Bytes, ServiceError> {
    let corrections = corrections(&found.row)?;
    if corrections.is_empty() {
        return Ok(found.metadata.clone());
    }
    patch::json(&found.metadata, &corrections)
        .map(Bytes::from)
        .ok_or_else(|| ServiceError::internal("The metadata can't be corrected."))
}

impl ImagingService {
    /// An instance's data set, corrected, in the transfer syntax it is stored in.
    pub(crate) async fn corrected(
        &self,
        scope: &TenantScope,
        row: &InstanceRow,
    ) -> Result<Pieces, ServiceError> {
        let corrections = corrections(row)?;
        if corrections.is_empty() {
            return self.received(scope, row).await;
        }
        let fallback = self.fallback_charset(scope, &row.origin);
        let syntax = row.transfer_syntax.trim_end_matches(['\0', ' ']).to_owned();
        let source = self.archive.source(scope, &row.location).await?;
        if is_deflated(&syntax) {
            let bytes = blocking(move || deflated(&Source(source), &corrections, fallback)).await?;
            return Ok(stream::iter([Ok(bytes)]).boxed());
        }
        let patched = blocking(move || {
            let encoding = Encoding::of(&syntax);
            patch::patch(&Source(source), encoding, &corrections, fallback).map_err(unreadable)
        })
        .await?;
        Ok(self.streamed(scope, row, patched))
    }

    /// An instance's data set exactly as received.
    pub(crate) async fn received(
        &self,
        scope: &TenantScope,
        row: &InstanceRow,
    ) -> Result<Pieces, ServiceError> {
        let whole = 0..row.location.length();
        let reader = self.archive.read_range(scope, &row.location, whole).await?;
        Ok(reader
            .map(|piece| piece.map_err(ServiceError::from))
            .boxed())
    }

    /// The character set of text whose set an instance does not declare.
    pub(crate) fn fallback_charset(
        &self,
        scope: &TenantScope,
        origin: &Origin,
    ) -> Option<CharacterSet> {
        let Origin::Dimse { calling_ae } = origin else {
            return None;
        };
        let known = self.tenants.known();
        let device = known.device(scope.tenant(), calling_ae)?;
        CharacterSet::parse(device.fallback_charset.as_deref()?)
    }

    /// The parts in order, ranges read as they are reached.
    fn streamed(&self, scope: &TenantScope, row: &InstanceRow, patched: Patched) -> Pieces {
        let (archive, scope) = (self.archive.clone(), scope.clone());
        let location = row.location.clone();
        stream::iter(patched.pieces)
            .then(move |piece| {
                let (archive, scope) = (archive.clone(), scope.clone());
                let location = location.clone();
                async move {
                    match piece {
                        Piece::New(bytes) => stream::iter([Ok(Bytes::from(bytes))]).boxed(),
                        Piece::Copy(range) => {
                            match archive.read_range(&scope, &location, range).await {
                                Ok(reader) => reader.map(|piece| piece.map_err(Into::into)).boxed(),
                                Err(error) => stream::iter([Err(error.into())]).boxed(),
                            }
                        }
                    }
                }
            })
            .flatten()
            .boxed()
    }
}

/// A deflated data set, corrected and deflated again. In memory: bounded by
/// what it may inflate to.
fn deflated(
    source: &Source,
    corrections: &[Correction],
    fallback: Option<CharacterSet>,
) -> Result<Bytes, ServiceError> {
    let inflated = Inflated::open(source, CORRECTED_INFLATED).map_err(unreadable)?;
    let patched = patch::patch(&inflated, Encoding::ExplicitLittle, corrections, fallback)
        .map_err(unreadable)?;
    let plain = patched
        .collect(&inflated)
        .map_err(|error| ServiceError::internal(error.to_string()))?;
    Ok(Bytes::from(hilum_dataset::deflate(&plain)))
}

/// Bytes of the archive as the walk reads them.
struct Source(InstanceSource);

impl ByteSource for Source {
    fn len(&self) -> u64 {
        self.0.length()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_at(offset, buf)
    }
}

fn unreadable(error: hilum_dataset::ScanError) -> ServiceError {
    match error {
        hilum_dataset::ScanError::Refused(refusal) => ServiceError::new(
            ErrorCode::Unsupported,
            format!("The instance can't be given corrected ({refusal}); ask for it as received."),
        ),
        hilum_dataset::ScanError::Source(error) => {
            tracing::error!(%error, "an instance can't be read to be corrected");
            ServiceError::new(ErrorCode::Corrupt, "The instance can't be read.")
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ServiceError::internal("A correction ended early."))?
}

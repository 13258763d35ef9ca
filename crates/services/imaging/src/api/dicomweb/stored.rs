//! One stored instance and the parts of its bytes: ranges from the archive,
//! inflated first where the data set is deflated.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hilum_archive::{InstanceLayout, InstanceRow, RangeReader};
use hilum_contracts::error::ServiceError;
use hilum_dataset::patch::Correction;
use hilum_dataset::text::CharacterSet;
use hilum_dataset::{Encoding, Inflated, PixelLayout};
use hilum_platform::scope::TenantScope;

use super::error::Failure;
use super::limits;
use super::pixels::frame_ranges;
use crate::ImagingService;
use crate::layout::Layout;

pub(super) use crate::overlay::Pieces;

/// An instance that is there, and what is known about its bytes.
#[derive(Clone)]
pub(crate) struct Stored {
    service: ImagingService,
    scope: TenantScope,
    pub(super) row: InstanceRow,
    pub(super) layout: Layout,
    /// All of it, where offsets count in inflated bytes or it was asked to be held.
    held: Option<Bytes>,
    /// What was opened when it was found, for the one who asks for just that.
    opened: Arc<Mutex<Opened>>,
}

/// A range and what reads it.
type Opened = Option<(Range<u64>, RangeReader)>;

/// What of an instance is opened when it is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum First {
    Nothing,
    /// A frame, counted from 1, that lies in one piece as it is given.
    Frame(u32),
    /// All of it, where that is small.
    Whole,
}

impl First {
    fn of(self, found: &InstanceLayout) -> Option<Range<u64>> {
        let length = found.row.location.length();
        let number = match self {
            Self::Nothing => return None,
            Self::Whole => return (length <= limits::HELD_BYTES).then_some(0..length),
            Self::Frame(number) => number,
        };
        let layout = Layout::from_bytes(&found.layout).ok()?;
        if layout.inflated || !lies_native(&layout) {
            return None;
        }
        let ranges = frame_ranges(layout.pixels.as_ref()?, number.checked_sub(1)?).ok()?;
        let [(offset, length)] = ranges[..] else {
            return None;
        };
        Some(offset..offset.checked_add(length)?)
    }
}

/// Whether frames lie as they are given: native little endian is the same in
/// every transfer syntax that has it.
pub(super) fn lies_native(layout: &Layout) -> bool {
    let native = matches!(
        &layout.pixels,
        Some(PixelLayout::Native {
            frame_length: Some(_),
            ..
        })
    );
    native && !matches!(layout.encoding, Encoding::ExplicitBig)
}

impl Stored {
    /// The instance of an address.
    pub(super) async fn find(
        service: &ImagingService,
        scope: &TenantScope,
        address: (String, String, String),
        first: First,
    ) -> Result<Self, Failure> {
        let archive = &service.archive;
        let found = archive
            .instance_part(scope, address, move |found| first.of(found))
            .await?
            .ok_or_else(Failure::not_found)?;
        let layout = &found.found.layout;
        let mut stored = Self::of(service, scope, found.found.row.clone(), layout).await?;
        match (first, found.part) {
            (First::Whole, Some((_, reader))) if stored.held.is_none() => {
                stored.held = Some(reader.collect().await?);
            }
            (_, part) => stored.opened = Arc::new(Mutex::new(part)),
        }
        Ok(stored)
    }

    pub(crate) async fn of(
        service: &ImagingService,
        scope: &TenantScope,
        row: InstanceRow,
        layout: &[u8],
    ) -> Result<Self, Failure> {
        let layout = Layout::from_bytes(layout)
            .map_err(|_| Failure::Service(ServiceError::internal("The layout can't be read.")))?;
        let mut stored = Self {
            service: service.clone(),
            scope: scope.clone(),
            row,
            layout,
            held: None,
            opened: Arc::default(),
        };
        if stored.layout.inflated {
            stored.held = Some(stored.inflate().await?);
        }
        Ok(stored)
    }

    /// Reads a small data set at once, so that its parts are no reads of their own.
    pub(super) async fn holding_if_small(mut self) -> Result<Self, Failure> {
        let length = self.length();
        if self.held.is_none() && length <= limits::HELD_BYTES {
            self.held = Some(self.read(0, length).await?);
        }
        Ok(self)
    }

    /// All of it, where it is in memory.
    pub(super) fn held(&self) -> Option<Bytes> {
        self.held.clone()
    }

    async fn inflate(&self) -> Result<Bytes, Failure> {
        let length = self.row.location.length();
        if length > limits::INFLATED_BYTES {
            return Err(too_large());
        }
        let deflated = self
            .service
            .archive
            .read_range(&self.scope, &self.row.location, 0..length);
        let deflated = deflated.await?.collect().await?;
        tokio::task::spawn_blocking(move || {
            use hilum_dataset::ByteSource as _;
            let source: &[u8] = &deflated;
            let inflated =
                Inflated::open(source, limits::INFLATED_BYTES).map_err(|_| too_large())?;
            let mut bytes = vec![0; usize::try_from(inflated.len()).unwrap_or(0)];
            let mut filled = 0;
            while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match inflated.read_at(u64::try_from(filled).unwrap_or(u64::MAX), rest)? {
                    0 => break,
                    count => filled += count,
                }
            }
            Ok(Bytes::from(bytes))
        })
        .await
        .map_err(|_| Failure::Service(ServiceError::internal("Inflating ended early.")))?
    }

    /// What is laid over the data set, and the set of text without one.
    pub(super) fn corrections(
        &self,
    ) -> Result<(Vec<Correction>, Option<CharacterSet>), ServiceError> {
        let fallback = self.service.fallback_charset(&self.scope, &self.row.origin);
        Ok((crate::overlay::corrections(&self.row)?, fallback))
    }

    /// Length of the data set, inflated where it is deflated.
    pub(super) fn length(&self) -> u64 {
        match &self.held {
            Some(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            None => self.row.location.length(),
        }
    }

    /// The transfer syntax that [`Stored::stream`] and [`Stored::read`] give.
    pub(super) fn transfer_syntax(&self) -> &str {
        if self.layout.inflated {
            hilum_dicomweb::accept::EXPLICIT_VR_LITTLE_ENDIAN
        } else {
            self.row.transfer_syntax.trim_end_matches(['\0', ' '])
        }
    }

    /// A range of the data set as it streams.
    pub(super) async fn stream(&self, offset: u64, length: u64) -> Result<Pieces, Failure> {
        if self.held.is_some() {
            let bytes = self.read(offset, length).await?;
            return Ok(stream::iter([Ok(bytes)]).boxed());
        }
        let range = offset..offset.saturating_add(length);
        let opened = self
            .opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|(opened, _)| *opened == range);
        let reader = match opened {
            Some((_, reader)) => reader,
            None => {
                let archive = &self.service.archive;
                let location = &self.row.location;
                archive.read_range(&self.scope, location, range).await?
            }
        };
        Ok(reader
            .map(|piece| piece.map_err(ServiceError::from))
            .boxed())
    }

    /// A range of the data set in memory, for the caller to bound.
    pub(super) async fn read(&self, offset: u64, length: u64) -> Result<Bytes, Failure> {
        let end = offset.saturating_add(length);
        if let Some(bytes) = &self.held {
            let at = |place: u64| {
                usize::try_from(place)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len())
            };
            return Ok(bytes.slice(at(offset)..at(end).max(at(offset))));
        }
        let range = offset..end;
        let reader = self
            .service
            .archive
            .read_range(&self.scope, &self.row.location, range)
            .await?;
        Ok(reader.collect().await?)
    }
}

/// A range of an instance's data set exactly as received.
pub(super) async fn as_received(
    service: &ImagingService,
    scope: &TenantScope,
    row: &InstanceRow,
    range: Range<u64>,
) -> Result<Pieces, Failure> {
    let reader = service
        .archive
        .read_range(scope, &row.location, range)
        .await?;
    Ok(reader
        .map(|piece| piece.map_err(ServiceError::from))
        .boxed())
}

fn too_large() -> Failure {
    Failure::not_acceptable(
        "this deflated instance is too large to take apart; it is given as stored with transfer-syntax=*",
    )
}

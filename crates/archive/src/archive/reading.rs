//! What streams out: metadata and data sets.

use std::ops::Range;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use hilum_platform::scope::TenantScope;

use crate::db::Connection;
use crate::error::{ArchiveError, Result};
use crate::hot::{Address, Keep};
use crate::index::{instances, reject, series_metadata, texts};
use crate::limits::METADATA_AHEAD_ROWS;
use crate::model::{
    InstanceLayout, InstanceLocation, InstanceMetadata, InstancePart, MetadataScope,
};
use crate::pack::Packs;
use crate::read::{InstanceSource, OpenSegment, RangeReader, Whereabouts};

use crate::archive::{Archive, blocking};

impl Archive {
    /// Streams the metadata of everything served in a study or series, or of
    /// one instance, by series number, then instance number. What does not
    /// exist streams nothing. Holds no transaction while the reader is slow.
    pub fn instance_metadata(
        &self,
        scope: &TenantScope,
        of: MetadataScope,
    ) -> BoxStream<'static, Result<InstanceMetadata>> {
        if let MetadataScope::Instance { .. } = of {
            return stream::once(self.clone().one_instance(scope.clone(), of))
                .try_filter_map(|found| std::future::ready(Ok(found)))
                .boxed();
        }
        let archive = self.clone();
        let scope = scope.clone();
        let start = (
            None::<std::collections::VecDeque<i64>>,
            (i64::MIN, i64::MIN),
        );
        stream::try_unfold(start, move |(series, mut after)| {
            let (archive, scope, of) = (archive.clone(), scope.clone(), of.clone());
            async move {
                let mut series = match series {
                    Some(series) => series,
                    None => archive
                        .ask(&scope, Vec::new(), move |db, tenant| {
                            series_metadata::series_of(db, tenant, &of)
                        })
                        .await?
                        .into(),
                };
                while let Some(current) = series.front().copied() {
                    let (rows, last) = archive
                        .ask_packs(&scope, move |db, packs, tenant| {
                            series_metadata::metadata_after(
                                db,
                                packs,
                                tenant,
                                current,
                                None,
                                after,
                                METADATA_AHEAD_ROWS,
                            )
                        })
                        .await?;
                    if let Some(last) = last.filter(|_| rows.len() == METADATA_AHEAD_ROWS) {
                        after = last;
                    } else {
                        series.pop_front();
                        after = (i64::MIN, i64::MIN);
                    }
                    if !rows.is_empty() {
                        let rows = stream::iter(rows.into_iter().map(Ok));
                        return Ok::<_, ArchiveError>(Some((rows, (Some(series), after))));
                    }
                }
                Ok(None)
            }
        })
        .try_flatten()
        .boxed()
    }

    /// One instance, in one question to the index.
    async fn one_instance(
        self,
        scope: TenantScope,
        of: MetadataScope,
    ) -> Result<Option<InstanceMetadata>> {
        self.ask_packs(&scope, move |db, packs, tenant| {
            let MetadataScope::Instance { instance, .. } = &of else {
                return Ok(None);
            };
            for series in series_metadata::series_of(db, tenant, &of)? {
                let start = (i64::MIN, i64::MIN);
                let only = Some(instance.as_str());
                let (rows, _) =
                    series_metadata::metadata_after(db, packs, tenant, series, only, start, 1)?;
                if let Some(found) = rows.into_iter().next() {
                    return Ok(Some(found));
                }
            }
            reject::retrievable(db, packs, tenant, &of)
        })
        .await
    }

    /// What is served under an address (study, series, instance), and the range
    /// of its bytes that `pick` finds in its row and layout, opened on the way:
    /// a frame in one turn of one thread.
    ///
    /// # Errors
    /// As [`Archive::read_range`].
    pub async fn instance_part(
        &self,
        scope: &TenantScope,
        (study, series, instance): (String, String, String),
        pick: impl Fn(&InstanceLayout) -> Option<Range<u64>> + Send + 'static,
    ) -> Result<Option<InstancePart>> {
        let address = Arc::new(Address {
            tenant: scope.tenant().as_str().to_owned(),
            study,
            series,
            instance,
        });
        if let Some(found) = self.engine.hot.place(&address) {
            match self.part_of(scope, &found, &pick).await {
                Ok(part) => return Ok(Some(InstancePart { found, part })),
                // Moved in this moment.
                Err(ArchiveError::Missing) => {}
                Err(error) => return Err(error),
            }
        }
        let engine = Arc::clone(&self.engine);
        let seen = engine.hot.seen();
        self.ask_packs(scope, move |db, packs, tenant| {
            let Some(found) = located(db, packs, tenant, &address)? else {
                return Ok(None);
            };
            let found = Arc::new(found);
            let part = match picked(&found, &pick) {
                None => None,
                Some(range) => {
                    let at = whereabouts(&address.tenant, &found.row.location);
                    let reader = match engine.hot.bytes(at, &range) {
                        Some(bytes) => RangeReader::of(bytes),
                        None => {
                            let (objects, keys) = (&engine.objects, &engine.keys);
                            engine.hot.read(objects, keys, at, &range, Keep::Always)?
                        }
                    };
                    Some((range, reader))
                }
            };
            Ok(Some((Arc::clone(&address), InstancePart { found, part })))
        })
        .await
        .map(|answer| {
            answer.map(|(address, answer)| {
                let found = Arc::clone(&answer.found);
                self.engine.hot.keep_place(address, seen, found);
                answer
            })
        })
    }

    /// The range that `pick` finds in what is known to be there, without a turn
    /// of another thread when it was read lately.
    async fn part_of(
        &self,
        scope: &TenantScope,
        found: &InstanceLayout,
        pick: &(impl Fn(&InstanceLayout) -> Option<Range<u64>> + Send),
    ) -> Result<Option<(Range<u64>, RangeReader)>> {
        let Some(range) = picked(found, pick) else {
            return Ok(None);
        };
        let location = &found.row.location;
        let reader = self
            .hot_or_read(scope, location, range.clone(), Keep::Always)
            .await?;
        Ok(Some((range, reader)))
    }

    /// Streams a range of an instance's data set as received; `0..length()`
    /// for all of it.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] for a range outside the data set,
    /// [`ArchiveError::NotFound`] when it is not this tenant's or was erased,
    /// [`ArchiveError::Corrupt`] or [`ArchiveError::Missing`] when the disk
    /// does not hold what was written; also later, from the stream.
    pub async fn read_range(
        &self,
        scope: &TenantScope,
        location: &InstanceLocation,
        range: Range<u64>,
    ) -> Result<RangeReader> {
        match self.open_range(scope, location, range.clone()).await {
            Err(ArchiveError::Missing) => {}
            other => return other,
        }
        // The bytes may have been moved since the location was asked for.
        let (uid, sha256) = (location.sop_instance.clone(), location.sha256);
        let now = self
            .ask_packs(scope, move |db, packs, tenant| {
                instances::exact(db, packs, tenant, &uid, &sha256)
            })
            .await?
            .ok_or(ArchiveError::NotFound)?;
        if now.location == *location {
            return Err(ArchiveError::Missing);
        }
        self.open_range(scope, &now.location, range).await
    }

    /// An instance's received bytes at random, for a thread that may block.
    ///
    /// # Errors
    /// As [`Archive::read_range`].
    pub async fn source(
        &self,
        scope: &TenantScope,
        location: &InstanceLocation,
    ) -> Result<InstanceSource> {
        let open = |location: InstanceLocation| {
            let engine = Arc::clone(&self.engine);
            let tenant = scope.tenant().clone();
            blocking(move || {
                let at = whereabouts(tenant.as_str(), &location);
                OpenSegment::open(&engine.objects, &engine.keys, at).map(InstanceSource::of)
            })
        };
        match open(location.clone()).await {
            Err(ArchiveError::Missing) => {}
            other => return other,
        }
        // As for a range: the bytes may have been moved.
        let (uid, sha256) = (location.sop_instance.clone(), location.sha256);
        let now = self
            .ask_packs(scope, move |db, packs, tenant| {
                instances::exact(db, packs, tenant, &uid, &sha256)
            })
            .await?
            .ok_or(ArchiveError::NotFound)?;
        open(now.location).await
    }

    pub(super) async fn open_range(
        &self,
        scope: &TenantScope,
        location: &InstanceLocation,
        range: Range<u64>,
    ) -> Result<RangeReader> {
        if range.start > range.end || range.end > location.length {
            return Err(ArchiveError::Invalid("the range is outside the data set"));
        }
        self.hot_or_read(scope, location, range, Keep::IfRoom).await
    }

    async fn hot_or_read(
        &self,
        scope: &TenantScope,
        location: &InstanceLocation,
        range: Range<u64>,
        keep: Keep,
    ) -> Result<RangeReader> {
        let at = whereabouts(scope.tenant().as_str(), location);
        if let Some(bytes) = self.engine.hot.bytes(at, &range) {
            return Ok(RangeReader::of(bytes));
        }
        let engine = Arc::clone(&self.engine);
        let tenant = scope.tenant().clone();
        let location = location.clone();
        blocking(move || {
            let at = whereabouts(tenant.as_str(), &location);
            let (objects, keys) = (&engine.objects, &engine.keys);
            engine.hot.read(objects, keys, at, &range, keep)
        })
        .await
    }
}

fn whereabouts<'a>(tenant: &'a str, location: &'a InstanceLocation) -> Whereabouts<'a> {
    Whereabouts {
        tenant,
        object: &location.object,
        offset: location.offset,
        segment: location.segment,
        length: location.length,
    }
}

/// What `pick` wants, where it is inside the data set.
fn picked(
    found: &InstanceLayout,
    pick: &impl Fn(&InstanceLayout) -> Option<Range<u64>>,
) -> Option<Range<u64>> {
    let length = found.row.location.length;
    pick(found).filter(|range| range.start <= range.end && range.end <= length)
}

/// What is served under an address, or was rejected for its quality.
fn located(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    at: &Address,
) -> Result<Option<InstanceLayout>> {
    let address = (at.study.as_str(), at.series.as_str(), at.instance.as_str());
    if let Some(found) = texts::located(db, packs, tenant, address)? {
        return Ok(Some(found));
    }
    let of = MetadataScope::Instance {
        study: at.study.clone(),
        series: at.series.clone(),
        instance: at.instance.clone(),
    };
    let rejected = reject::retrievable(db, packs, tenant, &of)?;
    Ok(rejected.map(|of| InstanceLayout {
        row: of.row,
        layout: of.layout,
    }))
}

//! Metadata as it streams out: many instances at a time, in the form that the
//! caller makes of them. A series that is one pack goes out as the pieces that
//! it is stored in.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use hilum_platform::scope::TenantScope;

use crate::archive::Archive;
use crate::db::Connection;
use crate::error::Result;
use crate::index::{reject, series_metadata, texts};
use crate::limits::{METADATA_AHEAD_ROWS, METADATA_BATCH_BYTES};
use crate::model::{
    InstanceMetadata, MetadataBatch, MetadataForm, MetadataPiece, MetadataScope, PieceInstance,
};
use crate::pack::{OpenTexts, OrderKey, Packs};

/// How far an answer has come.
#[derive(Clone, Default)]
struct Progress {
    /// Rows of the series that are left, the current one first; `None`: not
    /// asked for yet.
    series: Option<VecDeque<i64>>,
    within: Within,
}

/// Where in the current series.
#[derive(Clone, Default)]
enum Within {
    #[default]
    Begin,
    After(OrderKey),
    Group(Arc<OpenTexts>, usize),
}

/// What one question to the index gave.
#[derive(Default)]
struct Step {
    pieces: Vec<Bytes>,
    /// `None`: that was all.
    next: Option<Progress>,
}

impl Archive {
    /// The revision of a study or series, which grows with every change of
    /// what is served of it: a validator for caches. `None`: nothing is.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn revision(&self, scope: &TenantScope, of: &MetadataScope) -> Result<Option<u64>> {
        let of = of.clone();
        self.ask(scope, None, move |db, tenant| {
            texts::revision(db, tenant, &of)
        })
        .await
    }

    /// Streams the metadata of everything served in a study or series, or of
    /// one instance, by series number, then instance number, in pieces of the
    /// caller's form. What does not exist is one last batch without a piece.
    /// Holds no transaction while the reader is slow.
    pub fn metadata(
        &self,
        scope: &TenantScope,
        of: MetadataScope,
        form: Arc<dyn MetadataForm>,
    ) -> BoxStream<'static, Result<MetadataBatch>> {
        let (archive, scope) = (self.clone(), scope.clone());
        let of = Arc::new(of);
        stream::try_unfold(Some(Progress::default()), move |progress| {
            let (archive, scope) = (archive.clone(), scope.clone());
            let (of, form) = (Arc::clone(&of), Arc::clone(&form));
            async move {
                let Some(progress) = progress else {
                    return Ok(None);
                };
                let step = archive
                    .ask_packs(&scope, move |db, packs, tenant| {
                        step(db, packs, tenant, &of, progress.clone(), &*form)
                    })
                    .await?;
                let batch = MetadataBatch {
                    pieces: step.pieces,
                    last: step.next.is_none(),
                };
                Ok(Some((batch, step.next)))
            }
        })
        .boxed()
    }
}

/// Goes on until enough is there, all on one snapshot.
fn step(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    of: &MetadataScope,
    from: Progress,
    form: &dyn MetadataForm,
) -> Result<Step> {
    let mut series = match from.series {
        Some(series) => series,
        None => series_metadata::series_of(db, tenant, of)?.into(),
    };
    let (only, limit) = match of {
        MetadataScope::Instance { instance, .. } => (Some(instance.as_str()), 1),
        MetadataScope::Study(_) | MetadataScope::Series { .. } => (None, METADATA_AHEAD_ROWS),
    };
    let mut within = from.within;
    let mut pieces = Vec::new();
    let mut bytes = 0;
    while let Some(current) = series.front().copied() {
        if bytes >= METADATA_BATCH_BYTES {
            if let Within::Group(texts, _) = &within {
                texts.lease(packs)?;
            }
            let series = Some(series);
            let next = Some(Progress { series, within });
            return Ok(Step { pieces, next });
        }
        let (piece, next) = match within {
            Within::Group(texts, group) => {
                let piece = texts.made(packs, group, form)?;
                let next = (group + 1 < texts.groups()).then_some(group + 1);
                (piece, next.map(|group| Within::Group(texts, group)))
            }
            Within::Begin | Within::After(_) => match texts::head(db, current)? {
                // Deleted since.
                None => (Bytes::new(), None),
                Some(head) => {
                    if matches!(within, Within::Begin)
                        && only.is_none()
                        && let Some(whole) = texts::whole(db, packs, &head)?
                        && whole.groups() > 0
                    {
                        within = Within::Group(Arc::new(whole), 0);
                        continue;
                    }
                    let after = match within {
                        Within::After(key) => key,
                        _ => (i64::MIN, i64::MIN),
                    };
                    let (piece, last) = texts::after(db, packs, &head, only, after, limit)?;
                    let made = if piece.instances.is_empty() {
                        Bytes::new()
                    } else {
                        form.make(&piece)?
                    };
                    (made, last.filter(|_| only.is_none()).map(Within::After))
                }
            },
        };
        if !piece.is_empty() {
            bytes += piece.len();
            pieces.push(piece);
        }
        match next {
            Some(next) => within = next,
            None => {
                series.pop_front();
                within = Within::Begin;
            }
        }
    }
    if pieces.is_empty()
        && let Some(found) = reject::retrievable(db, packs, tenant, of)?
    {
        pieces.push(form.make(&alone(found))?);
    }
    Ok(Step { pieces, next: None })
}

/// One instance as a piece.
fn alone(of: InstanceMetadata) -> MetadataPiece {
    let row = of.row;
    MetadataPiece {
        study: row.study.into(),
        series: row.series.into(),
        instances: vec![PieceInstance {
            sop_instance: row.sop_instance,
            sha256: row.sha256,
            within: 0..of.metadata.len(),
            origin: row.overlay.as_ref().map(|_| row.origin),
            placed: row
                .overlay
                .as_ref()
                .and_then(|overlay| overlay.placed.clone()),
        }],
        overlay: row.overlay,
        text: of.metadata,
    }
}
